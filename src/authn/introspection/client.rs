//! How we prove to a provider that we may ask about its tokens: by a secret (RFC 6749 §2.3.1) or a signed assertion
//! (RFC 7523 §2.2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use url::form_urlencoded;

use crate::authn::introspection::assertion::Assertion;
use crate::authn::introspection::assertion::Unsigned;
use crate::model::secret::Secret;

/// Who we are to the provider.
#[derive(Debug)]
pub struct IntrospectionClient {
    /// The client id.
    pub id: String,
    pub proof: Proof,
}

/// How we prove it.
#[derive(Debug)]
pub enum Proof {
    /// `client_secret_basic`: id and secret in the `Authorization` header.
    Basic(Secret<Vec<u8>>),
    /// `client_secret_post`: id and secret in the form.
    Post(Secret<Vec<u8>>),
    /// `private_key_jwt`: a signed assertion in the form.
    Assertion(Assertion),
}

/// RFC 7523 §2.2.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

impl IntrospectionClient {
    /// An introspection request (RFC 7662 §2.1) for this token: its form and its headers.
    pub(super) fn request(&self, token: &str, now: Timestamp) -> Result<(String, HeaderMap), Unsigned> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("token", token).append_pair("token_type_hint", "access_token");
        let mut form = form.finish();
        let mut headers = HeaderMap::new();
        match &self.proof {
            Proof::Basic(secret) => {
                headers.insert(AUTHORIZATION, basic(&self.id, secret)?);
            }
            Proof::Post(secret) => {
                append(&mut form, "client_id", self.id.as_bytes());
                append(&mut form, "client_secret", secret.expose());
            }
            Proof::Assertion(assertion) => {
                append(&mut form, "client_id", self.id.as_bytes());
                append(&mut form, "client_assertion_type", ASSERTION_TYPE.as_bytes());
                append(&mut form, "client_assertion", assertion.sign(&self.id, now)?.as_bytes());
            }
        }
        Ok((form, headers))
    }
}

/// Id and secret are each encoded before they are joined, so that a `:` in either moves nothing.
fn basic(id: &str, secret: &Secret<Vec<u8>>) -> Result<HeaderValue, Unsigned> {
    let pair = format!("{}:{}", encoded(id.as_bytes()), encoded(secret.expose()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).map_err(|_| Unsigned)?;
    value.set_sensitive(true);
    Ok(value)
}

fn append(form: &mut String, name: &str, value: &[u8]) {
    form.push('&');
    form.push_str(name);
    form.push('=');
    form.extend(form_urlencoded::byte_serialize(value));
}

fn encoded(octets: &[u8]) -> String {
    form_urlencoded::byte_serialize(octets).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::testing::now;

    fn secret() -> Secret<Vec<u8>> {
        Secret::new("p:ä +&=%".as_bytes().to_vec())
    }

    #[test]
    fn a_secret_is_encoded_before_it_is_joined_to_the_id() {
        let client = IntrospectionClient { id: "us:er".into(), proof: Proof::Basic(secret()) };
        let (form, headers) = client.request("a b&c=d", now()).expect("a request");
        assert_eq!(form, "token=a+b%26c%3Dd&token_type_hint=access_token");
        let value = headers.get(AUTHORIZATION).expect("a header");
        let pair = value.to_str().expect("text").strip_prefix("Basic ").expect("the scheme");
        assert_eq!(STANDARD.decode(pair).expect("base64"), b"us%3Aer:p%3A%C3%A4+%2B%26%3D%25");
        assert_eq!(format!("{value:?}"), "Sensitive");
    }

    #[test]
    fn a_secret_in_the_form_is_nowhere_else() {
        let client = IntrospectionClient { id: "us:er".into(), proof: Proof::Post(secret()) };
        let (form, headers) = client.request("t", now()).expect("a request");
        let wanted = "token=t&token_type_hint=access_token&client_id=us%3Aer&client_secret=p%3A%C3%A4+%2B%26%3D%25";
        assert_eq!((form.as_str(), headers.len()), (wanted, 0));
        assert!(!format!("{client:?}").contains("p:"), "{client:?}");
    }
}
