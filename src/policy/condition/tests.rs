use std::sync::Arc;

use serde_json::json;

use super::claim::ClaimTest;
use super::member::Member;
use super::member::Members;
use super::network::NetworkTest;
use super::role::Role;
use super::scope::Scopes;
use super::source::SourceNames;
use super::testing::identity;
use super::*;
use crate::model::claim_path::ClaimPath;
use crate::model::network::NetworkSet;
use crate::model::network::parse_network;
use crate::policy::gate::Networks;

fn members(names: &[&str]) -> Members {
    Members::new(names.iter().map(|name| match name.split_once('/') {
        Some((source, name)) => Member { source: Some(source.into()), name: name.into() },
        None => Member { source: None, name: (*name).into() },
    }))
}

fn holds(condition: &Condition, principal: &Principal, address: &str) -> Truth {
    let address = address.parse().map_or(ClientAddress::Missing, ClientAddress::Known);
    let headers = Headers::new(false);
    let now = Timestamp::UNIX_EPOCH;
    let request = RequestFacts { address, method: "GET", query: None, headers: &headers, now };
    condition.holds(&Facts { principal, request })
}

#[test]
fn identity_facts_are_unknown_of_anonymous_callers() {
    let alice = Principal::Identified(identity("alice", &["ops", "staff"]));
    let role = |groups, users| Arc::new(Role { name: "r".into(), groups: members(groups), users: members(users) });
    let claim = |path: &str, values| Box::new(ClaimTest { path: ClaimPath::parse(path).expect(path), values });
    for (condition, of_alice, of_nobody) in [
        (Condition::Groups(members(&["ops"])), Truth::True, Truth::Unknown),
        (Condition::Groups(members(&["Ops"])), Truth::False, Truth::Unknown),
        (Condition::Groups(members(&["people/ops"])), Truth::True, Truth::Unknown),
        (Condition::Groups(members(&["robots/ops"])), Truth::False, Truth::Unknown),
        (Condition::Users(members(&["alice"])), Truth::True, Truth::Unknown),
        (Condition::Users(members(&["bob"])), Truth::False, Truth::Unknown),
        (Condition::Roles(vec![role(&["staff"], &[])]), Truth::True, Truth::Unknown),
        (Condition::Roles(vec![role(&[], &["alice"])]), Truth::True, Truth::Unknown),
        (Condition::Roles(vec![role(&["x"], &["y"])]), Truth::False, Truth::Unknown),
        (Condition::Scopes(Scopes(vec!["read".into()])), Truth::True, Truth::Unknown),
        (Condition::Scopes(Scopes(vec!["write".into()])), Truth::False, Truth::Unknown),
        (Condition::Source(SourceNames(vec!["people".into()])), Truth::True, Truth::Unknown),
        (Condition::Source(SourceNames(vec!["robots".into()])), Truth::False, Truth::Unknown),
        (Condition::Claim(claim("dept", vec![json!("eng")])), Truth::True, Truth::Unknown),
        (Condition::Claim(claim("dept", vec![json!("hr"), json!(7)])), Truth::False, Truth::Unknown),
        (Condition::Claim(claim("level", vec![json!(3.0)])), Truth::True, Truth::Unknown),
        (Condition::Claim(claim("level", vec![json!("3")])), Truth::False, Truth::Unknown),
        (Condition::Claim(claim("deep.list", vec![json!("b")])), Truth::True, Truth::Unknown),
        (Condition::Claim(claim("absent", vec![json!("b")])), Truth::False, Truth::Unknown),
        (Condition::Authenticated, Truth::True, Truth::False),
    ] {
        assert_eq!(holds(&condition, &alice, ""), of_alice, "{condition}");
        assert_eq!(holds(&condition, &Principal::Anonymous, ""), of_nobody, "{condition}");
    }
}

/// A long list is searched, a short one gone through: with others around it a name means the same.
#[test]
fn names_mean_the_same_in_short_and_long_lists() {
    let alice = identity("alice", &["ops"]);
    let others: Vec<String> = (0..40).map(|number| format!("{}-{number}", ["a", "ops", "z"][number % 3])).collect();
    for (names, found) in [
        (vec!["ops"], true),
        (vec!["people/ops"], true),
        (vec!["robots/ops"], false),
        (vec!["robots/ops", "people/ops", "other/ops"], true),
        (vec!["robots/ops", "ops"], true),
        (vec!["op"], false),
        (vec!["opss"], false),
        (vec![], false),
    ] {
        let crowd = || names.iter().copied().chain(others.iter().map(String::as_str));
        let (crowded, reversed): (Vec<_>, Vec<_>) =
            (crowd().collect(), crowd().collect::<Vec<_>>().into_iter().rev().collect());
        for list in [&names, &crowded, &reversed] {
            assert_eq!(members(list).name_one_of(&alice, alice.groups()), found, "{list:?}");
        }
    }
}

#[test]
fn a6_an_unknown_address_matches_no_network_either_way() {
    let set = NetworkSet::new(parse_network("192.0.2.0/24"));
    let test = Condition::Network(NetworkTest(Networks { names: vec!["office".into()], set: Arc::new(set) }));
    for (address, want) in [("192.0.2.9", Truth::True), ("198.51.100.1", Truth::False), ("", Truth::Unknown)] {
        assert_eq!(holds(&test, &Principal::Anonymous, address), want, "{address}");
        assert_eq!(holds(&test, &Principal::Anonymous, address).not() == Truth::True, want == Truth::False);
    }
}

#[test]
fn i7_a_mail_address_that_nobody_verified_is_neither_here_nor_there() {
    let test = |wanted: &str| {
        Condition::Claim(Box::new(ClaimTest { path: ClaimPath::member("email"), values: vec![json!(wanted)] }))
    };
    for (mail, verified, root, other) in [
        (Some("root@corp.test"), true, Truth::True, Truth::False),
        (Some("root@corp.test"), false, Truth::Unknown, Truth::Unknown),
        (None, false, Truth::Unknown, Truth::Unknown),
        (Some("mallory@corp.test"), true, Truth::Unknown, Truth::Unknown),
    ] {
        let mut claims = crate::model::identity::Claims {
            email: mail.map(str::to_owned),
            email_verified: verified,
            ..identity("u", &[]).unpacked()
        };
        claims.raw.insert("email".to_owned(), json!("root@corp.test"));
        let principal = Principal::Identified(Arc::new(Identity::verified(claims).expect("an identity")));
        assert_eq!(holds(&test("root@corp.test"), &principal, ""), root, "{mail:?}");
        assert_eq!(holds(&test("other@corp.test"), &principal, ""), other, "{mail:?}");
    }
}
