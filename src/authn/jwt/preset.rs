//! What is known about the tokens of widespread identity providers, so that nobody has to write it.

use crate::authn::jwt::DEFAULT_MAX_LIFETIME;
use crate::authn::jwt::mapping::ClaimMapping;
use crate::authn::jwt::mapping::EmailProof;
use crate::authn::jwt::mapping::GroupClaim;
use crate::authn::jwt::mapping::Split;
use crate::model::claim_path::ClaimPath;

/// An identity provider whose claims are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    Keycloak,
    /// Microsoft Entra ID, version 2.0 tokens.
    Entra,
    Authelia,
    Okta,
    Google,
    /// ServiceAccount tokens of a Kubernetes cluster.
    Kubernetes,
}

impl Preset {
    /// Every preset.
    pub const ALL: [Preset; 6] =
        [Preset::Keycloak, Preset::Entra, Preset::Authelia, Preset::Okta, Preset::Google, Preset::Kubernetes];

    /// Read the name the configuration uses.
    pub fn parse(name: &str) -> Option<Preset> {
        Preset::ALL.into_iter().find(|preset| preset.name() == name)
    }

    /// The name the configuration uses.
    pub fn name(self) -> &'static str {
        match self {
            Preset::Keycloak => "keycloak",
            Preset::Entra => "entra",
            Preset::Authelia => "authelia",
            Preset::Okta => "okta",
            Preset::Google => "google",
            Preset::Kubernetes => "kubernetes",
        }
    }

    /// Where this provider writes what.
    pub fn mapping(self) -> ClaimMapping {
        let plain = |steps: &[&str]| GroupClaim::plain(ClaimPath::steps(steps));
        let (user, groups) = match self {
            Preset::Keycloak => {
                let clients = GroupClaim { split: Split::Clients, ..plain(&["resource_access"]) };
                ("preferred_username", vec![plain(&["groups"]), plain(&["realm_access", "roles"]), clients])
            }
            Preset::Entra => ("preferred_username", vec![plain(&["groups"]), plain(&["roles"])]),
            Preset::Authelia | Preset::Okta => ("preferred_username", vec![plain(&["groups"])]),
            // Google knows no user names; its addresses count only when verified.
            Preset::Google => ("email", vec![]),
            Preset::Kubernetes => ("sub", vec![]),
        };
        let mapping = ClaimMapping { user: ClaimPath::member(user), groups, ..ClaimMapping::default() };
        match self {
            // An address in Entra is whatever an administrator of any tenant wrote there, unless this claim says more.
            Preset::Entra => ClaimMapping { email_proof: EmailProof::Claim(ClaimPath::member("xms_edov")), ..mapping },
            Preset::Kubernetes => ClaimMapping { service_accounts: true, ..mapping },
            Preset::Keycloak | Preset::Authelia | Preset::Okta | Preset::Google => mapping,
        }
    }

    /// The longest life of its tokens, in seconds.
    pub fn max_lifetime(self) -> i64 {
        match self {
            // Tokens under continuous access evaluation live for up to 28 hours.
            Preset::Entra => 29 * 3600,
            Preset::Keycloak | Preset::Authelia | Preset::Okta | Preset::Google | Preset::Kubernetes => {
                DEFAULT_MAX_LIFETIME
            }
        }
    }

    /// Hosts besides the issuer's on which this provider publishes its keys.
    pub fn key_hosts(self) -> &'static [&'static str] {
        match self {
            Preset::Keycloak | Preset::Authelia | Preset::Okta | Preset::Kubernetes => &[],
            // Version 1.0 issuers are on `sts.windows.net`.
            Preset::Entra => &["login.microsoftonline.com"],
            Preset::Google => &["www.googleapis.com"],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preset_paths_are_what_their_text_means() {
        for preset in Preset::ALL {
            assert_eq!(Preset::parse(preset.name()), Some(preset));
            let ClaimMapping { user, groups, email, name, .. } = preset.mapping();
            for path in groups.iter().map(|group| &group.claim).chain([&user, &email, &name]) {
                let claims = serde_json::json!({
                    "preferred_username": 1, "email": 1, "name": 1, "groups": 1, "roles": 1, "realm_access": {"roles": 1},
                    "resource_access": 1, "sub": 1,
                });
                let claims = claims.as_object().expect("object");
                assert_eq!(path.lookup(claims), Some(&serde_json::json!(1)), "{path}");
                assert_eq!(
                    ClaimPath::parse(path.as_str()).expect("path").lookup(claims),
                    path.lookup(claims),
                    "{path}"
                );
            }
        }
        assert_eq!(Preset::parse("Keycloak"), None);
    }
}
