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
    let token = Check::new(Size::routes(10), 0, *NOW as usize)?.token.len();

    let judged = [
        Target::new("route, 100,000 routes / 10", routes.matcher.growth()?, 1.5, "×"),
        Target::new("route, 100,000 routes in 10,000 hosts / 10 routes", routes.spread.growth()?, 1.5, "×"),
        Target::new("check, 100,000 routes / 10", routes.check.growth()?, 1.1, "×"),
        Target::new("build 100,000 routes", routes.build.last()? / 1000.0, 1.0, "s"),
        Target::new("read and build 100,000 routes", (routes.read.last()? + routes.build.last()?) / 1000.0, 1.0, "s"),
        Target::new("address, 100,000 networks", networks.last()?, 50.0, "ns"),
        Target::new("memory of 10,000 routes", octets_of_routes / 1e6, 2.0, "MB"),
        Target::new("memory of a token beyond itself", octets_of_token / 1e3 - token as f64 / 1e3, 1.5, "kB"),
    ];
    for target in &judged {
        target.print();
    }
    let Some(folder) = folder else { return Ok(ExitCode::SUCCESS) };
    let nanoseconds = "nanoseconds, best of 40";
    let charts = [
        ("routes", Chart::new("Finding a route", "routes", nanoseconds, vec![routes.matcher, routes.spread])),
        ("check", Chart::new("A whole check", "routes", nanoseconds, vec![routes.check])),
        ("hosts", Chart::new("Finding host and route", "hosts with ten routes each", nanoseconds, vec![hosts])),
        ("networks", Chart::new("Finding an address", "networks in a list", nanoseconds, vec![networks])),
        ("tokens", Chart::new("Finding a remembered token", "tokens in use", nanoseconds, vec![tokens])),
        ("build", Chart::new("Loading a policy", "routes", "milliseconds", vec![routes.read, routes.build])),
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
    check: Series,
    read: Series,
    build: Series,
}

impl Routes {
    fn measure() -> Result<Routes> {
        let [mut read, mut build] = [Vec::new(), Vec::new()];
        let mut scenes = Vec::new();
        for routes in SIZES {
            let size = Size::routes(routes);
            let text = policy::text(size)?;
            let rounds = (0..5).map(|_| building(&text)).collect::<Result<Vec<_>>>()?;
            let shortest = rounds.into_iter().reduce(|a, b| (a.0.min(b.0), a.1.min(b.1))).unwrap_or_default();
            read.push((routes as f64, shortest.0.as_secs_f64() * 1e3));
            build.push((routes as f64, shortest.1.as_secs_f64() * 1e3));
            scenes.push(Scene::new(size, REQUESTS)?);
        }
        let mut scene = scenes.iter();
        let matcher = series("route, in one host", SIZES, |_| scene.next().context("a scene")?.route())?;
        let mut scene = scenes.iter();
        let check = series("octets to octets", SIZES, |_| scene.next().context("a scene")?.authorize())?;
        let spread = series("route, in up to 10,000 hosts", SIZES, |routes| {
            Scene::new(Size { hosts: routes.min(10_000), ..Size::routes(routes) }, REQUESTS)?.route()
        })?;
        let (read, build) = (Series::new("read", read), Series::new("build", build));
        Ok(Routes { matcher, spread, check, read, build })
    }
}

/// How long it takes to read a policy, and then to build it.
fn building(text: &str) -> Result<(Duration, Duration)> {
    let begin = Instant::now();
    let loaded = policy::loaded(text)?;
    let read = begin.elapsed();
    let built = policy::built(&loaded)?;
    let took = begin.elapsed();
    drop(built);
    Ok((read, took - read))
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
