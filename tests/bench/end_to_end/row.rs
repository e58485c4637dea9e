//! The rows of the table, each a measurement of its own.

mod cost;
mod limit;
mod memory;
mod pace;
mod proxy;
mod reload;
mod start;

use crate::compare::Samples;
use crate::fixture::Chained;
use crate::load::Outcome;
use crate::report::Doubts;
use crate::report::Line;
use crate::server::Bench;

/// One row.
pub(crate) struct Row {
    /// For `--only`.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) run: fn(&Bench, &'static str) -> anyhow::Result<Vec<Line>>,
}

/// All rows, in the order of the table.
pub(crate) const ROWS: [Row; 19] = [
    Row { name: "grpc-100", about: "gRPC, cached tokens, 100 routes", run: |bench, row| cost::cached(bench, row, 100) },
    Row {
        name: "grpc-10000",
        about: "gRPC, cached tokens, 10,000 routes",
        run: |bench, row| cost::cached(bench, row, 10_000),
    },
    Row { name: "grpc-uncached", about: "gRPC, every token verified", run: cost::uncached },
    Row { name: "http-64", about: "HTTP forward-auth, 64 connections", run: cost::http },
    Row { name: "routes", about: "10 and 100,000 routes of one host", run: |bench, row| cost::scale(bench, row, 1) },
    Row {
        name: "hosts",
        about: "10 routes, and 100,000 over 10,000 hosts",
        run: |bench, row| cost::scale(bench, row, 10_000),
    },
    Row {
        name: "audit-file",
        about: "an audit log to a file, and none",
        run: |bench, row| cost::audit(bench, row, Chained::No, 1.25),
    },
    Row {
        name: "audit-chain",
        about: "a chained audit log to a file, and none",
        run: |bench, row| cost::audit(bench, row, Chained::Yes, 1.5),
    },
    Row { name: "cores", about: "two processors and one", run: cost::cores },
    Row { name: "memory", about: "idle, for each route, for each cached token", run: memory::memory },
    Row { name: "cold-start", about: "from nothing to the first right answer", run: start::cold_start },
    Row { name: "build", about: "reading and building 100,000 routes", run: start::build },
    Row { name: "latency", about: "at 10, 50 and 80 % of capacity", run: pace::latency },
    Row { name: "overload", about: "more than can be answered, and after it", run: pace::overload },
    Row { name: "reload", about: "policies that are exchanged under load, and at rest", run: reload::under_load },
    Row { name: "limits-away", about: "other routes while the Redis of limits is away or slow", run: limit::away },
    Row { name: "envoy", about: "our share of Envoy and us", run: proxy::share },
    Row { name: "envoy-filters", about: "Envoy and us, and Envoy's own jwt_authn and rbac", run: proxy::filters },
    Row { name: "opa", about: "the OPA Envoy plugin", run: proxy::opa },
];

/// Processor time for an answer, of each round.
fn costs(outcomes: &[Outcome]) -> Samples {
    Samples(outcomes.iter().map(Outcome::first_cost).collect())
}

/// Answers in a second, of each round.
fn rates(outcomes: &[Outcome]) -> Samples {
    Samples(outcomes.iter().map(Outcome::rate).collect())
}

/// What a reader should know about the rounds: who else was at work, and whether the load could keep up.
fn doubts<'o>(outcomes: impl IntoIterator<Item = &'o Outcome>) -> Doubts {
    let mut doubts = Doubts { others: 0.0, load: 0.0 };
    for outcome in outcomes {
        doubts.others = doubts.others.max(outcome.others_share);
        doubts.load = doubts.load.max(outcome.own_share);
    }
    doubts
}
