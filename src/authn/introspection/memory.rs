//! What providers said of tokens a moment ago. Short and bounded: what is heard is used for seconds, never past the
//! token's own end (K6), and what is heard of one token is never found for another (K7, K8).

use std::sync::Arc;

use aws_lc_rs::digest;
use jiff::SignedDuration;
use jiff::Timestamp;
use moka::sync::Cache;

use crate::authn::introspection::Outcome;
use crate::model::reason::Reason;

/// How long answers are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// That a token is good.
    pub positive: SignedDuration,
    /// That a token is bad.
    pub negative: SignedDuration,
}

impl Default for Lifetimes {
    fn default() -> Lifetimes {
        Lifetimes { positive: SignedDuration::from_secs(10), negative: SignedDuration::from_secs(5) }
    }
}

/// The most octets that the answers of one kind may hold, by estimate.
const ROOM: u64 = 16 * 1024 * 1024;
/// What an answer takes at least; bounds their number.
const LEAST: u32 = 1024;

/// Which token of which source. SHA-256 over both, each after its length, so that no two pairs are written alike; the
/// token itself is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn of(source: &str, token: &str) -> Key {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [source, token] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.finish().as_ref());
        Key(key)
    }
}

/// The answers of one source. Good and bad tokens have rooms of their own, so that a flood of bad ones displaces no
/// good one.
pub(super) struct Memory {
    lifetimes: Lifetimes,
    good: Cache<Key, Arc<Heard>>,
    bad: Cache<Key, Arc<Heard>>,
}

struct Heard {
    outcome: Outcome,
    from: Timestamp,
    until: Timestamp,
}

impl Memory {
    pub(super) fn new(lifetimes: Lifetimes) -> Memory {
        let room = || Cache::builder().max_capacity(ROOM).weigher(|_: &Key, heard: &Arc<Heard>| heard.weight()).build();
        Memory { lifetimes, good: room(), bad: room() }
    }

    /// What was said of this token, if that was a moment ago. A clock that was set back forgets.
    pub(super) fn recall(&self, key: &Key, now: Timestamp) -> Option<Outcome> {
        let fresh = |heard: &Arc<Heard>| heard.from <= now && now < heard.until;
        [&self.bad, &self.good]
            .into_iter()
            .find_map(|room| room.get(key).filter(fresh))
            .map(|heard| heard.outcome.clone())
    }

    /// Keep what was said, for as long as it may be used: not at all when it says nothing of the token, or nothing that
    /// lasts.
    pub(super) fn keep(&self, key: Key, outcome: &Outcome, now: Timestamp) {
        let longest = match outcome {
            Ok(_) => self.lifetimes.positive,
            Err(refused) if matches!(refused.reason, Reason::UpstreamUnavailable | Reason::TokenNotYetValid) => return,
            Err(_) => self.lifetimes.negative,
        };
        let Ok(mut until) = now.checked_add(longest) else { return };
        if let Some(expires) = outcome.as_ref().ok().and_then(|identity| identity.expires()) {
            until = until.min(Timestamp::from_second(expires).unwrap_or(now));
        }
        // The last word on a token is the only one.
        self.good.invalidate(&key);
        self.bad.invalidate(&key);
        if until > now {
            let room = if outcome.is_ok() { &self.good } else { &self.bad };
            room.insert(key, Arc::new(Heard { outcome: outcome.clone(), from: now, until }));
        }
    }
}

impl Heard {
    /// An estimate, in octets.
    fn weight(&self) -> u32 {
        let held = match &self.outcome {
            Ok(identity) => identity.size(),
            Err(refused) => refused.detail.len(),
        };
        u32::try_from(held).unwrap_or(u32::MAX).saturating_add(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::introspection::Refused;
    use crate::authn::testing::NOW;
    use crate::authn::testing::at;
    use crate::model::identity::Claims;
    use crate::model::identity::Identity;

    fn good(user: &str, expires: Option<i64>) -> Outcome {
        let claims = Claims {
            source: "legacy".into(),
            issuer: "legacy".into(),
            subject: user.into(),
            user: user.into(),
            groups: vec![],
            email: None,
            email_verified: false,
            name: None,
            scopes: vec![],
            raw: serde_json::Map::new(),
            expires,
        };
        Ok(Arc::new(Identity::verified(claims).expect("sound")))
    }

    fn bad(reason: Reason) -> Outcome {
        Err(Refused { reason, detail: "no".into() })
    }

    #[test]
    fn k6_an_answer_is_used_for_seconds_and_never_past_the_end_of_its_token() {
        for (outcome, seconds) in [
            (good("alice", None), 10),
            (good("alice", Some(NOW + 3600)), 10),
            (good("alice", Some(NOW + 3)), 3),
            (good("alice", Some(NOW)), 0),
            (good("alice", Some(NOW - 30)), 0),
            (good("alice", Some(i64::MAX)), 0),
            (bad(Reason::TokenInactive), 5),
            (bad(Reason::TokenAudience), 5),
            (bad(Reason::TokenNotYetValid), 0),
            (bad(Reason::UpstreamUnavailable), 0),
        ] {
            let (memory, key) = (Memory::new(Lifetimes::default()), Key::of("legacy", "token"));
            memory.keep(key, &outcome, at(NOW));
            let used: Vec<i64> = (-1..20).filter(|second| memory.recall(&key, at(NOW + second)).is_some()).collect();
            assert_eq!(used, (0..seconds).collect::<Vec<i64>>(), "{outcome:?}");
        }
    }

    #[test]
    fn k6_the_last_word_is_the_only_one() {
        let (memory, key) = (Memory::new(Lifetimes::default()), Key::of("legacy", "token"));
        memory.keep(key, &good("alice", None), at(NOW));
        memory.keep(key, &bad(Reason::TokenInactive), at(NOW + 1));
        assert_eq!(memory.recall(&key, at(NOW + 1)), Some(bad(Reason::TokenInactive)));
        assert_eq!(memory.recall(&key, at(NOW + 7)), None);
        memory.keep(key, &good("alice", None), at(NOW + 8));
        assert_eq!(memory.recall(&key, at(NOW + 8)), Some(good("alice", None)));
    }

    #[test]
    fn memory_is_bounded() {
        let memory = Memory::new(Lifetimes::default());
        for number in 0..40_000 {
            memory.keep(Key::of("legacy", &format!("{number}")), &bad(Reason::TokenInactive), at(NOW));
        }
        let kept = Key::of("legacy", "good");
        memory.keep(kept, &good("alice", None), at(NOW));
        memory.bad.run_pending_tasks();
        memory.good.run_pending_tasks();
        assert!(memory.bad.weighted_size() <= ROOM, "{}", memory.bad.weighted_size());
        assert!(memory.bad.entry_count() <= ROOM / u64::from(LEAST), "{}", memory.bad.entry_count());
        assert!(memory.recall(&kept, at(NOW)).is_some(), "bad tokens displace no good one");
    }

    #[test]
    fn k8_a_token_changed_by_one_character_is_another() {
        let (memory, token) = (Memory::new(Lifetimes::default()), "2YotnFZFEjr1zCsicMWpAA");
        memory.keep(Key::of("legacy", token), &good("alice", None), at(NOW));
        for end in 0..token.len() {
            let (left, right) = token.split_at(end);
            for cut in [left, right.get(1..).expect("ASCII")] {
                assert_eq!(memory.recall(&Key::of("legacy", cut), at(NOW)), None, "{cut}");
            }
        }
        for other in [format!("{token}A"), format!("A{token}"), token.to_ascii_lowercase(), format!("{token} ")] {
            assert_eq!(memory.recall(&Key::of("legacy", &other), at(NOW)), None, "{other}");
        }
        assert!(memory.recall(&Key::of("legacy", token), at(NOW)).is_some());
    }

    proptest::proptest! {
        #[test]
        fn k7_two_tokens_or_two_sources_never_share_an_answer(
            left in ("[a-c]{0,4}", "[a-c]{0,4}"), right in ("[a-c]{0,4}", "[a-c]{0,4}"), moved in 0_usize..9,
        ) {
            // The same letters with the border somewhere else, and letters of their own.
            let together = format!("{}{}", left.0, left.1);
            let (source, token) = together.split_at(moved.min(together.len()));
            for other in [(source, token), (&right.0, &right.1)] {
                let same = Key::of(&left.0, &left.1) == Key::of(other.0, other.1);
                proptest::prop_assert_eq!(same, (left.0.as_str(), left.1.as_str()) == other);
            }
        }
    }
}
