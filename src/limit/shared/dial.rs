//! From settings to a connection: which server, over what, and is it one that we may write to?

use redis::AsyncConnectionConfig;
use redis::RedisConnectionInfo;
use redis::Value;
use redis::aio::MultiplexedConnection;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::limit::shared::link::LinkError;
use crate::limit::shared::settings::Login;
use crate::limit::shared::settings::Servers;
use crate::limit::shared::settings::Settings;
use crate::outbound::dial::dial;
use crate::outbound::socket::Endpoint;
use crate::outbound::socket::HostPort;

/// A connection, and the task that reads and writes it.
pub(super) struct Open {
    pub(super) connection: MultiplexedConnection,
    pub(super) driver: AbortOnDropHandle<()>,
    /// Done when the connection has ended.
    pub(super) ended: CancellationToken,
}

/// Connect to the server that takes writes.
pub(super) async fn open(settings: &Settings) -> Result<Open, LinkError> {
    match &settings.servers {
        Servers::One(endpoint) => connect(endpoint, &settings.login, settings.database).await,
        Servers::Sentinels { master, sentinels, login } => {
            let mut last = LinkError::NoMaster(master.clone());
            for sentinel in sentinels {
                let found = match master_of(sentinel, login, master).await {
                    Ok(found) => found,
                    Err(error) => {
                        last = error;
                        continue;
                    }
                };
                last = match connect(&found, &settings.login, settings.database).await {
                    Ok(open) => match is_master(&open).await {
                        Ok(true) => return Ok(open),
                        // A sentinel that has not heard of a failover yet.
                        Ok(false) => LinkError::NoMaster(master.clone()),
                        Err(error) => error,
                    },
                    Err(error) => error,
                };
            }
            Err(last)
        }
    }
}

async fn connect(endpoint: &Endpoint, login: &Login, database: u16) -> Result<Open, LinkError> {
    let stream = dial(endpoint).await.map_err(LinkError::Connect)?;
    let mut info = RedisConnectionInfo::default().set_db(i64::from(database)).set_skip_set_lib_name();
    if let Some(user) = &login.user {
        info = info.set_username(user);
    }
    if let Some(password) = &login.password {
        info = info.set_password(password.expose());
    }
    // Every question has its own deadline.
    let config = AsyncConnectionConfig::new().set_response_timeout(None).set_connection_timeout(None);
    let (connection, driver) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
    let ended = CancellationToken::new();
    let guard = ended.clone().drop_guard();
    let driver = tokio::spawn(async move {
        driver.await;
        drop(guard);
    });
    Ok(Open { connection, driver: AbortOnDropHandle::new(driver), ended })
}

/// Where a sentinel says the master is.
async fn master_of(sentinel: &Endpoint, login: &Login, master: &str) -> Result<Endpoint, LinkError> {
    let mut open = connect(sentinel, login, 0).await?;
    let mut question = redis::cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(master);
    let found: Option<(String, u16)> = question.query_async(&mut open.connection).await?;
    let (host, port) = found.ok_or_else(|| LinkError::NoMaster(master.to_owned()))?;
    let to = HostPort { host: host.clone(), port };
    Ok(match sentinel {
        Endpoint::Tls(_, client) => Endpoint::Tls(to, client.for_host(&host).map_err(LinkError::Tls)?),
        Endpoint::Unix(_) | Endpoint::Udp(_) | Endpoint::Tcp(_) => Endpoint::Tcp(to),
    })
}

async fn is_master(open: &Open) -> Result<bool, LinkError> {
    let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut open.connection.clone()).await?;
    Ok(matches!(role.first(), Some(Value::BulkString(name)) if name == b"master"))
}
