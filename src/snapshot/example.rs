//! Examples, from what is written to requests that can be judged.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::authn::Source;
use crate::config::at::At;
use crate::config::nearest;
use crate::config::tree;
use crate::model::decision::Effect;
use crate::model::example::Example;
use crate::model::example::ExampleRequest;
use crate::model::example::Expected;
use crate::model::identity::Principal;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::reason::Reason;
use crate::model::request::Scheme;
use crate::model::request::split_url;
use crate::snapshot::assumed;
use crate::snapshot::assumed::NoSuchCaller;

/// The most requests that the lists of one example make.
const MOST: usize = 10_000;
/// The client's address, where none is written.
const FROM: &str = "127.0.0.1";

/// Where an example is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Setting<'s> {
    /// The host of paths.
    pub host: Option<&'s str>,
    /// The route it stands in.
    pub under: Option<&'s Place>,
}

/// The examples in the routes of a policy.
pub(super) fn of_policy(config: &tree::Config, sources: &[Arc<Source>], problems: &mut Problems) -> Vec<Example> {
    let of_defaults = config.defaults.routes.iter().map(|route| (None, route));
    let of_hosts = config.hosts.iter().flat_map(|(key, block)| {
        let host = Some(key.as_str()).filter(|host| !host.contains('*'));
        block.routes.iter().map(move |route| (host, route))
    });
    let mut examples = Vec::new();
    for (host, route) in of_defaults.chain(of_hosts) {
        for example in route.examples.iter().flat_map(|written| written.value.iter()) {
            let setting = Setting { host, under: Some(&route.place) };
            examples.extend(build(example, setting, sources, problems));
        }
    }
    examples
}

/// One example.
pub fn build(
    written: &At<tree::Example>,
    setting: Setting<'_>,
    sources: &[Arc<Source>],
    problems: &mut Problems,
) -> Option<Example> {
    let before = problems.0.len();
    let callers = callers(written, sources, problems);
    let addresses = addresses(written, problems);
    let asked = asked(written, setting, problems);
    let at = written.at.as_ref().and_then(|at| time(at, problems));
    let expected = expected(&written.expect, problems);
    let headers: Vec<(String, String)> = written
        .headers
        .iter()
        .flat_map(|(name, values)| values.iter().map(|value| (name.value.clone(), value.value.clone())))
        .collect();
    let number = callers.len().saturating_mul(addresses.len()).saturating_mul(asked.len());
    if number > MOST {
        let message = format!("this example is {number} requests");
        problems.push(Problem::error(written.place.clone(), "", message).help(format!("at most {MOST} are tried")));
    }
    if problems.0.len() > before {
        return None;
    }
    let mut requests = Vec::with_capacity(number);
    for (called, caller) in &callers {
        for from in &addresses {
            for (method, (scheme, host, target)) in &asked {
                requests.push(ExampleRequest {
                    caller: caller.clone(),
                    called: called.clone(),
                    from: from.clone(),
                    at,
                    method: method.clone(),
                    scheme: *scheme,
                    host: host.clone(),
                    target: target.clone(),
                    headers: headers.clone(),
                });
            }
        }
    }
    let name = written.name.as_ref().map(|name| name.value.clone());
    Some(Example { place: written.place.clone(), name, requests, expected, under: setting.under.cloned() })
}

fn callers(
    written: &tree::Example,
    sources: &[Arc<Source>],
    problems: &mut Problems,
) -> Vec<(String, Option<Principal>)> {
    let Some(list) = &written.caller else { return vec![("nobody".to_owned(), None)] };
    let mut callers = Vec::new();
    for asker in list.iter() {
        let made = match &asker.value {
            tree::Asker::Name(name) if name == "anonymous" => {
                callers.push(("nobody".to_owned(), None));
                continue;
            }
            tree::Asker::Name(name) => assumed::user(name, sources),
            tree::Asker::Described(caller) => assumed::described(caller, sources),
        };
        match made {
            Ok(principal) => callers.push((called(&principal), Some(principal))),
            Err(NoSuchCaller { message, help }) => {
                let problem = Problem::error(asker.place.clone(), "", message);
                problems.push(match help {
                    Some(help) => problem.help(help),
                    None => problem,
                });
            }
        }
    }
    callers
}

/// `alice of ops, staff`.
fn called(principal: &Principal) -> String {
    let Some(identity) = principal.identity() else { return "nobody".to_owned() };
    let groups: Vec<&str> = identity.groups().iter().collect();
    match groups.as_slice() {
        [] => identity.user().to_owned(),
        groups => format!("{} of {}", identity.user(), groups.join(", ")),
    }
}

fn addresses(written: &tree::Example, problems: &mut Problems) -> Vec<String> {
    let Some(list) = &written.from else { return vec![FROM.to_owned()] };
    for address in list.iter().filter(|address| address.parse::<IpAddr>().is_err()) {
        let message = format!("`{}` is not an address", address.value);
        problems.push(Problem::error(address.place.clone(), "", message).help("write `192.0.2.7` or `2001:db8::7`"));
    }
    list.iter().map(|address| address.value.clone()).collect()
}

/// Method and URL of every request.
fn asked(
    written: &At<tree::Example>,
    setting: Setting<'_>,
    problems: &mut Problems,
) -> Vec<(String, (Scheme, String, String))> {
    let tree::Example { get, head, post, put, patch, delete, request, .. } = &written.value;
    let methods = [("GET", get), ("HEAD", head), ("POST", post), ("PUT", put), ("PATCH", patch), ("DELETE", delete)];
    let (before, mut asked) = (problems.0.len(), Vec::new());
    for (method, urls) in methods {
        for url in urls.iter().flat_map(|urls| urls.iter()) {
            asked.extend(target(url, &url.value, setting, problems).map(|parts| (method.to_owned(), parts)));
        }
    }
    for line in request.iter().flat_map(|lines| lines.iter()) {
        match line.split_once(' ') {
            Some((method, url)) if !method.is_empty() => {
                asked.extend(target(line, url, setting, problems).map(|parts| (method.to_owned(), parts)));
            }
            _ => {
                let message = format!("`{}` is not a method and a URL", line.value);
                let help = "write `PROPFIND https://dav.example.test/`";
                problems.push(Problem::error(line.place.clone(), "", message).help(help));
            }
        }
    }
    if asked.is_empty() && problems.0.len() == before {
        let message = "this example asks for nothing";
        problems.push(Problem::error(written.place.clone(), "", message).help("write `get: https://host/path`"));
    }
    asked
}

fn target(
    written: &At<String>,
    url: &str,
    setting: Setting<'_>,
    problems: &mut Problems,
) -> Option<(Scheme, String, String)> {
    if let Some(host) = setting.host.filter(|_| url.starts_with('/')) {
        return Some((Scheme::Https, host.to_owned(), url.to_owned()));
    }
    let parts = split_url(url).and_then(|(scheme, host, target)| Some((Scheme::parse(scheme)?, host, target)));
    match parts {
        Some((scheme, host, target)) if !host.is_empty() => Some((scheme, host.to_owned(), target)),
        _ => {
            let message = format!("`{url}` is not a URL");
            let help = match setting.host {
                Some(host) => format!("write `/path`, or `https://{host}/path`"),
                None => "write `https://host/path`".to_owned(),
            };
            problems.push(Problem::error(written.place.clone(), "", message).help(help));
            None
        }
    }
}

fn time(written: &At<String>, problems: &mut Problems) -> Option<Timestamp> {
    match written.parse() {
        Ok(time) => Some(time),
        Err(_) => {
            let message = format!("`{}` is not a time", written.value);
            problems.push(Problem::error(written.place.clone(), "", message).help("write `2027-01-31T12:00:00Z`"));
            None
        }
    }
}

fn expected(written: &At<tree::Expect>, problems: &mut Problems) -> Expected {
    let place = &written.place;
    match &written.value {
        tree::Expect::Word(word) => match effect(word) {
            Some(effect) => Expected { effect: Some(effect), ..Expected::default() },
            None => Expected { reason: reason(word, place, problems), ..Expected::default() },
        },
        tree::Expect::Status(number) => {
            let status = (100..600).find(|status| f64::from(*status) == *number);
            if status.is_none() {
                let message = format!("`{number}` is not a status");
                problems.push(Problem::error(place.clone(), "", message).help("write `200` or `403`"));
            }
            Expected { status, ..Expected::default() }
        }
        tree::Expect::Whole(whole) => {
            let tree::Expected { effect: word, status, reason: code, route, headers, absent } = &**whole;
            let before = problems.0.len();
            let expected = Expected {
                effect: word.as_ref().and_then(|word| {
                    let known = effect(word);
                    if known.is_none() {
                        let message = format!("`{}` is not an effect", word.value);
                        problems.push(Problem::error(word.place.clone(), "", message).help("write `allow` or `deny`"));
                    }
                    known
                }),
                status: status.as_ref().map(|status| status.value),
                reason: code.as_ref().and_then(|code| reason(code, &code.place, problems)),
                route: route.as_ref().map(|route| route.value.clone()),
                headers: headers.iter().map(|(name, values)| (name.to_ascii_lowercase(), texts(values))).collect(),
                absent: absent.iter().flat_map(|names| names.iter()).map(|name| name.to_ascii_lowercase()).collect(),
            };
            if expected == Expected::default() && problems.0.len() == before {
                let message = "nothing is expected";
                problems.push(Problem::error(place.clone(), "", message).help("write `expect: allow`"));
            }
            expected
        }
    }
}

fn texts(values: &[At<String>]) -> Vec<String> {
    values.iter().map(|value| value.value.clone()).collect()
}

fn effect(word: &str) -> Option<Effect> {
    Effect::ALL.into_iter().find(|effect| effect.name() == word)
}

fn reason(word: &str, place: &Place, problems: &mut Problems) -> Option<Reason> {
    let known = Reason::parse(word);
    if known.is_none() {
        let words: Vec<&str> = Reason::ALL.into_iter().map(Reason::code).chain(["allow", "deny"]).collect();
        let help = match nearest::nearest(word, &words) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write `allow`, `deny`, a status, or a reason such as `requirement_failed`".to_owned(),
        };
        problems.push(Problem::error(place.clone(), "", format!("`{word}` is nothing to expect")).help(help));
    }
    known
}
