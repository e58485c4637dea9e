//! A real OpenID provider: the certified `oidc-provider` package, and what we make of its tokens.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`parts`] | finds node, and installs the provider below `target/` |
//! | [`provider`] | a running provider, and what a client asks of it |
//! | [`house`] | a policy in force, with a clock that tests set |
//! | [`served`] | the binary asks it |
//! | [`tokens`] | which of its tokens pass |
//! | [`rotation`] | its keys change, and it goes away |

mod house;
mod parts;
mod provider;
mod rotation;
mod served;
mod tokens;
