//! The audit log of a running server: what it holds, what a kill leaves of it, and what happens when it cannot be kept.

mod http;
mod rsyslog;
mod syslog;

use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use postern::audit::Audit;
use postern::audit::pseudonym::Naming;
use postern::audit::pseudonym::Pseudonyms;
use postern::audit::settings::AuditSettings;
use postern::audit::settings::Fsync;
use postern::audit::settings::Rotation;
use postern::audit::settings::Target;
use postern::audit::settings::WhenFull;
use postern::audit::verify::Verifier;
use postern::cli::load::LoadedPolicy;
use postern::config::load::Pretend;
use postern::engine::Engine;
use postern::model::dialect::Dialect;
use postern::model::reason::Reason;
use postern::model::request::Refusal;
use postern::model::secret::Secret;
use postern::telemetry::Telemetry;
use serde_json::Value;
use tempfile::TempDir;

use crate::proxy::client;
use crate::proxy::ports;
use crate::proxy::process::Process;
use crate::proxy::process::Signal;

/// A question that is allowed.
const OPEN: &str = "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
                    X-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /open\r\n\r\n";

/// A running `postern serve` that keeps a log.
struct Served {
    folder: TempDir,
    grpc: u16,
    http: u16,
    admin: u16,
    process: Process,
}

impl Served {
    /// With this for `audit`; `FOLDER` stands for a folder of its own.
    fn start(audit: &str) -> Served {
        Served::start_with(audit, |_| {})
    }

    /// The same, with files that `prepare` puts into the folder.
    fn start_with(audit: &str, prepare: impl FnOnce(&Path)) -> Served {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let (grpc, http, admin) = (ports::free(), ports::free(), ports::free());
        let audit = audit.replace("FOLDER", &folder.path().display().to_string());
        let policy = format!(
            "version: 1\nlisten: {{grpc: '127.0.0.1:{grpc}', http: '127.0.0.1:{http}', admin: '127.0.0.1:{admin}'}}\n\
             audit: {{{audit}}}\nhosts: {{app.test: {{routes: [{{path: /open, public: true}}]}}}}\n...\n"
        );
        fs::write(folder.path().join("policy.yaml"), policy).expect("a policy");
        prepare(folder.path());
        let process = serve(folder.path(), admin);
        Served { folder, grpc, http, admin, process }
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    /// Ask in a proxy's words; whether it allowed.
    fn ask(&self, proxy: &str, path: &str) -> bool {
        if proxy == "caddy" {
            // Caddy's question has the client's host as its own.
            let question = format!(
                "GET /auth/caddy HTTP/1.1\r\nHost: app.test\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: app.test\r\nX-Forwarded-Uri: {path}\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
            );
            return client::send(self.http, question.as_bytes()).expect("an answer").status == 200;
        }
        let port = if proxy == "ext_authz" { self.grpc } else { self.http };
        let (to, url) = (format!("127.0.0.1:{port}"), format!("https://app.test{path}"));
        let output =
            postern(self.folder.path(), &["ask", "--proxy", proxy, "--to", &to, "--url", &url, "--from", "192.0.2.7"]);
        match output.status.code() {
            Some(0) => true,
            Some(3) => false,
            code => panic!("{proxy}: {code:?} {}", String::from_utf8_lossy(&output.stderr)),
        }
    }

    fn metric(&self, name: &str) -> u64 {
        metric(self.admin, name)
    }

    /// End it as an operator does, and give what it wrote.
    fn end(self) -> (TempDir, Vec<Value>) {
        let Served { folder, process, .. } = self;
        drop(process);
        let lines = lines(&folder.path().join("audit.jsonl"));
        (folder, lines)
    }
}

/// What a running server counts.
fn metric(admin: u16, name: &str) -> u64 {
    let page = client::send(admin, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let page = page.expect("metrics").body;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {page}"))
}

fn serve(folder: &Path, admin: u16) -> Process {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["serve", "-c", "policy.yaml"]).current_dir(folder);
    let mut process = Process::start("postern", &mut command, &folder.join("log"));
    process.wait_until("/readyz", || {
        client::send(admin, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .is_ok_and(|reply| reply.status == 200)
    });
    process
}

fn postern(folder: &Path, words: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_postern")).args(words).current_dir(folder).output().expect("the binary runs")
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("a log");
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What `postern audit verify --json` says, and its exit status.
fn verified(folder: &Path, words: &[&str]) -> (Value, Option<i32>) {
    let output = postern(folder, &[&["audit", "verify", "--json"], words].concat());
    let report = serde_json::from_slice(&output.stdout);
    (
        report.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr))),
        output.status.code(),
    )
}

#[test]
fn every_answer_in_every_dialect_leaves_a_line() {
    let served = Served::start("path: FOLDER/audit.jsonl, fsync: line");
    let dialects: Vec<&str> = Dialect::ALL.iter().map(|dialect| dialect.name()).collect();
    for proxy in &dialects {
        assert!(served.ask(proxy, "/open"), "{proxy}");
        assert!(!served.ask(proxy, "/closed?token=canary"), "{proxy}");
    }
    let unreadable =
        client::send(served.http, b"GET /auth/nginx HTTP/1.1\r\nHost: postern\r\n\r\n").expect("an answer");
    assert_eq!(unreadable.status, 403);
    let (folder, lines) = served.end();
    let decisions: Vec<&Value> = lines.iter().filter(|line| line["kind"] == "decision").collect();
    let said = |line: &&Value, names: [&str; 4]| names.map(|name| line[name].as_str().unwrap_or_default().to_owned());
    let mut want: Vec<[String; 4]> = Vec::new();
    for proxy in dialects {
        want.push([proxy, "/open", "allow", "public"].map(str::to_owned));
        want.push([proxy, "/closed", "deny", "route_unknown"].map(str::to_owned));
    }
    want.push(["nginx", "", "deny", "attribute_missing"].map(str::to_owned));
    let found: Vec<_> = decisions.iter().map(|line| said(line, ["dialect", "path", "effect", "reason"])).collect();
    assert_eq!(found, want);
    assert_eq!(decisions[0]["client"]["ip"], "192.0.2.7");
    assert_eq!(decisions[0]["rule"], "policy.yaml:4");
    assert!(!format!("{lines:?}").contains("canary"), "the query is not asked for");
    assert_eq!((&lines[0]["kind"], &lines[lines.len() - 1]["kind"]), (&"start".into(), &"stop".into()));
    let (report, code) = verified(folder.path(), &["audit.jsonl"]);
    assert_eq!((&report["whole"], &report["stopped"], code), (&true.into(), &true.into(), Some(0)), "{report}");
}

#[test]
fn after_a_kill_the_chain_goes_on_and_verifies() {
    let mut served = Served::start("path: FOLDER/audit.jsonl, fsync: never");
    assert!(served.ask("nginx", "/open"));
    let path = served.log();
    served.process.wait_until("a line", || fs::read_to_string(&path).is_ok_and(|text| text.contains("decision")));
    served.process.kill();
    let (report, code) = verified(served.folder.path(), &["audit.jsonl"]);
    assert_eq!((&report["lines"], &report["stopped"], code), (&2.into(), &false.into(), Some(0)), "{report}");

    // A kill may come in the middle of a line.
    let text = fs::read_to_string(&path).expect("a log");
    let half = text.lines().last().expect("a line").split_at(40).0;
    fs::write(&path, format!("{text}{half}")).expect("written");
    let (report, code) = verified(served.folder.path(), &["audit.jsonl"]);
    assert_eq!((&report["findings"][0]["kind"], code), (&"cut".into(), Some(1)), "{report}");

    served.process = serve(served.folder.path(), served.admin);
    assert!(served.ask("nginx", "/open"));
    let (folder, _) = served.end();
    let (report, code) = verified(folder.path(), &["audit.jsonl"]);
    assert_eq!((&report["lines"], &report["torn"], code), (&6.into(), &1.into(), Some(0)), "{report}");

    // And what somebody changes shows.
    let text = fs::read_to_string(&path).expect("a log");
    fs::write(&path, text.replacen("\"allow\"", "\"deny\"", 1)).expect("written");
    let (report, code) = verified(folder.path(), &["audit.jsonl"]);
    let finding = &report["findings"][0];
    assert_eq!((&finding["kind"], &finding["line"], code), (&"changed".into(), &2.into(), Some(1)), "{report}");
}

#[test]
fn a_kill_under_load_leaves_a_chain_that_the_next_process_goes_on_with() {
    let mut served = Served::start("path: FOLDER/audit.jsonl, fsync: second");
    let (path, http) = (served.log(), served.http);
    for round in 1..=2 {
        let before = fs::read(&path).expect("a log").len();
        let hammer = || while client::send(http, OPEN.as_bytes()).is_ok() {};
        thread::scope(|scope| {
            (0..2).for_each(|_| drop(scope.spawn(hammer)));
            served.process.wait_until("many lines", || fs::read(&path).is_ok_and(|text| text.len() > before + 100_000));
            served.process.kill();
        });
        served.process = serve(served.folder.path(), served.admin);
        assert!(served.ask("nginx", "/open"), "{round}");
    }
    let (folder, _) = served.end();
    let (report, code) = verified(folder.path(), &["audit.jsonl"]);
    assert_eq!((&report["whole"], &report["stopped"], code), (&true.into(), &true.into(), Some(0)), "{report}");
    assert!(report["lines"].as_u64().is_some_and(|lines| lines > 300), "{report}");
}

#[test]
fn a_full_disk_refuses_or_drops_as_configured() {
    let refusing = Served::start("path: /dev/full, when_full: refuse");
    let (http, admin) = (refusing.http, refusing.admin);
    for _ in 0..3 {
        let reply = client::send(http, OPEN.as_bytes()).expect("an answer");
        assert!(reply.status == 503 && reply.body.contains("audit_unavailable"), "{reply:?}");
    }
    assert_eq!(refusing.metric("postern_audit_dropped_total"), 3);
    assert_eq!(refusing.metric("postern_audit_failing"), 1);
    let health = client::send(admin, b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    assert_eq!(health.expect("an answer").status, 200);

    let dropping = Served::start("path: /dev/full, queue: 2");
    for _ in 0..6 {
        assert_eq!(client::send(dropping.http, OPEN.as_bytes()).expect("an answer").status, 200);
    }
    assert!(dropping.metric("postern_audit_dropped_total") >= 2);
}

#[test]
fn a_log_that_was_moved_away_is_begun_again_at_sighup() {
    let mut served = Served::start("path: FOLDER/audit.jsonl");
    assert!(served.ask("nginx", "/open"));
    let (path, moved) = (served.log(), served.folder.path().join("audit.jsonl.1"));
    served.process.wait_until("a line", || lines(&path).len() == 2);
    fs::rename(&path, &moved).expect("moved");
    served.process.signal(Signal::Hangup);
    served.process.wait_until("a new file", || path.exists());
    assert!(served.ask("nginx", "/open"));
    let (folder, _) = served.end();
    let (report, code) = verified(folder.path(), &["audit.jsonl.1", "audit.jsonl"]);
    assert_eq!((&report["lines"], code), (&4.into(), Some(0)), "{report}");
}

#[test]
fn a_log_of_ocsf_events_is_chained_and_signed_like_any_other() {
    let keys = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let (key, public) = (keys.path().join("audit.pem"), keys.path().join("audit.pub.pem"));
    let pair = rcgen::KeyPair::generate().expect("a key");
    fs::write(&key, pair.serialize_pem()).expect("a key");
    fs::write(&public, pair.public_key_pem()).expect("a key");
    let audit = format!("path: FOLDER/audit.jsonl, format: ocsf, signing_key_file: {}", key.display());
    let mut served = Served::start(&audit);
    assert!(served.ask("nginx", "/open"));
    assert!(!served.ask("nginx", "/closed"));
    let path = served.log();
    served.process.wait_until("three lines", || fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 3));
    served.process.kill();
    let half = fs::read_to_string(&path).expect("a log");
    fs::write(&path, format!("{half}{{\"category_uid\":4,\"cl")).expect("written");
    served.process = serve(served.folder.path(), served.admin);
    let (folder, lines) = served.end();
    let public = public.display().to_string();
    let (report, code) = verified(folder.path(), &["--key", &public, "audit.jsonl"]);
    assert_eq!(
        (&report["lines"], &report["torn"], &report["signed"], code),
        (&6.into(), &1.into(), &6.into(), Some(0))
    );
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["unmapped"]["kind"].as_str()).collect();
    assert_eq!(kinds, ["start", "decision", "decision", "torn", "start", "stop"], "{lines:?}");
    let classes: Vec<u64> = lines.iter().filter_map(|line| line["type_uid"].as_u64()).collect();
    assert_eq!(classes, [600_203, 400_203, 400_203, 600_299, 600_203, 600_204]);
    for line in &lines {
        let fact = |name: &str| line[name].as_u64();
        let (class, activity) = (fact("class_uid").expect("a class"), fact("activity_id").expect("an activity"));
        assert_eq!(
            (fact("type_uid"), fact("category_uid")),
            (Some(class * 100 + activity), Some(class / 1000)),
            "{line}"
        );
        assert!(fact("time").is_some() && fact("severity_id").is_some(), "{line}");
        assert_eq!(line["metadata"]["version"], "1.3.0");
    }
    let text = fs::read_to_string(&path).expect("a log");
    fs::write(&path, text.replacen("\"action_id\":2", "\"action_id\":1", 1)).expect("written");
    let (report, code) = verified(folder.path(), &["audit.jsonl"]);
    assert_eq!((&report["findings"][0]["kind"], code), (&"changed".into(), Some(1)), "{report}");
}

#[test]
fn a_log_of_cef_lines_goes_on_after_a_kill_and_is_no_chain() {
    let mut served = Served::start("path: FOLDER/audit.jsonl, format: cef");
    assert!(served.ask("nginx", "/open"));
    let path = served.log();
    served.process.wait_until("two lines", || fs::read_to_string(&path).is_ok_and(|text| text.lines().count() == 2));
    served.process.kill();
    served.process = serve(served.folder.path(), served.admin);
    let (folder, _) = served.end();
    let text = fs::read_to_string(&path).expect("a log");
    let ids: Vec<&str> = text.lines().filter_map(|line| line.split('|').nth(4)).collect();
    assert_eq!(ids, ["start", "public", "start", "stop"], "{text}");
    assert!(text.lines().all(|line| line.starts_with("CEF:0|Postern|postern|")), "{text}");
    let (report, code) = verified(folder.path(), &["audit.jsonl"]);
    assert_eq!((&report["findings"][0]["kind"], code), (&"unlinked".into(), Some(1)), "{report}");
}

/// A file that may not grow is as good as a full disk, and whoever may raise the limit makes room.
#[test]
fn a_disk_with_room_again_gets_the_rest_and_the_chain_is_whole() {
    let mut served = Served::start("path: FOLDER/audit.jsonl, when_full: refuse");
    served.process.kill();
    let (folder, http, admin) = (served.folder.path(), served.http, served.admin);
    let mut command = Command::new("sh");
    let limited = "trap '' XFSZ; ulimit -S -f 16; exec \"$0\" serve -c policy.yaml";
    command.args(["-c", limited, env!("CARGO_BIN_EXE_postern")]).current_dir(folder);
    let mut process = Process::start("postern", &mut command, &folder.join("log"));
    process.wait_until("/readyz", || {
        client::send(admin, b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            .is_ok_and(|reply| reply.status == 200)
    });
    let asked = || client::send(http, OPEN.as_bytes()).expect("an answer").status;
    let mut allowed = 0;
    process.wait_until("a full disk", || {
        allowed += u64::from(asked() == 200);
        asked() == 503
    });
    let pid = process.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &pid, "--fsize=unlimited:"]).status().expect("prlimit");
    assert!(raised.success());
    process.wait_until("room", || asked() == 200);
    drop(process);
    let (report, code) = verified(folder, &["audit.jsonl"]);
    assert_eq!((&report["whole"], &report["stopped"], code), (&true.into(), &true.into(), Some(0)), "{report}");
    let lines = lines(&folder.join("audit.jsonl"));
    let passed = lines.iter().filter(|line| line["effect"] == "allow").count() as u64;
    assert!(passed > allowed, "every allow has its line: {passed} of {allowed}");
    assert!(report["dropped"].as_u64().is_some_and(|dropped| dropped > 0), "{report}");
}

#[test]
fn whoever_has_the_key_finds_a_pseudonym_again() {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    fs::write(folder.path().join("audit.key"), format!("{}\n", "k".repeat(32))).expect("a key");
    let called = |words: &[&str]| {
        let words =
            [&["audit", "pseudonym", "--key-file", "audit.key", "--issuer", "https://sso.test"], words].concat();
        let output = postern(folder.path(), &words);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let pseudonyms = Pseudonyms::new(&Secret::new(b"k".repeat(32))).expect("a key");
    let [subject, user] =
        [Naming::Subject, Naming::User].map(|naming| pseudonyms.of(naming, "https://sso.test", "alice"));
    assert_eq!(called(&["--subject", "alice"]), format!("{subject}\n"));
    assert_eq!(called(&["--user", "alice"]), format!("{user}\n"));
    assert_ne!(subject, user);
    fs::write(folder.path().join("audit.key"), "short\n").expect("a key");
    let short = ["audit", "pseudonym", "--key-file", "audit.key", "--issuer", "x", "--user", "y"];
    assert_eq!(postern(folder.path(), &short).status.code(), Some(1));
}

/// The commands of `docs/audit.md`, in their order, and what it shows of them.
#[test]
fn the_documents_commands_sign_and_verify() {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/audit.md")).expect("the document");
    let blocks = |language: &str| -> Vec<String> {
        let fence = format!("```{language}\n");
        text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
    };
    let binaries = Path::new(env!("CARGO_BIN_EXE_postern")).parent().expect("a folder");
    let shell = |folder: &Path, commands: &str| {
        let path = format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap_or_default());
        Command::new("sh").args(["-ec", commands]).env("PATH", path).current_dir(folder).output().expect("a shell")
    };
    let [keys, verify] = blocks("sh").try_into().expect("two blocks");
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let made = shell(folder.path(), &keys);
    assert!(made.status.success(), "openssl: {}", String::from_utf8_lossy(&made.stderr));
    let key = folder.path().join("audit.pem");
    let served = Served::start(&format!("path: FOLDER/audit.jsonl, signing_key_file: {}", key.display()));
    assert!(served.ask("nginx", "/open"));
    let (logged, lines) = served.end();
    assert_eq!(lines.len(), 3);
    fs::copy(folder.path().join("audit.pub.pem"), logged.path().join("audit.pub.pem")).expect("copied");
    let said = shell(logged.path(), &verify);
    let text = String::from_utf8_lossy(&said.stdout);
    assert!(said.status.success(), "{text}");
    assert!(text.starts_with(&blocks("text")[0]), "{text}");

    let other = rcgen::KeyPair::generate().expect("a key").public_key_pem();
    fs::write(logged.path().join("other.pem"), other).expect("a key");
    let (report, code) = verified(logged.path(), &["--key", "other.pem", "audit.jsonl"]);
    assert_eq!((&report["findings"][0]["kind"], code), (&"signature".into(), Some(1)), "{report}");
}

#[test]
fn files_put_aside_under_load_are_one_chain() {
    const THREADS: u64 = 4;
    const EACH: u64 = 2000;
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let settings = AuditSettings {
        when_full: WhenFull::Refuse,
        queue: 1_000_000,
        rotation: Rotation { size: Some(64 * 1024), ..Rotation::default() },
        fsync: Fsync::Second,
        ..AuditSettings::to(Target::File(folder.path().join("audit.jsonl")))
    };
    let world = Pretend::new().file("p.yaml", "version: 1\n...\n");
    let policy = LoadedPolicy::read(Path::new("p.yaml"), &world).unwrap_or_else(|report| panic!("{report}"));
    let telemetry = Arc::new(Telemetry::new().expect("telemetry"));
    let audit = Arc::new(Audit::start(&settings, telemetry.metrics().audit(), "p").expect("a log"));
    let engine = Engine::new(Arc::new(policy.snapshot), telemetry).with_audit(Arc::clone(&audit));
    let ask = || {
        for _ in 0..EACH {
            let detail = "as it happens".to_owned();
            engine.refuse(&Refusal { dialect: Dialect::Nginx, reason: Reason::Overloaded, detail });
        }
    };
    thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(ask))));
    assert!(audit.close(Duration::from_secs(60)));

    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.path()).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    assert!(files.len() > 3, "{files:?}");
    let mut verifier = Verifier::new(None);
    for file in &files {
        for (number, line) in fs::read_to_string(file).expect("a file").lines().enumerate() {
            verifier.line(&file.display().to_string(), number as u64 + 1, line.as_bytes(), true);
        }
    }
    let report = verifier.finish();
    assert_eq!((report.lines, report.stopped, report.findings), (THREADS * EACH + 2, true, vec![]));
}
