//! The way from a proxy to Postern, encrypted: a proxy with the right certificate is heard, one with another is not, and
//! then nobody gets through.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType,
};
use tempfile::TempDir;

use super::client;
use super::edge::{Edge, Edit, Proxy, Setup, patience};
use super::people::Tokens;
use super::postern::{POLICY, Postern};
use super::upstream::{SCENARIO, Upstream};

pub(super) const NAME: &str = "postern.corp.test";
const EDGE: &str = "spiffe://corp.test/edge/one";

#[test]
fn envoy_asks_over_mutual_tls() {
    run(Proxy::EnvoyGrpc, |folder, who| {
        let tls = format!(
            "    - name: postern\n      transport_socket:\n        name: tls\n        typed_config:\n          \
             \"@type\": type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext\n          \
             sni: {NAME}\n          common_tls_context:\n            alpn_protocols: [h2]\n            \
             tls_certificates: [{{certificate_chain: {{filename: {folder}/{who}.pem}}, private_key: {{filename: {folder}/{who}.key}}}}]\n            \
             validation_context:\n              trusted_ca: {{filename: {folder}/ca.pem}}\n              \
             match_typed_subject_alt_names: [{{san_type: DNS, matcher: {{exact: {NAME}}}}}]\n"
        );
        vec![Edit::new("    - name: postern\n", tls)]
    });
}

#[test]
fn nginx_asks_over_mutual_tls() {
    run(Proxy::Nginx, |folder, who| {
        let tls = format!(
            "proxy_pass https://postern/auth/nginx; proxy_ssl_certificate {folder}/{who}.pem; \
             proxy_ssl_certificate_key {folder}/{who}.key; proxy_ssl_trusted_certificate {folder}/ca.pem; \
             proxy_ssl_verify on; proxy_ssl_name {NAME}; proxy_ssl_server_name on;"
        );
        vec![Edit::new("proxy_pass http://postern/auth/nginx;", tls)]
    });
}

#[test]
fn caddy_asks_over_mutual_tls() {
    run(Proxy::Caddy, |folder, who| {
        let tls = format!(
            "transport http {{\n tls\n tls_client_auth {folder}/{who}.pem {folder}/{who}.key\n \
             tls_trust_pool file {folder}/ca.pem\n tls_server_name {NAME}\n"
        );
        // Where it asks over TLS, Caddy puts our address for the client's host.
        vec![
            Edit::new("transport http {\n", tls),
            Edit::new("uri /auth/caddy?p=1\n", "uri /auth/caddy?p=1\nheader_up Host {host}\n"),
        ]
    });
}

fn run(proxy: Proxy, edits: impl Fn(&str, &str) -> Vec<Edit>) {
    if super::parts::find(proxy).is_none() {
        return;
    }
    let files = files();
    let folder = files.path().display().to_string();
    let (tokens, upstream) = (Tokens::mint(), Upstream::start());
    let postern = Postern::start_under(&format!("{folder}/policy.yaml"), &tokens);
    for (who, heard) in [("one", true), ("other", false)] {
        let mut edits = edits(&folder, who);
        edits.extend(patience(proxy, Setup::Shipped));
        // Without an answer from Postern the proxy says so, in its own way; and nothing arrives.
        let ready = |port: u16| {
            let id = format!("{who}-{port}");
            let request = format!("GET /public/ready HTTP/1.1\r\nHost: app.example.test\r\n{SCENARIO}: {id}\r\n\r\n");
            let status = client::send(port, request.as_bytes()).map(|reply| reply.status);
            let arrived = !upstream.take(&id).is_empty();
            assert!(!arrived || heard, "{proxy:?}: a request arrived that nobody allowed");
            status.is_ok_and(|status| if heard { status == 200 && arrived } else { status >= 500 })
        };
        let edge = Edge::start_with(proxy, Setup::Shipped, &edits, &postern, &upstream, &ready);
        drop(edge);
    }
    let page = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let metrics = client::send(postern.admin, page).expect("metrics").body;
    let refused = metrics.lines().any(|line| line.contains("cause=\"handshake\"") && !line.ends_with(" 0"));
    assert!(refused, "{metrics}\n{}", postern.log());
}

/// The policy of the battery with TLS, and everybody's certificates.
pub(super) fn files() -> TempDir {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "ours");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    let issue = |name: &str, of: SanType, usage: ExtendedKeyUsagePurpose| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names.push(of);
        params.extended_key_usages.push(usage);
        let key = KeyPair::generate().expect("a key");
        put(&format!("{name}.pem"), &params.signed_by(&key, &authority).expect("a certificate").pem());
        put(&format!("{name}.key"), &key.serialize_pem());
    };
    let uri = |text: &str| SanType::URI(text.try_into().expect("a name"));
    put("ca.pem", &authority.pem());
    issue("postern", SanType::DnsName(NAME.try_into().expect("a name")), ExtendedKeyUsagePurpose::ServerAuth);
    issue("one", uri(EDGE), ExtendedKeyUsagePurpose::ClientAuth);
    issue("other", uri("spiffe://corp.test/app"), ExtendedKeyUsagePurpose::ClientAuth);
    #[expect(clippy::disallowed_methods, reason = "a policy of our own")]
    let policy =
        std::fs::read_to_string(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(POLICY)).expect("a policy");
    let at = folder.path().display();
    let tls = format!(
        "listen:\n  tls: {{certificate: {at}/postern.pem, key: {{file: {at}/postern.key}}, client_ca: {at}/ca.pem, \
         client_names: [spiffe://corp.test/edge/**]}}\n"
    );
    assert!(policy.contains("listen:\n"), "the policy has no `listen:` of its own line");
    put("policy.yaml", &policy.replacen("listen:\n", &tls, 1));
    folder
}
