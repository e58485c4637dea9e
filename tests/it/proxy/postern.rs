//! The binary under test, as an operator starts it.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::client;
use super::edge::Edit;
use super::people::Tokens;
use super::ports;
use super::process::{Process, Signal};

/// The policy of the battery.
pub(crate) const POLICY: &str = "tests/proxies/policy.yaml";

/// Where Envoy finds it.
pub(crate) enum Grpc {
    Port(u16),
    Socket(PathBuf),
}

/// A running `postern serve`.
pub(crate) struct Postern {
    pub(crate) grpc: Grpc,
    pub(crate) http: u16,
    pub(crate) admin: u16,
    process: Process,
    policy: PathBuf,
    /// The port its keys are fetched from, when they are.
    keys: Option<u16>,
    _folder: TempDir,
}

impl Postern {
    /// Start it with the battery's policy and the keys of `tokens`, and wait until it is ready.
    pub(crate) fn start(tokens: &Tokens) -> Postern {
        Postern::start_under(POLICY, tokens)
    }

    /// The same under another policy, a file of this repository.
    pub(crate) fn start_under(policy: &str, tokens: &Tokens) -> Postern {
        Postern::start_at(policy, tokens, |_| Grpc::Port(ports::free()))
    }

    /// The same with its gRPC listener on a unix socket.
    pub(crate) fn start_on_socket(tokens: &Tokens) -> Postern {
        Postern::start_at(POLICY, tokens, |folder| Grpc::Socket(folder.join("grpc.sock")))
    }

    fn start_at(policy: &str, tokens: &Tokens, grpc: impl FnOnce(&Path) -> Grpc) -> Postern {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
        let (grpc, http, admin) = (grpc(folder.path()), ports::free(), ports::free());
        let for_envoy = match &grpc {
            Grpc::Port(port) => format!("127.0.0.1:{port}"),
            Grpc::Socket(path) => format!("unix:{}", path.display()),
        };
        let policy = write_policy(policy, folder.path(), tokens);
        change(&policy, &Edit::new("127.0.0.1:9191", for_envoy));
        change(&policy, &Edit::new("127.0.0.1:9192", format!("127.0.0.1:{http}")));
        change(&policy, &Edit::new("127.0.0.1:9193", format!("127.0.0.1:{admin}")));
        let process = serve(&policy);
        let mut postern = Postern { grpc, http, admin, process, policy, keys: None, _folder: folder };
        postern.wait_until("/readyz");
        postern
    }

    /// End it without a word.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Start it again, where it was.
    pub(crate) fn restart(&mut self) {
        self.process = serve(&self.policy);
        self.wait_until("/readyz");
    }

    /// End it, and start it again with keys that are to be fetched from this port. It will not become ready.
    pub(crate) fn restart_with_keys_at(&mut self, port: u16) {
        self.kill();
        // From wherever they came before.
        let keys = format!("jwks_url: http://127.0.0.1:{port}/keys");
        if let Some(before) = self.keys.replace(port) {
            change(&self.policy, &Edit::new(&format!("jwks_url: http://127.0.0.1:{before}/keys"), keys));
        } else {
            change(
                &self.policy,
                &Edit::new(
                    "jwks_file: jwks.json",
                    format!("{keys}\n      insecure_http: true\n      key_hosts: [127.0.0.1]"),
                ),
            );
        }
        self.process = serve(&self.policy);
        self.wait_until("/livez");
    }

    /// Keep it from answering, or let it go on.
    pub(crate) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// What it has written.
    pub(crate) fn log(&self) -> String {
        self.process.log()
    }

    fn wait_until(&mut self, page: &str) {
        let (admin, request) = (self.admin, format!("GET {page} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
        self.process
            .wait_until(page, || client::send(admin, request.as_bytes()).is_ok_and(|reply| reply.status == 200));
    }
}

/// Put a policy of this repository into `folder`, and beside it the key set it names.
pub(crate) fn write_policy(source: &str, folder: &Path, tokens: &Tokens) -> PathBuf {
    let policy = folder.join("policy.yaml");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join(source), &policy).expect("a policy");
    std::fs::write(folder.join("jwks.json"), tokens.jwks()).expect("a key set");
    policy
}

fn change(policy: &Path, Edit { find, replace }: &Edit) {
    #[expect(clippy::disallowed_methods, reason = "a policy of our own")]
    let text = std::fs::read_to_string(policy).expect("a policy");
    assert!(text.contains(find), "the policy does not hold {find:?}");
    std::fs::write(policy, text.replace(find, replace)).expect("a policy");
}

fn serve(policy: &Path) -> Process {
    let folder = policy.parent().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["serve", "--config"]).arg(policy).current_dir(folder);
    Process::start("postern", &mut command, &folder.join("log"))
}
