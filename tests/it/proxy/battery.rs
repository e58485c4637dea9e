//! Every scenario through every real proxy, once as shipped and once as a hurried user would set it up.

use super::client::{self, Conversation, Reply};
use super::edge::{Edge, Proxy, Setup, patience};
use super::people::{Person, Tokens};
use super::postern::Postern;
use super::scenarios::{Outcome, SCENARIOS, Scenario, Verdict};
use super::upstream::{Arrival, SCENARIO, Upstream};

#[test]
fn shipped_envoy_over_grpc_obeys() {
    run(Proxy::EnvoyGrpc, Setup::Shipped);
}

#[test]
fn shipped_envoy_over_http_obeys() {
    run(Proxy::EnvoyHttp, Setup::Shipped);
}

#[test]
fn shipped_caddy_obeys() {
    run(Proxy::Caddy, Setup::Shipped);
}

#[test]
fn shipped_nginx_obeys() {
    run(Proxy::Nginx, Setup::Shipped);
}

#[test]
fn shipped_nginx_of_the_system_obeys() {
    run(Proxy::NginxSystem, Setup::Shipped);
}

#[test]
fn shipped_traefik_obeys() {
    run(Proxy::Traefik, Setup::Shipped);
}

#[test]
fn shipped_haproxy_obeys() {
    run(Proxy::Haproxy, Setup::Shipped);
}

#[test]
fn naive_envoy_over_grpc_lets_nothing_through() {
    run(Proxy::EnvoyGrpc, Setup::Naive);
}

#[test]
fn naive_envoy_over_http_lets_nothing_through() {
    run(Proxy::EnvoyHttp, Setup::Naive);
}

#[test]
fn naive_caddy_lets_nothing_through() {
    run(Proxy::Caddy, Setup::Naive);
}

#[test]
fn naive_nginx_lets_nothing_through() {
    run(Proxy::Nginx, Setup::Naive);
}

#[test]
fn naive_nginx_of_the_system_lets_nothing_through() {
    run(Proxy::NginxSystem, Setup::Naive);
}

#[test]
fn naive_traefik_lets_nothing_through() {
    run(Proxy::Traefik, Setup::Naive);
}

#[test]
fn naive_haproxy_lets_nothing_through() {
    run(Proxy::Haproxy, Setup::Naive);
}

#[test]
fn shipped_envoy_on_a_unix_socket_obeys() {
    let tokens = Tokens::mint();
    run_with(&Postern::start_on_socket(&tokens), &tokens, Proxy::EnvoyGrpc, Setup::Shipped);
}

fn run(proxy: Proxy, setup: Setup) {
    let tokens = Tokens::mint();
    run_with(&Postern::start(&tokens), &tokens, proxy, setup);
}

/// One proxy process for the whole battery.
fn run_with(postern: &Postern, tokens: &Tokens, proxy: Proxy, setup: Setup) {
    let upstream = Upstream::start();
    let Some(edge) = Edge::start(proxy, setup, &patience(proxy, setup), postern, &upstream) else { return };
    let mut wrong = Vec::new();
    for scenario in SCENARIOS {
        let expected = scenario.outcome(proxy, setup);
        let id = scenario.name.replace(' ', "-");
        let reply = client::send(edge.port, &request(scenario, &id, tokens));
        let arrivals = upstream.take(&id);
        let verdict = match &reply {
            Ok(reply) => judge(scenario, expected, (proxy, setup), reply, &arrivals),
            Err(error) => Err(format!("no answer: {error}")),
        };
        if let Err(why) = verdict {
            wrong.push(format!(
                "{} ({expected:?}): {why}\n    answer: {reply:?}\n    upstream: {arrivals:?}",
                scenario.name
            ));
        }
    }
    wrong.extend(body_arrives(&edge, &upstream, tokens).err());
    wrong.extend(socket_stays_open(&edge, tokens).err());
    if setup == Setup::Shipped {
        wrong.extend(stream_is_not_held_back(&edge, &upstream, tokens).err());
    }
    assert!(
        wrong.is_empty(),
        "{proxy:?} ({setup:?}): {} of {} went wrong\n\n{}\n\n{}\n{}",
        wrong.len(),
        SCENARIOS.len(),
        wrong.join("\n\n"),
        edge.log(),
        postern.log()
    );
}

/// The octets of a scenario's request.
fn request(scenario: &Scenario, id: &str, tokens: &Tokens) -> Vec<u8> {
    let Scenario { method, target, host, headers, .. } = scenario;
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{SCENARIO}: {id}\r\n");
    for (name, value) in *headers {
        request.push_str(&format!("{name}: {}\r\n", tokens.fill(value)));
    }
    request.push_str("\r\n");
    request.into_bytes()
}

fn judge(
    scenario: &Scenario,
    outcome: Outcome,
    edge: (Proxy, Setup),
    reply: &Reply,
    arrivals: &[Arrival],
) -> Result<(), String> {
    // Whatever was expected: what a client calls itself never arrives.
    if arrivals.iter().any(|arrival| arrival.head.contains("mallory")) {
        return Err("the client's own identity header arrived".to_owned());
    }
    let asked = match outcome {
        Outcome::Becomes(name) => Scenario::named(name),
        Outcome::Judged | Outcome::Refused(_) | Outcome::Loses(_) => scenario,
    };
    match (outcome, asked.verdict) {
        (Outcome::Refused(status), _) => refused(reply, status, arrivals),
        (Outcome::Loses(header), Verdict::Allow(_, person)) => allowed(asked, person, Some(header), reply, arrivals),
        (_, Verdict::Allow(_, person)) => allowed(asked, person, None, reply, arrivals),
        (_, Verdict::Deny(reason, status)) => {
            refused(reply, carried(status, edge), arrivals)?;
            explained(reason, status, scenario, edge, reply)
        }
        (_, Verdict::Login(_, page)) => {
            let redirects = edge != (Proxy::Nginx, Setup::Naive) && edge != (Proxy::NginxSystem, Setup::Naive);
            refused(reply, if redirects { 302 } else { 401 }, arrivals)?;
            same("Location", reply.all("location"), if redirects { vec![page] } else { vec![] })
        }
    }
}

/// The status a refusal has when it has come through the proxy: nginx alone does not relay every one, and our
/// configuration puts back what it loses.
fn carried(status: u16, edge: (Proxy, Setup)) -> u16 {
    match (edge, status) {
        ((Proxy::Nginx | Proxy::NginxSystem, Setup::Naive), 400 | 404 | 425 | 429) => 403,
        // Envoy's gRPC interface has no such status.
        ((Proxy::EnvoyGrpc, _), 425) => 403,
        _ => status,
    }
}

fn refused(reply: &Reply, status: u16, arrivals: &[Arrival]) -> Result<(), String> {
    same("status", reply.status, status)?;
    same("requests upstream", arrivals.len(), 0)?;
    let identity: Vec<_> = reply.headers.iter().filter(|(name, _)| name.starts_with("remote-")).collect();
    same("identity in a refusal", identity.len(), 0)
}

/// What a refusal of ours must say, where the proxy lets it.
fn explained(
    reason: &str,
    status: u16,
    scenario: &Scenario,
    (proxy, setup): (Proxy, Setup),
    reply: &Reply,
) -> Result<(), String> {
    let nginx = matches!(proxy, Proxy::Nginx | Proxy::NginxSystem);
    let mut challenges = reply.all("www-authenticate");
    challenges.retain(|challenge| challenge.starts_with("Bearer "));
    same("challenges", challenges.len(), usize::from(status == 401))?;
    if nginx && setup == Setup::Naive {
        return Ok(());
    }
    same("Cache-Control", reply.all("cache-control"), vec!["no-store"])?;
    same("decision ids", reply.all("x-postern-decision").len(), 1)?;
    if !nginx && scenario.method != "HEAD" && !reply.body.contains(reason) {
        return Err(format!("the body does not name {reason}"));
    }
    Ok(())
}

fn allowed(
    asked: &Scenario,
    person: Option<&Person>,
    lost: Option<&str>,
    reply: &Reply,
    arrivals: &[Arrival],
) -> Result<(), String> {
    let upgrade = asked.headers.iter().any(|(name, _)| *name == "Upgrade");
    same("status", reply.status, if upgrade { 101 } else { 200 })?;
    let [arrival] = arrivals else { return Err(format!("{} requests upstream", arrivals.len())) };
    same("method", arrival.method.as_str(), asked.method)?;
    same("target", arrival.target.as_str(), asked.target)?;
    let mut wanted: Vec<_> = person.map(|person| person.headers().to_vec()).unwrap_or_default();
    wanted.retain(|(name, _)| Some(*name) != lost);
    for (name, value) in &wanted {
        same(name, arrival.all(name), vec![value])?;
    }
    // Nobody else, in no other spelling.
    let named = arrival.headers.iter().filter(|(name, _)| name.to_ascii_lowercase().starts_with("remote"));
    same("identity headers", named.count(), wanted.len())
}

/// A checked request keeps its body.
fn body_arrives(edge: &Edge, upstream: &Upstream, tokens: &Tokens) -> Result<(), String> {
    let token = tokens.fill("{alice}");
    for (id, framing, body) in [
        ("body-with-length", "Content-Length: 5", "hello"),
        ("body-in-chunks", "Transfer-Encoding: chunked", "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"),
    ] {
        let request = format!(
            "POST /desk HTTP/1.1\r\nHost: app.example.test\r\n{SCENARIO}: {id}\r\nAuthorization: Bearer {token}\r\n\
             {framing}\r\n\r\n{body}"
        );
        let reply = client::send(edge.port, request.as_bytes()).map_err(|error| format!("{id}: {error}"))?;
        same(id, reply.status, 200)?;
        same(id, upstream.take(id).iter().map(|arrival| arrival.body.as_str()).collect(), vec!["hello"])?;
    }
    Ok(())
}

/// After the handshake octets go both ways.
fn socket_stays_open(edge: &Edge, tokens: &Tokens) -> Result<(), String> {
    let said = |error: std::io::Error| format!("websocket: {error}");
    let request = request(Scenario::named("websocket"), "websocket-open", tokens);
    let mut socket = Conversation::open(edge.port, &request).map_err(said)?;
    same("websocket", socket.head().map_err(said)?.status, 101)?;
    socket.write(b"ping").map_err(said)?;
    same("websocket", socket.read_until(b"ping").map_err(said)?, b"ping".to_vec())
}

/// The first event reaches the client before the application has written the second.
fn stream_is_not_held_back(edge: &Edge, upstream: &Upstream, tokens: &Tokens) -> Result<(), String> {
    let said = |error: std::io::Error| format!("event stream: {error}");
    let asked = Scenario { target: "/stream", ..*Scenario::named("bearer") };
    let mut stream = Conversation::open(edge.port, &request(&asked, "stream", tokens)).map_err(said)?;
    same("event stream", stream.head().map_err(said)?.status, 200)?;
    stream.read_until(b"data: first").map_err(said)?;
    upstream.release();
    stream.read_until(b"data: last").map(drop).map_err(said)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what}: found {found:?}, wanted {wanted:?}")) }
}
