//! Fetching: the one background task of each remote issuer. Requests never fetch; they order, and wait a little.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tracing::info;
use tracing::warn;
use url::Url;

use crate::authn::jwks::Keys;
use crate::authn::jwks::cache::Step;
use crate::authn::jwks::discovery;
use crate::authn::jwks::discovery::DiscoveryError;
use crate::authn::jwks::remote::Endpoint;
use crate::authn::jwks::remote::Remote;
use crate::authn::jwks::set::KeySet;
use crate::authn::jwks::set::KeySetError;
use crate::outbound::Client;
use crate::outbound::OutboundError;

/// The longest sleep, so that a clock set forward is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Why one fetch gave no key set.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// Keep the keys of one issuer fresh until `shutdown` ends. Returns at once for keys that are not fetched.
pub async fn run(
    keys: Arc<Keys>,
    client: Client,
    now: impl Fn() -> Timestamp + Send + Sync,
    shutdown: impl Future<Output = ()> + Send,
) {
    let Some(remote) = keys.as_remote() else { return };
    remote.abandoned();
    let work = async {
        loop {
            match remote.step(now()) {
                Step::Wait(delay) => {
                    let delay = delay.unsigned_abs().min(LONGEST_SLEEP);
                    tokio::select! {
                        () = tokio::time::sleep(delay) => {}
                        () = remote.ordered() => {}
                    }
                }
                Step::Fetch => {
                    let outcome = fetch(&keys, remote, &client).await;
                    report(&keys, &outcome);
                    remote.finished(outcome.map_err(|error| error.to_string()), now(), random());
                }
            }
        }
    };
    let mut work = pin!(work);
    tokio::select! {
        () = &mut work => {}
        () = shutdown => {}
    }
}

async fn fetch(keys: &Keys, remote: &Remote, client: &Client) -> Result<KeySet, FetchError> {
    let location: Url = match remote.endpoint() {
        Endpoint::JwksUrl(url) => url.clone(),
        Endpoint::Discover(url) => {
            let document = client.get(url, &remote.limits(url)).await?;
            discovery::jwks_uri(&document, keys.issuer(), url, |host| remote.may_lead_to(host))?
        }
    };
    Ok(KeySet::parse(&client.get(&location, &remote.limits(&location)).await?)?)
}

fn report(keys: &Keys, outcome: &Result<KeySet, FetchError>) {
    match outcome {
        Ok(set) => {
            for key in set.left_out() {
                info!(keys.issuer = %keys.issuer(), key = %key, "a published key is left out");
            }
        }
        Err(error) => warn!(keys.issuer = %keys.issuer(), error = %error, "the keys could not be fetched"),
    }
}

/// Spreads the refreshes of replicas; when the generator fails they are merely less spread.
fn random() -> u32 {
    let mut octets = [0; 4];
    match aws_lc_rs::rand::fill(&mut octets) {
        Ok(()) => u32::from_be_bytes(octets),
        Err(_) => u32::MAX / 2,
    }
}

#[cfg(test)]
mod tests;
