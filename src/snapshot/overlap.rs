//! A public default route must not take requests away from a host's protected route.

use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::route::Route;

/// `defaults.routes` come first, so a public one that overlaps a protected route opens a part of it. That is an
/// error, except under a host's broader rule (`/healthz` under `/**`), where it is what the default is for.
pub(super) fn check(defaults: &[Route], own: &[Route], problems: &mut Problems) {
    for default in defaults.iter().filter(|route| route.is_public()) {
        for route in own.iter().filter(|route| !route.is_public()) {
            let broader = route.pattern.covers(&default.pattern) && route.pattern != default.pattern;
            if default.methods.overlaps(&route.methods) && default.pattern.overlaps(&route.pattern) && !broader {
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
