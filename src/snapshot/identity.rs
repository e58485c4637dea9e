//! Identity sources, and the names of groups and users that they vouch for.

mod api_key;
mod certificate;
mod introspection;
mod jwt;
mod kind;
mod place;

use std::sync::Arc;

use crate::authn::Source;
use crate::authn::introspection::Introspector;
use crate::authn::jwks::Keys;
use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::condition::member::Member;
use crate::policy::condition::member::Members;
use crate::snapshot::identity::kind::Issuers;
use crate::snapshot::identity::kind::Written;
use crate::snapshot::network::NetworkNames;
use crate::snapshot::unknown_name;

/// The name of the explicit last source, which admits callers without a credential.
const ANONYMOUS: &str = "anonymous";

/// Every identity source, in the order written.
pub(super) struct Identities {
    names: Vec<Arc<str>>,
    sources: Vec<Arc<Source>>,
    /// Two or more issuers: bare names of groups and users would be anybody's.
    qualified: bool,
}

impl Identities {
    /// Build the `identity` table.
    pub(super) fn build(
        entries: &Entries<At<tree::Source>>,
        networks: &NetworkNames,
        surroundings: &Surroundings<'_>,
        problems: &mut Problems,
    ) -> Identities {
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut sources = Vec::new();
        let mut issuers = Issuers::default();
        for (name, source) in entries.iter() {
            if name.value == ANONYMOUS || name.contains('/') || name.value == "*" || name.is_empty() {
                let message = format!("an identity source cannot be called `{}`", name.value);
                problems.push(Problem::error(name.place.clone(), "", message).help("choose another name, without `/`"));
                continue;
            }
            let shared: Arc<str> = name.as_str().into();
            names.push(shared.clone());
            let Some(written) = Written::of(name, source, problems) else { continue };
            issuers.enter(name, &written, problems);
            if let Some(kind) = written.build(&shared, networks, surroundings, problems) {
                sources.push(Arc::new(Source { name: shared, kind }));
            }
        }
        Identities { names, sources, qualified: issuers.several() }
    }

    /// Is no source configured?
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The source, when there is exactly one.
    pub(super) fn only(&self) -> Option<Arc<str>> {
        match self.names.as_slice() {
            [only] => Some(only.clone()),
            _ => None,
        }
    }

    /// The sources of a list of names. `anonymous` may stand last in a route's list and is taken off before.
    pub(super) fn named(&self, list: &[At<String>], problems: &mut Problems) -> Vec<Arc<str>> {
        let mut named: Vec<Arc<str>> = Vec::with_capacity(list.len());
        for name in list {
            match self.names.iter().find(|known| ***known == *name.value) {
                Some(known) if named.contains(known) => {
                    let message = format!("identity source `{}` is listed twice", name.value);
                    problems.push(Problem::error(name.place.clone(), "", message));
                }
                Some(known) => {
                    problems.0.extend(self.overlap(name, &named));
                    named.push(known.clone());
                }
                None if name.value == ANONYMOUS => {
                    let message = "`anonymous` stands only at the end of a route's sources";
                    problems.push(Problem::error(name.place.clone(), "", message));
                }
                None => problems.push(unknown_name(name, "identity source", &self.names)),
            }
        }
        named
    }

    /// A source that would never be asked, because one before it in the list takes all that it looks for.
    fn overlap(&self, name: &At<String>, before: &[Arc<str>]) -> Option<Problem> {
        let source = self.source(name)?;
        let (first, place) = before.iter().find_map(|first| {
            let place = self.source(first)?.hides(&source)?.to_string();
            Some((first, place))
        })?;
        let message = format!("sources `{first}` and `{}` both take {place}: the second never would", name.value);
        Some(Problem::error(name.place.clone(), "", message).help("merge them, or give one another place"))
    }

    /// Names of groups or users. With two or more issuers each says whose it is: `source/name`, or `*/name`.
    pub(super) fn members(&self, list: &[At<String>], problems: &mut Problems) -> Members {
        Members::new(list.iter().filter_map(|written| self.member(written, problems)))
    }

    fn member(&self, written: &At<String>, problems: &mut Problems) -> Option<Member> {
        let name = if self.qualified { written.split_once('/').map(|(_, name)| name) } else { None };
        if name.unwrap_or(written).is_empty() {
            problems.push(Problem::error(written.place.clone(), "", "an empty name matches nobody"));
            return None;
        }
        if !self.qualified {
            return Some(Member { source: None, name: written.value.clone() });
        }
        let Some((source, name)) = written.split_once('/') else {
            let message = format!("`{}` could come from any issuer: with two or more, say whose it is", written.value);
            let example = self.names.first().map_or("source", |name| name);
            problems.push(
                Problem::error(written.place.clone(), "", message).help(format!("write `{example}/{}`", written.value)),
            );
            return None;
        };
        if source == "*" {
            let message = format!("`{}` trusts every issuer with this name", written.value);
            problems.push(
                Problem::warning(written.place.clone(), "", message).help("write the source's name instead of `*`"),
            );
            return Some(Member { source: None, name: name.to_owned() });
        }
        match self.names.iter().find(|known| &***known == source) {
            Some(known) => Some(Member { source: Some(known.clone()), name: name.to_owned() }),
            None => {
                let at = At { value: source.to_owned(), place: written.place.clone() };
                problems.push(unknown_name(&at, "identity source", &self.names));
                None
            }
        }
    }

    /// A built source.
    pub(super) fn source(&self, name: &str) -> Option<Arc<Source>> {
        self.sources.iter().find(|source| &*source.name == name).cloned()
    }

    /// Who asks providers, for all sources that ask one.
    pub(super) fn introspectors(&self) -> Vec<Arc<Introspector>> {
        self.sources.iter().filter_map(|source| source.introspector()).cloned().collect()
    }

    /// The keys of all sources.
    pub(super) fn keys(&self) -> Vec<Arc<Keys>> {
        self.sources.iter().filter_map(|source| source.keys()).cloned().collect()
    }
}

fn places(jwt: &tree::Jwt) -> Vec<tree::TokenPlace> {
    match &jwt.token {
        None => vec![tree::TokenPlace::Bearer],
        Some(token) => token.iter().map(|place| place.value.clone()).collect(),
    }
}

/// A place that is looked at twice holds nothing new.
fn listed_once(jwt: &tree::Jwt, problems: &mut Problems) {
    let Some(token) = &jwt.token else { return };
    let mut rest = token.iter();
    while let Some(place) = rest.next_back() {
        place::check(place, problems);
        if rest.as_slice().iter().any(|earlier| earlier.value == place.value) {
            problems.push(Problem::error(place.place.clone(), "", "this token place is listed twice"));
        }
    }
}

fn jwt_source(
    name: &Arc<str>,
    jwt: &At<tree::Jwt>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<JwtSource> {
    let algorithms = algorithms(jwt, problems);
    let leeway = leeway(jwt, problems);
    let mapping = mapping(jwt, problems);
    let keys = keys(name, jwt, surroundings, problems)?;
    let built = JwtSource::build(JwtSettings {
        source: name.clone(),
        issuer: jwt.issuer.value.clone(),
        audience: jwt.audience.iter().map(|audience| audience.value.clone()).collect(),
        algorithms,
        places: places(jwt)
            .into_iter()
            .map(|place| match place {
                tree::TokenPlace::Bearer => TokenPlace::Bearer,
                tree::TokenPlace::Header(name) => TokenPlace::Header(name.to_ascii_lowercase()),
                tree::TokenPlace::Cookie(name) => TokenPlace::Cookie(name),
            })
            .collect(),
        leeway,
        mapping,
        keys: Arc::new(keys),
    });
    built.map_err(|error| problems.push(Problem::error(jwt.place.clone(), "", error.to_string()))).ok()
}

fn algorithms(jwt: &tree::Jwt, problems: &mut Problems) -> Vec<Algorithm> {
    let Some(written) = &jwt.algorithms else {
        if let Some(secret) = &jwt.secret {
            let message = "a shared secret needs its algorithm named";
            problems.push(Problem::error(secret.place.clone(), "", message).help("write `algorithms: [HS256]`"));
            return vec![Algorithm::Hs256];
        }
        return Algorithm::DEFAULT.to_vec();
    };
    let mut algorithms = Vec::with_capacity(written.len());
    for name in written.iter() {
        let Some(algorithm) = Algorithm::parse(name) else {
            let message = format!("`{}` is not a signature algorithm we verify", name.value);
            let known = Algorithm::ALL.map(Algorithm::name).join(", ");
            problems.push(Problem::error(name.place.clone(), "", message).help(format!("known: {known}")));
            continue;
        };
        if algorithm.is_symmetric() != jwt.secret.is_some() {
            let (message, help) = if algorithm.is_symmetric() {
                (
                    format!("`{}` needs a shared `secret`; published keys would make it forgeable", name.value),
                    "remove it, or write `secret: {file: …}`",
                )
            } else {
                (
                    format!("`{}` needs public keys, and this source has a shared secret", name.value),
                    "name only HS256, HS384 or HS512",
                )
            };
            problems.push(Problem::error(name.place.clone(), "", message).help(help));
        }
        algorithms.push(algorithm);
    }
    algorithms
}

/// `60s`, `2m`, or a bare number of seconds.
fn leeway(jwt: &tree::Jwt, problems: &mut Problems) -> i64 {
    let Some(written) = &jwt.leeway else { return DEFAULT_LEEWAY };
    let text = written.trim();
    let (number, unit) = text.split_at(text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic()).len());
    let factor = match unit {
        "" | "s" => Some(1),
        "m" => Some(60),
        _ => None,
    };
    let seconds = number.parse::<i64>().ok().zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    match seconds {
        Some(seconds) if (0..=600).contains(&seconds) => seconds,
        _ => {
            let message = format!("`{}` is not a leeway", written.value);
            problems.push(Problem::error(written.place.clone(), "", message).help("write `0s` to `10m`"));
            DEFAULT_LEEWAY
        }
    }
}

fn mapping(jwt: &tree::Jwt, problems: &mut Problems) -> ClaimMapping {
    let preset = jwt.preset.as_deref().map(|preset| preset_of(*preset));
    let mut mapping = preset.map(Preset::mapping).unwrap_or_default();
    let Some(written) = &jwt.claims else { return mapping };
    let mut path = |written: &At<String>| match ClaimPath::parse(written) {
        Ok(path) => Some(path),
        Err(error) => {
            problems.push(Problem::error(written.place.clone(), "", error.to_string()));
            None
        }
    };
    if let Some(user) = written.user.as_ref().and_then(&mut path) {
        mapping.user = user;
    }
    if let Some(groups) = &written.groups {
        mapping.groups = groups.iter().filter_map(&mut path).collect();
    }
    if let Some(email) = written.email.as_ref().and_then(&mut path) {
        mapping.email = email;
    }
    if let Some(name) = written.name.as_ref().and_then(&mut path) {
        mapping.name = name;
    }
    mapping
}

fn preset_of(preset: tree::Preset) -> Preset {
    match preset {
        tree::Preset::Keycloak => Preset::Keycloak,
        tree::Preset::Entra => Preset::Entra,
        tree::Preset::Authelia => Preset::Authelia,
        tree::Preset::Okta => Preset::Okta,
        tree::Preset::Google => Preset::Google,
    }
}

/// Where the keys come from: exactly one place, discovery when none is written.
fn keys(
    name: &Arc<str>,
    jwt: &At<tree::Jwt>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Keys> {
    let written: Vec<(&str, &Place)> = [
        ("keys", jwt.keys.as_ref().map(|at| &at.place)),
        ("jwks_url", jwt.jwks_url.as_ref().map(|at| &at.place)),
        ("jwks_file", jwt.jwks_file.as_ref().map(|at| &at.place)),
        ("pem_file", jwt.pem_file.as_ref().map(|at| &at.place)),
        ("secret", jwt.secret.as_ref().map(|at| &at.place)),
    ]
    .into_iter()
    .filter_map(|(key, place)| Some((key, place?)))
    .collect();
    if let [(first, _), (second, place), ..] = written.as_slice() {
        let message = format!("`{first}` and `{second}` both say where the keys are");
        problems.push(Problem::error((*place).clone(), "", message).help("keep one of them"));
        return None;
    }
    let issuer = &jwt.issuer.value;
    let mut fixed = |place: &Place, set: Result<KeySet, String>| match set {
        Ok(set) => Some(Keys::fixed(name, issuer, set)),
        Err(message) => {
            problems.push(Problem::error(place.clone(), "", message));
            None
        }
    };
    if let Some(file) = &jwt.jwks_file {
        return match surroundings.file(file) {
            Ok(document) => fixed(&file.place, KeySet::parse(&document).map_err(|error| error.to_string())),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
    }
    if let Some(file) = &jwt.pem_file {
        return match surroundings.file(file) {
            Ok(text) => {
                fixed(&file.place, KeySet::from_pem(&String::from_utf8_lossy(&text)).map_err(|error| error.to_string()))
            }
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
    }
    if let Some(secret) = &jwt.secret {
        return match surroundings.secret(secret) {
            Ok(content) => fixed(&secret.place, KeySet::from_secret(&content).map_err(|error| error.to_string())),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
    }
    let preset = jwt.preset.as_deref().map(|preset| preset_of(*preset));
    let remote = Keys::remote(RemoteSettings {
        source: name.clone(),
        issuer: issuer.clone(),
        jwks_url: jwt.jwks_url.as_ref().map(|url| url.value.clone()),
        allowed_hosts: preset
            .map(Preset::key_hosts)
            .unwrap_or_default()
            .iter()
            .map(|host| (*host).to_owned())
            .collect(),
        reach: if jwt.insecure_key_url { Reach::Any } else { Reach::Public },
        insecure_http: jwt.insecure_key_url,
        times: Times::default(),
    });
    let place = jwt.jwks_url.as_ref().map_or(&jwt.issuer.place, |url| &url.place);
    remote.map_err(|error| problems.push(Problem::error(place.clone(), "", error.to_string()))).ok()
}
