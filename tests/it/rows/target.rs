//! P1–P16: the request target. "Allowed" below is by the rule for `/public`, which asks nobody who they are.

use std::time::Duration;

use postern::telemetry::clock::instant;

use super::House;
use super::get;

const ROUTES: [&str; 4] = [
    "path: /public/**, public: true",
    "path: /admin/**, require: {groups: [admins]}",
    "path: /files/**, require: {groups: [staff]}",
    "path: /objects/**, encoded_slash: keep, require: {groups: [staff]}",
];

fn house() -> House {
    House::routes(&ROUTES)
}

/// No spelling opens `/admin` to anybody but its own group, whatever else may be said of it.
#[track_caller]
fn never_opens_admin(house: &House, targets: &[&str]) {
    for target in targets {
        let asked = [get(target), house.as_member(get(target), &["staff"])];
        for ask in asked {
            let answer = house.answer(&ask);
            assert_ne!(answer.status, 200, "{target}: {answer:?}");
        }
    }
}

#[test]
fn p1_dot_segments_never_reach_another_rule() {
    let house = house();
    never_opens_admin(
        &house,
        &[
            "/public/../admin",
            "/public/%2e%2e/admin",
            "/public/%2E%2e/admin",
            "/public/.%2e/admin/x",
            "/public/./../admin",
            "/public/x/../../admin",
            "/files/../admin",
            "/public/../../admin",
        ],
    );
    assert_eq!(house.reason(&get("/public/%2e%2e/admin")), "ambiguous_path");
    let staff = |target| house.reason(&house.as_member(get(target), &["staff"]));
    assert_eq!(staff("/files/a/../b"), "permitted");
    assert_eq!(staff("/files/%2e/b"), "permitted");
}

#[test]
fn p2_an_encoded_slash_has_one_verdict_in_either_case() {
    let house = house();
    let staff = |target| house.reason(&house.as_member(get(target), &["staff"]));
    assert_eq!((staff("/files/a%2Fb"), staff("/files/a%2fb")), ("ambiguous_path", "ambiguous_path"));
    assert_eq!((staff("/objects/a%2Fb"), staff("/objects/a%2fb")), ("permitted", "permitted"));
    never_opens_admin(&house, &["/public%2f..%2fadmin", "/public/..%2fadmin", "/objects/..%2f..%2fadmin", "/%2fadmin"]);
}

#[test]
fn p3_backslashes_are_refused() {
    for (target, reason) in house().reasons(&["/public/a%5cb", "/public/a%5Cb", "/public/a\\b", "/public\\..\\admin"]) {
        assert_eq!(reason, "bad_target", "{target}");
    }
}

#[test]
fn p4_repeated_slashes_never_reach_another_rule() {
    let house = house();
    never_opens_admin(
        &house,
        &["//admin/x", "///admin", "/public//../admin", "//public/../admin", "/admin//x", "//evil.test/public"],
    );
    assert_eq!(house.reason(&house.as_member(get("/files//x"), &["staff"])), "permitted");
    assert_eq!(house.reason(&house.as_member(get("/admin//x"), &["admins"])), "permitted");
}

#[test]
fn p5_a_path_on_which_merging_and_resolving_differ_is_refused() {
    let house = house();
    for (target, reason) in house.reasons(&["/public//../admin", "/public/a//../../admin", "/public//../../public/x"]) {
        assert!(matches!(reason, "ambiguous_path" | "bad_target"), "{target}: {reason}");
    }
}

#[test]
fn p6_path_parameters_never_reach_another_rule() {
    let house = house();
    for (target, reason) in house.reasons(&[
        "/public/..;/admin",
        "/public/..;x=1/admin",
        "/public/.;/x",
        "/public/%2e%2e;/admin",
        "/public/..%3b/admin",
    ]) {
        assert_eq!(reason, "bad_target", "{target}");
    }
    never_opens_admin(
        &house,
        &["/admin;x", "/admin;/../public", "/public;/../admin", "/public/a;/../../admin", "/admin%3bx/y"],
    );
    assert_eq!(house.reason(&house.as_member(get("/files/a;v=1"), &["staff"])), "permitted");
}

#[test]
fn p7_double_encoding_is_never_resolved() {
    let house = house();
    never_opens_admin(
        &house,
        &["/public/%252e%252e/admin", "/public/%252e%252e%252fadmin", "/%2561dmin", "/public/%25%32%65%25%32%65/admin"],
    );
    assert_eq!(house.reason(&get("/public/%252e")), "ambiguous_path");
    assert_eq!(house.reason(&get("/public/100%25")), "public", "an escaped percent sign is no double encoding");
}

#[test]
fn p8_odd_octets_are_refused_and_look_alikes_stay_literal() {
    let house = house();
    for target in [
        "/public/%00",
        "/public/a%0ab",
        "/public/%7f",
        "/public/%c0%ae%c0%ae/admin",
        "/public/%c0%af",
        "/public/%ff",
        "/public/%zz",
        "/public/%2",
        "/public/%ed%a0%80",
        "/public/a b",
        "/public/caf\u{e9}",
        "/public/\u{0}",
        "/public/\u{1b}[m",
    ] {
        assert_eq!(house.reason(&get(target)), "bad_target", "{target:?}");
    }
    // FULLWIDTH SOLIDUS, FULLWIDTH FULL STOP, and a long s that some case folding takes for an s.
    assert_eq!(house.reason(&get("/public/%EF%BC%8F%EF%BC%8E%EF%BC%8E/admin")), "public");
    assert_eq!(house.reason(&get("/file%C5%BF/x")), "route_unknown");
}

#[test]
fn p9_the_query_is_no_part_of_the_path() {
    let house = house();
    for (target, reason) in
        house.reasons(&["/admin?/public/x", "/admin?x=/../public/", "/admin/?/public", "/admin??/public"])
    {
        assert_eq!(reason, "credential_missing", "{target}");
    }
    for (target, reason) in house.reasons(&["/public/x?/admin", "/public/x?a=%2e%2e/b;c\\d//e%00", "/public?"]) {
        assert_eq!(reason, "public", "{target}");
    }
    assert_eq!(house.reason(&get("/admin%3F/public/x")), "route_unknown", "an encoded question mark is a character");
}

#[test]
fn p10_a_fragment_is_refused_and_an_encoded_one_cuts_nothing() {
    let house = house();
    for (target, reason) in house.reasons(&["/public#/admin", "/public/#", "/admin#/../public", "/public/x?a#b"]) {
        assert_eq!(reason, "bad_target", "{target}");
    }
    assert_eq!(house.reason(&get("/admin%23/public/x")), "route_unknown");
    assert_eq!(house.reason(&get("/admin/%23/../../public")), "ambiguous_path");
    assert_eq!(house.reason(&get("/public/%23")), "public");
}

#[test]
fn p11_paths_compare_by_octet_and_nothing_is_trimmed() {
    let house = house();
    for (target, reason) in
        house.reasons(&["/admin.", "/admin%20", "/admin::$DATA", "/admin%2e", "/%61dmin2", "/adm%C4%B1n"])
    {
        assert_eq!(reason, "route_unknown", "{target}");
    }
    never_opens_admin(&house, &["/ADMIN", "/Admin/x", "/%41dmin", "/PUBLIC/../admin"]);
    assert_eq!(house.reason(&get("/%61dmin")), "credential_missing", "decoded before it is compared");
    let fold = House::routes(&["path: /Public/**, public: true", "path: /public/**, require: {groups: [staff]}"]);
    assert_eq!(fold.reason(&get("/public/x")), "ambiguous_path", "a server that ignores case takes it for the other");
}

#[test]
fn p12_a_rule_covers_whole_segments() {
    let house = house();
    for (target, reason) in house.reasons(&["/publicx", "/public.html", "/public-admin/x", "/publi"]) {
        assert_eq!(reason, "route_unknown", "{target}");
    }
    assert_eq!((house.reason(&get("/public")), house.reason(&get("/public/"))), ("public", "public"));
}

#[test]
fn p14_no_header_changes_the_path() {
    let house = house();
    for name in [
        "X-Forwarded-Prefix",
        "X-Rewrite-URL",
        "X-Original-URI",
        "X-Forwarded-Path",
        "X-Envoy-Original-Path",
        "X-Script-Name",
        "X-HTTP-DestinationURL",
    ] {
        assert_eq!(house.reason(&get("/admin").header(name, "/public/x")), "credential_missing", "{name}");
        assert_eq!(house.reason(&get("/public/x").header(name, "/admin")), "public", "{name}");
    }
}

#[test]
fn p15_other_forms_of_a_target_are_refused() {
    let house = house();
    for target in [
        "http://app.test/public/x",
        "https://app.test/public/x",
        "*",
        "app.test:443",
        "public/x",
        "?/public/x",
        "",
        " /public/x",
    ] {
        for (way, answer) in house.answers(&get(target)) {
            assert!(matches!(answer.reason, "bad_target" | "attribute_missing"), "{way}: {target:?}: {answer:?}");
        }
        for (way, answer) in house.answers(&get(target).method("CONNECT")) {
            assert_eq!(answer.status, 400, "{way}: {target:?}");
        }
    }
}

#[test]
fn p16_huge_and_cunning_targets_are_answered_at_once() {
    let house = House::routes(&["path_regex: '/(a+)+$', public: true", "path: /files/**, require: {groups: [staff]}"]);
    let long = |unit: &str, octets: usize| format!("/{}", unit.repeat(octets / unit.len()));
    let cunning = ["a", "a/", "a/../", "a;b/", "%2561/", "a%2f", "A/", "//", "%2e/", "a/..;"];
    let before = instant();
    for unit in cunning {
        assert_eq!(house.reason(&get(&long(unit, 20_000))), "bad_target", "{unit}");
    }
    let refused = before.elapsed() / u32::try_from(cunning.len() * 8).expect("few");
    assert!(refused < Duration::from_millis(5), "{refused:?} for a target that is too long");
    for unit in cunning {
        let target = format!("{}!", long(unit, 8_000));
        let before = instant();
        let answer = house.answer(&get(&target));
        assert_ne!(answer.status, 200, "{unit}: {answer:?}");
        // Eight dialects, without optimisation.
        assert!(before.elapsed() < Duration::from_secs(4), "{unit}: {:?}", before.elapsed());
    }
}
