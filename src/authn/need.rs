//! What cannot be judged without waiting, and what came of the wait. Sources judge synchronously: what they lack they
//! ask for, the engine waits, and asks them again with the answer.

use std::sync::Arc;

use jiff::Timestamp;

use crate::authn::basic::PasswordAnswer;
use crate::authn::basic::PasswordCheck;
use crate::authn::introspection;
use crate::authn::introspection::Introspector;
use crate::authn::jwks::FetchOutcome;
use crate::authn::jwks::Keys;
use crate::model::secret::Secret;

/// Something a source must learn before it can judge this request's credential.
#[derive(Clone, Debug)]
pub struct Need {
    /// The source that asks. One source judges at most one credential of a request, so its name is enough to find the
    /// answer again.
    pub source: Arc<str>,
    /// What it asks for.
    pub question: Question,
}

/// What a source asks for. A kind of source that waits for something has an arm here and one in [`Answer`].
#[derive(Clone, Debug)]
pub enum Question {
    /// A key that is not here, or any key at all.
    Keys { keys: Arc<Keys>, kid: Option<String> },
    /// What a token is that only its provider can read.
    Token { introspector: Arc<Introspector>, token: Secret<String> },
    /// Whether a password is right: nobody is asked, but it takes processor time.
    Password(Arc<PasswordCheck>),
}

/// What came of a wait.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The end of a fetch of keys.
    Keys(FetchOutcome),
    /// What a provider said of a token.
    Introspected(introspection::Heard),
    /// The end of the verification of a password.
    Password(PasswordAnswer),
    /// Nothing, within the time there was. Every source takes that for "not to be had".
    Late,
}

impl Need {
    /// Find out. Takes as long as it takes: the caller bounds the wait, and answers [`Answer::Late`] past it. Dropping
    /// the future harms nothing that other requests wait for.
    pub async fn answer(self, now: Timestamp) -> Answer {
        match self.question {
            Question::Keys { keys, kid } => Answer::Keys(keys.fetch_now(kid.as_deref(), now).await),
            Question::Token { introspector, token } => Answer::Introspected(introspector.ask(&token, now).await),
            Question::Password(check) => Answer::Password(check.run(now).await),
        }
    }
}

/// The answers a request has waited for so far.
#[derive(Clone, Debug, Default)]
pub struct Answers(Vec<(Arc<str>, Answer)>);

impl Answers {
    /// Nothing was asked yet.
    pub fn none() -> Answers {
        Answers::default()
    }

    /// One answer.
    pub fn one(source: &str, answer: Answer) -> Answers {
        Answers(vec![(source.into(), answer)])
    }

    /// Keep an answer. False when this source was answered before: who asks twice would ask for ever.
    #[must_use]
    pub fn keep(&mut self, source: Arc<str>, answer: Answer) -> bool {
        let first = self.of(&source).is_none();
        if first {
            self.0.push((source, answer));
        }
        first
    }

    /// What this source was answered.
    pub fn of(&self, source: &str) -> Option<&Answer> {
        self.0.iter().find(|(asked, _)| **asked == *source).map(|(_, answer)| answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_answered_once() {
        let mut answers = Answers::none();
        assert!(answers.of("people").is_none());
        assert!(answers.keep("people".into(), Answer::Keys(FetchOutcome::Fresh)));
        assert!(!answers.keep("people".into(), Answer::Late), "asked twice");
        assert!(answers.keep("machines".into(), Answer::Late));
        assert!(matches!(answers.of("people"), Some(Answer::Keys(FetchOutcome::Fresh))));
    }
}
