//! Processor time for an answer, beside the floor and beside ourselves.

use anyhow::ensure;

use crate::compare::Figure;
use crate::compare::Target;
use crate::compare::Verdict;
use crate::fixture::Chained;
use crate::fixture::Scale;
use crate::floor::Floor;
use crate::floor::NOBODY;
use crate::load::Load;
use crate::load::Outcome;
use crate::load::Protocol;
use crate::report::Line;
use crate::report::Measure;
use crate::row::costs;
use crate::row::doubts;
use crate::row::rates;
use crate::server::Bench;

/// Microseconds of processor time for an answer.
const MICROSECONDS: &str = "us CPU";

pub(super) fn cached(bench: &Bench, row: &'static str, routes: usize) -> anyhow::Result<Vec<Line>> {
    let target = Target::AtMost { required: 1.0, goal: Some(0.75) };
    let what = format!("gRPC, cached, {routes} routes");
    above_floor(bench, (row, &what), Scale::routes(routes), Floor::Grpc, target)
}

pub(super) fn uncached(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let scale = Scale { token_cache: Some(0), ..Scale::routes(100) };
    above_floor(bench, (row, "gRPC, every token verified (RS256)"), scale, Floor::Grpc, Target::at_most(3.0))
}

pub(super) fn http(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let target = Target::AtMost { required: 1.25, goal: Some(1.15) };
    above_floor(bench, (row, "forward-auth, 64 connections"), Scale::routes(100), Floor::Http, target)
}

fn above_floor(
    bench: &Bench,
    (row, what): (&'static str, &str),
    scale: Scale,
    floor: Floor,
    target: Target,
) -> anyhow::Result<Vec<Line>> {
    let world = bench.world(scale)?;
    let ours = bench.postern(&world, &bench.processors.server)?;
    let base = bench.floor(floor)?;
    let protocol = if floor == Floor::Grpc { Protocol::Grpc } else { Protocol::Http };
    // The proof that answers are checked: allowing those who must be refused is noticed.
    let strict = Load { nameless: true, warm_up: 0.0, seconds: 0.2, ..bench.plan(protocol, &base, &world) };
    ensure!(bench.ask(&strict)?.wrong > 0, "a server that allows everybody is not found out");
    let everybody = Some(NOBODY.to_owned());
    let loads = [bench.plan(protocol, &ours, &world), Load { everybody, ..bench.plan(protocol, &base, &world) }];
    let [ours, base] = bench.by_turns(&loads)?;
    let figure = Figure { ours: costs(&ours), base: Some(costs(&base)) };
    let measure = Measure { unit: MICROSECONDS, base: "no-op" };
    let line = Line::judged((row, what), measure, figure, Some(target), bench.manner.noise);
    let said = format!(
        "{}; no-op {}; {} octets a question",
        pace(&ours),
        pace(&base),
        ours.first().map_or(0, |outcome| outcome.question_size)
    );
    Ok(vec![line.note(said).heed(doubts(ours.iter().chain(&base)))])
}

/// The same questions asked of many routes and of few.
pub(super) fn scale(bench: &Bench, row: &'static str, hosts: usize) -> anyhow::Result<Vec<Line>> {
    let few = bench.world(Scale::routes(10))?;
    let many = bench.world(Scale { hosts, ..Scale::routes(100_000) })?;
    let servers = [bench.postern(&many, &bench.processors.server)?, bench.postern(&few, &bench.processors.server)?];
    let [of_many, of_few] = &servers;
    let loads = [bench.plan(Protocol::Grpc, of_many, &many), bench.plan(Protocol::Grpc, of_few, &few)];
    let [many, few] = bench.by_turns(&loads)?;
    let figure = Figure { ours: costs(&many), base: Some(costs(&few)) };
    let measure = Measure { unit: MICROSECONDS, base: "10 routes" };
    let what = if hosts == 1 { "100000 routes".to_owned() } else { format!("100000 routes over {hosts} hosts") };
    let line = Line::judged((row, what), measure, figure, Some(Target::at_most(1.1)), bench.manner.noise);
    Ok(vec![line.heed(doubts(many.iter().chain(&few)))])
}

/// The same questions asked of a server that keeps a line of every answer, and of one that keeps none.
pub(super) fn audit(bench: &Bench, row: &'static str, chained: Chained, most: f64) -> anyhow::Result<Vec<Line>> {
    let without = bench.world(Scale::routes(100))?;
    let with = bench.world(Scale { audit: Some(chained), ..Scale::routes(100) })?;
    let servers = [bench.postern(&with, &bench.processors.server)?, bench.postern(&without, &bench.processors.server)?];
    let [of_with, of_without] = &servers;
    let loads = [bench.plan(Protocol::Grpc, of_with, &with), bench.plan(Protocol::Grpc, of_without, &without)];
    let [with, without] = bench.by_turns(&loads)?;
    let figure = Figure { ours: costs(&with), base: Some(costs(&without)) };
    let measure = Measure { unit: MICROSECONDS, base: "no audit log" };
    let what = match chained {
        Chained::No => "audit log to a file",
        Chained::Yes => "chained audit log to a file",
    };
    let line = Line::judged((row, what), measure, figure, Some(Target::at_most(most)), bench.manner.noise);
    Ok(vec![line.heed(doubts(with.iter().chain(&without)))])
}

/// What a second processor adds, though the load needs its share of it.
pub(super) fn cores(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let world = bench.world(Scale::routes(100))?;
    let two = bench.postern(&world, &bench.processors.both)?;
    let one = bench.postern(&world, &bench.processors.server)?;
    let loads = [bench.plan(Protocol::Grpc, &two, &world), bench.plan(Protocol::Grpc, &one, &world)];
    let [two, one] = bench.by_turns(&loads)?;
    let figure = Figure { ours: rates(&two), base: Some(rates(&one)) };
    let measure = Measure { unit: "answers/s", base: "one processor" };
    let target = Target::AtLeast { required: 1.4 };
    let what = "two processors, answers in a second";
    let mut line = Line::judged((row, what), measure, figure, Some(target), bench.manner.noise);
    // Of two processors, the load takes its part of every answer. More than this no server could reach.
    let load_cost = two.iter().map(|outcome| outcome.own_share / outcome.rate() * 1e6).sum::<f64>() / two.len() as f64;
    let ceiling = 2e6 / (costs(&one).mean() + load_cost) / rates(&one).mean();
    let cost = costs(&two).mean() / costs(&one).mean();
    let said = format!(
        "an answer costs {cost:.2}x the processor time; with a load of {load_cost:.1} us an answer the most there can be is {ceiling:.2}x"
    );
    if line.verdict == Verdict::Fail && !target.is_met(ceiling) {
        line.verdict = Verdict::NoClaim("the load leaves too little for any server to reach it".to_owned());
    }
    Ok(vec![line.note(said).heed(doubts(two.iter().chain(&one)))])
}

fn pace(outcomes: &[Outcome]) -> String {
    let middle = |index: usize| {
        outcomes.iter().map(|outcome| outcome.latency[index]).sum::<f64>() / outcomes.len().max(1) as f64
    };
    format!("{:.0} answers/s, p50 {:.0} us, p99 {:.0} us", rates(outcomes).mean(), middle(0), middle(1))
}
