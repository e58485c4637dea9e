//! An issuer with a certificate authority of its own, whose keys are told only to those it knows: a Kubernetes API server.

use super::*;
use crate::authn::jwks::Bearer;
use crate::authn::jwks::EndpointError;
use crate::authn::testing::cluster::Authority;
use crate::authn::testing::cluster::Cluster;
use crate::authn::testing::cluster::authority;

fn settings(cluster: &Cluster, authority: &Authority, bearer: Bearer) -> RemoteSettings {
    RemoteSettings {
        key_hosts: vec!["localhost".into()],
        client: Some(Client::trusting(authority.pem().as_bytes()).expect("a client")),
        bearer: Some(bearer),
        ..RemoteSettings::new("pods", &cluster.issuer)
    }
}

fn bearer(token: &'static str) -> Bearer {
    Bearer::new(Arc::new(move || Ok(token.into())))
}

#[tokio::test]
async fn the_token_is_read_again_for_every_fetch() {
    let authority = authority();
    let cluster = Cluster::start(&authority);
    let file = Arc::new(Mutex::new(Some("first\n")));
    let reads = file.clone();
    let reader = Bearer::new(Arc::new(move || {
        reads.lock().expect("lock").map(Into::into).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }));
    let (task, first) = Task::start(settings(&cluster, &authority, reader)).await;
    assert_eq!(first, FetchOutcome::Fresh, "{:?}", task.keys.status().last_error);
    assert_eq!(cluster.asked(), ["/.well-known/openid-configuration Bearer first", "/keys Bearer first"]);
    *file.lock().expect("lock") = Some("second");
    assert_eq!(task.fetch("two", NOW + 30).await, FetchOutcome::Fresh);
    assert_eq!(cluster.asked(), ["/.well-known/openid-configuration Bearer second", "/keys Bearer second"]);
    *file.lock().expect("lock") = None;
    assert_eq!(task.fetch("two", NOW + 60).await, FetchOutcome::Failed);
    assert!(task.has("one", NOW + 60) && cluster.asked().is_empty());
}

#[tokio::test]
async fn k2_the_token_is_shown_to_the_issuer_alone() {
    let authority = authority();
    let (cluster, elsewhere) = (Cluster::start(&authority), Cluster::start(&authority));
    // The same host on another port is another server.
    let away = json!({"issuer": cluster.issuer, "jwks_uri": format!("{}/keys", elsewhere.issuer)}).to_string();
    *cluster.discovery.lock().expect("lock") = away;
    let (_task, first) = Task::start(settings(&cluster, &authority, bearer("secret"))).await;
    assert_eq!(first, FetchOutcome::Fresh);
    assert_eq!(cluster.asked(), ["/.well-known/openid-configuration Bearer secret"]);
    assert_eq!(elsewhere.asked(), ["/keys -"]);

    let settings = settings(&cluster, &authority, bearer("secret"));
    for jwks_url in [format!("{}/keys", elsewhere.issuer), cluster.issuer.replace("https", "http")] {
        let settings = RemoteSettings { jwks_url: Some(jwks_url), insecure_http: true, ..settings.clone() };
        assert!(matches!(Keys::remote(settings), Err(EndpointError::NotForBearer(_))));
    }
}

#[tokio::test]
async fn k2_no_other_authority_is_trusted() {
    let (ours, other) = (authority(), authority());
    let cluster = Cluster::start(&ours);
    let (settings, stranger) =
        (settings(&cluster, &ours, bearer("secret")), settings(&cluster, &other, bearer("secret")));
    for settings in [stranger, RemoteSettings { client: None, ..settings.clone() }] {
        let (task, first) = Task::start(settings).await;
        assert_eq!(first, FetchOutcome::Failed);
        assert!(!task.has("one", NOW));
    }
    assert!(cluster.asked().is_empty(), "nobody unknown sees the token");
    // The host still has to be vouched for.
    let settings = RemoteSettings { key_hosts: vec![], ..settings };
    assert!(matches!(Keys::remote(settings), Err(EndpointError::Private(_))));
}

#[test]
fn a_file_without_certificates_is_no_authority() {
    for text in ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        assert!(Client::trusting(text.as_bytes()).is_err(), "{text}");
    }
    assert!(Client::trusting(authority().pem().as_bytes()).is_ok());
}
