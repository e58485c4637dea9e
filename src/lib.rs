//! Postern answers one question for a reverse proxy: may this request pass, and as whom?
//!
//! The rooms of the house. Each imports only rooms above it in this list; `tests/it/architecture.rs` holds it to that.
//!
//! | room | what happens there |
//! | --- | --- |
//! | [`model`] | the nouns: request, path, host, client address, identity, decision, response, record, problem |
//! | [`policy`] | the decision: hosts, routes, conditions, identity headers, denials |
//! | [`limit`] | rate limits: buckets and where they are kept |
//! | [`dialect`] | wire to model and back, one proxy a file |
//! | [`outbound`] | the one HTTP client: deadlines, size limits, no redirects; sockets to receivers that speak no HTTP |
//! | [`storage`] | the one writer of files: what outlives the process |
//! | [`authn`] | who is asking: tokens and the keys of their issuers, opaque tokens, API keys, passwords, certificates |
//! | [`assertion`] | signed statements of who the caller is, for applications |
//! | [`telemetry`] | one record a decision, seen as counters and a log line; the clock |
//! | [`audit`] | one record a decision, kept as a chained line of JSON; who writes, signs and verifies it |
//! | [`export`] | telling a collector: spans and metrics by OTLP, on a thread of its own |
//! | [`config`] | the policy file as written; the only reader of files and environment |
//! | [`snapshot`] | configuration to everything built, or all problems at once |
//! | [`engine`] | the corridor from a decoded check to its answer |
//! | [`server`] | listeners: gRPC, forward-auth, admin |
//! | [`cli`] | one verb a file |

pub mod assertion;
pub mod audit;
pub mod authn;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod engine;
pub mod export;
pub mod limit;
pub mod model;
pub mod outbound;
pub mod policy;
pub mod server;
pub mod snapshot;
pub mod storage;
pub mod telemetry;
