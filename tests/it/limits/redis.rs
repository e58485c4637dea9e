//! A real Redis server.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::proxy::parts::on_path;
use crate::proxy::ports;
use crate::proxy::process::Process;
use crate::proxy::process::Signal;

/// Set to `1`: a missing Redis is a failure.
const REQUIRE: &str = "POSTERN_REQUIRE_REDIS";

/// A running server, and its files.
pub(super) struct Redis {
    pub(super) port: u16,
    pub(super) folder: TempDir,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Redis {
    /// `None`, said aloud, where the system has none.
    pub(super) fn start(arguments: &[&str]) -> Option<Redis> {
        let folder = TempDir::new().expect("a scratch folder");
        Redis::start_in(folder, arguments)
    }

    /// The same in a folder with files that the arguments name.
    pub(super) fn start_in(folder: TempDir, arguments: &[&str]) -> Option<Redis> {
        if on_path("redis-server").is_none() {
            let required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
            assert!(!required, "redis-server is not installed, and {REQUIRE} is set");
            // Past the test runner's capture, so that it is never silent.
            let mut aloud = std::io::stderr();
            let _ = writeln!(aloud, "SKIPPED: a test with Redis: the system has none (Debian: redis-server)");
            return None;
        }
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut redis = Redis { port: ports::free(), folder, arguments, process: None };
        redis.begin();
        Some(redis)
    }

    /// Start it, or start it again where it was.
    pub(super) fn begin(&mut self) {
        let mut command = Command::new("redis-server");
        // The sentinel's configuration is a file, and comes first.
        let (file, more): (Vec<&String>, Vec<&String>) =
            self.arguments.iter().partition(|argument| argument.ends_with(".conf"));
        command.args(file).args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", "", "--dir"]);
        command.arg(self.folder.path()).args(more);
        let mut process = Process::start("redis-server", &mut command, &self.folder.path().join("log"));
        let port = self.port;
        process.wait_until("listener", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        self.process = Some(process);
    }

    pub(super) fn kill(&mut self) {
        self.process = self.process.take().and_then(|mut process| {
            process.kill();
            None
        });
    }

    pub(super) fn signal(&mut self, signal: Signal) {
        self.process.as_mut().expect("a running server").signal(signal);
    }

    /// As the policy says where it is, with time enough for a busy machine.
    pub(super) fn address(&self) -> String {
        format!("address: 'redis://127.0.0.1:{}', deadline: 1s", self.port)
    }

    /// Ask it something.
    pub(super) fn ask(&self, question: &[&str]) -> String {
        cli(self.port, question)
    }

    /// How often this command was called.
    pub(super) fn calls(&self, command: &str) -> u64 {
        let stats = self.ask(&["INFO", "commandstats"]);
        let start = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(&start));
        line.map_or(0, |rest| rest.split(',').next().expect("a number").parse().expect("a number"))
    }
}

/// What `redis-cli` prints.
pub(super) fn cli(port: u16, question: &[&str]) -> String {
    said(Command::new("redis-cli").args(["-p", &port.to_string()]).args(question))
}

/// The same with other arguments before it.
pub(super) fn said(command: &mut Command) -> String {
    let output = command.output().expect("redis-cli runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A file in a folder, as text.
pub(super) fn shown(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}
