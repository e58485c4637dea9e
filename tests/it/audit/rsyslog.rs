//! A real rsyslog that writes what it receives, over each transport, to a file of bare lines.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::DnType;
use rcgen::IsCa;
use rcgen::KeyPair;
use tempfile::TempDir;

use crate::proxy::parts::on_path;
use crate::proxy::ports;
use crate::proxy::process::Process;

/// Set to `1`: a missing rsyslog is a failure.
const REQUIRE: &str = "POSTERN_REQUIRE_RSYSLOG";

/// A running rsyslogd.
pub(crate) struct Rsyslog {
    pub(crate) folder: TempDir,
    pub(crate) udp: u16,
    pub(crate) tcp: u16,
    pub(crate) tls: u16,
    binary: PathBuf,
    process: Option<Process>,
}

impl Rsyslog {
    /// `None`, said aloud, where the system has none.
    pub(crate) fn start() -> Option<Rsyslog> {
        let binary = on_path("rsyslogd").or_else(|| {
            let sbin = PathBuf::from("/usr/sbin/rsyslogd");
            sbin.exists().then_some(sbin)
        });
        let Some(binary) = binary else {
            let required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
            assert!(!required, "rsyslogd is not installed, and {REQUIRE} is set");
            // Past the test runner's capture, so that it is never silent.
            let mut aloud = std::io::stderr();
            let _ =
                writeln!(aloud, "SKIPPED: a test with rsyslog: the system has none (Debian: rsyslog rsyslog-openssl)");
            return None;
        };
        // The path of a unix socket is short.
        let folder = TempDir::new().expect("a scratch folder");
        let (udp, tcp, tls) = (ports::free(), ports::free(), ports::free());
        certificates(folder.path());
        let config = CONFIG
            .replace("FOLDER", &folder.path().display().to_string())
            .replace("UDP", &udp.to_string())
            .replace("TCP", &tcp.to_string())
            .replace("TLS", &tls.to_string());
        fs::write(folder.path().join("rsyslog.conf"), config).expect("a configuration");
        let mut rsyslog = Rsyslog { folder, udp, tcp, tls, binary, process: None };
        rsyslog.begin();
        Some(rsyslog)
    }

    /// Start it, or start it again.
    pub(crate) fn begin(&mut self) {
        let folder = self.folder.path();
        let _left = fs::remove_file(folder.join("pid"));
        let mut command = Command::new(&self.binary);
        let file = |name: &str| folder.join(name).display().to_string();
        command.args(["-n", "-f", &file("rsyslog.conf"), "-i", &file("pid")]);
        let mut process = Process::start("rsyslogd", &mut command, &folder.join("log"));
        let ports = [self.tcp, self.tls];
        process.wait_until("listeners", || {
            ports.iter().all(|port| std::net::TcpStream::connect(("127.0.0.1", *port)).is_ok())
        });
        self.process = Some(process);
    }

    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// What to write to reach it over `unix`, `udp`, `tcp` or `tls`.
    pub(crate) fn address(&self, transport: &str) -> String {
        let file = |name: &str| self.file(name).display().to_string();
        match transport {
            "unix" => format!("address: 'unix:{}'", file("socket")),
            "udp" => format!("address: 'udp://127.0.0.1:{}'", self.udp),
            "tcp" => format!("address: 'tcp://127.0.0.1:{}'", self.tcp),
            _ => format!(
                "address: 'tls://localhost:{}', ca_file: {}, server_name: server.logs.test, certificate: {}, key: {{file: {}}}",
                self.tls,
                file("ca.pem"),
                file("client.pem"),
                file("client.key")
            ),
        }
    }

    /// A file of it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it received, one line for each message.
    pub(crate) fn received(&self) -> Vec<String> {
        let text = fs::read_to_string(self.file("received.jsonl")).unwrap_or_default();
        // The last one may be half written.
        text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect()
    }
}

impl Rsyslog {
    /// Wait until it has so many messages.
    pub(crate) fn wait_for(&mut self, messages: usize) -> Vec<String> {
        let path = self.file("received.jsonl");
        let has = || fs::read_to_string(&path).is_ok_and(|text| text.matches('\n').count() >= messages);
        self.process().wait_until("messages", has);
        self.received()
    }
}

/// `ca.pem`, `server.pem`, `client.pem` with their keys, and `other.pem`, an authority that nobody knows.
fn certificates(folder: &Path) {
    let authority = || {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
    };
    let put = |name: &str, text: String| fs::write(folder.join(name), text).expect("written");
    let ours = authority();
    for name in ["server", "client"] {
        let mut params = CertificateParams::new([format!("{name}.logs.test")]).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        put(&format!("{name}.pem"), params.signed_by(&key, &ours).expect("a certificate").pem());
        put(&format!("{name}.key"), key.serialize_pem());
    }
    put("ca.pem", ours.pem());
    put("other.pem", authority().pem());
}

const CONFIG: &str = r#"
global(workDirectory="FOLDER" maxMessageSize="64k" defaultNetstreamDriver="ossl"
  defaultNetstreamDriverCAFile="FOLDER/ca.pem" defaultNetstreamDriverCertFile="FOLDER/server.pem"
  defaultNetstreamDriverKeyFile="FOLDER/server.key")
module(load="imuxsock" SysSock.Use="off")
module(load="imudp")
module(load="imptcp")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="x509/certvalid")
input(type="imuxsock" Socket="FOLDER/socket" UseSpecialParser="off" ParseHostname="on" RateLimit.Interval="0")
input(type="imudp" address="127.0.0.1" port="UDP")
input(type="imptcp" address="127.0.0.1" port="TCP")
input(type="imtcp" address="127.0.0.1" port="TLS")
template(name="line" type="string" string="%msg%\n")
template(name="head" type="string" string="%syslogfacility-text%.%syslogseverity-text% %hostname% %app-name% %msgid% %structured-data%\n")
action(type="omfile" file="FOLDER/received.jsonl" template="line" asyncWriting="off" flushOnTXEnd="on")
action(type="omfile" file="FOLDER/heads" template="head" asyncWriting="off" flushOnTXEnd="on")
"#;
