//! Properties over made-up requests from small alphabets. What must hold of one input is written in the fuzz targets;
//! here stand those that need two inputs, or somebody's claims.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::json;

use postern::dialect::ext_authz;
use postern::model::dialect::Dialect;
use postern::model::response::Verdict;

use crate::fuzz::asked::Asked;
use crate::fuzz::{address, credential, dialects, host, login, oracle, path, pattern, policy, world};

const PIECES: [&str; 26] = [
    "/", "/", "/", "a", "B", "public", "staff", "admin", "Admin", ".", "..", "/../", "//", ";", ";x=1", "%2e", "%2E",
    "%2f", "%2F", "%25", "2e", "%5c", "%3b", "%c3%a9", "?", "\\",
];

/// A target of pieces that servers read in different ways.
fn target() -> impl Strategy<Value = String> {
    prop::collection::vec(select(PIECES.to_vec()), 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
}

/// Fields of `Forwarded`, whole and broken.
fn forwarded() -> impl Strategy<Value = String> {
    const PIECES: [&str; 36] = [
        "for=",
        "FOR=",
        "for=",
        "by=",
        "proto=https",
        "host=",
        "x=",
        ";",
        ";",
        ",",
        ",",
        ", ",
        "\n",
        "\"",
        "\"",
        "\\",
        "192.0.2.7",
        "10.0.0.1",
        "10.0.0.2",
        "[2001:db8::1]",
        "[2001:db9::1]",
        "2001:db9::1",
        "::ffff:10.0.0.1",
        ":80",
        ":_p",
        ":99999",
        "unknown",
        "_x",
        " ",
        "\t",
        "é",
        "for=10.0.0.3",
        "for=\"[2001:db8::2]\"",
        "for=\"192.0.2.1:80\"",
        "for=6.6.6.6",
        "=",
    ];
    prop::collection::vec(select(PIECES.to_vec()), 0..14).prop_map(|pieces| pieces.concat())
}

fn method() -> impl Strategy<Value = &'static str> {
    select(vec!["GET", "GET", "HEAD", "POST", "OPTIONS", "TRACE", "PURGE", "get", ""])
}

fn any_host() -> impl Strategy<Value = &'static str> {
    let hosts =
        ["wiki.test", "wiki.test", "Wiki.Test.", "wiki.test:8443", "files.test", "rules.test", "x.test", "x.y", "a b"];
    select(hosts.to_vec())
}

const FIELDS: [&str; 14] = [
    "Authorization: Bearer {alice}",
    "Authorization: Bearer {root}",
    "Authorization: Bearer {odd}",
    "Authorization: Bearer {old}",
    "Authorization: Basic eDp5",
    "Cookie: access_token={guest}",
    "Cookie: a=b, access_token={zoe}",
    "Accept: text/html",
    "Origin: https://spa.test",
    "Access-Control-Request-Method: PUT",
    "X-Tenant: acme",
    "X-Slow: 1",
    "X-Block: yes",
    "Remote_User: root",
];

fn fields() -> impl Strategy<Value = Vec<&'static str>> {
    subsequence(FIELDS.to_vec(), 0..4)
}

/// Requests of the world of the fuzz targets.
pub(crate) fn asked() -> impl Strategy<Value = Asked> {
    let from = select(vec!["192.0.2.7", "198.51.100.7", "2001:db8::7"]);
    (method(), any_host(), target(), from, fields()).prop_map(|(method, host, target, from, fields)| {
        let fields: String = fields.iter().map(|field| format!("\n{field}")).collect();
        Asked::parse(format!("{method} https {host} {target} {from}{fields}").as_bytes())
            .map(|asked| Asked { host: host.to_owned(), target, ..asked })
            .expect("a request")
    })
}

/// A path of plain segments.
fn plain() -> impl Strategy<Value = Vec<&'static str>> {
    let first = select(vec!["public", "staff", "admin", "other"]);
    let rest = prop::collection::vec(select(vec!["a", "b", "public", "admin"]), 0..3);
    (first, rest).prop_map(|(first, mut rest)| {
        rest.insert(0, first);
        rest
    })
}

fn token() -> impl Strategy<Value = Option<&'static str>> {
    select(vec![None, Some("alice"), Some("root"), Some("guest")])
}

fn verdict(host: &str, target: &str, token: Option<&str>) -> (String, oracle::Answer) {
    let field = token.map(|name| format!("\nAuthorization: Bearer {{{name}}}")).unwrap_or_default();
    let asked = Asked::parse(format!("GET https {host} {target} 192.0.2.7{field}").as_bytes()).expect("a request");
    dialects::verdict(&asked)
}

fn escaped(segment: &str, which: u32) -> String {
    let letters = segment.bytes().enumerate();
    letters
        .map(|(at, octet)| match which >> (2 * at % 30) & 3 {
            1 => format!("%{octet:02x}"),
            2 => format!("%{octet:02X}"),
            _ => char::from(octet).to_string(),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_canonical_path_is_its_own_canonical_path(target in target()) {
        path::run(target.as_bytes());
    }

    #[test]
    fn forwarded_has_one_meaning(chain in forwarded()) {
        address::run(format!("10.0.0.1\n{chain}").as_bytes());
        address::run(format!("\n{chain}").as_bytes());
    }

    #[test]
    fn hosts_and_addresses_have_one_meaning(text in "[a-zA-Z0-9.:\\[\\]*_x%-]{0,20}", chain in "[0-9a-f.:, \n\\[\\]]{0,40}") {
        host::run(text.as_bytes());
        host::run(format!("{text}.test").as_bytes());
        address::run(chain.as_bytes());
        address::run(format!("10.0.0.1\n{chain}").as_bytes());
    }

    #[test]
    fn no_spelling_passes_by_a_pattern_that_does_not_cover_it(
        segments in prop::collection::vec(select(vec!["a", "B", "public", "admin", "*", "{id}", "%C3%A9"]), 0..4),
        open in any::<bool>(),
        keep in any::<bool>(),
        target in target(),
    ) {
        let pattern = format!("/{}{}", segments.join("/"), if open { "/**" } else { "" }).replace("//", "/");
        let keep = if keep { "\nkeep" } else { "" };
        pattern::run(format!("{pattern}\n{target}{keep}").as_bytes());
    }

    /// Also: anonymous callers carry no identity, and nothing but printable ASCII leaves in a header.
    #[test]
    fn every_dialect_gives_the_same_verdict(asked in asked()) {
        let (_, answer) = dialects::verdict(&asked);
        if !asked.octets().windows(3).any(|octets| octets == b"eyJ") {
            prop_assert!(answer.identity.is_empty());
        }
    }

    #[test]
    fn one_credential_counts_whatever_stands_beside_it(fields in prop::collection::vec(select(FIELDS.to_vec()), 0..5)) {
        credential::run(fields.join("\n").as_bytes());
    }

    #[test]
    fn equivalent_spellings_get_the_same_verdict(
        segments in plain(), token in token(), which in prop::collection::vec(any::<u32>(), 4), slash in any::<bool>(),
        host in select(vec!["wiki.test", "WIKI.test", "wiki.test.", "wiki.test:443", "Wiki.Test.:443"]),
    ) {
        let want = verdict("wiki.test", &format!("/{}", segments.join("/")), token);
        let spelled: Vec<String> = segments.iter().zip(&which).map(|(segment, which)| escaped(segment, *which)).collect();
        let target = format!("/{}{}", spelled.join("/"), if slash { "/" } else { "" });
        prop_assert_eq!(verdict(host, &target, token), want, "{} {}", host, target);
    }

    #[test]
    fn a_detour_opens_no_door(
        segments in plain(), token in token(), at in 0..4_usize,
        detour in select(vec![".", "", "x/..", "%2e", "x;y/..", ";", "X", "%2f", "public/..", "public/%2e%2e", "..;", "%252e"]),
    ) {
        let (_, want) = verdict("wiki.test", &format!("/{}", segments.join("/")), token);
        let mut spelled = segments;
        spelled.insert(at.min(spelled.len()), detour);
        let target = format!("/{}", spelled.join("/"));
        // What it leads to where a segment was added is judged by the target itself; a mere detour adds none.
        let (_, got) = verdict("wiki.test", &target, token);
        let adds = matches!(detour, ";" | "X" | "%2f" | "..;" | "%252e");
        prop_assert!(adds || !got.allowed || want.allowed, "{}", target);
    }

    #[test]
    fn whatever_a_claim_holds_only_printable_ascii_leaves(
        user in ".{0,12}", groups in prop::collection::vec(".{0,6}", 0..4), email in ".{0,8}", name in ".{0,8}",
    ) {
        let mut claims = world::claims(&user, &[]);
        claims["groups"] = json!(groups);
        claims["email"] = json!(email);
        claims["email_verified"] = json!(true);
        claims["name"] = json!(name);
        let token = world::sign(&world::header().to_string(), &claims.to_string());
        let request = format!("GET https x.test / 192.0.2.7\nAuthorization: Bearer {token}");
        let asked = Asked::parse(request.as_bytes()).expect("a request");
        let check = asked.check_request(false);
        let response = world::authorize(ext_authz::decode(&ext_authz::Check::from(&check)));
        let answer = oracle::over_grpc(&response);
        prop_assert_eq!(&oracle::over_http(Dialect::EnvoyHttp, &http::Method::GET, &response), &answer);
        let sent = |header: &str| answer.identity.iter().find(|(own, _)| own == header).map(|(_, value)| value.as_str());
        if answer.allowed {
            prop_assert_eq!(sent("remote-user"), Some(user.as_str()));
            for group in sent("remote-groups").into_iter().flat_map(|groups| groups.split(',')) {
                prop_assert!(groups.iter().any(|own| own == group), "{} became a group", group);
            }
        } else {
            let Verdict::Deny(denial) = &response.verdict else { panic!("{response:?}") };
            prop_assert!([401, 403].contains(&denial.status), "{:?}", denial.reason);
        }
    }

    #[test]
    fn a_login_page_gets_nothing_but_the_way_back(target in "/[!-~]{0,30}", accept in "[a-z/*;=.0-9, ]{0,30}") {
        login::run(format!("GET https wiki.test {target} 192.0.2.7\nAccept: text/html,{accept}").as_bytes());
        login::run(format!("GET https wiki.test /staff{target} 192.0.2.7\nAccept: {accept}").as_bytes());
    }

    #[test]
    fn a_damaged_policy_is_read_or_refused(at in any::<prop::sample::Index>(), damage in "[\\PC\n\t&*!|>'\"{}\\[\\]#:-]{1,3}") {
        let places: Vec<usize> = world::POLICY.char_indices().map(|(at, _)| at).collect();
        let (before, after) = world::POLICY.split_at(*at.get(&places));
        let text = format!("{before}{damage}{after}");
        let _ = policy::loaded(text.as_bytes());
    }
}

#[test]
fn half_a_policy_is_refused_wherever_it_is_cut() {
    const SHORT: &str = "version: 1\nnetworks: {office: [192.0.2.0/24]}\nhosts:\n  h.test:\n    network: [office]\n    \
                         routes:\n      - {path: /a/**, public: true}\n      - path: /b\n        public: true\n...\n# end\n";
    for (text, step) in [(SHORT, 1), (world::POLICY, 9)] {
        let whole = policy::loaded(text.as_bytes()).expect("a policy");
        assert!(whole.files[0].ended);
        for cut in (0..text.len()).rev().step_by(step) {
            if let Some(short) = text.get(..cut) {
                policy::half(&whole, short, cut);
            }
        }
    }
}
