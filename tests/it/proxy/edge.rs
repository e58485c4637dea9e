//! One real proxy with one configuration: the very files that are shipped, with other ports in them.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::client;
use super::parts;
use super::ports;
use super::postern::{Grpc, Postern};
use super::process::Process;
use super::upstream::{SCENARIO, Upstream};

/// A proxy, and which of its ways of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proxy {
    EnvoyGrpc,
    EnvoyHttp,
    Caddy,
    /// The pinned version.
    Nginx,
    /// What the distribution has.
    NginxSystem,
    Traefik,
    Haproxy,
}

/// Whose configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Setup {
    /// Ours, as the user gets it.
    Shipped,
    /// A hurried user's: nothing stripped, nothing tidied, everything passed.
    Naive,
}

/// A piece of a configuration and what stands there instead. Each must be found at least once, or the test fails.
#[derive(Clone, Debug)]
pub(crate) struct Edit {
    pub(crate) find: String,
    pub(crate) replace: String,
}

impl Edit {
    pub(crate) fn new(find: &str, replace: impl Into<String>) -> Edit {
        Edit { find: find.to_owned(), replace: replace.into() }
    }
}

/// A running proxy.
pub(crate) struct Edge {
    pub(crate) port: u16,
    process: Process,
    _folder: TempDir,
}

impl Edge {
    /// Start the proxy and wait until a public request goes through it. `None`: the proxy may be done without and is not there.
    pub(crate) fn start(
        proxy: Proxy,
        setup: Setup,
        edits: &[Edit],
        postern: &Postern,
        upstream: &Upstream,
    ) -> Option<Edge> {
        let ready = |port: u16| {
            let id = format!("ready-{port}");
            let request = format!("GET /public/ready HTTP/1.1\r\nHost: app.example.test\r\n{SCENARIO}: {id}\r\n\r\n");
            client::send(port, request.as_bytes()).is_ok_and(|reply| reply.status == 200)
                && !upstream.take(&id).is_empty()
        };
        Edge::start_with(proxy, setup, edits, postern, upstream, &ready)
    }

    /// The same for a proxy that such a request does not go through: `ready` makes one, to this port.
    pub(crate) fn start_with(
        proxy: Proxy,
        setup: Setup,
        edits: &[Edit],
        postern: &Postern,
        upstream: &Upstream,
        ready: &dyn Fn(u16) -> bool,
    ) -> Option<Edge> {
        let binary = parts::find(proxy)?;
        let mut last = String::new();
        for _ in 0..2 {
            match Edge::try_start(proxy, setup, edits, &binary, (postern, upstream), ready) {
                Ok(edge) => return Some(edge),
                // Somebody else took the port between our look and the proxy's bind: once more, with another.
                Err(log) if log.to_lowercase().contains("in use") => last = log,
                Err(log) => panic!("{proxy:?} ({setup:?}): {log}"),
            }
        }
        panic!("{proxy:?} ({setup:?}): {last}");
    }

    fn try_start(
        proxy: Proxy,
        setup: Setup,
        edits: &[Edit],
        binary: &Path,
        (postern, upstream): (&Postern, &Upstream),
        ready: &dyn Fn(u16) -> bool,
    ) -> Result<Edge, String> {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let port = ports::free();
        let mut table = addresses(proxy, setup, port, postern, upstream, folder.path());
        table.extend_from_slice(edits);
        let config = copy(&files(proxy, setup), &table, folder.path());
        let mut command = command(proxy, binary, &config, folder.path());
        let mut process = Process::start(&format!("{proxy:?}"), &mut command, &folder.path().join("log"));
        let ready = process.try_wait_until("answer to a public request", || ready(port));
        match ready {
            Ok(()) => Ok(Edge { port, process, _folder: folder }),
            Err(why) => Err(format!("{why}\n{}", process.log())),
        }
    }

    /// What the proxy has written.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }
}

/// The files of a configuration, the one the proxy is given first.
fn files(proxy: Proxy, setup: Setup) -> Vec<&'static str> {
    match (proxy, setup) {
        (Proxy::EnvoyGrpc, Setup::Shipped) => vec!["envoy/grpc.yaml"],
        (Proxy::EnvoyHttp, Setup::Shipped) => vec!["envoy/http.yaml"],
        (Proxy::Caddy, Setup::Shipped) => vec!["examples/Caddyfile"],
        (Proxy::Nginx | Proxy::NginxSystem, Setup::Shipped) => vec!["examples/nginx.conf"],
        (Proxy::Traefik, Setup::Shipped) => vec!["examples/traefik/static.yaml", "examples/traefik/dynamic.yaml"],
        (Proxy::Haproxy, Setup::Shipped) => vec!["examples/haproxy.cfg", "examples/postern.lua"],
        (Proxy::EnvoyGrpc, Setup::Naive) => vec!["tests/proxies/naive/envoy-grpc.yaml"],
        (Proxy::EnvoyHttp, Setup::Naive) => vec!["tests/proxies/naive/envoy-http.yaml"],
        (Proxy::Caddy, Setup::Naive) => vec!["tests/proxies/naive/Caddyfile"],
        (Proxy::Nginx | Proxy::NginxSystem, Setup::Naive) => vec!["tests/proxies/naive/nginx.conf"],
        (Proxy::Traefik, Setup::Naive) => {
            vec!["tests/proxies/naive/traefik/static.yaml", "tests/proxies/naive/traefik/dynamic.yaml"]
        }
        (Proxy::Haproxy, Setup::Naive) => vec!["tests/proxies/naive/haproxy.cfg", "tests/proxies/naive/haproxy.lua"],
    }
}

/// All that is changed in every run:
///
/// | in the file | what it is | becomes |
/// | --- | --- | --- |
/// | port 8080 | where the proxy listens | a free port |
/// | port 8081 | the application | the recording upstream's |
/// | port 9191, 9192 | Postern | the started binary's port or socket |
/// | `…/dynamic.yaml`, `…/*.lua` | a second file | its edited copy |
fn addresses(
    proxy: Proxy,
    setup: Setup,
    port: u16,
    postern: &Postern,
    upstream: &Upstream,
    folder: &Path,
) -> Vec<Edit> {
    let prefix = match proxy {
        Proxy::EnvoyGrpc | Proxy::EnvoyHttp => "port_value: ",
        Proxy::Caddy => ":",
        Proxy::Nginx | Proxy::NginxSystem | Proxy::Traefik | Proxy::Haproxy => "127.0.0.1:",
    };
    let at = |from: u16, to: u16| Edit::new(&format!("{prefix}{from}"), format!("{prefix}{to}"));
    let mut table = vec![at(8080, port), at(8081, upstream.port)];
    table.push(match (proxy, &postern.grpc) {
        (Proxy::EnvoyGrpc, Grpc::Port(port)) => at(9191, *port),
        (Proxy::EnvoyGrpc, Grpc::Socket(path)) => Edit::new(
            "{socket_address: {address: 127.0.0.1, port_value: 9191}}",
            format!("{{pipe: {{path: {}}}}}", path.display()),
        ),
        _ => at(9192, postern.http),
    });
    if let [_, second] = files(proxy, setup)[..] {
        table.push(Edit::new(second, folder.join(file_name(second)).display().to_string()));
    }
    table
}

/// The limits on Postern's answer, widened: for tests that are about something else and share the machine with others.
pub(crate) fn patience(proxy: Proxy, setup: Setup) -> Vec<Edit> {
    match (proxy, setup) {
        (Proxy::EnvoyGrpc, Setup::Shipped) => {
            vec![Edit::new(" timeout: 0.5s", " timeout: 10s"), Edit::new("max_interval: 0.25s", "max_interval: 10s")]
        }
        (Proxy::EnvoyGrpc, Setup::Naive) | (Proxy::EnvoyHttp, _) => vec![Edit::new(" timeout: 0.5s", " timeout: 10s")],
        (Proxy::Caddy, Setup::Shipped) => {
            vec![Edit::new("response_header_timeout 1s", "response_header_timeout 10s")]
        }
        (Proxy::Nginx | Proxy::NginxSystem, Setup::Shipped) => {
            vec![Edit::new("proxy_read_timeout 1s", "proxy_read_timeout 10s")]
        }
        (Proxy::Haproxy, Setup::Shipped) => {
            vec![Edit::new("setenv POSTERN_MILLISECONDS 250", "setenv POSTERN_MILLISECONDS 10000")]
        }
        (Proxy::Caddy | Proxy::Nginx | Proxy::NginxSystem | Proxy::Haproxy, Setup::Naive) | (Proxy::Traefik, _) => {
            vec![]
        }
    }
}

/// Copy the files into `folder` with every edit made, and give the path of the first.
fn copy(files: &[&str], table: &[Edit], folder: &Path) -> PathBuf {
    let mut found = vec![0; table.len()];
    for file in files {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        #[expect(clippy::disallowed_methods, reason = "a shipped file")]
        let text = std::fs::read_to_string(&source).unwrap_or_else(|error| panic!("{file}: {error}"));
        std::fs::write(folder.join(file_name(file)), edit(&text, table, &mut found)).expect("a copy");
    }
    for (edit, found) in table.iter().zip(found) {
        assert!(found > 0, "{files:?} no longer hold {:?}, which this test must replace", edit.find);
    }
    folder.join(file_name(files[0]))
}

/// One pass, so that nothing that was put in is edited again; where two fit, the longer one counts.
fn edit(text: &str, table: &[Edit], found: &mut [usize]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let fitting =
            table.iter().enumerate().filter_map(|(index, edit)| Some((index, edit, rest.strip_prefix(&edit.find)?)));
        if let Some((index, edit, after)) = fitting.max_by_key(|(_, edit, _)| edit.find.len()) {
            out.push_str(&edit.replace);
            rest = after;
            found[index] += 1;
        } else {
            out.push(first);
            rest = rest.strip_prefix(first).unwrap_or_default();
        }
    }
    out
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn command(proxy: Proxy, binary: &Path, config: &Path, folder: &Path) -> Command {
    let mut command = Command::new(binary);
    // Whatever a proxy wants to keep, it keeps in the scratch folder.
    command.current_dir(folder).env("HOME", folder).env("XDG_DATA_HOME", folder).env("XDG_CONFIG_HOME", folder);
    match proxy {
        Proxy::EnvoyGrpc | Proxy::EnvoyHttp => {
            command.arg("-c").arg(config).args(["--concurrency", "1", "--disable-hot-restart", "-l", "warning"])
        }
        Proxy::Caddy => command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config),
        // One process, so that a signal reaches all of it.
        Proxy::Nginx | Proxy::NginxSystem => command.arg("-p").arg(folder).arg("-c").arg(config).args([
            "-e",
            "stderr",
            "-g",
            "daemon off; master_process off;",
        ]),
        Proxy::Traefik => command.arg(format!("--configfile={}", config.display())),
        Proxy::Haproxy => command.arg("-db").arg("-f").arg(config),
    };
    command
}
