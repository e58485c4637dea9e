//! Policies as their authors meet them: what loads, what is refused, and in which words.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use postern::cli::load::LoadedPolicy;
use postern::config::load::Machine;
use postern::config::load::Pretend;
use postern::config::load::load;
use postern::config::report::Report;

use crate::blessed::Blessed;

/// The example of the design, as far as the tree has its keys.
const EXAMPLE: &str = include_str!("../config/good/example.yaml");

/// What the example names outside of itself.
fn world() -> Pretend {
    Pretend::new()
        .variable("MACHINE_SECRET", "a secret that is long enough for HS256")
        .variable("API_LITELLM_ALLOWLIST", "198.51.100.0/24")
}

/// Read and build.
fn load_text(text: &str) -> Result<(), Report> {
    LoadedPolicy::read(Path::new("p.yaml"), &world().file("p.yaml", text)).map(|_| ())
}

fn corpus(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the corpus");
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    assert!(!paths.is_empty(), "{folder}");
    paths
}

#[test]
fn bad_policies_give_their_exact_report() {
    let mut blessed = Blessed::default();
    for path in corpus("tests/config") {
        let report = LoadedPolicy::read(&path, &Machine).expect_err(&path.display().to_string());
        blessed.compare(&path.with_extension("txt"), &report.text(false));
    }
    blessed.finish();
}

#[test]
fn good_policies_load_without_a_word() {
    let good = world();
    for path in corpus("tests/config/good") {
        let text = fs::read(&path).expect("a policy");
        let policy = LoadedPolicy::read(&path, &good.clone().file(&path, text));
        let policy = policy.unwrap_or_else(|report| panic!("{report}"));
        assert!(policy.no_warnings(), "{}", policy.warnings);
    }
}

#[test]
fn the_example_means_what_it_says() {
    let loaded = load(Path::new("p.yaml"), &Pretend::new().file("p.yaml", EXAMPLE)).expect("the example");
    let config = loaded.config;
    assert_eq!(config.version.value, 1);
    let hosts: Vec<(&str, usize)> =
        config.hosts.iter().map(|(name, block)| (name.as_str(), block.routes.len())).collect();
    assert_eq!(hosts, [("wiki.corp.test", 2), ("api.litellm.corp.test", 2), ("*.corp.test", 1)]);
    let (_, wiki) = config.hosts.iter().next().expect("a host");
    let admin = wiki.routes[0].require.as_ref().expect("a requirement");
    let roles: Vec<&str> = admin.roles.iter().flat_map(|roles| roles.iter()).map(|at| at.value.as_str()).collect();
    assert_eq!(roles, ["admin"]);
}

/// A stray key is written into every mapping of the example in turn. Mappings whose keys are names of the operator's
/// own take it as one more name, and then refuse its value.
#[test]
fn f3_a_stray_key_is_refused_everywhere() {
    let mut tried = 0;
    for (at, brace) in EXAMPLE.match_indices('{') {
        let (before, after) = EXAMPLE.split_at(at);
        if !after.starts_with("{url}") {
            refuses_stray_key(&format!("{before}{{stray_key: [[]], {}", after.trim_start_matches(brace)));
            tried += 1;
        }
    }
    let mut depth = None;
    for (at, line) in lines(EXAMPLE) {
        let key = line.trim_start_matches([' ', '-']);
        let indent = line.len() - key.len();
        let is_key = key.split_once(':').is_some_and(|(key, rest)| {
            !key.is_empty() && !key.contains(['{', '[', '#']) && (rest.is_empty() || rest.starts_with(' '))
        });
        if !is_key {
            continue;
        }
        if depth.is_none_or(|depth| indent > depth) || line.trim_start().starts_with('-') {
            let (before, after) = EXAMPLE.split_at(at + indent);
            refuses_stray_key(&format!("{before}stray_key: [[]]\n{}{after}", " ".repeat(indent)));
            tried += 1;
        }
        depth = Some(indent);
    }
    assert!(tried > 30, "{tried}");
}

/// Every key of the language in the example is misspelt in turn, so that it is recognised and so that it is not.
/// Either way nothing is said but that: no complaint follows from what is missing then.
#[test]
fn a_misspelt_key_causes_no_other_complaint() {
    let mut tried = 0;
    for (colon, _) in EXAMPLE.match_indices(':') {
        let (before, after) = EXAMPLE.split_at(colon);
        let key = before.rsplit(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').next().unwrap_or("");
        let before = before.strip_suffix(key).expect("a key");
        for wrong in [format!("{key}{}", key.chars().last().unwrap_or('_')), "qqqqqqq".to_owned()] {
            let Err(report) = load_text(&format!("{before}{wrong}{after}")) else { continue };
            let about = format!("unknown key `{wrong}`");
            if report.problems().0.iter().any(|problem| problem.message == about) {
                tried += 1;
                let follows = |message: &str| {
                    message != about
                        && !(wrong == "qqqqqqq" && message.starts_with("the key `") && message.ends_with("is missing"))
                };
                assert!(
                    !report.problems().0.iter().any(|problem| follows(&problem.message)),
                    "{key} -> {wrong}\n{report}"
                );
            }
        }
    }
    assert!(tried > 80, "{tried}");
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split_inclusive('\n').map(move |line| {
        at += line.len();
        (at - line.len(), line.trim_end())
    })
}

fn refuses_stray_key(text: &str) {
    let Err(report) = load_text(text) else { panic!("loads:\n{text}") };
    for problem in &report.problems().0 {
        assert!(
            problem.message == "unknown key `stray_key`" || problem.key.contains("stray_key"),
            "{report}\nof\n{text}"
        );
    }
}

#[test]
fn a_truncated_policy_never_panics() {
    for end in 0..EXAMPLE.len() {
        let Some(text) = EXAMPLE.get(..end) else { continue };
        match load_text(text) {
            Ok(()) => {}
            Err(report) => assert!(report.problems().has_errors(), "{text}"),
        }
    }
}

/// Octets here and there become something that YAML or the language may stumble over.
#[test]
fn a_damaged_policy_never_panics() {
    for at in (0..EXAMPLE.len()).step_by(11) {
        let Some((before, after)) = EXAMPLE.split_at_checked(at) else { continue };
        let mut rest = after.chars();
        rest.next();
        for damage in ["", "\t", "{", "]", "\"", "*", "&a ", "\n", "- ", ": ", "é", "\0"] {
            if let Err(report) = load_text(&format!("{before}{damage}{}", rest.as_str())) {
                assert!(!report.text(false).is_empty());
            }
        }
    }
}

#[test]
fn a_hundred_thousand_routes_load() {
    let mut text = "version: 1\nhosts:\n".to_owned();
    for host in 0..1_000 {
        text.push_str(&format!("  h{host}.corp.test:\n    routes:\n"));
        for route in 0..100 {
            text.push_str(&format!(
                "      - {{path: /r{route}/**, methods: [GET], require: {{groups: [g{route}]}}}}\n"
            ));
        }
    }
    text.push_str("...\n");
    let world = Pretend::new().file("p.yaml", text);
    assert!(load(Path::new("p.yaml"), &world).is_ok());
}
