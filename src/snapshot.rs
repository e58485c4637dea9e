//! From the configuration as written to everything built, or all that is wrong with it at once.
//!
//! Nothing downstream checks again: a [`Snapshot`] cannot hold a bad pattern, a dangling name or a missing key file.

mod access;
mod admin;
mod assertion;
pub mod assumed;
mod audit;
pub mod duration;
pub mod example;
mod header;
mod host;
mod identity;
mod limit;
mod listen;
mod network;
mod overlap;
mod reads;
mod revocation;
mod role;
mod telemetry;
pub mod tls;
mod tls_client;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::OnceLock;

use http::HeaderName;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::assertion::Assertions;
use crate::audit::settings::AuditSettings;
use crate::authn::Kind;
use crate::authn::Source;
use crate::authn::TokenPlace;
use crate::authn::api_key::ApiKeySource;
use crate::authn::introspection;
use crate::authn::introspection::Introspector;
use crate::authn::jwks;
use crate::authn::jwks::Keys;
use crate::authn::revocation::Revocations;
use crate::config::load::Loaded;
use crate::config::load::Refused;
use crate::config::load::Surroundings;
use crate::config::load::World;
use crate::config::nearest;
use crate::config::report::Report;
use crate::config::tree;
use crate::export::settings::OtlpSettings;
use crate::limit::Local;
use crate::limit::Shared;
use crate::limit::Stores;
use crate::model::admin::AdminRules;
use crate::model::caller::Callers;
use crate::model::example::Example;
use crate::model::header::HeaderText;
use crate::model::introspection_status::IntrospectionStatus;
use crate::model::key_status::KeyStatus;
use crate::model::key_use::KeyUse;
use crate::model::limit::SharedStatus;
use crate::model::listen::Listen;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::replay::Reads;
use crate::model::response::AllowHeaders;
use crate::model::response::AllowNames;
use crate::outbound;
use crate::outbound::Client;
use crate::outbound::OutboundError;
use crate::policy::Policy;
use crate::policy::address::AddressRule;
use crate::policy::denial::Challenge;
use crate::policy::header::NEVER_THE_CLIENTS;
use crate::policy::header::OutgoingHeaders;
use crate::policy::host::HostBlock;
use crate::policy::host::HostPattern;
use crate::policy::host::HostTable;
use crate::policy::limit::Limits;
use crate::policy::spoof::SpoofGuard;
use crate::policy::spoof::SpoofMode;
use crate::snapshot::tls::Tls;
use crate::storage::Folder;
use crate::storage::Storage;

/// Everything that answers requests, built from one configuration. Requests hold one for their whole walk.
#[derive(Debug)]
pub struct Snapshot {
    pub policy: Policy,
    /// What it looks at.
    pub reads: Reads,
    /// Lists of identity sources; a route names its list by number.
    pub sources: Vec<Vec<Arc<Source>>>,
    /// For each of these lists, the headers of an allow to an anonymous caller, once there was one.
    nobodys: Vec<OnceLock<Arc<AllowHeaders>>>,
    /// For each of them, the names of the headers of an allow to its first caller.
    names: Vec<OnceLock<Arc<AllowNames>>>,
    /// Every identity source, in the order written.
    pub identities: Vec<Arc<Source>>,
    /// The keys of every token issuer, to be kept fresh in the background.
    pub keys: Vec<Arc<Keys>>,
    /// What is proven, and no good any more.
    pub revocations: Revocations,
    /// Signs what applications are told, where the policy asks for it.
    pub assertions: Option<Assertions>,
    /// What is counted, and where; `None` where nothing is.
    pub limits: Option<Limiter>,
    /// The folder for what outlives the process.
    pub state_dir: Option<PathBuf>,
    /// How the log of decisions is kept.
    pub audit: Option<AuditSettings>,
    /// How a collector is told.
    pub otlp: Option<OtlpSettings>,
    /// Who asks providers about opaque tokens; the calls are made in the background.
    pub introspectors: Vec<Arc<Introspector>>,
    pub listen: Listen,
    /// How new connections of proxies are encrypted.
    pub tls: Tls,
    pub callers: Arc<Callers>,
    /// Who may do what on the admin listener.
    pub admin: Arc<AdminRules>,
    /// SHA-256 of the files it was built from.
    pub digest: Arc<str>,
    /// 1 for the one of the start, and one more with each that takes its place.
    pub generation: u64,
    /// Requests and what must become of them, as routes have them.
    pub examples: Vec<Example>,
    /// Every weakening switch that is on, as it is written.
    pub insecure: Vec<String>,
}

/// The limits of a policy, and the budgets of everybody they count.
#[derive(Debug)]
pub struct Limiter {
    pub rules: Limits,
    pub stores: Stores,
}

impl Snapshot {
    /// Fetch the keys of every issuer that publishes them, now and then again, until `stop`. Until the first fetch,
    /// those that an earlier process kept in the state folder are used; when this returns, they are in force.
    pub fn keep_keys_fresh(
        &self,
        now: impl Fn() -> Timestamp + Clone + Send + Sync + 'static,
        stop: &CancellationToken,
    ) -> Result<(), OutboundError> {
        let remote: Vec<_> = self.keys.iter().filter(|keys| keys.is_remote()).cloned().collect();
        if remote.is_empty() {
            return Ok(());
        }
        let client = Client::new(&outbound::Settings::default())?;
        let storage = self.open_storage();
        for keys in remote {
            match &storage {
                Some(storage) => keys.keep_in(storage, now()),
                None if self.state_dir.is_some() => keys.not_kept(),
                None => {}
            }
            let stop = stop.clone().cancelled_owned();
            tokio::spawn(jwks::run(keys, client.clone(), now.clone(), stop));
        }
        Ok(())
    }

    /// Use the keys of an earlier policy until newer ones are fetched: an issuer may be away when a policy changes.
    pub fn take_keys_of(&self, earlier: &Snapshot) {
        for (keys, held) in self.keys.iter().flat_map(|keys| earlier.keys.iter().map(move |held| (keys, held))) {
            keys.take_over(held);
        }
    }

    /// Go on with the tokens that an earlier policy has verified: those of sources that verify as theirs did.
    pub fn take_tokens_of(&self, earlier: &Snapshot) {
        for source in &self.identities {
            let held = earlier.identities.iter().find(|held| held.name == source.name);
            held.into_iter().for_each(|held| source.take_over(held));
        }
    }

    /// Go on with the budgets of an earlier policy: those of limits that are the same in both. `false` where that cannot
    /// be, because they have another memory now. A store that all instances share has its own, and keeps its connection.
    pub fn take_budgets_of(&mut self, earlier: &Snapshot) -> bool {
        let (Some(limits), Some(held)) = (&mut self.limits, &earlier.limits) else { return true };
        let same = limits.stores.local.memory() == held.stores.local.memory();
        if same {
            limits.stores.local = Arc::clone(&held.stores.local);
        }
        if let (Some(new), Some(old)) = (&mut limits.stores.shared, &held.stores.shared)
            && new.settings() == old.settings()
        {
            *new = Arc::clone(old);
        }
        same
    }

    /// Connect to the store that all instances take budgets from, where there is one.
    pub fn share_budgets(&self) {
        if let Some(shared) = self.limits.as_ref().and_then(|limits| limits.stores.shared.as_ref()) {
            shared.start();
        }
    }

    /// How that store stands.
    pub fn shared_limits_status(&self) -> Option<SharedStatus> {
        self.limits.as_ref()?.stores.shared.as_ref().map(|shared| shared.status())
    }

    /// The state folder; without it we serve all the same.
    fn open_storage(&self) -> Option<Arc<dyn Storage>> {
        match Folder::open(self.state_dir.as_deref()?) {
            Ok(folder) => Some(Arc::new(folder)),
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                warn!(error = %format_args!("{error}{cause}"), "the state folder cannot be used, so nothing is kept");
                None
            }
        }
    }

    /// Make the calls to providers that requests order, until `stop`.
    pub fn ask_providers(
        &self,
        now: impl Fn() -> Timestamp + Clone + Send + Sync + 'static,
        stop: &CancellationToken,
    ) -> Result<(), OutboundError> {
        if self.introspectors.is_empty() {
            return Ok(());
        }
        let client = Client::new(&outbound::Settings::default())?;
        for introspector in &self.introspectors {
            let stopped = stop.clone().cancelled_owned();
            tokio::spawn(introspection::run(introspector.clone(), client.clone(), now.clone(), stopped));
        }
        Ok(())
    }

    /// Is anything asked of others: issuers for their keys, or providers about tokens?
    pub fn asks_others(&self) -> bool {
        !self.introspectors.is_empty() || self.keys.iter().any(|keys| keys.is_remote())
    }

    /// How asking each provider stands.
    pub fn introspection_statuses(&self) -> Vec<IntrospectionStatus> {
        self.introspectors.iter().map(|introspector| introspector.status()).collect()
    }

    /// How the keys of every issuer stand.
    pub fn key_statuses(&self) -> Vec<KeyStatus> {
        let status = |source: &Arc<Source>| {
            let tokens = if let Kind::Jwt(jwt) = &source.kind { jwt.tokens() } else { None };
            Some(KeyStatus { tokens, ..source.keys()?.status() })
        };
        self.identities.iter().filter_map(status).collect()
    }

    /// When the API keys of every source were last used.
    pub fn key_uses(&self) -> Vec<KeyUse> {
        let mut sources: Vec<&Arc<Source>> = self.sources.iter().flatten().collect();
        sources.sort_by(|a, b| a.name.cmp(&b.name));
        sources.dedup_by(|a, b| a.name == b.name);
        sources.iter().filter_map(|source| source.api_keys()).flat_map(ApiKeySource::uses).collect()
    }

    /// Keep what is known of the uses of keys when this takes the place of another.
    pub fn remember(&self, uses: &[KeyUse]) {
        self.sources.iter().flatten().filter_map(|source| source.api_keys()).for_each(|keys| keys.remember(uses));
    }

    /// The names of the sources in these lists.
    pub fn source_names(&self, lists: impl Iterator<Item = usize>) -> Vec<Vec<&str>> {
        let names = |list: usize| self.sources.get(list).into_iter().flatten().map(|source| &*source.name).collect();
        lists.map(names).collect()
    }

    /// The header fields that hold nothing but credentials for this list of sources, and need not reach the
    /// application.
    pub fn credential_headers(&self, list: usize) -> impl Iterator<Item = HeaderName> {
        let sources = self.sources.get(list).into_iter().flatten();
        sources.filter_map(|source| source.api_keys()).flat_map(ApiKeySource::headers).cloned()
    }

    /// The headers of an allow that sets these, on a route with this list of sources. `also` must be absent, too.
    pub fn headers_with(&self, set: Vec<(HeaderName, HeaderText)>, also: Vec<HeaderName>, list: usize) -> AllowHeaders {
        let mut remove = self.policy.headers.owned();
        remove.extend(also);
        remove.extend(self.credential_headers(list));
        AllowHeaders::new(set, remove)
    }

    /// The same, kept for a caller as long as its credential is.
    pub fn lasting_headers(&self, set: Vec<(HeaderName, HeaderText)>, list: usize) -> AllowHeaders {
        let kept = self.names.get(list);
        let like_the_first = kept.and_then(|names| AllowHeaders::like(names.get()?, &set));
        like_the_first.unwrap_or_else(|| {
            let headers = self.headers_with(set, Vec::new(), list);
            if let Some(kept) = kept {
                // Another thread may have been faster, or this caller has other names than the first.
                let _ = kept.set(Arc::clone(headers.shared_names()));
            }
            headers
        })
    }

    /// The headers of an allow to an anonymous caller.
    pub fn nobodys_headers(&self, list: usize) -> Arc<AllowHeaders> {
        let made = || Arc::new(self.headers_with(Vec::new(), Vec::new(), list));
        self.nobodys.get(list).map_or_else(made, |kept| Arc::clone(kept.get_or_init(made)))
    }

    /// What a client may prove itself with to this list of sources.
    pub fn challenge(&self, list: usize) -> Challenge {
        let places = || self.sources.get(list).into_iter().flatten().flat_map(|source| source.places());
        let basic = places().any(|place| *place == TokenPlace::Basic);
        Challenge { bearer: !basic || places().any(|place| *place != TokenPlace::Basic), basic }
    }

    /// What keeps this from answering everybody: issuers whose keys are not to be had, and a store of limits that nobody
    /// has tried to reach yet.
    pub fn obstacles(&self, now: Timestamp) -> Vec<String> {
        let without = self.keys.iter().filter(|keys| keys.current(now).is_none());
        let keys = without.map(|keys| {
            let status = keys.status();
            let cause = status.last_error.map(|error| format!(": {error}")).unwrap_or_default();
            format!("identity source `{}` has no keys of {}{cause}", status.source, status.issuer)
        });
        // Its limits say what is done while it is away, so only the first attempt is waited for.
        let shared = self.limits.as_ref().and_then(|limits| limits.stores.shared.as_ref());
        let untried = shared.filter(|shared| !shared.status().tried);
        let limits =
            untried.map(|shared| format!("not yet connected to the store of limits at {}", shared.settings().servers));
        keys.chain(limits).collect()
    }
}

/// Build, or say everything that is wrong. The warnings of a good configuration come beside it;
/// those of the load are in `loaded` already.
pub fn build(loaded: &Loaded, world: &dyn World) -> Result<(Snapshot, Problems), Problems> {
    let mut problems = Problems::default();
    let parts = parts(&loaded.config, &loaded.surroundings(world), &mut problems);
    if problems.has_errors() {
        return Err(problems);
    }
    Ok((parts.assemble(&loaded.config, &loaded.digest), problems))
}

/// Everything that is wrong with a policy that could not be loaded: of what could be read, the meaning is judged too.
pub fn judge(refused: Refused, world: &dyn World) -> Report {
    let mut found = Problems::default();
    if let Some(draft) = refused.draft() {
        parts(draft.config(), &draft.surroundings(world), &mut found);
        found = draft.certain(found);
    }
    refused.report(found)
}

/// What a snapshot is made of. With errors beside it, it is good for nothing.
struct Parts {
    names: Names,
    limits: Option<limit::Built>,
    blocks: Vec<(HostPattern, HostBlock)>,
    headers: OutgoingHeaders,
    assertions: Option<Assertions>,
    revocations: Revocations,
    address: AddressRule,
    callers: Callers,
    admin: AdminRules,
    listen: Listen,
    tls: Tls,
    state_dir: Option<PathBuf>,
    audit: Option<AuditSettings>,
    otlp: Option<OtlpSettings>,
    examples: Vec<Example>,
}

fn parts(config: &tree::Config, surroundings: &Surroundings<'_>, problems: &mut Problems) -> Parts {
    let mut networks = network::NetworkNames::build(&config.networks, surroundings, problems);
    let hops = listen::trusted_hops(&config.client_ip, &networks, problems);
    networks.walk_over(Arc::clone(&hops));
    let identities = identity::Identities::build(&config.identity, &networks, surroundings, problems);
    let roles = role::Roles::build(&config.roles, &identities, problems);
    let mut names = Names { networks, identities, roles, lists: Vec::new(), limits: limit::Book::default() };
    names.limits.keys_come_from(names.identities.of_api_keys());
    names.limits.kept_in(&config.limits);
    let blocks = host::blocks(config, &mut names, problems);
    let known = (&names.networks, &names.roles);
    names.limits.callers(&config.roles, names.identities.key_limits(), known, problems);
    let limits = std::mem::take(&mut names.limits).finish(&config.limits, surroundings, problems);
    let (mut headers, header_problems) = header::outgoing(&config.defaults, &blocks, &names.roles);
    problems.0.extend(header_problems);
    let assertions = assertion::assertions(config.defaults.assertion.as_ref(), surroundings, problems);
    headers.assertion = assertions.as_ref().map(|assertions| assertions.header().clone());
    let address = listen::address_rule(&config.client_ip, hops, &headers.owned(), problems);
    let (callers, listen) = (listen::callers(config, problems), listen::listen(&config.listen, problems));
    let admin = admin::rules(&config.admin, surroundings, problems);
    let tls = tls::tls(config.listen.tls.as_ref(), &listen, surroundings, problems);
    let state_dir = state_dir(config, problems);
    let revocations = revocation::revocations(config.revocation.as_ref(), &names.identities, surroundings, problems);
    let told_lines = config.audit.as_ref().is_some_and(|audit| audit::goes_by_otlp(audit));
    let otlp = telemetry::otlp(config.telemetry.as_ref(), told_lines, surroundings, problems);
    let audit = audit::audit(config.audit.as_ref(), otlp.as_ref(), surroundings, problems);
    problems.0.extend(surroundings.exposed());
    let examples = example::of_policy(config, &names.identities.all(), problems);
    Parts {
        names,
        limits,
        blocks,
        headers,
        assertions,
        revocations,
        address,
        callers,
        admin,
        listen,
        tls,
        state_dir,
        audit,
        otlp,
        examples,
    }
}

impl Parts {
    fn assemble(self, config: &tree::Config, digest: &str) -> Snapshot {
        let Parts {
            names,
            limits,
            blocks,
            headers,
            assertions,
            revocations,
            address,
            callers,
            admin,
            listen,
            tls,
            state_dir,
            audit,
            otlp,
            examples,
        } = self;
        let mode = match config.spoof_guard.as_deref().copied().unwrap_or_default() {
            tree::SpoofGuard::Refuse => SpoofMode::Refuse,
            tree::SpoofGuard::Strip => SpoofMode::Strip,
            tree::SpoofGuard::InsecureReport => SpoofMode::Report,
        };
        let owned = headers.owned();
        let spoof = SpoofGuard::new(mode, owned.iter().map(http::HeaderName::as_str)).also(NEVER_THE_CLIENTS);
        let sources = names.source_lists();
        let reads = reads::reads(&blocks, &address, &headers, &spoof, &names.identities.all());
        Snapshot {
            reads,
            policy: Policy { hosts: HostTable::new(blocks), address, spoof, headers },
            nobodys: sources.iter().map(|_| OnceLock::new()).collect(),
            names: sources.iter().map(|_| OnceLock::new()).collect(),
            sources,
            identities: names.identities.all(),
            keys: names.identities.keys(),
            revocations,
            assertions,
            limits: limits.map(|limit::Built { rules, memory, shared }| {
                let shared = shared.map(|settings| Arc::new(Shared::new(settings)));
                Limiter { rules, stores: Stores { local: Arc::new(Local::new(memory)), shared } }
            }),
            state_dir,
            audit,
            otlp,
            introspectors: names.identities.introspectors(),
            listen,
            tls,
            callers: Arc::new(callers),
            admin: Arc::new(admin),
            digest: digest.into(),
            generation: 1,
            examples,
            insecure: insecure(config, mode),
        }
    }
}

/// What routes refer to by name.
struct Names {
    networks: network::NetworkNames,
    identities: identity::Identities,
    roles: role::Roles,
    /// Every distinct list of sources that a route uses.
    lists: Vec<Vec<Arc<str>>>,
    /// Every limit met so far.
    limits: limit::Book,
}

impl Names {
    /// The number of a list of sources.
    fn list(&mut self, sources: Vec<Arc<str>>) -> usize {
        match self.lists.iter().position(|list| *list == sources) {
            Some(number) => number,
            None => {
                self.lists.push(sources);
                self.lists.len() - 1
            }
        }
    }

    fn source_lists(&self) -> Vec<Vec<Arc<Source>>> {
        self.lists.iter().map(|list| list.iter().filter_map(|name| self.identities.source(name)).collect()).collect()
    }
}

/// Relative to what? The policy may lie where nothing can be written, and the process may start anywhere.
fn state_dir(config: &tree::Config, problems: &mut Problems) -> Option<PathBuf> {
    let written = config.state_dir.as_ref()?;
    let path = PathBuf::from(&written.value);
    if !path.is_absolute() {
        let message = format!("`{}` is not an absolute path", written.value);
        problems.push(Problem::error(written.place.clone(), "", message).help("write `/var/lib/postern`"));
    }
    Some(path)
}

/// The weakening switches that are on.
fn insecure(config: &tree::Config, mode: SpoofMode) -> Vec<String> {
    let mut switches = Vec::new();
    if config.insecure_any_caller {
        switches.push("insecure_any_caller".to_owned());
    }
    if config.client_ip.insecure_any_hop {
        switches.push("client_ip.insecure_any_hop".to_owned());
    }
    if config.audit.as_ref().and_then(|audit| audit.http.as_ref()).is_some_and(|http| http.insecure_url) {
        switches.push("audit.http.insecure_url".to_owned());
    }
    if mode == SpoofMode::Report {
        switches.push("spoof_guard: insecure_report".to_owned());
    }
    for (name, source) in config.identity.iter() {
        let tree::Source { jwt, introspection, userinfo, api_key: _, basic: _, certificate: _ } = &source.value;
        let written = [
            ("jwt.insecure_http", jwt.as_ref().is_some_and(|jwt| jwt.insecure_http)),
            ("jwt.insecure_bound_tokens", jwt.as_ref().is_some_and(|jwt| jwt.insecure_bound_tokens)),
            ("introspection.insecure_url", introspection.as_ref().is_some_and(|asked| asked.insecure_url)),
            ("introspection.insecure_untyped", introspection.as_ref().is_some_and(|asked| asked.insecure_untyped)),
            ("userinfo.insecure_url", userinfo.as_ref().is_some_and(|asked| asked.insecure_url)),
        ];
        for (switch, _) in written.into_iter().filter(|(_, on)| *on) {
            switches.push(format!("identity.{}.{switch}", name.value));
        }
    }
    switches
}

/// A dangling name, with the nearest one that exists.
fn unknown_name(
    at: &crate::config::at::At<String>,
    what: &str,
    known: impl IntoIterator<Item = impl AsRef<str>>,
) -> Problem {
    let mut known: Vec<String> = known.into_iter().map(|name| name.as_ref().to_owned()).collect();
    known.sort();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let problem = Problem::error(at.place.clone(), "", format!("there is no {what} called `{}`", at.value));
    if known.is_empty() {
        problem.help(format!("no {what} is configured"))
    } else {
        problem.help(nearest::help(&at.value, &known))
    }
}

#[cfg(test)]
mod tests;
