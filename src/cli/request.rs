//! A client's request as the command line describes it, shared by `explain` and `ask`.

use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;

use crate::config::load::World;
use crate::model::request::split_url;

/// The request of a client, as a proxy would receive it.
#[derive(Clone, Debug, clap::Args)]
pub struct RequestArgs {
    /// The client's method
    #[arg(long, short = 'X', default_value = "GET")]
    pub method: String,
    /// The URL the client asks for, such as `https://app.example.test/admin?x=1`; taken as it is, nothing is normalised
    #[arg(long, value_parser = parse_url)]
    pub url: ClientUrl,
    /// The client's address
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    pub from: String,
    /// A header of the client; may be given several times
    #[arg(long = "header", short = 'H', value_name = "NAME: VALUE", value_parser = parse_header)]
    pub headers: Vec<(String, String)>,
    /// A bearer token, or @FILE to read one
    #[arg(long, value_name = "TOKEN")]
    pub token: Option<String>,
    /// The client's certificate, a PEM file, stated as Envoy does over gRPC; for other proxies give their header with -H
    #[arg(long, value_name = "FILE")]
    pub certificate: Option<PathBuf>,
}

/// A URL, only split and never normalised: what is odd in it is what one wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientUrl {
    scheme: String,
    host: String,
    /// Path and query.
    target: String,
}

/// The request, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    pub method: String,
    pub scheme: String,
    pub host: String,
    /// Path and query.
    pub target: String,
    pub from: String,
    pub headers: Vec<(String, String)>,
    /// The client's certificate as PEM.
    pub certificate: Option<String>,
}

impl RequestArgs {
    /// Take the arguments apart, and read the token where it is in a file.
    pub fn request(&self, world: &dyn World) -> anyhow::Result<ClientRequest> {
        let mut headers = self.headers.clone();
        if let Some(token) = &self.token {
            let token = match token.strip_prefix('@') {
                Some(file) => read(world, "token file", Path::new(file))?.trim().to_owned(),
                None => token.clone(),
            };
            headers.push(("authorization".to_owned(), format!("Bearer {token}")));
        }
        let ClientUrl { scheme, host, target } = self.url.clone();
        let certificate = self.certificate.as_ref().map(|file| read(world, "certificate file", file)).transpose()?;
        let (method, from) = (self.method.clone(), self.from.clone());
        Ok(ClientRequest { method, scheme, host, target, from, headers, certificate })
    }
}

fn read(world: &dyn World, what: &str, file: &Path) -> anyhow::Result<String> {
    let named = || format!("{what} `{}`", file.display());
    let octets = world.read(file, 64 * 1024).with_context(named)?;
    String::from_utf8(octets).with_context(named)
}

fn parse_url(text: &str) -> Result<ClientUrl, String> {
    let (scheme, host, target) = split_url(text).ok_or_else(|| "not a URL; write https://host/path".to_owned())?;
    Ok(ClientUrl { scheme: scheme.to_owned(), host: host.to_owned(), target })
}

fn parse_header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| "not a header; write `Name: value`".to_owned())?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Pretend;

    #[test]
    fn a_url_is_split_but_not_normalised() {
        for (url, scheme, host, target) in [
            ("https://h.test", "https", "h.test", "/"),
            ("http://h.test/a/../b?c#d", "http", "h.test", "/a/../b?c#d"),
            ("https://H.test:8443?x", "https", "H.test:8443", "/?x"),
            ("https://h.test//a%2f", "https", "h.test", "//a%2f"),
        ] {
            let want = ClientUrl { scheme: scheme.into(), host: host.into(), target: target.into() };
            assert_eq!(parse_url(url), Ok(want), "{url}");
        }
        assert!(parse_url("h.test/a").is_err());
    }

    #[test]
    fn a_token_becomes_an_authorization_header() {
        let world = Pretend::new().file("token", "abc\n");
        for token in ["abc", "@token"] {
            let args = RequestArgs {
                method: "GET".into(),
                url: parse_url("https://h.test/").expect("a URL"),
                from: "127.0.0.1".into(),
                headers: vec![parse_header("X-A:  b ").expect("a header")],
                token: Some(token.into()),
                certificate: None,
            };
            let request = args.request(&world).expect("a request");
            let want = [("X-A", "b"), ("authorization", "Bearer abc")].map(|(name, value)| (name.into(), value.into()));
            assert_eq!(request.headers, want, "{token}");
        }
        assert!(parse_header("nonsense").is_err());
    }
}
