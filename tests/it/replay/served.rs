//! What `postern serve` has written under load, judged again by `postern replay`: by the same policy nothing changes, and by
//! another exactly what a server under that policy answers otherwise.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::process::Stdio;
use std::sync::Mutex;
use std::thread;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::CompressionLevel;
use ruzstd::encoding::compress_to_vec;
use serde_json::Value;
use tempfile::TempDir;

use crate::fuzz::world;
use crate::limits::instance::Instance;
use crate::proxy::client;

const CLIENTS: usize = 4;

/// What is changed in the text of a policy.
type Edit = fn(String) -> String;

/// The policy without head and end; `log` and `keys` are files.
fn policy(log: &Path, keys: &Path) -> String {
    format!(
        "audit: {{path: '{}', replay: true}}
identity:
  people:
    jwt:
      issuer: https://sso.test
      audience: web
      jwks_file: '{}'
      algorithms: [EdDSA]
      max_lifetime: 3650d
      claims: {{user: preferred_username, groups: groups}}
networks:
  office: [192.0.2.0/24]
defaults:
  identity: [people]
hosts:
  app.test:
    routes:
      - {{path: /public/**, public: true}}
      - {{path: /staff/**, require: {{groups: [staff]}}}}
      - {{path: /admin/**, require: {{groups: [admins]}}}}
      - {{path: /office/**, network: [office], require: {{authenticated: true}}}}
      - {{path: /tenant/**, require: {{headers: {{x-tenant: acme}}}}}}
      - {{path: /write/**, methods: [POST], require: {{groups: [staff]}}}}
  other.test:
    routes:
      - {{path: /**, require: {{users: [alice]}}}}
",
        log.display(),
        keys.display()
    )
}

/// Every caller, host, path, address and method, as nginx asks.
fn questions() -> Vec<String> {
    let mut tokens: Vec<String> = world::PEOPLE.iter().map(|person| person.token.clone()).collect();
    tokens.extend(world::USELESS.iter().map(|(_, token)| token.clone()));
    let mut credentials: Vec<String> =
        tokens.iter().map(|token| format!("Authorization: Bearer {token}\r\n")).collect();
    credentials.push(String::new());
    let mut questions = Vec::new();
    for credential in &credentials {
        for host in ["app.test", "other.test", "nobody.test"] {
            for path in
                ["/public/a", "/staff/a", "/Staff//a", "/admin/a?b=1", "/office/a", "/tenant/a", "/write/a", "/a;b"]
            {
                for (method, more) in [
                    ("GET", "X-Forwarded-For: 192.0.2.7\r\n"),
                    ("POST", "X-Tenant: acme\r\nX-Forwarded-For: 203.0.113.9\r\n"),
                ] {
                    questions.push(format!(
                        "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nX-Forwarded-Method: {method}\r\n\
                         X-Forwarded-Proto: https\r\nX-Forwarded-Host: {host}\r\nX-Forwarded-Uri: {path}\r\n{more}{credential}\r\n"
                    ));
                }
            }
        }
    }
    questions
}

/// The answers, allowed or not, in the order of the questions.
fn answers(instance: &Instance, questions: &[String]) -> Vec<bool> {
    let answers = Mutex::new(BTreeMap::new());
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let answers = &answers;
            scope.spawn(move || {
                for (number, question) in questions.iter().enumerate().skip(client).step_by(CLIENTS) {
                    let reply = client::send(instance.http, question.as_bytes()).expect("an answer");
                    answers.lock().expect("answers").insert(number, reply.status == 200);
                }
            });
        }
    });
    answers.into_inner().expect("answers").into_values().collect()
}

fn replay(policy: &Path, log: &[&Path], more: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.arg("replay").arg("--policy").arg(policy).arg("--log").args(log).args(more);
    command.stdin(Stdio::null()).output().expect("the binary runs")
}

fn found(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A served log of every question, its policy as a file, and what was answered.
struct Served {
    folder: TempDir,
    questions: Vec<String>,
    answered: Vec<bool>,
}

impl Served {
    fn new() -> Served {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        fs::write(folder.path().join("keys.json"), world::key_set()).expect("a file");
        let questions = questions();
        let served = Served { folder, questions, answered: Vec::new() };
        fs::write(served.path("same.yaml"), served.whole(|text| text)).expect("a policy");
        let instance = Instance::start(&served.policy("audit.jsonl"));
        let answered = answers(&instance, &served.questions);
        drop(instance);
        let lines = fs::read_to_string(served.path("audit.jsonl")).expect("a log");
        let lines = lines.lines().filter(|line| line.contains("\"kind\":\"decision\"")).count();
        assert_eq!(lines, served.questions.len());
        Served { answered, ..served }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn policy(&self, log: &str) -> String {
        policy(&self.path(log), &self.path("keys.json"))
    }

    /// The policy as a file has it, changed.
    fn whole(&self, change: impl Fn(String) -> String) -> String {
        format!("version: 1\n{}...\n", change(self.policy("unused.jsonl")))
    }
}

#[test]
fn by_the_same_policy_nothing_changes_and_by_another_exactly_what_a_server_answers_otherwise() {
    let served = Served::new();
    let log = served.path("audit.jsonl");
    let output = replay(&served.path("same.yaml"), &[&log], &["--json", "--max-flips", "0", "--forbid", "unknown"]);
    let all = served.questions.len();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let same = found(&output);
    assert_eq!((&same["decisions"], &same["same"], &same["flips"]), (&all.into(), &all.into(), &0.into()));
    assert_eq!((&same["otherwise"], &same["malformed"], &same["not_kept"]), (&0.into(), &0.into(), &0.into()));
    assert_eq!(same["unknown"], serde_json::json!({}));

    let changes: [(&str, Edit); 5] = [
        ("staff is opened", |text| {
            text.replace("require: {groups: [staff]}}\n      - {path: /admin", "public: true}\n      - {path: /admin")
        }),
        ("admins are renamed", |text| text.replace("[admins]", "[root]")),
        ("the office moves", |text| text.replace("192.0.2.0/24", "203.0.113.0/24")),
        ("writing needs no method", |text| text.replace("methods: [POST], ", "")),
        ("a host goes, and the tenant is another", |text| {
            text.replace("other.test", "gone.test").replace("acme", "corp")
        }),
    ];
    let mut flips = 0;
    for (name, change) in changes {
        let text = served.whole(change);
        assert_ne!(text, served.whole(|text| text), "{name}");
        fs::write(served.path("other.yaml"), text).expect("a policy");
        let other = Instance::start(&change(served.policy("other.jsonl")));
        let answered = answers(&other, &served.questions);
        drop(other);
        let pairs = served.answered.iter().zip(&answered);
        let gained = pairs.clone().filter(|(before, after)| !**before && **after).count();
        let lost = pairs.filter(|(before, after)| **before && !**after).count();
        let found = found(&replay(&served.path("other.yaml"), &[&log], &["--json"]));
        let of = |change: &str| -> u64 {
            let groups = found["groups"].as_array().expect("groups").iter();
            groups.filter(|group| group["change"] == change).filter_map(|group| group["count"].as_u64()).sum()
        };
        let unknown: u64 = found["unknown"].as_object().expect("counts").values().filter_map(Value::as_u64).sum();
        // Whom a gate or a method stopped was never asked who they are, so it cannot be told whom another one lets in.
        let asked = if ["the office moves", "writing needs no method"].contains(&name) { gained as u64 } else { 0 };
        assert_eq!(
            (of("deny-to-allow"), of("allow-to-deny")),
            (gained as u64 - asked, lost as u64),
            "{name}: {found:#}"
        );
        assert!(unknown >= asked && (unknown == 0) == (asked == 0), "{name}: {found:#}");
        flips += gained + lost;
    }
    assert!(flips > 40, "{flips}");
}

#[test]
fn packed_files_and_several_are_one_log_and_bounds_decide_the_exit_status() {
    let served = Served::new();
    let lines = fs::read(served.path("audit.jsonl")).expect("a log");
    let half = lines.len() / 2 + lines[lines.len() / 2..].iter().position(|octet| *octet == b'\n').expect("a line") + 1;
    let (first, second) = lines.split_at(half);
    let packed = |octets: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(octets).expect("octets");
        encoder.finish().expect("gzip")
    };
    let frame = |octets: &[u8]| compress_to_vec(octets, CompressionLevel::Fastest);
    // Two members and two frames, with one between them that says nothing (RFC 8878, section 3.1.2).
    let skipped = [&0x184D_2A50_u32.to_le_bytes()[..], &5_u32.to_le_bytes(), b"hello"].concat();
    fs::write(served.path("one"), [packed(&first[..9]), packed(&first[9..])].concat()).expect("a file");
    fs::write(served.path("two"), [frame(&second[..9]), skipped, frame(&second[9..])].concat()).expect("a file");
    let (one, two) = (served.path("one"), served.path("two"));
    fs::write(served.path("other.yaml"), served.whole(|text| text.replace("[admins]", "[staff]"))).expect("a policy");
    let other = served.path("other.yaml");
    let whole = replay(&other, &[&one, &two], &["--json"]);
    let plain = found(&replay(&other, &[&served.path("audit.jsonl")], &["--json"]));
    assert_eq!(found(&whole)["decisions"], served.questions.len());
    assert_eq!(found(&whole)["flips"], plain["flips"]);
    let flips = plain["flips"].as_u64().expect("a number");
    assert!(flips > 0);
    for (more, status) in [
        (vec![], 0),
        (vec!["--max-flips".to_owned(), flips.to_string()], 0),
        (vec!["--max-flips".to_owned(), (flips - 1).to_string()], 3),
        (vec!["--forbid".to_owned(), "allow-to-deny,unknown".to_owned()], 0),
        (vec!["--forbid".to_owned(), "deny-to-allow".to_owned()], 3),
    ] {
        let more: Vec<&str> = more.iter().map(String::as_str).collect();
        let output = replay(&other, &[&one, &two], &more);
        assert_eq!(output.status.code(), Some(status), "{more:?}: {output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!(text.contains("FAILED: "), status == 3, "{more:?}: {text}");
        assert!(text.contains("deny-to-allow") && text.contains("route `/admin/**` of `app.test`"), "{text}");
    }
    // A file that is cut short is said to be, and is not half a log.
    let cut = fs::read(&one).expect("a file");
    fs::write(&one, &cut[..cut.len() - 20]).expect("a file");
    let output = replay(&other, &[&one], &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot read"), "{output:?}");
}

#[test]
fn what_cannot_be_judged_is_counted_and_a_log_without_anything_to_judge_is_an_error() {
    let served = Served::new();
    let log = fs::read_to_string(served.path("audit.jsonl")).expect("a log");
    let decisions: Vec<&str> = log.lines().filter(|line| line.contains("\"kind\":\"decision\"")).collect();
    let odd = |text: &str| {
        fs::write(served.path("odd.jsonl"), text).expect("a log");
        replay(&served.path("same.yaml"), &[&served.path("odd.jsonl")], &["--json"])
    };
    let limited = decisions[0]
        .replace("\"reason\":\"", "\"reason\":\"rate_limited\",\"was\":\"")
        .replace("\"effect\":\"allow\"", "\"effect\":\"deny\"");
    let found_in = found(&odd(&format!("{}\n{limited}\nnot json\n{{\"kind\":\"decision\"}}\n{{\"cut", decisions[1])));
    assert_eq!((&found_in["decisions"], &found_in["malformed"]), (&2.into(), &3.into()), "{found_in:#}");
    assert!(found_in["first_malformed"].as_str().is_some_and(|text| text.contains("odd.jsonl:3: ")), "{found_in:#}");
    assert_eq!(found_in["unknown"], serde_json::json!({"what limits had counted when they refused it": 1}));
    // A policy that looks at what the old one did not look at.
    fs::write(served.path("other.yaml"), served.whole(|text| text.replace("x-tenant: acme", "x-unheard: acme")))
        .expect("a policy");
    let output = replay(&served.path("other.yaml"), &[&served.path("audit.jsonl")], &["--forbid", "unknown"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("the header `x-unheard`"), "{output:?}");
    for (text, want) in [
        ("", "holds no decision"),
        ("{\"kind\":\"start\",\"time\":\"2026-01-01T00:00:00Z\"}\n", "holds no decision"),
        ("CEF:0|Postern\n", "`ocsf` or `cef`"),
        ("{\"kind\":\"decision\",\"time\":\"2026-01-01T00:00:00Z\",\"host\":\"a.test\"}\n", "audit: {replay: true}"),
    ] {
        let output = odd(text);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(want), "{want}: {output:?}");
    }
    let missing = replay(&served.path("same.yaml"), &[&served.path("audit.jsonl"), &served.path("missing")], &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("missing"), "{missing:?}");
}
