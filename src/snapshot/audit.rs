//! The audit log, from what is written to how it is kept.

mod http;
mod syslog;

use std::path::PathBuf;
use std::time::Duration;

use crate::audit::form::Form;
use crate::audit::form::Format;
use crate::audit::form::Redact;
use crate::audit::pseudonym::Pseudonyms;
use crate::audit::pseudonym::SHORTEST_KEY;
use crate::audit::settings::AuditSettings;
use crate::audit::settings::Collection;
use crate::audit::settings::Fsync;
use crate::audit::settings::QUEUE;
use crate::audit::settings::Rotation;
use crate::audit::settings::Target;
use crate::audit::settings::WhenFull;
use crate::audit::signer::Signer;
use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::config::tree::SecretRef;
use crate::export::settings::OtlpSettings;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::duration;

/// The most lines that may wait.
const MOST_QUEUE: u32 = 1_000_000;

/// The smallest file that is put aside, and the largest.
const SIZES: std::ops::RangeInclusive<u64> = 1024 * 1024..=1024 * 1024 * 1024 * 1024;
/// The same for its age.
const AGES: std::ops::RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(366 * 86_400);

/// Build `audit`.
pub(super) fn audit(
    written: Option<&At<tree::Audit>>,
    collector: Option<&OtlpSettings>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<AuditSettings> {
    let written = written?;
    let target = target(written, problems);
    let form = form(written, surroundings, problems);
    let chain = written.chain.as_deref().copied().unwrap_or(form.format != Format::Cef);
    let signer = written.signing_key_file.as_ref().and_then(|file| {
        if !chain {
            let message = "there is no chain to sign";
            let help = match form.format {
                Format::Cef => "leave out `signing_key_file`, or write `format: json` or `format: ocsf`",
                Format::Json | Format::Ocsf => "leave out `chain: false`",
            };
            problems.push(Problem::error(file.place.clone(), "", message).help(help));
        }
        signer(file, surroundings).map_err(|problem| problems.push(problem)).ok()
    });
    let queue = match &written.queue {
        None => QUEUE,
        Some(lines) if (1..=MOST_QUEUE).contains(&lines.value) => lines.value as usize,
        Some(lines) => {
            let message = format!("a queue cannot hold {} lines", lines.value);
            let help = format!("write 1 to {MOST_QUEUE}");
            problems.push(Problem::error(lines.place.clone(), "", message).help(help));
            QUEUE
        }
    };
    let syslog = written.syslog.as_ref().and_then(|written| syslog::syslog(written, surroundings, problems));
    let otlp = otlp(written, collector, problems);
    let http = written.http.as_ref().and_then(|written| http::http(written, surroundings, problems));
    let remote = [syslog.map(Collection::Syslog), otlp.map(Collection::Otlp), http.map(Collection::Http)];
    let rotation = written.rotate.as_ref().map(|rotate| rotation(rotate, &target, problems)).unwrap_or_default();
    Some(AuditSettings {
        target: target?,
        collections: remote.into_iter().flatten().collect(),
        when_full: match written.when_full.as_deref() {
            None | Some(tree::WhenFull::Drop) => WhenFull::Drop,
            Some(tree::WhenFull::Refuse) => WhenFull::Refuse,
        },
        queue,
        rotation,
        fsync: match written.fsync.as_deref() {
            Some(tree::Fsync::Never) => Fsync::Never,
            None | Some(tree::Fsync::Second) => Fsync::Second,
            Some(tree::Fsync::Line) => Fsync::Line,
        },
        form,
        replay: written.replay,
        chain,
        signer,
    })
}

/// Does the collector get the lines?
pub(super) fn goes_by_otlp(written: &tree::Audit) -> bool {
    written.otlp.as_deref() == Some(&true)
}

fn otlp(written: &At<tree::Audit>, collector: Option<&OtlpSettings>, problems: &mut Problems) -> Option<OtlpSettings> {
    let place = &written.otlp.as_ref().filter(|otlp| otlp.value)?.place;
    if collector.is_none() {
        let message = "there is no collector that could get the lines";
        let help = "write `telemetry: {otlp: {endpoint: 'http://collector:4317'}}`";
        problems.push(Problem::error(place.clone(), "", message).help(help));
    }
    collector.cloned()
}

/// How lines say things. What is left out of them cannot be asked for again.
fn form(written: &At<tree::Audit>, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Form {
    let format = match written.format.as_deref() {
        None | Some(tree::AuditFormat::Json) => Format::Json,
        Some(tree::AuditFormat::Ocsf) => Format::Ocsf,
        Some(tree::AuditFormat::Cef) => Format::Cef,
    };
    if let Some(chain) = written.chain.as_ref().filter(|chain| chain.value && format == Format::Cef) {
        let help = "leave out `chain`, or write `format: json` or `format: ocsf`";
        problems.push(Problem::error(chain.place.clone(), "", "lines in CEF are not chained").help(help));
    }
    let against = [
        written.format.as_ref().filter(|_| format != Format::Json).map(|at| (&at.place, "`format: json`")),
        written.redact.as_ref().map(|at| (&at.place, "lines without `redact`")),
        written.pseudonyms.as_ref().map(|at| (&at.place, "lines without `pseudonyms`")),
    ];
    for (place, wants) in against.into_iter().flatten().filter(|_| written.replay) {
        let message = format!("`replay: true` needs {wants}: another policy judges by what lines say");
        problems.push(Problem::error(place.clone(), "", message).help("leave out one of the two"));
    }
    let redact = written.redact.iter().flat_map(|list| list.iter()).map(|part| match part.value {
        tree::Redact::Subject => Redact::Subject,
        tree::Redact::User => Redact::User,
        tree::Redact::Groups => Redact::Groups,
        tree::Redact::ClientIp => Redact::ClientIp,
        tree::Redact::Path => Redact::Path,
    });
    let pseudonyms = written.pseudonyms.as_ref().and_then(|pseudonyms| {
        let file = &pseudonyms.key_file;
        pseudonymous(file, surroundings).map_err(|problem| problems.push(problem)).ok()
    });
    Form { format, include_query: written.include_query, redact: redact.collect(), pseudonyms }
}

fn pseudonymous(file: &At<String>, surroundings: &Surroundings<'_>) -> Result<Pseudonyms, Problem> {
    let named = SecretRef { file: Some(file.clone()), ..SecretRef::default() };
    let key = surroundings.secret(&At { value: named, place: file.place.clone() })?;
    Pseudonyms::new(&key).ok_or_else(|| {
        let message = format!("this key has {} octets, and {SHORTEST_KEY} are needed", key.expose().len());
        Problem::error(file.place.clone(), "", message).help("make one: `openssl rand -hex 32`")
    })
}

/// At most one of the two, and where nobody else gets the lines exactly one.
fn target(written: &At<tree::Audit>, problems: &mut Problems) -> Option<Target> {
    let stdout = written.stdout.as_ref().filter(|stdout| stdout.value);
    let problem = match (&written.path, stdout) {
        (Some(path), None) if PathBuf::from(&path.value).is_absolute() => {
            return Some(Target::File(PathBuf::from(&path.value)));
        }
        (None, Some(_)) => return Some(Target::Stdout),
        (Some(path), None) => {
            Problem::error(path.place.clone(), "", format!("`{}` is not an absolute path", path.value))
                .help("write `/var/log/postern/audit.jsonl`")
        }
        (Some(_), Some(stdout)) => Problem::error(stdout.place.clone(), "", "the audit log goes to one place")
            .help("write `path` or `stdout: true`"),
        (None, None) if written.syslog.is_some() || written.http.is_some() || goes_by_otlp(written) => {
            return Some(Target::Nowhere);
        }
        (None, None) => Problem::error(written.place.clone(), "", "the audit log goes nowhere")
            .help("write `path: /var/log/postern/audit.jsonl`, `stdout: true` or `syslog: {address: unix:/dev/log}`"),
    };
    problems.push(problem);
    None
}

fn rotation(written: &At<tree::Rotate>, target: &Option<Target>, problems: &mut Problems) -> Rotation {
    let message = match target {
        Some(Target::Stdout) => Some("stdout cannot be put aside"),
        Some(Target::Nowhere) => Some("there is no file to put aside"),
        Some(Target::File(_)) | None => None,
    };
    if let Some(message) = message {
        let help = "leave out `rotate`, or write to a `path`";
        problems.push(Problem::error(written.place.clone(), "", message).help(help));
    }
    if written.size.is_none() && written.age.is_none() {
        let help = "write `size: 64MiB`, `age: 24h` or both";
        problems.push(Problem::error(written.place.clone(), "", "nothing says when a file is put aside").help(help));
    }
    let size = written.size.as_ref().and_then(|size| {
        let octets = octets(size).filter(|octets| SIZES.contains(octets));
        if octets.is_none() {
            let message = format!("`{}` is not the size of a log file", size.value);
            problems.push(Problem::error(size.place.clone(), "", message).help("write `1MiB` to `1TiB`"));
        }
        octets
    });
    let age = written
        .age
        .as_ref()
        .map(|age| duration::read(Some(age), *AGES.end(), "lifetime of a log file", AGES, problems));
    let keep = written.keep.as_ref().map(|keep| keep.value as usize);
    if let Some(keep) = written.keep.as_ref().filter(|keep| keep.value == 0) {
        let help = "write how many files are kept besides the one in use";
        problems.push(Problem::error(keep.place.clone(), "", "a log of which nothing is kept is none").help(help));
    }
    Rotation { size, age, keep }
}

/// `64MiB` in octets.
pub(super) fn octets(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
    let (number, unit) = UNITS.into_iter().find_map(|(unit, octets)| Some((text.strip_suffix(unit)?, octets)))?;
    let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    number.parse::<u64>().ok().filter(|_| digits)?.checked_mul(unit)
}

fn signer(file: &At<String>, surroundings: &Surroundings<'_>) -> Result<Signer, Problem> {
    let named = SecretRef { file: Some(file.clone()), ..SecretRef::default() };
    let key = surroundings.secret(&At { value: named, place: file.place.clone() })?;
    Signer::read(&key).ok_or_else(|| {
        let message = "this is no signing key: it is not a private key on the curve P-256 as PKCS#8 in PEM";
        let help = "make one: `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`";
        Problem::error(file.place.clone(), "", message).help(help)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        for (text, want) in [
            ("64MiB", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("512KiB", Some(512 << 10)),
            ("64", None),
            ("64MB", None),
            ("+1MiB", None),
            ("MiB", None),
            ("1.5GiB", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(octets(text), want, "{text}");
        }
    }
}
