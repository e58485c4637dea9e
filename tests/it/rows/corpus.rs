//! Hundreds of requests and what must come of each, in every dialect that can say it: `tests/corpus/requests.txt`.
//!
//! Most of its paths were made from a grammar and kept where at least one of some twenty ways to resolve a path (those of
//! nginx, Apache, Go, Tomcat, Jetty, Spring, Express and their like) ends in what is protected.

use std::collections::BTreeSet;

use serde_json::json;

use super::{House, get};

const REQUESTS: &str = include_str!("../../corpus/requests.txt");

const POLICY: &str = r#"client_ip: {from: xff, trusted_hops: [10.0.0.0/8]}
networks:
  office: [198.51.100.0/24, "2001:db8:7::/48"]
hosts:
  app.test:
    routes:
      - {path: /public/**, public: true}
      - {path: /admin/**, require: {groups: [root]}}
      - {path: /Reports/**, require: {groups: [root]}}
      - {path_regex: '/dl/[a-z]+\.pdf', public: true}
      - {path: /files/**, public: true, encoded_slash: keep}
      - {path: /**, require: {groups: [staff]}}
  "*.apps.test":
    routes:
      - {path: /open/**, public: true}
      - {path: /**, require: {groups: [staff]}}
  secret.apps.test:
    routes: [{path: /**, require: {groups: [root]}}]
  "**.deep.test":
    routes: [{path: /**, public: true}]
  "x.deep.test:8443":
    routes: [{path: /**, require: {groups: [root]}}]
  net.test:
    network: [office]
    routes: [{path: /**, public: true}]
  free.test:
    routes: [{path: /**, public: true}]
  my_host.test:
    routes: [{path: /**, public: true}]
  "192.0.2.80":
    routes: [{path: /**, public: true}]
  "[2001:db8::80]":
    routes: [{path: /**, public: true}]
"#;

#[test]
fn nothing_of_the_corpus_gets_past_and_nothing_ordinary_is_refused() {
    let house = House::with(POLICY);
    let staff = house.token(&json!({"groups": ["staff"]}));
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for line in REQUESTS.lines().filter(|line| !line.starts_with('#')) {
        let fields: Vec<&str> = line.split('\t').collect();
        let &[verdict, caller, host, target, from, header] = fields.as_slice() else { panic!("six fields: {line:?}") };
        let mut ask = get(target).host(host).from(from);
        if let Some((name, value)) = header.split_once(": ") {
            ask = ask.header(name, value);
        }
        match caller {
            "staff" => ask = ask.bearer(&staff),
            "nobody" => {}
            other => panic!("`{other}` is nobody we know: {line:?}"),
        }
        seen.insert((verdict, caller));
        let want = match verdict {
            "allow" => true,
            "deny" => false,
            other => panic!("`{other}` is no verdict: {line:?}"),
        };
        for (way, answer) in house.answers(&ask) {
            if (answer.status == 200) != want {
                wrong.push(format!("{line}: {way}: {} {}", answer.status, answer.reason));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(seen.len(), 4, "{seen:?}");
}
