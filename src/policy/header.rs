//! The identity headers of an allow: each owned header is set, or made absent.

pub mod extra;

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use http::HeaderName;
use thiserror::Error;

use crate::model::header::HeaderText;
use crate::model::identity::Identity;
use crate::model::reason::Reason;
use crate::model::record::Counts;
use crate::policy::encoding::Encoding;
use crate::policy::header::extra::ExtraHeader;
use crate::policy::header::extra::Written;

/// The identity headers that are ours even where a policy does not name them: applications trust them by these names.
pub const ALWAYS_OWNED: [&str; 4] = ["remote-user", "remote-groups", "remote-email", "remote-name"];

/// Names besides the owned ones that no client may say. Envoy adds the first to a request that it lets pass because
/// nobody answered its check (`failure_mode_allow_header_add`), and applications may act upon it (F2).
pub const NEVER_THE_CLIENTS: [&str; 1] = ["x-envoy-auth-failure-mode-allowed"];

/// The `defaults.headers` and `defaults.groups` settings, built.
#[derive(Clone, Debug)]
pub struct OutgoingHeaders {
    pub user: Option<HeaderName>,
    pub groups: Option<HeaderName>,
    pub email: Option<HeaderName>,
    pub name: Option<HeaderName>,
    pub user_encoding: Encoding,
    pub name_encoding: Encoding,
    pub group_rule: GroupRule,
    /// The header of the signed assertion, which others write.
    pub assertion: Option<HeaderName>,
    /// Headers besides these, in the order written; no name twice.
    pub extra: Vec<ExtraHeader>,
}

/// How groups are written.
#[derive(Clone, Debug)]
pub struct GroupRule {
    /// Send only groups that the policy mentions, always.
    pub only_mentioned: bool,
    /// Groups the policy mentions anywhere.
    pub mentioned: HashSet<Arc<str>>,
    /// The longest value, in octets.
    pub max_bytes: usize,
    pub format: GroupFormat,
}

/// How several groups become one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupFormat {
    /// Separated by this character.
    List { separator: char, encoding: Encoding },
    /// A JSON array of texts in ASCII: the separator may then be part of a group.
    Json,
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
    if reserved {
        return Err(HeaderNameError::Reserved(text.to_owned()));
    }
    // Every allow has these names, and what is static need not be counted.
    let usual = ALWAYS_OWNED.into_iter().find(|usual| name == *usual);
    Ok(usual.map_or(name, HeaderName::from_static))
}

impl OutgoingHeaders {
    /// Every header that only we may set.
    pub fn owned(&self) -> Vec<HeaderName> {
        let mut owned: Vec<HeaderName> = ALWAYS_OWNED.into_iter().map(HeaderName::from_static).collect();
        let four = [&self.user, &self.groups, &self.email, &self.name].into_iter().flatten();
        for name in four.chain(&self.assertion).chain(self.extra.iter().map(|extra| &extra.name)) {
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
            let user = self.user_encoding.write(identity.user(), None).and_then(HeaderText::new);
            set.push((header.clone(), user.ok_or(Reason::IdentityNotEncodable)?));
        }
        if let Some(header) = &self.groups
            && let Some(groups) = self.group_rule.join(identity.groups().iter(), counts)?
        {
            set.push((header.clone(), groups));
        }
        // Whose mail domain would `a@b@c` be? Applications disagree, so it is nobody's (I7).
        let email = identity.email().map(|email| (email, email.matches('@').count() == 1, Encoding::Plain));
        let name = identity.name().map(|name| (name, true, self.name_encoding));
        for (header, value) in [(&self.email, email), (&self.name, name)] {
            if let (Some(header), Some((value, sound, encoding))) = (header, value) {
                match encoding.write(value, None).filter(|_| sound).and_then(HeaderText::new) {
                    Some(text) => set.push((header.clone(), text)),
                    None => counts.dropped_values += 1,
                }
            }
        }
        for extra in &self.extra {
            match extra.write(identity) {
                Written::Text(text) => set.push((extra.name.clone(), text)),
                Written::Absent => {}
                Written::Dropped => counts.dropped_values += 1,
            }
        }
        Ok(set)
    }
}

impl GroupRule {
    /// One value for all groups; `None` when there is none to send. Never cut short: what does not fit is refused.
    fn join<'g>(
        &self,
        groups: impl Iterator<Item = &'g str>,
        counts: &mut Counts,
    ) -> Result<Option<HeaderText>, Reason> {
        let mut chosen: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(8);
        for group in groups {
            match self.format.write(group) {
                Some(written) => chosen.push((group, written)),
                None => counts.dropped_groups += 1,
            }
        }
        if self.only_mentioned || self.format.length(&chosen) > self.max_bytes {
            chosen.retain(|(group, _)| self.mentioned.contains(*group));
        }
        if self.format.length(&chosen) > self.max_bytes {
            return Err(Reason::GroupsTooLarge);
        }
        Ok(if chosen.is_empty() { None } else { HeaderText::new(self.format.join(&chosen)) })
    }
}

impl GroupFormat {
    /// One group as it stands among others; `None` when it cannot.
    fn write(self, group: &str) -> Option<Cow<'_, str>> {
        match self {
            GroupFormat::List { separator, encoding } => encoding.write(group, Some(separator)),
            GroupFormat::Json if group.is_empty() || group.chars().any(char::is_control) => None,
            GroupFormat::Json => Some(Cow::Owned(extra::ascii(&serde_json::Value::from(group).to_string()))),
        }
    }

    fn length(self, groups: &[(&str, Cow<'_, str>)]) -> usize {
        let (between, around) = match self {
            GroupFormat::List { separator, .. } => (separator.len_utf8(), 0),
            GroupFormat::Json => (1, 2),
        };
        let texts: usize = groups.iter().map(|(_, written)| written.len() + between).sum();
        texts.saturating_sub(between) + around
    }

    fn join(self, groups: &[(&str, Cow<'_, str>)]) -> String {
        let texts: Vec<&str> = groups.iter().map(|(_, written)| written.as_ref()).collect();
        match self {
            GroupFormat::List { separator, .. } => texts.join(separator.encode_utf8(&mut [0; 4])),
            GroupFormat::Json => format!("[{}]", texts.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::condition::testing::identity;

    fn rule(only_mentioned: bool, mentioned: &[&str], max_bytes: usize) -> GroupRule {
        GroupRule {
            only_mentioned,
            mentioned: mentioned.iter().map(|group| (*group).into()).collect(),
            max_bytes,
            format: GroupFormat::List { separator: ',', encoding: Encoding::Plain },
        }
    }

    fn joined(rule: &GroupRule, groups: &[&str]) -> (Result<Option<String>, Reason>, u32) {
        let mut counts = Counts::default();
        let joined =
            rule.join(groups.iter().copied(), &mut counts).map(|text| text.map(|text| text.as_str().to_owned()));
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
    fn i6_a_separator_in_a_group_is_encoded_or_needs_json() {
        let groups = ["a,b", "gr\u{fc}n", "c \"d\\", "\u{1f600}", "e\nf"];
        for (format, want, dropped) in [
            (GroupFormat::List { separator: ',', encoding: Encoding::Plain }, r#"c "d\"#, 4),
            (GroupFormat::List { separator: '|', encoding: Encoding::Plain }, r#"a,b|c "d\"#, 3),
            (
                GroupFormat::List { separator: ',', encoding: Encoding::Percent },
                r#"a%2Cb,gr%C3%BCn,c "d\,%F0%9F%98%80"#,
                1,
            ),
            (
                GroupFormat::List { separator: ',', encoding: Encoding::Rfc2047 },
                r#"=?UTF-8?B?YSxi?=,=?UTF-8?B?Z3LDvG4=?=,c "d\,=?UTF-8?B?8J+YgA==?="#,
                1,
            ),
            (GroupFormat::Json, r#"["a,b","gr\u00fcn","c \"d\\","\ud83d\ude00"]"#, 1),
        ] {
            let rule = GroupRule { format, ..rule(false, &[], want.len()) };
            assert_eq!(joined(&rule, &groups), (Ok(Some(want.to_owned())), dropped), "{format:?}");
            let short = GroupRule { format, ..rule_of(want.len() - 1) };
            assert_eq!(joined(&short, &groups).0, Err(Reason::GroupsTooLarge), "{format:?}");
        }
        let json = GroupRule { format: GroupFormat::Json, ..rule(false, &[], 100) };
        assert_eq!(joined(&json, &[]), (Ok(None), 0));
    }

    /// Every group is mentioned, so that what does not fit is refused.
    fn rule_of(max_bytes: usize) -> GroupRule {
        rule(false, &["a,b", "gr\u{fc}n", "c \"d\\", "\u{1f600}"], max_bytes)
    }

    #[test]
    fn i5_only_printable_ascii_leaves() {
        let headers = OutgoingHeaders {
            user: Some(HeaderName::from_static("remote-user")),
            groups: Some(HeaderName::from_static("remote-groups")),
            email: Some(HeaderName::from_static("remote-email")),
            name: Some(HeaderName::from_static("x-name")),
            user_encoding: Encoding::Plain,
            name_encoding: Encoding::Plain,
            group_rule: rule(false, &[], 3000),
            assertion: None,
            extra: Vec::new(),
        };
        let mut counts = Counts::default();
        let mut claims = identity("alice", &["ops"]).as_ref().clone();
        claims = Identity::verified(crate::model::identity::Claims {
            name: Some("Älice".into()),
            email: Some("alice@corp.test".into()),
            ..claims.unpacked()
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
    fn i1_identity_headers_may_not_be_called_anything() {
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
