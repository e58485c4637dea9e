//! The tiny application behind the demo's proxy, and its login page. It shows what it received, nothing else.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Request;
use http::Response;
use http::StatusCode;
use http::header;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::cli::demo::LIFETIME;
use crate::cli::demo::issuer::Issuer;
use crate::cli::demo::issuer::PEOPLE;
use crate::telemetry::clock;

/// A running application.
#[derive(Debug)]
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
}

impl Upstream {
    /// Start it on a free port of loopback, for a site that browsers reach at `localhost:site_port`.
    pub(super) async fn start(issuer: Arc<Issuer>, site_port: u16) -> std::io::Result<Upstream> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let issuer = Arc::clone(&issuer);
                let serve = service_fn(move |request| {
                    let answer = answer(&request, &issuer, site_port);
                    async move { Ok::<_, std::convert::Infallible>(answer) }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        Ok(Upstream { address })
    }

    /// The login page. Cookies know no ports, so what it sets at `localhost` the site sees too.
    pub(super) fn login_page(&self) -> String {
        format!("http://localhost:{}/login", self.address.port())
    }
}

fn answer(request: &Request<Incoming>, issuer: &Issuer, site_port: u16) -> Response<Full<Bytes>> {
    let site = format!("http://localhost:{site_port}/");
    // Reached directly, without the proxy: the login page. Everything else came through the proxy.
    match request.uri().path() {
        "/login" => page("Who are you?", &login_links()),
        path if path.starts_with("/login/") => log_in(path, issuer, &site),
        _ => page("The application received this", &received(request)),
    }
}

fn login_links() -> String {
    PEOPLE
        .iter()
        .map(|person| {
            format!("<li><a href=\"/login/{}\">{}</a> ({})</li>\n", person.user, person.name, person.groups.join(", "))
        })
        .collect::<String>()
}

/// Set the cookie and go back to the site, never anywhere else.
fn log_in(path: &str, issuer: &Issuer, site: &str) -> Response<Full<Bytes>> {
    let name = path.strip_prefix("/login/").unwrap_or_default();
    let Some(person) = PEOPLE.into_iter().find(|person| person.user == name) else {
        return status(StatusCode::NOT_FOUND);
    };
    let Ok(token) = issuer.token(person, clock::now(), LIFETIME) else {
        return status(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let cookie = format!("demo_token={token}; Path=/; HttpOnly; SameSite=Lax");
    let mut answer = status(StatusCode::SEE_OTHER);
    for (name, value) in [(header::LOCATION, site.to_owned()), (header::SET_COOKIE, cookie)] {
        if let Ok(value) = HeaderValue::try_from(value) {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
}

fn received(request: &Request<Incoming>) -> String {
    let identity = |name: &str| text(request.headers(), name);
    let mut body = match identity("remote-user") {
        Some(user) => format!(
            "<p>You are <b>{}</b>, {} ({}).</p>\n",
            escape(&user),
            escape(&identity("remote-name").unwrap_or_default()),
            escape(&identity("remote-groups").unwrap_or_default())
        ),
        None => "<p>Nobody told me who you are.</p>\n".to_owned(),
    };
    body.push_str(&format!("<pre>{} {}\n", request.method(), escape(&request.uri().to_string())));
    for (name, value) in request.headers() {
        let value = if name == header::COOKIE {
            "…".to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        body.push_str(&format!("{name}: {}\n", escape(&value)));
    }
    body.push_str(
        "</pre>\n<p><a href=\"/\">/</a> <a href=\"/admin/\">/admin/</a> <a href=\"/healthz\">/healthz</a></p>\n",
    );
    body
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
}

fn page(title: &str, body: &str) -> Response<Full<Bytes>> {
    let html = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\n<style>body{{font:1rem/1.5 \
         system-ui,sans-serif;max-width:46rem;margin:8vh auto;padding:0 1rem}}pre{{background:#f4f4f4;padding:1rem;\
         overflow:auto}}</style>\n<h1>{title}</h1>\n{body}</html>\n"
    );
    let mut answer = Response::new(Full::from(html));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    answer
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
