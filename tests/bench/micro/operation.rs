//! The operations that are measured, each with its name.

use anyhow::Result;

use crate::policy::Size;
use crate::scene;
use crate::scene::Scene;

/// One operation, done again with every call, on ever other input.
pub(crate) type Work = Box<dyn FnMut()>;

/// A named operation.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    /// Everything that comes before it.
    pub(crate) prepare: fn() -> Result<Work>,
}

/// All of them, in the order of a request.
pub(crate) const ALL: [Operation; 17] = [
    // Octets of a `CheckRequest` to attributes.
    Operation { name: "decode", prepare: || Ok(few(10)?.decode()) },
    // Host block and route of a request.
    Operation { name: "route/10", prepare: || few(10)?.route() },
    Operation { name: "route/1000", prepare: || few(1000)?.route() },
    Operation { name: "route/1000-hosts-1000", prepare: || spread(1000)?.route() },
    // Is the client's address in a list of so many networks?
    Operation { name: "address/10", prepare: || scene::address(10) },
    Operation { name: "address/1000", prepare: || scene::address(1000) },
    Operation { name: "address/100000", prepare: || scene::address(100_000) },
    // A token that was verified before.
    Operation { name: "token", prepare: || few(10)?.token() },
    // A token that nobody remembers: read, verified, and its claims judged. Signed with HS256, the cheapest to verify, so
    // that what we add to the signature shows.
    Operation { name: "verify", prepare: || forgetful()?.token() },
    // The whole walk from the request to the verdict, the token being known.
    Operation { name: "decide/10", prepare: || few(10)?.decide() },
    Operation { name: "decide/1000", prepare: || few(1000)?.decide() },
    Operation { name: "deny", prepare: || few(10)?.strangers()?.deny() },
    // One request taken from the budgets of its address, of a thousand: of a limit with so many rates.
    Operation { name: "take/1", prepare: || scene::take(1) },
    Operation { name: "take/2", prepare: || scene::take(2) },
    // The verdict to the octets of a `CheckResponse`.
    Operation { name: "encode", prepare: || few(10)?.encode() },
    // All of it: octets to octets.
    Operation { name: "check", prepare: || few(10)?.check() },
    // The same with what the server adds: the decision id, the counters, the clock.
    Operation { name: "authorize", prepare: || few(10)?.authorize() },
];

impl Operation {
    /// The operation of this name.
    pub(crate) fn named(name: &str) -> Result<&'static Operation> {
        let found = ALL.iter().find(|operation| operation.name == name);
        found.ok_or_else(|| anyhow::anyhow!("there is no operation `{name}`"))
    }
}

fn few(routes: usize) -> Result<Scene> {
    Scene::new(Size::routes(routes), 64)
}

fn forgetful() -> Result<Scene> {
    Scene::new(Size { tokens: 0, ..Size::routes(10) }, 64)
}

fn spread(routes: usize) -> Result<Scene> {
    Scene::new(Size { hosts: routes, ..Size::routes(routes) }, 64)
}
