//! The Kubernetes manifest carries copies of files; here they are held to be the files that the other tests start.

use postern::config::load;
use postern::config::load::Machine;
use tempfile::TempDir;

/// Both differences, as the manifest states them.
const DIFFERENCES: [(&str, &str); 2] = [
    (
        "{socket_address: {address: 127.0.0.1, port_value: 8080}}",
        "{socket_address: {address: 0.0.0.0, port_value: 8080}}",
    ),
    ("{socket_address: {address: 127.0.0.1, port_value: 9191}}", "{pipe: {path: /run/postern/grpc.sock}}"),
];

#[test]
fn the_manifest_carries_the_shipped_envoy_configuration() {
    let mut shipped = without_comments(&read("envoy/grpc.yaml"));
    for (find, replace) in DIFFERENCES {
        assert_eq!(shipped.matches(find).count(), 1, "envoy/grpc.yaml: {find}");
        shipped = shipped.replace(find, replace);
    }
    let carried = without_comments(&block(&read("k8s/sidecar.yaml"), "  envoy.yaml: |"));
    assert_eq!(carried, shipped);
}

#[test]
fn the_policy_of_the_manifest_is_sound() {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let path = folder.path().join("policy.yaml");
    std::fs::write(&path, block(&read("k8s/sidecar.yaml"), "  policy.yaml: |")).expect("a policy");
    let loaded = load::load(&path, &Machine).unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.warnings.0.is_empty(), "{:?}", loaded.warnings);
}

/// The literal block under `key`, its indentation taken off.
fn block(text: &str, key: &str) -> String {
    let lines = text.lines().skip_while(|line| *line != key).skip(1);
    let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
    let block: String = lines.map(|line| format!("{}\n", line.get(4..).unwrap_or_default())).collect();
    assert!(!block.is_empty(), "nothing stands under {key:?}");
    block
}

fn without_comments(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.is_empty());
    lines.map(|line| format!("{line}\n")).collect()
}

fn read(path: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "a shipped file")]
    let text = std::fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")));
    text.unwrap_or_else(|error| panic!("{path}: {error}"))
}
