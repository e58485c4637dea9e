//! A recorded request, judged again: the same walk, with the request as its line says it was, and the caller as the
//! identity sources found them then.

use std::sync::Arc;

use crate::audit::replay::Kept;
use crate::audit::replay::Recorded;
use crate::authn::Answers;
use crate::engine::walk;
use crate::engine::walk::Assumed;
use crate::engine::walk::Credentials;
use crate::engine::walk::Given;
use crate::engine::walk::Remembered;
use crate::engine::walk::Walk;
use crate::engine::walk::Walked;
use crate::limit::Purse;
use crate::model::decision::DecisionId;
use crate::model::dialect::Dialect;
use crate::model::header::Headers;
use crate::model::identity::Claims;
use crate::model::identity::Identity;
use crate::model::identity::Principal;
use crate::model::reason::Reason;
use crate::model::replay::Replayable;
use crate::model::replay::Seen;
use crate::model::request::Attributes;
use crate::model::request::Request;
use crate::model::request::StatedAddress;
use crate::model::request::StatedCertificate;
use crate::policy::navigation::is_navigation;
use crate::policy::preflight;
use crate::policy::trace::Trace;
use crate::snapshot::Snapshot;
use crate::telemetry::clock;

/// What the log must keep of a request that was walked, so that it can be judged again.
pub fn replayable<'r>(snapshot: &'r Snapshot, request: &'r Request<'r>, walked: &Walked) -> Replayable<'r> {
    Replayable {
        request,
        reads: &snapshot.reads,
        seen: walked.seen,
        sources: snapshot.source_names(walked.asked.into_iter().chain(walked.also_asked.iter().copied())),
        navigation: is_navigation(request.method, &request.headers),
        preflight: preflight::wanted_method(request),
        spoofed: snapshot.policy.spoof.sightings(&request.headers),
    }
}

/// What became of a recorded request under a policy.
#[derive(Debug)]
pub enum Replayed {
    /// It could not even be read: the same under every policy.
    Unread,
    Walked(Box<Walked>),
    /// It cannot be told: what the line would have to say besides.
    Unknown(String),
}

/// Judge it. Nothing is guessed: where the policy looks at something that the line does not say, that is the answer.
pub fn replay(snapshot: &Snapshot, recorded: &Recorded, trace: &mut impl Trace) -> Replayed {
    let (Some(kept), Some(target), Some(authority)) = (&recorded.replay, recorded.target(), recorded.authority())
    else {
        return Replayed::Unread;
    };
    match judge(snapshot, recorded, kept, &target, &authority, trace) {
        Ok(walked) => Replayed::Walked(walked),
        Err(lacking) => Replayed::Unknown(lacking),
    }
}

fn judge(
    snapshot: &Snapshot,
    recorded: &Recorded,
    kept: &Kept,
    target: &str,
    authority: &str,
    trace: &mut impl Trace,
) -> Result<Box<Walked>, String> {
    match recorded.reason.as_deref().and_then(Reason::parse) {
        Some(Reason::RateLimited | Reason::LimitsUnavailable) => {
            return Err("what limits had counted when they refused it".to_owned());
        }
        Some(Reason::AuditUnavailable) => return Err("what was decided before the log could not be written".to_owned()),
        _ => {}
    }
    looks_at(snapshot, kept)?;
    let dialect = recorded.dialect.as_deref().and_then(Dialect::parse).ok_or("a dialect that is known here")?;
    let fields = kept.fields();
    let mut headers = Headers::new(false);
    for (name, value) in &fields {
        headers.push(name, value.as_bytes());
    }
    let attributes = Attributes {
        dialect,
        method: recorded.method.as_deref().unwrap_or_default(),
        scheme: recorded.scheme(),
        host: authority,
        target,
        address: StatedAddress {
            peer: kept.peer.as_deref(),
            forwarded_for: kept.forwarded_for.iter().map(String::as_str).collect(),
        },
        certificate: StatedCertificate::default(),
        headers,
        ignored_forwarding: 0,
    };
    let request =
        Request::parse(attributes).map_err(|refusal| format!("a request that can be read: {}", refusal.detail))?;
    let given = Given {
        decision_id: recorded.id.as_deref().and_then(DecisionId::parse).ok_or("a decision id")?,
        now: recorded.time,
        answers: Answers::none(),
        assumed: Some(Assumed::Remembered(Box::new(remembered(recorded, kept)?))),
    };
    // What limits had counted when the request was there is not known, so they are only looked at.
    let mut purse = Purse::looking(clock::instant());
    match walk::walk(snapshot, &request, &given, &mut purse, trace) {
        Walk::Done(walked) => Ok(walked),
        Walk::Needs(_) | Walk::Takes(_) | Walk::Unknown => {
            Err("what the identity sources of the route make of the credentials".to_owned())
        }
    }
}

/// Does the line say everything that the policy may look at?
fn looks_at(snapshot: &Snapshot, kept: &Kept) -> Result<(), String> {
    let reads = &snapshot.reads;
    if let Some(name) = reads.secret_headers.iter().chain(&reads.headers).find(|name| !kept.headers.contains_key(*name))
    {
        return Err(format!("the header `{name}`"));
    }
    if let Some(name) = reads.parameters.iter().find(|name| !kept.knows_parameter(name)) {
        return Err(format!("the parameter `{name}` of the query"));
    }
    let claims = if kept.seen() == Seen::Proven { Some(&reads.claims) } else { None };
    if let Some(path) = claims.into_iter().flatten().find(|path| !kept.claims.contains_key(path.as_str())) {
        return Err(format!("the claim `{path}`"));
    }
    if reads.guard != kept.guard {
        return Err("which of the names of this policy's identity headers the client sent".to_owned());
    }
    Ok(())
}

fn remembered(recorded: &Recorded, kept: &Kept) -> Result<Remembered, String> {
    let credentials = match kept.seen() {
        Seen::Nothing => None,
        Seen::Absent => Some(Credentials::Absent),
        Seen::Proven => Some(Credentials::Proven(caller(recorded, kept)?)),
        Seen::Refused { login_helps } => {
            let reason = recorded.reason.as_deref().and_then(Reason::parse).filter(|reason| !reason.allows());
            Some(Credentials::Refused { reason: reason.ok_or("why the credentials were refused")?, login_helps })
        }
    };
    Ok(Remembered { sources: kept.sources.clone(), credentials })
}

/// The caller of then. Nobody is let in by it: what comes of a replay is printed.
fn caller(recorded: &Recorded, kept: &Kept) -> Result<Principal, String> {
    let part = |text: &Option<String>| text.clone().ok_or("the caller");
    let mut raw = serde_json::Map::new();
    // Whole members last: they hold what others step into.
    let (stepped, whole): (Vec<_>, Vec<_>) = kept.claims.iter().partition(|(path, _)| path.contains('['));
    for (path, value) in stepped.into_iter().chain(whole).filter(|(_, value)| !value.is_null()) {
        let path = crate::model::claim_path::ClaimPath::parse(path).map_err(|error| error.to_string())?;
        path.put(&mut raw, value.clone());
    }
    let identity = Identity::verified(Claims {
        source: part(&recorded.source)?.into(),
        issuer: part(&recorded.issuer)?.into(),
        subject: part(&recorded.subject)?,
        user: part(&recorded.user)?,
        groups: kept.groups.clone(),
        email: kept.email.clone(),
        email_verified: kept.email_verified,
        name: kept.name.clone(),
        scopes: kept.scopes.clone(),
        raw,
        expires: kept.expires,
    });
    identity.map(|identity| Principal::Identified(Arc::new(identity))).map_err(|_| "a sound caller".to_owned())
}
