//! H1–H13: host, scheme, method and protocol.

use super::Ask;
use super::House;
use super::get;

/// One public host, one of its siblings protected, and a family.
const HOSTS: &str = "hosts:
  app.test: {routes: [{path: /**, public: true}]}
  admin.app.test: {routes: [{path: /**, require: {groups: [admins]}}]}
  \"*.wild.test\": {routes: [{path: /**, public: true}]}
  port.test:8443: {routes: [{path: /**, public: true}]}
";

fn at(host: &str) -> Ask {
    get("/x").host(host)
}

#[test]
fn h1_case_makes_no_difference_with_one_host_and_with_many() {
    let many: String = (0..10_000)
        .map(|n| format!("  h{n}.app.test: {{routes: [{{path: /**, require: {{users: [u]}}}}]}}\n"))
        .collect();
    for house in [House::with(HOSTS), House::with(&format!("{HOSTS}{many}"))] {
        for host in ["app.test", "App.Test", "APP.TEST", "aPP.tEST"] {
            assert_eq!(house.reason(&at(host)), "public", "{host}");
        }
        for host in ["admin.app.test", "Admin.App.Test", "ADMIN.app.test", "adMIN.APP.test"] {
            assert_eq!(house.reason(&at(host)), "credential_missing", "{host}");
        }
        for host in ["x.wild.test", "X.WILD.test"] {
            assert_eq!(house.reason(&at(host)), "public", "{host}");
        }
    }
}

#[test]
fn h2_ports_and_one_final_dot_make_no_difference() {
    let house = House::with(HOSTS);
    for (host, want) in [
        ("app.test", "public"),
        ("app.test.", "public"),
        ("app.test:443", "public"),
        ("app.test.:80", "public"),
        ("admin.app.test.", "credential_missing"),
        ("admin.app.test:1234", "credential_missing"),
        ("port.test:8443", "public"),
        ("port.test:443", "host_unknown"),
        ("app.test..", "bad_host"),
        ("app.test:", "bad_host"),
        ("app.test:0", "bad_host"),
        ("app.test:65536", "bad_host"),
        ("app.test:443:443", "bad_host"),
        ("app.test:+443", "bad_host"),
    ] {
        assert_eq!(house.reason(&at(host)), want, "{host}");
    }
}

#[test]
fn h3_characters_that_move_borders_are_refused() {
    let house = House::with(HOSTS);
    for host in [
        "app.test/x",
        "app.test?x",
        "app.test#x",
        "x@app.test",
        "app.test\\x",
        "app.test,admin.app.test",
        "app.test%2f",
        "app.test ",
        "app.test;x",
        "[app.test]",
        "app.test:80@admin.app.test",
        "a\"b",
        "app.test%00",
    ] {
        for (way, answer) in house.answers(&at(host)) {
            assert!(matches!(answer.reason, "bad_host" | "bad_target"), "{way}: {host:?}: {answer:?}");
        }
    }
}

#[test]
fn h4_hosts_are_ascii() {
    let house = House::with("hosts:\n  xn--bcher-kva.test: {routes: [{path: /**, public: true}]}\n");
    assert_eq!(house.reason(&at("xn--bcher-kva.test")), "public");
    assert_eq!(house.reason(&at("XN--BCHER-KVA.test")), "public");
    for host in ["b\u{fc}cher.test", "\u{ff41}pp.test", "app\u{3002}test", "xn--bcher-kva\u{ad}.test"] {
        for (way, answer) in house.answers(&at(host)) {
            // ingress-nginx sends one URL, in which no such octet stands.
            assert!(matches!(answer.reason, "bad_host" | "bad_target"), "{way}: {host}: {answer:?}");
        }
    }
}

#[test]
fn h5_the_host_has_one_source() {
    let house = House::with(HOSTS);
    for name in ["X-Forwarded-Server", "X-Host", "X-Original-Host", "X-HTTP-Host-Override", "Forwarded"] {
        let value = if name == "Forwarded" { "for=192.0.2.1;host=app.test" } else { "app.test" };
        assert_eq!(house.reason(&at("admin.app.test").header(name, value)), "credential_missing", "{name}");
    }
    // Where the proxy writes this header itself, it replaces the client's; where it does not, nobody reads it.
    assert_eq!(house.reason(&at("admin.app.test").header("X-Forwarded-Host", "app.test")), "credential_missing");
}

#[test]
fn h6_a_wildcard_is_one_label() {
    let house = House::with(HOSTS);
    for (host, want) in [
        ("a.wild.test", "public"),
        ("wild.test", "host_unknown"),
        ("a.b.wild.test", "host_unknown"),
        ("evilwild.test", "host_unknown"),
        ("wild.test.evil", "host_unknown"),
        ("a.wild.test.evil", "host_unknown"),
        (".wild.test", "bad_host"),
        ("*.wild.test", "bad_host"),
        ("x.admin.app.test", "host_unknown"),
    ] {
        assert_eq!(house.reason(&at(host)), want, "{host}");
    }
}

#[test]
fn h7_override_headers_never_change_the_method() {
    let house = House::routes(&[
        "path: /x, methods: [GET], public: true",
        "path: /x, methods: [DELETE], require: {groups: [admins]}",
    ]);
    for name in ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override", "X-Original-Method"] {
        // ingress-nginx writes the last one itself; everybody else ignores it.
        assert_eq!(house.reason(&get("/x").method("DELETE").header(name, "GET")), "credential_missing", "{name}");
        assert_eq!(house.reason(&get("/x").method("POST").header(name, "GET")), "method_not_listed", "{name}");
        assert_eq!(house.reason(&get("/x").header(name, "DELETE")), "public", "{name}");
    }
    assert_eq!(house.reason(&get("/x?_method=GET").method("DELETE")), "credential_missing");
}

#[test]
fn h8_methods_are_exact_and_closed() {
    let house = House::routes(&[
        "path: /nine, public: true",
        "path: /any, methods: any, public: true",
        "path: /get, methods: GET, public: true",
    ]);
    for (method, path, want) in [
        ("PATCH", "/nine", "public"),
        ("PROPFIND", "/nine", "method_not_listed"),
        ("PURGE", "/nine", "method_not_listed"),
        ("PURGE", "/any", "public"),
        ("HEAD", "/get", "public"),
        ("POST", "/get", "method_not_listed"),
        ("get", "/get", "bad_method"),
        ("Get", "/any", "bad_method"),
        ("gEt", "/nine", "bad_method"),
    ] {
        assert_eq!(house.reason(&get(path).method(method)), want, "{method} {path}");
    }
}

#[test]
fn h9_options_are_judged_unless_a_whole_preflight_is_let_pass() {
    let judged = House::routes(&["path: /**, require: {groups: [staff]}"]);
    let opted = House::with(
        "hosts:\n  app.test: {preflight: allow, routes: [{path: /**, methods: [GET], require: {groups: [staff]}}]}\n",
    );
    let options = || get("/x").method("OPTIONS");
    let whole = || options().header("Origin", "https://elsewhere.test").header("Access-Control-Request-Method", "GET");
    for ask in [options(), whole()] {
        assert_eq!(judged.reason(&ask), "credential_missing");
    }
    assert_eq!(opted.reason(&options()), "method_not_listed");
    assert_eq!(opted.reason(&options().header("Origin", "https://elsewhere.test")), "method_not_listed");
    let passed = opted.answer(&opted.as_member(whole(), &["staff"]));
    assert_eq!((passed.reason, passed.set), ("preflight", vec![]), "a preflight is nobody's");
    let other = options().header("Origin", "https://elsewhere.test").header("Access-Control-Request-Method", "DELETE");
    assert_eq!(opted.reason(&other), "method_not_listed");
}

#[test]
fn h10_no_attribute_of_a_request_is_a_side_door() {
    let house = House::routes(&["path: /**, require: {groups: [staff]}"]);
    for (name, value) in [
        ("User-Agent", "kube-probe/1.30"),
        ("User-Agent", "GoogleHC/1.0"),
        ("User-Agent", "ELB-HealthChecker/2.0"),
        ("X-Health-Check", "1"),
        ("X-Forwarded-User", "alice"),
        ("X-Envoy-Internal", "true"),
        ("Authorization", "Basic YWRtaW46YWRtaW4="),
    ] {
        for target in ["/x", "/livez", "/readyz", "/ping", "/metrics", "/oauth2/auth"] {
            assert_eq!(house.reason(&get(target).header(name, value)), "credential_missing", "{name} {target}");
        }
    }
}

#[test]
fn h11_upgrades_get_the_verdict_of_plain_requests() {
    let house = House::routes(&["path: /public/**, public: true", "path: /**, require: {groups: [staff]}"]);
    for (target, want) in [("/public/socket", "public"), ("/socket", "credential_missing")] {
        let ask = get(target)
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(house.reason(&ask), want, "{target}");
        assert_eq!(house.reason(&get(target).method("CONNECT")), want, "RFC 8441 {target}");
    }
}

#[test]
fn h12_grpc_methods_are_two_segments_with_a_slash_before_them() {
    let house =
        House::routes(&["path: /pkg.Public/*, methods: [POST], public: true", "path: /**, require: {groups: [staff]}"]);
    let call = |target: &str| get(target).method("POST").header("Content-Type", "application/grpc");
    assert_eq!(house.reason(&call("/pkg.Public/List")), "public");
    assert_eq!(house.reason(&call("/pkg.public/List")), "ambiguous_path", "a server may ignore case");
    let house = House::with(
        "hosts:\n  app.test: {path_case: sensitive, routes: [{path: /pkg.Public/*, methods: [POST], public: true}, {path: /**, require: {groups: [staff]}}]}\n",
    );
    for (target, want) in [
        ("/pkg.Public/List", "public"),
        ("pkg.Public/List", "bad_target"),
        ("/pkg.Public/List/x", "credential_missing"),
        ("/pkg.Public", "credential_missing"),
        ("/pkg.PublicX/List", "credential_missing"),
        ("/pkg.public/List", "credential_missing"),
        ("//pkg.Public/List", "ambiguous_path"),
    ] {
        for (way, answer) in house.answers(&call(target)) {
            assert_eq!(answer.reason, want, "{way} {target}");
        }
    }
}

#[test]
fn h13_early_data_may_not_change_anything() {
    let house = House::routes(&["path: /public/**, public: true", "path: /**, require: {groups: [staff]}"]);
    for (method, want) in [
        ("GET", "public"),
        ("HEAD", "public"),
        ("OPTIONS", "public"),
        ("POST", "early_data"),
        ("DELETE", "early_data"),
        ("PUT", "early_data"),
    ] {
        assert_eq!(house.reason(&get("/public/x").method(method).header("Early-Data", "1")), want, "{method}");
    }
    let staff = |ask| house.answer(&house.as_member(ask, &["staff"]));
    let answer = staff(get("/x").method("POST").header("Early-Data", "1"));
    assert_eq!((answer.reason, answer.status), ("early_data", 425));
    assert_eq!(staff(get("/x").method("POST").header("early-data", "0")).reason, "early_data", "any value means 1");
    assert_eq!(staff(get("/x").method("POST")).reason, "permitted");
}
