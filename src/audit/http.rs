//! Lines to an HTTP collector: batches from a spool as `application/x-ndjson`, one after the other, each until it is
//! acknowledged.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use tracing::info;

use crate::audit::settings::HttpSettings;
use crate::audit::spool::Spool;
use crate::audit::writer::Trouble;
use crate::outbound;
use crate::outbound::Asked;
use crate::outbound::Client;
use crate::outbound::Limits;
use crate::outbound::OutboundError;
use crate::outbound::Reach;
use crate::telemetry::clock;
use crate::telemetry::metrics::SinkMetrics;

const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");

/// How often it is looked whether there is something to do.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Between two attempts.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(15);

/// Sends batches.
pub(super) struct Poster {
    settings: HttpSettings,
    client: Client,
    /// Its thread looks after connections while nothing is sent.
    runtime: tokio::runtime::Runtime,
}

impl Poster {
    /// Nothing is sent yet.
    pub(super) fn new(settings: &HttpSettings) -> io::Result<Poster> {
        let client = match &settings.authorities {
            Some(authorities) => Client::trusting(authorities),
            None => Client::new(&outbound::Settings::default()),
        };
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(1).thread_name("postern-http").enable_all().build()?;
        Ok(Poster { settings: settings.clone(), client: client.map_err(io::Error::other)?, runtime })
    }

    /// Send what is in the spool until it is closed.
    pub(super) fn run(self, spool: &Arc<Spool>, metrics: &SinkMetrics) {
        let _told = TellsTheEnd(spool);
        let (mut trouble, mut failing, mut wait) = (Trouble::default(), false, RETRY_FIRST);
        loop {
            let error = match self.step(spool, metrics) {
                Ok(Step::Sent) => {
                    wait = RETRY_FIRST;
                    if std::mem::take(&mut failing) {
                        metrics.failing(false);
                        info!(sink = "http", "audit lines are taken again");
                    }
                    continue;
                }
                Ok(Step::Nothing) => continue,
                Ok(Step::End) => return,
                Err(error) => error,
            };
            failing = true;
            metrics.failing(true);
            metrics.error();
            trouble.tell(&error, "http", "audit lines are not taken");
            let left = |until: std::time::Instant| until.saturating_duration_since(clock::instant());
            match spool.pause(wait).map(left) {
                Some(left) if left <= RETRY_FIRST => {
                    info!(lines = spool.lines(), "audit lines stay in the spool until the next start");
                    return;
                }
                Some(_) => std::thread::sleep(RETRY_FIRST),
                None => wait = (wait * 2).min(RETRY_LAST),
            }
        }
    }

    fn step(&self, spool: &Spool, metrics: &SinkMetrics) -> io::Result<Step> {
        metrics.waiting(usize::try_from(spool.lines()).unwrap_or(usize::MAX));
        let (batch, until) = spool.first(LOOK_EVERY)?;
        let Some(batch) = batch else { return Ok(if until.is_some() { Step::End } else { Step::Nothing }) };
        if batch.octets.is_empty() {
            // Somebody has removed it. What comes after it is not to wait for ever.
            metrics.dropped(batch.lines);
            spool.done(batch.number)?;
            return Err(io::Error::new(io::ErrorKind::NotFound, "a file of the spool is gone, with the lines in it"));
        }
        metrics.waiting(usize::try_from(spool.lines()).unwrap_or(usize::MAX));
        let left = until.map_or(self.settings.timeout, |until| until.saturating_duration_since(clock::instant()));
        self.post(batch.octets.into(), left.min(self.settings.timeout))?;
        metrics.sent(batch.lines);
        spool.done(batch.number)?;
        metrics.waiting(usize::try_from(spool.lines()).unwrap_or(usize::MAX));
        Ok(Step::Sent)
    }

    fn post(&self, lines: Bytes, within: Duration) -> io::Result<()> {
        let HttpSettings { url, bearer, insecure_url, .. } = &self.settings;
        let mut headers = HeaderMap::new();
        if let Some(bearer) = bearer {
            headers.insert(AUTHORIZATION, bearer.header()?);
        }
        // Whoever writes the policy names the collector itself, which is mostly in one's own network.
        let limits = Limits { total: within, reach: Reach::Any, insecure_http: *insecure_url, ..Limits::default() };
        let asked = Asked::Post { media: NDJSON, body: lines };
        match self.runtime.block_on(self.client.ask(url, asked, headers, &limits)) {
            Ok(reply) if reply.status.is_success() => Ok(()),
            Ok(reply) => {
                Err(io::Error::other(format!("`{}` answered {}", outbound::shown(url), reply.status.as_u16())))
            }
            // It was status 200; what else it says is not of interest.
            Err(OutboundError::TooLarge { .. }) => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

enum Step {
    Sent,
    Nothing,
    End,
}

/// Says at the end, however it comes, that nobody needs to wait.
struct TellsTheEnd<'s>(&'s Spool);

impl Drop for TellsTheEnd<'_> {
    fn drop(&mut self) {
        self.0.closed();
    }
}
