//! `audit.http`, from what is written to where it sends.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::audit::settings::BearerFile;
use crate::audit::settings::HttpSettings;
use crate::audit::settings::SpoolSettings;
use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::outbound::Client;
use crate::snapshot::audit::octets;
use crate::snapshot::duration;
use crate::snapshot::telemetry::shown;

/// How large a spool may be unless the policy says otherwise, and how large it can be, in octets.
const SPOOL: u64 = 256 * 1024 * 1024;
const SPOOLS: std::ops::RangeInclusive<u64> = 1024 * 1024..=1024 * 1024 * 1024 * 1024;
/// The same for the lines of a batch.
const BATCH: usize = 500;
const MOST_BATCH: u32 = 10_000;
/// And for the time that a batch that is not whole waits for more lines, and an answer is waited for.
const INTERVAL: Duration = Duration::from_secs(1);
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

/// Build it.
pub(super) fn http(
    written: &At<tree::AuditHttp>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<HttpSettings> {
    let url = url(written).map_err(|problem| problems.push(problem)).ok();
    let authorities = match &written.ca_file {
        None => Some(None),
        Some(file) => authorities(file, surroundings).map_err(|problem| problems.push(problem)).ok().map(Some),
    };
    let bearer = written.bearer_file.as_ref().map(|file| {
        problems.0.extend(surroundings.open_to_others(file));
        BearerFile::new(file.value.clone(), surroundings.reader(file))
    });
    let interval = duration::read(written.interval.as_ref(), INTERVAL, "time between batches", INTERVALS, problems);
    let timeout = duration::read(written.timeout.as_ref(), TIMEOUT, "time to wait for an answer", TIMEOUTS, problems);
    let spool = spool(written, interval, problems);
    let insecure_url = written.insecure_url;
    Some(HttpSettings { url: url?, authorities: authorities?, bearer, insecure_url, timeout, spool: spool? })
}

fn url(written: &At<tree::AuditHttp>) -> Result<Url, Problem> {
    let text = &written.url.value;
    let unfit = |what: &str, help: &str| {
        Problem::error(written.url.place.clone(), "", format!("`{}` {what}", shown(text))).help(help)
    };
    let url = Url::parse(text).map_err(|_| unfit("is not a URL", "write `https://logs.corp.test/audit`"))?;
    if !url.username().is_empty() || url.password().is_some() {
        let message = "a URL with a user name or password is not asked";
        return Err(Problem::error(written.url.place.clone(), "", message).help("write `bearer_file`"));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if written.insecure_url => Ok(url),
        _ => Err(unfit("is not an https URL", "write https, or `insecure_url: true` for a test")),
    }
}

fn authorities(file: &At<String>, surroundings: &Surroundings<'_>) -> Result<Vec<u8>, Problem> {
    let authorities = surroundings.file(file)?;
    match Client::trusting(&authorities) {
        Ok(_) => Ok(authorities),
        Err(error) => {
            let message = format!("`{}` cannot be used: {error}", file.value);
            Err(Problem::error(file.place.clone(), "", message).help("name a PEM file of CA certificates"))
        }
    }
}

fn spool(written: &At<tree::AuditHttp>, interval: Duration, problems: &mut Problems) -> Option<SpoolSettings> {
    let path = PathBuf::from(&written.spool.value);
    if !path.is_absolute() {
        let message = format!("`{}` is not an absolute path", written.spool.value);
        problems.push(
            Problem::error(written.spool.place.clone(), "", message).help("write `/var/lib/postern/audit-spool`"),
        );
    }
    let size = written.spool_size.as_ref().map_or(Some(SPOOL), |size| {
        let octets = octets(size).filter(|octets| SPOOLS.contains(octets));
        if octets.is_none() {
            let message = format!("`{}` is not the size of a spool", size.value);
            problems.push(Problem::error(size.place.clone(), "", message).help("write `1MiB` to `1TiB`"));
        }
        octets
    })?;
    let batch = match &written.batch {
        None => BATCH,
        Some(lines) if (1..=MOST_BATCH).contains(&lines.value) => lines.value as usize,
        Some(lines) => {
            let message = format!("a batch cannot have {} lines", lines.value);
            let help = format!("write 1 to {MOST_BATCH}");
            problems.push(Problem::error(lines.place.clone(), "", message).help(help));
            return None;
        }
    };
    Some(SpoolSettings { path, size, batch, interval })
}
