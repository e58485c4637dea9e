//! The caller that `--as` takes for granted.

use std::str::FromStr;
use std::sync::Arc;

use anyhow::anyhow;

use crate::config::read::inline;
use crate::config::tree::Caller;
use crate::model::identity::Principal;
use crate::model::problem::Problem;
use crate::snapshot::Snapshot;
use crate::snapshot::assumed;
use crate::snapshot::assumed::NoSuchCaller;

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
    /// The caller, as this policy would know them.
    pub(super) fn principal(&self, snapshot: &Snapshot) -> anyhow::Result<Principal> {
        let made = match self {
            Assumed::Anonymous => return Ok(Principal::Anonymous),
            Assumed::User(user) => assumed::user(user, &snapshot.identities),
            Assumed::Described(caller) => assumed::described(caller, &snapshot.identities),
        };
        made.map_err(|NoSuchCaller { message, help }| {
            let help = help.map(|help| format!(" ({help})")).unwrap_or_default();
            anyhow!("--as: {message}{help}")
        })
    }
}

/// A problem without its place: there is only one line.
fn complaint(problem: &Problem) -> String {
    let help = problem.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
    format!("{}{help}", problem.message)
}
