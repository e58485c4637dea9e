//! A built policy and requests to it: what the operations work on. Everything goes through the public doors of the
//! library, and what an operation answers is checked once before it is measured.

use std::hint::black_box;
use std::net::IpAddr;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::LazyLock;
use std::task::Context;
use std::task::Waker;
use std::time::Instant;

use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use ipnet::IpNet;
use jiff::Timestamp;
use postern::authn::Answers;
use postern::authn::Attempt;
use postern::authn::Presented;
use postern::authn::authenticate;
use postern::authn::quiet;
use postern::dialect::ext_authz;
use postern::engine::Engine;
use postern::engine::walk::Given;
use postern::engine::walk::Walk;
use postern::engine::walk::walk;
use postern::limit::Local;
use postern::limit::MIN_MEMORY;
use postern::limit::Purse;
use postern::model::decision::DecisionId;
use postern::model::limit::Rate;
use postern::model::limit::Take;
use postern::model::limit::Who;
use postern::model::limit::Window;
use postern::model::network::NetworkSet;
use postern::model::request::Request;
use postern::model::response::Response;
use postern::model::response::Verdict;
use postern::policy::trace::Silent;
use postern::snapshot::Snapshot;
use postern::telemetry::Telemetry;
use postern::telemetry::clock;
use prost::Message;

use crate::check::Check;
use crate::check::NOW;
use crate::operation::Work;
use crate::policy;
use crate::policy::Size;

/// A policy, and checks that it allows. What is measured lives as long as the process, so nothing is ever freed here.
pub(crate) struct Scene {
    size: Size,
    snapshot: Arc<Snapshot>,
    checks: Vec<Check>,
    octets: &'static [Vec<u8>],
}

impl Scene {
    /// A policy, and so many checks spread evenly over its routes, each with a token of its own.
    pub(crate) fn new(size: Size, checks: usize) -> Result<Scene> {
        // A stride that shares no factor with powers of ten: neighbouring checks are for routes far apart.
        let route = |number: usize| (number * 7919) % size.routes;
        let checks = (0..checks).map(|number| Check::new(size, route(number), number)).collect::<Result<Vec<_>>>()?;
        Ok(Scene { size, snapshot: Arc::new(policy::snapshot(size)?), octets: octets(&checks), checks })
    }

    /// Verify so many tokens, and keep nothing but what the policy remembers of them.
    pub(crate) fn verify(size: Size, snapshot: &Snapshot, tokens: usize) -> Result<()> {
        for number in 0..tokens {
            let octets = Check::new(size, 0, number)?.octets();
            let answered = answer(snapshot, &octets, &given());
            ensure!(answered.is_some_and(|octets| !octets.is_empty()), "a token is not verified");
        }
        Ok(())
    }

    /// The same callers, each at a route that is not for them.
    pub(crate) fn strangers(self) -> Result<Scene> {
        let elsewhere = |check: Check| {
            let other = Check::new(self.size, (check.route + self.size.routes / 2) % self.size.routes, 0)?;
            Ok(Check { token: check.token, ..other })
        };
        let checks = self.checks.into_iter().map(elsewhere).collect::<Result<Vec<_>>>()?;
        Ok(Scene { octets: octets(&checks), checks, ..self })
    }

    pub(crate) fn decode(&self) -> Work {
        let mut messages = Ring::new(self.octets.iter().collect());
        Box::new(move || {
            let read = ext_authz::read(black_box(messages.next()));
            let _ = black_box(read.and_then(|check| ext_authz::decode(&check).map(|_| ())));
        })
    }

    pub(crate) fn route(&self) -> Result<Work> {
        let (snapshot, mut requests) = (self.snapshot.clone(), self.requests()?);
        for (check, request) in self.checks.iter().zip(&requests.0) {
            let wanted = format!("/api/team-{}/**", check.route);
            let found = snapshot.policy.route(request, &mut Silent).ok();
            ensure!(found.is_some_and(|routed| *routed.route.id.name == *wanted), "{wanted} is not found");
        }
        Ok(Box::new(move || {
            let _ = black_box(snapshot.policy.route(black_box(requests.next()), &mut Silent).is_ok());
        }))
    }

    /// A token looked up again, or verified again where the policy remembers none.
    pub(crate) fn token(&self) -> Result<Work> {
        let (snapshot, mut requests) = (self.snapshot.clone(), self.requests()?);
        let ask = move |snapshot: &Snapshot, request: &Request<'static>| {
            let sources = snapshot.sources.first().map_or(&[][..], Vec::as_slice);
            authenticate(sources, &Presented::of(request, None), now(), &Answers::none(), &mut quiet)
        };
        for request in &requests.0 {
            ensure!(matches!(ask(&snapshot, request), Attempt::Verified(_)), "a token is not verified");
        }
        Ok(Box::new(move || {
            black_box(ask(&snapshot, black_box(requests.next())));
        }))
    }

    pub(crate) fn decide(&self) -> Result<Work> {
        self.walk(true)
    }

    pub(crate) fn deny(&self) -> Result<Work> {
        self.walk(false)
    }

    fn walk(&self, allowed: bool) -> Result<Work> {
        let (snapshot, mut requests, given) = (self.snapshot.clone(), self.requests()?, given());
        for request in &requests.0 {
            let verdict = walked(&snapshot, request, &given)?;
            ensure!(matches!(verdict, Verdict::Allow(_)) == allowed, "the verdict is {verdict:?}");
        }
        Ok(Box::new(move || {
            black_box(walk(&snapshot, black_box(requests.next()), &given, &mut purse(), &mut Silent));
        }))
    }

    pub(crate) fn encode(&self) -> Result<Work> {
        let answer = |request: &Request<'_>| {
            let given = given();
            let verdict = walked(&self.snapshot, request, &given)?;
            Ok(Response { decision_id: given.decision_id, verdict })
        };
        let mut responses = Ring::new(self.requests()?.0.iter().map(answer).collect::<Result<Vec<_>>>()?);
        Ok(Box::new(move || {
            black_box(ext_authz::encode(black_box(responses.next())).encode_to_vec());
        }))
    }

    /// Octets to octets, without counters and clock.
    pub(crate) fn check(&self) -> Result<Work> {
        // Every token is verified once.
        drop(self.decide()?);
        let (snapshot, mut messages) = (self.snapshot.clone(), Ring::new(self.octets.iter().collect()));
        let given = given();
        Ok(Box::new(move || {
            let answered = answer(&snapshot, black_box(messages.next()), &given);
            black_box(answered.is_some_and(|octets| !octets.is_empty()));
        }))
    }

    /// Octets to octets through the engine.
    pub(crate) fn authorize(&self) -> Result<Work> {
        drop(self.decide()?);
        let engine = Engine::new(self.snapshot.clone(), Arc::new(Telemetry::new()?));
        for octets in self.octets {
            let check = ext_authz::read(octets).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            let answered = pin!(engine.authorize(ext_authz::decode(&check), None));
            match answered.poll(&mut Context::from_waker(Waker::noop())) {
                std::task::Poll::Ready(response) if response.verdict.reason().allows() => {}
                other => anyhow::bail!("the engine does not allow: {other:?}"),
            }
        }
        let mut messages = Ring::new(self.octets.iter().collect());
        Ok(Box::new(move || {
            let Ok(check) = ext_authz::read(black_box(messages.next())) else { return };
            let answered = pin!(engine.authorize(ext_authz::decode(&check), None));
            // Nothing is waited for: the keys are here.
            if let std::task::Poll::Ready(response) = answered.poll(&mut Context::from_waker(Waker::noop())) {
                black_box(ext_authz::encode(&response).encode_to_vec());
            }
        }))
    }

    /// The checks as canonical requests.
    fn requests(&self) -> Result<Ring<Request<'static>>> {
        let parse = |octets: &'static Vec<u8>| {
            let check = ext_authz::read(octets).map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
            let request = ext_authz::decode(&check).and_then(Request::parse);
            request.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))
        };
        Ok(Ring::new(self.octets.iter().map(parse).collect::<Result<Vec<_>>>()?))
    }
}

/// Is an address in a list of so many networks of all lengths? Every other one is.
pub(crate) fn address(networks: usize) -> Result<Work> {
    let mut random = Random(88_172_645_463_325_252);
    let mut network = || {
        let address = Ipv4Addr::from(random.next());
        IpNet::new(address.into(), 16 + (random.next() % 13) as u8)
    };
    let networks = (0..networks).map(|_| network()).collect::<Result<Vec<_>, _>>()?;
    let mut random = Random(networks.len() as u64 + 1);
    let mut some = |number: usize| {
        let inside = networks.get(random.next() as usize % networks.len()).filter(|_| number.is_multiple_of(2));
        inside.map_or_else(|| IpAddr::from(Ipv4Addr::from(random.next())), IpNet::network)
    };
    let mut addresses = Ring::new((0..1024).map(&mut some).collect());
    let set = NetworkSet::new(networks);
    ensure!(addresses.0.iter().step_by(2).all(|address| set.contains(*address)), "a network is lost");
    Ok(Box::new(move || {
        black_box(set.contains(*black_box(addresses.next())));
    }))
}

/// Take from the budgets of a thousand addresses in turn, which never run out.
pub(crate) fn take(windows: usize) -> Result<Work> {
    let rates = [Window::Minute, Window::Day].map(|window| Rate::new(1_000_000, window, None));
    let rates = rates.into_iter().take(windows).collect::<Result<Vec<_>, _>>()?;
    let store = Local::new(MIN_MEMORY * 16);
    let now = store.tick(clock::instant());
    let takes = |address: u128| -> Vec<Take<'static>> {
        let of = |rate: &Rate| Take {
            definition: 7,
            who: Who::Address(address),
            rate: *rate,
            cost: 1,
            limit: 0,
            shadow: false,
            shared: None,
        };
        rates.iter().map(of).collect()
    };
    let mut all = Ring::new((0..1000).map(takes).collect());
    ensure!(store.take(all.next(), now, true).admitted, "a budget is empty");
    Ok(Box::new(move || {
        black_box(store.take(black_box(all.next()), now, true));
    }))
}

fn answer(snapshot: &Snapshot, octets: &[u8], given: &Given) -> Option<Vec<u8>> {
    let check = ext_authz::read(octets).ok()?;
    let request = ext_authz::decode(&check).and_then(Request::parse).ok()?;
    let Walk::Done(walked) = walk(snapshot, &request, given, &mut purse(), &mut Silent) else { return None };
    let response = Response { decision_id: given.decision_id, verdict: walked.verdict };
    Some(ext_authz::encode(&response).encode_to_vec())
}

fn walked(snapshot: &Snapshot, request: &Request<'_>, given: &Given) -> Result<Verdict> {
    match walk(snapshot, request, given, &mut purse(), &mut Silent) {
        Walk::Done(walked) => Ok(walked.verdict),
        Walk::Needs(need) => bail!("the walk needs {need:?}"),
        Walk::Takes(order) => bail!("the walk asks {order:?}"),
        Walk::Unknown => bail!("nothing is remembered"),
    }
}

fn given() -> Given {
    Given { decision_id: DecisionId(7), now: now(), answers: Answers::none(), assumed: None }
}

/// Of a moment that never changes, like everything else here.
fn purse() -> Purse {
    static STARTED: LazyLock<Instant> = LazyLock::new(clock::instant);
    Purse::taking(*STARTED)
}

fn now() -> Timestamp {
    Timestamp::from_second(*NOW).unwrap_or_default()
}

fn octets(checks: &[Check]) -> &'static [Vec<u8>] {
    checks.iter().map(Check::octets).collect::<Vec<_>>().leak()
}

/// One input after the other, round and round.
struct Ring<T>(Vec<T>, usize);

impl<T> Ring<T> {
    fn new(items: Vec<T>) -> Ring<T> {
        Ring(items, 0)
    }

    #[expect(clippy::indexing_slicing, reason = "a step here would be measured with everything else")]
    fn next(&mut self) -> &T {
        let at = self.1;
        self.1 = if at + 1 < self.0.len() { at + 1 } else { 0 };
        &self.0[at]
    }
}

/// Xorshift (Marsaglia 2003): the same numbers in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 & u64::from(u32::MAX)) as u32
    }
}
