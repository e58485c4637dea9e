use std::sync::Arc;

use super::*;
use crate::model::client_ip::ClientAddress;
use crate::model::dialect::Dialect;
use crate::model::header::Headers;
use crate::model::network::NetworkSet;
use crate::model::network::parse_network;
use crate::model::request::Attributes;
use crate::model::request::StatedAddress;
use crate::model::request::StatedCertificate;
use crate::policy::condition::Condition;
use crate::policy::condition::RequestFacts;
use crate::policy::condition::header::HeaderTest;
use crate::policy::condition::member::Member;
use crate::policy::condition::member::Members;
use crate::policy::condition::testing::identity;
use crate::policy::encoding::Encoding;
use crate::policy::gate::Gate;
use crate::policy::gate::GateRule;
use crate::policy::gate::Networks;
use crate::policy::header::GroupFormat;
use crate::policy::header::GroupRule;
use crate::policy::host::HostPattern;
use crate::policy::requirement::Requirement;
use crate::policy::route::Methods;
use crate::policy::route::RoutePattern;
use crate::policy::route::Sources;
use crate::policy::route::testing::route;
use crate::policy::spoof::SpoofMode;
use crate::policy::table::RouteTable;
use crate::policy::trace::Silent;

fn place() -> Place {
    Place::whole("test.yaml")
}

fn group(name: &str) -> Requirement {
    Requirement::Condition(Condition::Groups(Members::new([Member { source: None, name: name.into() }])), place())
}

/// `public`, or `group`, for a path.
fn rule(path: &str, who: &str) -> (RoutePattern, Route) {
    let mut rule = route(path, path, "");
    if who != "public" {
        rule.1.access = Access::Require(group(who));
    }
    rule
}

fn policy(case_sensitive: bool, routes: Vec<(RoutePattern, Route)>) -> Policy {
    let block = HostBlock {
        key: "h.test".into(),
        place: place(),
        login: None,
        case_sensitive,
        preflight: false,
        routes: RouteTable::new(routes),
    };
    Policy {
        hosts: HostTable::new(vec![(HostPattern::parse("h.test").expect("a host"), block)]),
        address: AddressRule::Dialect,
        spoof: SpoofGuard::new(SpoofMode::Refuse, []),
        headers: OutgoingHeaders {
            user: None,
            groups: None,
            email: None,
            name: None,
            user_encoding: Encoding::Plain,
            name_encoding: Encoding::Plain,
            assertion: None,
            extra: Vec::new(),
            group_rule: GroupRule {
                only_mentioned: false,
                mentioned: Default::default(),
                max_bytes: 3000,
                format: GroupFormat::List { separator: ',', encoding: Encoding::Plain },
            },
        },
    }
}

fn request(target: &str) -> Request<'_> {
    with_headers("GET", target, &[])
}

fn with_headers<'w>(method: &'w str, target: &'w str, fields: &[(&'w str, &'w str)]) -> Request<'w> {
    let mut headers = Headers::new(false);
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    Request::parse(Attributes {
        dialect: Dialect::Caddy,
        method,
        scheme: None,
        host: "h.test",
        target,
        address: StatedAddress::default(),
        headers,
        certificate: StatedCertificate::default(),
        ignored_forwarding: 0,
    })
    .unwrap_or_else(|refusal| panic!("{target}: {refusal:?}"))
}

fn verdict(policy: &Policy, target: &str, principal: &Principal) -> Reason {
    judge(policy, &request(target), principal)
}

fn judge(policy: &Policy, request: &Request<'_>, principal: &Principal) -> Reason {
    let facts = facts(request, ClientAddress::Missing);
    let decided = policy.route(request, &mut Silent).and_then(|routed| {
        routed.gates(&facts, &mut Silent).and_then(|()| routed.decide(principal, facts, &mut Silent))
    });
    decided.unwrap_or_else(|denied| denied.reason)
}

fn facts<'r>(request: &'r Request<'_>, address: ClientAddress) -> RequestFacts<'r> {
    let now = jiff::Timestamp::UNIX_EPOCH;
    RequestFacts { address, method: request.method, query: request.path.query(), headers: &request.headers, now }
}

fn in_groups(groups: &[&str]) -> Principal {
    Principal::Identified(identity("alice", groups))
}

#[test]
fn p1_a_public_rule_never_opens_a_path_that_resolves_elsewhere() {
    let policy = policy(false, vec![rule("/public/**", "public"), rule("/admin/**", "admins"), rule("/**", "staff")]);
    let admin = in_groups(&["admins"]);
    for target in [
        "/public/../admin",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "/public//../admin",
        "/public/x/../../admin",
        "/public/%2e%2e%2fadmin",
        "/public%2f..%2fadmin",
        "/public/%252e%252e/admin",
        "/public/..%2fadmin",
        "/admin/../public/x",
        "/public/;x/../admin",
    ] {
        for principal in [&Principal::Anonymous, &admin] {
            assert_eq!(verdict(&policy, target, principal), Reason::AmbiguousPath, "{target} {principal:?}");
        }
    }
}

#[test]
fn p4_an_empty_segment_is_not_the_root() {
    let policy = policy(false, vec![rule("/", "public"), rule("/**", "staff")]);
    assert_eq!(verdict(&policy, "/", &Principal::Anonymous), Reason::Public);
    assert_eq!(verdict(&policy, "//", &Principal::Anonymous), Reason::AmbiguousPath);
}

#[test]
fn hazards_under_one_rule_pass() {
    let policy = policy(false, vec![rule("/files/**", "staff"), rule("/**", "admins")]);
    let staff = in_groups(&["staff"]);
    for target in ["/files/a;x=1", "/files/A/b", "/files/../files/x", "/files//x", "/files/./x", "/files/%41"] {
        assert_eq!(verdict(&policy, target, &staff), Reason::Permitted, "{target}");
    }
    for target in ["/files/../x", "/FILES/x", "/x/../files/y", "/files/..//files/x/../../y"] {
        assert_eq!(verdict(&policy, target, &staff), Reason::AmbiguousPath, "{target}");
    }
}

#[test]
fn every_reading_must_allow() {
    let policy = policy(false, vec![rule("/admin/**", "admins"), rule("/**", "staff")]);
    for (target, groups, want) in [
        ("/Admin/x", vec!["staff", "admins"], Reason::Permitted),
        ("/Admin/x", vec!["staff"], Reason::AmbiguousPath),
        ("/Admin/x", vec!["admins"], Reason::AmbiguousPath),
        ("/Guide/x", vec!["staff"], Reason::Permitted),
        ("/a/../admin", vec!["staff"], Reason::AmbiguousPath),
        ("/a/../admin", vec!["admins", "staff"], Reason::Permitted),
    ] {
        assert_eq!(verdict(&policy, target, &in_groups(&groups)), want, "{target} {groups:?}");
    }
    assert_eq!(verdict(&policy, "/Admin/x", &Principal::Anonymous), Reason::CredentialMissing);
}

#[test]
fn case_is_folded_unless_the_host_is_sensitive() {
    let routes = || vec![rule("/Admin/**", "admins"), rule("/**", "staff")];
    let staff = in_groups(&["staff"]);
    assert_eq!(verdict(&policy(false, routes()), "/admin/x", &staff), Reason::AmbiguousPath);
    assert_eq!(verdict(&policy(true, routes()), "/admin/x", &staff), Reason::Permitted);
    assert_eq!(verdict(&policy(true, routes()), "/ADMIN/x", &staff), Reason::Permitted);
    assert_eq!(verdict(&policy(true, routes()), "/Admin/x", &staff), Reason::RequirementFailed);
}

#[test]
fn p2_encoded_slashes_and_double_encoding_need_an_opt_in() {
    let keeping = |who| {
        let mut rule = rule("/files/**", who);
        rule.1.keeps_encoded_slash = true;
        rule
    };
    let staff = in_groups(&["staff"]);
    let refusing = policy(false, vec![rule("/files/**", "staff")]);
    let keeping = policy(false, vec![keeping("staff"), rule("/**", "staff")]);
    for (target, kept) in [
        ("/files/a%2Fb", Reason::Permitted),
        ("/files/a%2fb", Reason::Permitted),
        ("/files/a%252fb", Reason::Permitted),
        ("/files/a%2541", Reason::Permitted),
        ("/files/..%2fb", Reason::AmbiguousPath),
        ("/files%2fb", Reason::AmbiguousPath),
        ("/other/a%2fb", Reason::AmbiguousPath),
    ] {
        assert_ne!(verdict(&refusing, target, &staff), Reason::Permitted, "{target}");
        assert_eq!(verdict(&keeping, target, &staff), kept, "{target}");
    }
}

#[test]
fn f3_deny_is_what_is_left() {
    let staff = in_groups(&["staff"]);
    assert_eq!(verdict(&policy(false, vec![]), "/", &staff), Reason::RouteUnknown);
    assert_eq!(verdict(&policy(false, vec![route("x", "/", "POST")]), "/", &staff), Reason::MethodNotListed);
    let empty = |requirement| {
        let mut rule = rule("/", "staff");
        rule.1.access = Access::Require(requirement);
        policy(false, vec![rule])
    };
    assert_eq!(verdict(&empty(Requirement::All(vec![], place())), "/", &staff), Reason::RequirementFailed);
    assert_eq!(verdict(&empty(Requirement::Any(vec![], place())), "/", &staff), Reason::RequirementFailed);
    let not_admin = Requirement::Not(Box::new(group("admins")), place());
    assert_eq!(verdict(&empty(not_admin), "/", &staff), Reason::Permitted);
}

#[test]
fn not_unknown_admits_nobody() {
    let mut rule = rule("/", "staff");
    rule.1.access = Access::Require(Requirement::Not(Box::new(group("admins")), place()));
    rule.1.sources = Sources { list: 0, asks: false, anonymous: true };
    assert_eq!(verdict(&policy(false, vec![rule]), "/", &Principal::Anonymous), Reason::RequirementFailed);
}

#[test]
fn a_caller_who_could_become_known_is_asked_to() {
    let mut rule = rule("/", "staff");
    rule.1.sources = Sources { list: 0, asks: true, anonymous: true };
    let policy = policy(false, vec![rule]);
    assert_eq!(verdict(&policy, "/", &Principal::Anonymous), Reason::CredentialMissing);
    assert_eq!(verdict(&policy, "/", &in_groups(&["other"])), Reason::RequirementFailed);
}

#[test]
fn gates_close_on_unknown_addresses_and_hold_for_public_routes_too() {
    let gated = |who| {
        let mut rule = rule("/", who);
        let set = Arc::new(NetworkSet::new(parse_network("192.0.2.0/24")));
        rule.1.gates = [Gate {
            of: "host",
            rule: GateRule::Within(Networks { names: vec!["office".into()], set }),
            place: place(),
        }]
        .into();
        policy(false, vec![rule])
    };
    for who in ["public", "staff"] {
        let policy = gated(who);
        let request = request("/");
        let routed = policy.route(&request, &mut Silent).expect("a route");
        for (address, want) in [
            (ClientAddress::Known("192.0.2.1".parse().expect("address")), None),
            (ClientAddress::Known("198.51.100.1".parse().expect("address")), Some(Reason::NetworkDenied)),
            (ClientAddress::Missing, Some(Reason::NetworkDenied)),
            (ClientAddress::Malformed, Some(Reason::NetworkDenied)),
        ] {
            let got = routed.gates(&facts(&request, address), &mut Silent).err().map(|denied| denied.reason);
            assert_eq!(got, want, "{who} {address:?}");
        }
    }
}

#[test]
fn deny_gates_close_on_what_they_name_and_on_what_is_unknown() {
    let denying = |rule: GateRule| {
        let mut route = rule_of("staff");
        route.1.gates = [Gate { of: "host", rule, place: place() }].into();
        policy(false, vec![route])
    };
    let set = || Arc::new(NetworkSet::new(parse_network("192.0.2.0/24")));
    let outside = denying(GateRule::Outside(Networks { names: vec!["bad".into()], set: set() }));
    let request_ = request("/");
    let routed = outside.route(&request_, &mut Silent).expect("a route");
    for (address, open) in [("192.0.2.1", false), ("198.51.100.1", true), ("", false)] {
        let address = address.parse().map_or(ClientAddress::Missing, ClientAddress::Known);
        assert_eq!(routed.gates(&facts(&request_, address), &mut Silent).is_ok(), open, "{address:?}");
    }
    let test = HeaderTest { name: "x-debug".into(), values: vec!["1".into()] };
    let without = denying(GateRule::Without(test));
    let staff = in_groups(&["staff"]);
    for (fields, want) in [
        (vec![], Reason::Permitted),
        (vec![("x-debug", "0")], Reason::Permitted),
        (vec![("x-debug", "1")], Reason::HeaderDenied),
        (vec![("x-debug", "0"), ("x-debug", "1")], Reason::HeaderDenied),
        (vec![("x-debug", "0,1")], Reason::HeaderDenied),
    ] {
        assert_eq!(judge(&without, &with_headers("GET", "/", &fields), &staff), want, "{fields:?}");
    }
    let except = denying(GateRule::Except(Methods::listed(["DELETE"])));
    assert_eq!(judge(&except, &with_headers("GET", "/", &[]), &staff), Reason::Permitted);
    assert_eq!(judge(&except, &with_headers("DELETE", "/", &[]), &staff), Reason::MethodDenied);
}

#[test]
fn h9_only_a_whole_preflight_passes_and_only_where_it_is_allowed() {
    let block = |preflight| {
        let mut route = rule_of("staff");
        route.1.methods = Methods::listed(["GET", "PUT"]);
        let block = HostBlock {
            key: "h.test".into(),
            place: place(),
            login: None,
            case_sensitive: false,
            preflight,
            routes: RouteTable::new(vec![route]),
        };
        let mut policy = policy(false, vec![]);
        policy.hosts = HostTable::new(vec![(HostPattern::parse("h.test").expect("a host"), block)]);
        policy
    };
    let origin = ("origin", "https://app.test");
    let wants = |method| ("access-control-request-method", method);
    for (preflight, method, target, fields, want) in [
        (true, "OPTIONS", "/", vec![origin, wants("PUT")], Reason::Preflight),
        (true, "OPTIONS", "/", vec![origin, wants("DELETE")], Reason::MethodNotListed),
        (true, "OPTIONS", "/other", vec![origin, wants("PUT")], Reason::RouteUnknown),
        (true, "OPTIONS", "/", vec![origin], Reason::MethodNotListed),
        (true, "OPTIONS", "/", vec![wants("PUT")], Reason::MethodNotListed),
        (true, "OPTIONS", "/", vec![origin, wants("put")], Reason::MethodNotListed),
        (true, "OPTIONS", "/", vec![origin, wants("PUT"), wants("GET")], Reason::MethodNotListed),
        (true, "GET", "/", vec![origin, wants("PUT")], Reason::CredentialMissing),
        (false, "OPTIONS", "/", vec![origin, wants("PUT")], Reason::MethodNotListed),
    ] {
        let got = judge(&block(preflight), &with_headers(method, target, &fields), &Principal::Anonymous);
        assert_eq!(got, want, "{preflight} {method} {target} {fields:?}");
    }
}

/// A route for `/` alone.
fn rule_of(who: &str) -> (RoutePattern, Route) {
    rule("/", who)
}
