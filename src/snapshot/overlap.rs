//! A public default route must not take requests away from a host's protected route.

use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::route::Route;
use crate::policy::route::RoutePattern;

/// `defaults.routes` come first, so a public one that overlaps a protected route opens a part of it. That is an
/// error, except under a host's broader rule (`/healthz` under `/**`), where it is what the default is for.
pub(super) fn check(defaults: &[Route], own: &[Route], problems: &mut Problems) {
    for default in defaults.iter().filter(|route| route.is_public()) {
        for route in own.iter().filter(|route| !route.is_public()) {
            if default.methods.overlaps(&route.methods) && opens(&default.pattern, &route.pattern) {
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

/// Does the default take more from the route than a broader rule would give? Of expressions nobody can tell: they might.
fn opens(default: &RoutePattern, own: &RoutePattern) -> bool {
    match (default, own) {
        (RoutePattern::Path(default), RoutePattern::Path(own)) => {
            let broader = own.covers(default) && own != default;
            default.overlaps(own) && !broader
        }
        (RoutePattern::Regex(_), _) | (_, RoutePattern::Regex(_)) => true,
    }
}
