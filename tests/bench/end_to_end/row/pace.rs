//! Load that does not wait for answers: latency below capacity, and what happens above it.

use crate::compare::Figure;
use crate::compare::Samples;
use crate::compare::Target;
use crate::fixture::Scale;
use crate::floor::Floor;
use crate::floor::NOBODY;
use crate::load::Load;
use crate::load::Outcome;
use crate::load::Protocol;
use crate::report::Line;
use crate::report::Measure;
use crate::row::doubts;
use crate::server::Bench;

const P99: usize = 1;

/// Beside the floor at the same rate.
pub(super) fn latency(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let world = bench.world(Scale::routes(100))?;
    let server = bench.postern(&world, &bench.processors.server)?;
    let floor = bench.floor(Floor::Grpc)?;
    let ours = bench.plan(Protocol::Grpc, &server, &world);
    let base = Load { everybody: Some(NOBODY.to_owned()), ..bench.plan(Protocol::Grpc, &floor, &world) };
    let capacity = bench.load(&ours)?.rate();
    let mut lines = Vec::new();
    for share in [10.0, 50.0, 80.0] {
        let rate = Some((capacity * share / 100.0).floor());
        let [ours, base] = bench.by_turns(&[at(&ours, rate), at(&base, rate)])?;
        let figure = Figure { ours: tail(&ours), base: Some(tail(&base)) };
        let measure = Measure { unit: "us p99", base: "no-op" };
        let what = format!("at {share} % of {capacity:.0} answers/s");
        let line = Line::judged((row, what), measure, figure, None, bench.manner.noise);
        let said = format!("{}; no-op {}", quantiles(&ours), quantiles(&base));
        lines.push(line.note(said).heed(doubts(ours.iter().chain(&base))));
    }
    Ok(lines)
}

/// Far more questions under way than may be: each must be answered in time, by a decision or by a refusal that no proxy
/// takes for an allow. A second later all must be as it was.
pub(super) fn overload(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    /// Milliseconds that the caller waits.
    const PATIENCE: u64 = 250;
    let world = bench.world(Scale::routes(100))?;
    let server = bench.postern(&world, &bench.processors.server)?;
    let usual = bench.plan(Protocol::Grpc, &server, &world);
    let half = Some((bench.load(&usual)?.rate() / 2.0).floor());
    let calm = at(&usual, half);
    // More questions under way than the server takes, and each connection full.
    let flood = Load { connections: 64, streams: 256, patience: PATIENCE, may_shed: true, warm_up: 0.0, ..usual };
    let (mut before, mut during, mut after) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.manner.rounds {
        before.push(bench.load(&calm)?);
        during.push(bench.load(&flood)?);
        after.push(bench.load(&Load { warm_up: 1.0, ..calm.clone() })?);
    }
    let late = Samples(during.iter().map(|outcome| outcome.latency[P99] / 1000.0).collect());
    let figure = Figure { ours: late, base: None };
    let measure = Measure { unit: "ms p99", base: "" };
    let what = format!("64 x 256 under way, callers wait {PATIENCE} ms");
    let line = Line::judged((row, what), measure, figure, Some(Target::at_most(PATIENCE as f64)), bench.manner.noise);
    let (answers, refused) = during.iter().fold((0, 0), |(answers, refused), outcome| {
        (answers + outcome.answers, refused + outcome.kinds.get("503").copied().unwrap_or(0))
    });
    let late: u64 = during.iter().map(|outcome| outcome.unanswered).sum();
    let said = format!(
        "{refused} of {answers} answers are 503, none is a gRPC error or wrong; {late} questions had none in time"
    );
    let flooded = line.note(said).note(quantiles(&during)).heed(doubts(&during));

    let figure = Figure { ours: tail(&after), base: Some(tail(&before)) };
    let measure = Measure { unit: "us p99", base: "before" };
    let what = "half of capacity, a second after the flood";
    let line = Line::judged((row, what), measure, figure, Some(Target::at_most(2.0)), bench.manner.noise);
    let said = format!("{}; before {}", quantiles(&after), quantiles(&before));
    Ok(vec![flooded, line.note(said).heed(doubts(before.iter().chain(&after)))])
}

/// Open loop: connections with all the streams a server allows, so that nothing waits on our side.
fn at(load: &Load, rate: Option<f64>) -> Load {
    Load { rate, streams: 256, ..load.clone() }
}

pub(super) fn tail(outcomes: &[Outcome]) -> Samples {
    Samples(outcomes.iter().map(|outcome| outcome.latency[P99]).collect())
}

pub(super) fn quantiles(outcomes: &[Outcome]) -> String {
    let mean = |index: usize| {
        outcomes.iter().map(|outcome| outcome.latency[index]).sum::<f64>() / outcomes.len().max(1) as f64
    };
    format!("p50 {:.0}, p99 {:.0}, p99.9 {:.0}, longest {:.0} us", mean(0), mean(1), mean(2), mean(3))
}
