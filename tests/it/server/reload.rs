//! SIGHUP: the policy is read again, a bad one changes nothing, and a revoked key is refused.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::time::Duration;

use postern::cli::load::LoadedPolicy;
use postern::config::load::Pretend;
use postern::engine::Engine;
use postern::model::problem::Problem;
use postern::model::problem::Problems;
use postern::model::reload::ReloadResult;
use postern::server::reload::Busy;
use postern::server::reload::Cause;
use postern::server::reload::Look;
use postern::server::reload::Origin;
use postern::server::reload::Reload;
use postern::server::reload::ReloadDesk;
use postern::snapshot::Snapshot;
use postern::telemetry::Telemetry;
use postern::telemetry::clock;

use crate::fuzz::world;
use crate::limits::instance;
use crate::limits::instance::Instance;
use crate::proxy::client;
use crate::proxy::ports;
use crate::proxy::process::Process;
use crate::proxy::process::Signal;
use crate::token::Issuer;

fn snapshot(text: &str) -> Snapshot {
    let world =
        Pretend::new().file("p.yaml", format!("version: 1\n{text}...\n")).file("keys.json", Issuer::new("k1").jwks());
    LoadedPolicy::read(Path::new("p.yaml"), &world).unwrap_or_else(|report| panic!("{report}")).snapshot
}

fn engine(text: &str) -> Arc<Engine> {
    Arc::new(Engine::new(Arc::new(snapshot(text)), Arc::new(Telemetry::new().expect("telemetry"))))
}

fn policy(path: &str) -> String {
    format!("hosts: {{app.test: {{routes: [{{path: {path}, public: true}}]}}}}\n")
}

#[tokio::test]
async fn a_good_policy_takes_the_place_and_a_bad_one_does_not() {
    let engine = engine(&policy("/a"));
    let bad = || Err(Problems(vec![Problem::error(None, "hosts", "bad")]));
    let mut queue = vec![bad(), Ok(snapshot(&policy("/b"))), bad()].into_iter();
    let load = move || queue.next().expect("a policy");
    let mut reload = Reload::start(Arc::clone(&engine), load, clock::now).expect("a start");
    let first = engine.snapshot().digest.clone();
    let shown = |line: &str| {
        let metrics = engine.telemetry().gather(&[]);
        assert!(metrics.lines().any(|shown| shown == line), "{line}\n{metrics}");
    };
    shown("postern_config_last_reload_successful 1");
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Refused));
    assert_eq!(engine.snapshot().digest, first);
    shown("postern_config_last_reload_successful 0");
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Accepted));
    let second = engine.snapshot().digest.clone();
    assert_ne!(second, first);
    shown("postern_config_last_reload_successful 1");
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Refused));
    assert_eq!(engine.snapshot().digest, second);
    shown("postern_config_reloads_total{result=\"accepted\"} 1");
    shown("postern_config_reloads_total{result=\"refused\"} 2");
}

/// A new policy whose keys are not to be had waits for them, and then comes all the same.
#[tokio::test(start_paused = true)]
async fn an_issuer_that_is_down_delays_a_policy_and_does_not_stop_it() {
    let source = |keys: &str| {
        let route = "hosts: {app.test: {routes: [{path: /**, require: {authenticated: true}}]}}\n";
        format!("identity: {{people: {{jwt: {{issuer: 'https://sso.test', audience: app, {keys}}}}}}}\n{route}")
    };
    let engine = engine(&source("jwks_file: keys.json"));
    let new = source("jwks_url: 'http://127.0.0.1:9/keys', insecure_http: true, key_hosts: 127.0.0.1");
    let mut queue = vec![Ok(snapshot(&new))].into_iter();
    let load = move || queue.next().expect("a policy");
    let mut reload = Reload::start(Arc::clone(&engine), load, clock::now).expect("a start");
    let before = tokio::time::Instant::now();
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Accepted));
    assert!(before.elapsed() >= Duration::from_secs(10), "{:?}", before.elapsed());
    assert_eq!(engine.snapshot().obstacles(clock::now()).len(), 1);
}

/// An issuer that says its keys once and is gone.
fn issuer_that_goes_away() -> (u16, std::thread::JoinHandle<()>) {
    use std::io::Read;
    use std::io::Write;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let _request = stream.read(&mut [0; 4096]).expect("a request");
        let keys = Issuer::new("k1").jwks();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{keys}", keys.len());
        stream.write_all(answer.as_bytes()).expect("an answer");
    });
    (port, answering)
}

/// Whoever revokes an API key while the issuer is down does not lock out everybody who has a token.
#[tokio::test]
async fn a_new_policy_takes_over_the_keys_of_an_issuer_that_is_down() {
    let (port, answering) = issuer_that_goes_away();
    let policy = |path: &str, more: &str| {
        snapshot(&format!(
            "identity: {{people: {{jwt: {{issuer: 'https://sso.test', audience: app, insecure_http: true,\
             jwks_url: 'http://127.0.0.1:{port}/keys', key_hosts: [127.0.0.1{more}]}}}}}}\n\
             hosts: {{app.test: {{routes: [{{path: {path}, require: {{authenticated: true}}}}]}}}}\n"
        ))
    };
    let engine = Arc::new(Engine::new(Arc::new(policy("/a", "")), Arc::new(Telemetry::new().expect("telemetry"))));
    let mut queue = vec![Ok(policy("/b", "")), Ok(policy("/b", ", keys.test"))].into_iter();
    let load = move || queue.next().expect("a policy");
    let mut reload = Reload::start(Arc::clone(&engine), load, clock::now).expect("a start");
    while !engine.snapshot().obstacles(clock::now()).is_empty() {
        tokio::task::yield_now().await;
    }
    answering.join().expect("answered");
    let fetched = engine.snapshot().key_statuses()[0].fetched_at;
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Accepted));
    assert_eq!(engine.snapshot().obstacles(clock::now()), [""; 0]);
    let status = engine.snapshot().key_statuses().remove(0);
    assert_eq!(
        (status.fetched_at, status.failed_fetches),
        (fetched, 1),
        "as old as they are, and newer ones were tried"
    );
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Accepted));
    assert_eq!(engine.snapshot().obstacles(clock::now()).len(), 1, "keys of other bounds are fetched anew");
}

/// Files that do as they are told.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<Script>>);

#[derive(Default)]
struct Script {
    look: Option<Look>,
    /// How many looks see what the one before them did not.
    restless: usize,
    /// How many loads read what no look saw.
    late: usize,
    loads: usize,
    panics: bool,
    policy: String,
}

impl Scripted {
    fn new(look: Look, policy: &str) -> Scripted {
        let script = Script { look: Some(look), policy: policy.to_owned(), ..Script::default() };
        Scripted(Arc::new(Mutex::new(script)))
    }

    fn loads(&self) -> usize {
        self.script().loads
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Origin for Scripted {
    fn load(&mut self, _: Cause) -> Result<Snapshot, Problems> {
        let mut script = self.script();
        script.loads += 1;
        assert!(!std::mem::take(&mut script.panics), "a bug");
        Ok(snapshot(&script.policy))
    }

    fn look(&mut self) -> Look {
        self.script().look.expect("a look")
    }

    fn saw_the_same(&mut self) -> bool {
        let mut script = self.script();
        script.restless = script.restless.saturating_sub(1);
        script.restless == 0
    }

    fn read_what_was_seen(&mut self) -> bool {
        let mut script = self.script();
        let late = script.late > 0;
        script.late = script.late.saturating_sub(1);
        !late
    }
}

type Now = fn() -> jiff::Timestamp;

fn scripted(look: Look, policy: &str) -> (Scripted, Reload<Scripted, Now>) {
    let files = Scripted::new(look, policy);
    let reload = Reload::start(engine(&self::policy("/old")), files.clone(), clock::now as Now);
    (files, reload.expect("a start"))
}

#[tokio::test(start_paused = true)]
async fn f4_files_are_read_when_they_are_at_rest_and_as_they_were_seen() {
    let (files, mut reload) = scripted(Look::New, &policy("/new"));
    files.script().restless = 20;
    files.script().late = 3;
    assert_eq!(reload.reload(Cause::Noticed).await, Some(ReloadResult::Accepted));
    assert_eq!(files.loads(), 4, "what changed while it was read is read again");
    assert_eq!(reload.status().generation, 2);
    files.script().restless = usize::MAX;
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Refused));
    assert_eq!((files.loads(), reload.status().generation), (4, 2), "nothing was read");
    files.script().restless = 0;
    files.script().late = usize::MAX;
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Refused));
    assert!(files.loads() < 20, "{} loads", files.loads());
}

#[tokio::test(start_paused = true)]
async fn what_is_known_is_not_tried_again_unless_somebody_asks() {
    let (files, mut reload) = scripted(Look::Tried, &policy("/new"));
    assert_eq!(reload.reload(Cause::Noticed).await, None);
    assert_eq!(files.loads(), 0);
    files.script().look = Some(Look::InForce);
    assert_eq!(reload.reload(Cause::Noticed).await, None);
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Unchanged));
    assert_eq!((files.loads(), reload.status().generation), (0, 1));
    files.script().look = Some(Look::Tried);
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Accepted));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_panics_is_a_bad_one() {
    let (files, mut reload) = scripted(Look::New, &policy("/new"));
    files.script().panics = true;
    assert_eq!(reload.reload(Cause::Noticed).await, Some(ReloadResult::Refused));
    assert_eq!(reload.reload(Cause::Noticed).await, Some(ReloadResult::Accepted));
}

/// Whoever withdraws a key at the issuer asks for a reload, though no file has changed.
#[tokio::test(start_paused = true)]
async fn an_unchanged_policy_that_is_asked_for_asks_its_issuers_anew() {
    let source = "identity: {people: {jwt: {issuer: 'https://sso.test', audience: app, jwks_url: 'http://127.0.0.1:9/keys',\
                  insecure_http: true, key_hosts: 127.0.0.1}}}\n";
    let files = Scripted::new(Look::InForce, source);
    let engine = engine(source);
    let now = clock::now as Now;
    let mut reload = Reload::start(Arc::clone(&engine), files.clone(), now).expect("a start");
    let before = engine.snapshot();
    assert_eq!(reload.reload(Cause::Noticed).await, None);
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Unchanged));
    let after = engine.snapshot();
    assert!(!Arc::ptr_eq(&before, &after), "keys of its own");
    assert_eq!((files.loads(), after.generation), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn everybody_who_asks_meanwhile_shares_the_next_reload() {
    let (files, reload) = scripted(Look::New, &policy("/new"));
    let (desk, reloads) = ReloadDesk::new(reload);
    let asked: Vec<_> = (0..20)
        .map(|_| {
            let reloads = reloads.clone();
            tokio::spawn(async move { reloads.ask().await })
        })
        .collect();
    // All have asked before the desk opens.
    tokio::task::yield_now().await;
    let desk = tokio::spawn(desk.run(None));
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.expect("an answer"));
    }
    let accepted = answers.iter().filter(|answer| **answer == Ok(ReloadResult::Accepted)).count();
    let busy = answers.iter().filter(|answer| **answer == Err(Busy)).count();
    assert_eq!((accepted, busy, files.loads()), (16, 4, 1));
    assert_eq!(reloads.status().generation, 2);
    desk.abort();
}

/// A running `postern serve` with a key file beside its policy.
struct Served {
    folder: tempfile::TempDir,
    process: Process,
    http: u16,
    admin: u16,
}

impl Served {
    fn start(keys: &[&str]) -> (Served, Vec<String>) {
        let folder = tempfile::tempdir().expect("a folder");
        let texts = keys.iter().map(|id| new_key(folder.path(), id)).collect();
        let (http, admin) = (ports::free(), ports::free());
        let text = format!(
            "version: 1\nlisten: {{grpc: 'unix:{}/grpc.sock', http: 127.0.0.1:{http}, admin: 127.0.0.1:{admin}}}\n\
             identity: {{machines: {{api_key: {{header: X-Api-Key, keys: keys.yaml}}}}}}\n\
             hosts: {{app.test: {{routes: [{{path: /**, require: {{identity: machines}}}}]}}}}\n...\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("policy.yaml"), text).expect("a policy");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(["serve", "--no-watch", "-c", "policy.yaml"]).current_dir(folder.path());
        let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
        process.wait_until("/readyz", || page(admin, "/readyz").is_some());
        (Served { folder, process, http, admin }, texts)
    }

    /// The status for a request with this key.
    fn ask(&self, key: &str) -> u16 {
        let request = format!(
            "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
             X-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /x\r\nX-Api-Key: {key}\r\n\r\n"
        );
        client::send(self.http, request.as_bytes()).expect("an answer").status
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("keys.yaml")
    }

    /// Send SIGHUP, and wait until this many reloads have ended so.
    fn reload(&mut self, outcome: &str, times: u32) {
        self.process.signal(Signal::Hangup);
        let line = format!("postern_config_reloads_total{{result=\"{outcome}\"}} {times}");
        let admin = self.admin;
        self.process.wait_until("a reload", || {
            page(admin, "/metrics").is_some_and(|metrics| metrics.lines().any(|shown| shown == line))
        });
    }
}

fn page(admin: u16, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client::send(admin, request.as_bytes()).ok().filter(|reply| reply.status == 200).map(|reply| reply.body)
}

fn postern(folder: &Path, words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_postern")).args(words).current_dir(folder).output();
    let output = output.expect("the binary runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn new_key(folder: &Path, id: &str) -> String {
    postern(folder, &["key", "new", "--id", id, "--owner", "deploy", "--file", "keys.yaml"])
}

#[test]
fn a_key_is_made_used_replaced_and_revoked_while_the_server_runs() {
    let (mut served, keys) = Served::start(&["old"]);
    let old = &keys[0];
    assert_eq!(served.ask(old), 200);
    let new = new_key(served.folder.path(), "new");
    assert_eq!(served.ask(&new), 401, "not read yet");
    served.reload("accepted", 1);
    assert_eq!((served.ask(old), served.ask(&new)), (200, 200), "both, while one takes the other's place");
    postern(served.folder.path(), &["key", "revoke", "--id", "old", "--file", "keys.yaml"]);
    served.reload("accepted", 2);
    assert_eq!((served.ask(old), served.ask(&new)), (401, 200));
    let metrics = page(served.admin, "/metrics").expect("metrics");
    let uses: Vec<&str> = metrics.lines().filter(|line| line.starts_with("postern_api_key_last_used")).collect();
    assert_eq!(uses.len(), 1, "{uses:?}");
    assert!(uses[0].contains("{key=\"new\",source=\"machines\"} 1"), "{uses:?}");

    // A bad file changes nothing.
    std::fs::write(served.file(), "- {id: new, owner: deploy}\n").expect("written");
    served.reload("refused", 1);
    assert_eq!(served.ask(&new), 200);
    let metrics = page(served.admin, "/metrics").expect("metrics");
    assert!(metrics.contains("postern_config_last_reload_successful 0\n"), "{metrics}");
    let log = served.process.log();
    assert!(log.contains("the key `hash` is missing") && log.contains("keys.yaml"), "{log}");
    for key in [old, &new] {
        let half = key.rsplit('_').next().expect("a secret");
        assert!(!log.contains(half) && !metrics.contains(half), "a secret shows");
    }
}

#[tokio::test]
async fn a_policy_with_a_new_store_of_limits_comes_when_the_store_was_tried() {
    let engine = engine(&policy("/a"));
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let limited = format!("limits: {{redis: {{address: 'redis://127.0.0.1:{port}'}}}}\n{}", policy("/b"));
    let limited = limited.replace("public: true", "public: true, limit: {per: address, rate: 1/s}");
    let mut reload = Reload::start(Arc::clone(&engine), move || Ok(snapshot(&limited)), clock::now).expect("a start");
    assert_eq!(reload.reload(Cause::Asked).await, Some(ReloadResult::Accepted));
    let snapshot = engine.snapshot();
    assert!(snapshot.shared_limits_status().is_some_and(|store| store.tried && !store.up));
    assert_eq!(snapshot.obstacles(clock::now()), Vec::<String>::new(), "it is ready from the first moment");
}

/// Lookups of tokens that were verified before, and of those that were not.
fn lookups(instance: &Instance) -> (u64, u64) {
    let count = |result: &str| {
        let series = format!("postern_token_cache_lookups_total{{outcome=\"{result}\",source=\"people\"}}");
        let metrics = instance.page("/metrics");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&series).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {series} in\n{metrics}")).trim().parse().expect("a number")
    };
    (count("hit"), count("miss"))
}

#[test]
fn k6_verified_tokens_outlive_a_reload_that_leaves_their_terms_alone_and_no_other() {
    let folder = tempfile::TempDir::new().expect("a scratch folder");
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, world::key_set()).expect("a file");
    let mut instance = Instance::start(&format!(
        "identity:\n  people:\n    jwt:\n      issuer: https://sso.test\n      audience: [web]\n      jwks_file: '{}'\n      \
         algorithms: [EdDSA]\n      max_lifetime: 3650d\n      claims: {{user: preferred_username, groups: groups}}\n\
         defaults: {{headers: {{user: X-First}}}}\n\
         hosts: {{app.test: {{routes: [{{path: /**, require: {{groups: [staff]}}}}]}}}}\n",
        keys.display()
    ));
    let alice = &world::PEOPLE[0].token;
    let ask = |instance: &Instance| {
        let check = instance::check("/", "192.0.2.1");
        let check = check.replace("\r\n\r\n", &format!("\r\nAuthorization: Bearer {alice}\r\n\r\n"));
        client::send(instance.http, check.as_bytes()).expect("an answer")
    };
    let reply = ask(&instance);
    assert_eq!((reply.status, reply.all("x-first")), (200, vec!["alice"]));
    assert_eq!(lookups(&instance), (0, 1));
    // Another header, another rule: nobody is verified anew, and both hold at once.
    instance.change("X-First", "X-Second");
    instance.wait_for("postern_config_generation 2");
    let reply = ask(&instance);
    assert_eq!((reply.status, reply.all("x-first"), reply.all("x-second")), (200, vec![], vec!["alice"]));
    assert_eq!(lookups(&instance), (1, 1));
    instance.change("[staff]", "[nobody]");
    instance.wait_for("postern_config_generation 3");
    assert_eq!(ask(&instance).status, 403);
    assert_eq!(lookups(&instance), (2, 1));
    // Another audience: what was verified says nothing any more.
    instance.change("[web]", "[other]");
    instance.wait_for("postern_config_generation 4");
    assert_eq!(ask(&instance).status, 401);
    assert_eq!(lookups(&instance), (0, 1));
}

#[test]
fn a_policy_of_which_an_example_fails_changes_nothing() {
    let examples = "examples: [{get: /a, expect: allow}, {post: /a, expect: method_not_listed}]";
    let route = format!("{{path: /a, methods: [GET], public: true, {examples}}}");
    let mut instance = Instance::start(&format!("hosts: {{app.test: {{routes: [{route}]}}}}\n"));
    assert_eq!(instance.status("/a", "192.0.2.1"), 200);
    // The same route, and another word on it that is wrong.
    instance.change("path: /a, methods: [GET]", "path: /a, methods: [GET, POST]");
    instance.wait_for("postern_config_last_reload_successful 0");
    assert_eq!(instance.metric("postern_config_generation"), 1, "the old policy stays");
    assert!(instance.log().contains("this example fails: POST https://app.test/a as nobody"), "{}", instance.log());
    instance.change("method_not_listed", "allow");
    instance.wait_for("postern_config_generation 2");
    assert_eq!(instance.metric("postern_config_last_reload_successful"), 1);
}
