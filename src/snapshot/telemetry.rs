//! What a collector is told, from what is written.

use std::time::Duration;

use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use url::Host;
use url::Url;

use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::export::settings::OtlpSettings;
use crate::export::settings::Protocol;
use crate::export::settings::Tracing;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::duration;

/// The part of requests that begin a trace unless the policy says otherwise.
const SAMPLE: f64 = 0.01;
/// How many spans may wait unless the policy says otherwise, and the most that may.
const QUEUE: u32 = 2048;
const MOST_QUEUE: u32 = 100_000;

const TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUTS: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_secs(15);
const INTERVALS: std::ops::RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3600);

/// Header fields that are ours to write.
const OURS: [&str; 8] =
    ["connection", "content-encoding", "content-length", "content-type", "host", "te", "transfer-encoding", "upgrade"];

/// Build `telemetry`.
pub(super) fn otlp(
    written: Option<&At<tree::Telemetry>>,
    is_told_lines: bool,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<OtlpSettings> {
    let written = written?;
    let Some(otlp) = &written.otlp else {
        let message = "nobody is told anything";
        problems
            .push(Problem::error(written.place.clone(), "", message).help("write `otlp`, or leave out `telemetry`"));
        return None;
    };
    if otlp.traces.is_none() && otlp.metrics.is_none() && !is_told_lines {
        let message = "the collector is told nothing";
        let help = "write `traces: {sample: 0.01}`, `metrics: {interval: 15s}` or both; or `audit: {otlp: true}`";
        problems.push(Problem::error(otlp.place.clone(), "", message).help(help));
    }
    let endpoint = endpoint(&otlp.endpoint, problems);
    let headers = headers(otlp, surroundings, problems);
    if let Some(endpoint) = &endpoint
        && endpoint.scheme() == "http"
        && !headers.is_empty()
        && !is_loopback(endpoint)
    {
        let message = format!("`headers` go to {endpoint} without encryption");
        problems.push(Problem::warning(otlp.endpoint.place.clone(), "", message).help("write an `https:` URL"));
    }
    let authorities = otlp.ca_file.as_ref().and_then(|file| {
        if endpoint.as_ref().is_some_and(|endpoint| endpoint.scheme() == "http") {
            let message = "nothing is encrypted, so nobody signs for the collector";
            let help = "write an `https:` URL, or leave out `ca_file`";
            problems.push(Problem::error(file.place.clone(), "", message).help(help));
        }
        super::tls::authorities(file, surroundings).map_err(|problem| problems.push(problem)).ok()
    });
    let timeout = duration::read(otlp.timeout.as_ref(), TIMEOUT, "time for a call", TIMEOUTS, problems);
    let metrics = otlp.metrics.as_ref();
    let interval = metrics.map(|metrics| {
        duration::read(metrics.interval.as_ref(), INTERVAL, "time between two accounts", INTERVALS, problems)
    });
    Some(OtlpSettings {
        protocol: match otlp.protocol.as_deref() {
            None | Some(tree::OtlpProtocol::Grpc) => Protocol::Grpc,
            Some(tree::OtlpProtocol::Http) => Protocol::Http,
        },
        headers,
        authorities,
        resource: resource(otlp, problems),
        timeout,
        traces: otlp.traces.as_ref().map(|traces| tracing(traces, problems)),
        metrics: interval,
        endpoint: endpoint?,
    })
}

fn endpoint(written: &At<String>, problems: &mut Problems) -> Option<Url> {
    let unfit = |why: &str| {
        let message = format!("`{}` is not the URL of a collector: {why}", shown(&written.value));
        Problem::error(written.place.clone(), "", message).help("write `http://collector:4317`")
    };
    let problem = match Url::parse(&written.value) {
        Err(error) => unfit(&error.to_string()),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => unfit("it begins with neither `http:` nor `https:`"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            unfit("it holds a user name or password, which belongs into `headers`")
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => unfit("it goes on after its path"),
        Ok(url) => return Some(url),
    };
    problems.push(problem);
    None
}

/// A URL that is no good, without what may be a password in it.
pub(super) fn shown(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => text.to_owned(),
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn headers(otlp: &tree::Otlp, surroundings: &Surroundings<'_>, problems: &mut Problems) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, secret) in otlp.headers.iter() {
        let parsed = HeaderName::try_from(name.value.as_str()).ok();
        let Some(parsed) = parsed.filter(|name| !OURS.contains(&name.as_str()) && !name.as_str().starts_with("grpc-"))
        else {
            let message = format!("`{}` is no header field that can be sent to a collector", name.value);
            problems.push(Problem::error(name.place.clone(), "", message).help("write such a name as `authorization`"));
            continue;
        };
        let value = match surroundings.secret(secret) {
            Ok(value) => value,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        let Ok(mut value) = HeaderValue::from_bytes(value.expose()) else {
            let message = "what it holds is no value of a header field: one line of text";
            problems.push(Problem::error(secret.place.clone(), "", message));
            continue;
        };
        value.set_sensitive(true);
        if headers.insert(parsed, value).is_some() {
            let message = format!("`{}` is there twice", name.value);
            problems.push(Problem::error(name.place.clone(), "", message));
        }
    }
    headers
}

fn resource(otlp: &tree::Otlp, problems: &mut Problems) -> Vec<(String, String)> {
    let name = otlp.service_name.as_ref().map_or("postern", |name| &name.value);
    if let Some(name) = otlp.service_name.as_ref().filter(|name| name.value.trim().is_empty()) {
        problems.push(Problem::error(name.place.clone(), "", "a service has a name").help("write `postern`"));
    }
    let mut resource = vec![
        ("service.name".to_owned(), name.to_owned()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    for (name, value) in otlp.resource.iter() {
        if name.value.is_empty() || name.value == "service.name" || name.value == "service.version" {
            let message = format!("`{}` cannot be set here", name.value);
            problems.push(Problem::error(name.place.clone(), "", message).help("the name goes into `service_name`"));
        }
        resource.push((name.value.clone(), value.value.clone()));
    }
    resource
}

fn tracing(written: &At<tree::Traces>, problems: &mut Problems) -> Tracing {
    let sample = match &written.sample {
        None => SAMPLE,
        Some(sample) if (0.0..=1.0).contains(&sample.value) => sample.value,
        Some(sample) => {
            let message = format!("`{}` is no part of all requests", sample.value);
            problems.push(
                Problem::error(sample.place.clone(), "", message).help("write `0` to `1`: 0.01 is one in a hundred"),
            );
            SAMPLE
        }
    };
    let queue = match &written.queue {
        None => QUEUE,
        Some(spans) if (1..=MOST_QUEUE).contains(&spans.value) => spans.value,
        Some(spans) => {
            let message = format!("a queue cannot hold {} spans", spans.value);
            problems.push(Problem::error(spans.place.clone(), "", message).help(format!("write 1 to {MOST_QUEUE}")));
            QUEUE
        }
    };
    Tracing {
        sample,
        follow_parent: written.parent.as_deref() != Some(&tree::TraceParent::Ignore),
        include_query: written.include_query,
        include_user: written.include_user,
        queue: queue as usize,
    }
}
