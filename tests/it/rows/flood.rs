//! D1–D3 all at once: a real process under a mixed flood from one address, while somebody at another asks as usual.
//!
//! The test looks at facts that do not depend on the machine's speed. By hand it runs longer and tells times:
//!
//! ```text
//! cargo build --release
//! POSTERN_BINARY=$PWD/target/release/postern POSTERN_FLOOD_SECONDS=60 cargo test --test it -- --nocapture a_flood
//! ```

mod attack;
mod good;

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::proxy::process::Deadline;
use crate::rows::flood::attack::Flood;
use crate::rows::flood::good::Good;
use crate::rows::listener::serve;

/// `/open` is everybody's, the rest is nobody's.
const POLICY: &str = "hosts:
  app.test:
    network: [0.0.0.0/0]
    routes:
      - {path: /open/**, public: true}
      - {path: /**, deny: {network: [0.0.0.0/0]}, public: true}
";

/// What a flood may cost.
const MEMORY: u64 = 64 * 1024;

#[test]
fn d1_a_flood_costs_little_and_changes_no_answer() {
    let seconds = std::env::var("POSTERN_FLOOD_SECONDS").ok().and_then(|text| text.parse().ok());
    let (mut process, ports, _folder) = serve(POLICY, "", "--threads 2 --log-level error", &[]);
    let id = process.id();
    // The first few requests bring in what any request needs.
    let good = Good::start(ports);
    process.wait_until("the first answers", || good.answers() >= 200);
    let (idle, open) = (memory(id), descriptors(id));
    good.forget();

    let flood = Flood::start(ports);
    let end = Deadline::after(Duration::from_secs(seconds.unwrap_or(4)));
    let mut most = idle;
    while !end.passed() {
        most = most.max(memory(id));
        thread::sleep(Duration::from_millis(20));
    }
    let counts = Arc::clone(&flood.counts);
    flood.stop();
    process.wait_until("its descriptors back", || descriptors(id) <= open + 4);
    let done = good.stop();

    let lives = attack::ATTACKS.iter().zip(&counts.lives).map(|(attack, lives)| {
        let lives = lives.load(Ordering::Relaxed);
        assert!(lives > 0, "{} never came to attack", attack.name);
        format!("{} {lives}", attack.name)
    });
    let lives: Vec<String> = lives.collect();
    let report = format!(
        "memory: {} KiB idle, {} KiB at most; good client: {} answers, {} faults, p50 {:?}, p99 {:?}, longest {:?}\nattacks: {}\n",
        idle,
        most,
        done.times.len(),
        done.faults.len(),
        done.quantile(0.50),
        done.quantile(0.99),
        done.quantile(1.0),
        lives.join(", "),
    );
    if seconds.is_some() {
        // Past the harness's capture, which holds back what a test prints.
        let _ = std::io::stderr().write_all(report.as_bytes());
    }
    assert_eq!(done.faults, Vec::<String>::new(), "{report}");
    assert_eq!(counts.allowed.load(Ordering::Relaxed), 0, "an attacker was let in: {report}");
    assert!(done.times.len() > 20, "{report}");
    assert!(most <= idle + MEMORY, "{report}");
}

/// What it holds in memory, in KiB.
fn memory(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a living process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// How many files and sockets it has open.
fn descriptors(process: u32) -> usize {
    fs::read_dir(format!("/proc/{process}/fd")).expect("a living process").count()
}
