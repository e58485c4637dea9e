//! A server that may use less than the machine has: in control groups of its own, where this user may make such.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::proxy::client;
use crate::proxy::ports;
use crate::proxy::process::Process;

const MEMORY: u64 = 64 << 20;

/// Groups that end with this.
struct Groups(Vec<PathBuf>);

impl Groups {
    /// One processor and 64 MiB, in whichever version this machine has.
    fn make() -> Option<Groups> {
        let name = format!("postern-test-{}", std::process::id());
        let mut groups = Groups(Vec::new());
        for (mount, settings) in [
            (
                "/sys/fs/cgroup/cpu",
                vec![("cpu.cfs_period_us", "100000".to_owned()), ("cpu.cfs_quota_us", "100000".to_owned())],
            ),
            ("/sys/fs/cgroup/memory", vec![("memory.limit_in_bytes", MEMORY.to_string())]),
            ("/sys/fs/cgroup", vec![("cpu.max", "100000 100000".to_owned()), ("memory.max", MEMORY.to_string())]),
        ] {
            let folder = Path::new(mount).join(&name);
            let version_2 = mount == "/sys/fs/cgroup";
            if !Path::new(mount).join("cgroup.procs").exists() || (version_2 && !groups.0.is_empty()) {
                continue;
            }
            fs::create_dir(&folder).ok()?;
            groups.0.push(folder.clone());
            for (file, value) in settings {
                fs::write(folder.join(file), value).ok()?;
            }
        }
        (!groups.0.is_empty()).then_some(groups)
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for folder in &self.0 {
            let _ = fs::remove_dir(folder);
        }
    }
}

#[test]
fn threads_and_bounds_follow_the_control_group() {
    let Some(groups) = Groups::make() else {
        let mut aloud = std::io::stderr();
        let _ = writeln!(aloud, "SKIPPED: a test with control groups: this user may not make any, or there are none");
        return;
    };
    let folder = tempfile::TempDir::new().expect("a scratch folder");
    let (policy, admin) = (folder.path().join("policy.yaml"), ports::free());
    let text = "hosts: {app.test: {routes: [{path: /**, public: true, limit: {per: address, rate: 1/s}}]}}";
    fs::write(&policy, format!("version: 1\nlisten: {{admin: 127.0.0.1:{admin}}}\n{text}\n...\n")).expect("a policy");
    let join: String = groups.0.iter().map(|group| format!("echo $$ > {}/cgroup.procs && ", group.display())).collect();
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{join}exec {} serve -c {}", env!("CARGO_BIN_EXE_postern"), policy.display()));
    let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
    let get = |path: &str| {
        client::send(admin, format!("GET {path} HTTP/1.1\r\nHost: postern\r\nConnection: close\r\n\r\n").as_bytes())
    };
    process.wait_until("readiness", || get("/readyz").is_ok_and(|reply| reply.status == 200));
    let log = process.log();
    let serving = log.lines().find_map(|line| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "serving").then_some(line)
    });
    let serving = serving.unwrap_or_else(|| panic!("{log}"));
    assert_eq!((&serving["threads"], &serving["memory"]), (&1.into(), &MEMORY.into()), "{serving}");
    assert_eq!(serving["connections"], 819, "{serving}");
    // An eighth of it for budgets, of 32 octets each.
    let metrics = get("/metrics").expect("metrics").body;
    let places = metrics.lines().find_map(|line| line.strip_prefix("postern_limit_places "));
    let places: u64 = places.and_then(|places| places.parse().ok()).unwrap_or_else(|| panic!("{metrics}"));
    assert!((MEMORY / 8 / 32 / 2..=MEMORY / 8 / 32).contains(&places), "{places}");
    drop(process);
    // The group is empty once the process is gone.
    drop(groups);
}
