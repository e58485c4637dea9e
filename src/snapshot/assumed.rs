//! A caller that is taken for granted: of `explain --as`, of examples and of tests. Nobody is let in by it.

use std::sync::Arc;

use serde_json::Value;

use crate::authn::Source;
use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::nearest;
use crate::config::tree::Caller;
use crate::config::tree::Scalar;
use crate::model::identity::Claims;
use crate::model::identity::Identity;
use crate::model::identity::Principal;

/// Why there can be no such caller, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSuchCaller {
    pub message: String,
    pub help: Option<String>,
}

/// The caller who is described, vouched for by one of these sources.
pub fn described(caller: &Caller, sources: &[Arc<Source>]) -> Result<Principal, NoSuchCaller> {
    named(text(&caller.user).unwrap_or_else(|| "someone".to_owned()), caller, sources)
}

/// The caller of whom only the name is known.
pub fn user(name: &str, sources: &[Arc<Source>]) -> Result<Principal, NoSuchCaller> {
    named(name.to_owned(), &Caller::default(), sources)
}

fn named(user: String, caller: &Caller, sources: &[Arc<Source>]) -> Result<Principal, NoSuchCaller> {
    let (source, issuer) = vouching(caller, sources)?;
    let identity = Identity::verified(Claims {
        source,
        issuer,
        subject: user.clone(),
        user,
        groups: list(&caller.groups),
        email: text(&caller.email),
        email_verified: true,
        name: text(&caller.name),
        scopes: list(&caller.scopes),
        raw: caller
            .claims
            .iter()
            .flat_map(|claims| claims.iter())
            .map(|(name, values)| (name.value.clone(), claim(values)))
            .collect(),
        expires: None,
    });
    let sound = identity.map(|identity| Principal::Identified(Arc::new(identity)));
    let message = "a user name is not empty and holds no control characters";
    sound.map_err(|_| NoSuchCaller { message: message.to_owned(), help: None })
}

/// The source that vouches, and its issuer.
fn vouching(caller: &Caller, sources: &[Arc<Source>]) -> Result<(Arc<str>, Arc<str>), NoSuchCaller> {
    let Some(written) = &caller.identity else {
        let first = sources.iter().map(|source| (source.name.clone(), source.issuer().clone())).next();
        return Ok(first.unwrap_or_else(|| ("assumed".into(), "assumed".into())));
    };
    match sources.iter().find(|source| *source.name == *written.value) {
        Some(source) => Ok((source.name.clone(), source.issuer().clone())),
        None => {
            let names: Vec<&str> = sources.iter().map(|source| &*source.name).collect();
            let message = format!("there is no identity source called `{}`", written.value);
            Err(NoSuchCaller { message, help: Some(nearest::help(written, &names)) })
        }
    }
}

fn text(written: &Option<At<String>>) -> Option<String> {
    written.as_ref().map(|at| at.value.clone())
}

fn list(written: &Option<At<OneOrMany<At<String>>>>) -> Vec<String> {
    written.iter().flat_map(|list| list.iter()).map(|item| item.value.clone()).collect()
}

fn claim(values: &[At<Scalar>]) -> Value {
    let one = |value: &At<Scalar>| match &value.value {
        Scalar::Text(text) => Value::from(text.as_str()),
        Scalar::Number(number) => Value::from(*number),
        Scalar::Bool(truth) => Value::from(*truth),
    };
    match values {
        [only] => one(only),
        _ => values.iter().map(one).collect(),
    }
}
