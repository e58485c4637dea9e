//! What decides and what acts must see the same request. Here nobody is believed: requests for a protected file, spelled
//! in every way that has got past some check somewhere, go through the real proxies, guarded by the real Postern, to real
//! servers that find files each in its own way. The secret must come back to nobody who may not have it.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`dice`] | chance that comes out the same again |
//! | [`grammar`] | the spellings |
//! | [`emulation`] | servers of other machines, as lists of steps |
//! | [`site`] | the files, and the real servers in front of them |
//! | [`ordinary`] | requests that must not be refused |
//!
//! Behind every proxy stands one listener of ours, which hands each request on, octet for octet, to every server, so that
//! one request through a proxy is a trial of all servers at once, and whatever any of them says comes back to the client.
//!
//! The number of attacks behind each proxy, each made once without a token and once with a token of the staff, is set by
//! `POSTERN_DIFFERENTIAL_ROUNDS`, the first throw by `POSTERN_DIFFERENTIAL_SEED`:
//!
//! ```text
//! POSTERN_DIFFERENTIAL_ROUNDS=20000 POSTERN_DIFFERENTIAL_SEED=7 cargo test --test it differential
//! ```

mod dice;
mod emulation;
mod grammar;
mod ordinary;
mod site;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Mutex;

use postern::model::response::Verdict;
use tempfile::TempDir;

use self::dice::Dice;
use self::emulation::{EMULATIONS, finds_secret};
use self::grammar::Attack;
use self::site::{BELIEVER, Server, Site, ask, ask_everybody, is_open, leaks};
use crate::proxy::asked::{ADDRESS, Client, WAYS};
use crate::proxy::client;
use crate::proxy::edge::{Edge, Proxy, Setup, patience};
use crate::proxy::judged;
use crate::proxy::parts;
use crate::proxy::people::Tokens;
use crate::proxy::postern::Postern;
use crate::proxy::upstream::{SCENARIO, Upstream};

const POLICY: &str = "tests/differential/policy.yaml";

/// Attacks behind each proxy, unless the environment says otherwise.
const ROUNDS: usize = 400;
/// For each of those, so many are judged in this process alone.
const IN_PROCESS: usize = 40;
/// How many kinds of server each attack in this process is held against, besides those with a name.
const UNHEARD_OF: usize = 8;

const EDGES: [(Proxy, Setup); 12] = [
    (Proxy::EnvoyGrpc, Setup::Shipped),
    (Proxy::EnvoyGrpc, Setup::Naive),
    (Proxy::EnvoyHttp, Setup::Shipped),
    (Proxy::EnvoyHttp, Setup::Naive),
    (Proxy::Caddy, Setup::Shipped),
    (Proxy::Caddy, Setup::Naive),
    (Proxy::Nginx, Setup::Shipped),
    (Proxy::Nginx, Setup::Naive),
    (Proxy::Traefik, Setup::Shipped),
    (Proxy::Traefik, Setup::Naive),
    (Proxy::Haproxy, Setup::Shipped),
    (Proxy::Haproxy, Setup::Naive),
];

/// Who asks: nobody, and somebody who may read all but the secret.
const WITHOUT_RIGHT: [Option<&str>; 2] = [None, Some("{alice}")];

#[test]
fn no_spelling_of_a_protected_url_gets_past_a_proxy() {
    if parts::find(Proxy::Nginx).is_none() {
        return;
    }
    let (seed, rounds) = (seed(), rounds());
    let tokens = Tokens::mint();
    let postern = Postern::start_under(POLICY, &tokens);
    let site = Site::write(&format!("secret-{:016x}", Dice::new(!seed).throw()));
    let servers = site.serve();
    let fooled = fooled(&servers, &site.secret, &mut Dice::new(seed));
    let addresses: Vec<_> = servers.iter().map(|server| (server.name, server.port)).collect();
    let secret = site.secret.clone();
    let upstream = Upstream::answering(move |arrival| ask_everybody(&addresses, &secret, arrival));

    let todo = Mutex::new(EDGES.iter().enumerate().collect::<Vec<_>>().into_iter());
    let tallies = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let next = todo.lock().expect("edges").next();
                    let Some((index, (proxy, setup))) = next else { return };
                    let edits = patience(*proxy, *setup);
                    let Some(edge) = Edge::start(*proxy, *setup, &edits, &postern, &upstream) else { continue };
                    control(&edge, (*proxy, *setup), &servers, &site, &tokens);
                    let refused = ordinary::through(&edge, (*proxy, *setup), &upstream, &tokens);
                    let trial = Trial {
                        edge: &edge,
                        proxy: *proxy,
                        setup: *setup,
                        upstream: &upstream,
                        site: &site,
                        tokens: &tokens,
                    };
                    let mut tally = trial.run(rounds, &mut Dice::new(seed ^ u64::try_from(index).expect("an index")));
                    tally.needless = refused;
                    tallies.lock().expect("tallies").insert(index, tally);
                }
            });
        }
    });

    let tallies = tallies.into_inner().expect("tallies");
    report(seed, rounds, &fooled, &tallies);
    let escaped: Vec<_> = tallies.values().flat_map(|tally| &tally.escaped).map(String::as_str).collect();
    assert!(
        escaped.is_empty(),
        "{} got past (seed {seed})\n\n{}\n{}",
        escaped.len(),
        escaped.join("\n"),
        postern.log()
    );
    let needless: Vec<_> = tallies.values().flat_map(|tally| &tally.needless).map(String::as_str).collect();
    assert!(needless.is_empty(), "{} ordinary requests went wrong\n{}", needless.len(), needless.join("\n"));
    for (index, tally) in &tallies {
        // A test that never gets as far as an upstream proves nothing.
        assert!(tally.arrived * 50 > tally.sent, "{:?}: hardly anything arrived: {tally:?}", EDGES[*index]);
    }
}

/// The same without sockets, and so many more: what any dialect allows, no server that decodes at most twice may take for
/// the secret, whatever else it does and in whatever order.
#[test]
fn no_spelling_of_a_protected_url_is_read_as_another() {
    let seed = seed();
    let tokens = Tokens::mint();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let mut wrong = Vec::new();
    let mut lines = Vec::new();
    for (name, policy) in [("as shipped", POLICY.to_owned()), ("encoded_slash: keep", with_encoded_slashes(&folder))] {
        let engine = judged::engine(&policy, &tokens);
        let mut dice = Dice::new(seed);
        let (mut asked, mut allowed, mut held) = (0, 0, 0);
        for round in 0..rounds() * IN_PROCESS {
            let attack = Attack::throw(&mut dice);
            let unheard_of: Vec<_> = (0..UNHEARD_OF).map(|_| emulation::throw(&mut dice)).collect();
            let token = WITHOUT_RIGHT[round % 2];
            let Ok(target) = String::from_utf8(attack.target()) else { continue };
            let Some(client) = client_of(&attack, &target, token.map(|token| tokens.fill(token))) else { continue };
            asked += 1;
            let way = &WAYS[dice.below(WAYS.len())];
            let response = runtime.block_on(judged::authorize(&engine, way.dialect, &(way.ask)(&client)));
            if !matches!(response.verdict, Verdict::Allow(_)) || is_open(client.host) {
                continue;
            }
            allowed += 1;
            let named = EMULATIONS.iter().map(|emulation| emulation.steps);
            for steps in named.chain(unheard_of.iter().map(Vec::as_slice)) {
                held += 1;
                if finds_secret(steps, client.target.as_bytes()) {
                    let token = token.unwrap_or("nobody");
                    wrong.push(format!(
                        "{name}, {}: {:?} at {:?} to {token}: {steps:?}",
                        way.name, client.target, client.host
                    ));
                }
            }
        }
        assert!(allowed * 50 > asked, "hardly anything was allowed: {allowed} of {asked}");
        lines.push(format!("  {name:20} {asked:7} asked {allowed:7} allowed {held:8} held against a kind of server"));
    }
    say(&format!("differential, in process (seed {seed})\n{}", lines.join("\n")));
    wrong.sort_by_key(String::len);
    wrong.dedup();
    wrong.truncate(40);
    assert!(wrong.is_empty(), "got past (seed {seed})\n{}", wrong.join("\n"));
}

/// The danger is real: each emulation takes its quirk for the secret, and a check by the first letters does not.
#[test]
fn every_emulated_server_has_its_quirk() {
    for emulation in EMULATIONS {
        let quirk = emulation.quirk.as_bytes();
        assert!(finds_secret(emulation.steps, quirk), "{}: {}", emulation.name, emulation.quirk);
        assert!(!quirk.starts_with(b"/admin/"), "{}: {}", emulation.name, emulation.quirk);
    }
}

/// One proxy under attack.
struct Trial<'t> {
    edge: &'t Edge,
    proxy: Proxy,
    setup: Setup,
    upstream: &'t Upstream,
    site: &'t Site,
    tokens: &'t Tokens,
}

/// What became of the requests behind one proxy.
#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    arrived: usize,
    by_postern: usize,
    by_proxy: usize,
    /// The secret came back; what was sent, and who gave it away.
    escaped: Vec<String>,
    /// Ordinary requests that came to another end than they should.
    needless: Vec<String>,
    /// Naive configurations pass these headers on, and who believes them is lost. Not Postern's to prevent, so counted.
    believed: usize,
}

impl Trial<'_> {
    fn run(&self, rounds: usize, dice: &mut Dice) -> Tally {
        let mut tally = Tally::default();
        for round in 0..rounds {
            let attack = Attack::throw(dice);
            for (who, token) in WITHOUT_RIGHT.iter().enumerate() {
                self.attack(&attack, &format!("attack-{}-{round}-{who}", self.edge.port), *token, &mut tally);
            }
        }
        tally
    }

    fn attack(&self, attack: &Attack, id: &str, token: Option<&str>, tally: &mut Tally) {
        let bearer = token.map(|token| format!("Bearer {}", self.tokens.fill(token)));
        let mut fields = vec![(SCENARIO, id)];
        fields.extend(bearer.iter().map(|bearer| ("Authorization", bearer.as_str())));
        let reply = client::send(self.edge.port, &attack.octets(&fields));
        tally.sent += 1;
        let arrived = !self.upstream.take(id).is_empty();
        let postern = |reply: &client::Reply| {
            // A naive nginx loses the header, and has no 401 and 403 of its own.
            !reply.all("x-postern-decision").is_empty() || matches!(reply.status, 401 | 403)
        };
        match &reply {
            _ if arrived => tally.arrived += 1,
            Ok(reply) if postern(reply) => tally.by_postern += 1,
            Ok(_) | Err(_) => tally.by_proxy += 1,
        }
        let Ok(reply) = reply else { return };
        let mut leaks = leaks(&reply.body, &self.site.secret);
        if self.setup == Setup::Naive && leaks.contains(&BELIEVER) {
            tally.believed += 1;
            leaks.retain(|leak| *leak != BELIEVER);
        }
        if !leaks.is_empty() {
            let target = String::from_utf8_lossy(&attack.target()).into_owned();
            let Attack { method, hosts, headers, tricks, .. } = attack;
            tally.escaped.push(format!(
                "{:?} ({:?}): {method} {target:?} {hosts:?} {headers:?} {token:?} {tricks:?}: {leaks:?}",
                self.proxy, self.setup
            ));
        }
    }
}

/// The right person gets the secret, from every server: so the trial can fail. The staff gets its own file.
fn control(edge: &Edge, of: (Proxy, Setup), servers: &[Server], site: &Site, tokens: &Tokens) {
    let authorization = format!("Bearer {}", tokens.fill("{ada}"));
    let octets = Attack::plain().octets(&[("Authorization", &authorization)]);
    let reply = client::send(edge.port, &octets).unwrap_or_else(|error| panic!("{of:?}: {error}\n{}", edge.log()));
    let wanted = servers.iter().map(|server| server.name).chain(EMULATIONS.iter().map(|emulation| emulation.name));
    assert_eq!(leaks(&reply.body, &site.secret), wanted.collect::<Vec<_>>(), "{of:?}: {reply:?}");
}

/// How often each real server would have been fooled: the target does not begin with the protected folder, and the secret
/// comes all the same, when nobody stands before it.
fn fooled(servers: &[Server], secret: &str, dice: &mut Dice) -> Vec<(&'static str, usize)> {
    const TRIES: usize = 300;
    let attacks: Vec<_> = (0..TRIES).map(|_| Attack::throw(dice)).collect();
    let count = |server: &Server| {
        let fools = |attack: &&Attack| {
            !attack.target().starts_with(b"/admin/")
                && ask(server.port, &attack.octets(&[])).is_ok_and(|body| body.contains(secret))
        };
        let count = attacks.iter().filter(fools).count();
        assert!(count > 0, "{} is never fooled: the attacks are too tame", server.name);
        (server.name, count)
    };
    servers.iter().map(count).collect()
}

/// The attack as a proxy would put it to us, where a proxy could.
fn client_of<'a>(attack: &'a Attack, target: &'a str, token: Option<String>) -> Option<Client<'a>> {
    // nginx refuses a slash in Host by itself; the controller would glue it into a URL.
    let [host] = attack.hosts.as_slice() else { return None };
    if host.contains('/') {
        return None;
    }
    if !target.starts_with('/') {
        return None;
    }
    http::Uri::try_from(format!("/auth/envoy{target}")).ok()?;
    http::Method::from_bytes(attack.method.as_bytes()).ok()?;
    let mut headers = attack.headers.clone();
    headers.extend(token.map(|token| ("authorization".to_owned(), format!("Bearer {token}"))));
    Some(Client { method: &attack.method, host, target, headers, address: ADDRESS })
}

/// The policy with every route but the protected one open to `%2f`.
fn with_encoded_slashes(folder: &TempDir) -> String {
    #[expect(clippy::disallowed_methods, reason = "a policy of this test")]
    let text = std::fs::read_to_string(format!("{}/{POLICY}", env!("CARGO_MANIFEST_DIR"))).expect("a policy");
    let kept = text.replace("public: true}", "public: true, encoded_slash: keep}");
    let kept = kept.replace("require: {groups: [staff]}}", "require: {groups: [staff]}, encoded_slash: keep}");
    assert!(kept.matches("encoded_slash").count() > 2, "the policy has changed: {text}");
    let path = folder.path().join("kept.yaml");
    std::fs::write(&path, kept).expect("a policy");
    path.display().to_string()
}

fn report(seed: u64, rounds: usize, fooled: &[(&str, usize)], tallies: &BTreeMap<usize, Tally>) {
    let mut text =
        format!("differential (seed {seed}, {rounds} attacks behind each proxy)\n  unguarded, fooled of 300:");
    for (name, count) in fooled {
        text.push_str(&format!(" {name} {count}"));
    }
    for (index, tally) in tallies {
        let (proxy, setup) = EDGES[*index];
        let Tally { sent, arrived, by_postern, by_proxy, believed, .. } = tally;
        text.push_str(&format!(
            "\n  {:18} {sent:6} sent {arrived:6} arrived {by_postern:6} refused by Postern {by_proxy:6} by the proxy",
            format!("{proxy:?} {setup:?}")
        ));
        if *believed > 0 {
            text.push_str(&format!(", {believed} lost to who believes X-Original-URL"));
        }
    }
    say(&text);
}

/// Past the test runner's capture.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn rounds() -> usize {
    number("POSTERN_DIFFERENTIAL_ROUNDS").map_or(ROUNDS, |rounds| usize::try_from(rounds).expect("a number of rounds"))
}

fn seed() -> u64 {
    number("POSTERN_DIFFERENTIAL_SEED").unwrap_or(1)
}

fn number(name: &str) -> Option<u64> {
    #[expect(clippy::disallowed_methods, reason = "the length of a test is set from outside")]
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text:?}")))
}
