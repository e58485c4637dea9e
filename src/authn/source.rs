//! A source of identities as the configuration names it.

use std::sync::Arc;

use crate::authn::api_key::ApiKeySource;
use crate::authn::basic::BasicSource;
use crate::authn::certificate::CertificateSource;
use crate::authn::introspection::IntrospectionSource;
use crate::authn::introspection::Introspector;
use crate::authn::jwks::Keys;
use crate::authn::jwt::JwtSource;
use crate::authn::place::TokenPlace;

/// A named source.
#[derive(Debug)]
pub struct Source {
    /// The key under `identity:` in the configuration.
    pub name: Arc<str>,
    /// How it knows people.
    pub kind: Kind,
}

/// How a source knows people. A new kind is a file in this room and an arm here.
#[derive(Debug)]
pub enum Kind {
    /// By the signed tokens of an issuer.
    Jwt(Box<JwtSource>),
    /// By client certificates that the proxy verified.
    Certificate(CertificateSource),
    /// By asking a provider about its opaque tokens.
    Introspection(IntrospectionSource),
    /// By the keys we gave to machines.
    ApiKey(ApiKeySource),
    /// By names and passwords.
    Basic(BasicSource),
}

impl Source {
    /// The keys this source verifies with, if it verifies with any.
    pub fn keys(&self) -> Option<&Arc<Keys>> {
        match &self.kind {
            Kind::Jwt(source) => Some(source.keys()),
            _ => None,
        }
    }

    /// Who asks the provider, if this source has one to ask.
    pub fn introspector(&self) -> Option<&Arc<Introspector>> {
        match &self.kind {
            Kind::Introspection(source) => Some(&source.introspector),
            _ => None,
        }
    }

    /// Go on with what a source of this name under an earlier policy has verified, where that holds here, too.
    pub fn take_over(&self, earlier: &Source) {
        if let (Kind::Jwt(source), Kind::Jwt(earlier)) = (&self.kind, &earlier.kind) {
            source.take_over(earlier);
        }
    }

    /// Its API keys, if it has any.
    pub fn api_keys(&self) -> Option<&ApiKeySource> {
        match &self.kind {
            Kind::ApiKey(source) => Some(source),
            _ => None,
        }
    }

    /// Who vouches for its identities: a token issuer, or else the source itself.
    pub fn issuer(&self) -> &Arc<str> {
        match &self.kind {
            Kind::Jwt(source) => source.issuer(),
            Kind::Introspection(source) => source.issuer(),
            Kind::ApiKey(_) | Kind::Basic(_) | Kind::Certificate(_) => &self.name,
        }
    }

    /// A place in which another source would find nothing after this one. Token issuers tell their tokens apart.
    pub fn hides(&self, other: &Source) -> Option<&TokenPlace> {
        match (&self.kind, &other.kind) {
            (Kind::ApiKey(own), Kind::ApiKey(other)) => {
                own.places().iter().find(|place| other.places().contains(place))
            }
            (Kind::Basic(own), Kind::Basic(_)) => own.places().first(),
            _ => None,
        }
    }

    /// Where this source looks for its credential, in order.
    pub fn places(&self) -> &[TokenPlace] {
        match &self.kind {
            Kind::Jwt(source) => source.places(),
            Kind::Certificate(source) => source.places(),
            Kind::Introspection(source) => &source.places,
            Kind::ApiKey(source) => source.places(),
            Kind::Basic(source) => source.places(),
        }
    }
}
