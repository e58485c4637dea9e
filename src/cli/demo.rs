//! `postern demo`: the whole thing on this machine in one command, with nothing to install or configure.

mod issuer;
mod proxy;
mod question;
mod upstream;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use tokio_util::sync::CancellationToken;

use crate::cli::ask;
use crate::cli::demo::issuer::Issuer;
use crate::cli::demo::issuer::PEOPLE;
use crate::cli::demo::proxy::Edge;
use crate::cli::demo::proxy::ProxyKind;
use crate::cli::demo::question::QUESTIONS;
use crate::cli::demo::upstream::Upstream;
use crate::cli::load::LoadedPolicy;
use crate::cli::print;
use crate::config::load::Pretend;
use crate::engine::Engine;
use crate::model::listen::Listen;
use crate::model::listen::ListenAddress;
use crate::server::Server;
use crate::server::Settings;
use crate::server::bind::Sharing;
use crate::server::inherited::Inherited;
use crate::telemetry::Telemetry;
use crate::telemetry::clock;

/// The example policy, which runs as it stands.
pub const POLICY: &str = include_str!("demo/policy.yaml");
/// Where the tokens of the demo end, in seconds from its start.
const LIFETIME: i64 = 12 * 60 * 60;

/// See Postern decide: an example policy, an issuer in memory, every listener, and four questions answered.
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Also start this proxy (when it is installed) in front of a tiny application, to see it in a browser
    #[arg(long, value_enum, value_name = "PROXY")]
    proxy: Option<ProxyKind>,
    /// The port the proxy listens on
    #[arg(long, default_value_t = 8080, value_name = "PORT", requires = "proxy")]
    port: u16,
    /// Answer the questions and end, instead of serving until Ctrl-C
    #[arg(long)]
    once: bool,
}

impl Demo {
    /// Run until Ctrl-C.
    pub fn run(&self) -> anyhow::Result<u8> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let outcome = runtime.block_on(self.show());
        runtime.shutdown_background();
        outcome.map(|()| 0)
    }

    async fn show(&self) -> anyhow::Result<()> {
        let issuer = Arc::new(Issuer::new()?);
        let upstream = match self.proxy {
            Some(_) => Some(Upstream::start(Arc::clone(&issuer), self.port).await?),
            None => None,
        };
        let policy = match &upstream {
            None => POLICY.to_owned(),
            // In a browser the site is this machine, and the login page is the application's own.
            Some(upstream) => POLICY
                .replace("app.example.test:", "localhost:\n    scheme: http")
                .replace("https://sso.demo.test/login", &upstream.login_page()),
        };
        let server = Running::start(&policy, &issuer)?;
        self.say_hello(&server);
        let mut tokens = Vec::new();
        for person in PEOPLE {
            let token = issuer.token(person, clock::now(), LIFETIME)?;
            print::out(&format!("{}={token}\n", person.user.to_uppercase()));
            tokens.push((person, token));
        }
        if upstream.is_none() {
            for question in QUESTIONS {
                let asked = question.client_request(&tokens);
                print::out(&question.text(&server.listen)?);
                let address = server.listen.grpc.as_ref().context("no gRPC listener")?;
                let answer = ask::ask(crate::model::dialect::Dialect::ExtAuthz, address, &asked).await?;
                print::out(&answer.text());
            }
        }
        let edge = match (self.proxy, &upstream) {
            (Some(kind), Some(upstream)) => Some(Edge::start(kind, self.port, &server.listen, upstream).await?),
            _ => None,
        };
        if let Some(edge) = &edge {
            print::out(&format!(
                "\n{} listens. Open http://localhost:{}/ in a browser: you are sent to a login page; then try /admin/ as \
                 bob and as alice.\n",
                edge.name(),
                self.port
            ));
        }
        if !self.once {
            print::err("\nserving until Ctrl-C\n");
            tokio::signal::ctrl_c().await?;
        }
        drop(edge);
        server.stop().await
    }

    fn say_hello(&self, server: &Running) {
        let show = |address: &Option<ListenAddress>| address.as_ref().map(ToString::to_string).unwrap_or_default();
        print::err(&format!(
            "Postern {} decides by this policy:\n\n{}\nlistening: gRPC {}, HTTP {}, admin {}\n\nTokens of two people (for a \
             shell):\n",
            env!("CARGO_PKG_VERSION"),
            POLICY.lines().map(|line| format!("    {line}\n")).collect::<String>(),
            show(&server.listen.grpc),
            show(&server.listen.http),
            show(&server.listen.admin),
        ));
    }
}

/// A Postern with all its listeners, in this process.
struct Running {
    listen: Listen,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start(policy: &str, issuer: &Issuer) -> anyhow::Result<Running> {
        let world =
            Pretend::new().file("demo/policy.yaml", policy).file("demo/demo-jwks.json", issuer.jwks().to_string());
        let policy = LoadedPolicy::read(Path::new("demo/policy.yaml"), &world)
            .map_err(|report| anyhow::anyhow!("the example policy is refused:\n{}", report.text(false)))?;
        let telemetry = Arc::new(Telemetry::new()?);
        let engine = Engine::new(Arc::new(policy.snapshot), Arc::clone(&telemetry));
        let configured = engine.snapshot().listen.clone();
        // Another postern may run already: then any free port will do.
        let server = match Server::bind(&configured, Sharing::Alone, Inherited::default()) {
            Ok(server) => server,
            Err(_) => {
                let any = || Some(ListenAddress::Tcp(([127, 0, 0, 1], 0).into()));
                Server::bind(&Listen { grpc: any(), http: any(), admin: any() }, Sharing::Alone, Inherited::default())?
            }
        };
        let listen = server.listen();
        let stop = CancellationToken::new();
        let shutdown = stop.clone().cancelled_owned();
        let served =
            tokio::spawn(async move { server.run(Settings::default(), Arc::new(engine), telemetry, shutdown).await });
        Ok(Running { listen, stop, served })
    }

    async fn stop(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.served.await?.context("cannot serve")
    }
}
