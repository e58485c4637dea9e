//! Fetching: the one background task of each remote issuer. Requests never fetch; they order, and wait a little.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use tracing::info;
use tracing::warn;
use url::Url;

use crate::authn::jwks::Keys;
use crate::authn::jwks::bearer::BearerError;
use crate::authn::jwks::cache::Step;
use crate::authn::jwks::discovery;
use crate::authn::jwks::discovery::DiscoveryError;
use crate::authn::jwks::remote::Endpoint;
use crate::authn::jwks::remote::Remote;
use crate::authn::jwks::set::KeySet;
use crate::authn::jwks::set::KeySetError;
use crate::authn::random::random;
use crate::outbound::Client;
use crate::outbound::OutboundError;
use crate::storage::Storage;

/// The longest sleep, so that a clock set forward is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Why one fetch gave no key set.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Bearer(#[from] BearerError),
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error(transparent)]
    KeySet(#[from] KeySetError),
}

/// Keep the keys of one issuer fresh until `shutdown` ends, and a copy of them where [`Keys::keep_in`] says. Returns at
/// once for keys that are not fetched.
pub async fn run(
    keys: Arc<Keys>,
    client: Client,
    now: impl Fn() -> Timestamp + Send + Sync,
    shutdown: impl Future<Output = ()> + Send,
) {
    let Some(remote) = keys.as_remote() else { return };
    remote.abandoned();
    let mut saving = Saving::default();
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
                    let outcome = fetch(&keys, remote, remote.client().unwrap_or(&client)).await;
                    report(&keys, &outcome);
                    let (document, outcome) = match outcome {
                        Ok((set, document)) => (Some(document), Ok(set)),
                        Err(error) => (None, Err(error.to_string())),
                    };
                    let fetched = now();
                    let good = remote.finished(outcome, fetched, random());
                    if let (true, Some(document), Some(storage)) = (good, document, remote.storage()) {
                        saving.save(&keys, storage, document, fetched);
                    }
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

/// The copy that is being written. Fetching never waits for a disk.
#[derive(Default)]
struct Saving {
    last: Option<tokio::task::JoinHandle<()>>,
}

impl Saving {
    fn save(&mut self, keys: &Arc<Keys>, storage: &Arc<dyn Storage>, document: Bytes, fetched: Timestamp) {
        if self.last.as_ref().is_some_and(|last| !last.is_finished()) {
            keys.not_kept();
            warn!(keys.issuer = %keys.issuer(), "the keys are not kept: the last copy is still being written");
            return;
        }
        let (keys, storage) = (Arc::clone(keys), Arc::clone(storage));
        self.last = Some(tokio::task::spawn_blocking(move || keys.keep(&*storage, &document, fetched)));
    }
}

/// A set, and the document it was read from.
async fn fetch(keys: &Keys, remote: &Remote, client: &Client) -> Result<(KeySet, Bytes), FetchError> {
    let location: Url = match remote.endpoint() {
        Endpoint::JwksUrl(url) => url.clone(),
        Endpoint::Discover(url) => {
            let document = get(remote, client, url).await?;
            discovery::jwks_uri(&document, keys.issuer(), url, |host| remote.may_lead_to(host))?
        }
    };
    let document = get(remote, client, &location).await?;
    Ok((KeySet::parse(&document)?, document))
}

async fn get(remote: &Remote, client: &Client, url: &Url) -> Result<Bytes, FetchError> {
    let headers = match remote.bearer(url) {
        Some(bearer) => bearer.headers().await?,
        None => HeaderMap::new(),
    };
    Ok(client.get(url, headers, &remote.limits(url)).await?)
}

fn report(keys: &Keys, outcome: &Result<(KeySet, Bytes), FetchError>) {
    match outcome {
        Ok((set, _)) => {
            for key in set.left_out() {
                info!(keys.issuer = %keys.issuer(), key = %key, "a published key is left out");
            }
        }
        Err(error) => warn!(keys.issuer = %keys.issuer(), error = %error, "the keys could not be fetched"),
    }
}

#[cfg(test)]
mod tests;
