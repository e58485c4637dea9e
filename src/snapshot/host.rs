//! Host blocks and their routes.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::tree;
use crate::model::decision::RouteId;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::request::Scheme;
use crate::policy::condition::header::HeaderTest;
use crate::policy::denial::Login;
use crate::policy::gate::Gate;
use crate::policy::gate::GateRule;
use crate::policy::host::HostBlock;
use crate::policy::host::HostPattern;
use crate::policy::limit::Limit;
use crate::policy::pattern::PathPattern;
use crate::policy::regex::PathRegex;
use crate::policy::route::Methods;
use crate::policy::route::REGISTERED;
use crate::policy::route::Route;
use crate::policy::route::RoutePattern;
use crate::policy::route::Sources;
use crate::policy::table::RouteTable;
use crate::snapshot::Names;
use crate::snapshot::access;
use crate::snapshot::limit;
use crate::snapshot::overlap;

/// Every host block, keys parsed and routes built.
pub(super) fn blocks(
    config: &tree::Config,
    names: &mut Names,
    problems: &mut Problems,
) -> Vec<(HostPattern, HostBlock)> {
    if config.hosts.0.is_empty() {
        problems.push(
            Problem::warning(config.version.place.clone(), "hosts", "no hosts are configured: every request is denied")
                .help("write `hosts: {app.example.test: {routes: [...]}}`"),
        );
    }
    let mut seen: HashMap<HostPattern, &At<String>> = HashMap::new();
    let mut blocks = Vec::with_capacity(config.hosts.0.len());
    for (key, block) in config.hosts.iter() {
        let built = build(key, block, &config.defaults, names, problems);
        let pattern = match HostPattern::parse(key) {
            Ok(pattern) => pattern,
            Err(error) => {
                problems.push(Problem::error(key.place.clone(), "", error.to_string()));
                continue;
            }
        };
        if let Some(first) = seen.insert(pattern.clone(), key) {
            let message = format!("host `{}` is configured twice; first at {}", key.value, first.place);
            problems.push(Problem::error(key.place.clone(), "", message));
        }
        blocks.push((pattern, built));
    }
    blocks
}

fn build(
    key: &At<String>,
    block: &At<tree::HostBlock>,
    defaults: &tree::Defaults,
    names: &mut Names,
    problems: &mut Problems,
) -> HostBlock {
    let inherits = block.inherit_routes.as_ref().is_none_or(|inherit| inherit.value);
    let inherited = if inherits { defaults.routes.as_slice() } else { &[] };
    let host: Arc<str> = key.as_str().into();
    let mut scope = Scope { key, block, defaults, names, problems, gates: None, limits: None };
    let of_defaults: Arc<str> = "defaults".into();
    let default_routes: Vec<_> = inherited.iter().filter_map(|route| scope.route(&of_defaults, route)).collect();
    let own_routes: Vec<_> = block.routes.iter().filter_map(|route| scope.route(&host, route)).collect();
    overlap::check(&default_routes, &own_routes, scope.problems);
    if inherited.is_empty() && block.routes.is_empty() {
        let message = format!("host `{}` has no routes: every request to it is denied", key.value);
        scope.problems.push(Problem::warning(key.place.clone(), "", message));
    }
    let login = scope.login();
    let routes: Vec<_> = default_routes.into_iter().chain(own_routes).collect();
    let case_sensitive = block.path_case.as_deref() == Some(&tree::PathCase::Sensitive);
    if !case_sensitive {
        overlap::warn_of_case(&routes, scope.problems);
    }
    HostBlock {
        key: host,
        place: key.place.clone(),
        login,
        preflight: block.preflight.as_deref() == Some(&tree::Preflight::Allow),
        case_sensitive,
        routes: RouteTable::new(routes),
    }
}

/// What a route inherits from, and where its mistakes go.
struct Scope<'c> {
    key: &'c At<String>,
    block: &'c At<tree::HostBlock>,
    defaults: &'c tree::Defaults,
    names: &'c mut Names,
    problems: &'c mut Problems,
    /// The gates of defaults and host, once a route without gates of its own has asked for them.
    gates: Option<Arc<[Gate]>>,
    /// The limits of defaults and host, once a route has asked for them.
    limits: Option<Vec<Arc<Limit>>>,
}

impl Scope<'_> {
    fn route(&mut self, host: &Arc<str>, route: &At<tree::Route>) -> Option<(RoutePattern, Route)> {
        let access = access::access(route, self.names, self.problems);
        let sources = self.sources(route, matches!(access, crate::policy::route::Access::Public));
        let gates = self.gates_of(route);
        let limits = self.limits_of(host, route, matches!(access, crate::policy::route::Access::Public));
        let methods = methods(route.methods.as_deref(), self.problems);
        let pattern = pattern(route, self.problems)?;
        let name = called(route)?;
        let route = Route {
            id: Arc::new(RouteId { host: Arc::clone(host), name: name.as_str().into(), place: route.place.clone() }),
            methods,
            access,
            sources,
            gates,
            limits,
            keeps_encoded_slash: route
                .encoded_slash
                .as_ref()
                .is_some_and(|slash| slash.value == tree::EncodedSlash::Keep),
        };
        Some((pattern, route))
    }

    /// The route's sources, else the host's, else the default's, else the only one there is.
    fn sources(&mut self, route: &At<tree::Route>, public: bool) -> Sources {
        let inherited = || self.block.identity.as_ref().or(self.defaults.identity.as_ref());
        let written = route.identity.as_deref().or_else(inherited);
        let Some(list) = written else {
            let only = self.names.identities.only();
            if only.is_none() && !public {
                let message = format!("route `{}` has no identity source", title(route));
                let help = if self.names.identities.is_empty() {
                    "configure one under `identity:`"
                } else {
                    "write `identity: [...]` in `defaults`, in the host or in the route"
                };
                self.problems.push(Problem::error(route.place.clone(), "", message).help(help));
            }
            let asks = only.is_some();
            return Sources { list: self.names.list(only.into_iter().collect()), asks, anonymous: false };
        };
        let anonymous = list.last().is_some_and(|last| last.value == "anonymous");
        let named = if anonymous { list.split_last().map_or(&[][..], |(_, rest)| rest) } else { list };
        let named = self.names.identities.named(named, self.problems);
        let asks = !named.is_empty();
        if self.defaults.headers.as_ref().is_some_and(|headers| headers.user.is_some()) && !public {
            self.names.identities.warn_of_namesakes(&named, &list.place, self.problems);
        }
        Sources { list: self.names.list(named), asks, anonymous }
    }

    /// The gates of a route. Most have none of their own, and share those of their host.
    fn gates_of(&mut self, route: &At<tree::Route>) -> Arc<[Gate]> {
        if route.network.is_some() || route.deny.is_some() {
            return self.gates(route).into();
        }
        if let Some(shared) = &self.gates {
            return Arc::clone(shared);
        }
        let gates: Arc<[Gate]> = self.gates(route).into();
        Arc::clone(self.gates.insert(gates))
    }

    /// The list of limits of a route: those of defaults, host and its own.
    fn limits_of(&mut self, host: &str, route: &At<tree::Route>, public: bool) -> u32 {
        let shared = match self.limits.take() {
            Some(shared) => shared,
            None => {
                let mut shared = self.limits(&limit::Scope::Defaults, self.defaults.limit.as_ref());
                shared.extend(self.limits(&limit::Scope::Host(self.key), self.block.limit.as_ref()));
                shared
            }
        };
        let number = match route.limit.as_deref() {
            None => self.names.limits.list(&shared),
            written => {
                let scope = limit::Scope::Route { host, name: title(route), public };
                let all: Vec<_> = shared.iter().cloned().chain(self.limits(&scope, written)).collect();
                self.names.limits.list(&all)
            }
        };
        self.limits = Some(shared);
        number
    }

    fn limits(&mut self, scope: &limit::Scope<'_>, written: Option<&tree::RateLimits>) -> Vec<Arc<Limit>> {
        let Names { networks, roles, limits, .. } = &mut *self.names;
        written.map(|written| limits.read(scope, written, (networks, roles), self.problems)).unwrap_or_default()
    }

    fn gates(&mut self, route: &At<tree::Route>) -> Vec<Gate> {
        let mut lists = vec![("defaults", self.defaults.network.as_ref()), ("host", self.block.network.as_ref())];
        match &route.network {
            Some(network) if network.iter().any(|name| name.value == "any") => {
                if network.len() > 1 {
                    let message = "`any` stands alone: it lifts the network gates of host and defaults";
                    self.problems.push(Problem::error(network.place.clone(), "", message));
                }
                self.problems.push(Problem::warning(
                    network.place.clone(),
                    "",
                    format!("route `{}` lifts the network gates of its host", title(route)),
                ));
                lists.clear();
            }
            _ => lists.push(("route", route.network.as_deref())),
        }
        let (defaults, host) = (self.defaults.deny.as_ref(), self.block.deny.as_ref());
        let levels = [("defaults", defaults), ("host", host), ("route", route.deny.as_deref())];
        let denied: Vec<Gate> =
            levels.into_iter().filter_map(|(of, deny)| Some(self.deny(of, deny?))).flatten().collect();
        lists
            .into_iter()
            .filter_map(|(of, list)| Some((of, list?)))
            .map(|(of, list)| Gate {
                of,
                rule: GateRule::Within(self.names.networks.union(list, self.problems)),
                place: list.place.clone(),
            })
            .chain(denied)
            .collect()
    }

    /// The `deny` gates of one level; each key closes by itself.
    fn deny(&mut self, of: &'static str, deny: &At<tree::Deny>) -> Vec<Gate> {
        let mut gates = Vec::new();
        if let Some(network) = &deny.network {
            let rule = GateRule::Outside(self.names.networks.union(network, self.problems));
            gates.push(Gate { of, rule, place: network.place.clone() });
        }
        for (name, values) in deny.headers.iter().flat_map(|headers| headers.iter()) {
            let rule = GateRule::Without(header_test(name, values, self.problems));
            gates.push(Gate { of, rule, place: name.place.clone() });
        }
        if let Some(list) = &deny.methods {
            let rule = GateRule::Except(methods(Some(list), self.problems));
            gates.push(Gate { of, rule, place: list.place.clone() });
        }
        gates
    }

    fn login(&mut self) -> Option<Login> {
        let scheme = match self.block.scheme.as_deref() {
            Some(tree::UrlScheme::Http) => Scheme::Http,
            Some(tree::UrlScheme::Https) | None => Scheme::Https,
        };
        let redirect = self.block.on_unauthenticated.as_deref() != Some(&tree::OnUnauthenticated::Status);
        let Some(login) = &self.block.login else {
            if let Some(wanted) = &self.block.on_unauthenticated
                && redirect
            {
                let message = format!("host `{}` has no `login` to send browsers to", self.key.value);
                self.problems
                    .push(Problem::error(wanted.place.clone(), "", message).help("write `login: https://…?rd={url}`"));
            }
            return None;
        };
        match Login::parse(login, scheme, redirect) {
            Ok(login) => Some(login),
            Err(error) => {
                self.problems.push(Problem::error(login.place.clone(), "", error.to_string()));
                None
            }
        }
    }
}

/// What a route is called in messages.
pub(super) fn title(route: &tree::Route) -> &str {
    called(route).map_or("unnamed", |name| name.as_str())
}

/// Its name, or the path it is for.
fn called(route: &tree::Route) -> Option<&At<String>> {
    route.name.as_deref().or(route.path.as_ref()).or(route.path_regex.as_deref())
}

/// `path`, or `path_regex`.
fn pattern(route: &At<tree::Route>, problems: &mut Problems) -> Option<RoutePattern> {
    let built = match (&route.path, route.path_regex.as_deref()) {
        (Some(path), None) => {
            PathPattern::parse(path).map(RoutePattern::Path).map_err(|error| (path, error.to_string()))
        }
        (None, Some(regex)) => PathRegex::parse(regex)
            .map(|regex| RoutePattern::Regex(Arc::new(regex)))
            .map_err(|error| (regex, error.to_string())),
        (Some(_), Some(regex)) => Err((regex, "a route has a `path` or a `path_regex`, not both".to_owned())),
        (None, None) => {
            problems.push(Problem::error(route.place.clone(), "", "this route has no path").help("write `path: /**`"));
            return None;
        }
    };
    built.map_err(|(at, message)| problems.push(Problem::error(at.place.clone(), "", message))).ok()
}

/// One entry of `headers`.
pub(super) fn header_test(name: &At<String>, values: &[At<String>], problems: &mut Problems) -> HeaderTest {
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        let message = format!("`{}` is not a header name", name.value);
        problems.push(Problem::error(name.place.clone(), "", message));
    }
    for value in values.iter().filter(|value| value.contains(',') || value.trim() != value.as_str()) {
        let message = format!("`{}` can never be told from repeated fields", value.value);
        problems.push(
            Problem::error(value.place.clone(), "", message).help("a value has no comma and no space at its ends"),
        );
    }
    HeaderTest { name: name.to_ascii_lowercase(), values: values.iter().map(|value| value.value.clone()).collect() }
}

fn methods(list: Option<&At<OneOrMany<At<String>>>>, problems: &mut Problems) -> Methods {
    let Some(list) = list else { return Methods::registered() };
    if list.iter().any(|method| method.value == "any") {
        if list.len() > 1 {
            problems.push(Problem::error(list.place.clone(), "", "`any` stands alone: it is every method"));
        }
        return Methods::any();
    }
    for method in list.iter() {
        let token = !method.is_empty()
            && method
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_');
        if !token {
            let upper = method.to_ascii_uppercase();
            let message = format!("`{}` is not a method", method.value);
            let problem = Problem::error(method.place.clone(), "", message);
            problems.push(if REGISTERED.contains(&upper.as_str()) {
                problem.help(format!("methods are written in capitals: `{upper}`"))
            } else {
                problem.help("write methods such as `GET`, or `any`")
            });
        }
    }
    Methods::listed(list.iter().map(|method| method.as_str()))
}
