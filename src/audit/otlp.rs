//! Lines for a collector that takes OTLP: each is a log record, whose body is the line to the octet.

use std::io;

use crate::audit::collector::Collector;
use crate::audit::collector::Kind;
use crate::audit::collector::Line;
use crate::export::logs::LogCourier;
use crate::telemetry::otlp::nanos;
use crate::telemetry::otlp::text;
use crate::telemetry::otlp::whole_text;
use crate::telemetry::otlp::wire::logs::LogRecord;

/// The severities of OpenTelemetry's data model.
const INFO: i32 = 9;
const WARN: i32 = 13;

/// About the most octets of one call: collectors take 4 MiB.
const MOST_OCTETS: usize = 1024 * 1024;

/// The way of lines to a collector.
pub(super) struct Otlp(pub(super) LogCourier);

impl Otlp {
    /// The longest line that can be sent, in octets.
    pub(super) const LONGEST: usize = 3 * MOST_OCTETS;
}

impl Collector for Otlp {
    fn send(&mut self, lines: &[Line]) -> io::Result<usize> {
        let mut octets = 0;
        let fits = |line: &&Line| {
            octets += line.octets.len();
            octets <= MOST_OCTETS
        };
        let number = lines.iter().take_while(fits).count().max(1);
        self.0.bring(lines.iter().take(number).map(record).collect())?;
        Ok(number)
    }
}

/// A denial is a warning, all else is information.
fn record(line: &Line) -> LogRecord {
    let (severity, event, attributes) = match line.about.kind {
        Kind::Decision { id, allow } => {
            let effect = if allow { "allow" } else { "deny" };
            let attributes = vec![text("postern.decision_id", id.to_string()), text("postern.effect", effect)];
            (if allow { INFO } else { WARN }, "postern.decision", attributes)
        }
        Kind::Event(name) => (INFO, "postern.audit", vec![text("postern.event", name)]),
    };
    LogRecord {
        time_unix_nano: nanos(line.about.at),
        observed_time_unix_nano: nanos(line.about.at),
        severity_number: severity,
        severity_text: if severity == WARN { "WARN" } else { "INFO" }.to_owned(),
        event_name: event.to_owned(),
        // Lines are JSON, which is text.
        body: Some(whole_text(String::from_utf8_lossy(&line.octets))),
        attributes,
    }
}
