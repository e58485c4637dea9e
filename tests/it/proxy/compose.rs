//! The compose file: its parts are locked down and there, its policy is sound, and its Caddyfile is the one that the other
//! tests start.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::observe::yaml;

/// What differs from `examples/Caddyfile`, as that of the containers states it.
const DIFFERENCES: [(&str, usize, &str); 3] = [
    ("\tbind 127.0.0.1\n", 2, ""),
    ("forward_auth 127.0.0.1:9192 {", 1, "forward_auth unix//run/postern/http.sock {"),
    ("reverse_proxy 127.0.0.1:8081 {", 1, "reverse_proxy app:8081 {"),
];

#[test]
fn the_compose_file_carries_the_shipped_caddyfile() {
    let mut shipped = without_head(&read("examples/Caddyfile"));
    for (find, times, replace) in DIFFERENCES {
        assert_eq!(shipped.matches(find).count(), times, "examples/Caddyfile: {find}");
        shipped = shipped.replace(find, replace);
    }
    let tidy = |text: &str| text.replace("8080 {\n\n", "8080 {\n");
    assert_eq!(tidy(&without_head(&read("examples/compose/Caddyfile"))), tidy(&shipped));
}

#[test]
fn the_policy_of_the_compose_file_is_sound() {
    let checked = Command::new(env!("CARGO_BIN_EXE_postern"))
        .args(["check", "--deny-warnings", "examples/compose/policy.yaml"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    assert!(read("examples/compose/policy.yaml").contains("http: unix:/run/postern/http.sock\n"));
}

#[test]
fn the_containers_may_do_little() {
    let compose = yaml::read(&read("examples/compose.yaml"));
    let services = compose["services"].as_object().expect("services");
    assert_eq!(services.keys().collect::<Vec<_>>(), ["app", "caddy", "postern"]);
    for (name, service) in services {
        assert_eq!(service["read_only"], "true", "{name}");
        assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{name}");
        assert_eq!(service["user"], "65532:65532", "{name}");
        assert!(
            service["image"].as_str().is_some_and(|image| image.contains(':') && !image.ends_with(":latest")),
            "{name}"
        );
        for mount in service["volumes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            let source = mount.split(':').next().unwrap_or_default();
            let found = match source.strip_prefix("./") {
                Some(file) => Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(file).exists(),
                None => compose["volumes"].get(source).is_some(),
            };
            assert!(found, "{name}: {mount}");
        }
        let published = service.get("ports").is_some();
        assert_eq!(published, name == "caddy", "{name}: only the edge is published");
    }
    assert_eq!(services["app"]["networks"], serde_json::json!(["inside"]), "nobody gets past Caddy");
    assert_eq!(compose["networks"]["inside"]["internal"], "true");
    assert_eq!(services["postern"]["healthcheck"]["test"], serde_json::json!(["CMD", "/postern", "health", "--live"]));
    let asked = ["health", "--live", "--admin", "127.0.0.1:1"];
    let health = Command::new(env!("CARGO_BIN_EXE_postern")).args(asked).output().expect("the binary runs");
    assert_eq!(health.status.code(), Some(1), "these are arguments of ours, and nobody is there");
}

/// From the first brace on: what stands before it is about the file.
fn without_head(text: &str) -> String {
    text.split_once("\n{\n").map(|(_, rest)| rest.to_owned()).expect("global options")
}

fn read(path: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "a shipped file")]
    let text = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}
