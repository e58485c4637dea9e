//! A `postern serve` under a policy of these tests, asked as nginx asks it.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::proxy::client;
use crate::proxy::client::Reply;
use crate::proxy::ports;
use crate::proxy::process::Process;

/// A running instance.
pub(crate) struct Instance {
    pub(crate) http: u16,
    pub(crate) admin: u16,
    process: Process,
    policy: PathBuf,
    _folder: TempDir,
}

impl Instance {
    /// Start it under a policy without head and end, and wait until it is ready.
    pub(crate) fn start(policy: &str) -> Instance {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let (grpc, http, admin) = (ports::free(), ports::free(), ports::free());
        let path = folder.path().join("policy.yaml");
        let listen = format!("listen: {{grpc: 127.0.0.1:{grpc}, http: 127.0.0.1:{http}, admin: 127.0.0.1:{admin}}}\n");
        fs::write(&path, format!("version: 1\n{listen}{policy}...\n")).expect("a policy");
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.arg("serve").arg("-c").arg(&path);
        let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
        process.wait_until("readiness", || get(admin, "/readyz").is_ok_and(|reply| reply.status == 200));
        Instance { http, admin, process, policy: path, _folder: folder }
    }

    /// Ask whether this client may have this.
    pub(crate) fn ask(&self, path: &str, from: &str) -> Reply {
        self.try_ask(path, from).unwrap_or_else(|error| panic!("{error}\n{}", self.process.log()))
    }

    pub(crate) fn try_ask(&self, path: &str, from: &str) -> io::Result<Reply> {
        client::send(self.http, check(path, from).as_bytes())
    }

    /// The status, as it was before nginx's was made of it.
    pub(crate) fn status(&self, path: &str, from: &str) -> u16 {
        let reply = self.ask(path, from);
        reply.all("x-auth-status").first().map_or(reply.status, |status| status.parse().expect("a status"))
    }

    /// Write the policy anew with another text in it.
    pub(crate) fn change(&self, from: &str, to: &str) {
        let text = fs::read_to_string(&self.policy).expect("a policy");
        assert!(text.contains(from), "{text}");
        fs::write(&self.policy, text.replace(from, to)).expect("a policy");
    }

    /// Wait until the metrics have a line that begins so.
    pub(crate) fn wait_for(&mut self, line: &str) {
        let admin = self.admin;
        self.process.wait_until(line, || metrics(admin).lines().any(|found| found.starts_with(line)));
    }

    /// The number behind a series.
    pub(crate) fn metric(&self, series: &str) -> u64 {
        let text = metrics(self.admin);
        let line = text.lines().find(|line| line.split_once(' ').is_some_and(|(name, _)| name == series));
        let number = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {series} in\n{text}"))
    }

    pub(crate) fn page(&self, path: &str) -> String {
        get(self.admin, path).expect("a page").body
    }

    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// The check that nginx sends.
pub(crate) fn check(path: &str, from: &str) -> String {
    format!(
        "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nX-Forwarded-Method: GET\r\n\
         X-Forwarded-Proto: https\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: {path}\r\n\
         X-Forwarded-For: {from}\r\n\r\n"
    )
}

fn get(port: u16, path: &str) -> io::Result<Reply> {
    client::send(port, format!("GET {path} HTTP/1.1\r\nHost: postern\r\nConnection: close\r\n\r\n").as_bytes())
}

fn metrics(admin: u16) -> String {
    get(admin, "/metrics").map(|reply| reply.body).unwrap_or_default()
}
