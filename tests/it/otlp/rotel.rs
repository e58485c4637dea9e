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
fn a_real_collector_takes_spans_metrics_and_lines() {
    let Some(rotel) = parts::collector() else { return };
    for protocol in ["grpc", "http"] {
        for (what, more, signal, shown, sent) in [
            ("traces: {sample: 1}", "", "traces", "Received traces.", "postern_otlp_sent_total{signal=\"traces\"}"),
            (
                "metrics: {interval: 1s}",
                "",
                "metrics",
                "Received metrics.",
                "postern_otlp_sent_total{signal=\"metrics\"}",
            ),
            (
                "timeout: 2s",
                "audit: {otlp: true}",
                "logs",
                "Received logs.",
                "postern_audit_sink_lines_total{sink=\"otlp\"}",
            ),
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
            let otlp = format!("endpoint: 'http://127.0.0.1:{port}', protocol: {protocol}, {what}");
            let served = Served::start_with(&otlp, more);
            assert!(served.ask("/open", None));
            wait_until(&format!("{what} over {protocol}"), || served.metric(sent) > 0);
            assert_eq!(served.metric(&format!("postern_otlp_errors_total{{signal=\"{signal}\"}}")), 0);
            let text = || fs::read_to_string(&log).expect("a log");
            wait_until(&format!("`{shown}`"), || text().contains(shown));
        }
    }
}
