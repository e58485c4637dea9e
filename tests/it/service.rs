//! Under a service manager: what it is told, and the sockets it hands over.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::proxy::client;
use super::proxy::parts::on_path;
use super::proxy::ports;
use super::proxy::process::{Process, Signal};

const POLICY: &str = "\
version: 1
callers: [127.0.0.0/8, unix]
hosts: {app.test: {routes: [{path: /, public: true}]}}
...
";
const CHECK: &[u8] = b"GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nX-Forwarded-Method: GET\r\n\
                      X-Forwarded-Proto: https\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /\r\n\r\n";

/// A folder with a policy whose listeners nobody else has.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let [grpc, http, admin] = ["grpc", "http", "admin"].map(|name| folder.path().join(name).display().to_string());
    let listen = format!("listen: {{grpc: 'unix:{grpc}', http: 'unix:{http}', admin: 'unix:{admin}'}}\n");
    std::fs::write(folder.path().join("policy.yaml"), POLICY.replace("callers", &format!("{listen}callers")))
        .expect("written");
    folder
}

/// `postern serve` with a socket as its third descriptor, as `sd_listen_fds` has it.
fn holding(listener: &TcpListener, name: &str, folder: &Path) -> Process {
    let script = format!(
        "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name} exec {} serve -c policy.yaml",
        env!("CARGO_BIN_EXE_postern")
    );
    let mut command = Command::new("sh");
    command.args(["-c", &script]).current_dir(folder);
    let socket = OwnedFd::from(listener.try_clone().expect("a second handle"));
    Process::start_with_input("postern", &mut command, &folder.join("log"), Stdio::from(socket))
}

#[test]
fn the_service_manager_is_told_how_it_goes() {
    let folder = folder();
    let path = folder.path().join("notify");
    let manager = UnixDatagram::bind(&path).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let told = || {
        let mut buffer = [0; 1024];
        let length = manager.recv(&mut buffer).expect("something is said");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    // What is not about the watchdog.
    let next = || loop {
        let text = told();
        if text != "WATCHDOG=1\n" {
            return text;
        }
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["serve", "--no-watch", "-c", "policy.yaml", "--drain-delay", "2s"]).current_dir(folder.path());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "100000");
    let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
    assert_eq!(next(), "READY=1\nSTATUS=serving\n");
    assert!(UnixStream::connect(folder.path().join("http")).is_ok(), "ready is who can be asked");
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1\n");
    }
    process.signal(Signal::Hangup);
    let reloading = next();
    let since = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").and_then(|rest| rest.trim().parse::<u64>().ok());
    assert!(since.is_some(), "{reloading}");
    assert_eq!(next(), "READY=1\nSTATUS=serving\n");
    std::fs::write(folder.path().join("policy.yaml"), "version: 2\n...\n").expect("written");
    process.signal(Signal::Hangup);
    assert!(next().starts_with("RELOADING=1\n"));
    assert_eq!(next(), "READY=1\nSTATUS=serving; the last reload failed\n");
    process.signal(Signal::Terminate);
    assert_eq!(next(), "STOPPING=1\nSTATUS=finishing what is under way\n");
    // A reload meanwhile is one, and does not take that back.
    std::fs::write(folder.path().join("policy.yaml"), POLICY).expect("written");
    process.signal(Signal::Hangup);
    // Whoever says nothing for so long is gone: the watchdog is fed twenty times a second.
    manager.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let mut buffer = [0; 1024];
    while let Ok(length) = manager.recv(&mut buffer) {
        assert_eq!(String::from_utf8_lossy(&buffer[..length]), "WATCHDOG=1\n");
    }
    assert!(process.wait_for_end().success(), "{}", process.log());
    assert_eq!(process.log().matches("\"reloading\"").count(), 3, "{}", process.log());
}

#[test]
fn a_service_manager_that_does_not_listen_holds_up_nobody() {
    let folder = folder();
    let path = folder.path().join("notify");
    let _deaf = UnixDatagram::bind(&path).expect("a socket");
    let others = UnixDatagram::unbound().expect("a socket");
    others.set_nonblocking(true).expect("a socket");
    while others.send_to(b"STATUS=of somebody else", &path).is_ok() {}
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["serve", "-c", "policy.yaml"]).current_dir(folder.path());
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000");
    let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
    process.wait_until("listener", || UnixStream::connect(folder.path().join("http")).is_ok());
    process.signal(Signal::Hangup);
    process.signal(Signal::Terminate);
    assert!(process.wait_for_end().success(), "{}", process.log());
}

#[cfg(target_os = "linux")]
#[test]
fn a_service_manager_without_a_file_is_told_too() {
    use std::os::linux::net::SocketAddrExt;
    let folder = folder();
    let name = format!("postern-{}", folder.path().display());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("a socket");
    manager.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["serve", "-c", "policy.yaml"]).current_dir(folder.path()).env("NOTIFY_SOCKET", format!("@{name}"));
    let _process = Process::start("postern", &mut command, &folder.path().join("log"));
    let mut buffer = [0; 1024];
    let length = manager.recv(&mut buffer).expect("something is said");
    assert_eq!(&buffer[..length], b"READY=1\nSTATUS=serving\n");
}

#[test]
fn what_connects_during_a_restart_waits_in_the_sockets_of_the_service_manager() {
    let folder = folder();
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = held.local_addr().expect("an address").port();
    for _ in 0..3 {
        // Nobody runs yet, or any more.
        let mut early = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
        early.write_all(CHECK).expect("asked");
        early.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        let mut process = holding(&held, "http", folder.path());
        let mut answer = String::new();
        early.read_to_string(&mut answer).unwrap_or_else(|error| panic!("{error}\n{}", process.log()));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        assert_eq!(client::send(port, CHECK).expect("an answer").status, 200);
        assert!(!folder.path().join("http").exists(), "the address of the policy is not bound");
        process.signal(Signal::Terminate);
        assert!(process.wait_for_end().success(), "{}", process.log());
    }
}

#[test]
fn a_socket_that_is_handed_over_needs_a_name_of_ours() {
    let folder = folder();
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    for (name, want) in [
        ("postern.socket", "a socket named `postern.socket`: write `FileDescriptorName=grpc`"),
        ("''", "a socket named ``: write `FileDescriptorName=grpc`"),
    ] {
        let mut process = holding(&held, name, folder.path());
        assert_eq!(process.wait_for_end().code(), Some(1), "{name}");
        assert!(process.log().contains(want), "{}", process.log());
    }
}

#[test]
fn systemd_hands_its_sockets_over() {
    let Some(activate) = on_path("systemd-socket-activate") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a test with systemd-socket-activate: the system has none");
        return;
    };
    let folder = folder();
    let (http, admin) = (ports::free(), folder.path().join("held-admin"));
    let mut command = Command::new(activate);
    command.arg(format!("--listen=127.0.0.1:{http}")).arg(format!("--listen={}", admin.display()));
    command.args(["--fdname=http:admin", env!("CARGO_BIN_EXE_postern"), "serve", "-c", "policy.yaml"]);
    command.current_dir(folder.path());
    let mut process = Process::start("systemd-socket-activate", &mut command, &folder.path().join("log"));
    // The first one that connects starts it.
    process.wait_until("answer", || client::send(http, CHECK).is_ok_and(|reply| reply.status == 200));
    let mut stream = UnixStream::connect(&admin).expect("connected");
    stream.write_all(b"POST /reload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}\n{}", process.log());
    assert!(folder.path().join("grpc").exists(), "what is not handed over is bound");
}

/// systemd's own reader of unit files finds nothing to say about the shipped ones.
#[test]
fn the_shipped_units_are_sound() {
    let Some(analyze) = on_path("systemd-analyze") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a test with systemd-analyze: the system has none");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/systemd");
    let mut units = Vec::new();
    for entry in std::fs::read_dir(source).expect("the units") {
        let path = entry.expect("a unit").path();
        #[expect(clippy::disallowed_methods, reason = "a shipped file")]
        let text = std::fs::read_to_string(&path).expect("a unit");
        let unit = folder.path().join(path.file_name().expect("a name"));
        std::fs::write(&unit, text.replace("/usr/local/bin/postern", env!("CARGO_BIN_EXE_postern"))).expect("a copy");
        units.push(unit);
    }
    assert_eq!(units.len(), 4, "{units:?}");
    let output = Command::new(analyze).args(["verify", "--man=no"]).args(&units).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("postern")).collect();
    assert!(output.status.success() && about_ours.is_empty(), "{said}");
}

/// A folder that everybody may enter, with a policy whose admin token everybody may read.
fn exposed() -> tempfile::TempDir {
    let folder = folder();
    let policy = folder.path().join("policy.yaml");
    #[expect(clippy::disallowed_methods, reason = "a policy of our own")]
    let text = std::fs::read_to_string(&policy).expect("a policy");
    std::fs::write(policy, text.replace("callers", "admin: {token_file: token}\ncallers")).expect("written");
    std::fs::write(folder.path().join("token"), "0123456789abcdef").expect("written");
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    mode(folder.path(), 0o755);
    mode(&folder.path().join("token"), 0o644);
    folder
}

#[test]
fn a_secret_that_everybody_may_read_fails_the_check_and_not_the_start() {
    let folder = exposed();
    let check = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        let output = command.args(["check", "policy.yaml"]).current_dir(folder.path()).output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = check();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("every user of this machine may read") && said.contains("chmod o-r"), "{said}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
    command.args(["serve", "-c", "policy.yaml"]).current_dir(folder.path());
    let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
    process.wait_until("socket", || UnixStream::connect(folder.path().join("http")).is_ok());
    assert!(process.log().contains("every user of this machine may read"), "{}", process.log());
    std::fs::set_permissions(folder.path().join("token"), std::fs::Permissions::from_mode(0o640)).expect("a mode");
    assert_eq!(check(), (Some(0), String::new()));
}
