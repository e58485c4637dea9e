//! The identity headers of an allow: each owned header is set, or made absent.

use std::collections::HashSet;

use http::HeaderName;
use thiserror::Error;

use crate::model::header::HeaderText;
use crate::model::identity::Identity;
use crate::model::reason::Reason;
use crate::model::record::Counts;

/// The identity headers that are ours even where a policy does not name them: applications trust them by these names.
pub const ALWAYS_OWNED: [&str; 4] = ["remote-user", "remote-groups", "remote-email", "remote-name"];

/// The `defaults.headers` and `defaults.groups` settings, built.
#[derive(Clone, Debug)]
pub struct OutgoingHeaders {
    pub user: Option<HeaderName>,
    pub groups: Option<HeaderName>,
    pub email: Option<HeaderName>,
    pub name: Option<HeaderName>,
    pub group_rule: GroupRule,
}

/// How groups are written.
#[derive(Clone, Debug)]
pub struct GroupRule {
    /// Send only groups that the policy mentions, always.
    pub only_mentioned: bool,
    /// Groups the policy mentions anywhere.
    pub mentioned: HashSet<String>,
    /// The longest value, in octets.
    pub max_bytes: usize,
    pub separator: char,
}

/// Why a header may not carry an identity.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HeaderNameError {
    #[error("`{0}` is not a header name")]
    Grammar(String),
    #[error("`{0}` means something to proxies and servers; an identity header may not be called so")]
    Reserved(String),
}

/// Read the name of an identity header.
pub fn parse_name(text: &str) -> Result<HeaderName, HeaderNameError> {
    const RESERVED: [&str; 8] = [
        "host",
        "cookie",
        "authorization",
        "connection",
        "content-length",
        "transfer-encoding",
        "set-cookie",
        "proxy-authorization",
    ];
    let name = HeaderName::from_bytes(text.as_bytes()).map_err(|_| HeaderNameError::Grammar(text.to_owned()))?;
    // A name with odd characters would be an alias of another in servers of the CGI kind.
    if !name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(HeaderNameError::Grammar(text.to_owned()));
    }
    let reserved = RESERVED.contains(&name.as_str())
        || ["x-forwarded-", "x-envoy-", "x-original-", "x-postern-", "x-auth-status", "x-login-url", "sec-"]
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix))
        || ["upgrade", "te", "trailer", "keep-alive", "x-real-ip", "forwarded", "www-authenticate"]
            .contains(&name.as_str());
    if reserved { Err(HeaderNameError::Reserved(text.to_owned())) } else { Ok(name) }
}

impl OutgoingHeaders {
    /// Every header that only we may set.
    pub fn owned(&self) -> Vec<HeaderName> {
        let mut owned: Vec<HeaderName> = ALWAYS_OWNED.into_iter().map(HeaderName::from_static).collect();
        for name in [&self.user, &self.groups, &self.email, &self.name].into_iter().flatten() {
            if !owned.contains(name) {
                owned.push(name.clone());
            }
        }
        owned
    }

    /// The headers that carry an identity, or why it cannot be carried.
    pub fn of(&self, identity: &Identity, counts: &mut Counts) -> Result<Vec<(HeaderName, HeaderText)>, Reason> {
        let mut set = Vec::with_capacity(4);
        if let Some(header) = &self.user {
            let user = HeaderText::new(identity.user.clone()).ok_or(Reason::IdentityNotEncodable)?;
            set.push((header.clone(), user));
        }
        if let Some(header) = &self.groups
            && let Some(groups) = self.group_rule.join(&identity.groups, counts)?
        {
            set.push((header.clone(), groups));
        }
        for (header, value) in [(&self.email, &identity.email), (&self.name, &identity.name)] {
            if let (Some(header), Some(value)) = (header, value) {
                match HeaderText::new(value.clone()) {
                    Some(text) => set.push((header.clone(), text)),
                    None => counts.dropped_values += 1,
                }
            }
        }
        Ok(set)
    }
}

impl GroupRule {
    /// One value for all groups; `None` when there is none to send. Never cut short: what does not fit is refused.
    fn join(&self, groups: &[String], counts: &mut Counts) -> Result<Option<HeaderText>, Reason> {
        let fitting: Vec<&str> = groups
            .iter()
            .map(String::as_str)
            .filter(|group| {
                let fits = HeaderText::fits(group) && !group.contains(self.separator);
                counts.dropped_groups += u32::from(!fits);
                fits
            })
            .collect();
        let mentioned = || fitting.iter().copied().filter(|group| self.mentioned.contains(*group)).collect::<Vec<_>>();
        let mut chosen = if self.only_mentioned { mentioned() } else { fitting.clone() };
        if self.length(&chosen) > self.max_bytes && !self.only_mentioned {
            chosen = mentioned();
        }
        if self.length(&chosen) > self.max_bytes {
            return Err(Reason::GroupsTooLarge);
        }
        Ok(HeaderText::new(chosen.join(self.separator.encode_utf8(&mut [0; 4]))))
    }

    fn length(&self, groups: &[&str]) -> usize {
        groups.iter().map(|group| group.len() + self.separator.len_utf8()).sum::<usize>().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::condition::testing::identity;

    fn rule(only_mentioned: bool, mentioned: &[&str], max_bytes: usize) -> GroupRule {
        GroupRule {
            only_mentioned,
            mentioned: mentioned.iter().map(|group| (*group).to_owned()).collect(),
            max_bytes,
            separator: ',',
        }
    }

    fn joined(rule: &GroupRule, groups: &[&str]) -> (Result<Option<String>, Reason>, u32) {
        let mut counts = Counts::default();
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        let joined = rule.join(&groups, &mut counts).map(|text| text.map(|text| text.as_str().to_owned()));
        (joined, counts.dropped_groups)
    }

    #[test]
    fn groups_are_joined_dropped_or_refused_but_never_cut() {
        let some = |text: &str| Ok(Some(text.to_owned()));
        assert_eq!(joined(&rule(false, &[], 100), &["a", "b"]), (some("a,b"), 0));
        assert_eq!(joined(&rule(false, &[], 100), &[]), (Ok(None), 0));
        assert_eq!(joined(&rule(false, &[], 100), &["a,b", "c", "gr\u{fc}n"]), (some("c"), 2));
        assert_eq!(joined(&rule(true, &["b"], 100), &["a", "b"]), (some("b"), 0));
        assert_eq!(joined(&rule(false, &["bb"], 3), &["aa", "bb"]), (some("bb"), 0));
        assert_eq!(joined(&rule(false, &["aa", "bb"], 5), &["aa", "bb"]), (some("aa,bb"), 0));
        assert_eq!(joined(&rule(false, &["aa", "bb"], 4), &["aa", "bb"]), (Err(Reason::GroupsTooLarge), 0));
    }

    #[test]
    fn only_printable_ascii_leaves() {
        let headers = OutgoingHeaders {
            user: Some(HeaderName::from_static("remote-user")),
            groups: Some(HeaderName::from_static("remote-groups")),
            email: Some(HeaderName::from_static("remote-email")),
            name: Some(HeaderName::from_static("x-name")),
            group_rule: rule(false, &[], 3000),
        };
        let mut counts = Counts::default();
        let mut claims = identity("alice", &["ops"]).as_ref().clone();
        claims = Identity::verified(crate::model::identity::Claims {
            name: Some("Älice".into()),
            email: Some("alice@corp.test".into()),
            ..(*claims).clone()
        })
        .expect("an identity");
        let set = headers.of(&claims, &mut counts).expect("headers");
        let text: Vec<_> = set.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(text, ["remote-user: alice", "remote-groups: ops", "remote-email: alice@corp.test"]);
        assert_eq!(counts.dropped_values, 1);
        assert_eq!(headers.of(&identity("älice", &[]), &mut counts), Err(Reason::IdentityNotEncodable));
        assert_eq!(headers.owned().len(), 5);
    }

    #[test]
    fn identity_headers_may_not_be_called_anything() {
        for name in ["Remote-User", "X-User", "X-Auth-Request-Email"] {
            assert!(parse_name(name).is_ok(), "{name}");
        }
        for name in [
            "Host",
            "cookie",
            "Authorization",
            "Connection",
            "X-Forwarded-User",
            "X-Envoy-User",
            "Set-Cookie",
            ":path",
            "",
            "a b",
            "Remote_User",
        ] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }
}
