//! HTTP Basic (RFC 7617): people with a password, known here only by its hash.

mod check;
mod password;

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::Value;

use crate::authn::Answer;
use crate::authn::BadCredential;
use crate::authn::Note;
use crate::authn::Question;
use crate::authn::Verdict;
use crate::authn::basic::check::Outcome;
use crate::authn::basic::check::Verifier;
use crate::authn::failures::client;
use crate::authn::pair::Pair;
use crate::authn::place::TokenPlace;
use crate::model::identity::Claims;
use crate::model::identity::Identity;
use crate::model::reason::Reason;

pub use check::PasswordAnswer;
pub use check::PasswordCheck;
pub use password::PasswordHash;
pub use password::PasswordHashError;

/// How long a right password is remembered by a source that does not say.
pub const DEFAULT_CACHE: SignedDuration = SignedDuration::from_mins(5);

/// What a source of users with passwords is built from.
#[derive(Debug)]
pub struct BasicSettings {
    /// The source's name in the configuration.
    pub source: Arc<str>,
    /// Never empty; no name twice.
    pub users: Vec<User>,
    /// How long a right password is remembered. A removed user is forgotten with the source.
    pub cache: SignedDuration,
    /// Passwords verified at one time.
    pub at_once: usize,
}

/// Somebody with a password.
#[derive(Clone, Debug)]
pub struct User {
    /// Not empty, without `:` and control characters.
    pub name: String,
    pub password: PasswordHash,
    pub groups: Vec<String>,
    pub email: Option<String>,
    pub display_name: Option<String>,
}

/// Why a source cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BasicError {
    #[error("there are no users")]
    NoUsers,
    #[error("`{0}` is not a name of a user")]
    Name(String),
    #[error("two users are called `{0}`")]
    Duplicate(String),
    #[error("the system gives no random numbers")]
    NoRandomness,
}

/// The users of one file.
pub struct BasicSource {
    name: Arc<str>,
    users: HashMap<String, Entry>,
    /// The hashes of all users, for names that nobody has.
    hashes: Vec<Arc<PasswordHash>>,
    strangers: RandomState,
    verifier: Arc<Verifier>,
}

struct Entry {
    password: Arc<PasswordHash>,
    /// Made in advance; handed out only after the password has been verified.
    identity: Arc<Identity>,
}

/// The one place.
const PLACES: [TokenPlace; 1] = [TokenPlace::Basic];

impl BasicSource {
    /// Build a source, or say what is wrong.
    pub fn build(settings: BasicSettings) -> Result<BasicSource, BasicError> {
        let BasicSettings { source, users, cache, at_once } = settings;
        if users.is_empty() {
            return Err(BasicError::NoUsers);
        }
        let mut entries = HashMap::with_capacity(users.len());
        let mut hashes = Vec::with_capacity(users.len());
        for user in users {
            let password = Arc::new(user.password.clone());
            let name = user.name.clone();
            let identity = identity(&source, user).ok_or_else(|| BasicError::Name(name.clone()))?;
            hashes.push(Arc::clone(&password));
            if entries.insert(name.clone(), Entry { password, identity: Arc::new(identity) }).is_some() {
                return Err(BasicError::Duplicate(name));
            }
        }
        let verifier = Verifier::new(at_once, cache).ok_or(BasicError::NoRandomness)?;
        let strangers = RandomState::new();
        Ok(BasicSource { name: source, users: entries, hashes, strangers, verifier: Arc::new(verifier) })
    }

    /// The one place where a name and a password stand.
    pub(super) fn places(&self) -> &[TokenPlace] {
        &PLACES
    }

    /// Judge a name and a password; `None` when that is not what was sent. `answer` is what came of an earlier
    /// [`Verdict::Needs`].
    pub(super) fn verify(
        &self,
        pair: Option<Pair>,
        address: Option<IpAddr>,
        now: Timestamp,
        answer: Option<&Answer>,
        notes: &mut dyn FnMut(Note<'_>),
    ) -> Verdict {
        let refuse = |reason, detail: &str| Verdict::Refused(BadCredential { reason, detail: detail.to_owned() });
        let Some(pair) = pair else {
            return refuse(Reason::PasswordInvalid, "the basic credential is not a user name and a password");
        };
        let of = self.verifier.fingerprint(&pair);
        let outcome = match (self.verifier.remembered(&of, now), answer) {
            (Some(outcome), _) => outcome,
            (None, Some(Answer::Password(answer))) if answer.of == of => answer.outcome,
            // The verification goes on, and the next try finds its end.
            (None, Some(_)) => {
                return refuse(Reason::UpstreamUnavailable, "the password could not be verified in time; it goes on");
            }
            (None, None) => return self.ask(pair, of, address.map(client), now),
        };
        match outcome {
            Outcome::Right => match self.users.get(&pair.user) {
                Some(entry) => {
                    notes(Note::Password { source: &self.name, user: &pair.user });
                    Verdict::Verified(entry.identity.clone())
                }
                None => refuse(Reason::Internal, "a password was verified of nobody"),
            },
            Outcome::Wrong => refuse(Reason::PasswordInvalid, "no user has this name and this password"),
            Outcome::Busy => refuse(Reason::Overloaded, "too many passwords are being verified"),
        }
    }

    fn ask(&self, pair: Pair, of: check::Fingerprint, client: Option<u64>, now: Timestamp) -> Verdict {
        if self.verifier.exhausted(&pair.user, client, now) {
            let detail = "too many wrong passwords of this client or this user within the minute".to_owned();
            return Verdict::Refused(BadCredential { reason: Reason::TooManyFailures, detail });
        }
        let Pair { user, password } = pair;
        let known = self.users.get(&user).map(|entry| &entry.password);
        let Some(hash) = known.or_else(|| self.somebodys(&user)).cloned() else {
            let detail = "there are no users".to_owned();
            return Verdict::Refused(BadCredential { reason: Reason::PasswordInvalid, detail });
        };
        let known = known.is_some();
        let verifier = Arc::clone(&self.verifier);
        Verdict::Needs(Question::Password(Arc::new(PasswordCheck {
            verifier,
            of,
            hash,
            known,
            password,
            user,
            client,
        })))
    }

    /// The hash of somebody, always the same for one name: names that nobody has take as long as those that
    /// somebody has, whatever parameters the users' hashes have (R1).
    fn somebodys(&self, name: &str) -> Option<&Arc<PasswordHash>> {
        let number = self.strangers.hash_one(name);
        self.hashes.get(usize::try_from(number % self.hashes.len().max(1) as u64).unwrap_or(0))
    }
}

fn identity(source: &Arc<str>, user: User) -> Option<Identity> {
    if user.name.contains(':') {
        return None;
    }
    let raw = [("user", Value::from(user.name.as_str()))];
    let identity = Identity::verified(Claims {
        source: source.clone(),
        issuer: source.clone(),
        subject: user.name.clone(),
        user: user.name,
        groups: user.groups,
        email_verified: user.email.is_some(),
        email: user.email,
        name: user.display_name,
        scopes: Vec::new(),
        raw: raw.map(|(name, value)| (name.to_owned(), value)).into_iter().collect(),
        expires: None,
    });
    identity.ok()
}

impl fmt::Debug for BasicSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BasicSource")
            .field("name", &self.name)
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
