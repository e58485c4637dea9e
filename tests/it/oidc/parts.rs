//! Where the real provider comes from: npm, pinned by a lock file, installed below `target/` once.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::proxy::parts::on_path;

/// What the installation is made of; with any of them changed it is made anew.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../oidc/package.json")),
    ("package-lock.json", include_str!("../../oidc/package-lock.json")),
    ("provider.mjs", include_str!("../../oidc/provider.mjs")),
];

/// Set to `1`: tests that need real parts say so and pass.
const SKIP: &str = "POSTERN_SKIP_PROXIES";
/// Set to `1`: a missing node is a failure.
const REQUIRE: &str = "POSTERN_REQUIRE_NODE";

/// Node, and the folder with `provider.mjs` in it; `None` when it may be done without, which is said aloud.
pub(crate) fn find() -> Option<(PathBuf, &'static Path)> {
    let skip = |why: &str| {
        // Past the test runner's capture, so that a skipped test is never silent.
        let _ = writeln!(std::io::stderr(), "SKIPPED: a test with a real OpenID provider: {why}");
    };
    if is_set(SKIP) {
        skip(&format!("{SKIP} is set"));
        return None;
    }
    let (Some(node), Some(npm)) = (on_path("node"), on_path("npm")) else {
        assert!(!is_set(REQUIRE), "node and npm are not installed, and {REQUIRE} is set");
        skip("the system has no node with npm");
        return None;
    };
    static FOLDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    match FOLDER.get_or_init(|| install(&npm)) {
        Ok(folder) => Some((node, folder)),
        Err(why) => panic!("cannot install the OpenID provider (tests/oidc): {why}; {SKIP}=1 does without"),
    }
}

fn install(npm: &Path) -> Result<PathBuf, String> {
    // Cargo gives integration tests `target/tmp`.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target folder")?;
    let folder = target.join("oidc");
    let say = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");

    // One process at a time; the others find the marker when their turn comes.
    let lock = File::create(target.join("oidc.lock")).map_err(|error| say("lock file", &error))?;
    lock.lock().map_err(|error| say("lock file", &error))?;

    let marker = folder.join("installed");
    let wanted: String = FILES.iter().map(|(_, text)| *text).collect();
    #[expect(clippy::disallowed_methods, reason = "our own marker")]
    let installed = std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted);
    if !installed {
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|error| say("old folder", &error))?;
        }
        std::fs::create_dir_all(&folder).map_err(|error| say("folder", &error))?;
        for (name, text) in FILES {
            std::fs::write(folder.join(name), text).map_err(|error| say(name, &error))?;
        }
        let mut command = Command::new(npm);
        // Nothing that is installed needs a script to run.
        command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder);
        let output = command.output().map_err(|error| say("npm", &error))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let first = text.lines().find(|line| line.contains("error")).unwrap_or_default();
            return Err(format!("npm ci: {}: {first}", output.status));
        }
        std::fs::write(&marker, wanted).map_err(|error| say("marker", &error))?;
    }
    Ok(folder)
}

#[expect(clippy::disallowed_methods, reason = "the harness is switched from outside")]
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == "1")
}
