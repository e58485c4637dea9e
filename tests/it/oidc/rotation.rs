//! A real provider changes its keys while requests go on, and goes away.

use std::sync::Arc;
use std::sync::RwLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use postern::model::reason::Reason;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::house::BASIC;
use super::house::House;
use super::house::legacy;
use super::house::people;
use super::provider::OPAQUE;
use super::provider::Provider;
use super::provider::SIGNED;
use crate::token::Issuer;
use crate::token::now;

/// Longer than the shortest time between two fetches of a key set.
const COOLDOWN: i64 = 31;

/// Requests without end, with tokens that must pass and one that must not.
struct Traffic {
    good: Arc<RwLock<Vec<String>>>,
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    tasks: Vec<JoinHandle<()>>,
}

impl Traffic {
    fn start(house: &House, good: &[&str], forged: &str) -> Traffic {
        let good = Arc::new(RwLock::new(good.iter().map(|&token| token.to_owned()).collect::<Vec<_>>()));
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let work = |house: House, forged: String| {
            let (good, stop, asked) = (good.clone(), stop.clone(), asked.clone());
            async move {
                while !stop.load(Ordering::SeqCst) {
                    let tokens = good.read().expect("tokens").clone();
                    for token in &tokens {
                        assert_eq!(house.judge(token).await.as_deref(), Ok("robot"));
                        asked.fetch_add(1, Ordering::SeqCst);
                    }
                    let answer = house.judge(&forged).await;
                    assert!(
                        matches!(
                            answer,
                            Err(Reason::TokenKeyUnknown | Reason::KeysUnavailable | Reason::TokenSignature)
                        ),
                        "{answer:?}"
                    );
                    tokio::task::yield_now().await;
                }
            }
        };
        let tasks = (0..4).map(|_| tokio::spawn(work(house.clone(), forged.to_owned()))).collect();
        Traffic { good, stop, asked, tasks }
    }

    /// These pass from now on.
    fn expect(&self, tokens: &[&str]) {
        *self.good.write().expect("tokens") = tokens.iter().map(|&token| token.to_owned()).collect();
    }

    /// Let some more requests through.
    async fn flow(&self) {
        let enough = self.asked.load(Ordering::SeqCst) + 200;
        while self.asked.load(Ordering::SeqCst) < enough {
            assert!(!self.tasks.iter().any(JoinHandle::is_finished), "a request was answered wrongly");
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::SeqCst);
        for task in self.tasks {
            task.await.expect("every answer was right");
        }
    }
}

/// A token as the provider would write it, by somebody else's key.
fn forged(provider: &Provider) -> String {
    let claims = json!({
        "iss": provider.issuer(), "aud": SIGNED, "sub": "robot", "client_id": "robot",
        "iat": now(), "exp": now() + 3600,
    });
    Issuer::new("somebody-elses").sign(&claims)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_wrong_while_keys_rotate() {
    let Some(provider) = Provider::start() else { return };
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let sources = people(&provider) + &legacy(&provider, BASIC, "");
    let house = House::start(&provider, "people, legacy", &sources, &stop);
    let opaque = provider.token(Some(OPAQUE));
    let first = provider.token(Some(SIGNED));
    assert_eq!(house.judge(&first).await.as_deref(), Ok("robot"));
    let traffic = Traffic::start(&house, &[&first, &opaque], &forged(&provider));
    traffic.flow().await;

    // A new key beside the old one: both are good, the new one by the first request that shows it.
    provider.rotate(true);
    let second = provider.token(Some(SIGNED));
    house.pass(COOLDOWN);
    traffic.expect(&[&first, &second, &opaque]);
    traffic.flow().await;

    // A new key alone: what it replaced is no good any more once it is known.
    provider.rotate(false);
    let third = provider.token(Some(SIGNED));
    house.pass(COOLDOWN);
    traffic.expect(&[&third, &opaque]);
    assert_eq!(house.judge(&third).await.as_deref(), Ok("robot"));
    for old in [&first, &second] {
        assert_eq!(house.judge(old).await, Err(Reason::TokenKeyUnknown));
    }
    traffic.flow().await;
    traffic.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_provider_known_keys_go_on_and_nothing_new_passes() {
    let Some(mut provider) = Provider::start() else { return };
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let sources = people(&provider) + &legacy(&provider, BASIC, "");
    let house = House::start(&provider, "people, legacy", &sources, &stop);
    let (signed, other) = (provider.token(Some(SIGNED)), provider.token(Some(SIGNED)));
    let (opaque, fresh) = (provider.token(Some(OPAQUE)), provider.token(Some(OPAQUE)));
    assert_eq!(house.judge(&signed).await.as_deref(), Ok("robot"));
    assert_eq!(house.judge(&opaque).await.as_deref(), Ok("robot"));

    provider.kill();
    house.pass(5);
    assert_eq!(house.judge(&opaque).await.as_deref(), Ok("robot"), "heard seconds ago");
    assert_eq!(house.judge(&fresh).await, Err(Reason::UpstreamUnavailable));
    assert_eq!(house.check(&fresh).await, (503, None));
    house.pass(COOLDOWN);
    for token in [&signed, &other] {
        assert_eq!(house.judge(token).await.as_deref(), Ok("robot"));
    }
    assert_eq!(house.judge(&opaque).await, Err(Reason::UpstreamUnavailable));
    let answer = house.judge(&forged(&provider)).await;
    assert!(matches!(answer, Err(Reason::KeysUnavailable | Reason::TokenKeyUnknown)), "{answer:?}");
}
