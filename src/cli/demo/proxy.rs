//! A real proxy before the demo's application: the shipped configuration, with this demo's addresses in it.

use std::path::Path;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use anyhow::bail;
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::process::Command;

use crate::cli::demo::upstream::Upstream;
use crate::config::load::Machine;
use crate::config::load::World;
use crate::model::listen::Listen;

/// The proxies the demo can start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ProxyKind {
    Caddy,
    Envoy,
    Nginx,
    Traefik,
}

/// A running proxy; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Edge {
    kind: ProxyKind,
    _child: Child,
    folder: PathBuf,
}

/// How long a proxy may take to listen.
const PATIENCE: Duration = Duration::from_secs(15);

impl Edge {
    /// Start the proxy at `port`, or say how to get it.
    pub(super) async fn start(
        kind: ProxyKind,
        port: u16,
        postern: &Listen,
        upstream: &Upstream,
    ) -> anyhow::Result<Edge> {
        let Some(binary) = find(kind) else {
            bail!(
                "no `{}` in PATH; install it, or start one yourself with the files in `examples/` and `envoy/`",
                kind.name()
            );
        };
        if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            bail!("something listens at 127.0.0.1:{port} already; choose another with --port");
        }
        let folder = std::env::temp_dir().join(format!("postern-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        let write = |name: &str, text: &str| {
            let text = adapt(text, port, postern, upstream, &folder);
            std::fs::write(folder.join(name), text).with_context(|| format!("cannot write `{name}`"))
        };
        let mut command = Command::new(&binary);
        match kind {
            ProxyKind::Caddy => {
                write("Caddyfile", include_str!("../../../examples/Caddyfile"))?;
                command.args(["run", "--adapter", "caddyfile", "--config", "Caddyfile"]);
            }
            ProxyKind::Envoy => {
                write("envoy.yaml", include_str!("../../../envoy/grpc.yaml"))?;
                command.args(["-c", "envoy.yaml", "--disable-hot-restart", "--concurrency", "1", "-l", "warning"]);
            }
            ProxyKind::Nginx => {
                write("nginx.conf", include_str!("../../../examples/nginx.conf"))?;
                command.args(["-p", ".", "-c", "nginx.conf", "-e", "stderr", "-g", "daemon off;"]);
            }
            ProxyKind::Traefik => {
                write("static.yaml", include_str!("../../../examples/traefik/static.yaml"))?;
                write("dynamic.yaml", include_str!("../../../examples/traefik/dynamic.yaml"))?;
                command.arg("--configfile=static.yaml");
            }
        }
        let log = std::fs::File::create(folder.join("log")).context("cannot write the proxy's log")?;
        command
            .current_dir(&folder)
            .env("XDG_DATA_HOME", &folder)
            .env("XDG_CONFIG_HOME", &folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        let child = command.spawn().with_context(|| format!("cannot start `{}`", binary.display()))?;
        let mut edge = Edge { kind, _child: child, folder };
        edge.wait(port).await?;
        Ok(edge)
    }

    /// The proxy's name.
    pub(super) fn name(&self) -> &'static str {
        self.kind.name()
    }

    async fn wait(&mut self, port: u16) -> anyhow::Result<()> {
        let listening = async {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if let Ok(Some(status)) = self._child.try_wait() {
                    let log = Machine.read(&self.folder.join("log"), 1 << 20).unwrap_or_default();
                    bail!("{} ended with {status}:\n{}", self.kind.name(), String::from_utf8_lossy(&log));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        };
        match tokio::time::timeout(PATIENCE, listening).await {
            Ok(listening) => listening,
            Err(_) => bail!("{} did not listen within {} seconds", self.kind.name(), PATIENCE.as_secs()),
        }
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        // Best effort: what is left lies in the system's folder for temporary files.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl ProxyKind {
    fn name(self) -> &'static str {
        match self {
            ProxyKind::Caddy => "caddy",
            ProxyKind::Envoy => "envoy",
            ProxyKind::Nginx => "nginx",
            ProxyKind::Traefik => "traefik",
        }
    }
}

/// The first program of this name in PATH.
fn find(kind: ProxyKind) -> Option<PathBuf> {
    let path = Machine.env("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(kind.name())).find(|file| file.is_file())
}

/// The shipped file with this demo's site and addresses.
fn adapt(text: &str, port: u16, postern: &Listen, upstream: &Upstream, folder: &Path) -> String {
    let tcp = |address: &Option<crate::model::listen::ListenAddress>, fallback: &str| {
        address.as_ref().map_or_else(|| fallback.to_owned(), ToString::to_string)
    };
    let port_of = |address: &str| address.rsplit(':').next().unwrap_or_default().to_owned();
    let (grpc, http) = (tcp(&postern.grpc, "127.0.0.1:9191"), tcp(&postern.http, "127.0.0.1:9192"));
    text.replace("app.example.test", "localhost")
        .replace("127.0.0.1:9192", &http)
        .replace("port_value: 9191", &format!("port_value: {}", port_of(&grpc)))
        .replace("127.0.0.1:8081", &upstream.address.to_string())
        .replace("port_value: 8081", &format!("port_value: {}", upstream.address.port()))
        .replace(":8080", &format!(":{port}"))
        .replace("port_value: 8080", &format!("port_value: {port}"))
        .replace("examples/traefik/dynamic.yaml", &folder.join("dynamic.yaml").display().to_string())
}
