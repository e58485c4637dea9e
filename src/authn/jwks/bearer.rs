//! The token that keys are fetched with, where their server tells them to nobody unknown: a Kubernetes API server. It is read
//! again for every fetch, because whoever wrote it renews it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::HeaderValue;
use http::header::AUTHORIZATION;

use crate::model::secret::Secret;

/// The longest that reading may take.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// Reads what a file holds now. Waits for the disk.
type Read = Arc<dyn Fn() -> io::Result<Vec<u8>> + Send + Sync>;

/// A token in a file.
#[derive(Clone)]
pub struct Bearer {
    read: Read,
}

/// Why there is no token. What the file holds is not told.
#[derive(Debug, thiserror::Error)]
pub(super) enum BearerError {
    #[error("the token to fetch with cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the file of the token to fetch with does not hold one token")]
    NotAToken,
}

impl Bearer {
    /// A token that `read` reads.
    pub fn new(read: Read) -> Bearer {
        Bearer { read }
    }

    /// The header of one request.
    pub(super) async fn headers(&self) -> Result<HeaderMap, BearerError> {
        let read = Arc::clone(&self.read);
        let content = match tokio::time::timeout(READ_WITHIN, tokio::task::spawn_blocking(move || read())).await {
            Ok(Ok(content)) => content,
            Ok(Err(error)) => Err(io::Error::other(error)),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        };
        let content = content.map_err(BearerError::Unreadable)?;
        let content = Secret::new(content);
        let token = content.expose().trim_ascii();
        if token.is_empty() || !token.iter().all(u8::is_ascii_graphic) {
            return Err(BearerError::NotAToken);
        }
        let mut value = HeaderValue::from_bytes(&[b"Bearer ", token].concat()).map_err(|_| BearerError::NotAToken)?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_holds_one_token_or_none() {
        for (content, want) in [
            (&b"a.b.c\n"[..], Some("Bearer a.b.c")),
            (b"a.b.c", Some("Bearer a.b.c")),
            (b"", None),
            (b"\n", None),
            (b"a b", None),
            (b"a\r\nX-Other: b", None),
            (b"a\xc3\xa9", None),
        ] {
            let headers = Bearer::new(Arc::new(move || Ok(content.to_vec()))).headers().await;
            let found = headers.as_ref().ok().and_then(|headers| headers.get(AUTHORIZATION)?.to_str().ok());
            assert_eq!(found, want, "{content:?}");
            assert!(!format!("{headers:?}").contains("a.b.c"));
        }
        let absent = Bearer::new(Arc::new(|| Err(io::ErrorKind::NotFound.into()))).headers().await;
        assert!(matches!(absent, Err(BearerError::Unreadable(_))));
    }
}
