//! A collector of somebody else's making takes what we send: `rotel`, from a wheel of a pinned version.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use crate::otlp::Served;
use crate::otlp::collector::wait_until;
use crate::proxy::parts;
use crate::proxy::ports;
use crate::proxy::process::Process;

#[test]
fn a_real_collector_takes_spans_and_metrics() {
    let Some(rotel) = parts::collector() else { return };
    for protocol in ["grpc", "http"] {
        for (what, signal, shown) in [
            ("traces: {sample: 1}", "traces", "Received traces."),
            ("metrics: {interval: 1s}", "metrics", "Received metrics."),
        ] {
            let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
            let (grpc, http) = (ports::free(), ports::free());
            let log = folder.path().join("rotel.log");
            let mut command = Command::new(&rotel);
            command.args(["start", "--exporter", "blackhole", "--debug-log", signal]);
            command.args(["--otlp-grpc-endpoint", &format!("127.0.0.1:{grpc}")]);
            command.args(["--otlp-http-endpoint", &format!("127.0.0.1:{http}")]);
            let mut collector = Process::start("rotel", &mut command, &log);
            let listens = |port| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
            collector.wait_until("its ports", || listens(grpc) && listens(http));
            let port = if protocol == "grpc" { grpc } else { http };
            let served = Served::start(&format!("endpoint: 'http://127.0.0.1:{port}', protocol: {protocol}, {what}"));
            assert!(served.ask("/open", None));
            let sent = format!("postern_otlp_sent_total{{signal=\"{signal}\"}}");
            wait_until(&format!("{what} over {protocol}"), || served.metric(&sent) > 0);
            assert_eq!(served.metric(&format!("postern_otlp_errors_total{{signal=\"{signal}\"}}")), 0);
            let text = || fs::read_to_string(&log).expect("a log");
            wait_until(&format!("`{shown}`"), || text().contains(shown));
        }
    }
}
