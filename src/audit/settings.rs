//! How the audit log is kept.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use url::Url;

use crate::audit::form::Form;
use crate::audit::signer::Signer;
use crate::export::settings::OtlpSettings;
use crate::model::secret::Secret;
use crate::outbound::socket::Endpoint;

/// The `audit` setting, built.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditSettings {
    pub target: Target,
    /// Who else gets the lines.
    pub collections: Vec<Collection>,
    pub when_full: WhenFull,
    /// Lines that may wait for the writer.
    pub queue: usize,
    pub rotation: Rotation,
    pub fsync: Fsync,
    /// How lines say things.
    pub form: Form,
    /// Lines hold what another policy needs to judge their requests again.
    pub replay: bool,
    /// Each line names the one before it.
    pub chain: bool,
    /// Signs checkpoints of the chain.
    pub signer: Option<Signer>,
}

impl AuditSettings {
    /// Lines to this place, and all else as it is where nothing is written.
    pub fn to(target: Target) -> AuditSettings {
        AuditSettings {
            target,
            collections: Vec::new(),
            when_full: WhenFull::default(),
            queue: QUEUE,
            rotation: Rotation::default(),
            fsync: Fsync::default(),
            form: Form::default(),
            replay: false,
            chain: true,
            signer: None,
        }
    }
}

/// How many lines may wait unless the policy says otherwise.
pub const QUEUE: usize = 8192;

/// Somebody who gets a copy of each line over the network.
#[derive(Clone, Debug, PartialEq)]
pub enum Collection {
    Syslog(SyslogSettings),
    Otlp(OtlpSettings),
    Http(HttpSettings),
}

/// The `audit.http` setting, built.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpSettings {
    pub url: Url,
    /// Certificate authorities (PEM) of the collector; `None`: those of the system.
    pub authorities: Option<Vec<u8>>,
    pub bearer: Option<BearerFile>,
    /// `url` may be an `http:` one.
    pub insecure_url: bool,
    /// How long an answer is waited for.
    pub timeout: Duration,
    pub spool: SpoolSettings,
}

/// Where lines wait on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpoolSettings {
    pub path: PathBuf,
    /// The most it holds, in octets.
    pub size: u64,
    /// Lines of a batch, at most.
    pub batch: usize,
    /// How long a batch that is not whole waits for more.
    pub interval: Duration,
}

/// A token in a file that somebody else renews.
#[derive(Clone)]
pub struct BearerFile {
    path: String,
    read: Read,
}

/// Reads a file.
type Read = Arc<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>;

impl BearerFile {
    /// A token that `read` reads.
    pub fn new(path: String, read: Read) -> BearerFile {
        BearerFile { path, read }
    }

    /// The `Authorization` of one request. Waits for the disk. What the file holds is not told.
    pub fn header(&self) -> io::Result<HeaderValue> {
        let content = Secret::new((self.read)()?);
        let value = Secret::new([b"Bearer ", content.expose().trim_ascii()].concat());
        let unfit = |_| io::Error::other(format!("`{}` does not hold one token", self.path));
        let mut header = HeaderValue::from_bytes(value.expose()).map_err(unfit)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl PartialEq for BearerFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
    }
}

impl std::fmt::Debug for BearerFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("BearerFile").field(&self.path).finish()
    }
}

/// The `audit.syslog` setting, built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogSettings {
    pub to: Endpoint,
    /// The number of the facility (RFC 5424 §6.2.1).
    pub facility: u8,
    pub app_name: String,
    /// `None`: the name of this machine.
    pub hostname: Option<String>,
}

/// Where the lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    File(PathBuf),
    Stdout,
    /// Only to collectors.
    Nowhere,
}

/// What becomes of a request whose line cannot be kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// It is answered as it would be; the missing line is counted.
    #[default]
    Drop,
    /// It does not pass.
    Refuse,
}

/// When a file is put aside and another one begun. What is `None` sets no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rotation {
    /// In octets.
    pub size: Option<u64>,
    pub age: Option<Duration>,
    /// How many files that were put aside are kept.
    pub keep: Option<usize>,
}

/// When what is written is forced to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// When the system sees fit.
    Never,
    /// At most a second after it was written.
    #[default]
    Second,
    /// Before anything else is written.
    Line,
}
