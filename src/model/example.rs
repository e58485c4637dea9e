//! Requests and what must become of them.

use std::fmt;

use jiff::Timestamp;

use crate::model::decision::Effect;
use crate::model::identity::Principal;
use crate::model::problem::Place;
use crate::model::reason::Reason;
use crate::model::request::Scheme;

/// An example: some requests, of which all must come to the same.
#[derive(Clone, Debug)]
pub struct Example {
    pub place: Place,
    /// What it is about, if somebody wrote that.
    pub name: Option<String>,
    pub requests: Vec<ExampleRequest>,
    pub expected: Expected,
    /// The place of the route it stands in: no other may allow.
    pub under: Option<Place>,
}

/// One request.
#[derive(Clone, Debug)]
pub struct ExampleRequest {
    /// `None`: without credentials, besides those in `headers`.
    pub caller: Option<Principal>,
    /// The caller as it is written.
    pub called: String,
    /// The client's address, as written.
    pub from: String,
    /// `None`: now.
    pub at: Option<Timestamp>,
    pub method: String,
    pub scheme: Scheme,
    pub host: String,
    /// Path and query.
    pub target: String,
    pub headers: Vec<(String, String)>,
}

/// What must become of it. What is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    pub effect: Option<Effect>,
    pub status: Option<u16>,
    pub reason: Option<Reason>,
    pub route: Option<String>,
    /// Lower-case names, each with the values that will do.
    pub headers: Vec<(String, Vec<String>)>,
    /// Lower-case names.
    pub absent: Vec<String>,
}

/// `GET https://app.test/x as alice from 192.0.2.1`.
impl fmt::Display for ExampleRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ExampleRequest { called, from, method, scheme, host, target, .. } = self;
        write!(f, "{method} {}://{host}{target} as {called} from {from}", scheme.name())
    }
}
