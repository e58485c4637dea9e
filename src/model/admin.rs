//! Who may do what on the admin listener.

use std::net::IpAddr;

use crate::model::secret::Secret;

/// Whoever reaches the listener may read, if they call it by a name of ours. To change something takes the unix socket or
/// the token.
#[derive(Debug, Default)]
pub struct AdminRules {
    /// What a bearer of it may do everything with.
    pub token: Option<Secret<Vec<u8>>>,
    /// Names we are called by, in lower case, besides those that no stranger can give us.
    pub hosts: Vec<String>,
}

/// Endings of names that the public DNS does not know, so that nobody can have them point at us.
const PRIVATE: [&str; 5] = [".localhost", ".local", ".internal", ".svc", ".svc.cluster.local"];

impl AdminRules {
    /// Is this a name of ours, as a `Host` field has it? A page of a stranger whose name was made to point at us
    /// (DNS rebinding) brings the stranger's.
    pub fn is_our_name(&self, authority: &str) -> bool {
        let host = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((address, _)) => address,
            None => authority.split(':').next().unwrap_or_default(),
        };
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        host.parse::<IpAddr>().is_ok()
            || (!host.is_empty() && !host.contains('.'))
            || PRIVATE.iter().any(|ending| host.ends_with(ending))
            || self.hosts.contains(&host)
    }

    /// Is this the token?
    pub fn is_token(&self, shown: &[u8]) -> bool {
        self.token.as_ref().is_some_and(|token| *token == Secret::new(shown.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f9_names_that_strangers_can_have_are_not_ours() {
        let rules = AdminRules { hosts: vec!["postern.corp.test".to_owned()], token: None };
        for (authority, want) in [
            ("127.0.0.1:9193", true),
            ("[::1]:9193", true),
            ("[::1]", true),
            ("localhost", true),
            ("postern:9193", true),
            ("postern.prod.svc:9193", true),
            ("postern.prod.svc.cluster.local:9193", true),
            ("Postern.Corp.test:9193", true),
            ("postern.corp.test.", true),
            ("rebind.test:9193", false),
            ("127.0.0.1.rebind.test", false),
            ("localhost.rebind.test", false),
            ("", false),
            (":9193", false),
        ] {
            assert_eq!(rules.is_our_name(authority), want, "{authority}");
        }
    }

    #[test]
    fn f9_without_a_token_nothing_is_one() {
        let with = AdminRules { token: Some(Secret::new(b"0123456789abcdef".to_vec())), hosts: Vec::new() };
        let without = AdminRules::default();
        for (shown, want) in
            [(&b"0123456789abcdef"[..], true), (b"0123456789abcdeF", false), (b"0123456789abcde", false), (b"", false)]
        {
            assert_eq!((with.is_token(shown), without.is_token(shown)), (want, false), "{shown:?}");
        }
    }
}
