//! The audit log: one line of JSON for every decision, made where the decision is and written by a thread of its own.
//!
//! [`Audit`] takes records; `queue` holds their lines until `writer` makes a chain of them (`chain`, `signer`) for a
//! `sink`, which is a `file` or stdout. What it has taken goes on to each `collector` over an `outbox` and a `sender`
//! thread of its own. `tail` finds where an earlier process stopped, and [`verify`] judges the result.

mod cef;
mod chain;
mod collector;
mod file;
pub mod form;
mod http;
mod json;
mod line;
mod ocsf;
mod otlp;
mod outbox;
pub mod pseudonym;
mod queue;
pub mod replay;
mod sender;
pub mod settings;
pub mod signer;
mod sink;
mod spool;
mod syslog;
mod tail;
pub mod verify;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::audit::chain::Chain;
use crate::audit::chain::Link;
use crate::audit::chain::hash;
use crate::audit::chain::hex;
use crate::audit::collector::About;
use crate::audit::collector::Collector;
use crate::audit::collector::Kind;
use crate::audit::file::LogFile;
use crate::audit::form::Form;
use crate::audit::http::Poster;
use crate::audit::otlp::Otlp;
use crate::audit::outbox::Outbox;
use crate::audit::queue::Queue;
use crate::audit::settings::AuditSettings;
use crate::audit::settings::Collection;
use crate::audit::settings::Target;
use crate::audit::settings::WhenFull;
use crate::audit::sink::Nowhere;
use crate::audit::sink::Sink;
use crate::audit::sink::Stdout;
use crate::audit::spool::Spool;
use crate::audit::syslog::Syslog;
use crate::audit::tail::Tail;
use crate::audit::writer::Writer;
use crate::export::ExportError;
use crate::export::logs::LogCourier;
use crate::model::decision::Effect;
use crate::model::record::Record;
use crate::model::status::AuditStatus;
use crate::telemetry::clock;
use crate::telemetry::metrics::AuditMetrics;
use crate::telemetry::metrics::SinkMetrics;

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the audit log `{path}` cannot be opened")]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the collector of the audit log cannot be told anything")]
    Collector(#[from] ExportError),
    #[error("the spool `{path}` of the audit log cannot be used")]
    Spool {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("audit lines cannot be sent by HTTP")]
    Http(#[source] io::Error),
    #[error("no thread for the audit log")]
    Thread(#[source] io::Error),
}

/// The audit log of this process.
pub struct Audit {
    queue: Arc<Queue>,
    outboxes: Vec<Arc<Outbox>>,
    deliveries: Vec<Delivery>,
    form: Form,
    replay: bool,
    when_full: WhenFull,
    metrics: AuditMetrics,
}

/// Lines that were put into a spool, on their way out of it.
struct Delivery {
    spool: Arc<Spool>,
    name: &'static str,
    metrics: SinkMetrics,
}

impl Audit {
    /// Begin to write, or go on where an earlier process stopped. `policy` is the digest of the one in force.
    pub fn start(settings: &AuditSettings, metrics: AuditMetrics, policy: &str) -> Result<Audit, AuditError> {
        let queue = Arc::new(Queue::new(settings.queue));
        let (mut outboxes, mut deliveries) = (Vec::new(), Vec::new());
        for collection in &settings.collections {
            outboxes.push(collect(collection, settings, &metrics, &mut deliveries)?);
        }
        let audit = Audit {
            queue: Arc::clone(&queue),
            outboxes: outboxes.clone(),
            deliveries,
            form: settings.form.clone(),
            replay: settings.replay,
            when_full: settings.when_full,
            metrics: metrics.clone(),
        };
        match &settings.target {
            Target::Stdout => spawn(Stdout, Tail::default(), settings, metrics, policy, queue, outboxes)?,
            Target::Nowhere => spawn(Nowhere, Tail::default(), settings, metrics, policy, queue, outboxes)?,
            Target::File(path) => {
                let opened = LogFile::open(path, settings.rotation.clone(), clock::now());
                let (file, tail) = opened.map_err(|source| AuditError::Open { path: path.clone(), source })?;
                spawn(file, tail, settings, metrics, policy, queue, outboxes)?;
            }
        }
        Ok(audit)
    }

    /// Leave the line of a decision to the writer. `false`: it will not be written. Never waits. An allow that is not
    /// kept where lines are required becomes a denial, which is brought in its place.
    pub fn record(&self, record: &Record<'_>) -> bool {
        let allow = record.decision.effect() == Effect::Allow;
        let body = self.form.decision(record);
        let about = About { at: record.at, kind: Kind::Decision { id: record.decision_id, allow } };
        let kept = !self.refuses(body.len(), allow) && self.queue.offer(&body, about);
        let comes_back = allow && self.is_required();
        if !kept && !comes_back {
            self.queue.drop_one();
            self.metrics.dropped(1);
        }
        kept
    }

    /// Is this line not even queued, where nobody passes without one? A denial is one also when a collector has no room
    /// for its line.
    fn refuses(&self, body: usize, allow: bool) -> bool {
        let crowded = || allow && self.outboxes.iter().any(|outbox| !outbox.has_room(body));
        self.when_full == WhenFull::Refuse && (self.queue.is_failing() || crowded())
    }

    /// Do lines hold what another policy needs to judge their requests again?
    pub fn keeps_replays(&self) -> bool {
        self.replay
    }

    /// May nobody pass without a line?
    pub fn is_required(&self) -> bool {
        self.when_full == WhenFull::Refuse
    }

    /// How it stands.
    pub fn status(&self) -> AuditStatus {
        AuditStatus {
            queued: self.queue.waiting(),
            room: self.queue.room(),
            failing: self.queue.is_failing(),
            sinks: {
                let delivered = self.deliveries.iter().map(|delivery| delivery.metrics.status(delivery.name));
                self.outboxes.iter().map(|outbox| outbox.status()).chain(delivered).collect()
            },
            ..self.metrics.status()
        }
    }

    /// The file may have been moved away: begin it again if it was.
    pub fn reopen(&self) {
        self.queue.reopen();
    }

    /// Write what is left, and end. Waits so long for it, and says whether it is done. Nothing is kept afterwards.
    pub fn close(&self, within: Duration) -> bool {
        let until = clock::instant() + within;
        let written = self.queue.close(within);
        // Each collector tries in its own thread, all until the same moment.
        self.outboxes.iter().for_each(|outbox| outbox.close(until));
        let left = || until.saturating_duration_since(clock::instant());
        let whole = self.outboxes.iter().fold(written, |whole, outbox| outbox.is_closed_by(left()) && whole);
        // What is in a spool is not lost: the next process sends it.
        self.deliveries.iter().for_each(|delivery| delivery.spool.close(until));
        self.deliveries.iter().for_each(|delivery| delivery.spool.await_closed(left()));
        whole
    }
}

impl std::fmt::Debug for Audit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Audit")
    }
}

/// Start the thread of a collector, and give what its lines wait in.
fn collect(
    collection: &Collection,
    settings: &AuditSettings,
    metrics: &AuditMetrics,
    deliveries: &mut Vec<Delivery>,
) -> Result<Arc<Outbox>, AuditError> {
    let outbox = |name: &'static str, longest: usize| {
        let promised = settings.when_full == WhenFull::Refuse;
        Arc::new(Outbox::new(name, settings.queue, longest, promised, metrics.sink(name)))
    };
    match collection {
        Collection::Otlp(otlp) => send(Otlp(LogCourier::new(otlp)?), outbox("otlp", Otlp::LONGEST)),
        Collection::Syslog(syslog) => send(Syslog::new(syslog.clone()), outbox("syslog", Syslog::longest(syslog))),
        Collection::Http(http) => {
            let path = &http.spool.path;
            let spool = Spool::open(&http.spool).map_err(|source| AuditError::Spool { path: path.clone(), source })?;
            let delivery = Delivery { spool: Arc::new(spool), name: "http", metrics: metrics.sink("http") };
            let poster = Poster::new(http).map_err(AuditError::Http)?;
            let (spool, metrics) = (Arc::clone(&delivery.spool), delivery.metrics.clone());
            let thread = thread::Builder::new().name("postern-http".to_owned());
            thread.spawn(move || poster.run(&spool, &metrics)).map_err(AuditError::Thread)?;
            let spool = Arc::clone(&delivery.spool);
            deliveries.push(delivery);
            send(spool, outbox("spool", usize::MAX))
        }
    }
}

/// A thread for a collector.
fn send<C: Collector + 'static>(collector: C, outbox: Arc<Outbox>) -> Result<Arc<Outbox>, AuditError> {
    let run = {
        let outbox = Arc::clone(&outbox);
        move || sender::run(collector, &outbox)
    };
    let name = format!("postern-{}", outbox.name());
    thread::Builder::new().name(name).spawn(run).map(|_thread| outbox).map_err(AuditError::Thread)
}

/// Start the thread that writes, with what is to be said first.
fn spawn<S: Sink + 'static>(
    sink: S,
    tail: Tail,
    settings: &AuditSettings,
    metrics: AuditMetrics,
    policy: &str,
    queue: Arc<Queue>,
    outboxes: Vec<Arc<Outbox>>,
) -> Result<(), AuditError> {
    let chain = match settings.chain {
        true => Chain::after(tail.last.unwrap_or(Link::START), settings.signer.clone()),
        false => Chain::unlinked(),
    };
    let chain = chain.in_format(settings.form.format);
    let now = clock::now();
    let mut writer = Writer::new(sink, chain, settings.fsync, metrics).with_outboxes(outboxes);
    if tail.needs_end {
        writer.put_raw(b"\n");
    }
    if !tail.torn.is_empty() {
        let torn = |line: &mut json::Members<'_>| {
            line.number("octets", tail.torn.len() as u64);
            line.plain("sha256", hex(&hash(&tail.torn)));
        };
        writer.put("torn", now, |chain, out| chain.event("torn", now, torn, out));
    }
    let started = |line: &mut json::Members<'_>| {
        line.text("version", env!("CARGO_PKG_VERSION"));
        line.text("policy", policy);
    };
    // What an earlier process had no time to sign is vouched for at once.
    writer.put("start", now, |chain, out| chain.signed("start", now, started, out));
    // Whoever needs lines knows from the first request on whether there can be any.
    queue.set_failing(writer.push(clock::instant(), false).is_err());
    let run = move || writer::run(writer, &queue);
    thread::Builder::new().name("postern-audit".to_owned()).spawn(run).map(drop).map_err(AuditError::Thread)
}
