//! Calling a provider: the one background task of each. A call goes on when those who ordered it have stopped waiting, so
//! that the next one finds its answer.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use http::HeaderMap;
use http::HeaderValue;
use http::StatusCode;
use http::header::ACCEPT;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::warn;

use crate::authn::introspection::Refused;
use crate::authn::introspection::answer;
use crate::authn::introspection::answer::AnswerError;
use crate::authn::introspection::answer::Said;
use crate::authn::introspection::assertion::Unsigned;
use crate::authn::introspection::introspector::Flight;
use crate::authn::introspection::introspector::Introspector;
use crate::authn::introspection::introspector::Landing;
use crate::authn::introspection::introspector::Order;
use crate::authn::introspection::introspector::Way;
use crate::authn::random::random;
use crate::model::reason::Reason;
use crate::outbound::Asked;
use crate::outbound::Client;
use crate::outbound::OutboundError;
use crate::outbound::Reply;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    #[error("the provider answered {0}")]
    Status(u16),
    #[error(transparent)]
    Answer(#[from] AnswerError),
    #[error(transparent)]
    Unsigned(#[from] Unsigned),
    #[error("the token does not fit into a header")]
    Unsendable,
}

impl CallError {
    /// Does it show that the provider is unwell? What a stranger's token alone can bring about may not close the door
    /// to everybody else.
    fn blames_provider(&self, way: &Way) -> bool {
        match self {
            CallError::Outbound(_) | CallError::Answer(_) => true,
            CallError::Status(400..500) => match way {
                // Our own credentials are refused, or we call too often.
                Way::Introspection(_) => matches!(self, CallError::Status(401 | 403 | 404 | 408 | 429)),
                Way::Userinfo => matches!(self, CallError::Status(404 | 408 | 429)),
            },
            CallError::Status(_) => true,
            CallError::Unsigned(_) | CallError::Unsendable => false,
        }
    }
}

/// Make the calls that requests order, until `shutdown` ends. Returns at once where another task does so already.
pub async fn run(
    introspector: Arc<Introspector>,
    client: Client,
    now: impl Fn() -> Timestamp + Clone + Send + Sync + 'static,
    shutdown: impl Future<Output = ()> + Send,
) {
    let Some(orders) = introspector.take_orders() else { return };
    let mut orders = Borrowed { introspector: introspector.clone(), orders: Some(orders) };
    let mut calls = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = calls.join_next() => {}
            Some(order) = orders.next() => {
                calls.spawn(call(introspector.clone(), client.clone(), order, now.clone()));
            }
        }
    }
}

/// The orders, which go back when their task ends.
struct Borrowed {
    introspector: Arc<Introspector>,
    orders: Option<mpsc::Receiver<Order>>,
}

impl Borrowed {
    async fn next(&mut self) -> Option<Order> {
        match &mut self.orders {
            Some(orders) => orders.recv().await,
            None => None,
        }
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        if let Some(orders) = self.orders.take() {
            self.introspector.return_orders(orders);
        }
    }
}

/// Lands a call that ends in whatever way: answered, stopped, or in a panic.
struct Pilot<N: Fn() -> Timestamp> {
    introspector: Arc<Introspector>,
    flight: Flight,
    landing: Option<Landing>,
    now: N,
}

impl<N: Fn() -> Timestamp> Drop for Pilot<N> {
    fn drop(&mut self) {
        let given_up = || Landing::Failed(Refused::unavailable("the call to the provider was given up"));
        let landing = self.landing.take().unwrap_or_else(given_up);
        self.introspector.land(&self.flight, landing, (self.now)(), random());
    }
}

async fn call(
    introspector: Arc<Introspector>,
    client: Client,
    Order { token, flight }: Order,
    now: impl Fn() -> Timestamp + Send + Sync,
) {
    let mut pilot = Pilot { introspector: introspector.clone(), flight, landing: None, now: &now };
    let said = ask(&introspector, &client, token.expose(), now()).await;
    pilot.landing = Some(match said {
        Ok(Said::Active(active)) => Landing::Heard(introspector.demands.judge(active, now())),
        Ok(Said::Inactive) => {
            let detail = "the provider says that the token is not active".into();
            Landing::Heard(Err(Refused { reason: Reason::TokenInactive, detail }))
        }
        Err(error) => {
            let refused = Refused::unavailable(&error.to_string());
            if error.blames_provider(&introspector.way) {
                warn!(identity.source = %introspector.source(), error = %error, "the provider could not be asked about a token");
                Landing::Failed(refused)
            } else {
                Landing::Unheard(refused)
            }
        }
    });
}

async fn ask(introspector: &Introspector, client: &Client, token: &str, now: Timestamp) -> Result<Said, CallError> {
    let (asked, mut headers) = match &introspector.way {
        Way::Introspection(ourselves) => {
            let (form, headers) = ourselves.request(token, now)?;
            (Asked::Form(form), headers)
        }
        Way::Userinfo => {
            let mut bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| CallError::Unsendable)?;
            bearer.set_sensitive(true);
            (Asked::Get, HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
        }
    };
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let Reply { status, body } = client.ask(&introspector.url, asked, headers, &introspector.limits).await?;
    match (&introspector.way, status) {
        (Way::Introspection(_), StatusCode::OK) => Ok(answer::introspected(&body)?),
        (Way::Userinfo, StatusCode::OK) => Ok(answer::user_information(&body)?),
        // RFC 6750 §3.1: the token is expired, revoked, malformed, or otherwise no good.
        (Way::Userinfo, StatusCode::UNAUTHORIZED) => Ok(Said::Inactive),
        (_, status) => Err(CallError::Status(status.as_u16())),
    }
}
