//! The caller that `--as` takes for granted.

use std::str::FromStr;
use std::sync::Arc;

use anyhow::Context;
use anyhow::bail;
use serde_json::Value;

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::nearest;
use crate::config::read::inline;
use crate::config::tree::Caller;
use crate::config::tree::Scalar;
use crate::model::identity::Claims;
use crate::model::identity::Identity;
use crate::model::identity::Principal;
use crate::model::problem::Problem;
use crate::snapshot::Snapshot;

/// Who is assumed to be asking, as the command line says it.
#[derive(Clone, Debug)]
pub(super) enum Assumed {
    Anonymous,
    /// A name without anything else.
    User(String),
    Described(Arc<Caller>),
}

impl FromStr for Assumed {
    type Err = String;

    fn from_str(text: &str) -> Result<Assumed, String> {
        match text {
            "" => Err("write `anonymous`, a user name, or {user: alice, groups: [ops]}".to_owned()),
            "anonymous" => Ok(Assumed::Anonymous),
            described if described.starts_with('{') => inline::<Caller>("--as", described)
                .map(|caller| Assumed::Described(Arc::new(caller)))
                .map_err(|problems| problems.0.iter().map(complaint).collect::<Vec<_>>().join("; ")),
            user => Ok(Assumed::User(user.to_owned())),
        }
    }
}

impl Assumed {
    /// The caller: the one place outside of `authn` that makes an identity, and only to explain.
    pub(super) fn principal(&self, snapshot: &Snapshot) -> anyhow::Result<Principal> {
        let nobody = Caller::default();
        let (user, caller) = match self {
            Assumed::Anonymous => return Ok(Principal::Anonymous),
            Assumed::User(user) => (user.clone(), &nobody),
            Assumed::Described(caller) => (text(&caller.user).unwrap_or_else(|| "someone".to_owned()), &**caller),
        };
        let (source, issuer) = vouching(caller, snapshot)?;
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
        let identity = identity.ok().context("--as: a user name is not empty and holds no control characters")?;
        Ok(Principal::Identified(Arc::new(identity)))
    }
}

/// A problem without its place: there is only one line.
fn complaint(problem: &Problem) -> String {
    let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}{help}", problem.message)
}

/// The source that vouches, and its issuer.
fn vouching(caller: &Caller, snapshot: &Snapshot) -> anyhow::Result<(Arc<str>, Arc<str>)> {
    let known = snapshot.identities.iter();
    let Some(written) = &caller.identity else {
        let first = known.map(|source| (source.name.clone(), source.issuer().clone())).next();
        return Ok(first.unwrap_or_else(|| ("assumed".into(), "assumed".into())));
    };
    match known.clone().find(|source| *source.name == *written.value) {
        Some(source) => Ok((source.name.clone(), source.issuer().clone())),
        None => {
            let names: Vec<&str> = known.map(|source| &*source.name).collect();
            bail!("--as: there is no identity source called `{}` ({})", written.value, nearest::help(written, &names))
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
