//! Texts that tokens are full of: a word takes one octet. The list may change with any version: nothing packed outlives
//! the process.

use std::sync::LazyLock;

use hashbrown::HashMap;

/// Names of claims (RFC 7519 §4.1, RFC 7662 §2.2, RFC 9068 §2.2, OpenID Connect Core §2 and §5.1, and what Keycloak,
/// Entra, Okta, Google and Kubernetes add), and what is often in them. At most 112: a tag is ASCII.
const WORDS: &str = "\
    iss sub aud exp nbf iat jti azp client_id scope scp auth_time nonce acr amr sid typ at_hash c_hash \
    s_hash cnf active username token_type token_use name given_name family_name middle_name nickname \
    preferred_username profile picture website email email_verified gender birthdate zoneinfo locale \
    phone_number phone_number_verified address updated_at groups roles role entitlements permissions \
    realm_access resource_access session_state allowed-origins account tid oid upn ver idp appid \
    appidacr azpacr aio rh uti unique_name ipaddr wids idtyp xms_tcdt hd uid cid org org_id tenant \
    department kubernetes.io namespace serviceaccount pod node warnafter user id owner uri dns \
    common_name fingerprint client act Bearer ID JWT access openid offline_access uma_authorization \
    manage-account manage-account-links view-profile read write admin pwd mfa phone 0 1";

/// No word is longer, in octets.
const LONGEST: usize = 21;

static TEXTS: LazyLock<Vec<&str>> = LazyLock::new(|| WORDS.split(' ').collect());
// Hashed quickly: nothing is ever put in.
static NUMBERS: LazyLock<HashMap<&str, u8>> = LazyLock::new(|| TEXTS.iter().copied().zip(0..).collect());

/// The number of a word.
pub(super) fn number(text: &str) -> Option<u8> {
    if text.len() > LONGEST {
        return None;
    }
    NUMBERS.get(text).copied()
}

/// The word of a number.
pub(super) fn text(number: u8) -> Option<&'static str> {
    TEXTS.get(usize::from(number)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_one_number_and_room_for_its_tag() {
        assert!(TEXTS.len() + usize::from(crate::model::claim::tag::WORD) <= 0x80);
        for word in TEXTS.iter().copied() {
            assert!(word.len() <= LONGEST, "{word}");
            assert_eq!(number(word).and_then(text), Some(word));
        }
        assert_eq!(text(TEXTS.len() as u8), None);
        assert_eq!(NUMBERS.len(), TEXTS.len());
    }
}
