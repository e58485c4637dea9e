//! What an identity source of signed tokens is built from.

use std::sync::Arc;

use jiff::SignedDuration;
use url::Url;

use crate::authn::TokenPlace;
use crate::authn::jwks::Bearer;
use crate::authn::jwks::EndpointError;
use crate::authn::jwks::KeySet;
use crate::authn::jwks::Keys;
use crate::authn::jwks::RemoteSettings;
use crate::authn::jwks::Times;
use crate::authn::jwt::Algorithm;
use crate::authn::jwt::CACHED_TOKEN;
use crate::authn::jwt::DEFAULT_CACHED_TOKENS;
use crate::authn::jwt::DEFAULT_LEEWAY;
use crate::authn::jwt::DEFAULT_MAX_LIFETIME;
use crate::authn::jwt::JwtSettings;
use crate::authn::jwt::JwtSource;
use crate::authn::jwt::Preset;
use crate::authn::jwt::TokenKind;
use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::outbound::Client;
use crate::snapshot::duration;
use crate::snapshot::identity::mapping;

/// What may be written as `max_lifetime`, in seconds.
const LIFETIMES: std::ops::RangeInclusive<i64> = 60..=3650 * 24 * 3600;

/// Build one source.
pub(super) fn source(
    name: &Arc<str>,
    jwt: &At<tree::Jwt>,
    places: Vec<TokenPlace>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<JwtSource> {
    let algorithms = algorithms(jwt, problems);
    let preset = jwt.preset.as_deref().map(|preset| mapping::preset(*preset));
    let leeway = duration::seconds(jwt.leeway.as_ref(), "leeway", 0..=600, DEFAULT_LEEWAY, problems);
    let longest = preset.map_or(DEFAULT_MAX_LIFETIME, Preset::max_lifetime);
    let max_lifetime =
        duration::seconds(jwt.max_lifetime.as_ref(), "lifetime of a token", LIFETIMES, longest, problems);
    let mapping = mapping::build(jwt.preset.as_ref(), jwt.claims.as_ref(), problems);
    let keys = keys(name, jwt, &algorithms, surroundings, problems)?;
    let built = JwtSource::build(JwtSettings {
        source: name.clone(),
        issuer: jwt.issuer.value.clone(),
        audience: jwt.audience.iter().map(|audience| audience.value.clone()).collect(),
        algorithms,
        places,
        kind: match jwt.token_type.as_deref() {
            None | Some(tree::TokenType::Any) => TokenKind::Any,
            Some(tree::TokenType::Access) => TokenKind::Access,
            Some(tree::TokenType::Id) => TokenKind::Id,
        },
        authorized_parties: jwt
            .authorized_parties
            .iter()
            .flat_map(|parties| parties.iter().map(|party| party.value.clone()))
            .collect(),
        leeway,
        max_lifetime,
        insecure_bound_tokens: jwt.insecure_bound_tokens,
        cached_tokens: cached_tokens(jwt, surroundings.memory_limit(), problems),
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

fn cached_tokens(jwt: &tree::Jwt, memory: Option<u64>, problems: &mut Problems) -> u32 {
    const MOST: u32 = 1_000_000;
    /// Where nothing is written: of the memory that the process may use one part in so many at most, and so many tokens
    /// at least.
    const SHARE: u64 = 8;
    const LEAST: u32 = 64;
    let Some(written) = &jwt.token_cache else {
        let room = memory.map_or(u64::MAX, |memory| memory / SHARE / u64::from(CACHED_TOKEN));
        return u32::try_from(room).unwrap_or(u32::MAX).clamp(LEAST, DEFAULT_CACHED_TOKENS);
    };
    if written.value > MOST {
        let message = format!("{} tokens are too many to remember", written.value);
        problems.push(Problem::error(written.place.clone(), "", message).help(format!("write at most {MOST}")));
    }
    written.value.min(MOST)
}

/// Where the keys come from: exactly one place, discovery when none is written.
fn keys(
    name: &Arc<str>,
    jwt: &At<tree::Jwt>,
    algorithms: &[Algorithm],
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
    if jwt.jwks_file.is_some() || jwt.pem_file.is_some() || jwt.secret.is_some() {
        nothing_is_fetched(jwt, problems);
    }
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
    let preset = jwt.preset.as_deref().map(|preset| mapping::preset(*preset));
    let known_hosts = preset.map(Preset::key_hosts).unwrap_or_default();
    let remote = Keys::remote(RemoteSettings {
        source: name.clone(),
        issuer: issuer.clone(),
        jwks_url: jwt.jwks_url.as_ref().map(|url| url.value.clone()),
        key_hosts: key_hosts(jwt, problems),
        known_hosts: known_hosts.iter().map(|host| (*host).to_owned()).collect(),
        insecure_http: jwt.insecure_http,
        algorithms: algorithms.to_vec(),
        times: times(jwt, problems),
        client: own_client(jwt, surroundings, problems),
        bearer: jwt.fetch_token.as_ref().map(|token| Bearer::new(surroundings.reader(&token.file))),
    });
    let place = jwt.jwks_url.as_ref().map_or(&jwt.issuer.place, |url| &url.place);
    let problem = |error: EndpointError| {
        let problem = Problem::error(place.clone(), "", error.to_string());
        match error {
            EndpointError::Private(host) => problem.help(format!("if that is meant, write `key_hosts: [\"{host}\"]`")),
            EndpointError::NotHttps(_) => problem.help("write https, or `insecure_http: true` for a test"),
            EndpointError::NotForBearer(_) => problem.help("remove `fetch_token`, or fetch from the issuer"),
            EndpointError::NotAUrl(_) | EndpointError::Credentials => problem,
        }
    };
    remote.map_err(|error| problems.push(problem(error))).ok()
}

/// The client for a server with certificate authorities of its own.
fn own_client(jwt: &tree::Jwt, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Option<Client> {
    let file = jwt.ca_file.as_ref()?;
    let built = surroundings.file(file).and_then(|authorities| {
        let unfit = |error| {
            let message = format!("`{}` cannot be used: {error}", file.value);
            Problem::error(file.place.clone(), "", message).help("name a PEM file of CA certificates")
        };
        Client::trusting(&authorities).map_err(unfit)
    });
    built.map_err(|problem| problems.push(problem)).ok()
}

/// The hosts vouched for, as they stand in a URL.
fn key_hosts(jwt: &tree::Jwt, problems: &mut Problems) -> Vec<String> {
    let mut hosts = Vec::new();
    for written in jwt.key_hosts.iter().flat_map(|list| list.iter()) {
        let url = Url::parse(&format!("https://{}/", written.value)).ok();
        // Whatever is more than a host has moved into another part of the URL, or is no longer what was written.
        let host = url.as_ref().and_then(Url::host_str).filter(|host| host.eq_ignore_ascii_case(&written.value));
        match host {
            Some(host) => hosts.push(host.to_owned()),
            None => {
                let message = format!("`{}` is not a host", written.value);
                let help = "write `sso.corp.test`, `10.1.2.3` or `[2001:db8::1]`, without scheme and port";
                problems.push(Problem::error(written.place.clone(), "", message).help(help));
            }
        }
    }
    hosts
}

fn times(jwt: &tree::Jwt, problems: &mut Problems) -> Times {
    let times = Times::default();
    let (minute, day) = (60, 24 * 3600);
    let refresh = jwt.refresh.as_ref();
    let refresh = duration::seconds(refresh, "time between fetches", minute..=day, times.refresh.as_secs(), problems);
    // Staler than that before the next fetch is due, no key would ever be in force for long.
    let least = refresh.saturating_mul(2).max(5 * minute);
    let longest = times.max_stale.as_secs().max(least);
    let max_stale = jwt.max_stale.as_ref();
    let max_stale = duration::seconds(max_stale, "time to use keys for", least..=7 * day, longest, problems);
    Times { refresh: SignedDuration::from_secs(refresh), max_stale: SignedDuration::from_secs(max_stale), ..times }
}

/// What is written about fetching, where nothing is fetched.
fn nothing_is_fetched(jwt: &tree::Jwt, problems: &mut Problems) {
    let written = [
        ("key_hosts", jwt.key_hosts.as_ref().map(|at| &at.place)),
        ("refresh", jwt.refresh.as_ref().map(|at| &at.place)),
        ("max_stale", jwt.max_stale.as_ref().map(|at| &at.place)),
        ("ca_file", jwt.ca_file.as_ref().map(|at| &at.place)),
        ("fetch_token", jwt.fetch_token.as_ref().map(|at| &at.place)),
    ];
    for (key, place) in written.into_iter().filter_map(|(key, place)| Some((key, place?))) {
        let message = format!("`{key}` says nothing here: the keys of this source are not fetched");
        problems.push(Problem::error(place.clone(), "", message).help("remove it"));
    }
}
