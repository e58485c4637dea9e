//! Who may do what on the admin listener, from what is written.

use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::config::tree::SecretRef;
use crate::model::admin::AdminRules;
use crate::model::host::Host;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// The shortest token, in octets: one that is typed is guessed.
const SHORTEST: usize = 16;

/// Build `admin`.
pub(super) fn rules(written: &tree::Admin, surroundings: &Surroundings<'_>, problems: &mut Problems) -> AdminRules {
    let token = written.token_file.as_ref().and_then(|file| {
        let named = SecretRef { file: Some(file.clone()), ..SecretRef::default() };
        let read = surroundings.secret(&At { value: named, place: file.place.clone() });
        let token = read.map_err(|problem| problems.push(problem)).ok()?;
        if token.expose().len() < SHORTEST || !token.expose().iter().all(u8::is_ascii_graphic) {
            let message = format!("this is no token: {SHORTEST} characters or more, and no spaces");
            let help = "make one: `openssl rand -hex 32`";
            problems.push(Problem::error(file.place.clone(), "", message).help(help));
        }
        Some(token)
    });
    let hosts = written.hosts.iter().filter_map(|host| match Host::parse(host) {
        Ok(parsed) if parsed.port().is_none() => Some(parsed.name().to_owned()),
        Ok(_) | Err(_) => {
            let message = format!("`{}` is not a host name", host.value);
            problems
                .push(Problem::error(host.place.clone(), "", message).help("write such a name as `postern.corp.test`"));
            None
        }
    });
    AdminRules { hosts: hosts.collect(), token }
}
