//! The servers under measurement, each a process on processors of its own choice, and the load as another.

use std::fs;
use std::fs::File;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::path::Path;
use std::path::PathBuf;
use std::process::Child;
use std::process::Command;
use std::process::Stdio;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use clap::ValueEnum;
use tempfile::TempDir;

use crate::fixture::CALLERS;
use crate::fixture::Issuer;
use crate::fixture::Scale;
use crate::floor::Floor;
use crate::load::Load;
use crate::load::Outcome;
use crate::load::Protocol;
use crate::measure;

/// How to measure.
pub(crate) struct Manner {
    pub(crate) rounds: usize,
    /// Of one run.
    pub(crate) seconds: f64,
    pub(crate) warm_up: f64,
    /// How often what needs no rounds is repeated: starts, and the like.
    pub(crate) tries: usize,
    /// The spread past which nothing is claimed.
    pub(crate) noise: f64,
    /// Ahead of all other work on the machine.
    pub(crate) first: bool,
    /// The policy server's binary.
    pub(crate) postern: PathBuf,
}

/// What every measurement needs.
pub(crate) struct Bench {
    pub(crate) manner: Manner,
    pub(crate) processors: Processors,
    pub(crate) issuer: Issuer,
    folder: TempDir,
}

/// Who runs where.
#[derive(Clone, Debug)]
pub(crate) struct Processors {
    pub(crate) server: String,
    pub(crate) load: String,
    pub(crate) both: String,
}

impl Processors {
    /// The wanted two, or the first two that we may use.
    pub(crate) fn find(wanted: &[usize]) -> anyhow::Result<Processors> {
        if !Command::new("taskset").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success())
        {
            bail!("taskset is missing, without which processes wander between processors: install util-linux");
        }
        let usable = measure::processors();
        if let Some(other) = wanted.iter().find(|wanted| !usable.contains(wanted)) {
            bail!("there is no processor {other} for us; there are {usable:?}");
        }
        match *if wanted.is_empty() { &usable } else { wanted } {
            [server, load, ..] => {
                let (server, load) = (server.to_string(), load.to_string());
                Ok(Processors { both: format!("{server},{load}"), server, load })
            }
            _ => bail!("one processor is not enough: a load beside the server would measure itself"),
        }
    }
}

/// Policy, keys and questions of one scale, as files.
pub(crate) struct World {
    pub(crate) policy: PathBuf,
    pub(crate) questions: PathBuf,
}

impl Bench {
    pub(crate) fn new(manner: Manner, wanted: &[usize]) -> anyhow::Result<Bench> {
        let (processors, issuer) = (Processors::find(wanted)?, Issuer::new()?);
        if manner.first {
            go_first(true).context("only root may go ahead of others")?;
        }
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR"))?;
        Ok(Bench { manner, processors, issuer, folder })
    }

    /// A folder for files.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Write the files of a scale, unless they are there.
    pub(crate) fn world(&self, scale: Scale) -> anyhow::Result<World> {
        self.world_of(scale, CALLERS)
    }

    /// The same with so many different callers.
    pub(crate) fn world_of(&self, scale: Scale, callers: usize) -> anyhow::Result<World> {
        let Scale { routes, hosts, token_cache, audit, redis } = scale;
        let name = format!("{routes}-{hosts}-{token_cache:?}-{audit:?}-{redis:?}-{callers}");
        let folder = self.folder().join(name);
        let world = World { policy: folder.join("policy.yaml"), questions: folder.join("questions.json") };
        if !folder.exists() {
            fs::create_dir(&folder)?;
            scale.write(&self.issuer, &folder)?;
            fs::write(&world.questions, serde_json::to_vec(&scale.questions(&self.issuer, callers)?)?)?;
        }
        Ok(world)
    }

    /// Start the policy server, and wait until it listens.
    pub(crate) fn postern(&self, world: &World, processors: &str) -> anyhow::Result<Server> {
        let [grpc, http, admin] = free_ports()?;
        let mut command = self.pinned(processors, &self.manner.postern);
        command.arg("serve").arg("--config").arg(&world.policy);
        command.args(["--listen-grpc", &grpc.to_string(), "--listen-http", &http.to_string()]);
        command.args(["--listen-admin", &admin.to_string()]);
        self.start("postern", &mut command, (grpc, http), processors)
    }

    /// Start a floor.
    pub(crate) fn floor(&self, floor: Floor) -> anyhow::Result<Server> {
        let [listen] = free_ports()?;
        let mut command = self.pinned(&self.processors.server, &std::env::current_exe()?);
        let kind = floor.to_possible_value().context("a floor has a name")?;
        command.args(["floor", kind.get_name(), "--listen", &listen.to_string()]);
        self.start("floor", &mut command, (listen, listen), &self.processors.server)
    }

    /// Start a process that was pinned to these processors, and wait until it listens at both addresses.
    pub(crate) fn start(
        &self,
        name: &str,
        command: &mut Command,
        (grpc, http): (SocketAddr, SocketAddr),
        processors: &str,
    ) -> anyhow::Result<Server> {
        let log = self.folder().join(format!("{name}-{}.log", grpc.port()));
        let file = File::create(&log)?;
        let command = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("starting {name}"))?;
        let mut server = Server { child, grpc, http, log, on: processors.to_owned() };
        let patience = Instant::now() + Duration::from_secs(30);
        while [grpc, http].iter().any(|address| TcpStream::connect(address).is_err()) {
            if server.child.try_wait()?.is_some() || Instant::now() > patience {
                bail!("{name} does not listen; it says:\n{}", fs::read_to_string(&server.log).unwrap_or_default());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    /// Run a load, and refuse what it found if an answer was wrong or missing.
    pub(crate) fn load(&self, load: &Load) -> anyhow::Result<Outcome> {
        let outcome = self.ask(load)?;
        if let Some(example) = outcome.example.as_ref().filter(|_| outcome.wrong > 0) {
            bail!("{} of {} answers are wrong; one of them: {example}", outcome.wrong, outcome.answers);
        }
        if outcome.answers == 0 || (outcome.unanswered > 0 && !load.may_shed) {
            bail!("{} questions had no answer in {} ms", outcome.unanswered, load.patience);
        }
        Ok(outcome)
    }

    /// Run a load in a process of its own.
    pub(crate) fn ask(&self, load: &Load) -> anyhow::Result<Outcome> {
        let mut command = self.pinned(&self.processors.load, &std::env::current_exe()?);
        let output = command.arg("load").args(load.arguments()).stdin(Stdio::null()).output()?;
        if !output.status.success() {
            bail!("the load failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// A load as rows usually want it.
    pub(crate) fn plan(&self, protocol: Protocol, server: &Server, world: &World) -> Load {
        let grpc = protocol == Protocol::Grpc;
        Load {
            protocol,
            target: if grpc { server.grpc } else { server.http },
            questions: world.questions.clone(),
            connections: if grpc { 4 } else { 64 },
            streams: if grpc { 16 } else { 1 },
            warm_up: self.manner.warm_up,
            seconds: self.manner.seconds,
            rate: None,
            patience: 5000,
            everybody: None,
            nameless: false,
            may_shed: false,
            watch: vec![server.id()],
            on: server.on.split(',').filter_map(|processor| processor.parse().ok()).collect(),
        }
    }

    /// Run loads by turns: the first and the second in one round, the second and the first in the next.
    pub(crate) fn by_turns<const N: usize>(&self, loads: &[Load; N]) -> anyhow::Result<[Vec<Outcome>; N]> {
        let mut outcomes: [Vec<Outcome>; N] = std::array::from_fn(|_| Vec::new());
        for round in 0..self.manner.rounds {
            let mut order: Vec<usize> = (0..N).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for turn in order {
                outcomes[turn].push(self.load(&loads[turn])?);
            }
        }
        Ok(outcomes)
    }

    /// A command on these processors.
    pub(crate) fn pinned(&self, processors: &str, program: &Path) -> Command {
        let mut command = Command::new(if self.manner.first { "nice" } else { "taskset" });
        if self.manner.first {
            command.args(["-n", "-20", "taskset"]);
        }
        command.arg("-c").arg(processors).arg(program);
        command
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if self.manner.first {
            // What else runs in this session goes on as before.
            let _ = go_first(false);
        }
    }
}

/// Where the system shares time out among sessions, `nice` counts only within one; so the session itself goes ahead.
fn go_first(first: bool) -> std::io::Result<()> {
    const SESSION: &str = "/proc/self/autogroup";
    if !Path::new(SESSION).exists() {
        return Ok(());
    }
    fs::write(SESSION, if first { "-20" } else { "0" })
}

/// A running server; it ends with this.
pub(crate) struct Server {
    child: Child,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    log: PathBuf,
    /// Its processors.
    on: String,
}

impl Server {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Ports that nobody uses.
pub(crate) fn free_ports<const N: usize>() -> anyhow::Result<[SocketAddr; N]> {
    // Held together, so that they differ.
    let listeners = (0..N).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<Vec<_>, _>>()?;
    let addresses = listeners.iter().map(TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
    addresses.try_into().ok().context("as many ports as were asked for")
}
