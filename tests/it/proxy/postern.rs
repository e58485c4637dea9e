//! The binary under test, as an operator starts it.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

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
    /// More arguments.
    switches: &'static [&'static str],
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
        Postern::start_at(policy, tokens, &[], |_| Grpc::Port(ports::free()))
    }

    /// The same with its gRPC listener on a unix socket.
    pub(crate) fn start_on_socket(tokens: &Tokens) -> Postern {
        Postern::start_at(POLICY, tokens, &[], |folder| Grpc::Socket(folder.join("grpc.sock")))
    }

    /// One that lets a successor listen beside it, and waits for a while before it ends.
    pub(crate) fn start_to_be_replaced(tokens: &Tokens, grpc: impl FnOnce(&Path) -> Grpc) -> Postern {
        Postern::start_at(POLICY, tokens, &["--take-over", "--drain-delay", "500ms"], grpc)
    }

    /// One with more arguments.
    pub(crate) fn start_under_switches(tokens: &Tokens, switches: &'static [&'static str]) -> Postern {
        Postern::start_at(POLICY, tokens, switches, |_| Grpc::Port(ports::free()))
    }

    fn start_at(
        policy: &str,
        tokens: &Tokens,
        switches: &'static [&'static str],
        grpc: impl FnOnce(&Path) -> Grpc,
    ) -> Postern {
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
        let process = serve(&policy, switches);
        let mut postern = Postern { grpc, http, admin, process, policy, switches, keys: None, _folder: folder };
        postern.wait_until("/readyz");
        postern
    }

    /// End it without a word.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Start it again, where it was.
    pub(crate) fn restart(&mut self) {
        self.process = serve(&self.policy, self.switches);
        self.wait_until("/readyz");
    }

    /// Start its successor beside it, and tell it to end.
    pub(crate) fn replace(&mut self) {
        let serving = |process: &Process| process.log().matches(r#""message":"serving""#).count();
        let before = serving(&self.process);
        let mut successor = serve(&self.policy, self.switches);
        let log = &self.process;
        successor.wait_until("serving", || serving(log) > before);
        self.process.signal(Signal::Terminate);
        let status = self.process.wait_for_end();
        assert!(status.success(), "{status}\n{}", self.process.log());
        self.process = successor;
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
        self.process = serve(&self.policy, self.switches);
        self.wait_until("/livez");
    }

    /// Wait until it has ended by itself.
    pub(crate) fn wait_for_end(&mut self) -> ExitStatus {
        self.process.wait_for_end()
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
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

fn serve(policy: &Path, switches: &[&str]) -> Process {
    let folder = policy.parent().expect("a folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["serve", "--config"]).arg(policy).args(switches).current_dir(folder);
    Process::start("postern", &mut command, &folder.join("log"))
}
