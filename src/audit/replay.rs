//! What a line keeps so that its request can be judged again, and reading it back.
//!
//! Not the request: no credential, of the header fields those that the policy names, of the query the parameters that it
//! names. What the line does not know, it says: then a judge of another policy can tell that it cannot tell.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Map;
use serde_json::Value;

use crate::audit::json::Members;
use crate::model::identity::Identity;
use crate::model::path::parameter;
use crate::model::record::Record;
use crate::model::replay::Replayable;
use crate::model::replay::Seen;
use crate::model::request::Scheme;

/// Write the member `replay`.
pub(super) fn write(line: &mut Members<'_>, record: &Record<'_>, replay: &Replayable<'_>, with_query: bool) {
    let request = replay.request;
    let mut lacks: Vec<String> = Vec::new();
    if let Some(scheme) = request.scheme {
        line.text("scheme", scheme.name());
    }
    if let Some(port) = request.host.port() {
        line.number("port", u64::from(port));
    }
    if record.path != Some(request.path.raw()) {
        line.text("path", request.path.raw());
    }
    if let Some(query) = request.path.query().filter(|_| !with_query) {
        let kept = parameter::only(query, |name| replay.reads.parameters.iter().any(|read| read.as_bytes() == name));
        if kept != query {
            lacks.push("query".to_owned());
            line.texts("parameters", replay.reads.parameters.iter().map(String::as_str));
        }
        line.text("query", &kept);
    }
    if let Some(peer) = request.address.peer {
        line.text("peer", peer);
    }
    if !request.address.forwarded_for.is_empty() {
        line.texts("forwarded_for", request.address.forwarded_for.iter().copied());
    }
    if !replay.reads.headers.is_empty() {
        line.object("headers", |line| {
            for name in &replay.reads.headers {
                let values: Vec<&[u8]> = request.headers.all(name).collect();
                match values.iter().map(|value| std::str::from_utf8(value)).collect::<Result<Vec<_>, _>>() {
                    Ok(values) => line.named_texts(name, values.into_iter()),
                    Err(_) => lacks.push(format!("header {name}")),
                }
            }
        });
    }
    lacks.extend(replay.reads.secret_headers.iter().map(|name| format!("header {name}")));
    line.text("guard", &replay.reads.guard);
    if !replay.spoofed.is_empty() {
        line.texts("spoofed", replay.spoofed.iter().map(String::as_str));
    }
    if request.headers.all("early-data").next().is_some() {
        line.truth("early_data", true);
    }
    if let Some(method) = replay.preflight {
        line.text("preflight", method);
    }
    line.truth("navigation", replay.navigation);
    line.text("caller", replay.seen.name());
    if let Seen::Refused { login_helps: true } = replay.seen {
        line.truth("login_helps", true);
    }
    if !replay.sources.is_empty() {
        line.lists("sources", replay.sources.iter().map(|list| list.iter().copied()));
    }
    if let Some(identity) = record.decision.principal.identity() {
        person(line, identity, replay);
    }
    if !lacks.is_empty() {
        line.texts("lacks", lacks.iter().map(String::as_str));
    }
}

/// What the policy may look at of a caller, beyond what every line says.
fn person(line: &mut Members<'_>, identity: &Identity, replay: &Replayable<'_>) {
    line.texts("groups", identity.groups().iter());
    if !identity.scopes().is_empty() {
        line.texts("scopes", identity.scopes().iter());
    }
    if let Some(email) = identity.email() {
        line.text("email", email);
        line.truth("email_verified", identity.email_verified());
    }
    if let Some(name) = identity.name() {
        line.text("name", name);
    }
    if let Some(expires) = identity.expires() {
        line.integer("expires", expires);
    }
    if !replay.reads.claims.is_empty() {
        line.object("claims", |line| {
            for path in &replay.reads.claims {
                let claim = identity.claim(path).map_or(Value::Null, |claim| claim.tree());
                line.value(path.as_str(), &claim);
            }
        });
    }
}

/// Why a line cannot be judged again.
#[derive(Debug, thiserror::Error)]
pub enum RecordedError {
    #[error("the line is not JSON of ours")]
    Malformed(#[from] serde_json::Error),
    #[error("the line is no decision")]
    NoDecision,
    #[error("the line was written without `audit.replay: true`")]
    NotKept,
}

/// A request as its line says it was.
#[derive(Clone, Debug, Deserialize)]
pub struct Recorded {
    pub kind: String,
    pub id: Option<String>,
    pub time: jiff::Timestamp,
    pub dialect: Option<String>,
    pub method: Option<String>,
    pub host: Option<String>,
    pub path: Option<String>,
    pub query: Option<String>,
    pub subject: Option<String>,
    pub issuer: Option<String>,
    pub user: Option<String>,
    pub source: Option<String>,
    pub client: Option<RecordedClient>,
    pub route: Option<RecordedRoute>,
    /// The line of the policy that decided, `file:line`.
    pub rule: Option<String>,
    #[serde(default)]
    pub groups: Vec<String>,
    pub effect: Option<String>,
    pub status: Option<u16>,
    pub reason: Option<String>,
    /// The limit that refused it.
    pub limit: Option<String>,
    pub policy: Option<String>,
    pub generation: Option<u64>,
    /// `None`: the request could not be read, so no policy had a say.
    pub replay: Option<Kept>,
}

/// The member `client`, as far as a reader needs it.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordedClient {
    pub ip: Option<std::net::IpAddr>,
    /// Why it is not known.
    pub unknown: Option<String>,
    /// How it was found.
    pub from: Option<String>,
}

/// The member `route`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordedRoute {
    pub host: String,
    pub name: String,
}

/// The member `replay`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Kept {
    pub scheme: Option<String>,
    pub port: Option<u16>,
    pub path: Option<String>,
    pub query: Option<String>,
    pub parameters: Vec<String>,
    pub peer: Option<String>,
    pub forwarded_for: Vec<String>,
    pub headers: BTreeMap<String, Vec<String>>,
    pub guard: String,
    pub spoofed: Vec<String>,
    pub early_data: bool,
    pub preflight: Option<String>,
    pub navigation: bool,
    pub caller: String,
    pub login_helps: bool,
    pub sources: Vec<Vec<String>>,
    pub groups: Vec<String>,
    pub scopes: Vec<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub name: Option<String>,
    pub expires: Option<i64>,
    pub claims: Map<String, Value>,
    pub lacks: Vec<String>,
}

impl Recorded {
    /// Read one line of the log.
    pub fn read(line: &str) -> Result<Recorded, RecordedError> {
        let recorded: Recorded = serde_json::from_str(line)?;
        if recorded.kind != "decision" {
            return Err(RecordedError::NoDecision);
        }
        if recorded.host.is_some() && recorded.replay.is_none() {
            return Err(RecordedError::NotKept);
        }
        Ok(recorded)
    }

    /// Method and URL, as far as they were kept.
    pub fn asked(&self) -> String {
        let scheme = self.scheme().map_or("https", Scheme::name);
        // Without `replay` there is the canonical form alone.
        let authority = self.authority().or_else(|| self.host.clone()).unwrap_or_default();
        let target = self.target().or_else(|| self.path.clone()).unwrap_or_default();
        format!("{} {scheme}://{authority}{target}", self.method.as_deref().unwrap_or_default())
    }

    /// The request target: path and query, as far as they were kept.
    pub fn target(&self) -> Option<String> {
        let kept = self.replay.as_ref()?;
        let path = kept.path.as_ref().or(self.path.as_ref())?;
        Some(match self.query.as_ref().or(kept.query.as_ref()) {
            Some(query) => format!("{path}?{query}"),
            None => path.clone(),
        })
    }

    /// Host and port.
    pub fn authority(&self) -> Option<String> {
        let host = self.host.as_ref()?;
        Some(match self.replay.as_ref()?.port {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        })
    }

    /// The scheme, where it was known.
    pub fn scheme(&self) -> Option<Scheme> {
        Scheme::parse(self.replay.as_ref()?.scheme.as_ref()?)
    }
}

impl Kept {
    /// What became of the credentials.
    pub fn seen(&self) -> Seen {
        match self.caller.as_str() {
            "absent" => Seen::Absent,
            "proven" => Seen::Proven,
            "refused" => Seen::Refused { login_helps: self.login_helps },
            _ => Seen::Nothing,
        }
    }

    /// Is this parameter of the query known, be it that it was absent?
    pub fn knows_parameter(&self, name: &str) -> bool {
        !self.lacks.iter().any(|lacking| lacking == "query") || self.parameters.iter().any(|kept| kept == name)
    }

    /// The header fields that stand for those of the request: for every test that a policy can make of what was kept,
    /// they come to the same.
    pub fn fields(&self) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = Vec::new();
        let kept = |name: &str| self.headers.contains_key(name);
        for name in &self.spoofed {
            match self.headers.get(name) {
                Some(values) => fields.extend(values.iter().map(|value| (name.clone(), value.clone()))),
                // Any of our names will do: the guard tells only that there was one.
                None if name == "connection" => fields.push((name.clone(), "remote-user".to_owned())),
                None => fields.push((name.clone(), String::new())),
            }
        }
        for (name, values) in self.headers.iter().filter(|(name, _)| !self.spoofed.contains(name)) {
            fields.extend(values.iter().map(|value| (name.clone(), value.clone())));
        }
        let mut stands_for = |name: &str, value: &str| {
            if !kept(name) && !self.spoofed.iter().any(|spoofed| spoofed == name) {
                fields.push((name.to_owned(), value.to_owned()));
            }
        };
        if self.early_data {
            stands_for("early-data", "1");
        }
        if let Some(method) = &self.preflight {
            stands_for("origin", "null");
            stands_for("access-control-request-method", method);
        }
        // Where the mode is kept and absent, what is accepted decides.
        match kept("sec-fetch-mode") {
            true if self.navigation => stands_for("accept", "text/html"),
            true => {}
            false => stands_for("sec-fetch-mode", if self.navigation { "navigate" } else { "no-navigate" }),
        }
        fields
    }
}
