//! What the documents show runs, and says what it does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use postern::cli::load::LoadedPolicy;
use postern::config::load::Pretend;
use postern::model::reason::Reason;

#[test]
fn every_policy_in_the_documents_is_good() {
    let mut seen = 0;
    for file in documents() {
        for policy in blocks(&read(&file), "yaml").into_iter().filter(|block| block.starts_with("version:")) {
            seen += 1;
            let world = Pretend::new().file("policy.yaml", policy).variable("API_LITELLM_ALLOWLIST", "192.0.2.0/24");
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
