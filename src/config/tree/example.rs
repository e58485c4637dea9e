//! Requests and what must become of them, as written: in routes, and in files of tests.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::tree::Caller;
use crate::config::tree::TextValues;

/// A request, and what must become of it. Where a key holds a list, each of its values is tried with each of the others.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What it is about, for whoever reads a failure.
    #[serde(default)]
    pub name: Option<At<String>>,
    /// Who asks: `anonymous` (default: without credentials), a user name, or `{user: alice, groups: [ops]}`.
    #[serde(default, rename = "as")]
    pub caller: Option<At<OneOrMany<At<Asker>>>>,
    /// The client's address. Default: `127.0.0.1`.
    #[serde(default)]
    pub from: Option<At<OneOrMany<At<String>>>>,
    /// When, as `2027-01-31T12:00:00Z`. Default: now.
    #[serde(default)]
    pub at: Option<At<String>>,
    /// GET this: a URL, or a path where the host is known, because the example stands in a route of a host without `*`.
    #[serde(default)]
    pub get: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub head: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub post: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub put: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub patch: Option<At<OneOrMany<At<String>>>>,
    #[serde(default)]
    pub delete: Option<At<OneOrMany<At<String>>>>,
    /// Any method: `PROPFIND https://dav.example.test/`.
    #[serde(default)]
    pub request: Option<At<OneOrMany<At<String>>>>,
    /// Header fields of the client.
    #[serde(default)]
    pub headers: TextValues,
    /// What must become of it.
    pub expect: At<Expect>,
}

/// Who asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape")]
#[schemars(rename = "Asker", untagged)]
pub enum Asker {
    #[serde(rename = "text")]
    Name(String),
    #[serde(rename = "map")]
    Described(Box<Caller>),
}

/// What must become of a request.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename = "$shape")]
#[schemars(rename = "Expect", untagged)]
pub enum Expect {
    /// `allow`, `deny`, or a reason such as `requirement_failed`.
    #[serde(rename = "text")]
    Word(String),
    /// The status of the answer.
    #[serde(rename = "number")]
    Status(f64),
    #[serde(rename = "map")]
    Whole(Box<Expected>),
}

/// Everything that can be expected; what is not written may be anything.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// `allow` or `deny`.
    #[serde(default)]
    pub effect: Option<At<String>>,
    /// The status, as Envoy passes it on: 200 for an allow.
    #[serde(default)]
    pub status: Option<At<u16>>,
    /// The reason, as in the audit log.
    #[serde(default)]
    pub reason: Option<At<String>>,
    /// The name of the route that decides.
    #[serde(default)]
    pub route: Option<At<String>>,
    /// Header fields that are set: on the request that passes, or on the answer that denies it.
    #[serde(default)]
    pub headers: TextValues,
    /// Header fields that are not set.
    #[serde(default)]
    pub absent: Option<At<OneOrMany<At<String>>>>,
}

/// A file of tests.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cases {
    /// The version of this format: 1.
    pub version: At<u32>,
    /// What is asked, and what must become of it.
    pub cases: At<Vec<At<Example>>>,
}
