//! Imports run one way: each room uses only rooms to its left. The `use crate::` lines are the proof.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// Every room, and the rooms it may use besides itself.
const ROOMS: [(&str, &[&str]); 16] = [
    ("model", &[]),
    ("policy", &["model"]),
    ("limit", &["model", "outbound"]),
    ("dialect", &["model"]),
    ("outbound", &["model"]),
    ("storage", &["model"]),
    ("authn", &["model", "outbound", "storage"]),
    ("assertion", &["model"]),
    ("telemetry", &["model"]),
    ("export", &["model", "outbound", "telemetry"]),
    ("audit", &["model", "outbound", "telemetry", "export"]),
    ("config", &["model"]),
    (
        "snapshot",
        &["model", "policy", "limit", "outbound", "storage", "authn", "assertion", "audit", "export", "config"],
    ),
    ("engine", &["model", "policy", "limit", "authn", "assertion", "telemetry", "audit", "snapshot"]),
    ("server", &["model", "dialect", "telemetry", "snapshot", "engine"]),
    (
        "cli",
        &[
            "model",
            "policy",
            "limit",
            "dialect",
            "outbound",
            "authn",
            "telemetry",
            "audit",
            "export",
            "config",
            "snapshot",
            "engine",
            "server",
        ],
    ),
];

/// What a room may not say at all, wherever it is written.
const WIRE_WORDS: [&str; 4] = ["x-forwarded-", "CheckRequest", "x-original-", "auth_request"];

#[test]
fn rooms_import_only_what_stands_to_their_left() {
    let mut broken = Vec::new();
    for (file, text) in sources() {
        let Some((room, may_use)) = room_of(&file) else { continue };
        for (number, line) in own_code(&file, &text).lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            for used in code.split("crate::").skip(1) {
                let used: String =
                    used.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '_').collect();
                let known = ROOMS.iter().any(|(name, _)| *name == used);
                if known && used != room && !may_use.contains(&used.as_str()) {
                    broken.push(format!("{}:{}: `{room}` uses `{used}`", file.display(), number + 1));
                }
            }
        }
    }
    assert!(broken.is_empty(), "steps to the right:\n{}", broken.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    let rooms: Vec<String> = sources()
        .into_iter()
        .filter_map(|(file, _)| {
            let name = file.file_stem()?.to_str()?.to_owned();
            let top = file.parent()?.file_name()? == "src";
            (top && name != "lib" && name != "main").then_some(name)
        })
        .collect();
    for room in &rooms {
        assert!(ROOMS.iter().any(|(name, _)| name == room), "`{room}` is not in the table of rooms");
    }
    assert_eq!(rooms.len(), ROOMS.len(), "the table of rooms names one that is not there: {rooms:?}");
}

#[test]
fn wire_names_stay_in_the_dialect_room() {
    let mut leaks = Vec::new();
    for (file, text) in sources() {
        let Some((room, _)) = room_of(&file) else { continue };
        if !matches!(room, "policy" | "snapshot" | "engine" | "authn") {
            continue;
        }
        // A name reserved in a list of names that may not be used is no reading of it.
        let code = own_code(&file, &text);
        for word in WIRE_WORDS.into_iter().filter(|word| code.contains(word)) {
            let reserved = file.ends_with("policy/header.rs");
            // A certificate in a header is a credential, judged where credentials are.
            let credential = file.ends_with("authn/certificate.rs") || file.ends_with("authn/certificate/xfcc.rs");
            if !reserved && !credential {
                leaks.push(format!("{}: `{word}`", file.display()));
            }
        }
    }
    assert!(leaks.is_empty(), "wire names outside `dialect`:\n{}", leaks.join("\n"));
}

#[test]
fn identities_are_made_where_they_are_proven() {
    let makers: Vec<String> = sources()
        .into_iter()
        .filter(|(file, text)| own_code(file, text).contains("Identity::verified("))
        .map(|(file, _)| file.strip_prefix(root()).unwrap_or(&file).display().to_string())
        .collect();
    // Neither of the two lets anybody in: they make identities to explain.
    let explains = ["src/snapshot/assumed.rs", "src/engine/replay.rs"];
    let outside: Vec<&String> = makers
        .iter()
        .filter(|file| !file.starts_with("src/authn/") && !explains.iter().any(|maker| file.starts_with(maker)))
        .collect();
    assert!(outside.is_empty(), "identities made outside of `authn` (and `explain --as`, and replays): {outside:?}");
    assert!(makers.iter().any(|file| file.starts_with("src/authn/")), "nobody proves an identity: {makers:?}");
}

/// A file without its tests, which may use what they need.
fn own_code<'t>(file: &Path, text: &'t str) -> &'t str {
    let test = ["tests.rs", "testing.rs"].iter().any(|name| file.ends_with(name))
        || file.components().any(|part| part.as_os_str() == "tests");
    if test { "" } else { text.split("#[cfg(test)]").next().unwrap_or_default() }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn room_of(file: &Path) -> Option<(&'static str, &'static [&'static str])> {
    let inside = file.strip_prefix(root().join("src")).ok()?;
    let first = inside.components().next()?.as_os_str().to_str()?;
    let name = first.strip_suffix(".rs").unwrap_or(first);
    ROOMS.into_iter().find(|(room, _)| *room == name)
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut folders = vec![root().join("src")];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source file");
                found.push((path, text));
            }
        }
    }
    found.sort();
    found
}
