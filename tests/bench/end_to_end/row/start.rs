//! Time before there is a server: cold start, and building a policy.

use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpStream;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;

use crate::compare::Figure;
use crate::compare::Samples;
use crate::compare::Target;
use crate::fixture::Question;
use crate::fixture::Scale;
use crate::measure;
use crate::report::Doubts;
use crate::report::Line;
use crate::report::Measure;
use crate::server::Bench;
use crate::server::World;
use crate::server::free_ports;

const MILLISECONDS: Measure = Measure { unit: "ms", base: "" };

/// From the start of the process to an answer that is right.
pub(super) fn cold_start(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    for (routes, most) in [(1000, 10.0), (100_000, 60.0)] {
        let world = bench.world(Scale::routes(routes))?;
        let question: Vec<Question> = serde_json::from_str(&std::fs::read_to_string(&world.questions)?)?;
        let question = question.first().context("a question")?;
        let (samples, doubts) = medians(bench, || first_answer(bench, &world, question))?;
        let what = format!("cold start, {routes} routes");
        let figure = Figure { ours: samples, base: None };
        let line = Line::judged((row, what), MILLISECONDS, figure, Some(Target::at_most(most)), bench.manner.noise);
        lines.push(line.heed(doubts));
    }
    Ok(lines)
}

/// `postern check`: reading the file, building everything, looking for mistakes.
pub(super) fn build(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let world = bench.world(Scale::routes(100_000))?;
    let (samples, doubts) = medians(bench, || {
        let mut command = Command::new(&bench.manner.postern);
        command.arg("check").arg(&world.policy).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let (child, begin) = spawn(bench, &mut command)?;
        let output = child.wait_with_output()?;
        let took = begin.elapsed();
        if !output.status.success() {
            bail!("the policy is bad: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(took)
    })?;
    let figure = Figure { ours: samples, base: None };
    let what = "`check` of 100000 routes";
    let line = Line::judged((row, what), MILLISECONDS, figure, Some(Target::at_most(1000.0)), bench.manner.noise);
    Ok(vec![line.heed(doubts)])
}

/// Milliseconds: for each try the median of seven.
fn medians(bench: &Bench, mut time: impl FnMut() -> anyhow::Result<Duration>) -> anyhow::Result<(Samples, Doubts)> {
    const STARTS: usize = 7;
    let mut medians = Vec::new();
    let on: Vec<usize> = bench.processors.server.parse().into_iter().collect();
    let (begin, worked, children) = (Instant::now(), measure::worked(&on), measure::children_time());
    for _ in 0..bench.manner.tries {
        let mut times = (0..STARTS).map(|_| time()).collect::<Result<Vec<_>, _>>()?;
        times.sort();
        medians.push(times[STARTS / 2].as_secs_f64() * 1000.0);
    }
    let others = (measure::worked(&on) - worked).saturating_sub(measure::children_time() - children);
    let others = others.as_secs_f64() / begin.elapsed().as_secs_f64();
    Ok((Samples(medians), Doubts { others, load: 0.0 }))
}

/// Start a process on the server's processor, and say when. `taskset` in front of it would count; so a thread goes there,
/// and what it starts stays there.
fn spawn(bench: &Bench, command: &mut Command) -> anyhow::Result<(Child, Instant)> {
    let there = || {
        let thread = std::fs::read_link("/proc/thread-self")?;
        let thread = thread.file_name().context("a thread has a number")?;
        let mut taskset = Command::new("taskset");
        taskset.args(["-p", "-c", &bench.processors.server]).arg(thread).stdout(Stdio::null());
        ensure!(taskset.status()?.success(), "a thread that stays where it is");
        let begin = Instant::now();
        Ok((command.spawn()?, begin))
    };
    thread::scope(|scope| scope.spawn(there).join()).unwrap_or_else(|_| bail!("the thread that starts it panicked"))
}

fn first_answer(bench: &Bench, world: &World, question: &Question) -> anyhow::Result<Duration> {
    let [grpc, http, admin] = free_ports()?.map(|address: SocketAddr| address.to_string());
    let mut command = Command::new(&bench.manner.postern);
    command.arg("serve").arg("--config").arg(&world.policy);
    command.args(["--listen-grpc", &grpc, "--listen-http", &http, "--listen-admin", &admin]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (mut child, begin) = spawn(bench, &mut command)?;
    let answered = answer(&http, question, begin);
    let took = begin.elapsed();
    let _ = child.kill();
    let _ = child.wait();
    answered.map(|()| took)
}

/// Ask until somebody answers.
fn answer(address: &str, question: &Question, begin: Instant) -> anyhow::Result<()> {
    let mut stream = loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) if begin.elapsed() > Duration::from_secs(30) => return Err(error).context("no server came up"),
            Err(_) => thread::sleep(Duration::from_micros(100)),
        }
    };
    let Question { host, path, token, address, allowed } = question;
    let request = format!(
        "GET /auth/caddy HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\nx-forwarded-for: {address}\r\n\
         x-forwarded-host: {host}\r\nx-forwarded-method: GET\r\nx-forwarded-proto: https\r\nx-forwarded-uri: {path}\r\n\
         connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let user = format!("remote-user: {}\r\n", allowed.as_deref().unwrap_or_default());
    if !text.starts_with("HTTP/1.1 200 ") || !text.to_ascii_lowercase().contains(&user) {
        bail!("the first answer is wrong: {text}");
    }
    Ok(())
}
