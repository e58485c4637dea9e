//! Identity sources, and the names of groups and users that they vouch for.

mod api_key;
mod basic;
mod certificate;
mod introspection;
mod jwt;
mod kind;
mod mapping;
mod place;

use std::sync::Arc;

use crate::authn::Kind;
use crate::authn::Source;
use crate::authn::introspection::Introspector;
use crate::authn::jwks::Keys;
use crate::authn::jwt::JwtSource;
use crate::config::at::At;
use crate::config::at::Entries;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::condition::member::Member;
use crate::policy::condition::member::Members;
use crate::snapshot::identity::kind::Issuers;
use crate::snapshot::identity::kind::Written;
use crate::snapshot::limit::OfKey;
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
    /// The limits of API keys, as written.
    limits: Vec<OfKey>,
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
        let mut limits = Vec::new();
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
            if let Some(kind) = written.build(&shared, networks, surroundings, &mut limits, problems) {
                sources.push(Arc::new(Source { name: shared, kind }));
            }
        }
        Identities { names, sources, qualified: issuers.several(), limits }
    }

    /// The name of every source, in the order written.
    pub(super) fn names(&self) -> &[Arc<str>] {
        &self.names
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

    /// Two issuers on one route may each have an `alice`, and the application is told no more than that (J13).
    pub(super) fn warn_of_namesakes(&self, named: &[Arc<str>], place: &Place, problems: &mut Problems) {
        let mut earlier: Vec<&JwtSource> = Vec::new();
        for source in named.iter().filter_map(|name| self.sources.iter().find(|source| source.name == *name)) {
            let Kind::Jwt(jwt) = &source.kind else { continue };
            let namesake =
                |other: &&&JwtSource| other.issuer() != jwt.issuer() && other.user_prefix() == jwt.user_prefix();
            if let Some(other) = earlier.iter().find(namesake) {
                let message = format!(
                    "`{}` and `{}` send their users upstream by the same names, and either could have an `admin`",
                    other.source(),
                    source.name
                );
                let said = |problem: &Problem| problem.place.as_ref() == Some(place) && problem.message == message;
                if !problems.0.iter().any(said) {
                    let help =
                        format!("write `claims: {{user: {{claim: …, prefix: \"{}:\"}}}}` for one of them", source.name);
                    problems.push(Problem::warning(place.clone(), "", message).help(help));
                }
            }
            earlier.push(jwt);
        }
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
            problems.0.extend(self.looks_qualified(written));
            return Some(Member { source: None, name: written.as_str().into() });
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
            return Some(Member { source: None, name: name.into() });
        }
        match self.names.iter().find(|known| &***known == source) {
            Some(known) => Some(Member { source: Some(known.clone()), name: name.into() }),
            None => {
                let at = At { value: source.to_owned(), place: written.place.clone() };
                problems.push(unknown_name(&at, "identity source", &self.names));
                None
            }
        }
    }

    /// With fewer than two issuers a name is taken as it stands, source and all: most likely nobody has it, and `not`
    /// would let everybody in.
    fn looks_qualified(&self, written: &At<String>) -> Option<Problem> {
        let (source, name) = written.split_once('/')?;
        let known = self.names.iter().any(|known| &**known == source);
        let message =
            format!("`{}` is one whole name here: sources are named only among several issuers", written.value);
        let help = format!("write `{name}`, and `identity: {source}` beside it if the source matters");
        known.then(|| Problem::warning(written.place.clone(), "", message).help(help))
    }

    /// A built source.
    pub(super) fn source(&self, name: &str) -> Option<Arc<Source>> {
        self.sources.iter().find(|source| &*source.name == name).cloned()
    }

    /// Every built source, in the order written.
    pub(super) fn all(&self) -> Vec<Arc<Source>> {
        self.sources.clone()
    }

    /// Who asks providers, for all sources that ask one.
    pub(super) fn introspectors(&self) -> Vec<Arc<Introspector>> {
        self.sources.iter().filter_map(|source| source.introspector()).cloned().collect()
    }

    /// The limits of API keys, as written.
    pub(super) fn key_limits(&self) -> &[OfKey] {
        &self.limits
    }

    /// The sources of API keys.
    pub(super) fn of_api_keys(&self) -> Vec<Arc<str>> {
        self.sources.iter().filter(|source| source.api_keys().is_some()).map(|source| source.name.clone()).collect()
    }

    /// The keys of all sources.
    pub(super) fn keys(&self) -> Vec<Arc<Keys>> {
        self.sources.iter().filter_map(|source| source.keys()).cloned().collect()
    }
}
