//! What a route demands of its callers.

use crate::config::at::At;
use crate::config::tree;
use crate::model::claim_path::ClaimPath;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::condition::Condition;
use crate::policy::condition::claim::ClaimTest;
use crate::policy::condition::network::NetworkTest;
use crate::policy::condition::query::QueryTest;
use crate::policy::condition::schedule::Schedule;
use crate::policy::condition::scope::Scopes;
use crate::policy::condition::source::SourceNames;
use crate::policy::requirement::Requirement;
use crate::policy::route::Access;
use crate::snapshot::Names;
use crate::snapshot::host::header_test;

/// `public`, or a requirement. A route with neither is a mistake, as is one with both.
pub(super) fn access(route: &At<tree::Route>, names: &Names, problems: &mut Problems) -> Access {
    let nobody = || Access::Require(Requirement::Any(Vec::new(), route.place.clone()));
    match (&route.public, &route.require) {
        (Some(public), Some(_)) if public.value => {
            let message = "a public route has no requirement";
            problems.push(Problem::error(public.place.clone(), "", message).help("remove `public` or `require`"));
            nobody()
        }
        (Some(public), None) if public.value => Access::Public,
        (_, Some(require)) => Access::Require(requirement(&require.value, &require.place, names, problems)),
        (_, None) => {
            let message = format!("route `{}` lets nobody in", crate::snapshot::host::title(route));
            problems.push(
                Problem::error(route.place.clone(), "", message)
                    .help("write `require: {authenticated: true}`, other conditions, or `public: true`"),
            );
            nobody()
        }
    }
}

fn requirement(
    require: &tree::Require,
    place: &crate::model::problem::Place,
    names: &Names,
    problems: &mut Problems,
) -> Requirement {
    let (mut parts, found_before) = (Vec::new(), problems.0.len());
    let mut add = |condition, place: &crate::model::problem::Place| {
        parts.push(Requirement::Condition(condition, place.clone()));
    };
    if let Some(groups) = &require.groups {
        add(Condition::Groups(names.identities.members(groups, problems)), &groups.place);
    }
    if let Some(roles) = &require.roles {
        add(Condition::Roles(names.roles.named(roles, problems)), &roles.place);
    }
    if let Some(users) = &require.users {
        add(Condition::Users(names.identities.members(users, problems)), &users.place);
    }
    if let Some(scopes) = &require.scopes {
        // RFC 6749 §3.3: a token's scopes stand apart by spaces.
        for scope in scopes.iter().filter(|scope| scope.is_empty() || scope.contains(char::is_whitespace)) {
            let message = format!("`{}` is not a scope: no token can have it", scope.value);
            let help = "write the scopes one by one: `scopes: [read, write]`";
            problems.push(Problem::error(scope.place.clone(), "", message).help(help));
        }
        add(Condition::Scopes(Scopes(scopes.iter().map(|scope| scope.value.clone()).collect())), &scopes.place);
    }
    if let Some(sources) = &require.identity {
        add(Condition::Source(SourceNames(names.identities.named(sources, problems))), &sources.place);
    }
    for (path, values) in require.claims.iter().flat_map(|claims| claims.iter()) {
        if let Some(test) = claim(path, values, problems) {
            add(Condition::Claim(Box::new(test)), &path.place);
        }
    }
    if let Some(network) = &require.network {
        add(Condition::Network(NetworkTest(names.networks.union(network, problems))), &network.place);
    }
    for (name, values) in require.headers.iter().flat_map(|headers| headers.iter()) {
        add(Condition::Header(Box::new(header_test(name, values, problems))), &name.place);
    }
    for (name, values) in require.query.iter().flat_map(|query| query.iter()) {
        let values = values.iter().map(|value| value.value.clone()).collect();
        add(Condition::Query(Box::new(QueryTest { name: name.value.clone(), values })), &name.place);
    }
    if let Some(schedule) = &require.schedule {
        match self::schedule(schedule) {
            Ok(built) => add(Condition::Schedule(Box::new(built)), &schedule.place),
            Err(problem) => problems.push(problem),
        }
    }
    if let Some(authenticated) = &require.authenticated {
        if !authenticated.value {
            let message = "`authenticated: false` demands nothing";
            problems.push(
                Problem::error(authenticated.place.clone(), "", message)
                    .help("remove it; for everyone write `public: true` on the route"),
            );
        }
        add(Condition::Authenticated, &authenticated.place);
    }
    if let Some(any) = &require.any {
        let any_parts = any.iter().map(|part| requirement(part, &part.place, names, problems)).collect();
        parts.push(Requirement::Any(any_parts, any.place.clone()));
    }
    if let Some(all) = &require.all {
        let all_parts = all.iter().map(|part| requirement(part, &part.place, names, problems)).collect();
        parts.push(Requirement::All(all_parts, all.place.clone()));
    }
    if let Some(not) = &require.not {
        let part = requirement(&not.value, &not.place, names, problems);
        parts.push(Requirement::Not(Box::new(part), not.place.clone()));
    }
    // A condition that is refused leaves a gap too, and that has been said.
    if parts.is_empty() && problems.0.len() == found_before {
        problems.push(
            Problem::error(place.clone(), "", "an empty requirement demands nothing")
                .help("write `authenticated: true` for every caller who proves an identity"),
        );
    }
    // Most requirements are of one part. It stands for the whole, and takes a fraction of the room.
    match <[Requirement; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(mut parts) => {
            parts.shrink_to_fit();
            Requirement::All(parts, place.clone())
        }
    }
}

fn schedule(written: &At<tree::Schedule>) -> Result<Schedule, Problem> {
    let days = written.days.iter().flat_map(|days| days.iter()).map(|day| day.as_str());
    let text = |at: &Option<At<String>>| at.as_ref().map(|at| at.value.clone());
    let (hours, zone) = (text(&written.hours), text(&written.zone));
    Schedule::parse(days, hours.as_deref(), zone.as_deref())
        .map_err(|error| Problem::error(written.place.clone(), "", error.to_string()))
}

fn claim(
    path: &At<String>,
    values: &At<crate::config::at::OneOrMany<At<tree::Scalar>>>,
    problems: &mut Problems,
) -> Option<ClaimTest> {
    let parsed = match ClaimPath::parse(path) {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.push(Problem::error(path.place.clone(), "", error.to_string()));
            return None;
        }
    };
    let values = values
        .iter()
        .map(|value| match &value.value {
            tree::Scalar::Text(text) => serde_json::Value::from(text.as_str()),
            tree::Scalar::Number(number) => serde_json::Value::from(*number),
            tree::Scalar::Bool(truth) => serde_json::Value::from(*truth),
        })
        .collect();
    Some(ClaimTest { path: parsed, values })
}
