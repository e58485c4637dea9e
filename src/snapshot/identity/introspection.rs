//! Sources that ask a provider about opaque tokens.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use crate::authn::TokenPlace;
use crate::authn::introspection::Assertion;
use crate::authn::introspection::IntrospectionClient;
use crate::authn::introspection::IntrospectionSource;
use crate::authn::introspection::Introspector;
use crate::authn::introspection::IntrospectorSettings;
use crate::authn::introspection::Lifetimes;
use crate::authn::introspection::Proof;
use crate::authn::introspection::Way;
use crate::authn::jwt::ClaimMapping;
use crate::authn::jwt::DEFAULT_LEEWAY;
use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::duration;

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// A source that asks by introspection.
pub(super) fn introspection(
    name: &Arc<str>,
    written: &At<tree::Introspection>,
    places: Vec<TokenPlace>,
    mapping: ClaimMapping,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<IntrospectionSource> {
    let leeway = duration::read(
        written.leeway.as_ref(),
        Duration::from_secs(DEFAULT_LEEWAY.unsigned_abs()),
        "leeway",
        Duration::ZERO..=Duration::from_mins(10),
        problems,
    );
    let common = Common {
        url: &written.url,
        issuer: written.issuer.as_ref(),
        cache: written.cache.as_ref(),
        timeout: written.timeout.as_ref(),
        jwts: written.jwts,
        insecure_url: written.insecure_url,
    };
    let audience = written.audience.iter().flat_map(|list| list.iter()).map(|audience| audience.value.clone());
    let audience: Vec<String> = audience.collect();
    if let Some(list) = &written.audience
        && audience.iter().any(String::is_empty)
    {
        problems.push(Problem::error(list.place.clone(), "", "an audience may not be empty"));
    }
    let client = client(written, surroundings, problems);
    let settings = IntrospectorSettings {
        audience,
        typed: !written.insecure_untyped,
        leeway: i64::try_from(leeway.as_secs()).unwrap_or(DEFAULT_LEEWAY),
        ..common.settings(name, mapping, problems)
    };
    let settings = IntrospectorSettings { way: Way::Introspection(client?), ..settings };
    common.source(settings, places, problems)
}

/// A source that asks the userinfo endpoint.
pub(super) fn userinfo(
    name: &Arc<str>,
    written: &At<tree::Userinfo>,
    places: Vec<TokenPlace>,
    mapping: ClaimMapping,
    problems: &mut Problems,
) -> Option<IntrospectionSource> {
    let common = Common {
        url: &written.url,
        issuer: written.issuer.as_ref(),
        cache: written.cache.as_ref(),
        timeout: written.timeout.as_ref(),
        jwts: written.jwts,
        insecure_url: written.insecure_url,
    };
    common.source(common.settings(name, mapping, problems), places, problems)
}

/// What both ways of asking have.
struct Common<'t> {
    url: &'t At<String>,
    issuer: Option<&'t At<String>>,
    cache: Option<&'t At<tree::IntrospectionCache>>,
    timeout: Option<&'t At<String>>,
    jwts: bool,
    insecure_url: bool,
}

impl Common<'_> {
    fn settings(&self, name: &Arc<str>, mapping: ClaimMapping, problems: &mut Problems) -> IntrospectorSettings {
        let bounds = Duration::from_millis(50)..=Duration::from_secs(5);
        IntrospectorSettings {
            source: name.clone(),
            url: self.url.value.clone(),
            way: Way::Userinfo,
            issuer: self.issuer.map(|issuer| issuer.value.clone()),
            audience: Vec::new(),
            typed: false,
            mapping,
            leeway: DEFAULT_LEEWAY,
            lifetimes: lifetimes(self.cache, problems),
            timeout: duration::read(self.timeout, DEFAULT_TIMEOUT, "timeout", bounds, problems),
            insecure_http: self.insecure_url,
        }
    }

    fn source(
        &self,
        settings: IntrospectorSettings,
        places: Vec<TokenPlace>,
        problems: &mut Problems,
    ) -> Option<IntrospectionSource> {
        let issuer = self.issuer.filter(|issuer| !issuer.is_empty());
        match (issuer, self.issuer) {
            (None, Some(empty)) => {
                problems.push(Problem::error(empty.place.clone(), "", "the issuer may not be empty"))
            }
            (None, None) if self.jwts => {
                let message = "`jwts: true` needs to know whose signed tokens to ask about";
                problems.push(Problem::error(self.url.place.clone(), "", message).help("write `issuer: https://…`"));
            }
            _ => {}
        }
        let introspector = Introspector::build(settings)
            .map_err(|error| problems.push(Problem::error(self.url.place.clone(), "", error.to_string())))
            .ok()?;
        let jwts_of = issuer.filter(|_| self.jwts).map(|issuer| issuer.value.clone());
        Some(IntrospectionSource { places, jwts_of, introspector: Arc::new(introspector) })
    }
}

fn lifetimes(written: Option<&At<tree::IntrospectionCache>>, problems: &mut Problems) -> Option<Lifetimes> {
    let default = Lifetimes::default();
    let Some(cache) = written else { return Some(default) };
    match &cache.value {
        tree::IntrospectionCache::Off(text) if text == "off" => None,
        tree::IntrospectionCache::Off(text) => {
            let message = format!("`{text}` is not how long answers are used");
            let help = "write `off`, or `{positive: 10s, negative: 5s}`";
            problems.push(Problem::error(cache.place.clone(), "", message).help(help));
            None
        }
        tree::IntrospectionCache::Lifetimes(written) => {
            let mut read = |written: &Option<At<String>>, default: SignedDuration| {
                let bounds = Duration::ZERO..=Duration::from_mins(1);
                let length =
                    duration::read(written.as_ref(), default.unsigned_abs(), "lifetime of an answer", bounds, problems);
                SignedDuration::try_from(length).unwrap_or(default)
            };
            Some(Lifetimes {
                positive: read(&written.positive, default.positive),
                negative: read(&written.negative, default.negative),
            })
        }
    }
}

/// One proof, which the method fits.
fn client(
    source: &tree::Introspection,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<IntrospectionClient> {
    use tree::ClientMethod::{ClientSecretBasic, ClientSecretPost, PrivateKeyJwt};
    let written = &source.client;
    let mut wrong = |place: &At<_>, message: &str, help: &str| {
        problems.push(Problem::error(place.place.clone(), "", message.to_owned()).help(help.to_owned()));
        None
    };
    if written.id.is_empty() {
        let id = At { value: (), place: written.id.place.clone() };
        return wrong(&id, "the client id may not be empty", "write the id that the provider gave this client");
    }
    let here = At { value: (), place: written.place.clone() };
    let method = written.method.as_deref().copied();
    let (reference, post) = match (&written.secret, &written.key, method) {
        (Some(secret), None, None | Some(ClientSecretBasic)) => (secret, false),
        (Some(secret), None, Some(ClientSecretPost)) => (secret, true),
        (None, Some(key), None | Some(PrivateKeyJwt)) => (key, false),
        (Some(_), Some(_), _) => {
            return wrong(&here, "`secret` and `key` both prove who we are", "keep one of them");
        }
        (None, None, _) => {
            let help = "write `secret: {file: …}`, or `key: {file: …}` for `private_key_jwt`";
            return wrong(&here, "nothing proves to the provider who we are", help);
        }
        (Some(_), None, Some(PrivateKeyJwt)) => {
            return wrong(&here, "`private_key_jwt` needs a `key`, not a `secret`", "write `key: {file: …}`");
        }
        (None, Some(_), Some(ClientSecretBasic | ClientSecretPost)) => {
            let help = "write `secret: {file: …}`, or leave `method` out";
            return wrong(&here, "a `key` proves who we are by `private_key_jwt` only", help);
        }
    };
    if written.key.is_none()
        && let Some(stray) = written.kid.as_ref().or(written.audience.as_ref())
    {
        let stray = At { value: (), place: stray.place.clone() };
        return wrong(&stray, "`kid` and `audience` of a client belong to a `key`", "remove it");
    }
    let content = surroundings.secret(reference).map_err(|problem| problems.push(problem)).ok()?;
    let proof = match (&written.key, post) {
        (None, false) => Proof::Basic(content),
        (None, true) => Proof::Post(content),
        (Some(key), _) => {
            let kid = written.kid.as_ref().map(|kid| kid.value.clone());
            let audience = [&written.audience, &source.issuer].into_iter().flatten().next().unwrap_or(&source.url);
            let assertion = Assertion::build(&content, kid, audience.value.clone());
            let report = |error: &dyn std::fmt::Display| Problem::error(key.place.clone(), "", error.to_string());
            Proof::Assertion(assertion.map_err(|error| problems.push(report(&error))).ok()?)
        }
    };
    Some(IntrospectionClient { id: written.id.value.clone(), proof })
}
