//! `postern demo --once`: what the README promises a newcomer.

use std::process::Command;
use std::process::Output;

use crate::proxy::edge::Proxy;
use crate::proxy::parts;
use crate::proxy::ports;

fn demo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_postern")).arg("demo").args(arguments).output().expect("the binary runs")
}

#[test]
fn four_questions_get_four_answers() {
    let output = demo(&["--once"]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<&str> =
        shown.lines().filter(|line| line.starts_with("allow ") || line.starts_with("deny ")).collect();
    assert_eq!(answers, ["allow 200", "deny 401", "deny 403", "deny 400"], "{shown}");
    for header in ["remote-user: alice", "remote-groups: staff,it-admins", "remote-email: alice@example.test"] {
        assert!(shown.contains(header), "no `{header}` in\n{shown}");
    }
    for reason in ["credential_missing", "requirement_failed", "spoofed_header"] {
        assert!(shown.contains(reason), "no `{reason}` in\n{shown}");
    }
    let lines = |start: &str| shown.lines().filter(|line| line.contains(start)).count();
    assert_eq!((lines(" ask --to "), lines("curl -si ")), (4, 4), "{shown}");
}

#[test]
fn a_proxy_that_is_not_installed_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["demo", "--once", "--proxy", "traefik", "--port", "1"])
        .env("PATH", "/nowhere")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error: no `traefik` in PATH; install it, or start one yourself"), "{said}");
}

#[test]
fn a_newcomer_sees_it_behind_every_real_proxy() {
    for (name, proxy) in
        [("caddy", Proxy::Caddy), ("envoy", Proxy::EnvoyGrpc), ("nginx", Proxy::Nginx), ("traefik", Proxy::Traefik)]
    {
        let Some(binary) = parts::find(proxy) else { continue };
        let folder = binary.parent().expect("a folder").to_owned();
        let path = std::env::join_paths([folder, "/usr/bin".into(), "/bin".into()]).expect("a search path");
        let port = ports::free().to_string();
        let output = Command::new(env!("CARGO_BIN_EXE_postern"))
            .args(["demo", "--once", "--proxy", name, "--port", &port])
            .env("PATH", path)
            .output()
            .expect("the binary runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {said}");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(
            shown.contains(&format!("{name} listens. Open http://localhost:{port}/ in a browser")),
            "{name}: {shown}"
        );
    }
}
