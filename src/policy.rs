//! The decision (PDP): pure, total, and never heard of a wire or a file.
//!
//! A [`Policy`] is built once by `snapshot` and cannot hold a bad pattern, a bad address or a dangling name; deciding
//! with it cannot fail, only deny.

pub mod address;
pub mod condition;
pub mod denial;
pub mod early_data;
pub mod encoding;
pub mod gate;
pub mod header;
pub mod host;
pub mod limit;
pub mod navigation;
pub mod pattern;
pub mod preflight;
pub mod regex;
pub mod requirement;
pub mod route;
pub mod spoof;
pub mod table;
pub mod trace;
pub mod truth;

use crate::model::identity::Principal;
use crate::model::problem::Place;
use crate::model::reason::Reason;
use crate::model::request::Request;
use crate::policy::address::AddressRule;
use crate::policy::condition::Facts;
use crate::policy::condition::RequestFacts;
use crate::policy::header::OutgoingHeaders;
use crate::policy::host::HostBlock;
use crate::policy::host::HostTable;
use crate::policy::route::Access;
use crate::policy::route::Route;
use crate::policy::spoof::SpoofGuard;
use crate::policy::table::Found;
use crate::policy::trace::Station;
use crate::policy::trace::Trace;
use crate::policy::truth::Truth;

/// Everything a decision depends on, besides the request, the caller and the time.
#[derive(Debug)]
pub struct Policy {
    pub hosts: HostTable,
    pub address: AddressRule,
    pub spoof: SpoofGuard,
    pub headers: OutgoingHeaders,
}

/// The route of a request: the one that the canonical reading of its path names, and those of all other readings.
#[derive(Debug)]
pub struct Routed<'p> {
    pub block: &'p HostBlock,
    pub route: &'p Route,
    /// Routes that other readings of the path end in; they must allow too.
    also: Vec<&'p Route>,
    /// A CORS preflight that the host lets pass: judged by the gates only.
    preflight: bool,
}

/// A denial and the line it comes from.
#[derive(Debug)]
pub struct Denied<'p> {
    pub reason: Reason,
    pub place: Option<Place>,
    pub block: Option<&'p HostBlock>,
    pub route: Option<&'p Route>,
}

impl Policy {
    /// Station 3: the host block, then the first route by path and method, for every reading of the path.
    pub fn route(&self, request: &Request<'_>, trace: &mut impl Trace) -> Result<Routed<'_>, Denied<'_>> {
        let Some(block) = self.hosts.find(request.host.name(), request.port()) else {
            trace.note(Station::Route, None, || format!("no host block covers `{}`", request.host.name()));
            return Err(Denied { reason: Reason::HostUnknown, place: None, block: None, route: None });
        };
        trace.note(Station::Route, Some(&block.place), || format!("host block `{}`", block.key));
        let denied = |reason, route: Option<&'_ Route>| Denied {
            reason,
            place: Some(route.map_or(&block.place, |route| &route.id.place).clone()),
            block: Some(block),
            route: None,
        };
        let preflight = if block.preflight { preflight::wanted_method(request) } else { None };
        let method = preflight.unwrap_or(request.method);
        if preflight.is_some() {
            trace.note(Station::Route, None, || format!("a CORS preflight for {method}"));
        }
        let canonical = request.path.canonical();
        let route = match block.routes.find(&canonical, method) {
            Found::Route(route) => route,
            Found::OtherMethods(route) => {
                trace.note(Station::Route, Some(&route.id.place), || {
                    format!("`{}` covers the path, but no route with its pattern lists {method}", route.id.name)
                });
                return Err(denied(Reason::MethodNotListed, Some(route)));
            }
            Found::Nothing => {
                trace.note(Station::Route, Some(&block.place), || format!("no route covers `{}`", canonical.text()));
                return Err(denied(Reason::RouteUnknown, None));
            }
        };
        trace.note(Station::Route, Some(&route.id.place), || format!("route `{}`", route.id.name));
        let also = self.other_routes(request, method, block, route, trace).map_err(|()| Denied {
            reason: Reason::AmbiguousPath,
            place: Some(route.id.place.clone()),
            block: Some(block),
            route: Some(route),
        })?;
        Ok(Routed { block, route, also, preflight: preflight.is_some() })
    }

    /// The routes of all other readings, or `Err` when one of them can never agree with `route`.
    fn other_routes<'p>(
        &'p self,
        request: &Request<'_>,
        method: &str,
        block: &'p HostBlock,
        route: &'p Route,
        trace: &mut impl Trace,
    ) -> Result<Vec<&'p Route>, ()> {
        let path = &request.path;
        let fold = !block.case_sensitive
            && (path.hazards().any(crate::model::path::Hazards::UPPER_CASE) || block.routes.mentions_upper_case());
        if path.hazards().is_empty() && !fold {
            return Ok(Vec::new());
        }
        if !path.hazards().is_empty() {
            trace.note(Station::Route, None, || format!("the path has hazards: {}", path.hazards().names().join(", ")));
        }
        let mut also: Vec<&Route> = Vec::new();
        for reading in path.other_readings(fold) {
            let other = match block.routes.find(&reading, method) {
                Found::Route(other) => other,
                Found::OtherMethods(_) | Found::Nothing => {
                    trace.note(Station::Route, None, || {
                        format!("a server may read it as `{}`: no route", reading.text())
                    });
                    return Err(());
                }
            };
            if std::ptr::eq(other, route) {
                continue;
            }
            trace.note(Station::Route, Some(&other.id.place), || {
                format!("a server may read it as `{}`: route `{}`", reading.text(), other.id.name)
            });
            if other.is_public() != route.is_public() {
                return Err(());
            }
            if !also.iter().any(|seen| std::ptr::eq(*seen, other)) {
                also.push(other);
            }
        }
        if path.needs_opt_in() && !(also.is_empty() && route.keeps_encoded_slash) {
            trace.note(Station::Route, Some(&route.id.place), || {
                "`%2f` and double encoding need `encoded_slash: keep`, and every reading on that route".to_owned()
            });
            return Err(());
        }
        Ok(also)
    }
}

impl<'p> Routed<'p> {
    /// Station 4: the gates of defaults, host and route.
    pub fn gates(&self, facts: &RequestFacts<'_>, trace: &mut impl Trace) -> Result<(), Denied<'p>> {
        for (index, route) in self.all().enumerate() {
            for gate in route.gates.iter() {
                let open = gate.is_open(facts);
                trace.note(Station::Gate, Some(&gate.place), || {
                    format!("{gate}: {}", if open { "open" } else { "closed" })
                });
                if !open {
                    let reason = if index == 0 { gate.reason() } else { Reason::AmbiguousPath };
                    return Err(self.denied(reason, gate.place.clone()));
                }
            }
        }
        Ok(())
    }

    /// Station 6: the requirement on caller and request, for every reading.
    pub fn decide(
        &self,
        principal: &Principal,
        request: RequestFacts<'_>,
        trace: &mut impl Trace,
    ) -> Result<Reason, Denied<'p>> {
        if self.preflight {
            return Ok(Reason::Preflight);
        }
        let facts = Facts { principal, request };
        for (index, route) in self.all().enumerate() {
            let requirement = match &route.access {
                Access::Public => {
                    trace.note(Station::Decide, Some(&route.id.place), || "the route is public".to_owned());
                    continue;
                }
                Access::Require(requirement) => requirement,
            };
            if matches!(principal, Principal::Anonymous) && !route.sources.anonymous {
                return Err(self.denied(Reason::CredentialMissing, route.id.place.clone()));
            }
            let truth = requirement.holds(&facts, trace);
            if truth != Truth::True {
                let place = requirement.blame(&facts).unwrap_or_else(|| route.id.place.clone());
                let reason = match principal {
                    // Whoever they turn out to be may be let in.
                    Principal::Anonymous if route.sources.asks => Reason::CredentialMissing,
                    _ if index == 0 && self.also.is_empty() => Reason::RequirementFailed,
                    _ => Reason::AmbiguousPath,
                };
                return Err(self.denied(reason, place));
            }
        }
        Ok(if self.route.is_public() { Reason::Public } else { Reason::Permitted })
    }

    /// Is nobody asked who they are: a public route, or a preflight?
    pub fn asks_nobody(&self) -> bool {
        self.preflight || self.route.is_public()
    }

    /// The lists of identity sources that other readings ask, where they are not the route's own.
    pub fn other_sources(&self) -> impl Iterator<Item = usize> {
        self.also.iter().map(|route| route.sources.list).filter(|list| *list != self.route.sources.list)
    }

    /// A denial by the limit that stands there.
    pub fn limited(&self, reason: Reason, place: Place) -> Denied<'p> {
        self.denied(reason, place)
    }

    /// The routes of every reading of the path, that of the canonical one first.
    pub fn readings(&self) -> impl Iterator<Item = &'p Route> + use<'p, '_> {
        self.all()
    }

    fn all(&self) -> impl Iterator<Item = &'p Route> {
        std::iter::once(self.route).chain(self.also.iter().copied())
    }

    fn denied(&self, reason: Reason, place: Place) -> Denied<'p> {
        Denied { reason, place: Some(place), block: Some(self.block), route: Some(self.route) }
    }
}

#[cfg(test)]
mod tests;
