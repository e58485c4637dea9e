//! A second implementation of TLS asks us: OpenSSL's `s_client`. What it may speak, what it must show, and what we offer.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::link;
use super::parts::on_path;
use super::people::Tokens;
use super::postern::{Grpc, Postern};

const CHECK: &str = "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nConnection: close\r\nX-Forwarded-Method: GET\r\n\
                     X-Forwarded-Proto: https\r\nX-Forwarded-Host: app.example.test\r\nX-Forwarded-Uri: /public/ready\r\n\
                     X-Forwarded-For: 192.0.2.7\r\n\r\n";

#[test]
fn openssl_agrees_about_tls() {
    let Some(openssl) = on_path("openssl") else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: a test with openssl: the system has none");
        return;
    };
    let files = link::files();
    let folder = files.path();
    let tokens = Tokens::mint();
    let postern = Postern::start_under(&folder.join("policy.yaml").display().to_string(), &tokens);
    let Grpc::Port(grpc) = postern.grpc else { panic!("a port") };
    let ours = ["-cert", "one.pem", "-key", "one.key"];
    let others = ["-cert", "other.pem", "-key", "other.key"];
    let old = ["-cipher", "ALL:@SECLEVEL=0", "-tls1_1"];
    for (what, port, more, wanted) in [
        ("TLS 1.3", postern.http, [&ours[..], &["-tls1_3"]].concat(), &["TLSv1.3", "HTTP/1.1 200"][..]),
        ("TLS 1.2", postern.http, [&ours[..], &["-tls1_2"]].concat(), &["TLSv1.2", "HTTP/1.1 200"]),
        ("HTTP/2", grpc, [&ours[..], &["-alpn", "h2"]].concat(), &["ALPN protocol: h2", "TLSv1.3"]),
        ("either", postern.http, [&ours[..], &["-alpn", "h2,http/1.1"]].concat(), &["ALPN protocol: http/1.1"]),
        ("TLS 1.1", postern.http, [&ours[..], &old].concat(), &["alert handshake failure", "Cipher is (NONE)"]),
        ("no HTTP/2", grpc, [&ours[..], &["-alpn", "http/1.1"]].concat(), &["alert no application protocol"]),
        ("no certificate", postern.http, vec!["-tls1_3"], &["alert certificate required"]),
        ("no certificate, older", postern.http, vec!["-tls1_2"], &["alert"]),
        ("another's", postern.http, [&others[..], &["-tls1_3"]].concat(), &["alert"]),
    ] {
        let said = ask(&openssl, folder, port, &more);
        for wanted in wanted {
            assert!(said.contains(wanted), "{what}: no `{wanted}` in {said}\n{}", postern.log());
        }
        let answered = wanted.contains(&"HTTP/1.1 200");
        assert_eq!(said.contains("HTTP/1.1 200"), answered || what == "either", "{what}: {said}");
    }
}

fn ask(openssl: &Path, folder: &Path, port: u16, more: &[&str]) -> String {
    let request = folder.join("request");
    std::fs::write(&request, CHECK).expect("a request");
    let mut command = Command::new(openssl);
    command.args(["s_client", "-connect", &format!("127.0.0.1:{port}"), "-CAfile", "ca.pem", "-verify_return_error"]);
    command.args(["-servername", link::NAME, "-verify_hostname", link::NAME, "-ign_eof"]).args(more);
    let output = command.stdin(File::open(&request).expect("a request")).current_dir(folder).output();
    let output = output.expect("openssl runs");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
