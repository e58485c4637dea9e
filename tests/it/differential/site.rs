//! One site on many servers: a public file, one for the staff and the secret, behind everything that serves files.

use std::fmt::Write;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::emulation::{EMULATIONS, finds_secret};
use super::grammar::OPEN;
use crate::proxy::client;
use crate::proxy::edge::Proxy;
use crate::proxy::parts;
use crate::proxy::ports;
use crate::proxy::process::Process;
use crate::proxy::upstream::Arrival;

/// The folders of both hosts. The secret is in one of them only.
pub(crate) struct Site {
    pub(crate) secret: String,
    app: PathBuf,
    open: PathBuf,
    folder: TempDir,
}

/// A real server of files.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    pub(crate) port: u16,
    _process: Process,
}

impl Site {
    /// Write the files; `secret` is what must not be read.
    pub(crate) fn write(secret: &str) -> Site {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let (app, open) = (folder.path().join("app"), folder.path().join("open"));
        for (root, protected) in [(&app, secret), (&open, "nothing to hide")] {
            for (file, text) in [
                ("public/hello.txt", "hello"),
                ("desk/hello.txt", "hello, staff"),
                ("admin/secret.txt", protected),
                ("admin/index.html", protected),
                ("admin/more/secret.txt", protected),
            ] {
                let file = root.join(file);
                std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
                std::fs::write(file, format!("{text}\n")).expect("a file");
            }
        }
        Site { secret: secret.to_owned(), app, open, folder }
    }

    /// Start everything that is there. Node may be missing; that is said aloud.
    pub(crate) fn serve(&self) -> Vec<Server> {
        let mut servers = vec![self.nginx(), self.caddy(), self.script("Python", "python3", "files.py")];
        if parts::on_path("node").is_some() {
            servers.push(self.script("Node", "node", "files.js"));
        } else {
            super::say("SKIPPED: Node as an upstream of the differential test: the system has no node");
        }
        servers
    }

    fn nginx(&self) -> Server {
        let binary = parts::find(Proxy::Nginx).expect("nginx");
        self.start("nginx", |port, folder| {
            let mut command = Command::new(&binary);
            command.arg("-p").arg(folder).arg("-c").arg(self.config("nginx.conf", port, folder)).args([
                "-e",
                "stderr",
                "-g",
                "daemon off; master_process off;",
            ]);
            command
        })
    }

    fn caddy(&self) -> Server {
        let binary = parts::find(Proxy::Caddy).expect("Caddy");
        self.start("Caddy", |port, folder| {
            let mut command = Command::new(&binary);
            command.env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
            let config = self.config("Caddyfile", port, folder);
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
            command
        })
    }

    fn script(&self, name: &'static str, program: &str, script: &str) -> Server {
        self.start(name, |port, _| {
            let mut command = Command::new(program);
            command.arg(source(script)).arg(port.to_string()).arg(&self.app).arg(&self.open);
            command
        })
    }

    fn start(&self, name: &'static str, command: impl Fn(u16, &Path) -> Command) -> Server {
        let folder = self.folder.path().join(format!("{name} of this site"));
        std::fs::create_dir_all(&folder).expect("a folder");
        let mut last = String::new();
        for _ in 0..2 {
            let port = ports::free();
            let mut process = Process::start(name, command(port, &folder).current_dir(&folder), &folder.join("log"));
            let request = b"GET /public/hello.txt HTTP/1.1\r\nHost: app.example.test\r\n\r\n";
            let ready = process.try_wait_until("the public file", || {
                client::send(port, request).is_ok_and(|reply| reply.status == 200 && reply.body == "hello\n")
            });
            match ready {
                Ok(()) => return Server { name, port, _process: process },
                // Somebody else took the port: once more, with another.
                Err(why) => last = format!("{why}\n{}", process.log()),
            }
        }
        panic!("{last}");
    }

    fn config(&self, name: &str, port: u16, folder: &Path) -> PathBuf {
        #[expect(clippy::disallowed_methods, reason = "a configuration of this test")]
        let text = std::fs::read_to_string(source(name)).expect("a configuration");
        let text = text.replace("8081", &port.to_string());
        let text =
            text.replace("APP", &self.app.display().to_string()).replace("OPEN", &self.open.display().to_string());
        let config = folder.join(name);
        std::fs::write(&config, text).expect("a configuration");
        config
    }
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential").join(name)
}

/// Everything a request leads to, once it has got as far as the application: what every server says to it.
pub(crate) fn ask_everybody(servers: &[(&'static str, u16)], secret: &str, arrival: &Arrival) -> String {
    let mut said = String::new();
    for (name, port) in servers {
        let answer = ask(*port, &arrival.octets);
        let _ = match answer {
            Ok(body) => writeln!(said, "=== {name}\n{body}"),
            Err(error) => writeln!(said, "=== {name}\n({error})"),
        };
    }
    if !arrival.all("host").first().is_some_and(|host| is_open(host)) {
        for emulation in EMULATIONS {
            let found = finds_secret(emulation.steps, arrival.target.as_bytes());
            let _ = writeln!(said, "=== {}\n{}", emulation.name, if found { secret } else { "" });
        }
        // Symfony, ASP.NET and others take these for the URL.
        let believed = ["x-original-url", "x-rewrite-url"].into_iter().flat_map(|name| arrival.all(name));
        for url in believed {
            let found = finds_secret(&[], url.as_bytes());
            let _ = writeln!(said, "=== {BELIEVER}\n{}", if found { secret } else { "" });
        }
    }
    said
}

/// Is this the site that is public altogether? As Postern has it, one final dot and the port say nothing; an application
/// behind a proxy that forwards the dot must not take it for another site.
pub(crate) fn is_open(host: &str) -> bool {
    let name = host.split(':').next().unwrap_or_default();
    name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(OPEN)
}

/// The emulated server that believes X-Original-URL.
pub(crate) const BELIEVER: &str = "believes X-Original-URL";

/// What one server says to these very octets. A server that hangs up says nothing.
pub(crate) fn ask(port: u16, octets: &[u8]) -> io::Result<String> {
    client::send(port, octets).map(|reply| reply.body)
}

/// The servers whose answer holds the secret, by what [`ask_everybody`] has put together.
pub(crate) fn leaks<'s>(said: &'s str, secret: &str) -> Vec<&'s str> {
    let answers = said.split("=== ").filter(|answer| answer.contains(secret));
    answers.map(|answer| answer.lines().next().unwrap_or_default()).collect()
}
