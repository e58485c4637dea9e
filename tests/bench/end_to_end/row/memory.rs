//! Memory that is resident: with nothing to do, for each route, for each token that is remembered.

use std::fs;

use crate::compare::Figure;
use crate::compare::Samples;
use crate::compare::Target;
use crate::fixture::Question;
use crate::fixture::Scale;
use crate::load::Load;
use crate::load::Protocol;
use crate::measure;
use crate::report::Line;
use crate::report::Measure;
use crate::server::Bench;

const MANY_ROUTES: usize = 100_000;
/// Many times the default of `token_cache`, so that what one token takes stands out.
const TOKENS: usize = 10_000;

pub(super) fn memory(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let [mut idle, mut routes, mut tokens] = [Vec::new(), Vec::new(), Vec::new()];
    let mut size = 0;
    for _ in 0..bench.manner.tries {
        let few = resident(bench, Scale::routes(10))?;
        let many = resident(bench, Scale::routes(MANY_ROUTES))?;
        idle.push(few / 1000.0);
        routes.push((many - few) / 1000.0 / (MANY_ROUTES as f64 / 10_000.0));
        let taken;
        (taken, size) = cached_tokens(bench)?;
        tokens.push(taken);
    }
    let line = |what: &str, unit, samples, target| {
        let figure = Figure { ours: Samples(samples), base: None };
        let measure = Measure { unit, base: "" };
        Line::judged((row, what), measure, figure, Some(Target::at_most(target)), bench.manner.noise)
    };
    Ok(vec![
        line("memory, idle with 10 routes", "MB", idle, 15.0),
        line("memory, each 10000 routes", "MB", routes, 2.0),
        line("memory, each cached token", "kB", tokens, 1.5)
            .note(format!("of {TOKENS} tokens, beyond the {size} octets of the token itself")),
    ])
}

/// kB of a server that has just started.
fn resident(bench: &Bench, scale: Scale) -> anyhow::Result<f64> {
    let server = bench.postern(&bench.world(scale)?, &bench.processors.server)?;
    Ok(measure::resident(server.id()) as f64 * 1.024)
}

/// kB for each cached token beyond the token, and the octets of a token.
fn cached_tokens(bench: &Bench) -> anyhow::Result<(f64, usize)> {
    let world = bench.world_of(Scale { token_cache: Some(2 * TOKENS), ..Scale::routes(100) }, TOKENS)?;
    let questions: Vec<Question> = serde_json::from_str(&fs::read_to_string(&world.questions)?)?;
    let size = questions.first().map_or(0, |question| question.token.len());
    let one = bench.folder().join("one-question.json");
    fs::write(&one, serde_json::to_vec(questions.get(..1).unwrap_or_default())?)?;

    let server = bench.postern(&world, &bench.processors.server)?;
    let all = Load { warm_up: 0.5, seconds: 1.0, ..bench.plan(Protocol::Grpc, &server, &world) };
    // The connections and what else a load needs are there before the first token counts.
    bench.load(&Load { questions: one, ..all.clone() })?;
    let before = measure::resident(server.id());
    bench.load(&all)?;
    // Those of a load that was slower than the tokens are many.
    bench.load(&all)?;
    let after = measure::resident(server.id());
    let each = (after.saturating_sub(before)) as f64 * 1024.0 / TOKENS as f64;
    Ok(((each - size as f64) / 1000.0, size))
}
