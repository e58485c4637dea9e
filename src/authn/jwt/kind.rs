//! What a token was made for (J17). One issuer signs access tokens, identity tokens, logout tokens and more with the
//! same keys; only what they say of themselves tells them apart.

use serde_json::Map;
use serde_json::Value;

use crate::authn::jwt::error::TokenError;

/// The kinds of token a source takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TokenKind {
    /// Access and identity tokens.
    #[default]
    Any,
    /// Access tokens (RFC 9068, and those before it that do not look like identity tokens).
    Access,
    /// Identity tokens (OpenID Connect Core §2).
    Id,
}

/// What the header's `typ` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Nothing, or `JWT`.
    Plain,
    /// `at+jwt` (RFC 9068 §2.1).
    AccessToken,
}

/// What the claims say of the token itself: Keycloak in `typ`, Cognito in `token_use`, others in `token_type`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stated {
    Nothing,
    Access,
    Id,
    /// A refresh, offline or logout token, or one for a single step of a login.
    Other,
}

/// Claims that only identity tokens have (OpenID Connect Core §3.1.3.6, §3.3.2.11; FAPI for `s_hash`).
const OF_IDENTITY: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];

impl TokenKind {
    /// Refuse what is of another kind.
    pub(super) fn judge(self, typed: Typed, claims: &Map<String, Value>) -> Result<(), TokenError> {
        // RFC 8417 §4.1: logout tokens and other events are told apart by this claim, not always by their `typ`.
        if claims.contains_key("events") {
            return Err(TokenError::WrongKind("it reports an event"));
        }
        match (self, stated(claims), typed) {
            (_, Stated::Other, _) => Err(TokenError::WrongKind("it says that it is for something else")),
            (TokenKind::Any, ..) => Ok(()),
            (TokenKind::Access, Stated::Id, _) => Err(TokenError::WrongKind("it says that it is an identity token")),
            (TokenKind::Access, Stated::Access, _) | (TokenKind::Access, Stated::Nothing, Typed::AccessToken) => Ok(()),
            (TokenKind::Access, Stated::Nothing, Typed::Plain) => {
                if OF_IDENTITY.iter().any(|name| claims.contains_key(*name)) {
                    return Err(TokenError::WrongKind("it has the claims of an identity token"));
                }
                Ok(())
            }
            (TokenKind::Id, Stated::Access, _) | (TokenKind::Id, _, Typed::AccessToken) => {
                Err(TokenError::WrongKind("it is an access token"))
            }
            (TokenKind::Id, Stated::Id | Stated::Nothing, Typed::Plain) => Ok(()),
        }
    }
}

fn stated(claims: &Map<String, Value>) -> Stated {
    let said = ["typ", "token_use", "token_type"].map(|name| claims.get(name).and_then(Value::as_str));
    let any = |words: &[&str]| {
        let is_one = |said: &str| words.iter().any(|word| said.eq_ignore_ascii_case(word));
        said.into_iter().flatten().any(is_one)
    };
    let other = [
        "refresh",
        "refresh_token",
        "offline",
        "logout",
        "logout+jwt",
        "initialaccesstoken",
        "registrationaccesstoken",
        "dpop+jwt",
    ];
    if any(&other) {
        Stated::Other
    } else if any(&["id", "id_token"]) {
        Stated::Id
    } else if any(&["bearer", "dpop", "access", "access_token", "at+jwt"]) {
        Stated::Access
    } else {
        Stated::Nothing
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn j17_a_token_is_of_the_kind_it_says() {
        use TokenKind::{Access, Any, Id};
        let plain = Typed::Plain;
        let at = Typed::AccessToken;
        for (typed, claims, takes) in [
            (plain, json!({}), &[Any, Access, Id][..]),
            (at, json!({}), &[Any, Access]),
            (plain, json!({"nonce": "n"}), &[Any, Id]),
            (plain, json!({"at_hash": "h"}), &[Any, Id]),
            (plain, json!({"c_hash": "h"}), &[Any, Id]),
            (plain, json!({"s_hash": "h"}), &[Any, Id]),
            (plain, json!({"nonce": null}), &[Any, Id]),
            (at, json!({"nonce": "n"}), &[Any, Access]),
            (plain, json!({"typ": "ID"}), &[Any, Id]),
            (plain, json!({"typ": "Bearer", "nonce": "n"}), &[Any, Access]),
            (plain, json!({"token_use": "id"}), &[Any, Id]),
            (plain, json!({"token_use": "access"}), &[Any, Access]),
            (plain, json!({"typ": "Bearer", "token_use": "id"}), &[Any, Id]),
            (at, json!({"typ": "ID"}), &[Any]),
            (plain, json!({"typ": "Refresh"}), &[]),
            (plain, json!({"typ": "Offline"}), &[]),
            (plain, json!({"typ": "Logout"}), &[]),
            (plain, json!({"token_type": "refresh"}), &[]),
            (at, json!({"token_type": "refresh", "typ": "Bearer"}), &[]),
            (plain, json!({"events": {"http://schemas.openid.net/event/backchannel-logout": {}}}), &[]),
            (plain, json!({"events": null}), &[]),
            (plain, json!({"typ": "anything", "token_type": 1}), &[Any, Access, Id]),
        ] {
            let claims = claims.as_object().expect("an object");
            for kind in [Any, Access, Id] {
                let taken = kind.judge(typed, claims).is_ok();
                assert_eq!(taken, takes.contains(&kind), "{kind:?} {typed:?} {claims:?}");
            }
        }
    }
}
