//! Requests that ordinary people make every day. A guard that refuses one of these is soon switched off.

use postern::model::response::Verdict;

use super::grammar::APP;
use super::{POLICY, Proxy, Setup, Upstream};
use crate::proxy::asked::{ADDRESS, Client, WAYS};
use crate::proxy::client;
use crate::proxy::edge::Edge;
use crate::proxy::judged;
use crate::proxy::people::Tokens;
use crate::proxy::upstream::SCENARIO;

/// All of them lead to the one rule for the staff.
const TARGETS: [&str; 59] = [
    "/",
    "/?",
    "/desk",
    "/desk/",
    "/desk?",
    "/desk/?",
    "/desk/annual%20report.pdf",
    "/desk/caf%C3%A9",
    "/desk/caf%c3%a9",
    "/desk/%E6%97%A5%E6%9C%AC%E8%AA%9E",
    "/desk/%F0%9F%98%80.png",
    "/desk/a+b",
    "/desk/~user",
    "/~user",
    "/@user/posts",
    "/desk/user@example.test",
    "/desk/10:30",
    "/v1:batch",
    "/desk/wow!",
    "/desk/a,b,c",
    "/desk/report(1).pdf",
    "/desk/a[0]",
    "/desk/a%5B0%5D",
    "/desk/a|b",
    "/desk/a%7Cb",
    "/desk/it's",
    "/desk/*",
    "/desk/a=b",
    "/desk/a&b",
    "/desk/$metadata",
    "/desk/{id}",
    "/desk/a^b",
    "/desk/a;x=1",
    "/desk;x=1/a",
    "/desk/a;x=1;y=2?q",
    "/Desk/Read.Me",
    "/DESK",
    "/desk/CamelCase/README.md",
    "/desk?q=100%",
    "/desk?q=100%&r=%zz",
    "/desk?q=a/../b",
    "/desk?next=https://app.example.test/a//b",
    "/desk?q=%2Fadmin%2F..%2F",
    "/desk?q=a?b",
    "/desk?a=1;b=2",
    "/desk?q=a\\b",
    "/desk?q=%00",
    "/desk?q=[1]&r={2}|3",
    "/desk/.well-known/openid-configuration",
    "/.well-known/acme-challenge/x",
    "/desk/jquery.min.js",
    "/desk/v1.2.3/a.tar.gz",
    "/desk/a..b",
    "/desk/...",
    "/desk/.hidden",
    "/desk/100%25",
    "/desk/50%25%20off",
    "/desk/what%3F",
    "/desk/c%23/intro",
];

const HOSTS: [&str; 12] = [
    APP,
    "app.example.test:80",
    "app.example.test:8080",
    "APP.Example.Test",
    "app.example.test.",
    "my_app.example.test",
    "a_b.wild.example.test",
    "127.0.0.1",
    "127.0.0.1:8080",
    "[::1]",
    "[::1]:8080",
    "localhost:3000",
];

/// Behind which proxy, with whose configuration, at which host, which target is refused before anybody is asked.
const OTHERWISE: [(Proxy, Setup, &str, &str); 1] = [
    // Caddy knows a site by its name to the letter.
    (Proxy::Caddy, Setup::Shipped, "app.example.test.", "/desk"),
];

#[test]
fn ordinary_requests_are_allowed_in_every_dialect() {
    let tokens = Tokens::mint();
    let engine = judged::engine(POLICY, &tokens);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let mut refused = Vec::new();
    let targets = TARGETS.iter().map(|target| (APP, *target));
    for (host, target) in targets.chain(HOSTS.iter().map(|host| (*host, "/desk"))) {
        let headers = vec![("authorization".to_owned(), tokens.fill("Bearer {alice}"))];
        let client = Client { method: "GET", host, target, headers, address: ADDRESS };
        for way in &WAYS {
            let response = runtime.block_on(judged::authorize(&engine, way.dialect, &(way.ask)(&client)));
            if let Verdict::Deny(denial) = &response.verdict {
                refused.push(format!("{host} {target}: {}: {}", way.name, denial.reason.code()));
            }
        }
    }
    assert!(refused.is_empty(), "{} refused\n{}", refused.len(), refused.join("\n"));
}

/// The same through a real proxy, where its configuration lets them come as far.
pub(crate) fn through(
    edge: &Edge,
    (proxy, setup): (Proxy, Setup),
    upstream: &Upstream,
    tokens: &Tokens,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let targets = TARGETS.iter().map(|target| (&APP, *target));
    // The shipped configurations serve one name.
    let hosts = HOSTS.iter().filter(|host| setup == Setup::Naive || host.to_ascii_lowercase().starts_with(APP));
    for (index, (host, target)) in targets.chain(hosts.map(|host| (host, "/desk"))).enumerate() {
        let id = format!("ordinary-{}-{index}", edge.port);
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {host}\r\n{SCENARIO}: {id}\r\nAuthorization: {}\r\n\r\n",
            tokens.fill("Bearer {alice}")
        );
        let reply = client::send(edge.port, request.as_bytes());
        let arrived = !upstream.take(&id).is_empty();
        let expected = !OTHERWISE.contains(&(proxy, setup, host, target));
        if arrived != expected {
            let status = reply.map(|reply| (reply.status, reply.all("x-postern-decision").len()));
            wrong.push(format!(
                "{proxy:?} ({setup:?}): {host} {target}: arrived {arrived}, expected {expected}: {status:?}"
            ));
        }
    }
    wrong
}
