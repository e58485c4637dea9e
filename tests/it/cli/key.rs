//! `postern key`, one command after the other on one key file. What differs from run to run is shown as `<…>`.

use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;

use super::Prompt;
use super::postern;

const PEPPER: &str = "a pepper that is known to nobody but these tests";

/// A folder for a key file, and the prompt in front of it.
struct Desk {
    prompt: Prompt,
    folder: tempfile::TempDir,
    /// What must never show, and what stands for it.
    hidden: Vec<(String, &'static str)>,
}

/// What a command said.
struct Said {
    out: String,
    code: Option<i32>,
}

impl Desk {
    fn new() -> Desk {
        Desk { prompt: Prompt::default(), folder: tempfile::tempdir().expect("a folder"), hidden: Vec::new() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("keys.yaml")
    }

    fn text(&self) -> String {
        std::fs::read_to_string(self.file()).expect("a key file")
    }

    /// Run `postern key …`; `FILE` is the key file and `PEPPER` says where the pepper is.
    fn run(&mut self, name: Option<&str>, line: &str, stdin: &str) -> Said {
        let file = self.file().display().to_string();
        let words: Vec<String> = line
            .split(' ')
            .flat_map(|word| match word {
                "FILE" => vec!["--file".to_owned(), file.clone()],
                "PEPPER" => vec!["--pepper-env".to_owned(), "POSTERN_TEST_PEPPER".to_owned()],
                word => vec![word.to_owned()],
            })
            .collect();
        let mut command = postern(&["key"]);
        command.args(&words).env("POSTERN_TEST_PEPPER", PEPPER).env("POSTERN_TEST_SHORT", "short");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary runs");
        child.stdin.take().expect("stdin").write_all(stdin.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("an end");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        if let Some(key) = out.split(['"', '\n', ' ']).find(|word| word.starts_with("postern_")) {
            self.hidden.push((key.to_owned(), "<key>"));
        }
        if let Some(name) = name {
            let line = line.replace("FILE", "--file keys.yaml").replace("PEPPER", "--pepper-env POSTERN_TEST_PEPPER");
            let mut text = format!("$ postern key {line}\n{out}");
            if !output.stderr.is_empty() {
                text.push_str("-- stderr\n");
                text.push_str(&String::from_utf8_lossy(&output.stderr));
            }
            text.push_str(&format!("-- exit status {}\n", output.status.code().unwrap_or(-1)));
            let text = self.masked(&text);
            self.prompt.blessed.compare(&Path::new("tests/cli").join(name).with_extension("txt"), &text);
        }
        Said { out, code: output.status.code() }
    }

    fn masked(&self, text: &str) -> String {
        let mut text = text.replace(&format!("{}/", self.folder.path().display()), "");
        for (hidden, shown) in &self.hidden {
            text = text.replace(hidden, shown);
        }
        let regex = |pattern: &str| regex::Regex::new(pattern).expect("a pattern");
        let text = regex(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ").replace_all(&text, "<time>");
        let text = regex("sha256:[0-9a-f]{64}").replace_all(&text, "sha256:<hash>");
        let text = regex(r"p=1\$\S+").replace_all(&text, "p=1<salt and hash>");
        regex("\\b[0-9a-f]{64}\\b").replace_all(&text, "<pepper>").into_owned()
    }
}

#[test]
fn a_key_lives_from_new_to_revoke() {
    let mut desk = Desk::new();
    let new = "new --id ci --owner deploy --groups robots,build --scopes write --networks office,10.0.0.0/8 --expires 90d FILE PEPPER";
    let made = desk.run(Some("key_new"), new, "");
    let key = made.out.trim_end().to_owned();
    assert_eq!(made.out.lines().count(), 1, "nothing but the key is on stdout");
    let again =
        desk.run(Some("key_new_json"), "new --id ci-next --owner deploy --expires 2999-01-31 FILE PEPPER --json", "");
    assert!(again.out.contains("postern_ci-next_"));
    let held = desk.text();
    for (secret, _) in &desk.hidden {
        let half = secret.rsplit('_').next().expect("a secret");
        assert!(half.len() == 30 && !held.contains(half.split_at(24).0), "the file holds a secret");
    }
    assert!(!held.contains(PEPPER));
    desk.run(Some("key_new_twice"), "new --id ci --owner deploy FILE PEPPER", "");
    desk.run(Some("key_new_without_pepper"), "new --id more --owner deploy FILE", "");
    desk.run(Some("key_new_past"), "new --id more --owner deploy --expires 2020-01-01 FILE PEPPER", "");
    assert_eq!(desk.text(), held, "a refused command changes nothing");

    desk.run(Some("key_list"), "list FILE", "");
    desk.run(Some("key_list_json"), "list FILE --json", "");
    desk.run(Some("key_verify"), "verify FILE PEPPER", &format!("{key}\n"));
    desk.run(Some("key_verify_json"), "verify FILE PEPPER --json", &key);
    desk.run(Some("key_verify_mistyped"), "verify FILE PEPPER", &key.replace("postern_ci_", "postern_cj_"));
    desk.run(Some("key_verify_without_pepper"), "verify FILE", &key);

    desk.run(Some("key_revoke"), "revoke --id ci FILE", "");
    desk.run(Some("key_verify_revoked"), "verify FILE PEPPER", &key);
    desk.run(Some("key_verify_revoked_json"), "verify FILE PEPPER --json", &key);
    desk.run(Some("key_revoke_twice"), "revoke --id ci FILE", "");
    assert_eq!(desk.run(None, "list FILE", "").out.lines().count(), 2, "a head and one key");
    desk.prompt.blessed.finish();
}

#[test]
fn old_and_odd_files_are_told_and_left_alone() {
    let mut desk = Desk::new();
    desk.run(Some("key_list_missing"), "list FILE", "");
    std::fs::write(desk.file(), "- {id: ci, owner: deploy, hash: x, limt: 7}\n- {id: ci, owner: deploy}\n...\n")
        .expect("written");
    let held = desk.text();
    desk.run(Some("key_list_bad"), "list FILE", "");
    assert_eq!(desk.run(None, "new --id new --owner deploy FILE", "").code, Some(2));
    assert_eq!(desk.run(None, "revoke --id ci FILE", "").code, Some(2));
    assert_eq!(desk.text(), held);
    let hash = format!("sha256:{}", "0".repeat(64));
    let text =
        format!("# Ours\n- {{id: old, owner: deploy, expires: 2020-01-01, created: 2019-01-01, hash: '{hash}'}}\n");
    std::fs::write(desk.file(), text).expect("written");
    assert!(desk.run(None, "list FILE", "").out.contains("2020-01-01 (ended)"));
    let key = desk.run(Some("key_new_plain"), "new --id bare --owner deploy FILE", "").out;
    assert!(desk.text().starts_with("# Ours\n- {id: old"), "{}", desk.text());
    assert_eq!(desk.run(None, "verify FILE", &key).code, Some(0));
    desk.run(Some("key_new_short_pepper"), "new --id more --owner deploy FILE --pepper-env POSTERN_TEST_SHORT", "");
    desk.prompt.blessed.finish();
}

#[test]
fn peppers_are_long_and_different() {
    let mut desk = Desk::new();
    let peppers = [(); 2].map(|()| desk.run(None, "pepper", "").out);
    assert_ne!(peppers[0], peppers[1]);
    for pepper in &peppers {
        assert!(pepper.len() == 65 && pepper.trim_end().bytes().all(|octet| octet.is_ascii_hexdigit()), "{pepper}");
    }
    desk.run(Some("key_pepper"), "pepper", "");
    desk.run(Some("key_pepper_json"), "pepper --json", "");
    desk.run(Some("key_hash_password"), "hash-password", "correct horse\n");
    desk.run(Some("key_hash_password_short"), "hash-password", "horse\n");
    desk.run(Some("key_hash_password_key"), "hash-password", "postern_ci_x\n");
    desk.run(Some("key_hash_password_none"), "hash-password", "");
    desk.run(Some("key_hash_password_lines"), "hash-password", "correct horse\nbattery staple\n");
    desk.prompt.blessed.finish();
}

#[test]
fn wrong_words_are_explained() {
    let mut desk = Desk::new();
    desk.run(Some("wrong_key_id"), "new --id CI --owner deploy FILE", "");
    desk.run(Some("wrong_key_network"), "new --id ci --owner deploy --networks 10.0.0.0/40 FILE", "");
    desk.run(Some("wrong_key_expires"), "new --id ci --owner deploy --expires tomorrow FILE", "");
    for verb in ["new", "list", "verify", "revoke", "pepper", "hash-password"] {
        desk.run(Some(&format!("help_key_{verb}")), &format!("{verb} --help"), "");
    }
    assert!(!desk.file().exists());
    desk.prompt.blessed.finish();
}

/// What `new` writes is what the policy reads.
#[test]
fn a_made_key_is_served() {
    let mut desk = Desk::new();
    let key = desk.run(None, "new --id ci --owner deploy --groups staff FILE PEPPER", "").out;
    let policy = desk.folder.path().join("policy.yaml");
    let text = "version: 1\nidentity: {machines: {api_key: {header: X-Api-Key, keys: keys.yaml, pepper: {env: POSTERN_TEST_PEPPER}}}}\nhosts: {app.example.test: {routes: [{path: /**, require: {groups: staff}}]}}\n...\n";
    std::fs::write(&policy, text).expect("written");
    for (key, want) in [(key.trim_end(), 0), ("postern_ci_x", 3)] {
        let path = policy.display().to_string();
        let header = format!("X-Api-Key: {key}");
        let words = ["explain", "-c", &path, "--url", "https://app.example.test/", "-H", &header];
        let output = postern(&words).env("POSTERN_TEST_PEPPER", PEPPER).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(want), "{said}");
        let half = key.rsplit('_').next().expect("a secret");
        assert!(half.len() < 10 || !said.contains(half), "{said}");
    }
}

/// The example is a policy that lets its machines and its people in.
#[test]
fn the_example_runs() {
    let mut desk = Desk::new();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/machines");
    for name in ["policy.yaml", "keys.yaml", "users.yaml"] {
        std::fs::copy(shipped.join(name), desk.folder.path().join(name)).expect("copied");
    }
    let words = "new --id ci --owner build --groups machines --scopes artifacts:write FILE PEPPER";
    let key = desk.run(None, words, "").out.trim_end().to_owned();
    let hash = desk.run(None, "hash-password", "correct horse").out;
    let users = desk.folder.path().join("users.yaml");
    let text = std::fs::read_to_string(&users).expect("users");
    let bob = format!("  bob: {{password: '{}', groups: [staff]}}\n...", hash.trim_end());
    std::fs::write(&users, text.replace("...", &bob)).expect("written");
    let policy = desk.folder.path().join("policy.yaml").display().to_string();
    let basic = |user: &str, password: &str| {
        use base64::Engine as _;
        format!(
            "Authorization: Basic {}",
            base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"))
        )
    };
    for (method, header, want) in [
        ("PUT", format!("X-Api-Key: {key}"), 0),
        ("PUT", format!("Authorization: Bearer {key}"), 0),
        ("PUT", basic("ci", &key), 0),
        ("PUT", basic("bob", "correct horse"), 3),
        ("GET", basic("bob", "correct horse"), 0),
        ("GET", basic("bob", "correct house"), 3),
        ("GET", basic("alice", "correct horse"), 3),
        ("GET", "X-Api-Key: hunter2".to_owned(), 3),
    ] {
        let url =
            if method == "PUT" { "https://artifacts.corp.test/upload/x" } else { "https://artifacts.corp.test/x" };
        let words = ["explain", "-c", &policy, "-X", method, "--url", url, "-H", &header];
        let output = postern(&words).env("POSTERN_PEPPER", PEPPER).output().expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(want), "{method} {header}\n{said}");
    }
}
