//! Keys that outlive the process.

use super::*;
use crate::storage::Folder;
use crate::storage::Storage;
use crate::storage::StorageError;

/// A process that keeps its keys in `storage`, up to the end of its first fetch.
async fn process(provider: &Provider, storage: Arc<dyn Storage>, second: i64) -> (Task, bool, FetchOutcome) {
    let keys = Arc::new(Keys::remote(provider.settings()).expect("keys"));
    keys.keep_in(&storage, at(second));
    let warm = keys.current(at(second)).is_some();
    let (task, first) = Task::start_with(keys, second).await;
    (task, warm, first)
}

async fn stop(task: Task) {
    let _ = task.stop.send(());
    task.ended.await.expect("the task ends");
}

fn folder(path: &std::path::Path) -> Arc<dyn Storage> {
    Arc::new(Folder::open(path).expect("a folder"))
}

/// The copy is written on a thread of its own.
async fn wait_for_files(path: &std::path::Path) {
    for _ in 0..1000 {
        let mut names = std::fs::read_dir(path).expect("a folder").flatten().map(|entry| entry.file_name());
        if names.any(|name| name.as_encoded_bytes().starts_with(b"keys-")) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("nothing was kept");
}

#[tokio::test]
async fn k4_kept_keys_serve_a_restart_while_the_issuer_is_away() {
    let state = tempfile::tempdir().expect("a folder");
    let provider = Provider::start().await;
    let (task, warm, first) = process(&provider, folder(state.path()), NOW).await;
    assert_eq!((warm, first), (false, FetchOutcome::Fresh));
    wait_for_files(state.path()).await;
    stop(task).await;

    provider.publish("down for maintenance".to_owned());
    let (task, warm, first) = process(&provider, folder(state.path()), NOW + 3600).await;
    assert_eq!((warm, first), (true, FetchOutcome::Failed));
    assert!(task.has("one", NOW + 3600));
    assert_eq!(task.keys.status().fetched_at, Some(at(NOW)), "as old as it is");
    assert!(!task.has("one", NOW + 24 * 3600), "and no longer of use than if nothing had restarted");
    provider.publish(keys(&["two"]));
    assert_eq!(task.fetch("two", NOW + 3700).await, FetchOutcome::Fresh);
    assert!(task.has("two", NOW + 3700) && !task.has("one", NOW + 3700), "newer keys take over");
    stop(task).await;

    let (_, warm, _) = process(&provider, folder(state.path()), NOW + 30 * 3600).await;
    assert!(!warm, "too old to be of use");
}

#[tokio::test]
async fn kept_keys_of_nobody_knows_whom_are_ignored() {
    use std::os::unix::fs::PermissionsExt;
    let state = tempfile::tempdir().expect("a folder");
    let provider = Provider::start().await;
    let (task, ..) = process(&provider, folder(state.path()), NOW).await;
    wait_for_files(state.path()).await;
    stop(task).await;
    let entry = std::fs::read_dir(state.path()).expect("a folder").next().expect("a file").expect("a file");
    assert_eq!(entry.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o666)).expect("a mode");
    assert!(!process(&provider, folder(state.path()), NOW + 60).await.1, "others may have written it");
    std::fs::set_permissions(entry.path(), std::fs::Permissions::from_mode(0o600)).expect("a mode");
    assert!(process(&provider, folder(state.path()), NOW + 60).await.1);
    assert!(!process(&provider, folder(state.path()), NOW - 60).await.1, "it is from the future");
    let another = Provider::start().await;
    let moved = state.path().join(crate::authn::jwks::kept::name(
        &another.issuer,
        &format!("{}/.well-known/openid-configuration", another.issuer),
    ));
    std::fs::rename(entry.path(), moved).expect("renamed");
    assert!(!process(&another, folder(state.path()), NOW + 60).await.1, "it is another issuer's");
}

/// A disk that is full.
#[derive(Debug)]
struct Full;

impl Storage for Full {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        Err(StorageError::NotAFile(name.into()))
    }

    fn save(&self, name: &str, _: &[u8]) -> Result<(), StorageError> {
        Err(StorageError::TooLarge(name.into()))
    }
}

#[tokio::test]
async fn a_full_disk_is_counted_and_harms_nothing() {
    let provider = Provider::start().await;
    let (task, warm, first) = process(&provider, Arc::new(Full), NOW).await;
    assert_eq!((warm, first), (false, FetchOutcome::Fresh));
    assert!(task.has("one", NOW));
    for _ in 0..1000 {
        if task.keys.status().not_kept > 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    panic!("it was not counted");
}

#[test]
fn a_new_policy_takes_over_the_keys_of_the_same_issuer_and_address() {
    let settings = || RemoteSettings::new("people", "https://sso.test");
    let build = |settings| Keys::remote(settings).expect("keys");
    let old = build(settings());
    old.enter(Ok(Signer::new(Algorithm::EdDsa).set("one")), at(NOW));
    let has = |keys: &Keys, second| keys.current(at(second)).is_some_and(|set| set.has("one"));
    for (new, taken) in [
        (build(settings()), true),
        (build(RemoteSettings { source: "users".into(), ..settings() }), true),
        (build(RemoteSettings::new("people", "https://other.test")), false),
        (build(RemoteSettings { jwks_url: Some("https://sso.test/keys".into()), ..settings() }), false),
        (build(RemoteSettings { key_hosts: vec!["keys.test".into()], ..settings() }), false),
        (build(RemoteSettings { insecure_http: true, ..settings() }), false),
        (build(RemoteSettings { algorithms: vec![Algorithm::Rs256], ..settings() }), false),
        (Keys::fixed("people", "https://sso.test", Signer::new(Algorithm::EdDsa).set("two")), false),
    ] {
        new.take_over(&old);
        assert_eq!(has(&new, NOW + 60), taken, "{new:?}");
        assert!(!has(&new, NOW + 24 * 3600), "as old as they were");
    }
    let newer = build(settings());
    newer.enter(Ok(Signer::new(Algorithm::EdDsa).set("two")), at(NOW + 60));
    newer.take_over(&old);
    assert!(!has(&newer, NOW + 60), "newer keys stay");
}
