//! The signed assertion, from what is written to what signs.

use crate::assertion::AssertionSettings;
use crate::assertion::Assertions;
use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::header::parse_name;
use crate::snapshot::duration;

/// How long an assertion holds unless the policy says otherwise, in seconds.
const LIFETIME: i64 = 60;

/// Build `defaults.assertion`.
pub(super) fn assertions(
    written: Option<&At<tree::Assertion>>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Assertions> {
    let written = written?;
    let lifetime =
        duration::seconds(written.lifetime.as_ref(), "lifetime of an assertion", 1..=600, LIFETIME, problems);
    let header = parse_name(&written.header)
        .map_err(|error| problems.push(Problem::error(written.header.place.clone(), "", error.to_string())))
        .ok();
    for text in [Some(&written.issuer), written.audience.as_ref()].into_iter().flatten().filter(|text| text.is_empty())
    {
        problems.push(Problem::error(text.place.clone(), "", "an empty text names nobody"));
    }
    let mut secret = |at: &At<tree::SecretRef>| surroundings.secret(at).map_err(|problem| problems.push(problem)).ok();
    let key = secret(&written.key);
    let places: Vec<&At<tree::SecretRef>> = written.other_keys.iter().flat_map(|keys| keys.iter()).collect();
    let others: Option<Vec<_>> = places.iter().map(|at| secret(at)).collect();
    let settings = AssertionSettings {
        header: header?,
        issuer: written.issuer.value.clone(),
        audience: written.audience.as_ref().map(|audience| audience.value.clone()),
        lifetime,
        key: key?,
        others: others?,
    };
    Assertions::build(settings)
        .map_err(|error| {
            let bad = error.other.and_then(|number| places.get(number).copied()).unwrap_or(&written.key);
            let help = "make one: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`";
            problems.push(Problem::error(bad.place.clone(), "", format!("this is no signing key: {error}")).help(help));
        })
        .ok()
}
