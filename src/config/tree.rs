//! The configuration as written: one struct a table, one field a key, nothing interpreted yet.
//!
//! Doc comments here become the descriptions in the JSON Schema that `postern check --schema` prints.

mod admin;
mod api_key;
mod audit;
mod basic;
mod certificate;
mod claims;
mod example;
mod header;
mod identity;
mod introspection;
mod limit;
mod listen;
mod revocation;
mod telemetry;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::at::OneOrMany;
use crate::config::at::list;
use crate::config::at::one_or_many;

pub use admin::Admin;
pub use api_key::ApiKeys;
pub use api_key::KeyLine;
pub use api_key::KeyPlace;
pub use audit::Audit;
pub use audit::AuditFormat;
pub use audit::AuditHttp;
pub use audit::Facility;
pub use audit::Fsync;
pub use audit::Pseudonyms;
pub use audit::Redact;
pub use audit::Rotate;
pub use audit::Syslog;
pub use audit::WhenFull;
pub use basic::Basic;
pub use basic::UserEntry;
pub use basic::UserFile;
pub use certificate::Certificate;
pub use certificate::CertificateFrom;
pub use certificate::CertificateProxy;
pub use certificate::CertificateRule;
pub use claims::ClaimMap;
pub use claims::EmailClaim;
pub use claims::EmailRules;
pub use claims::GroupClaim;
pub use claims::GroupRules;
pub use claims::OtherGroups;
pub use claims::Split;
pub use claims::UserClaim;
pub use example::Asker;
pub use example::Cases;
pub use example::Example;
pub use example::Expect;
pub use example::Expected;
pub use header::Assertion;
pub use header::Encode;
pub use header::ExtraHeader;
pub use header::GroupChoice;
pub use header::GroupFormat;
pub use header::GroupHeader;
pub use header::HeaderEncoding;
pub use header::HeaderFact;
pub use header::IdentityHeaders;
pub use identity::Jwt;
pub use identity::KeyDiscovery;
pub use identity::Preset;
pub use identity::SecretRef;
pub use identity::Source;
pub use identity::TokenPlace;
pub use identity::TokenType;
pub use introspection::AnswerLifetimes;
pub use introspection::ClientMethod;
pub use introspection::Introspection;
pub use introspection::IntrospectionCache;
pub use introspection::IntrospectionClient;
pub use introspection::Userinfo;
pub use limit::LimitDown;
pub use limit::LimitExcept;
pub use limit::LimitMode;
pub use limit::LimitPlace;
pub use limit::LimitRedis;
pub use limit::LimitStore;
pub use limit::RateLimit;
pub use limit::RateLimits;
pub use listen::Listen;
pub use listen::ListenAt;
pub use listen::ListenPeers;
pub use listen::ListenTls;
pub use listen::ListenUnix;
pub use listen::TlsListener;
pub use revocation::Revocation;
pub use revocation::RevokedLine;
pub use telemetry::MetricsPush;
pub use telemetry::Otlp;
pub use telemetry::OtlpProtocol;
pub use telemetry::Telemetry;
pub use telemetry::TraceParent;
pub use telemetry::Traces;

/// A Postern policy file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of this language: 1.
    pub version: At<u32>,
    /// Where we listen.
    #[serde(default)]
    pub listen: Listen,
    /// Who may do what on the admin listener.
    #[serde(default)]
    pub admin: Admin,
    /// Who may ask us: addresses, CIDRs, or `unix`. Default: loopback and unix sockets.
    #[serde(default)]
    pub callers: Option<At<Vec<At<String>>>>,
    /// Accept a caller list that holds every address.
    #[serde(default)]
    pub insecure_any_caller: bool,
    /// A folder of our own, for what outlives the process: the last good keys of issuers. Default: nothing is kept.
    #[serde(default)]
    pub state_dir: Option<At<String>>,
    /// One line of JSON for every decision. Default: none is kept.
    #[serde(default)]
    pub audit: Option<At<Audit>>,
    /// What a collector is told by OTLP. Default: nothing.
    #[serde(default)]
    pub telemetry: Option<At<Telemetry>>,
    /// How the client's address is found.
    #[serde(default)]
    pub client_ip: ClientIp,
    /// What happens when a client sends an identity header itself: `refuse` (default), `strip` or `insecure_report`.
    #[serde(default)]
    pub spoof_guard: Option<At<SpoofGuard>>,
    /// Identity sources by name.
    #[serde(default)]
    pub identity: Entries<At<Source>>,
    /// Credentials that are no good any more.
    #[serde(default)]
    pub revocation: Option<At<Revocation>>,
    /// Application roles by name, made from directory groups and users.
    #[serde(default)]
    pub roles: Entries<At<Role>>,
    /// Address lists by name.
    #[serde(default)]
    pub networks: Entries<At<Network>>,
    /// How rate limits are kept; the limits themselves stand where they hold, as `limit`.
    #[serde(default)]
    pub limits: LimitStore,
    /// What holds for every host.
    #[serde(default)]
    pub defaults: Defaults,
    /// Host blocks by host name: `wiki.corp.test`, `wiki.corp.test:8443`, `*.corp.test` (one label), `**.corp.test`.
    #[serde(default)]
    pub hosts: Entries<At<HostBlock>>,
}

/// How the client's address is found.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientIp {
    /// `dialect` (default): the address the proxy states. `xff`: walk `X-Forwarded-For` from the right over
    /// `trusted_hops`. `forwarded`: the same over `Forwarded` (RFC 7239). `{header: X-Real-IP}`: that header's one
    /// address.
    #[serde(default)]
    pub from: Option<At<AddressSource>>,
    /// Proxies that may stand between the client and the asking proxy: CIDRs or network names.
    #[serde(default)]
    pub trusted_hops: Vec<At<String>>,
    /// Accept trusted hops that hold every address.
    #[serde(default)]
    pub insecure_any_hop: bool,
}

/// Where the client's address stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AddressSource {
    /// Where the proxy's own dialect states it.
    Dialect,
    /// In `X-Forwarded-For`.
    Xff,
    /// In `Forwarded` (RFC 7239).
    Forwarded,
    /// In this header, which holds exactly one address.
    Header(String),
}

/// What to do with identity headers that a client sends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SpoofGuard {
    /// Refuse the request.
    #[default]
    Refuse,
    /// Overwrite or remove them: for a proxy behind another that sets them.
    Strip,
    /// Only count them; they are still overwritten or removed.
    InsecureReport,
}

/// An application role: whoever is in one of these groups, is one of these users, or has an included role.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    #[serde(default)]
    pub groups: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub users: Option<At<OneOrMany<At<String>>>>,
    /// Roles that a holder of this one has too.
    #[serde(default)]
    pub includes: Option<At<OneOrMany<At<String>>>>,
    /// Limits of everybody who has the role, whatever they ask for.
    #[serde(default)]
    pub limit: Option<RateLimits>,
}

/// An address list: CIDRs and addresses written here, or in an environment variable.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape")]
#[schemars(rename = "Network", untagged)]
pub enum Network {
    /// One CIDR or address, or a list of them.
    #[serde(rename = "list", deserialize_with = "one_or_many")]
    List(#[schemars(with = "OneOrMany<At<String>>")] Vec<At<String>>),
    #[serde(rename = "map")]
    Env(EnvNetwork),
}

/// Addresses from an environment variable that holds CIDRs separated by spaces or commas.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EnvNetwork {
    /// The variable's name.
    pub env: At<String>,
    /// Used when the variable is unset or blank: `private` (the default), or a list.
    #[serde(default)]
    pub default: Option<At<OneOrMany<At<String>>>>,
}

/// What holds for every host.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    /// The identity sources of hosts and routes that name none, in order. `anonymous` may stand last.
    #[serde(default)]
    pub identity: Option<At<OneOrMany<At<String>>>>,
    /// Networks a client must be in, whatever the host.
    #[serde(default)]
    pub network: Option<At<OneOrMany<At<String>>>>,
    /// Gates that close every host.
    #[serde(default)]
    pub deny: Option<At<Deny>>,
    /// Limits of all requests, whatever the host.
    #[serde(default)]
    pub limit: Option<RateLimits>,
    /// The names of the identity headers sent upstream.
    #[serde(default)]
    pub headers: Option<At<IdentityHeaders>>,
    /// A signed statement of who the caller is, for applications that need not believe plain headers.
    #[serde(default)]
    pub assertion: Option<At<Assertion>>,
    /// How groups are sent.
    #[serde(default)]
    pub groups: Option<At<GroupHeader>>,
    /// How text that is not printable ASCII is sent. Without it such a user is refused, such names and groups are left
    /// out.
    #[serde(default)]
    pub encode: Option<At<Encode>>,
    /// Routes that come before each host's own.
    #[serde(default, deserialize_with = "list")]
    pub routes: Vec<At<Route>>,
}

/// The rules of one host, or of a family of hosts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostBlock {
    /// Where browsers log in. `{url}` becomes the percent-encoded URL they asked for.
    #[serde(default)]
    pub login: Option<At<String>>,
    /// `login` (default where `login` is set): browsers are sent to the login page. `status`: they get a 401.
    #[serde(default)]
    pub on_unauthenticated: Option<At<OnUnauthenticated>>,
    /// The scheme of `{url}`. Default: `https`.
    #[serde(default)]
    pub scheme: Option<At<UrlScheme>>,
    /// The identity sources of this host's routes, in order. `anonymous` may stand last.
    #[serde(default)]
    pub identity: Option<At<OneOrMany<At<String>>>>,
    /// Networks a client must be in. A gate: it closes the whole host and never opens it.
    #[serde(default)]
    pub network: Option<At<OneOrMany<At<String>>>>,
    /// Gates that close the whole host.
    #[serde(default)]
    pub deny: Option<At<Deny>>,
    /// Limits of all requests to this host.
    #[serde(default)]
    pub limit: Option<RateLimits>,
    /// `allow`: CORS preflights (OPTIONS with `Origin` and `Access-Control-Request-Method`) pass, with no identity.
    #[serde(default)]
    pub preflight: Option<At<Preflight>>,
    /// `sensitive`: the servers behind this host tell upper from lower case, so paths need no folded reading.
    #[serde(default)]
    pub path_case: Option<At<PathCase>>,
    /// `false`: `defaults.routes` do not apply here.
    #[serde(default)]
    pub inherit_routes: Option<At<bool>>,
    /// The routes, first match first.
    #[serde(default, deserialize_with = "list")]
    pub routes: Vec<At<Route>>,
}

/// What a browser without a session gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnUnauthenticated {
    Login,
    Status,
}

/// The scheme browsers use for a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UrlScheme {
    Http,
    Https,
}

/// How the servers behind a host treat letter case in paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PathCase {
    /// Unknown: paths with upper-case letters must be allowed in both readings (the default).
    Any,
    Sensitive,
}

// Nearly all of it is boxed: what is read moves from hand to hand, most keys are left out, and there may be a hundred
// thousand routes.
/// One route: a path pattern, methods, and what a caller must be.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The name in logs and metrics. Default: the path pattern.
    #[serde(default)]
    pub name: Option<Box<At<String>>>,
    /// `/a/b`, `/a/*` or `/a/{id}` (one segment), `/a/**` (all below, and `/a` itself).
    #[serde(default)]
    pub path: Option<At<String>>,
    /// What patterns cannot say: a regular expression over the decoded path, anchored at both ends. Instead of `path`.
    #[serde(default)]
    pub path_regex: Option<Box<At<String>>>,
    /// The methods. Default: the registered nine. `GET` implies `HEAD`; `any` stands for every method.
    #[serde(default)]
    pub methods: Option<Box<At<OneOrMany<At<String>>>>>,
    /// `true`: everyone may pass, credentials are ignored, no identity is sent. Excludes `require`.
    #[serde(default)]
    pub public: Option<Box<At<bool>>>,
    /// What must hold. Without it (and without `public`) nobody passes.
    #[serde(default)]
    pub require: Option<Box<At<Require>>>,
    /// The identity sources of this route, in order. `anonymous` may stand last.
    #[serde(default)]
    pub identity: Option<Box<At<OneOrMany<At<String>>>>>,
    /// Networks a client must be in, besides those of the host and of `defaults`. `any` lifts theirs.
    #[serde(default)]
    pub network: Option<Box<At<OneOrMany<At<String>>>>>,
    /// Gates that close by themselves, besides those of the host and of `defaults`.
    #[serde(default)]
    pub deny: Option<Box<At<Deny>>>,
    /// Limits of requests to this route, besides those of the host and of `defaults`.
    #[serde(default)]
    pub limit: Option<Box<RateLimits>>,
    /// `keep`: paths with `%2f` or double encoding may use this route, if every reading of them lands here.
    #[serde(default)]
    pub encoded_slash: Option<Box<At<EncodedSlash>>>,
    /// Requests and what must become of them; those that pass must pass by this route. They are tried whenever the policy is loaded; a policy
    /// of which one fails is refused.
    #[serde(default)]
    pub examples: Option<Box<At<Vec<At<Example>>>>>,
}

/// Gates that close: each key by itself, on what it names and on what cannot be known.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deny {
    /// Closed to clients in these networks.
    #[serde(default)]
    pub network: Option<At<OneOrMany<At<String>>>>,
    /// Closed to requests with such a header: names and their values.
    #[serde(default)]
    pub headers: Option<At<TextValues>>,
    /// Closed to these methods.
    #[serde(default)]
    pub methods: Option<At<OneOrMany<At<String>>>>,
}

/// What becomes of CORS preflights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Preflight {
    /// They are judged like any request (the default).
    Judge,
    Allow,
}

/// Names, each with one value or several.
pub type TextValues = Entries<At<OneOrMany<At<String>>>>;

/// A part of the week.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// `mon` to `sun`, and ranges as `mon-fri`. Default: every day.
    #[serde(default)]
    pub days: Option<At<OneOrMany<At<String>>>>,
    /// `08:00-18:00`; hours that pass midnight belong to the day on which they begin. Default: the whole day.
    #[serde(default)]
    pub hours: Option<At<String>>,
    /// The time zone, such as `Europe/Berlin`. Default: `UTC`.
    #[serde(default)]
    pub zone: Option<At<String>>,
}

/// What a route makes of `%2f`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlash {
    /// Refuse it (the default).
    Refuse,
    /// Keep it as it came.
    Keep,
}

/// A requirement: every key must hold, and for a list one of its values.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Require {
    /// The caller is in one of these groups.
    #[serde(default)]
    pub groups: Option<Box<At<OneOrMany<At<String>>>>>,
    /// The caller has one of these roles.
    #[serde(default)]
    pub roles: Option<Box<At<OneOrMany<At<String>>>>>,
    /// The caller is one of these users.
    #[serde(default)]
    pub users: Option<Box<At<OneOrMany<At<String>>>>>,
    /// The caller's token has one of these scopes.
    #[serde(default)]
    pub scopes: Option<Box<At<OneOrMany<At<String>>>>>,
    /// The caller was identified by one of these sources.
    #[serde(default)]
    pub identity: Option<Box<At<OneOrMany<At<String>>>>>,
    /// Claims by path: each must have one of the values written for it.
    #[serde(default)]
    pub claims: Option<Box<At<ClaimValues>>>,
    /// The client's address is in one of these networks.
    #[serde(default)]
    pub network: Option<Box<At<OneOrMany<At<String>>>>>,
    /// Headers of the request: each stands once, with one of the values written for it.
    #[serde(default)]
    pub headers: Option<Box<At<TextValues>>>,
    /// Query parameters: each stands once, with one of the values written for it.
    #[serde(default)]
    pub query: Option<Box<At<TextValues>>>,
    /// It is such a time now.
    #[serde(default)]
    pub schedule: Option<Box<At<Schedule>>>,
    /// `true`: any identified caller.
    #[serde(default)]
    pub authenticated: Option<Box<At<bool>>>,
    /// One of these requirements holds.
    #[serde(default)]
    pub any: Option<Box<At<Vec<At<Require>>>>>,
    /// All of these requirements hold.
    #[serde(default)]
    pub all: Option<Box<At<Vec<At<Require>>>>>,
    /// This requirement is false, and known to be.
    #[serde(default)]
    pub not: Option<Box<At<Require>>>,
}

/// Values by the path of the claim that must have one of them.
pub type ClaimValues = Entries<At<OneOrMany<At<Scalar>>>>;

/// A caller written by hand, to ask what the policy makes of it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    #[serde(default)]
    pub user: Option<At<String>>,
    #[serde(default)]
    pub groups: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub email: Option<At<String>>,
    #[serde(default)]
    pub name: Option<At<String>>,
    #[serde(default)]
    pub scopes: Option<At<OneOrMany<At<String>>>>,
    /// The source that vouches; the first one of the policy unless written.
    #[serde(default)]
    pub identity: Option<At<String>>,
    /// Claims by name: plain values or lists of them.
    #[serde(default)]
    pub claims: Option<At<ClaimValues>>,
}

/// A plain value compared with a claim.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(rename = "$shape", rename_all = "snake_case")]
#[schemars(rename = "Scalar", untagged)]
pub enum Scalar {
    Text(String),
    Number(f64),
    Bool(bool),
}
