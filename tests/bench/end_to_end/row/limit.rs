//! What everybody else feels of it when the store of limits is killed, paused or slow.

use std::fs;
use std::net::TcpStream;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use rustix::process::Pid;
use rustix::process::Signal;
use rustix::process::kill_process;

use crate::compare::Figure;
use crate::compare::Target;
use crate::fixture::Question;
use crate::fixture::Scale;
use crate::load::Load;
use crate::load::Outcome;
use crate::load::Protocol;
use crate::report::Line;
use crate::report::Measure;
use crate::row::doubts;
use crate::row::pace::quantiles;
use crate::row::pace::tail;
use crate::server::Bench;
use crate::server::World;
use crate::server::free_ports;

/// Questions a second to each of both hosts: well below what can be answered.
const RATE: f64 = 1500.0;
/// Half of all that comes to a slow store comes while it does something else for so long, in seconds.
const BUSY: &str = "0.02";

/// Two loads at once: to a host that Redis counts, and to one that nobody counts. The second is measured.
pub(super) fn away(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    if !Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        let why = "MISSING: no redis-server; Debian has it under this name";
        return Ok(vec![Line::not_run(row, "the store of limits away", why)]);
    }
    let mut redis = Redis::start(bench.folder())?;
    let world = bench.world(Scale { hosts: 2, redis: Some(redis.port), ..Scale::routes(100) })?;
    let [counted, free] = split(&world, bench.folder())?;
    let server = bench.postern(&world, &bench.processors.server)?;
    let plan = |questions| Load {
        rate: Some(RATE),
        streams: 256,
        questions,
        may_shed: true,
        ..bench.plan(Protocol::Grpc, &server, &world)
    };
    let (counted, free) = (plan(counted), Load { may_shed: false, ..plan(free) });
    let mut rounds: [Vec<Outcome>; 4] = Default::default();
    let mut refused: [u64; 4] = [0; 4];
    for _ in 0..bench.manner.rounds {
        for (trouble, name) in Trouble::ALL.into_iter().enumerate() {
            redis.suffer(name)?;
            let (measured, others) = thread::scope(|scope| {
                let others = scope.spawn(|| bench.load(&counted));
                (bench.load(&free), others.join())
            });
            redis.recover()?;
            let others = others.ok().context("the second load")??;
            refused[trouble] += others.kinds.get("503").copied().unwrap_or(0) * 100 / others.answers.max(1);
            rounds[trouble].push(measured?);
        }
    }
    let [before, troubles @ ..] = &rounds;
    let line = |number: usize, outcomes: &Vec<Outcome>| {
        let figure = Figure { ours: tail(outcomes), base: Some(tail(before)) };
        let measure = Measure { unit: "us p99", base: "all well" };
        let what = format!("routes that are not counted, Redis {}", Trouble::ALL[number + 1].name());
        let line = Line::judged((row, what), measure, figure, Some(Target::at_most(2.0)), bench.manner.noise);
        let refused = refused[number + 1] / bench.manner.rounds as u64;
        let said =
            format!("{}; all well {}; {refused} % of the counted are 503", quantiles(outcomes), quantiles(before));
        line.note(said).heed(doubts(before.iter().chain(outcomes)))
    };
    Ok(troubles.iter().enumerate().map(|(number, outcomes)| line(number, outcomes)).collect())
}

/// The questions to each of the hosts, in files of their own.
fn split(world: &World, folder: &Path) -> anyhow::Result<[std::path::PathBuf; 2]> {
    let questions: Vec<Question> = serde_json::from_slice(&fs::read(&world.questions)?)?;
    let (counted, free): (Vec<Question>, Vec<Question>) =
        questions.into_iter().partition(|question| question.host.starts_with("app-00000."));
    let paths = [folder.join("counted.json"), folder.join("free.json")];
    for (path, questions) in paths.iter().zip([counted, free]) {
        fs::write(path, serde_json::to_vec(&questions)?)?;
    }
    Ok(paths)
}

#[derive(Clone, Copy, Debug)]
enum Trouble {
    None,
    Killed,
    Paused,
    Slow,
}

impl Trouble {
    const ALL: [Trouble; 4] = [Trouble::None, Trouble::Killed, Trouble::Paused, Trouble::Slow];

    fn name(self) -> &'static str {
        match self {
            Trouble::None => "well",
            Trouble::Killed => "killed",
            Trouble::Paused => "paused",
            Trouble::Slow => "slow",
        }
    }
}

/// A server, and what befalls it.
struct Redis {
    port: u16,
    folder: std::path::PathBuf,
    server: Child,
    paused: bool,
    busy: Option<Child>,
}

impl Redis {
    fn start(folder: &Path) -> anyhow::Result<Redis> {
        let [address] = free_ports()?;
        let (port, folder) = (address.port(), folder.to_owned());
        let server = run(port, &folder)?;
        Ok(Redis { port, folder, server, paused: false, busy: None })
    }

    fn suffer(&mut self, trouble: Trouble) -> anyhow::Result<()> {
        match trouble {
            Trouble::None => {}
            Trouble::Killed => self.end(),
            Trouble::Paused => {
                self.signal(Signal::STOP)?;
                self.paused = true;
            }
            Trouble::Slow => {
                let port = self.port.to_string();
                // For at most five minutes.
                let many = ["-p", &port, "-r", "7500", "-i", BUSY, "debug", "sleep", BUSY];
                self.busy = Some(Command::new("redis-cli").args(many).stdout(Stdio::null()).spawn()?);
            }
        }
        Ok(())
    }

    /// Be well again, and be asked again.
    fn recover(&mut self) -> anyhow::Result<()> {
        if let Some(mut busy) = self.busy.take() {
            busy.kill()?;
            busy.wait()?;
        }
        if self.paused {
            self.signal(Signal::CONT)?;
            self.paused = false;
        }
        if self.server.try_wait()?.is_some() {
            self.server = run(self.port, &self.folder)?;
        }
        // The longest that one who has lost it waits before trying again.
        thread::sleep(Duration::from_millis(1600));
        Ok(())
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.server.id()).ok().and_then(Pid::from_raw).context("a process")?;
        Ok(kill_process(pid, signal)?)
    }

    fn end(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut busy) = self.busy.take() {
            let _ = busy.kill();
            let _ = busy.wait();
        }
        self.end();
    }
}

fn run(port: u16, folder: &Path) -> anyhow::Result<Child> {
    let mut command = Command::new("redis-server");
    command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--enable-debug-command", "yes"]);
    let mut child = command.arg("--dir").arg(folder).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let patience = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if child.try_wait()?.is_some() || Instant::now() > patience {
            bail!("redis-server does not listen on port {port}");
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(child)
}
