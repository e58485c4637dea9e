//! Who is asking, once proven.

use std::sync::Arc;
use std::sync::OnceLock;

use crate::model::claim::Claim;
use crate::model::claim::List;
use crate::model::claim::Object;
use crate::model::claim::Packed;
use crate::model::claim::Packer;
use crate::model::claim::Texts;
use crate::model::claim_path::ClaimPath;
use crate::model::reason::Reason;
use crate::model::record::Counts;
use crate::model::response::AllowHeaders;

/// A proven identity. The only way to one is [`Identity::verified`], called by the sources in `authn`
/// after the credential has been checked: a search for that name lists every place that trusts someone.
#[derive(Clone, Debug)]
pub struct Identity {
    source: Arc<str>,
    issuer: Arc<str>,
    /// Everything else, in the order of [`part`].
    facts: Packed,
    prepared: OnceLock<Prepared>,
}

/// What stands where among the packed facts: what is asked for most comes first.
mod part {
    pub(super) const SUBJECT: usize = 0;
    pub(super) const USER: usize = 1;
    pub(super) const GROUPS: usize = 2;
    pub(super) const EMAIL: usize = 3;
    pub(super) const EMAIL_VERIFIED: usize = 4;
    pub(super) const NAME: usize = 5;
    pub(super) const SCOPES: usize = 6;
    pub(super) const EXPIRES: usize = 7;
    pub(super) const RAW: usize = 8;
}

/// The headers of an allow to this caller.
#[derive(Clone, Debug)]
struct Prepared {
    terms: Terms,
    headers: Arc<AllowHeaders>,
    counts: Counts,
}

/// What the headers of an allow depend on besides the caller.
#[derive(Clone, Debug)]
pub struct Terms {
    /// Digest of the policy: of the very one, not of an equal one.
    pub policy: Arc<str>,
    /// The route's list of identity sources.
    pub sources: usize,
}

impl PartialEq for Terms {
    fn eq(&self, other: &Terms) -> bool {
        Arc::ptr_eq(&self.policy, &other.policy) && self.sources == other.sources
    }
}

/// What a source learned about a caller.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    /// The source's name in the configuration (`identity:` key).
    pub source: Arc<str>,
    /// Who vouches: the token's issuer, or the source's name where there is none.
    pub issuer: Arc<str>,
    /// The issuer's stable id of the subject (`sub`).
    pub subject: String,
    /// The user name sent upstream and compared by `users`.
    pub user: String,
    /// Groups in the order the source gave them, without duplicates.
    pub groups: Vec<String>,
    /// Mail address, when the source has one.
    pub email: Option<String>,
    /// `email_verified` is true.
    pub email_verified: bool,
    /// Display name, when the source has one.
    pub name: Option<String>,
    /// OAuth scopes.
    pub scopes: Vec<String>,
    /// The verified claims, for conditions on `claims`.
    pub raw: serde_json::Map<String, serde_json::Value>,
    /// When the credential ends, in seconds since 1970.
    pub expires: Option<i64>,
}

impl Identity {
    /// The one constructor. The caller states that the credential was verified; here the subject and the
    /// user must still be sound: not empty, no surrounding white space, no control characters (I7).
    pub fn verified(claims: Claims) -> Result<Identity, Reason> {
        let sound = |text: &str| !text.is_empty() && text.trim() == text && !text.chars().any(char::is_control);
        if !sound(&claims.subject) || !sound(&claims.user) {
            return Err(Reason::TokenClaims);
        }
        let facts = pack(&claims);
        let (source, issuer) = (Arc::clone(&claims.source), Arc::clone(&claims.issuer));
        let identity = Identity { source, issuer, facts, prepared: OnceLock::new() };
        // A fact that got lost could be one that shuts somebody out, so all of them are read back, once.
        if identity.says(&claims) { Ok(identity) } else { Err(Reason::Internal) }
    }

    /// The source's name in the configuration (`identity:` key).
    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Who vouches: the token's issuer, or the source's name where there is none.
    pub fn issuer(&self) -> &Arc<str> {
        &self.issuer
    }

    /// The issuer's stable id of the subject (`sub`).
    pub fn subject(&self) -> &str {
        self.text(part::SUBJECT).unwrap_or_default()
    }

    /// The user name sent upstream and compared by `users`.
    pub fn user(&self) -> &str {
        self.text(part::USER).unwrap_or_default()
    }

    /// Groups in the order the source gave them, without duplicates.
    pub fn groups(&self) -> Texts<'_> {
        self.texts(part::GROUPS)
    }

    /// Mail address, when the source has one.
    pub fn email(&self) -> Option<&str> {
        self.text(part::EMAIL)
    }

    /// Has somebody verified it?
    pub fn email_verified(&self) -> bool {
        self.facts.value(part::EMAIL_VERIFIED) == Some(Claim::Bool(true))
    }

    /// Display name, when the source has one.
    pub fn name(&self) -> Option<&str> {
        self.text(part::NAME)
    }

    /// OAuth scopes.
    pub fn scopes(&self) -> Texts<'_> {
        self.texts(part::SCOPES)
    }

    /// When the credential ends, in seconds since 1970.
    pub fn expires(&self) -> Option<i64> {
        whole(&self.facts.value(part::EXPIRES)?)
    }

    /// The verified claim at this path.
    pub fn claim(&self, path: &ClaimPath) -> Option<Claim<'_>> {
        path.find(self.raw()?)
    }

    /// The verified claim of this name.
    pub fn member(&self, name: &str) -> Option<Claim<'_>> {
        self.raw()?.member(name)
    }

    /// About how many octets it takes.
    pub fn size(&self) -> usize {
        size_of::<Identity>().saturating_add(self.facts.size())
    }

    /// Everything, as the source gave it.
    #[cfg(test)]
    pub(crate) fn unpacked(&self) -> Claims {
        let texts = |texts: Texts<'_>| texts.iter().map(str::to_owned).collect();
        Claims {
            source: Arc::clone(&self.source),
            issuer: Arc::clone(&self.issuer),
            subject: self.subject().to_owned(),
            user: self.user().to_owned(),
            groups: texts(self.groups()),
            email: self.email().map(str::to_owned),
            email_verified: self.email_verified(),
            name: self.name().map(str::to_owned),
            scopes: texts(self.scopes()),
            raw: self.raw().into_iter().flatten().map(|(name, claim)| (name.to_owned(), claim.tree())).collect(),
            expires: self.expires(),
        }
    }

    fn raw(&self) -> Option<Object<'_>> {
        match self.facts.value(part::RAW)? {
            Claim::Object(members) => Some(members),
            Claim::Null | Claim::Bool(_) | Claim::Number(_) | Claim::Text(_) | Claim::List(_) => None,
        }
    }

    fn text(&self, part: usize) -> Option<&str> {
        self.facts.value(part)?.text()
    }

    fn texts(&self, part: usize) -> Texts<'_> {
        self.facts.value(part).map_or_else(List::default, |claim| claim.list()).into()
    }

    /// Are these the facts? They are gone through once, in the order of [`part`].
    fn says(&self, claims: &Claims) -> bool {
        let Claims { subject, user, groups, email, email_verified, name, scopes, raw, expires, .. } = claims;
        let texts = |fact: &Claim<'_>, wanted: &[String]| Texts::from(fact.list()).iter().eq(wanted);
        let mut facts = self.facts.values();
        let mut next = || facts.next().unwrap_or(Claim::Null);
        next().text() == Some(subject)
            && next().text() == Some(user)
            && texts(&next(), groups)
            && next().text() == email.as_deref()
            && next() == Claim::Bool(*email_verified)
            && next().text() == name.as_deref()
            && texts(&next(), scopes)
            && whole(&next()) == *expires
            && matches!(next(), Claim::Object(members) if members.is(raw))
    }
}

/// The whole number, if it is one.
fn whole(claim: &Claim<'_>) -> Option<i64> {
    match claim {
        Claim::Number(number) => number.as_i64(),
        Claim::Null | Claim::Bool(_) | Claim::Text(_) | Claim::List(_) | Claim::Object(_) => None,
    }
}

/// In the order of [`part`].
fn pack(claims: &Claims) -> Packed {
    let mut packer = Packer::new();
    packer.text(&claims.subject);
    packer.text(&claims.user);
    packer.texts(claims.groups.iter().map(String::as_str));
    packer.maybe_text(claims.email.as_deref());
    packer.truth(claims.email_verified);
    packer.maybe_text(claims.name.as_deref());
    packer.texts(claims.scopes.iter().map(String::as_str));
    packer.maybe_whole(claims.expires);
    packer.object(&claims.raw);
    packer.finish()
}

impl Identity {
    /// The same identity, of which no headers are prepared yet: for another policy than the one that asked first.
    pub fn unprepared(&self) -> Identity {
        let Identity { source, issuer, facts, prepared: _ } = self;
        let (source, issuer) = (Arc::clone(source), Arc::clone(issuer));
        Identity { source, issuer, facts: facts.clone(), prepared: OnceLock::new() }
    }

    /// The headers of an allow to this caller, and what was left out of them. They are kept for the first terms that
    /// ask, which are as good as always the only ones.
    pub fn allow_headers<E>(
        &self,
        terms: Terms,
        prepare: impl FnOnce() -> Result<(AllowHeaders, Counts), E>,
    ) -> Result<(Arc<AllowHeaders>, Counts), E> {
        if let Some(kept) = self.prepared.get().filter(|kept| kept.terms == terms) {
            return Ok((Arc::clone(&kept.headers), kept.counts));
        }
        let (headers, counts) = prepare()?;
        let headers = Arc::new(headers);
        // Another thread may have been faster, or other terms were: then it stays as it is.
        let _ = self.prepared.set(Prepared { terms, headers: Arc::clone(&headers), counts });
        Ok((headers, counts))
    }
}

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        (&self.source, &self.issuer, &self.facts) == (&other.source, &other.issuer, &other.facts)
    }
}

impl Identity {
    /// Is the claim at this path a mail address that nobody has verified? Anybody can give any address as theirs.
    pub fn states_unverified_mail(&self, path: &ClaimPath) -> bool {
        if !path.starts_at("email") {
            return false;
        }
        let stated = self.member("email").and_then(|claim| claim.text());
        stated.is_some() && self.email().filter(|_| self.email_verified()) != stated
    }
}

/// The caller of one request.
#[derive(Clone, Debug, PartialEq)]
pub enum Principal {
    /// Nobody proved anything (public routes, or `anonymous` as a last source).
    Anonymous,
    /// A proven identity.
    Identified(Arc<Identity>),
}

impl Principal {
    /// The identity, if there is one.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Principal::Anonymous => None,
            Principal::Identified(identity) => Some(identity),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i7_unsound_subjects_and_users_are_refused() {
        let claims = |subject: &str, user: &str| Claims {
            source: "people".into(),
            issuer: "https://sso.test".into(),
            subject: subject.into(),
            user: user.into(),
            groups: vec![],
            email: None,
            email_verified: false,
            name: None,
            scopes: vec![],
            raw: serde_json::Map::new(),
            expires: None,
        };
        for (subject, user, good) in [
            ("1", "alice", true),
            ("1", "Zoë", true),
            ("", "alice", false),
            ("1", "", false),
            (" 1", "alice", false),
            ("1", "alice ", false),
            ("1", "ali\nce", false),
            ("1\0", "alice", false),
        ] {
            assert_eq!(Identity::verified(claims(subject, user)).is_ok(), good, "{subject:?} {user:?}");
        }
    }

    #[test]
    fn j8_an_identity_says_what_its_source_said() {
        let raw = serde_json::json!({
            "sub": "1", "groups": ["a", "b"], "level": -3, "deep": {"list": [1.5, null, true, {"x": "a"}]}, "email": "",
        });
        let plain = Claims {
            source: "people".into(),
            issuer: "https://sso.test".into(),
            subject: "1".into(),
            user: "Zoë".into(),
            groups: vec![],
            email: None,
            email_verified: false,
            name: None,
            scopes: vec![],
            raw: serde_json::Map::new(),
            expires: None,
        };
        let full = Claims {
            groups: vec!["a".into(), "b".into(), "a b".into(), String::new()],
            email: Some("zoe@corp.test".into()),
            email_verified: true,
            name: Some("Zoë".into()),
            scopes: vec!["read".into(), "openid".into()],
            raw: raw.as_object().expect("an object").clone(),
            expires: Some(1_800_000_000),
            ..plain.clone()
        };
        for claims in [plain.clone(), full.clone()] {
            assert_eq!(Identity::verified(claims.clone()).map(|identity| identity.unpacked()), Ok(claims));
        }
        let identity = Identity::verified(full.clone()).expect("an identity");
        for (path, want) in
            [("deep.list", Some(raw["deep"]["list"].clone())), ("level", Some((-3).into())), ("x", None)]
        {
            let path = ClaimPath::parse(path).expect("a path");
            assert_eq!(identity.claim(&path).map(|claim| claim.tree()), want, "{path}");
        }
        // What differs in any fact is not what was packed.
        for other in [
            Claims { groups: vec!["a".into()], ..full.clone() },
            Claims { email_verified: false, ..full.clone() },
            Claims { scopes: vec![], ..full.clone() },
            Claims { raw: serde_json::Map::new(), ..full.clone() },
            Claims { expires: None, ..full.clone() },
            plain,
        ] {
            assert!(!identity.says(&other), "{other:?}");
        }
    }
}
