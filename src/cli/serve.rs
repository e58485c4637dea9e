//! `postern serve`: from a configuration to a running server, and to its orderly end.

mod files;
mod service;

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;
use tracing::info;
use tracing::warn;

use crate::audit::Audit;
use crate::cli::load::LoadedPolicy;
use crate::cli::print;
use crate::cli::serve::files::PolicyFiles;
use crate::cli::serve::files::Started;
use crate::config::load::Machine;
use crate::config::load::Recorder;
use crate::config::load::World;
use crate::engine::Engine;
use crate::export::Exporter;
use crate::model::listen::Listen;
use crate::model::listen::ListenAddress;
use crate::model::problem::Problems;
use crate::model::reload::ReloadResult;
use crate::server::Server;
use crate::server::Settings;
use crate::server::authorize::Authorize;
use crate::server::bind::Sharing;
use crate::server::control::Control;
use crate::server::inherited::Inherited;
use crate::server::limits::Limits;
use crate::server::reload::Reload;
use crate::server::reload::ReloadDesk;
use crate::server::scrape::Scrape;
use crate::server::watch::Watch;
use crate::snapshot::duration;
use crate::telemetry::Telemetry;
use crate::telemetry::clock;
use crate::telemetry::log;

/// Answer the proxies, until SIGTERM or SIGINT; files that change are read again
#[derive(Args, Debug)]
pub struct Serve {
    /// The policy: a file, or a folder of files
    #[arg(long, short, env = crate::cli::CONFIG_VARIABLE, hide_env_values = true, value_name = "PATH", default_value = crate::cli::DEFAULT_CONFIG)]
    config: PathBuf,
    /// Where to answer Envoy over gRPC, instead of `listen.grpc`
    #[arg(long, value_name = "ADDRESS")]
    listen_grpc: Option<ListenAddress>,
    /// Where to answer forward-auth over HTTP, instead of `listen.http`
    #[arg(long, value_name = "ADDRESS")]
    listen_http: Option<ListenAddress>,
    /// Where to serve health, status and metrics, instead of `listen.admin`
    #[arg(long, value_name = "ADDRESS")]
    listen_admin: Option<ListenAddress>,
    /// Threads that answer checks [default: one for each processor]
    #[arg(long, value_name = "NUMBER", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
    /// At SIGTERM: accept and answer for so long after saying that we are not ready, as 5s
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "0s")]
    drain_delay: Duration,
    /// After that: how long what is under way may take to finish
    #[arg(long, value_name = "TIME", value_parser = parse_time, default_value = "10s")]
    drain_within: Duration,
    /// Listen beside a postern that was started with this switch too and is then told to end: no connection is lost
    #[arg(long)]
    take_over: bool,
    /// Read files again when asked to (SIGHUP, POST /reload), not when they change
    #[arg(long)]
    no_watch: bool,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = LogFormat::Json)]
    log_format: LogFormat,
    /// error, warn, info, debug or trace; or a list as `info,postern::server=debug`
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    Json,
    Pretty,
}

/// What a configuration makes: everything needed to serve.
struct Prepared<A> {
    engine: Arc<A>,
    telemetry: Arc<Telemetry>,
    audit: Option<Arc<Audit>>,
    exporter: Option<Exporter>,
    listen: Listen,
    /// The digest of the policy in force.
    policy: Arc<str>,
    /// The `insecure_` switches that are on.
    insecure: Vec<String>,
}

impl Serve {
    /// Serve until told to stop.
    pub fn run(self) -> anyhow::Result<u8> {
        let format = match self.log_format {
            LogFormat::Json => log::LogFormat::Json,
            LogFormat::Pretty => log::LogFormat::Pretty,
        };
        let names = Machine.env("LISTEN_FDNAMES").unwrap_or_default();
        let inherited = Inherited::take(&names.to_string_lossy())?;
        let log_level = log::start(format, &self.log_level, print::may_colour())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(MAIN_THREADS)
            .thread_name("postern-main")
            .thread_keep_alive(READER_WITHIN)
            .enable_all()
            .build()
            .context("cannot start a runtime")?;
        let outcome = runtime.block_on(async {
            let config = self.config.clone();
            let prepared = tokio::task::spawn_blocking(move || prepare(&config)).await.context("reading the policy")?;
            let Some((mut prepared, files)) = prepared? else { return Ok(crate::cli::INVALID) };
            let mut hangups = signal(SignalKind::hangup()).context("cannot listen for signals")?;
            let audit = prepared.audit.clone();
            let reload = Reload::start(Arc::clone(&prepared.engine), files, clock::now)?;
            let (desk, reloads) = ReloadDesk::new(reload);
            let control = Control {
                policy_path: self.config.display().to_string(),
                reloads: Some(reloads.clone()),
                log_level: Some(log_level),
            };
            let desk = tokio::spawn(desk.run((!self.no_watch).then(Watch::start)));
            let hangups = tokio::spawn(async move {
                while hangups.recv().await.is_some() {
                    info!(signal = "SIGHUP", "reloading");
                    service::reloading();
                    audit.as_ref().inspect(|audit| audit.reopen());
                    let result = reloads.ask().await;
                    if let Err(busy) = &result {
                        warn!(error = %busy, "not reloaded");
                    }
                    service::ready(match result {
                        Ok(ReloadResult::Accepted | ReloadResult::Unchanged) => "serving",
                        Ok(ReloadResult::Refused) | Err(_) => "serving; the last reload failed",
                    });
                }
            });
            let watchdog = tokio::spawn(service::watchdog());
            let _stop_with_us = [desk, hangups, watchdog].map(tokio_util::task::AbortOnDropHandle::new);
            let listen = &mut prepared.listen;
            listen.grpc = self.listen_grpc.or(listen.grpc.take());
            listen.http = self.listen_http.or(listen.http.take());
            listen.admin = self.listen_admin.or(listen.admin.take());
            let memory = Machine.memory_limit();
            let bounds = Limits::default().within(memory);
            let limits = Limits { drain_delay: self.drain_delay, drain: self.drain_within, ..bounds };
            let threads = self.threads.unwrap_or(Settings::default().threads);
            let sharing = if self.take_over { Sharing::Shared } else { Sharing::Alone };
            let server = Server::bind(&prepared.listen, sharing, inherited)?;
            serve(prepared, Settings { threads, limits, control }, server).await.map(|()| 0)
        });
        // A lookup that hangs in the system must not keep the process.
        runtime.shutdown_background();
        outcome
    }
}

/// Read the policy and build what it says. `None` when it is bad, which has been reported then.
fn prepare(config: &Path) -> anyhow::Result<Option<(Prepared<Engine>, PolicyFiles)>> {
    let recorder = Recorder::new(&Machine);
    let Some(policy) = LoadedPolicy::load(config, &recorder, false) else { return Ok(None) };
    let inputs = recorder.finish();
    warn_of(policy.warnings.problems());
    let snapshot = Arc::new(policy.snapshot);
    let telemetry = Arc::new(Telemetry::new()?);
    let start = |settings| Audit::start(settings, telemetry.metrics().audit(), &snapshot.digest).map(Arc::new);
    let audit = snapshot.audit.as_ref().map(start).transpose()?;
    let (listen, digest, insecure) = (snapshot.listen.clone(), Arc::clone(&snapshot.digest), snapshot.insecure.clone());
    let started = Started { audit: snapshot.audit.clone(), otlp: snapshot.otlp.clone() };
    let engine = Arc::new(match &audit {
        None => Engine::new(snapshot, Arc::clone(&telemetry)),
        Some(audit) => Engine::new(snapshot, Arc::clone(&telemetry)).with_audit(Arc::clone(audit)),
    });
    let scrape = Scrape::new(Arc::clone(&engine), Arc::clone(&telemetry));
    let start = |settings| Exporter::start(settings, &telemetry, move || scrape.otlp());
    let exporter = started.otlp.as_ref().map(start).transpose()?;
    let prepared = Prepared { engine, telemetry, audit, exporter, listen, policy: digest, insecure };
    Ok(Some((prepared, PolicyFiles::new(config.to_owned(), policy.loaded, inputs, started))))
}

fn warn_of(warnings: &Problems) {
    for warning in &warnings.0 {
        warn!(place = warning.place.as_ref().map(tracing::field::display), key = %warning.key, "{}", warning.message);
    }
}

fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "write a number from 1".to_owned())
}

fn parse_time(text: &str) -> Result<Duration, String> {
    const LONGEST: Duration = Duration::from_secs(3600);
    let time = duration::parse(text).filter(|time| *time <= LONGEST);
    time.ok_or_else(|| "write a time from `0s` to `1h`, as `5s`".to_owned())
}

/// The accept loops, the admin pages, key fetches and reloads; checks have threads of their own.
const MAIN_THREADS: usize = 2;

/// A policy is read on a thread of its own, which ends when it has had nothing to do for so long. Then the allocator
/// gives back what reading took: several times what a policy takes itself.
const READER_WITHIN: Duration = Duration::from_secs(3);

/// How long the end of the process waits for the last lines of the audit log, and for the collector to take the last spans.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(5);

/// Serve until SIGTERM or SIGINT. A second one ends the process at once.
async fn serve<A: Authorize>(prepared: Prepared<A>, settings: Settings, server: Server) -> anyhow::Result<()> {
    let Prepared { engine, telemetry, audit, exporter, policy, insecure, .. } = prepared;
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    for switch in &insecure {
        warn!(switch = %switch, "an insecure_ switch is on");
    }
    telemetry.metrics().insecure_switches(insecure.iter().map(String::as_str));
    let bound = server.listen();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        policy = &*policy,
        listen.grpc = bound.grpc.as_ref().map(tracing::field::display),
        listen.http = bound.http.as_ref().map(tracing::field::display),
        listen.admin = bound.admin.as_ref().map(tracing::field::display),
        threads = settings.threads.get(),
        memory = Machine.memory_limit(),
        connections = settings.limits.connections,
        "serving"
    );
    service::ready("serving");
    let (delay, drain) = (settings.limits.drain_delay, settings.limits.drain);
    let shutdown = async move {
        let name = signals.next().await;
        service::stopping();
        info!(signal = name, drain.delay = ?delay, drain.within = ?drain, "shutting down");
        tokio::spawn(async move {
            let name = signals.next().await;
            warn!(signal = name, "shutting down at once");
            std::process::exit(1);
        });
    };
    let served = server.run(settings, engine, telemetry, shutdown).await.context("cannot serve");
    // Every answer is out; their lines and spans may not be.
    let written = tokio::task::spawn_blocking(move || audit.is_none_or(|audit| audit.close(LAST_WORDS_WITHIN)));
    let told = tokio::task::spawn_blocking(move || exporter.is_none_or(|exporter| exporter.close(LAST_WORDS_WITHIN)));
    if !written.await.unwrap_or(false) {
        warn!("the audit log is not complete");
    }
    if !told.await.unwrap_or(false) {
        warn!("the collector was not told everything");
    }
    served?;
    info!("stopped");
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}
