//! The background task against a real small issuer on loopback.

mod hostile;
mod kept;
mod own;

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::authn::jwks::FetchOutcome;
use crate::authn::jwks::RemoteSettings;
use crate::authn::jwt::Algorithm;
use crate::authn::testing::NOW;
use crate::authn::testing::Signer;
use crate::authn::testing::at;
use crate::outbound::Settings;

/// An issuer with a discovery document and a key set that tests change.
struct Provider {
    issuer: String,
    keys: Mutex<String>,
    discovery: Mutex<String>,
    fetches: AtomicUsize,
}

impl Provider {
    async fn start() -> Arc<Provider> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
        let issuer = format!("http://{}", listener.local_addr().expect("address"));
        let discovery = json!({"issuer": issuer, "jwks_uri": format!("{issuer}/keys")}).to_string();
        let provider = Arc::new(Provider {
            issuer,
            keys: Mutex::new(keys(&["one"])),
            discovery: Mutex::new(discovery),
            fetches: AtomicUsize::new(0),
        });
        let serving = provider.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let length = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                let body = serving.answer(&request);
                let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
            }
        });
        provider
    }

    fn answer(&self, request: &str) -> String {
        if request.starts_with("GET /.well-known/openid-configuration ") {
            self.discovery.lock().expect("lock").clone()
        } else if request.starts_with("GET /keys ") {
            self.fetches.fetch_add(1, Ordering::SeqCst);
            self.keys.lock().expect("lock").clone()
        } else {
            String::new()
        }
    }

    fn publish(&self, text: String) {
        *self.keys.lock().expect("lock") = text;
    }

    fn fetches(&self) -> usize {
        self.fetches.load(Ordering::SeqCst)
    }

    fn settings(&self) -> RemoteSettings {
        let public = RemoteSettings::new("people", &self.issuer);
        RemoteSettings { key_hosts: vec!["127.0.0.1".into()], insecure_http: true, ..public }
    }
}

fn keys(kids: &[&str]) -> String {
    let keys: Vec<_> = kids.iter().map(|kid| Signer::new(Algorithm::EdDsa).jwk(kid)).collect();
    json!({"keys": keys}).to_string()
}

/// A running background task and the clock it reads.
struct Task {
    keys: Arc<Keys>,
    clock: Arc<Mutex<i64>>,
    stop: oneshot::Sender<()>,
    ended: tokio::task::JoinHandle<()>,
}

impl Task {
    /// Start the task. The order placed first is answered by the task's first fetch.
    async fn start(settings: RemoteSettings) -> (Task, FetchOutcome) {
        Task::start_with(Arc::new(Keys::remote(settings).expect("keys")), NOW).await
    }

    async fn start_with(keys: Arc<Keys>, second: i64) -> (Task, FetchOutcome) {
        let clock = Arc::new(Mutex::new(second));
        let (stop, stopped) = oneshot::channel::<()>();
        let client = Client::new(&Settings::default()).expect("a client");
        let reads = clock.clone();
        let first = keys.fetch_now(None, at(second));
        let ended = tokio::spawn(run(keys.clone(), client, move || at(*reads.lock().expect("lock")), async {
            let _ = stopped.await;
        }));
        (Task { keys, clock, stop, ended }, first.await)
    }

    async fn fetch(&self, kid: &str, second: i64) -> FetchOutcome {
        *self.clock.lock().expect("lock") = second;
        self.keys.fetch_now(Some(kid), at(second)).await
    }

    fn has(&self, kid: &str, second: i64) -> bool {
        self.keys.current(at(second)).is_some_and(|set| set.has(kid))
    }
}

#[tokio::test]
async fn a_rotated_key_is_had_by_the_first_request_that_needs_it() {
    let provider = Provider::start().await;
    let (task, first) = Task::start(provider.settings()).await;
    assert_eq!(first, FetchOutcome::Fresh);
    assert!(task.has("one", NOW));
    assert_eq!(task.keys.status().fetched_at, Some(at(NOW)));

    provider.publish(keys(&["two"]));
    assert_eq!(task.fetch("two", NOW + 29).await, FetchOutcome::Cooldown);
    assert_eq!(task.fetch("two", NOW + 30).await, FetchOutcome::Fresh);
    assert!(task.has("two", NOW + 30));
    assert_eq!(task.fetch("two", NOW + 31).await, FetchOutcome::Fresh, "already here: nothing to fetch");
    assert_eq!(provider.fetches(), 2);

    let _ = task.stop.send(());
    task.ended.await.expect("the task ends");
}

#[tokio::test]
async fn k1_ten_thousand_requests_share_one_fetch() {
    let provider = Provider::start().await;
    let (task, _) = Task::start(provider.settings()).await;
    *task.clock.lock().expect("lock") = NOW + 30;
    let waits: Vec<_> =
        (0..10_000).map(|number| task.keys.fetch_now(Some(&format!("random-{number}")), at(NOW + 30))).collect();
    for wait in waits {
        assert_eq!(wait.await, FetchOutcome::Fresh);
    }
    assert_eq!(provider.fetches(), 2);
    assert_eq!(task.fetch("another", NOW + 59).await, FetchOutcome::Cooldown);
    assert!(task.has("one", NOW + 59));
}

#[tokio::test]
async fn k5_broken_and_empty_answers_keep_the_good_set() {
    let provider = Provider::start().await;
    let (task, _) = Task::start(provider.settings()).await;
    let mut second = NOW;
    for (count, broken) in
        ["<html>", r#"{"keys":[]}"#, r#"{"keys":[{"kty":"oct","k":"AA"}]}"#, ""].into_iter().enumerate()
    {
        provider.publish(broken.to_owned());
        second += 30;
        assert_eq!(task.fetch("two", second).await, FetchOutcome::Failed, "{broken}");
        assert!(task.has("one", second), "{broken}");
        let status = task.keys.status();
        assert_eq!((status.keys, status.failures as usize, status.fetched_at), (1, count + 1, Some(at(NOW))));
        assert!(status.last_error.is_some());
    }
    provider.publish(keys(&["two"]));
    assert_eq!(task.fetch("two", second + 30).await, FetchOutcome::Fresh);
    assert_eq!((task.keys.status().failures, task.keys.status().last_error), (0, None));
}

#[tokio::test]
async fn k2_a_discovery_document_of_another_issuer_leads_nowhere() {
    let provider = Provider::start().await;
    let elsewhere = json!({"issuer": "https://other.test", "jwks_uri": format!("{}/keys", provider.issuer)});
    *provider.discovery.lock().expect("lock") = elsewhere.to_string();
    let (task, first) = Task::start(provider.settings()).await;
    assert_eq!(first, FetchOutcome::Failed);
    let says = "the discovery document is of another issuer: \"https://other.test\"";
    assert_eq!(task.keys.status().last_error.as_deref(), Some(says));

    let trap = Provider::start().await;
    let elsewhere = trap.issuer.replace("127.0.0.1", "localhost");
    let away = json!({"issuer": provider.issuer, "jwks_uri": format!("{elsewhere}/keys")});
    *provider.discovery.lock().expect("lock") = away.to_string();
    assert_eq!(task.fetch("one", NOW + 30).await, FetchOutcome::Failed);
    assert_eq!((provider.fetches(), trap.fetches()), (0, 0));
}

#[tokio::test]
async fn a_key_set_address_needs_no_discovery() {
    let provider = Provider::start().await;
    *provider.discovery.lock().expect("lock") = String::new();
    let settings = RemoteSettings { jwks_url: Some(format!("{}/keys", provider.issuer)), ..provider.settings() };
    let (task, first) = Task::start(settings).await;
    assert_eq!(first, FetchOutcome::Fresh);
    assert!(task.has("one", NOW));
}

#[tokio::test]
async fn k2_discovery_never_leads_to_a_private_host_that_is_not_listed() {
    let provider = Provider::start().await;
    let port = provider.issuer.rsplit_once(':').expect("a port").1;
    for (jwks_uri, says) in [
        (format!("http://localhost:{port}/keys"), "neither the issuer's host nor one of `key_hosts`"),
        (format!("http://127.0.0.2:{port}/keys"), "neither the issuer's host nor one of `key_hosts`"),
        (format!("http://user@127.0.0.1:{port}/keys"), "a user name or password"),
        ("http://169.254.169.254/latest/meta-data".to_owned(), "neither the issuer's host nor one of `key_hosts`"),
        ("file:///etc/passwd".to_owned(), "neither the issuer's host nor one of `key_hosts`"),
    ] {
        *provider.discovery.lock().expect("lock") =
            json!({"issuer": provider.issuer, "jwks_uri": jwks_uri}).to_string();
        let (task, first) = Task::start(provider.settings()).await;
        assert_eq!(first, FetchOutcome::Failed, "{jwks_uri}");
        let error = task.keys.status().last_error.expect("an error");
        assert!(error.contains(says), "{jwks_uri}: {error}");
    }
    // A host that only the provider's preset knows must be public; one that is listed need not be.
    let elsewhere = json!({"issuer": provider.issuer, "jwks_uri": format!("http://localhost:{port}/keys")});
    *provider.discovery.lock().expect("lock") = elsewhere.to_string();
    let known = RemoteSettings { known_hosts: vec!["localhost".into()], ..provider.settings() };
    let (task, first) = Task::start(known).await;
    assert_eq!(first, FetchOutcome::Failed);
    let says = "`localhost` has no public address, and only those may be reached unless the host is listed";
    assert!(task.keys.status().last_error.is_some_and(|error| error.ends_with(says)));
    assert_eq!(provider.fetches(), 0);
    let listed = RemoteSettings { key_hosts: vec!["127.0.0.1".into(), "localhost".into()], ..provider.settings() };
    assert_eq!(Task::start(listed).await.1, FetchOutcome::Fresh);
}

#[tokio::test]
async fn fixed_keys_have_nothing_to_run() {
    let keys = Arc::new(Keys::fixed("people", "https://sso.test", Signer::new(Algorithm::EdDsa).set("one")));
    let client = Client::new(&Settings::default()).expect("a client");
    run(keys.clone(), client, || at(NOW), std::future::pending()).await;
    assert_eq!(keys.fetch_now(Some("two"), at(NOW)).await, FetchOutcome::Fresh);
    assert_eq!(keys.status().keys, 1);
}

#[test]
fn addresses_that_cannot_be_fetched_are_refused_at_build() {
    let build = |issuer: &str, jwks_url: Option<&str>, insecure_http, key_hosts: &[&str]| {
        let settings = RemoteSettings {
            jwks_url: jwks_url.map(str::to_owned),
            insecure_http,
            key_hosts: key_hosts.iter().map(|host| (*host).to_owned()).collect(),
            ..RemoteSettings::new("people", issuer)
        };
        Keys::remote(settings).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(build("https://sso.test", None, false, &[]), Ok(()));
    assert_eq!(build("http://sso.test", None, true, &[]), Ok(()));
    assert_eq!(build("anything", Some("https://sso.test/keys"), false, &[]), Ok(()));
    for (issuer, jwks_url, says) in [
        ("http://sso.test", None, "`http://sso.test/.well-known/openid-configuration` is not https"),
        ("sso", None, "`sso/.well-known/openid-configuration` is not a URL"),
        ("https://sso.test", Some("ftp://sso.test/keys"), "`ftp://sso.test/keys` is not https"),
        ("https://sso.test", Some("https://a:b@sso.test"), "a URL with a user name or password is not fetched"),
        ("https://localhost", None, "`localhost` is in a private network"),
        ("https://10.0.0.1", None, "`10.0.0.1` is in a private network"),
        ("https://0x7f.1", None, "`127.0.0.1` is in a private network"),
        ("https://[::1]:8443", None, "`[::1]` is in a private network"),
        ("https://[::ffff:10.0.0.1]", None, "`[::ffff:a00:1]` is in a private network"),
    ] {
        assert_eq!(build(issuer, jwks_url, false, &[]), Err(says.to_owned()));
    }
    assert_eq!(build("https://10.0.0.1", None, false, &["10.0.0.1"]), Ok(()));
    assert_eq!(build("https://[::1]", None, false, &["[::1]"]), Ok(()));
    assert!(build("https://10.0.0.1", None, false, &["10.0.0.2"]).is_err());
}
