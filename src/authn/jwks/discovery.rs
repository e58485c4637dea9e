//! OpenID Connect Discovery 1.0, as much as leads to the keys: §4.1 where the document is, §4.3 that its issuer is
//! the one asked for, and where it says the keys are (K2).

use url::Url;

use crate::authn::json;
use crate::authn::json::JsonError;
use crate::authn::quoted::Quoted;

/// Why a discovery document leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum DiscoveryError {
    #[error("the discovery document {0}")]
    Json(#[from] JsonError),
    #[error("the discovery document is of another issuer: {}", Quoted(.0))]
    OtherIssuer(String),
    #[error("the discovery document has no `{0}`")]
    Missing(&'static str),
    #[error("its `jwks_uri` is not a URL: {}", Quoted(.0))]
    NotAUrl(String),
    #[error("its `jwks_uri` is on {}, which is neither the issuer's host nor one of `key_hosts`", Quoted(.0))]
    OtherHost(String),
}

/// Where the discovery document of an issuer is.
pub(super) fn location(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.strip_suffix('/').unwrap_or(issuer))
}

/// Where the keys are, from a document fetched at `asked`.
pub(super) fn jwks_uri(
    document: &[u8],
    issuer: &str,
    asked: &Url,
    may_lead_to: impl Fn(&str) -> bool,
) -> Result<Url, DiscoveryError> {
    let members = json::parse_object(document)?;
    let text = |name| members.get(name).and_then(|value| value.as_str()).ok_or(DiscoveryError::Missing(name));
    let stated = text("issuer")?;
    if stated != issuer {
        return Err(DiscoveryError::OtherIssuer(stated.to_owned()));
    }
    let stated = text("jwks_uri")?;
    let url = Url::parse(stated).map_err(|_| DiscoveryError::NotAUrl(stated.to_owned()))?;
    let host = url.host_str().unwrap_or_default();
    // The scheme is judged by `outbound`: https, unless the operator allowed http for this issuer.
    let own = url.host_str() == asked.host_str() && url.port_or_known_default() == asked.port_or_known_default();
    if own || may_lead_to(host) { Ok(url) } else { Err(DiscoveryError::OtherHost(host.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_below_the_issuer() {
        for (issuer, want) in [
            ("https://sso.test", "https://sso.test/.well-known/openid-configuration"),
            ("https://sso.test/", "https://sso.test/.well-known/openid-configuration"),
            ("https://sso.test/realms/main", "https://sso.test/realms/main/.well-known/openid-configuration"),
        ] {
            assert_eq!(location(issuer), want);
        }
    }

    #[test]
    fn k2_keys_come_from_the_issuer_or_a_listed_host() {
        let asked = Url::parse("https://sso.test/.well-known/openid-configuration").expect("url");
        let allowed = |host: &str| host == "keys.test";
        let read = |issuer: &str, uri: &str| {
            let document = serde_json::json!({"issuer": issuer, "jwks_uri": uri}).to_string();
            jwks_uri(document.as_bytes(), "https://sso.test", &asked, allowed)
                .map(String::from)
                .map_err(|error| error.to_string())
        };
        for uri in ["https://sso.test/keys", "https://sso.test:443/keys", "https://keys.test/v1"] {
            assert!(read("https://sso.test", uri).is_ok(), "{uri}");
        }
        for (issuer, uri) in [
            ("https://sso.test/", "https://sso.test/keys"),
            ("https://SSO.test", "https://sso.test/keys"),
            ("https://sso.test", "https://evil.test/keys"),
            ("https://sso.test", "https://sso.test.evil.test/keys"),
            ("https://sso.test", "https://sso.test@evil.test/keys"),
            ("https://sso.test", "https://sso.test:8443/keys"),
            ("https://sso.test", "http://169.254.169.254/latest"),
            ("https://sso.test", "file:///etc/passwd"),
            ("https://sso.test", "/keys"),
        ] {
            assert!(read(issuer, uri).is_err(), "{issuer} {uri}");
        }
        for document in ["{}", r#"{"issuer":"https://sso.test"}"#, r#"{"issuer":["https://sso.test"],"jwks_uri":""}"#] {
            assert!(jwks_uri(document.as_bytes(), "https://sso.test", &asked, allowed).is_err(), "{document}");
        }
    }
}
