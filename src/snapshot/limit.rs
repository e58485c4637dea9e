//! Rate limits, wherever they stand in a policy.

mod redis;

use std::collections::HashMap;
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::config::at::At;
use crate::config::load::Surroundings;
use crate::config::tree;
use crate::limit::shared::Settings;
use crate::model::limit::Rate;
use crate::model::limit::WhenDown;
use crate::model::limit::Window;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::policy::limit::Costs;
use crate::policy::limit::Limit;
use crate::policy::limit::Limits;
use crate::policy::limit::Per;
use crate::snapshot::network::NetworkNames;
use crate::snapshot::role::Roles;

/// How many bits of an IPv6 address are one client's, where nothing is written.
const IPV6_PREFIX: u8 = 64;
/// The memory for budgets, where nothing is written: a million of them.
const MEMORY: u64 = 32 << 20;
/// Of the memory that the process may use, one part in so many at most, where nothing is written.
const SHARE: u64 = 8;
/// The least and the most.
const MEMORIES: std::ops::RangeInclusive<u64> = 64 << 10..=64 << 30;
/// The most rates of one limit.
const MOST_RATES: usize = 4;

/// What a limit stands at.
pub(super) enum Scope<'a> {
    Defaults,
    Host(&'a str),
    Route { host: &'a str, name: &'a str, public: bool },
    Role(&'a str),
    Key { source: &'a str, id: &'a str },
}

/// The limit of an API key, found when the key was read.
pub(super) struct OfKey {
    pub(super) source: Arc<str>,
    pub(super) id: String,
    pub(super) limit: tree::RateLimits,
}

/// Everything that is built of limits.
pub(super) struct Built {
    pub(super) rules: Limits,
    /// For the budgets that this process keeps.
    pub(super) memory: u64,
    /// The store for the others.
    pub(super) shared: Option<Settings>,
}

/// The limits met so far.
#[derive(Default)]
pub(super) struct Book {
    limits: Limits,
    /// What becomes of a limit that says nothing of it while the shared store is away; `None`: there is no such store.
    shared: Option<WhenDown>,
    /// What stands in one place is one limit, however many hosts have it.
    built: HashMap<Place, Vec<Arc<Limit>>>,
    names: HashMap<String, Place>,
    /// The numbers of lists, by the addresses of what is in them.
    numbers: HashMap<Vec<usize>, u32>,
    /// How often each definition was met.
    definitions: HashMap<String, usize>,
}

impl Book {
    /// The limits written in one place.
    pub(super) fn read(
        &mut self,
        scope: &Scope<'_>,
        written: &tree::RateLimits,
        (networks, roles): (&NetworkNames, &Roles),
        problems: &mut Problems,
    ) -> Vec<Arc<Limit>> {
        if let Some(built) = self.built.get(&written.place) {
            return built.clone();
        }
        let limits: Vec<Arc<Limit>> = written
            .iter()
            .filter_map(|limit| self.limit(scope, limit, networks, roles, problems).map(Arc::new))
            .collect();
        self.built.insert(written.place.clone(), limits.clone());
        limits
    }

    /// The number of a list.
    pub(super) fn list(&mut self, list: &[Arc<Limit>]) -> u32 {
        let lists = &mut self.limits.lists;
        if lists.is_empty() {
            lists.push(Box::default());
        }
        if list.is_empty() {
            return 0;
        }
        let addresses: Vec<usize> = list.iter().map(|limit| Arc::as_ptr(limit).addr()).collect();
        *self.numbers.entry(addresses).or_insert_with(|| {
            lists.push(list.into());
            u32::try_from(lists.len() - 1).unwrap_or(u32::MAX)
        })
    }

    /// The limits of roles and keys; those of defaults, hosts and routes are read with them.
    pub(super) fn callers(
        &mut self,
        entries: &crate::config::at::Entries<At<tree::Role>>,
        of_keys: &[OfKey],
        (networks, roles): (&NetworkNames, &Roles),
        problems: &mut Problems,
    ) {
        for (name, role) in entries.iter() {
            let Some(written) = &role.limit else { continue };
            let limits = self.read(&Scope::Role(name), written, (networks, roles), problems);
            if let [role] = roles.named(std::slice::from_ref(name), &mut Problems::default()).as_slice() {
                self.limits.of_roles.push((Arc::clone(role), limits.into()));
            }
        }
        for OfKey { source, id, limit } in of_keys {
            let limits = self.read(&Scope::Key { source, id }, limit, (networks, roles), problems);
            self.limits.of_keys.insert((Arc::clone(source), id.as_str().into()), limits.into());
        }
    }

    /// The sources whose callers are API keys.
    pub(super) fn keys_come_from(&mut self, sources: Vec<Arc<str>>) {
        self.limits.key_sources = sources;
    }

    /// Where the budgets are of limits that do not say it.
    pub(super) fn kept_in(&mut self, written: &tree::LimitStore) {
        self.shared =
            written.redis.as_ref().map(|redis| when_down(redis.when_down.as_deref()).unwrap_or(WhenDown::Local));
    }

    /// Everything; `None` where nothing is limited.
    pub(super) fn finish(
        mut self,
        written: &tree::LimitStore,
        surroundings: &Surroundings<'_>,
        problems: &mut Problems,
    ) -> Option<Built> {
        let shared = written.redis.as_ref().and_then(|redis| redis::settings(redis, surroundings, problems));
        self.limits.ipv6_prefix = match &written.ipv6_prefix {
            None => IPV6_PREFIX,
            Some(prefix) if (32..=128).contains(&prefix.value) => prefix.value,
            Some(prefix) => {
                let message = format!("{} bits of an IPv6 address are nobody's", prefix.value);
                let help = "write 32 to 128; most clients have a /64";
                problems.push(Problem::error(prefix.place.clone(), "", message).help(help));
                IPV6_PREFIX
            }
        };
        let memory = written.memory.as_ref().map(|size| {
            let octets = super::audit::octets(size).filter(|octets| MEMORIES.contains(octets));
            octets.unwrap_or_else(|| {
                let message = format!("`{}` is no memory for budgets", size.value);
                problems.push(Problem::error(size.place.clone(), "", message).help("write `64KiB` to `64GiB`"));
                MEMORY
            })
        });
        let memory = memory.unwrap_or_else(|| {
            let share = surroundings.memory_limit().map_or(MEMORY, |limit| limit / SHARE);
            MEMORY.min(share).max(*MEMORIES.start())
        });
        (!self.limits.is_empty()).then_some(Built { rules: self.limits, memory, shared })
    }

    fn limit(
        &mut self,
        scope: &Scope<'_>,
        written: &At<tree::RateLimit>,
        networks: &NetworkNames,
        roles: &Roles,
        problems: &mut Problems,
    ) -> Option<Limit> {
        let per = per(scope, written, problems);
        let rates = rates(written, problems);
        let costs = costs(written, &rates, problems);
        let except = written.except.as_ref();
        if let Some(except) = except.filter(|except| except.networks.is_none() && except.roles.is_none()) {
            let help = "write `except: {networks: [...], roles: [...]}`";
            problems.push(Problem::error(except.place.clone(), "", "this excepts nobody").help(help));
        }
        let except_networks = except.and_then(|except| except.networks.as_ref());
        let except_networks = except_networks.map(|list| networks.union(list, problems));
        let except_roles = except.and_then(|except| except.roles.as_ref());
        if let (Some(list), Some(Per::Address)) = (except_roles, &per) {
            let message = "addresses are counted before anybody is asked for a role";
            let help = "write `except: {networks: [...]}`, or `per: subject`";
            problems.push(Problem::error(list.place.clone(), "", message).help(help));
        }
        let except_roles = except_roles.map(|list| roles.named(list, problems)).unwrap_or_default();
        let (per, true) = (per?, !rates.is_empty()) else { return None };
        self.warn(scope, &per, &written.place, problems);
        let (name, label) = self.name(scope, &per, written.name.as_ref(), problems);
        Some(Limit {
            definition: self.definition(scope, &per, &rates),
            name,
            label,
            place: written.place.clone(),
            per,
            rates: rates.into(),
            costs,
            except_networks,
            except_roles,
            shadow: written.mode.as_deref() == Some(&tree::LimitMode::Shadow),
            shared: self.shared(written, problems),
        })
    }

    /// Where a limit is kept, and what happens while that is away.
    fn shared(&self, written: &tree::RateLimit, problems: &mut Problems) -> Option<WhenDown> {
        let tree::RateLimit { store, when_down: down, .. } = written;
        if let (None, Some(store)) =
            (self.shared, store.as_ref().filter(|store| store.value == tree::LimitPlace::Redis))
        {
            let help = "write `limits: {redis: {address: redis://host:6379}}`, or leave it out";
            problems.push(Problem::error(store.place.clone(), "", "no Redis is configured").help(help));
        }
        let here = store.as_deref() == Some(&tree::LimitPlace::Local);
        if let Some(down) = down.as_ref().filter(|_| here || self.shared.is_none()) {
            let message = "the budgets of this limit are here, and here they are never away";
            let help = "leave it out, or keep them in Redis: `limits.redis`";
            problems.push(Problem::error(down.place.clone(), "", message).help(help));
        }
        self.shared.filter(|_| !here).map(|usual| when_down(down.as_deref()).unwrap_or(usual))
    }

    /// A limit that will never count anybody.
    fn warn(&self, scope: &Scope<'_>, per: &Per, place: &Place, problems: &mut Problems) {
        let (message, help) = match (scope, per) {
            (Scope::Route { public: true, .. }, per) if per.needs_a_caller() => {
                ("nobody is asked who they are on a public route: this limit counts nobody", "write `per: address`")
            }
            (_, Per::Key) if self.limits.key_sources.is_empty() => {
                ("no identity source has API keys: this limit counts nobody", "write `per: subject`")
            }
            _ => return,
        };
        problems.push(Problem::warning(place.clone(), "", message).help(help));
    }

    /// What operators and clients call it.
    fn name(
        &mut self,
        scope: &Scope<'_>,
        per: &Per,
        written: Option<&At<String>>,
        problems: &mut Problems,
    ) -> (Arc<str>, Arc<str>) {
        if let Some(written) = written {
            let sound = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            if written.is_empty() || written.len() > 64 || !written.chars().all(sound) {
                let message = format!("a limit cannot be called `{}`", written.value);
                let help = "write 1 to 64 letters, digits, `-`, `_` and `.`";
                problems.push(Problem::error(written.place.clone(), "", message).help(help));
            }
            if let Some(first) = self.names.insert(written.value.clone(), written.place.clone()) {
                let message = format!("two limits are called `{}`; the first at {first}", written.value);
                problems.push(Problem::error(written.place.clone(), "", message).help("give each a name of its own"));
            }
            let name: Arc<str> = written.as_str().into();
            return (Arc::clone(&name), name);
        }
        let base = match scope {
            Scope::Defaults => format!("defaults {per}"),
            Scope::Host(host) => format!("{host} {per}"),
            Scope::Route { host, name, .. } => format!("{host} {name} {per}"),
            Scope::Role(role) => format!("role {role} {per}"),
            Scope::Key { source, id } => format!("key {source}/{id} {per}"),
        };
        let mut name = base.clone();
        let mut number = 2;
        while self.names.contains_key(&name) {
            name = format!("{base} {number}");
            number += 1;
        }
        self.names.insert(name.clone(), Place::whole(""));
        (name.into(), per.word().into())
    }

    /// The same for the same words at the same thing: what has been counted by it counts on after a reload. Whom it
    /// spares, what requests cost and whether it refuses anybody may change.
    fn definition(&mut self, scope: &Scope<'_>, per: &Per, rates: &[Rate]) -> u128 {
        let scope = match scope {
            Scope::Defaults => "defaults".to_owned(),
            Scope::Host(host) => format!("host {host:?}"),
            Scope::Route { host, name, .. } => format!("route {host:?} {name:?}"),
            Scope::Role(role) => format!("role {role:?}"),
            Scope::Key { source, id } => format!("key {source:?} {id:?}"),
        };
        let rates: Vec<String> = rates.iter().map(|rate| format!("{rate} {}", rate.burst())).collect();
        let text = format!("{scope} per {per} {}", rates.join(", "));
        let times = self.definitions.entry(text.clone()).or_default();
        *times += 1;
        let hash = digest::digest(&digest::SHA256, format!("{text} {times}").as_bytes());
        hash.as_ref().first_chunk().map_or(0, |octets| u128::from_be_bytes(*octets))
    }
}

fn when_down(written: Option<&tree::LimitDown>) -> Option<WhenDown> {
    Some(match written? {
        tree::LimitDown::Local => WhenDown::Local,
        tree::LimitDown::Allow => WhenDown::Allow,
        tree::LimitDown::Refuse => WhenDown::Refuse,
    })
}

fn per(scope: &Scope<'_>, limit: &At<tree::RateLimit>, problems: &mut Problems) -> Option<Per> {
    const KNOWN: &str = "write `address`, `subject`, `key`, `group`, `route` or `header:X-Tenant`";
    let Some(written) = &limit.per else {
        return match scope {
            Scope::Role(_) => Some(Per::Subject),
            Scope::Key { .. } => Some(Per::Key),
            Scope::Defaults | Scope::Host(_) | Scope::Route { .. } => {
                let message = "this limit does not say what it counts by";
                let help = "write `per: address`, `subject`, `key`, `group`, `route` or `header:X-Tenant`";
                problems.push(Problem::error(limit.place.clone(), "", message).help(help));
                None
            }
        };
    };
    let per = match written.as_str() {
        "address" => Per::Address,
        "subject" => Per::Subject,
        "key" => Per::Key,
        "group" => Per::Group,
        "route" => Per::Route,
        text => match text.strip_prefix("header:").map(|name| http::HeaderName::from_bytes(name.as_bytes())) {
            Some(Ok(name)) => Per::Header(name.as_str().into()),
            Some(Err(_)) => {
                let message = format!("`{text}` names no header");
                problems.push(Problem::error(written.place.clone(), "", message).help("write `header:X-Tenant`"));
                return None;
            }
            None => {
                let message = format!("nothing is counted by `{text}`");
                problems.push(Problem::error(written.place.clone(), "", message).help(KNOWN));
                return None;
            }
        },
    };
    if per.comes_first() && matches!(scope, Scope::Role(_) | Scope::Key { .. }) {
        let message = "addresses are counted before anybody is known, so nobody's own limit is `per: address`";
        let help = "write `per: subject`, or put the limit on a host or route";
        problems.push(Problem::error(written.place.clone(), "", message).help(help));
        return None;
    }
    Some(per)
}

fn rates(limit: &At<tree::RateLimit>, problems: &mut Problems) -> Vec<Rate> {
    let written = &limit.rate;
    let bursts = limit.burst.as_ref();
    if let Some(bursts) = bursts.filter(|bursts| bursts.len() != written.len()) {
        let message = format!("there are {} bursts for {} rates", bursts.len(), written.len());
        problems.push(Problem::error(bursts.place.clone(), "", message).help("write one number for each rate"));
    }
    if written.len() > MOST_RATES {
        let message = format!("{} rates in one limit, more than {MOST_RATES}", written.len());
        problems.push(Problem::error(written.place.clone(), "", message).help("leave out some"));
    }
    let mut rates: Vec<Rate> = Vec::with_capacity(written.len());
    for (number, text) in written.iter().enumerate() {
        let Some((quota, window)) = parse(text) else {
            let message = format!("`{}` is not a rate", text.value);
            let help = "write a number and a time: `10/s`, `100/min`, `1000/h` or `10000/day`";
            problems.push(Problem::error(text.place.clone(), "", message).help(help));
            continue;
        };
        let burst = bursts.and_then(|bursts| bursts.get(number));
        match Rate::new(quota, window, burst.map(|burst| burst.value)) {
            Ok(rate) if rates.contains(&rate) => {
                let message = format!("the rate `{rate}` is listed twice");
                problems.push(Problem::error(text.place.clone(), "", message).help("remove one"));
            }
            Ok(rate) => rates.push(rate),
            Err(error) => {
                let place = burst.map_or(&text.place, |burst| &burst.place);
                problems.push(Problem::error(place.clone(), "", error.to_string()));
            }
        }
    }
    rates
}

/// `100/min`.
fn parse(text: &str) -> Option<(u64, Window)> {
    let (number, window) = text.split_once('/')?;
    let window = Window::ALL.into_iter().find(|known| known.name() == window)?;
    let digits = !number.is_empty() && number.bytes().all(|octet| octet.is_ascii_digit());
    Some((number.parse().ok().filter(|_| digits)?, window))
}

fn costs(limit: &tree::RateLimit, rates: &[Rate], problems: &mut Problems) -> Costs {
    let most = rates.iter().map(Rate::burst).min().unwrap_or(u64::MAX);
    let mut costs = Vec::new();
    for (method, cost) in limit.cost.iter() {
        if method.is_empty() || !method.bytes().all(|octet| octet.is_ascii_uppercase() || b"-_".contains(&octet)) {
            let message = format!("`{}` is not a method", method.value);
            problems.push(Problem::error(method.place.clone(), "", message).help("write methods as `GET` and `POST`"));
        }
        if cost.value > most {
            let message = format!("a {} costs {}, and there are never more than {most}", method.value, cost.value);
            let help = "it would always be refused: raise `burst`, or lower the cost";
            problems.push(Problem::error(cost.place.clone(), "", message).help(help));
        }
        costs.push((method.as_str().into(), cost.value));
    }
    Costs(costs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_and_a_time() {
        for (text, want) in [
            ("10/s", Some((10, Window::Second))),
            ("100/min", Some((100, Window::Minute))),
            ("1000/h", Some((1000, Window::Hour))),
            ("10000/day", Some((10_000, Window::Day))),
            ("0/day", Some((0, Window::Day))),
            ("10/m", None),
            ("10", None),
            ("/s", None),
            ("+1/s", None),
            ("1.5/s", None),
            ("10 / s", None),
            ("10/S", None),
            ("99999999999999999999/s", None),
        ] {
            assert_eq!(parse(text), want, "{text}");
        }
    }
}
