//! `limits.redis`, from what is written to the store that is asked.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::config::tree::SecretRef;
use crate::limit::shared::Login;
use crate::limit::shared::Servers;
use crate::limit::shared::Settings;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::secret::Secret;
use crate::outbound::socket::Endpoint;
use crate::outbound::socket::HostPort;
use crate::snapshot::duration;
use crate::snapshot::telemetry::shown;
use crate::snapshot::tls_client::TlsKeys;

/// How long an answer is waited for, where nothing is written.
const DEADLINE: Duration = Duration::from_millis(5);
/// The least and the most.
const DEADLINES: std::ops::RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);
/// What keys begin with, where nothing is written.
const PREFIX: &str = "{postern}";
/// Where a server and a sentinel listen, where nothing is written.
const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Build it.
pub(super) fn settings(
    written: &At<tree::LimitRedis>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Settings> {
    let servers = servers(written, surroundings, problems);
    let login = login(written.username.as_ref(), written.password.as_ref(), surroundings, problems);
    let deadline = duration::read(written.deadline.as_ref(), DEADLINE, "time to wait for Redis", DEADLINES, problems);
    let prefix = written.prefix.as_ref().map_or(PREFIX, |prefix| prefix.as_str());
    let sound = (1..=64).contains(&prefix.len()) && prefix.bytes().all(|octet| octet.is_ascii_graphic());
    if let Some(At { place, .. }) = written.prefix.as_ref().filter(|_| !sound) {
        let message = format!("keys cannot begin with `{prefix}`");
        let help = "write 1 to 64 printable ASCII characters without spaces, as `{postern}`";
        problems.push(Problem::error(place.clone(), "", message).help(help));
    }
    let database = written.database.as_ref().map_or(0, |database| database.value);
    Some(Settings { servers: servers?, login: login?, database, prefix: prefix.to_owned(), deadline })
}

fn servers(
    written: &At<tree::LimitRedis>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Servers> {
    let port = if written.master.is_some() { SENTINEL_PORT } else { SERVER_PORT };
    let endpoints: Vec<Option<Endpoint>> =
        written.address.iter().map(|address| endpoint(written, address, port, surroundings, problems)).collect();
    let password = written.sentinel_password.as_ref().map(|at| &at.place);
    let to_sentinels = written.sentinel_username.as_ref().map(|at| &at.place).or(password);
    if let Some(stray) = to_sentinels.filter(|_| written.master.is_none()) {
        let message = "there are no sentinels";
        problems.push(Problem::error(stray.clone(), "", message).help("write `master: NAME`, or leave it out"));
    }
    let endpoints: Vec<Endpoint> = endpoints.into_iter().collect::<Option<_>>()?;
    match &written.master {
        None => match <[Endpoint; 1]>::try_from(endpoints) {
            Ok([endpoint]) => Some(Servers::One(endpoint)),
            Err(several) => {
                let message = format!("{} servers, and budgets are kept on one", several.len());
                let help = "write one address; for sentinels add `master: NAME`";
                problems.push(Problem::error(written.address.place.clone(), "", message).help(help));
                None
            }
        },
        Some(master) => {
            let name = (written.sentinel_username.as_ref(), written.sentinel_password.as_ref());
            let login = login(name.0, name.1, surroundings, problems)?;
            Some(Servers::Sentinels { master: master.value.clone(), sentinels: endpoints, login })
        }
    }
}

fn endpoint(
    written: &At<tree::LimitRedis>,
    address: &At<String>,
    port: u16,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Endpoint> {
    let files = TlsKeys {
        of: address,
        ca_file: written.ca_file.as_ref(),
        server_name: written.server_name.as_ref(),
        certificate: written.certificate.as_ref(),
        key: written.key.as_ref(),
    };
    match parse(&address.value, port) {
        Some(Address::Tls(to)) => {
            files.client(&to.host, surroundings, problems).map(|client| Endpoint::Tls(to, client))
        }
        Some(Address::Plain(endpoint)) => {
            files.say_nothing("write a `rediss://` address, or leave it out", problems);
            Some(endpoint)
        }
        None => {
            let message = format!("`{}` is not where a Redis server can be", shown(&address.value));
            let help = "write `redis://host:6379`, `rediss://host:6379` or `unix:/run/redis/redis.sock`; \
                        `username`, `password` and `database` are keys of their own";
            problems.push(Problem::error(address.place.clone(), "", message).help(help));
            None
        }
    }
}

/// An address as it is written.
#[derive(Debug, PartialEq, Eq)]
enum Address {
    Plain(Endpoint),
    Tls(HostPort),
}

fn parse(text: &str, port: u16) -> Option<Address> {
    if let Some(path) = text.strip_prefix("unix:") {
        let path = PathBuf::from(path);
        return path.is_absolute().then_some(Address::Plain(Endpoint::Unix(path)));
    }
    let url = Url::parse(text).ok()?;
    let bare = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none()
        && matches!(url.path(), "" | "/");
    let host = url.host_str().filter(|host| bare && !host.is_empty())?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let to = HostPort { host, port: url.port().unwrap_or(port) };
    match url.scheme() {
        "redis" => Some(Address::Plain(Endpoint::Tcp(to))),
        "rediss" => Some(Address::Tls(to)),
        _ => None,
    }
}

fn login(
    user: Option<&At<String>>,
    password: Option<&At<SecretRef>>,
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Option<Login> {
    if let (Some(user), None) = (user, password) {
        let message = format!("`{}` has no password", user.value);
        problems.push(Problem::error(user.place.clone(), "", message).help("write `password: {file: …}`"));
        return None;
    }
    let password = match password {
        None => None,
        Some(written) => {
            let read = surroundings.secret(written).map_err(|problem| problems.push(problem)).ok()?;
            let Ok(text) = String::from_utf8(read.expose().clone()) else {
                problems.push(Problem::error(written.place.clone(), "", "this password is not UTF-8"));
                return None;
            };
            Some(Secret::new(text))
        }
    };
    Some(Login { user: user.map(|user| user.value.clone()), password })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let at = |host: &str, port| HostPort { host: host.to_owned(), port };
        for (text, want) in [
            ("unix:/run/r.sock", Some(Address::Plain(Endpoint::Unix("/run/r.sock".into())))),
            ("redis://limits.test", Some(Address::Plain(Endpoint::Tcp(at("limits.test", 6379))))),
            ("redis://10.0.0.1:7000/", Some(Address::Plain(Endpoint::Tcp(at("10.0.0.1", 7000))))),
            ("redis://[2001:db8::1]:7000", Some(Address::Plain(Endpoint::Tcp(at("2001:db8::1", 7000))))),
            ("rediss://limits.test:6380", Some(Address::Tls(at("limits.test", 6380)))),
            ("unix:r.sock", None),
            ("limits.test:6379", None),
            ("tcp://limits.test", None),
            ("redis://", None),
            ("redis://:word@limits.test", None),
            ("redis://limits.test/1", None),
            ("redis://limits.test?protocol=resp3", None),
        ] {
            assert_eq!(parse(text, SERVER_PORT), want, "{text}");
        }
    }
}
