//! What the documents show runs, and says what it does.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postern::audit::Audit;
use postern::audit::form::Form;
use postern::audit::settings::AuditSettings;
use postern::audit::settings::Fsync;
use postern::audit::settings::Target;
use postern::audit::signer::Signer;
use postern::cli::load::LoadedPolicy;
use postern::config::load::Pretend;
use postern::model::client_ip::ClientAddress;
use postern::model::decision::Decision;
use postern::model::decision::DecisionId;
use postern::model::decision::RouteId;
use postern::model::dialect::Dialect;
use postern::model::identity::Claims;
use postern::model::identity::Identity;
use postern::model::identity::Principal;
use postern::model::limit::Weighed;
use postern::model::limit::Weight;
use postern::model::problem::Place;
use postern::model::reason::Reason;
use postern::model::record::Client;
use postern::model::record::Counts;
use postern::model::record::Record;
use postern::model::secret::Secret;
use postern::model::trace::TraceContext;
use postern::telemetry::Telemetry;

/// The examples that other programs read.
const NOT_POLICIES: [&str; 2] = ["alerts.yaml", "compose.yaml"];

#[test]
fn every_policy_in_the_documents_is_good() {
    let mut seen = 0;
    for file in documents() {
        let is_policy = |block: &String| block.starts_with("version:") && !block.contains("\ncases:");
        for policy in blocks(&read(&file), "yaml").into_iter().filter(is_policy) {
            seen += 1;
            let world = Pretend::new()
                .file("policy.yaml", policy)
                .variable("API_LITELLM_ALLOWLIST", "192.0.2.0/24")
                .variable("INTROSPECTION_SECRET", "hunter2")
                .file("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt", authority());
            let loaded = LoadedPolicy::read(Path::new("policy.yaml"), &world);
            let report = match &loaded {
                Ok(policy) => &policy.warnings,
                Err(report) => report,
            };
            assert!(report.problems().0.is_empty(), "{}:\n{}", file.display(), report.text(false));
        }
    }
    assert!(seen >= 2, "the documents show {seen} policies");
}

#[test]
fn the_cases_in_the_documents_pass() {
    let shown = blocks(&read(&root().join("docs/changes.md")), "yaml");
    let of = |what: &str| shown.iter().find(|block| block.contains(what)).unwrap_or_else(|| panic!("no {what}"));
    let folder = tempfile::TempDir::new().expect("a scratch folder");
    let (policy, cases) = (folder.path().join("postern.yaml"), folder.path().join("cases.yaml"));
    fs::write(&policy, of("\nhosts:")).expect("a policy");
    fs::write(&cases, of("\ncases:")).expect("cases");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_postern"));
    let output = command.arg("test").arg("-c").arg(&policy).arg(&cases).output().expect("the binary runs");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("11 passed, 0 failed"), "{output:?}");
}

#[test]
fn every_policy_among_the_examples_is_good() {
    let mut seen = 0;
    for entry in fs::read_dir(root().join("examples")).expect("examples") {
        let path = entry.expect("an entry").path();
        let is_policy = !NOT_POLICIES.iter().any(|name| path.ends_with(name));
        if is_policy && path.extension().is_some_and(|extension| extension == "yaml") {
            seen += 1;
            let world = Pretend::new().file("policy.yaml", read(&path)).variable("INTROSPECTION_SECRET", "hunter2");
            let loaded = LoadedPolicy::read(Path::new("policy.yaml"), &world);
            let policy = loaded.unwrap_or_else(|report| panic!("{}:\n{}", path.display(), report.text(false)));
            assert!(policy.no_warnings(), "{}:\n{}", path.display(), policy.warnings);
        }
    }
    assert!(seen >= 2, "there are {seen} policies");
}

#[test]
fn the_readme_shows_the_quickstart() {
    let shown = blocks(&read(&root().join("README.md")), "yaml").remove(0);
    let file = read(&root().join("examples/quickstart.yaml"));
    let without_head: String =
        file.lines().skip_while(|line| !line.starts_with("version:")).map(|line| format!("{line}\n")).collect();
    assert_eq!(shown, without_head);
}

#[test]
fn every_file_the_readme_names_is_there() {
    let readme = read(&root().join("README.md"));
    for link in readme.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        assert!(root().join(link).exists(), "README.md names `{link}`");
    }
}

#[test]
fn every_reason_is_documented_under_its_status() {
    let text = read(&root().join("docs/policy.md"));
    let answers = text.split("## Answers").nth(1).expect("a section on answers");
    let mut documented = BTreeSet::new();
    for row in answers.lines().filter(|line| line.starts_with("| ")) {
        let status = row.split('|').nth(1).unwrap_or_default().trim().to_owned();
        for code in row.split('`').skip(1).step_by(2) {
            documented.insert(format!("{status} {code}"));
        }
    }
    let known: BTreeSet<String> = Reason::ALL
        .into_iter()
        .filter(|reason| !reason.allows())
        .map(|reason| format!("{} {reason}", reason.status()))
        .collect();
    assert_eq!(documented, known);
}

/// Whoever is paged finds the reason under its status, with what to do.
#[test]
fn every_reason_has_its_row_in_troubleshooting() {
    let text = read(&root().join("docs/troubleshooting.md"));
    let mut rows = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').expect("a section");
        for row in body.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<_> = row.split(" | ").collect();
            assert_eq!(cells.len(), 3, "a reason, what it means, what to do: {row}");
            let code = row.split('`').nth(1).unwrap_or_default();
            let reason = Reason::ALL.into_iter().find(|reason| reason.code() == code);
            let reason = reason.unwrap_or_else(|| panic!("there is no reason `{code}`"));
            let status = if reason.allows() { "Allowed".to_owned() } else { reason.status().to_string() };
            assert!(title.contains(&status), "{code} is not of {title}");
            rows.push(reason);
        }
    }
    assert_eq!(rows, Reason::ALL, "every reason once, in their order");
}

/// The schema in `docs/audit.md` has every member that a line can have, and no other.
#[test]
fn every_member_of_an_audit_line_is_documented() {
    let text = read(&root().join("docs/audit.md"));
    let mut documented = BTreeSet::new();
    for heading in ["| member | kinds | meaning |", "| member | meaning |"] {
        let table = text.split(heading).nth(1).and_then(|rest| rest.split("\n\n").next()).expect("the schema");
        for row in table.lines().filter(|line| line.starts_with("| `")) {
            let names = row.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2);
            documented.extend(names.map(str::to_owned));
        }
    }
    // `dropped` alone cannot be had at will, and nothing is redacted in these lines.
    let mut known = BTreeSet::from(["lines", "client.network"].map(str::to_owned));
    for line in audit_lines().into_iter().chain(crate::replay::lines()) {
        for (name, value) in line.as_object().expect("an object") {
            match value.as_object() {
                None => drop(known.insert(name.clone())),
                Some(members) => known.extend(members.keys().map(|member| format!("{name}.{member}"))),
            }
        }
    }
    assert_eq!(documented, known);
}

/// Lines with every member, of every kind but `dropped`.
fn audit_lines() -> Vec<serde_json::Value> {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    fs::write(&path, "{\"schema\":1,\"kin").expect("a torn line");
    let key = Secret::new(rcgen::KeyPair::generate().expect("a key").serialize_pem().into_bytes());
    let settings = AuditSettings {
        queue: 10,
        fsync: Fsync::Never,
        form: Form { include_query: true, ..Form::default() },
        signer: Signer::read(&key),
        ..AuditSettings::to(Target::File(path.clone()))
    };
    let metrics = Telemetry::new().expect("telemetry").metrics().audit();
    let audit = Audit::start(&settings, metrics, "p").expect("a log");
    let identity = Identity::verified(Claims {
        source: "people".into(),
        issuer: "https://sso.test".into(),
        subject: "u-1".into(),
        user: "alice".into(),
        groups: vec![],
        email: None,
        email_verified: false,
        name: None,
        scopes: vec![],
        raw: serde_json::Map::new(),
        expires: None,
    });
    let place = Place::whole("policy.yaml");
    let route = RouteId { host: "app.test".into(), name: "/".into(), place: place.clone() };
    let decision = Decision {
        reason: Reason::Permitted,
        route: Some(Arc::new(route)),
        place: Some(place),
        principal: Principal::Identified(Arc::new(identity.expect("an identity"))),
    };
    let (mentioned, policy) = (HashSet::new(), Arc::from("p"));
    for address in [ClientAddress::Known([192, 0, 2, 7].into()), ClientAddress::Missing] {
        assert!(audit.record(&Record {
            at: jiff::Timestamp::UNIX_EPOCH,
            decision_id: DecisionId(1),
            dialect: Dialect::Nginx,
            decision: &decision,
            status: 200,
            method: Some("GET"),
            host: Some("app.test"),
            path: Some("/"),
            query: Some("x"),
            client: Some(Client { address, from: "dialect" }),
            mentioned: Some(&mentioned),
            policy: &policy,
            generation: 7,
            took: Some(Duration::ZERO),
            trace: TraceContext::parse(b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            replay: None,
            detail: None,
            limits: &[Weighed { limit: "address".into(), outcome: Weight::Limited }],
            counts: Counts { ignored_forwarding: 1, dropped_groups: 1, dropped_values: 1, spoofed: 1 },
        }));
    }
    assert!(audit.close(Duration::from_secs(60)));
    let lines: Vec<_> = read(&path).lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert_eq!(lines.len(), 5, "torn, start, two decisions, stop");
    lines
}

/// What `docs/threat-model.md` says is shown, is.
#[test]
fn every_row_of_the_threat_model_names_tests_that_exist() {
    let rows = |letter: &str, last: u32| (1..=last).map(|number| format!("{letter}{number}")).collect::<Vec<_>>();
    let families = [
        rows("P", 16),
        rows("H", 13),
        rows("I", 10),
        rows("A", 7),
        rows("F", 10),
        rows("D", 8),
        rows("J", 20),
        rows("K", 9),
    ];
    let adapters = ["nginx", "caddy", "traefik", "haproxy", "envoy"].map(str::to_owned);
    let wanted: Vec<String> = families.into_iter().flatten().chain(adapters).collect();
    let tests = tests();
    let text = read(&root().join("docs/threat-model.md"));
    let table = text.split("| row | threat | shown by |").nth(1).expect("a table of rows");
    let mut found = Vec::new();
    for line in table.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let (row, shown) = (cells[1], cells[3]);
        let names: Vec<&str> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{row} is shown by nothing");
        for name in names {
            assert!(name.starts_with(&format!("{}_", row.to_ascii_lowercase())), "`{name}` is not named after {row}");
            assert!(tests.contains(name), "{row}: there is no test called `{name}`");
        }
        found.push(row.to_owned());
    }
    assert_eq!(found, wanted);
}

/// A certificate authority.
fn authority() -> String {
    let key = rcgen::KeyPair::generate().expect("a key");
    rcgen::CertificateParams::default().self_signed(&key).expect("a certificate").pem()
}

/// The name of every test.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![root().join("src"), root().join("tests/it")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = read(&path);
                // From the attribute to the name, past what stands between.
                for after in text.split("#[test]").skip(1).chain(text.split("#[tokio::test").skip(1)) {
                    let name = after.split("fn ").nth(1).and_then(|rest| rest.split('(').next());
                    names.extend(name.map(str::to_owned));
                }
            }
        }
    }
    names
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).expect("docs").map(|entry| entry.expect("an entry").path());
    docs.chain([root().join("README.md")]).filter(|path| path.extension().is_some_and(|end| end == "md")).collect()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// The code blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    text.split(&fence).skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}
