//! `postern ask`: put one question to a running instance, in the words of any proxy.

pub mod answer;
mod exchange;
pub mod wire;

use crate::cli::print;
use crate::cli::request::RequestArgs;
use crate::config::load::Machine;
use crate::model::dialect::Dialect;
use crate::model::listen::ListenAddress;

pub use exchange::ask;

/// Ask a running Postern about one request, as a proxy would
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit status: 0 allowed, 3 denied, 2 wrong arguments, 1 no answer.")]
pub struct Ask {
    /// In which proxy's words: ext_authz (Envoy's gRPC), envoy_http, caddy, traefik, nginx, ingress_nginx or haproxy
    #[arg(long, default_value = "ext_authz", value_parser = parse_dialect, value_name = "PROXY")]
    proxy: Dialect,
    /// The listener, host:port or unix:/path [default: 127.0.0.1:9191 for ext_authz, 127.0.0.1:9192 for the others]
    #[arg(long, value_name = "ADDRESS")]
    to: Option<ListenAddress>,
    #[command(flatten)]
    request: RequestArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Ask {
    /// Ask, and say by the exit status whether the request passes.
    pub fn run(&self) -> anyhow::Result<u8> {
        let client = self.request.request(&Machine)?;
        let port = if self.proxy == Dialect::ExtAuthz { 9191 } else { 9192 };
        let address = self.to.clone().unwrap_or(ListenAddress::Tcp(([127, 0, 0, 1], port).into()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(ask(self.proxy, &address, &client))?;
        if self.json {
            print::out(&answer.json()?);
        } else {
            print::out(&answer.text());
        }
        Ok(if answer.allowed { 0 } else { crate::cli::DENIED })
    }
}

fn parse_dialect(text: &str) -> Result<Dialect, String> {
    Dialect::parse(&text.replace('-', "_"))
        .ok_or_else(|| format!("known: {}", Dialect::ALL.map(Dialect::name).join(", ")))
}
