//! Client certificates through real proxies: the shipped configurations with TLS in them, as `docs/identity.md` says, and
//! clients with the right certificate, with none, with a stranger's, and with somebody else's in a header.

mod files;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use self::files::{Files, Person};
use super::edge::{Edge, Edit, Proxy, Setup, patience};
use super::people::Tokens;
use super::postern::Postern;
use super::upstream::Upstream;

#[test]
fn envoy_states_the_certificate_over_grpc() {
    run(Proxy::EnvoyGrpc, "envoy", |files| vec![envoy_listener(files)]);
}

#[test]
fn envoy_states_the_certificate_in_its_header_over_grpc() {
    run(Proxy::EnvoyGrpc, "xfcc", |files| vec![envoy_listener(files), envoy_sanitizes()]);
}

#[test]
fn envoy_states_the_certificate_in_its_header_over_http() {
    run(Proxy::EnvoyHttp, "xfcc", |files| vec![envoy_listener(files), envoy_sanitizes()]);
}

#[test]
fn nginx_states_the_certificate() {
    run(Proxy::Nginx, NGINX, |files| nginx(files, "optional"));
}

#[test]
fn nginx_states_that_nobody_verified_the_certificate() {
    run(Proxy::Nginx, NGINX, |files| nginx(files, "optional_no_ca"));
}

#[test]
fn caddy_states_the_certificate() {
    run(Proxy::Caddy, "{header: {name: X-Client-Cert, proxy: caddy}}", |files| {
        let pair = format!("{} {}", files.path("edge.pem"), files.path("edge.key"));
        let trust = format!("client_auth {{\n mode verify_if_given\n trust_pool file {}\n }}", files.path("ca.pem"));
        vec![
            Edit::new("\nhttp://", "\nhttps://"),
            Edit::new("\trespond 421", format!("\ttls {pair}\n\trespond 421")),
            Edit::new("\t# `route` keeps", format!("\ttls {pair} {{\n {trust}\n }}\n\t# `route` keeps")),
            Edit::new(
                "\t\t\theader_up -Connection",
                "\t\t\theader_up X-Client-Cert {http.request.tls.client.certificate_der_base64}\n\t\t\theader_up -Connection",
            ),
        ]
    });
}

#[test]
fn traefik_states_the_certificate() {
    run(Proxy::Traefik, "{header: {name: X-Forwarded-Tls-Client-Cert, proxy: traefik}}", |files| {
        let tls = format!(
            "tls:\n  certificates: [{{certFile: {}, keyFile: {}}}]\n  options:\n    default:\n      \
             clientAuth: {{caFiles: [{}], clientAuthType: VerifyClientCertIfGiven}}\n",
            files.path("edge.pem"),
            files.path("edge.key"),
            files.path("ca.pem")
        );
        vec![
            Edit::new("http:\n  routers:", format!("{tls}http:\n  routers:")),
            Edit::new("      service: app\n", "      service: app\n      tls: {}\n"),
            // Otherwise the check goes without every X-Forwarded header, this one, too.
            Edit::new("trustForwardHeader: false", "trustForwardHeader: true"),
            Edit::new("[client-identity, postern", "[client-identity, certificate, postern"),
            Edit::new("  middlewares:\n", "  middlewares:\n    certificate: {passTLSClientCert: {pem: true}}\n"),
        ]
    });
}

#[test]
fn haproxy_states_the_certificate() {
    run(Proxy::Haproxy, "{header: {name: X-Client-Cert, proxy: haproxy}}", |files| {
        let tls = format!(" ssl crt {} ca-file {} verify optional", files.path("both.pem"), files.path("ca.pem"));
        let header = "http-request set-header X-Client-Cert %[ssl_c_der,base64]";
        vec![
            Edit::new("\n\n    # Names nobody serves.", format!("{tls}\n\n    # Names nobody serves.")),
            Edit::new("    http-request lua.postern", format!("    {header}\n    http-request lua.postern")),
        ]
    });
}

const NGINX: &str = "{header: {name: X-Client-Cert, proxy: nginx, verified: {name: X-Client-Verify, value: SUCCESS}}}";

/// TLS on the one address, and the two headers of the check.
fn nginx(files: &Files, verify: &str) -> Vec<Edit> {
    let server = format!(
        "ssl_certificate {}; ssl_certificate_key {}; ssl_client_certificate {}; ssl_verify_client {verify};",
        files.path("edge.pem"),
        files.path("edge.key"),
        files.path("ca.pem")
    );
    let check = "proxy_set_header X-Client-Cert $ssl_client_escaped_cert; \
                 proxy_set_header X-Client-Verify $ssl_client_verify;";
    vec![
        Edit::new("access_log off;", format!("access_log off; {server}")),
        Edit::new(" default_server;", " ssl default_server;"),
        Edit::new(";\n        server_name", " ssl;\n        server_name"),
        Edit::new("# A check has no body;", format!("{check}\n# A check has no body;")),
    ]
}

/// TLS on the listener, with whatever certificate of our authority the client has.
fn envoy_listener(files: &Files) -> Edit {
    let tls = format!(
        "        - transport_socket:\n            name: tls\n            typed_config:\n              \
         \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext\n              \
         common_tls_context:\n                tls_certificates: [{{certificate_chain: {{filename: {}}}, private_key: {{filename: {}}}}}]\n                \
         validation_context: {{trusted_ca: {{filename: {}}}}}\n          filters:\n",
        files.path("edge.pem"),
        files.path("edge.key"),
        files.path("ca.pem")
    );
    Edit::new("        - filters:\n", tls)
}

fn envoy_sanitizes() -> Edit {
    let lines = "stat_prefix: edge\n                forward_client_cert_details: SANITIZE_SET\n                \
                 set_current_client_cert_details: {cert: true, uri: true, dns: true}\n";
    Edit::new("stat_prefix: edge\n", lines)
}

/// What must come of a request.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// It arrives, and the application hears of this user.
    User(&'static str),
    /// 401, and it does not arrive.
    Refused,
    /// It does not arrive, whatever the proxy says to that.
    Stopped,
}

fn run(proxy: Proxy, from: &str, edits: impl Fn(&Files) -> Vec<Edit>) {
    if super::parts::find(proxy).is_none() {
        return;
    }
    let files = Files::write(from);
    let tokens = Tokens::mint();
    let postern = Postern::start_under(&files.path("policy.yaml"), &tokens);
    let upstream = Upstream::start();
    let mut edits = edits(&files);
    edits.extend(patience(proxy, Setup::Shipped));
    let ready = |port| files.alice.send(&files, port, "/public/ready", "ready", &[]).is_ok_and(|status| status == 200);
    let Some(edge) = Edge::start_with(proxy, Setup::Shipped, &edits, &postern, &upstream, &ready) else { return };
    let mut wrong = Vec::new();
    for (name, who, headers, want) in rows(&files) {
        let id = name.replace(' ', "-");
        let status = who.send(&files, edge.port, "/", &id, &headers);
        let arrivals = upstream.take(&id);
        let users: Vec<_> = arrivals.iter().map(|arrival| arrival.all("remote-user")).collect();
        let good = match want {
            Want::User(user) => matches!(status, Ok(200)) && users == [vec![user]],
            Want::Refused => matches!(status, Ok(401)) && arrivals.is_empty(),
            Want::Stopped => !matches!(status, Ok(200)) && arrivals.is_empty(),
        };
        if !good {
            wrong.push(format!("{name}: {status:?}, users {users:?}, wanted {want:?}"));
        }
    }
    assert!(wrong.is_empty(), "{proxy:?}, from {from}:\n{}\n{}\n{}", wrong.join("\n"), edge.log(), postern.log());
}

type Row<'f> = (&'static str, &'f Person, Vec<(&'static str, String)>, Want);

fn rows(files: &Files) -> Vec<Row<'_>> {
    let Files { alice, bob, nobody, stranger, unknown, .. } = files;
    // What would be Bob's certificate in every header and form that any proxy writes.
    let xfcc = format!("Hash={};Cert=\"{}\";URI=spiffe://corp.test/people/bob", "ab".repeat(32), bob.escaped());
    let named = "By=spiffe://corp.test/edge;URI=spiffe://corp.test/people/bob".to_owned();
    let base64 = || STANDARD.encode(&bob.der);
    let success = || "SUCCESS".to_owned();
    let forged = [
        vec![("X-Client-Cert", bob.escaped()), ("X-Client-Verify", success())],
        vec![("X-Client-Cert", base64()), ("X-Client-Verify", success())],
        vec![("x-client-cert", base64()), ("x-client-verify", success())],
        vec![("X-Client-Cert", base64()), ("X-Client-Cert", base64())],
        vec![("X-Forwarded-Tls-Client-Cert", base64())],
        vec![("X-Forwarded-Client-Cert", xfcc)],
        vec![("X-Forwarded-Client-Cert", named)],
        vec![("X-Forwarded-Uri", "/public/x".to_owned()), ("X-Forwarded-Method", "OPTIONS".to_owned())],
    ];
    let mut rows: Vec<Row<'_>> = vec![
        ("alice", alice, vec![], Want::User("alice")),
        ("bob", bob, vec![], Want::User("bob")),
        ("no certificate", nobody, vec![], Want::Refused),
        ("a certificate that maps to nobody", unknown, vec![], Want::Refused),
        ("the right name by another authority", stranger, vec![], Want::Stopped),
    ];
    for headers in forged {
        rows.push(("forged without a certificate", nobody, headers.clone(), Want::Refused));
        rows.push(("forged with a certificate that maps to nobody", unknown, headers.clone(), Want::Refused));
        rows.push(("forged by alice", alice, headers, Want::User("alice")));
    }
    rows
}
