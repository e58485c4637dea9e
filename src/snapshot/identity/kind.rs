//! The one kind of a source as it is written, and which credentials it claims. A new kind has its arms here.

use std::sync::Arc;

use crate::authn::Kind;
use crate::authn::TokenPlace;
use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::identity::api_key;
use crate::snapshot::identity::basic;
use crate::snapshot::identity::certificate;
use crate::snapshot::identity::introspection;
use crate::snapshot::identity::jwt;
use crate::snapshot::identity::mapping;
use crate::snapshot::identity::place;
use crate::snapshot::limit::OfKey;
use crate::snapshot::network::NetworkNames;

/// The one kind of a source.
pub(super) enum Written<'c> {
    Jwt(&'c At<tree::Jwt>),
    Introspection(&'c At<tree::Introspection>),
    Userinfo(&'c At<tree::Userinfo>),
    ApiKeys(&'c At<tree::ApiKeys>),
    Basic(&'c At<tree::Basic>),
    Certificate(&'c At<tree::Certificate>),
}

type TokenPlaces = At<Vec<At<tree::TokenPlace>>>;

impl<'c> Written<'c> {
    /// Find it, or say that there is none or more than one.
    pub(super) fn of(name: &At<String>, source: &'c At<tree::Source>, problems: &mut Problems) -> Option<Written<'c>> {
        let tree::Source { jwt, introspection, userinfo, api_key, basic, certificate } = &source.value;
        let kinds = [
            ("jwt", jwt.as_ref().map(Written::Jwt)),
            ("introspection", introspection.as_ref().map(Written::Introspection)),
            ("userinfo", userinfo.as_ref().map(Written::Userinfo)),
            ("api_key", api_key.as_ref().map(Written::ApiKeys)),
            ("basic", basic.as_ref().map(Written::Basic)),
            ("certificate", certificate.as_ref().map(Written::Certificate)),
        ];
        let known = kinds.each_ref().map(|(kind, _)| format!("`{kind}`")).join(", ");
        let mut written = kinds.into_iter().filter_map(|(kind, written)| Some((kind, written?)));
        match (written.next(), written.next()) {
            (Some((_, only)), None) => Some(only),
            (None, _) => {
                let message = format!("identity source `{}` has no kind", name.value);
                let help = format!("write one of {known}, such as `jwt: {{issuer: …, audience: …}}`");
                problems.push(Problem::error(source.place.clone(), "", message).help(help));
                None
            }
            (Some((first, _)), Some((second, _))) => {
                let message = format!("identity source `{}` is of two kinds, `{first}` and `{second}`", name.value);
                problems.push(Problem::error(source.place.clone(), "", message).help("give each a name of its own"));
                None
            }
        }
    }

    pub(super) fn build(
        &self,
        name: &Arc<str>,
        networks: &NetworkNames,
        surroundings: &Surroundings<'_>,
        limits: &mut Vec<OfKey>,
        problems: &mut Problems,
    ) -> Option<Kind> {
        let places = token_places(self.token());
        match self {
            Written::Jwt(jwt) => {
                jwt::source(name, jwt, places, surroundings, problems).map(|source| Kind::Jwt(Box::new(source)))
            }
            Written::Introspection(written) => {
                let mapping = mapping::build(written.preset.as_ref(), written.claims.as_ref(), problems);
                introspection::introspection(name, written, places, mapping, surroundings, problems)
                    .map(Kind::Introspection)
            }
            Written::Userinfo(written) => {
                let mapping = mapping::build(written.preset.as_ref(), written.claims.as_ref(), problems);
                introspection::userinfo(name, written, places, mapping, problems).map(Kind::Introspection)
            }
            Written::ApiKeys(keys) => {
                api_key::source(name, keys, networks, surroundings, limits, problems).map(Kind::ApiKey)
            }
            Written::Basic(users) => basic::source(name, users, surroundings, problems).map(Kind::Basic),
            Written::Certificate(certificate) => {
                certificate::source(name, certificate, problems).map(Kind::Certificate)
            }
        }
    }

    /// Who issues its tokens. A source of tokens that does not say is an issuer of its own.
    fn issuer(&self, name: &'c At<String>) -> Option<&'c At<String>> {
        match self {
            Written::Jwt(jwt) => Some(&jwt.issuer),
            Written::Introspection(introspection) => Some(introspection.issuer.as_ref().unwrap_or(name)),
            Written::Userinfo(userinfo) => Some(userinfo.issuer.as_ref().unwrap_or(name)),
            Written::ApiKeys(_) | Written::Basic(_) | Written::Certificate(_) => None,
        }
    }

    fn token(&self) -> Option<&'c TokenPlaces> {
        match self {
            Written::Jwt(jwt) => jwt.token.as_ref(),
            Written::Introspection(introspection) => introspection.token.as_ref(),
            Written::Userinfo(userinfo) => userinfo.token.as_ref(),
            Written::ApiKeys(_) | Written::Basic(_) | Written::Certificate(_) => None,
        }
    }

    /// The tokens it claims wherever it looks.
    fn tokens(&self) -> Vec<Tokens<'c>> {
        let (issuer, jwts) = match self {
            Written::Jwt(jwt) => return vec![Tokens::SignedBy(&jwt.issuer)],
            Written::Introspection(introspection) => (introspection.issuer.as_ref(), introspection.jwts),
            Written::Userinfo(userinfo) => (userinfo.issuer.as_ref(), userinfo.jwts),
            Written::ApiKeys(_) | Written::Basic(_) | Written::Certificate(_) => return vec![],
        };
        let signed = issuer.filter(|_| jwts).map(|issuer| Tokens::SignedBy(issuer));
        signed.into_iter().chain([Tokens::Opaque]).collect()
    }
}

/// Tokens that one source claims in a place, and no other may.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tokens<'c> {
    /// Signed ones of an issuer.
    SignedBy(&'c str),
    Opaque,
}

/// The issuers met so far, and the places in which their tokens are looked for.
#[derive(Default)]
pub(super) struct Issuers<'c> {
    names: Vec<&'c str>,
    claimed: Vec<(Tokens<'c>, tree::TokenPlace, &'c At<String>)>,
}

impl<'c> Issuers<'c> {
    /// Enter one source; two that claim the same tokens are a mistake.
    pub(super) fn enter(&mut self, name: &'c At<String>, written: &Written<'c>, problems: &mut Problems) {
        let Some(issuer) = written.issuer(name) else { return };
        if !self.names.contains(&issuer.as_str()) {
            self.names.push(issuer);
        }
        listed_once(written.token(), problems);
        for place in places(written.token()) {
            for tokens in written.tokens() {
                let same = |(other, taken, by): &&(Tokens<'_>, tree::TokenPlace, &At<String>)| {
                    *other == tokens && *taken == place && by.value != name.value
                };
                if let Some((.., first)) = self.claimed.iter().find(same) {
                    let what = match tokens {
                        Tokens::SignedBy(_) => "one issuer, one place",
                        Tokens::Opaque => "nothing tells opaque tokens in one place apart",
                    };
                    let message =
                        format!("sources `{}` and `{}` claim the same tokens: {what}", first.value, name.value);
                    problems.push(
                        Problem::error(issuer.place.clone(), "", message)
                            .help("merge them, or give one another token place"),
                    );
                }
                self.claimed.push((tokens, place.clone(), name));
            }
        }
    }

    /// Are there two or more?
    pub(super) fn several(&self) -> bool {
        self.names.len() > 1
    }
}

fn places(token: Option<&TokenPlaces>) -> Vec<tree::TokenPlace> {
    match token {
        None => vec![tree::TokenPlace::Bearer],
        Some(token) => token.iter().map(|place| place.value.clone()).collect(),
    }
}

fn token_places(token: Option<&TokenPlaces>) -> Vec<TokenPlace> {
    let place = |place| match place {
        tree::TokenPlace::Bearer => TokenPlace::Bearer,
        tree::TokenPlace::Header(name) => TokenPlace::Header(name.to_ascii_lowercase()),
        tree::TokenPlace::Cookie(name) => TokenPlace::Cookie(name),
    };
    places(token).into_iter().map(place).collect()
}

/// A place that is looked at twice holds nothing new.
fn listed_once(token: Option<&TokenPlaces>, problems: &mut Problems) {
    let Some(token) = token else { return };
    let mut rest = token.iter();
    while let Some(place) = rest.next_back() {
        place::check(place, problems);
        if rest.as_slice().iter().any(|earlier| earlier.value == place.value) {
            problems.push(Problem::error(place.place.clone(), "", "this token place is listed twice"));
        }
    }
}
