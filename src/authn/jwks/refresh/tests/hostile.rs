//! An issuer at its worst: slow, huge, redirecting, flapping, lying. Whatever it does, keys that were good stay good,
//! and it is asked no oftener than we like.

use std::time::Duration;

use super::*;
use crate::authn::jwks::MAX_SIZE;

/// What it answers to a request for its keys.
#[derive(Clone, Debug)]
enum Mood {
    Keys(String),
    Status(u16),
    Redirect(String),
    /// More octets than we take, said before or found while reading.
    Huge {
        declared: bool,
    },
    /// A head, and then nothing.
    Stalls,
    /// The connection ends in the middle.
    CutOff(String),
}

struct Hostile {
    url: String,
    mood: Mutex<Mood>,
    asked: AtomicUsize,
}

impl Hostile {
    async fn start(mood: Mood) -> Arc<Hostile> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let url = format!("http://{}/keys", listener.local_addr().expect("address"));
        let hostile = Arc::new(Hostile { url, mood: Mutex::new(mood), asked: AtomicUsize::new(0) });
        let serving = hostile.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let serving = serving.clone();
                tokio::spawn(async move {
                    let mut request = [0; 4096];
                    let _ = stream.read(&mut request).await;
                    serving.asked.fetch_add(1, Ordering::SeqCst);
                    let mood = serving.mood.lock().expect("lock").clone();
                    let stalls = matches!(mood, Mood::Stalls);
                    let _ = stream.write_all(&answer(mood)).await;
                    if stalls {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        hostile
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().expect("lock") = mood;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn settings(&self) -> RemoteSettings {
        RemoteSettings {
            jwks_url: Some(self.url.clone()),
            key_hosts: vec!["127.0.0.1".into()],
            insecure_http: true,
            ..RemoteSettings::new("people", "https://sso.test")
        }
    }
}

fn answer(mood: Mood) -> Vec<u8> {
    let whole = |status: u16, extra: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status} x\r\nconnection: close\r\n{extra}content-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    match mood {
        Mood::Keys(text) => whole(200, "", text.as_bytes()),
        Mood::Status(status) => whole(status, "", b"{}"),
        Mood::Redirect(to) => whole(302, &format!("location: {to}\r\n"), b""),
        Mood::Huge { declared: true } => {
            format!("HTTP/1.1 200 x\r\ncontent-length: {}\r\n\r\n", MAX_SIZE + 1).into_bytes()
        }
        Mood::Huge { declared: false } => {
            [&b"HTTP/1.1 200 x\r\nconnection: close\r\n\r\n"[..], &vec![b' '; MAX_SIZE + 1]].concat()
        }
        Mood::Stalls => b"HTTP/1.1 200 x\r\ncontent-length: 10\r\n\r\n{".to_vec(),
        Mood::CutOff(text) => {
            let whole = whole(200, "", text.as_bytes());
            whole[..whole.len() - 10].to_vec()
        }
    }
}

#[tokio::test]
async fn k3_k5_no_answer_of_a_hostile_issuer_takes_the_good_keys_away() {
    let good = keys(&["one"]);
    let trap = Hostile::start(Mood::Keys(keys(&["trap"]))).await;
    let hostile = Hostile::start(Mood::Keys(good.clone())).await;
    let (task, first) = Task::start(hostile.settings()).await;
    assert_eq!(first, FetchOutcome::Fresh);
    let mut second = NOW;
    for mood in [
        Mood::Status(500),
        Mood::Status(404),
        Mood::Status(204),
        Mood::Redirect(trap.url.clone()),
        Mood::Redirect("file:///etc/passwd".to_owned()),
        Mood::Huge { declared: true },
        Mood::Huge { declared: false },
        Mood::CutOff(good.clone()),
        Mood::Keys("{\"keys\":[]}".to_owned()),
        Mood::Keys("<html>".to_owned()),
        Mood::Keys(good.replace("\"x\":", "\"y\":")),
        Mood::Keys(format!("{{\"keys\":{}{}}}", "[".repeat(2000), "]".repeat(2000))),
    ] {
        hostile.is(mood.clone());
        second += 90;
        assert_eq!(task.fetch("two", second).await, FetchOutcome::Failed, "{mood:?}");
        assert!(task.has("one", second) && !task.has("trap", second), "{mood:?}");
        // And back again: a flapping issuer loses nothing.
        hostile.is(Mood::Keys(good.clone()));
        second += 90;
        assert_eq!(task.fetch(&format!("kid-{second}"), second).await, FetchOutcome::Fresh, "after {mood:?}");
        assert!(task.has("one", second), "after {mood:?}");
    }
    assert_eq!(trap.asked(), 0, "no redirect is followed");
    assert_eq!(hostile.asked(), 25);
    assert_eq!(task.keys.status().changes, 1, "the good set is the same all along");
}

#[tokio::test(start_paused = true)]
async fn k3_a_stalled_issuer_is_given_up_after_five_seconds() {
    let hostile = Hostile::start(Mood::Stalls).await;
    let keys = Arc::new(Keys::remote(hostile.settings()).expect("keys"));
    let client = Client::new(&Settings::default()).expect("a client");
    let first = keys.fetch_now(None, at(NOW));
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(run(keys.clone(), client, || at(NOW), async {
        let _ = stopped.await;
    }));
    let outcome = tokio::time::timeout(Duration::from_secs(6), first).await;
    assert_eq!(outcome.expect("within five seconds"), FetchOutcome::Failed);
    let error = keys.status().last_error.expect("an error");
    assert!(error.ends_with("did not answer within 5s"), "{error}");
    let _ = stop.send(());
    task.await.expect("the task ends");
}

#[tokio::test]
async fn k5_a_removed_key_is_refused_right_after_the_swap_and_the_issuer_may_stay_away() {
    let hostile = Hostile::start(Mood::Keys(keys(&["one", "two"]))).await;
    let (task, _) = Task::start(hostile.settings()).await;
    assert!(task.has("one", NOW));
    hostile.is(Mood::Keys(keys(&["two", "three"])));
    assert_eq!(task.fetch("three", NOW + 30).await, FetchOutcome::Fresh);
    assert!(!task.has("one", NOW + 30), "trusted no longer, from the very moment of the swap");
    assert!(task.has("two", NOW + 30) && task.has("three", NOW + 30));
    // Away for a minute, and for most of a day: what it published last is still good.
    hostile.is(Mood::Status(503));
    for away in [60, 3600, 23 * 3600] {
        assert_eq!(task.fetch("four", NOW + 30 + away).await, FetchOutcome::Failed);
        assert!(task.has("two", NOW + 30 + away), "{away}");
    }
    assert!(!task.has("two", NOW + 30 + 24 * 3600), "no longer than `max_stale`");
}
