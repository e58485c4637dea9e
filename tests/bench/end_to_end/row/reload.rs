//! What callers feel of policies that are exchanged while they ask.

use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::compare::Figure;
use crate::compare::Samples;
use crate::compare::Target;
use crate::fixture::Scale;
use crate::load::Load;
use crate::load::Outcome;
use crate::load::Protocol;
use crate::report::Line;
use crate::report::Measure;
use crate::row::doubts;
use crate::row::pace::quantiles;
use crate::server::Bench;

const ROUTES: usize = 10_000;
/// Questions a second.
const RATE: f64 = 5000.0;
/// From one new file to the next.
const PAUSE: Duration = Duration::from_millis(200);

/// The same questions at the same rate, while the policy is at rest and while it is not.
pub(super) fn under_load(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let world = bench.world(Scale::routes(ROUTES))?;
    let server = bench.postern(&world, &bench.processors.server)?;
    let load = Load { rate: Some(RATE), streams: 256, ..bench.plan(Protocol::Grpc, &server, &world) };
    let text = fs::read_to_string(&world.policy)?;
    let (mut calm, mut restless) = (Vec::new(), Vec::new());
    for _ in 0..bench.manner.rounds {
        calm.push(bench.load(&load)?);
        let over = AtomicBool::new(false);
        let (outcome, written) = thread::scope(|scope| {
            let writer = scope.spawn(|| rewrite(&world.policy, &text, &over));
            let outcome = bench.load(&load);
            over.store(true, Ordering::SeqCst);
            (outcome, writer.join())
        });
        written.ok().context("the writer")??;
        restless.push(outcome?);
        fs::write(&world.policy, &text)?;
        // What was written last is read before the next round.
        thread::sleep(Duration::from_secs(1));
    }
    let line = |what: &str, index: usize, most: f64| {
        let of = |outcomes: &[Outcome]| Samples(outcomes.iter().map(|outcome| outcome.latency[index]).collect());
        let figure = Figure { ours: of(&restless), base: Some(of(&calm)) };
        let measure = Measure { unit: "us", base: "at rest" };
        let what = format!("{what}, {ROUTES} routes exchanged every {PAUSE:?}, {RATE}/s");
        let line = Line::judged((row, what), measure, figure, Some(Target::at_most(most)), bench.manner.noise);
        let said = format!("{}; at rest {}", quantiles(&restless), quantiles(&calm));
        line.note(said).heed(doubts(calm.iter().chain(&restless)))
    };
    Ok(vec![line("p50", 0, 1.1), line("p99", 1, 3.0)])
}

/// A new file now and then, put in place by a rename as editors do.
fn rewrite(policy: &Path, text: &str, over: &AtomicBool) -> anyhow::Result<()> {
    let beside = policy.with_extension("new");
    for number in 0_u64.. {
        if over.load(Ordering::SeqCst) {
            break;
        }
        fs::write(&beside, format!("# {number}\n{text}"))?;
        fs::rename(&beside, policy)?;
        thread::sleep(PAUSE);
    }
    Ok(())
}
