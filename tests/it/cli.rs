//! Every verb as it is met at a prompt: its exact words and its exit status, in `tests/cli`.

mod key;

use std::path::Path;
use std::process::Command;
use std::process::Stdio;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use serde_json::json;

use crate::blessed::Blessed;
use crate::proxy::process::Process;
use crate::token;

/// What signs the tokens of `tests/cli/policy.yaml`.
const SECRET: &str = "known to nobody but these tests and the policy";

const POLICY: &str = "tests/cli/policy.yaml";

/// Runs commands, and holds what they say against files.
#[derive(Default)]
struct Prompt {
    blessed: Blessed,
}

impl Prompt {
    /// Run `postern` with these words. `shown` is how the file tells the command.
    fn run_as(&mut self, name: &str, shown: &str, arguments: &[&str]) {
        let output = postern(arguments).output().expect("the binary runs");
        let code = output.status.code().map_or("none".to_owned(), |code| code.to_string());
        let mut text = format!("$ postern {shown}").trim_end().to_owned() + "\n";
        for (label, octets) in [("", &output.stdout), ("-- stderr\n", &output.stderr)] {
            if !octets.is_empty() {
                text.push_str(label);
                text.push_str(&String::from_utf8_lossy(octets));
            }
        }
        text.push_str(&format!("-- exit status {code}\n"));
        self.blessed.compare(&Path::new("tests/cli").join(name).with_extension("txt"), &text);
    }

    fn run(&mut self, name: &str, arguments: &[&str]) {
        let quoted = arguments.iter().map(|word| match word.contains([' ', '{', '*', '?', '%']) || word.is_empty() {
            true => format!("'{word}'"),
            false => (*word).to_owned(),
        });
        let shown = quoted.collect::<Vec<_>>().join(" ");
        self.run_as(name, &shown, arguments);
    }

    /// `postern explain` about a client in the office.
    fn explain(&mut self, name: &str, url: &str, more: &[&str]) {
        let first = ["explain", "-c", POLICY, "--from", "198.51.100.7", "--url", url];
        self.run(name, &[&first[..], more].concat());
    }

    /// The same with a token, which differs from run to run.
    fn explain_token(&mut self, name: &str, url: &str, claims: &Value, more: &[&str]) {
        let token = sign(claims);
        let first = ["explain", "-c", POLICY, "--from", "198.51.100.7", "--url", url, "--token"];
        let shown = [&first[..], &["…"], more].concat().join(" ");
        self.run_as(name, &shown, &[&first[..], &[token.as_str()], more].concat());
    }
}

/// The binary, where nothing of the machine shows.
fn postern(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(arguments).stdin(Stdio::null()).env("COLUMNS", "100").env("POSTERN_TEST_SECRET", SECRET);
    command.env_remove("POSTERN_CONFIG").env_remove("RUST_BACKTRACE");
    command
}

/// A token for someone of these groups.
fn claims(user: &str, groups: &[&str]) -> Value {
    let now = token::now();
    json!({
        "iss": "https://sso.example.test", "aud": "app", "sub": user, "preferred_username": user, "groups": groups,
        "email": format!("{user}@example.test"), "email_verified": true, "iat": now, "exp": now + 600,
    })
}

fn sign(claims: &Value) -> String {
    let signed = token::unsigned(&json!({"alg": "HS256"}), claims);
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()).as_ref()))
}

#[test]
fn every_verb_helps() {
    let mut prompt = Prompt::default();
    prompt.run("help", &["--help"]);
    for verb in [
        "serve",
        "check",
        "explain",
        "test",
        "replay",
        "why",
        "ask",
        "status",
        "health",
        "demo",
        "key",
        "audit",
        "completions",
        "man",
    ] {
        prompt.run(&format!("help_{verb}"), &[verb, "--help"]);
    }
    prompt.run("help_audit_verify", &["audit", "verify", "--help"]);
    prompt.blessed.finish();
}

/// Every verb is in the script of every shell and has a manual page.
#[test]
fn shells_and_man_know_every_verb() {
    let said = |arguments: &[&str]| {
        let output = postern(arguments).output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().to_str().expect("text");
    assert_eq!(said(&["man", "--out", out]), "");
    let help = said(&["--help"]);
    let commands = help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("commands");
    let verbs =
        commands.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).filter(|verb| !verb.is_empty());
    let verbs: Vec<_> = verbs.collect();
    assert!(verbs.contains(&"serve") && verbs.contains(&"man"), "{verbs:?}");
    let page = said(&["man"]);
    assert!(page.contains(".TH postern 1"), "{page}");
    assert_eq!(page, std::fs::read_to_string(folder.path().join("postern.1")).expect("a page"));
    for verb in &verbs {
        assert!(page.contains(&format!("postern\\-{verb}(1)")), "{verb} is not in postern(1)");
        let own = std::fs::read_to_string(folder.path().join(format!("postern-{verb}.1"))).expect("a page");
        assert!(own.contains(".SH SYNOPSIS"), "{own}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = said(&["completions", shell]);
        for word in verbs.iter().copied().chain(["config"]) {
            assert!(script.contains(word), "{shell} does not know {word}");
        }
    }
    let nowhere = postern(&["man", "--out", "/nowhere"]).output().expect("the binary runs");
    assert_eq!(nowhere.status.code(), Some(1));
}

#[test]
fn wrong_arguments_are_explained() {
    let mut prompt = Prompt::default();
    prompt.run("wrong_nothing", &[]);
    prompt.run("wrong_verb", &["chekc"]);
    prompt.run("wrong_check_twice", &["check", "-c", POLICY, POLICY]);
    prompt.run("wrong_check_schema", &["check", "--schema", POLICY]);
    prompt.run("wrong_explain_without_url", &["explain", "-c", POLICY]);
    prompt.run("wrong_explain_url", &["explain", "-c", POLICY, "--url", "app.example.test/"]);
    prompt.explain("wrong_explain_header", "https://app.example.test/", &["-H", "Accept"]);
    prompt.explain("wrong_explain_as", "https://app.example.test/", &["--as", "{usr: alice}"]);
    prompt.explain("wrong_explain_as_source", "https://app.example.test/", &["--as", "{identity: peple}"]);
    prompt.explain("wrong_explain_as_token", "https://app.example.test/", &["--as", "alice", "--token", "x"]);
    prompt.explain("wrong_explain_token_file", "https://app.example.test/", &["--token", "@tests/cli/none"]);
    prompt.run("wrong_ask_proxy", &["ask", "--url", "https://app.example.test/", "--proxy", "apache"]);
    prompt.run("wrong_ask_address", &["ask", "--url", "https://app.example.test/", "--to", "nowhere"]);
    prompt.run("wrong_serve_threads", &["serve", "--threads", "0"]);
    prompt.run("wrong_serve_time", &["serve", "--drain-delay", "2h"]);
    prompt.run("wrong_completions_shell", &["completions", "tcsh"]);
    prompt.run("wrong_demo_port", &["demo", "--port", "8080"]);
    prompt.blessed.finish();
}

#[test]
fn check_says_good_or_all_that_is_wrong() {
    let mut prompt = Prompt::default();
    prompt.run("check_good", &["check", POLICY]);
    prompt.run("check_good_json", &["check", "--json", POLICY]);
    prompt.run("check_bad", &["check", "tests/cli/bad.yaml"]);
    prompt.run("check_bad_json", &["check", "--json", "tests/cli/bad.yaml"]);
    prompt.run("check_warned", &["check", "tests/cli/warned.yaml"]);
    prompt.run("check_warned_json", &["check", "--json", "tests/cli/warned.yaml"]);
    prompt.run("check_warned_denied", &["check", "--deny-warnings", "tests/cli/warned.yaml"]);
    prompt.run("check_missing", &["check", "tests/cli/none.yaml"]);
    prompt.run("check_missing_json", &["check", "--json", "-c", "tests/cli/none.yaml"]);
    prompt.blessed.finish();
}

#[test]
fn the_schema_is_json() {
    let output = postern(&["check", "--schema"]).output().expect("the binary runs");
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((schema["title"].as_str(), output.status.code()), (Some("Postern policy"), Some(0)));
}

#[test]
fn check_prefers_what_is_named_to_the_environment() {
    for (arguments, want) in [(&["check"][..], 2), (&["check", POLICY], 0), (&["check", "-c", POLICY], 0)] {
        let output = postern(arguments).env("POSTERN_CONFIG", "tests/cli/bad.yaml").output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(want), "{arguments:?}");
    }
}

#[test]
fn a_policy_that_is_needed_and_bad_stops_every_verb() {
    let mut prompt = Prompt::default();
    prompt.run("serve_missing", &["serve", "-c", "tests/cli/none.yaml"]);
    let url = ["--url", "https://app.example.test/"];
    prompt.run("explain_missing", &[&["explain", "-c", "tests/cli/none.yaml"], &url[..]].concat());
    prompt.run("explain_bad", &[&["explain", "-c", "tests/cli/bad.yaml"], &url[..]].concat());
    prompt.run("explain_bad_json", &[&["explain", "--json", "-c", "tests/cli/bad.yaml"], &url[..]].concat());
    prompt.blessed.finish();
}

#[test]
fn explain_tells_every_step() {
    let (admin, root) = ("https://app.example.test/admin/users", "https://app.example.test/");
    let (operator, staff) = ("{user: alice, groups: [sre, staff]}", "{user: bob, groups: [staff]}");
    let mut prompt = Prompt::default();
    prompt.explain("explain_as", admin, &["--as", operator]);
    prompt.explain("explain_as_json", admin, &["--as", operator, "--json"]);
    prompt.explain("explain_as_anonymous", admin, &["--as", "anonymous"]);
    prompt.explain("explain_403", admin, &["--as", staff]);
    prompt.explain("explain_403_json", admin, &["--as", staff, "--json"]);
    prompt.explain("explain_403_any", "https://app.example.test/reports/may", &["--as", "carol"]);
    prompt.explain("explain_401", admin, &[]);
    prompt.explain("explain_login", root, &["-H", "Accept: text/html"]);
    prompt.explain("explain_login_json", root, &["-H", "Accept: text/html", "--json"]);
    prompt.explain("explain_public", "https://app.example.test/healthz", &["--token", "nonsense"]);
    prompt.explain("explain_ambiguous", "https://app.example.test/assets/%2e%2e/admin/users", &["--as", operator]);
    prompt.explain("explain_spoofed", root, &["--as", staff, "-H", "Remote_User: root"]);
    prompt.explain("explain_spoofed_json", root, &["--as", staff, "-H", "Remote_User: root", "--json"]);
    let chain =
        ["--as", staff, "-H", "X-Real-IP: 192.0.2.9", "-H", "X-Forwarded-Prefix: /a", "-H", "X-Forwarded-For: ::1"];
    prompt.explain("explain_forwarding", root, &chain);
    prompt.explain("explain_alias", root, &["--as", staff, "-H", "X_Forwarded_For: 192.0.2.9"]);
    prompt.explain("explain_method", "https://app.example.test/reports/may", &["--as", "carol", "-X", "POST"]);
    prompt.explain("explain_host", "https://wiki.example.test/", &["--as", staff]);
    prompt.explain("explain_unreadable", "https://app.example.test/%zz", &["--as", staff]);
    prompt.explain("explain_unreadable_json", "https://app.example.test/%zz", &["--as", staff, "--json"]);
    prompt
        .run("explain_network", &["explain", "-c", POLICY, "--from", "203.0.113.9", "--url", admin, "--as", operator]);
    prompt.explain_token("explain_token", admin, &claims("alice", &["sre"]), &[]);
    prompt.explain_token("explain_token_json", admin, &claims("alice", &["sre"]), &["--json"]);
    let mut expired = claims("alice", &["sre"]);
    expired["exp"] = json!(1_700_000_000);
    prompt.explain_token("explain_token_expired", admin, &expired, &[]);
    let mut foreign = claims("alice", &["sre"]);
    foreign["iss"] = json!("https://elsewhere.example.test");
    prompt.explain_token("explain_token_foreign", admin, &foreign, &[]);
    prompt.blessed.finish();
}

#[test]
fn why_gives_receipts() {
    let mut prompt = Prompt::default();
    let log = "tests/cli/replay/audit.jsonl";
    let denied = "01M8RTNX11KBBBZ60000000005";
    prompt.run("why", &["why", denied, "--log", log]);
    prompt.run("why_steps", &["why", denied, "--log", log, "-c", POLICY]);
    prompt.run("why_other", &["why", denied, "--log", log, "-c", "tests/cli/replay/policy.yaml"]);
    prompt.run("why_json", &["why", denied, "--log", log, "-c", POLICY, "--json"]);
    prompt.run("why_unread", &["why", "01M8RTNX1VKBBBZ6000000000P", "--log", log, "-c", POLICY]);
    prompt.run("why_last", &["why", "--last", "4", "--denied", "--log", log]);
    prompt.run("why_unknown", &["why", "01M8", "--log", log]);
    prompt.run("why_nothing", &["why", "--log", log]);
    prompt.blessed.finish();
}

#[test]
fn replay_shows_what_would_be_decided_otherwise() {
    let mut prompt = Prompt::default();
    let log = "tests/cli/replay/audit.jsonl";
    let replay = |policy| ["replay", "--policy", policy, "--log", log];
    prompt.run("replay_same", &replay(POLICY));
    let changed = "tests/cli/replay/policy.yaml";
    prompt.run("replay_flips", &replay(changed));
    prompt.run("replay_flips_json", &[&replay(changed)[..], &["--json"]].concat());
    let bounds = ["--max-flips", "3", "--forbid", "deny-to-allow,unknown"];
    prompt.run("replay_bounds", &[&replay(changed)[..], &bounds].concat());
    prompt.run("replay_no_log", &["replay", "--policy", POLICY, "--log", "tests/cli/policy.yaml"]);
    prompt.run("replay_folder", &["replay", "--policy", POLICY, "--log", "tests/cli"]);
    prompt.blessed.finish();
}

#[test]
fn test_says_what_fails_and_what_nobody_tried() {
    let mut prompt = Prompt::default();
    let cases = "tests/cli/test/cases.yaml";
    prompt.run("test_cases", &["test", "-c", POLICY, cases, "--coverage"]);
    prompt.run("test_verbose", &["test", "-c", POLICY, cases, "-v"]);
    prompt.run("test_json", &["test", "-c", POLICY, cases, "--coverage", "--json"]);
    prompt.run("test_required", &["test", "-c", POLICY, cases, "--require-coverage"]);
    prompt.run("test_shapes", &["test", "-c", POLICY, "tests/cli/test/shapes.yaml"]);
    prompt.run("test_bad", &["test", "-c", POLICY, "tests/cli/test/bad.yaml"]);
    prompt.run("test_examples", &["test", "-c", "tests/cli/test/examples.yaml"]);
    prompt.run("test_nothing", &["test", "-c", POLICY]);
    prompt.run("test_missing", &["test", "-c", POLICY, "tests/cli/test/missing.yaml"]);
    // A policy of which an example fails is none.
    prompt.run("check_examples", &["check", "tests/cli/test/examples.yaml"]);
    prompt.blessed.finish();
}

#[test]
fn the_schema_of_cases_is_json() {
    let output = postern(&["test", "--schema"]).output().expect("the binary runs");
    let schema: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(schema["title"], "Postern cases");
    assert!(schema["$defs"].is_object() && schema["properties"]["cases"].is_object(), "{schema:#}");
}

#[test]
fn test_tries_again_when_a_file_changes() {
    let folder = tempfile::TempDir::new().expect("a scratch folder");
    let (cases, log) = (folder.path().join("cases.yaml"), folder.path().join("log"));
    let write = |expect: &str| {
        let case = format!("{{get: https://app.example.test/assets/x, expect: {expect}}}");
        std::fs::write(&cases, format!("version: 1\ncases: [{case}]\n...\n")).expect("cases");
    };
    write("allow");
    let mut command = postern(&["test", "-c", POLICY, "--watch"]);
    let mut process = Process::start("postern", command.arg(&cases), &log);
    process.wait_until("a pass", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("1 passed, 0 failed")));
    write("deny");
    process
        .wait_until("a failure", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("0 passed, 1 failed")));
    std::fs::write(&cases, "version: 1\ncases: [").expect("cases");
    process.wait_until("an error", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains("cases.yaml:2")));
    write("allow");
    let passes = || std::fs::read_to_string(&log).is_ok_and(|log| log.matches("1 passed, 0 failed").count() == 2);
    process.wait_until("a pass again", passes);
}

#[test]
fn test_reports_to_build_servers() {
    let folder = tempfile::TempDir::new().expect("a scratch folder");
    let report = folder.path().join("junit.xml");
    let mut command = postern(&["test", "-c", "tests/cli/test/examples.yaml", "--junit"]);
    assert_eq!(command.arg(&report).output().expect("the binary runs").status.code(), Some(3));
    let text = std::fs::read_to_string(&report).expect("a report");
    let want = r#"<testsuite name="tests/cli/test/examples.yaml" tests="9" skipped="0" errors="0" failures="3""#;
    assert!(text.contains(want), "{text}");
    assert!(
        text.contains(r#"name="24: wrong: GET https://app.example.test/wiki/start as bob of sales from 127.0.0.1""#),
        "{text}"
    );
    assert!(text.contains("requirement_failed"), "{text}");
}

#[test]
fn ask_says_when_nobody_answers() {
    let mut prompt = Prompt::default();
    let url = "https://app.example.test/";
    prompt.run("ask_nobody", &["ask", "--url", url, "--to", "127.0.0.1:1"]);
    prompt.run("ask_no_socket", &["ask", "--url", url, "--to", "unix:/nowhere/postern.sock", "--proxy", "nginx"]);
    prompt.blessed.finish();
}
