//! `audit.syslog`, from what is written to where it sends.

use std::path::PathBuf;

use url::Url;

use crate::audit::settings::SyslogSettings;
use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::config::tree::Facility;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::outbound::socket::Endpoint;
use crate::outbound::socket::HostPort;
use crate::snapshot::telemetry::shown;
use crate::snapshot::tls_client::TlsKeys;

/// RFC 5424 §6: the longest name of an application, and of a host.
const APP_NAME: usize = 48;
const HOSTNAME: usize = 255;

/// Build it.
pub(super) fn syslog(
    written: &At<tree::Syslog>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<SyslogSettings> {
    let to = endpoint(written, surroundings, problems);
    let app_name = word(written.app_name.as_ref(), "an application's name", APP_NAME, problems);
    let hostname = word(written.hostname.as_ref(), "a host's name", HOSTNAME, problems);
    Some(SyslogSettings {
        to: to?,
        facility: number(written.facility.as_deref().copied().unwrap_or(Facility::Authpriv)),
        app_name: app_name.unwrap_or_else(|| "postern".to_owned()),
        hostname,
    })
}

fn endpoint(written: &At<tree::Syslog>, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Option<Endpoint> {
    let Some(address) = parse(&written.address.value) else {
        let message = format!("`{}` is not where a syslog receiver can be", shown(&written.address.value));
        let help = "write `unix:/dev/log`, `udp://host:514`, `tcp://host:601` or `tls://host:6514`";
        problems.push(Problem::error(written.address.place.clone(), "", message).help(help));
        return None;
    };
    let At { value: tree::Syslog { address: at, ca_file, server_name, certificate, key, .. }, .. } = written;
    let files = TlsKeys {
        of: at,
        ca_file: ca_file.as_ref(),
        server_name: server_name.as_ref(),
        certificate: certificate.as_ref(),
        key: key.as_ref(),
    };
    match address {
        Address::Tls(to) => files.client(&to.host, surroundings, problems).map(|client| Endpoint::Tls(to, client)),
        Address::Plain(endpoint) => {
            files.say_nothing("write a `tls://` address, or leave it out", problems);
            Some(endpoint)
        }
    }
}

/// An address as it is written.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Plain(Endpoint),
    Tls(HostPort),
}

fn parse(text: &str) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return path.is_absolute().then_some(Address::Plain(Endpoint::Unix(path)));
    }
    let url = Url::parse(text).ok()?;
    let bare =
        url.username().is_empty() && url.password().is_none() && url.query().is_none() && url.fragment().is_none();
    let host = url.host_str().filter(|host| bare && !host.is_empty() && url.path().is_empty())?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let to = |usual: u16| HostPort { host: host.clone(), port: url.port().unwrap_or(usual) };
    match url.scheme() {
        "udp" => Some(Address::Plain(Endpoint::Udp(to(514)))),
        "tcp" => Some(Address::Plain(Endpoint::Tcp(to(601)))),
        "tls" => Some(Address::Tls(to(6514))),
        _ => None,
    }
}

/// A word of the header, as RFC 5424 lets it be.
fn word(written: Option<&At<String>>, what: &str, most: usize, problems: &mut Problems) -> Option<String> {
    let written = written?;
    let text = &written.value;
    if !text.is_empty() && text.len() <= most && text.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Some(text.clone());
    }
    let message = format!("`{text}` is not {what} in syslog");
    let help = format!("write 1 to {most} printable ASCII characters without spaces");
    problems.push(Problem::error(written.place.clone(), "", message).help(help));
    None
}

/// RFC 5424 §6.2.1.
fn number(facility: Facility) -> u8 {
    match facility {
        Facility::User => 1,
        Facility::Daemon => 3,
        Facility::Auth => 4,
        Facility::Authpriv => 10,
        Facility::Audit => 13,
        Facility::Local0 => 16,
        Facility::Local1 => 17,
        Facility::Local2 => 18,
        Facility::Local3 => 19,
        Facility::Local4 => 20,
        Facility::Local5 => 21,
        Facility::Local6 => 22,
        Facility::Local7 => 23,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let at = |host: &str, port| HostPort { host: host.to_owned(), port };
        for (text, want) in [
            ("unix:/dev/log", Some(Address::Plain(Endpoint::Unix("/dev/log".into())))),
            ("udp://10.0.0.1:1514", Some(Address::Plain(Endpoint::Udp(at("10.0.0.1", 1514))))),
            ("udp://logs", Some(Address::Plain(Endpoint::Udp(at("logs", 514))))),
            ("tcp://[2001:db8::1]", Some(Address::Plain(Endpoint::Tcp(at("2001:db8::1", 601))))),
            ("tls://logs.corp.test", Some(Address::Tls(at("logs.corp.test", 6514)))),
            ("unix:dev/log", None),
            ("/dev/log", None),
            ("logs:514", None),
            ("https://logs", None),
            ("tcp://", None),
            ("tcp://user@logs", None),
            ("tcp://logs/x", None),
            ("tcp://logs?x=1", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
    }
}
