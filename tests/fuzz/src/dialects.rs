//! One client's request through every dialect: one verdict, and none that another server's view of it would regret.

use postern::dialect::{ext_authz, forward_auth};
use postern::model::dialect::Dialect;
use postern::model::response::{Response, Verdict};

use super::asked::Asked;
use super::oracle::{self, Answer};
use super::world::authorize;

const HTTP: [Dialect; 6] =
    [Dialect::EnvoyHttp, Dialect::Caddy, Dialect::Traefik, Dialect::Nginx, Dialect::IngressNginx, Dialect::Haproxy];

pub fn run(input: &[u8]) {
    if let Some(asked) = Asked::parse(input) {
        verdict(&asked);
    }
}

/// The one verdict on a request.
pub fn verdict(asked: &Asked) -> (String, Answer) {
    let message = asked.octets();
    let mut apart: Vec<(String, Seen)> = Vec::new();
    let mut joined: Vec<(String, Seen)> = Vec::new();
    for in_map in [false, true] {
        let check = asked.check_request(in_map);
        let response = authorize(ext_authz::decode(&ext_authz::Check::from(&check)));
        let answer = oracle::over_grpc(&response);
        oracle::judge(&answer, &asked.host, &asked.target, &message);
        let seen = Seen::new(&response, answer);
        if in_map { &mut joined } else { &mut apart }.push((format!("gRPC, joined {in_map}"), seen));
    }
    for dialect in HTTP {
        let Some(parts) = asked.head(dialect) else { continue };
        assert_eq!(forward_auth::of_path(parts.uri.path()), Some(dialect));
        let response = authorize(forward_auth::decode(dialect, &parts));
        let answer = oracle::over_http(dialect, &parts.method, &response);
        oracle::judge(&answer, &asked.host, &asked.target, &message);
        let seen = Seen::new(&response, answer);
        if dialect == Dialect::EnvoyHttp { &mut joined } else { &mut apart }.push((dialect.name().to_owned(), seen));
    }
    for group in [&apart, &joined] {
        for (name, seen) in group {
            assert_eq!(*seen, group[0].1, "{name} against {} for {asked:#?}", group[0].0);
        }
    }
    let (apart, joined) = (apart.swap_remove(0).1, joined.swap_remove(0).1);
    if asked.is_plain() {
        assert_eq!(apart, joined, "{asked:#?}");
    } else if apart.answer.allowed && joined.answer.allowed {
        assert_eq!(apart.answer.identity, joined.answer.identity, "{asked:#?}");
    }
    (apart.reason, apart.answer)
}

#[derive(Debug, PartialEq)]
struct Seen {
    reason: String,
    answer: Answer,
}

impl Seen {
    fn new(response: &Response, answer: Answer) -> Seen {
        let reason = match &response.verdict {
            // Of several things that are wrong with a request, one dialect may meet another first.
            Verdict::Deny(denial) if denial.status == 400 => "bad request",
            verdict => verdict.reason().code(),
        };
        Seen { reason: reason.to_owned(), answer }
    }
}
