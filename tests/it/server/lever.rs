//! What the admin listener of a running server lets be done, and by whom; and what `postern status` and `health` say.

use std::fs;
use std::io::Read;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;

use serde_json::Value;
use serde_json::json;

use crate::proxy::client;
use crate::proxy::client::Reply;
use crate::proxy::ports;
use crate::proxy::process::Process;

const TOKEN: &str = "0123456789abcdef-token";
const POLICY: &str = "version: 1
admin: {token_file: token}
hosts: {app.test: {routes: [{path: /, public: true}]}}
...
";

struct Served {
    folder: tempfile::TempDir,
    process: Process,
    http: u16,
    admin: String,
}

impl Served {
    /// Nothing is read again unless we ask for it.
    fn start(policy: &str, unix: bool) -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("policy.yaml"), policy).expect("written");
        fs::write(folder.path().join("token"), format!("{TOKEN}\n")).expect("written");
        let http = ports::free();
        let admin = match unix {
            true => format!("unix:{}/admin.sock", folder.path().display()),
            false => format!("127.0.0.1:{}", ports::free()),
        };
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(["serve", "--no-watch", "-c", "policy.yaml"]).current_dir(folder.path());
        command.args(["--listen-http", &format!("127.0.0.1:{http}"), "--listen-admin", &admin]);
        command.arg(format!("--listen-grpc=unix:{}/grpc.sock", folder.path().display()));
        let process = Process::start("postern", &mut command, &folder.path().join("log"));
        let mut served = Served { folder, process, http, admin };
        let address = served.admin.clone();
        served.process.wait_until("health", || postern(&["health", "--admin", &address]).0 == 0);
        served
    }

    fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> (u16, String) {
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{token}Content-Length: {length}\r\n\r\n{body}"
        );
        if let Some(socket) = self.admin.strip_prefix("unix:") {
            let mut stream = UnixStream::connect(socket).expect("a connection");
            stream.write_all(request.as_bytes()).expect("asked");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer");
            let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
            return (status, answer.split_once("\r\n\r\n").expect("a body").1.to_owned());
        }
        let port = self.admin.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let Reply { status, body, .. } = client::send(port, request.as_bytes()).expect("an answer");
        (status, body)
    }

    fn decide(&self) {
        let request = "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
                       X-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /\r\n\r\n";
        assert_eq!(client::send(self.http, request.as_bytes()).expect("an answer").status, 200);
    }
}

fn postern(words: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_postern")).args(words).output().expect("the binary runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8(text).expect("text"))
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn f9_levers_take_the_token_or_the_unix_socket() {
    let served = Served::start(POLICY, false);
    for (method, path) in [("POST", "/reload"), ("PUT", "/log-level")] {
        for token in [None, Some("0123456789abcdef-tokeN"), Some(""), Some("0123456789abcdef-token0")] {
            assert_eq!(served.ask(method, path, token, "debug").0, 401, "{path} {token:?}");
        }
        assert_eq!(served.ask(method, path, Some(TOKEN), "debug").0, 200, "{path}");
    }
    let metrics = served.ask("GET", "/metrics", None, "").1;
    assert!(metrics.contains("\npostern_admin_refused_total 8\n"), "{metrics}");
    for (_, page) in ["/status", "/metrics", "/health", "/readyz"].map(|path| served.ask("GET", path, None, "")) {
        assert!(!page.contains("0123456789abcdef"), "{page}");
    }
    assert!(!served.process.log().contains("0123456789abcdef"));
    // Another token is in force with the reload that reads it.
    fs::write(served.folder.path().join("token"), "another-token-0123").expect("written");
    assert_eq!(served.ask("POST", "/reload", Some("another-token-0123"), "").0, 401);
    assert_eq!(served.ask("POST", "/reload", Some(TOKEN), "").0, 200);
    assert_eq!(served.ask("POST", "/reload", Some(TOKEN), "").0, 401);
    assert_eq!(served.ask("POST", "/reload", Some("another-token-0123"), "").0, 200);

    let unix = Served::start("version: 1\n...\n", true);
    assert_eq!(unix.ask("POST", "/reload", None, "").0, 200);
    assert_eq!(unix.ask("PUT", "/log-level", None, "warn").0, 200);
}

#[test]
fn a_reload_that_is_asked_for_says_how_it_went() {
    let served = Served::start(POLICY, true);
    let reload = || {
        let (status, body) = served.ask("POST", "/reload", None, "");
        let mut answer = parse(&body);
        assert_eq!(answer["policy"].take().as_str().map(str::len), Some(64), "{body}");
        (status, answer)
    };
    let went = |result: &str, generation: u64, problems: Value| json!({"result": result, "generation": generation, "policy": null, "problems": problems});
    assert_eq!(reload(), (200, went("unchanged", 1, json!([]))));
    let policy = served.folder.path().join("policy.yaml");
    fs::write(&policy, POLICY.replace("path: /", "path: /x")).expect("written");
    assert_eq!(reload(), (200, went("accepted", 2, json!([]))));
    fs::write(&policy, POLICY.replace("public: true", "publik: true")).expect("written");
    let (status, refused) = reload();
    assert_eq!((status, &refused["result"], &refused["generation"]), (422, &json!("refused"), &json!(2)));
    let problem = refused["problems"][0].as_str().expect("a problem");
    assert!(problem.starts_with("policy.yaml:3:") && problem.contains("publik"), "{problem}");
    assert_eq!(reload().0, 422, "asked again, said again");

    let status = parse(&served.ask("GET", "/status", None, "").1);
    assert_eq!(status["policy"]["last_reload"]["result"], json!("refused"), "{status}");
    assert_eq!(status["policy"]["watch"], json!("off"), "{status}");
    assert_eq!(status["status"], json!("ready"), "{status}");
    let (code, text) = postern(&["status", "--admin", &served.admin]);
    assert_eq!(code, 0, "{text}");
    for want in ["status      ready\n", "generation  2, since 2", "last reload refused at 2", "publik", "watch: off"] {
        assert!(text.contains(want), "{want} in {text}");
    }
    let (code, text) = postern(&["status", "--json", "--admin", &served.admin]);
    assert_eq!((code, &parse(&text)["policy"]["generation"]), (0, &json!(2)), "{text}");
    fs::write(&policy, POLICY.replace("path: /", "path: /x")).expect("written");
    assert_eq!(reload(), (200, went("unchanged", 2, json!([]))), "the mistake is taken back");
}

#[test]
fn the_log_level_is_set_while_the_server_runs() {
    let mut served = Served::start(POLICY, true);
    served.decide();
    assert_eq!(served.ask("GET", "/log-level", None, ""), (200, "info\n".to_owned()));
    assert!(!served.process.log().contains("request decided"));
    assert_eq!(served.ask("PUT", "/log-level", None, "debug\n"), (200, "debug\n".to_owned()));
    served.decide();
    let log = served.folder.path().join("log");
    let lines = || fs::read_to_string(&log).expect("a log").matches("request decided").count();
    served.process.wait_until("a line", || lines() == 1);
    for bad in ["postern=loud", "", "debug\ninfo", &"x".repeat(5000)] {
        assert_eq!(served.ask("PUT", "/log-level", None, bad).0, 400, "{bad}");
    }
    assert_eq!(served.ask("GET", "/log-level", None, "").1, "debug\n", "a bad one changes nothing");
    assert_eq!(served.ask("PUT", "/log-level", None, "warn").0, 200);
    served.decide();
    assert_eq!(lines(), 1);
}

#[test]
fn health_is_an_exit_status() {
    let mut served = Served::start("version: 1\n...\n", false);
    let admin = served.admin.clone();
    assert_eq!(postern(&["health", "--admin", &admin]), (0, "ready\n".to_owned()));
    assert_eq!(postern(&["health", "--live", "--admin", &admin]), (0, "live\n".to_owned()));
    served.process.kill();
    let (code, text) = postern(&["health", "--admin", &admin]);
    assert!(code == 1 && text.contains("nobody answers at"), "{code} {text}");
    assert_eq!(postern(&["status", "--admin", &admin]).0, 1);
}

#[test]
fn a_short_token_and_a_wrong_name_are_mistakes() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("token"), "short").expect("written");
    let policy = folder.path().join("policy.yaml");
    fs::write(&policy, "version: 1\nadmin: {token_file: token, hosts: ['postern.test:80']}\n...\n").expect("written");
    let (code, text) = postern(&["check", &policy.display().to_string()]);
    assert_eq!(code, 2, "{text}");
    for want in ["this is no token: 16 characters or more", "openssl rand", "`postern.test:80` is not a host name"] {
        assert!(text.contains(want), "{want} in {text}");
    }
    assert!(!text.contains("short"), "{text}");
}
