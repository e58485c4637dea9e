//! Every way to a Redis: unix sockets, TLS, a user with few rights, and sentinels that know of a new master.

use std::fs;
use std::process::Command;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use tempfile::TempDir;

use super::instance::Instance;
use super::policy;
use super::redis::Redis;
use super::redis::cli;
use super::redis::said;
use super::redis::shown;
use crate::proxy::ports;

const DAY: &str = "  {path: /day, public: true, limit: {per: address, rate: 2/day, when_down: refuse}},";

/// Two pass, by the store.
fn counts(instance: &mut Instance) {
    instance.wait_for("postern_limit_store_up 1");
    let seen = [(); 3].map(|()| instance.status("/day", "192.0.2.1"));
    assert_eq!(seen, [200, 200, 429], "{}", instance.log());
}

#[test]
fn a_unix_socket() {
    let folder = TempDir::new().expect("a scratch folder");
    let socket = shown(folder.path(), "redis.sock");
    let Some(_redis) = Redis::start_in(folder, &["--unixsocket", &socket]) else { return };
    counts(&mut Instance::start(&policy(&format!("address: 'unix:{socket}', deadline: 1s, database: 3"), DAY)));
}

#[test]
fn tls_with_certificates_on_both_sides_and_a_user_who_may_do_nothing_else() {
    let folder = TempDir::new().expect("a scratch folder");
    certificates(&folder);
    let file = |name: &str| shown(folder.path(), name);
    // The very line of the documentation.
    let line = fs::read_to_string("docs/limits.md").expect("the documentation");
    let line = line.lines().find(|line| line.starts_with("user postern on")).expect("a user").to_owned();
    fs::write(folder.path().join("users.acl"), format!("user default off\n{}\n", line.replace("PASSWORD", "hunter2")))
        .expect("users");
    fs::write(folder.path().join("password"), "hunter2\n").expect("a password");
    let tls = ports::free();
    let arguments = [
        "--tls-port",
        &tls.to_string(),
        "--tls-cert-file",
        &file("server.pem"),
        "--tls-key-file",
        &file("server.key"),
        "--tls-ca-cert-file",
        &file("ca.pem"),
        "--tls-auth-clients",
        "yes",
        "--aclfile",
        &file("users.acl"),
    ];
    let login = format!("username: postern, password: {{file: '{}'}}", file("password"));
    let ca = format!(
        "ca_file: '{}', certificate: '{}', key: {{file: '{}'}}",
        file("ca.pem"),
        file("server.pem"),
        file("server.key")
    );
    for secret in ["password", "server.key"] {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(folder.path().join(secret), fs::Permissions::from_mode(0o600)).expect("a mode");
    }
    let address = format!("address: 'rediss://localhost:{tls}', deadline: 1s");
    let wrong = file("wrong.pem");
    let whole = policy(&format!("{address}, {login}, {ca}"), DAY);
    let Some(redis) = Redis::start_in(folder, &arguments) else { return };
    counts(&mut Instance::start(&whole));
    for (text, want) in [
        (whole.replace("username: postern", "username: nobody"), "authentication failed"),
        (whole.replace("ca.pem", "wrong.pem"), "certificate"),
        (whole.replace("ca_file", "server_name: elsewhere.test, ca_file"), "certificate"),
    ] {
        assert!(text != whole && std::path::Path::new(&wrong).exists());
        let instance = Instance::start(&text);
        assert_eq!(instance.status("/day", "192.0.2.2"), 503, "{want}");
        let status: serde_json::Value = serde_json::from_str(&instance.page("/status")).expect("JSON");
        let error = status["shared_limits"]["last_error"].as_str().expect("an error").to_owned();
        assert!(error.contains(want), "{error}");
        assert!(!instance.log().contains("hunter2") && !status.to_string().contains("hunter2"));
    }
    drop(redis);
}

#[test]
fn sentinels_know_a_new_master() {
    let Some(mut first) = Redis::start(&[]) else { return };
    let Some(second) = Redis::start(&["--replicaof", "127.0.0.1", &first.port.to_string()]) else { return };
    let folder = TempDir::new().expect("a scratch folder");
    let config = format!(
        "sentinel monitor limits 127.0.0.1 {} 1\nsentinel down-after-milliseconds limits 500\n\
         sentinel failover-timeout limits 2000\n",
        first.port
    );
    fs::write(folder.path().join("sentinel.conf"), config).expect("a configuration");
    let file = shown(folder.path(), "sentinel.conf");
    let Some(sentinel) = Redis::start_in(folder, &[&file, "--sentinel"]) else { return };
    // The first of the list is nobody.
    let address = format!(
        "address: ['redis://127.0.0.1:{}', 'redis://127.0.0.1:{}'], master: limits, deadline: 1s",
        ports::free(),
        sentinel.port
    );
    let mut instance = Instance::start(&policy(&address, DAY));
    counts(&mut instance);
    let synced = |port| cli(port, &["INFO", "replication"]).contains("master_link_status:up");
    let deadline = crate::proxy::process::Deadline::after(std::time::Duration::from_secs(20));
    while !synced(second.port)
        || !said(Command::new("redis-cli").args(["-p", &sentinel.port.to_string(), "SENTINEL", "replicas", "limits"]))
            .contains(&second.port.to_string())
    {
        assert!(!deadline.passed(), "the replica does not follow");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    first.kill();
    instance.wait_for("postern_limit_store_up 0");
    instance.wait_for("postern_limit_store_connections_total 2");
    assert!(cli(second.port, &["ROLE"]).starts_with("master"), "{}", instance.log());
    // What was counted by the first is known to the second.
    assert_eq!(instance.status("/day", "192.0.2.1"), 429);
    assert_eq!(instance.status("/day", "192.0.2.3"), 200);
}

/// `ca.pem`, `server.pem` and its key for localhost, and another authority as `wrong.pem`.
fn certificates(folder: &TempDir) {
    let named = |name: &str| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        params
    };
    let authority = |name: &str| {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
    };
    let (ours, other) = (authority("ca.test"), authority("other.test"));
    let key = KeyPair::generate().expect("a key");
    let server = named("localhost").signed_by(&key, &ours).expect("a certificate");
    for (name, text) in [
        ("ca.pem", ours.pem()),
        ("wrong.pem", other.pem()),
        ("server.pem", server.pem()),
        ("server.key", key.serialize_pem()),
    ] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
}
