//! Routes that meet: a public default takes requests away from a protected route; two patterns are one to a server that
//! ignores case.

use std::collections::HashMap;

use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::pattern::PathPattern;
use crate::policy::route::Route;
use crate::policy::route::RoutePattern;

/// `defaults.routes` come first, so a public one that overlaps a protected route opens a part of it. That is an
/// error, except of one path under a host's broader rule (`/healthz` under `/**`), where it is what the default is for.
pub(super) fn check(defaults: &[(RoutePattern, Route)], own: &[(RoutePattern, Route)], problems: &mut Problems) {
    for (default_pattern, default) in defaults.iter().filter(|(_, route)| route.is_public()) {
        for (pattern, route) in own.iter().filter(|(_, route)| !route.is_public()) {
            if default.methods.overlaps(&route.methods) && opens(default_pattern, pattern) {
                let message = format!(
                    "the public default route `{}` ({}) opens a part of the protected route `{}`",
                    default.id.name, default.id.place, route.id.name
                );
                problems.push(
                    Problem::error(route.id.place.clone(), "", message)
                        .help("narrow the default route, or write `inherit_routes: false` in this host"),
                );
            }
        }
    }
}

/// Does the default take more from the route than one path that it covers among others? Of expressions nobody can tell: they might.
fn opens(default: &RoutePattern, own: &RoutePattern) -> bool {
    match (default, own) {
        (RoutePattern::Path(default), RoutePattern::Path(own)) => {
            let one_of_many = default.is_one_path() && own.covers(default) && own != default;
            default.overlaps(own) && !one_of_many
        }
        (RoutePattern::Regex(_), _) | (_, RoutePattern::Regex(_)) => true,
    }
}

/// A request for `/Admin` may be one for `/admin` to the servers behind, so unless both routes allow, both refuse it.
pub(super) fn warn_of_case(routes: &[(RoutePattern, Route)], problems: &mut Problems) {
    if !routes.iter().any(|(pattern, _)| pattern.mentions_upper_case()) {
        return;
    }
    let mut seen: HashMap<PathPattern, (&PathPattern, &Route)> = HashMap::new();
    for (pattern, route) in routes {
        let RoutePattern::Path(pattern) = pattern else { continue };
        let (other, first) = *seen.entry(pattern.folded()).or_insert((pattern, route));
        if other != pattern {
            let message = format!(
                "routes `{}` ({}) and `{}` differ only in case: where they do not both allow, requests are refused as ambiguous",
                first.id.name, first.id.place, route.id.name
            );
            problems.push(
                Problem::warning(route.id.place.clone(), "", message)
                    .help("if the servers behind tell them apart, write `path_case: sensitive` in this host"),
            );
        }
    }
}
