//! How cost grows with routes, hosts, networks and remembered tokens; by the targets, and drawn.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::Result;

use crate::chart::Chart;
use crate::chart::Series;
use crate::check::Check;
use crate::check::NOW;
use crate::memory::resident;
use crate::operation::Work;
use crate::policy;
use crate::policy::Size;
use crate::scene;
use crate::scene::Scene;
use crate::time::best_of_each;

const SIZES: [usize; 5] = [10, 100, 1000, 10_000, 100_000];

/// Different requests to every policy, whatever its size.
const REQUESTS: usize = 1024;

/// Measure, print, and draw into a folder if there is one.
pub(crate) fn measure(folder: Option<&Path>) -> Result<ExitCode> {
    let routes = Routes::measure()?;
    let hosts = series("host and route", [1, 10, 100, 1000, 10_000], |hosts| {
        let size = Size { hosts, ..Size::routes(10 * hosts) };
        Scene::new(size, REQUESTS)?.route()
    })?;
    let networks = series("address in a list", SIZES, scene::address)?;
    let tokens = series("token known", SIZES, |number| {
        let size = Size { tokens: u32::try_from(2 * number)? as usize, ..Size::routes(10) };
        Scene::new(size, number)?.token()
    })?;
    let octets_of_routes = (resident("routes", 100_000)? - resident("routes", 10)?) / 10.0;
    let octets_of_token = (resident("tokens", 40_000)? - resident("tokens", 1000)?) / 39_000.0;
    let token = Check::new(Size::routes(10), 0, NOW as usize)?.token.len();

    let judged = [
        Target::new("route, 100,000 routes / 10", routes.matcher.growth()?, 1.5, "×"),
        Target::new("route, 100,000 routes in 10,000 hosts / 10 routes", routes.spread.growth()?, 1.5, "×"),
        Target::new("decide, 100,000 routes / 10", routes.decide.growth()?, 1.1, "×"),
        Target::new("read and build 100,000 routes", routes.build.last()? / 1000.0, 1.0, "s"),
        Target::new("address, 100,000 networks", networks.last()?, 50.0, "ns"),
        Target::new("memory of 10,000 routes", octets_of_routes / 1e6, 2.0, "MB"),
        Target::new("memory of a token beyond itself", octets_of_token / 1e3 - token as f64 / 1e3, 1.5, "kB"),
    ];
    for target in &judged {
        target.print();
    }
    let Some(folder) = folder else { return Ok(ExitCode::SUCCESS) };
    let nanoseconds = "ns an operation, best of 9";
    let charts = [
        (
            "routes",
            Chart::new("Cost by routes", "routes", nanoseconds, vec![routes.matcher, routes.spread, routes.decide]),
        ),
        ("hosts", Chart::new("Cost by hosts", "hosts with ten routes each", nanoseconds, vec![hosts])),
        ("networks", Chart::new("Cost by networks", "networks in a list", nanoseconds, vec![networks])),
        ("tokens", Chart::new("Cost by remembered tokens", "tokens in use", nanoseconds, vec![tokens])),
        ("build", Chart::new("Reading and building a policy", "routes", "milliseconds", vec![routes.build])),
    ];
    std::fs::create_dir_all(folder)?;
    for (name, chart) in charts {
        let file = folder.join(format!("{name}.svg"));
        std::fs::write(&file, chart.svg()?).with_context(|| file.display().to_string())?;
        println!("drawn: {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// What grows with routes.
struct Routes {
    matcher: Series,
    spread: Series,
    decide: Series,
    build: Series,
}

impl Routes {
    fn measure() -> Result<Routes> {
        let mut build = Vec::new();
        let mut scenes = Vec::new();
        for routes in SIZES {
            let size = Size::routes(routes);
            let text = policy::text(size)?;
            let shortest = (0..3).map(|_| building(&text)).collect::<Result<Vec<_>>>()?.into_iter().min();
            build.push((routes as f64, shortest.unwrap_or_default().as_secs_f64() * 1e3));
            scenes.push(Scene::new(size, REQUESTS)?);
        }
        let mut scene = scenes.iter();
        let matcher = series("route, in one host", SIZES, |_| scene.next().context("a scene")?.route())?;
        let mut scene = scenes.iter();
        let decide = series("decide, token known", SIZES, |_| scene.next().context("a scene")?.decide())?;
        let spread = series("route, in up to 10,000 hosts", SIZES, |routes| {
            Scene::new(Size { hosts: routes.min(10_000), ..Size::routes(routes) }, REQUESTS)?.route()
        })?;
        Ok(Routes { matcher, spread, decide, build: Series::new("read and build", build) })
    }
}

fn building(text: &str) -> Result<Duration> {
    let begin = Instant::now();
    let built = policy::built(&policy::loaded(text)?)?;
    let took = begin.elapsed();
    drop(built);
    Ok(took)
}

/// The cost of an operation at every size.
fn series(name: &'static str, sizes: [usize; 5], prepare: impl FnMut(usize) -> Result<Work>) -> Result<Series> {
    let mut works = sizes.into_iter().map(prepare).collect::<Result<Vec<_>>>()?;
    let costs = best_of_each(&mut works);
    Ok(Series::new(name, sizes.into_iter().map(|size| size as f64).zip(costs).collect()))
}

/// What a measurement should be.
struct Target {
    what: &'static str,
    measured: f64,
    most: f64,
    unit: &'static str,
}

impl Target {
    fn new(what: &'static str, measured: f64, most: f64, unit: &'static str) -> Target {
        Target { what, measured, most, unit }
    }

    fn print(&self) {
        let Target { what, measured, most, unit } = self;
        let verdict = if measured <= most { "met" } else { "MISSED" };
        println!("{what:<52} {measured:>8.2} {unit:<2}  at most {most:>5} {unit:<2}  {verdict}");
    }
}
