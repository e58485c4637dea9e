//! What a policy looks at: all that a log must keep for another policy to judge a request again.

use std::sync::Arc;

use crate::authn::Source;
use crate::authn::TokenPlace;
use crate::authn::certificate::Statement;
use crate::model::claim_path::ClaimPath;
use crate::model::replay::CREDENTIALS;
use crate::model::replay::Reads;
use crate::policy::address::AddressRule;
use crate::policy::condition::Condition;
use crate::policy::gate::GateRule;
use crate::policy::header::OutgoingHeaders;
use crate::policy::header::extra::Content;
use crate::policy::host::HostBlock;
use crate::policy::host::HostPattern;
use crate::policy::route::Access;
use crate::policy::spoof::SpoofGuard;

/// Go through everything that looks at a request or at claims.
pub(super) fn reads(
    blocks: &[(HostPattern, HostBlock)],
    address: &AddressRule,
    headers: &OutgoingHeaders,
    guard: &SpoofGuard,
    sources: &[Arc<Source>],
) -> Reads {
    let mut reads = Reads { guard: guard.fingerprint(), ..Reads::default() };
    match address {
        AddressRule::Dialect | AddressRule::ForwardedFor { .. } => {}
        AddressRule::Forwarded { .. } => drop(reads.headers.insert("forwarded".to_owned())),
        AddressRule::Header(name) => drop(reads.headers.insert(name.to_string())),
    }
    for extra in &headers.extra {
        match &extra.content {
            Content::Claim { path, .. } => claim(&mut reads, path),
            Content::Constant(_) | Content::Fact(_) => {}
        }
    }
    for route in blocks.iter().flat_map(|(_, block)| block.routes.iter()) {
        for gate in route.gates.iter() {
            match &gate.rule {
                GateRule::Without(header) => drop(reads.headers.insert(header.name.clone())),
                GateRule::Within(_) | GateRule::Outside(_) | GateRule::Except(_) => {}
            }
        }
        if let Access::Require(requirement) = &route.access {
            requirement.conditions(&mut |condition, _| read_by(&mut reads, condition));
        }
    }
    let mut secret = |name: &str| {
        if reads.headers.remove(name) {
            reads.secret_headers.insert(name.to_owned());
        }
    };
    CREDENTIALS.into_iter().for_each(&mut secret);
    for place in sources.iter().flat_map(|source| source.places()) {
        match place {
            TokenPlace::Header(name) => secret(&name.to_ascii_lowercase()),
            TokenPlace::Certificate(Statement::Header { name, .. }) => secret(name),
            TokenPlace::Certificate(Statement::Attribute | Statement::Xfcc)
            | TokenPlace::Bearer
            | TokenPlace::Basic
            | TokenPlace::Cookie(_) => {}
        }
    }
    reads
}

fn read_by(reads: &mut Reads, condition: &Condition) {
    match condition {
        Condition::Header(test) => drop(reads.headers.insert(test.name.clone())),
        Condition::Query(test) => drop(reads.parameters.insert(test.name.clone())),
        Condition::Claim(test) => claim(reads, &test.path),
        Condition::Groups(_)
        | Condition::Roles(_)
        | Condition::Users(_)
        | Condition::Scopes(_)
        | Condition::Source(_)
        | Condition::Network(_)
        | Condition::Schedule(_)
        | Condition::Authenticated => {}
    }
}

fn claim(reads: &mut Reads, path: &ClaimPath) {
    // Whether an address is verified is judged by the claim itself.
    if path.starts_at("email") {
        reads.claims.insert(ClaimPath::member("email"));
    }
    reads.claims.insert(path.clone());
}
