use std::path::Path;
use std::sync::Arc;

use rcgen::BasicConstraints;
use rcgen::CertificateParams;
use rcgen::CertifiedIssuer;
use rcgen::ExtendedKeyUsagePurpose;
use rcgen::IsCa;
use rcgen::KeyPair;
use rcgen::SanType;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::ServerConnection;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::ServerName;
use rustls_pki_types::pem::PemObject;

use super::*;
use crate::config::load::Pretend;
use crate::config::load::load;
use crate::snapshot::Snapshot;
use crate::snapshot::build;

/// A certificate with its key, as PEM.
struct Pair {
    certificate: String,
    key: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority")
}

fn pair(
    by: &CertifiedIssuer<'_, KeyPair>,
    names: impl IntoIterator<Item = SanType>,
    usage: ExtendedKeyUsagePurpose,
) -> Pair {
    let mut params = CertificateParams::default();
    params.subject_alt_names.extend(names);
    params.extended_key_usages.push(usage);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, by).expect("a certificate");
    Pair { certificate: certificate.pem(), key: key.serialize_pem() }
}

fn server_pair(by: &CertifiedIssuer<'_, KeyPair>) -> Pair {
    let name = SanType::DnsName("postern.test".try_into().expect("a name"));
    pair(by, [name], ExtendedKeyUsagePurpose::ServerAuth)
}

fn proxy_pair(by: &CertifiedIssuer<'_, KeyPair>, uri: &str) -> Pair {
    proxy_of(by, &[uri])
}

fn proxy_of(by: &CertifiedIssuer<'_, KeyPair>, uris: &[&str]) -> Pair {
    let names = uris.iter().map(|uri| SanType::URI((*uri).try_into().expect("a name")));
    pair(by, names, ExtendedKeyUsagePurpose::ClientAuth)
}

/// Everything a policy may name.
fn world() -> (Pretend, CertifiedIssuer<'static, KeyPair>) {
    let ours = authority();
    let (server, other) = (server_pair(&ours), server_pair(&ours));
    let world = Pretend::new()
        .file("p/ca.pem", ours.pem())
        .file("p/tls.crt", server.certificate)
        .file("p/tls.key", server.key)
        .file("p/other.key", other.key)
        .file("p/empty.pem", "nothing\n");
    (world, ours)
}

fn built(world: &Pretend, listen: &str) -> Result<(Snapshot, Problems), Problems> {
    let world = world.clone().file("p/policy.yaml", format!("version: 1\nlisten:\n{listen}\n...\n"));
    let loaded = load(Path::new("p/policy.yaml"), &world)
        .unwrap_or_else(|refused| panic!("{}", crate::snapshot::judge(refused, &world)));
    build(&loaded, &world)
}

const PAIR: &str = "certificate: tls.crt, key: {file: tls.key}";

#[test]
fn every_mistake_is_said() {
    let (world, _) = world();
    for (listen, want) in [
        ("tls: {certificate: none.crt, key: {file: tls.key}}".to_owned(), "the file `p/none.crt` does not exist"),
        ("tls: {certificate: empty.pem, key: {file: tls.key}}".to_owned(), "there is no certificate in it"),
        ("tls: {certificate: tls.crt, key: {file: empty.pem}}".to_owned(), "there is no private key in it"),
        (
            "tls: {certificate: tls.crt, key: {file: other.key}}".to_owned(),
            "certificate and key cannot be used together",
        ),
        (format!("tls: {{{PAIR}, client_ca: empty.pem}}"), "there is no certificate in it"),
        (format!("tls: {{{PAIR}, client_names: a.test}}"), "`client_names` says nothing without `client_ca`"),
        (format!("tls: {{{PAIR}, client_ca: ca.pem, client_names: []}}"), "this list is empty"),
        (format!("tls: {{{PAIR}, client_ca: ca.pem, client_names: '*.a.test'}}"), "has a `*` where none can be"),
        (format!("tls: {{{PAIR}, on: []}}"), "this list is empty"),
        (format!("grpc: unix:/run/p.sock, tls: {{{PAIR}, on: grpc}}"), "a unix socket carries no TLS"),
        (format!("tls: {{{PAIR}, on: admin}}"), "admin"),
    ] {
        let listen = format!("  {{{listen}}}");
        let said = match std::panic::catch_unwind(|| built(&world, &listen)) {
            Ok(Ok(_)) => panic!("{listen} was taken"),
            Ok(Err(problems)) => {
                problems.0.iter().map(|problem| problem.message.clone()).collect::<Vec<_>>().join("; ")
            }
            // What the reader refuses already.
            Err(panic) => panic.downcast_ref::<String>().cloned().unwrap_or_default(),
        };
        assert!(said.contains(want), "{listen}: {said}");
    }
}

#[test]
fn listeners_speak_it_where_they_are_told() {
    let (world, _) = world();
    for (on, want) in [("", (true, true)), (", on: grpc", (true, false)), (", on: [http]", (false, true))] {
        let (snapshot, warnings) = built(&world, &format!("  tls: {{{PAIR}{on}}}")).expect("a policy");
        assert_eq!((snapshot.tls.grpc.is_some(), snapshot.tls.http.is_some()), want, "{on}");
        assert!(of_tls(&warnings).is_empty());
    }
    let (plain, _) = built(&world, "  grpc: 127.0.0.1:1").expect("a policy");
    assert!(plain.tls.grpc.is_none() && plain.tls.http.is_none());
    let (one, _) = built(&world, &format!("  tls: {{{PAIR}, on: grpc}}")).expect("a policy");
    assert_eq!(plain.tls.plainer_than(&one.tls).collect::<Vec<_>>(), ["grpc"]);
    assert_eq!(one.tls.plainer_than(&plain.tls).count(), 0);
    let sockets = format!("  {{grpc: unix:/run/g.sock, http: unix:/run/h.sock, tls: {{{PAIR}}}}}");
    let (_, warnings) = built(&world, &sockets).expect("a policy");
    assert_eq!(of_tls(&warnings), ["no listener speaks TLS: both are unix sockets"]);
}

fn of_tls(warnings: &Problems) -> Vec<&str> {
    warnings.0.iter().map(|warning| warning.message.as_str()).filter(|message| message.contains("TLS")).collect()
}

/// Let a client with this certificate and the server agree; the server's word on it.
fn shake(server: &Arc<rustls::ServerConfig>, trusted: &CertifiedIssuer<'_, KeyPair>, pair: Option<&Pair>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.der().clone()).expect("an authority");
    let client =
        ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().expect("versions");
    let client = client.with_root_certificates(roots);
    let client = match pair {
        None => client.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).expect("a certificate")];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).expect("a key");
            client.with_client_auth_cert(chain, key).expect("a pair")
        }
    };
    let name = ServerName::try_from("postern.test").expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::clone(server)).expect("a server");
    let mut octets = Vec::new();
    for _ in 0..6 {
        octets.clear();
        client.write_tls(&mut octets).expect("memory");
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            server.read_tls(&mut rest).expect("memory");
            if server.process_new_packets().is_err() {
                return false;
            }
        }
        octets.clear();
        server.write_tls(&mut octets).expect("memory");
        let mut rest = octets.as_slice();
        while !rest.is_empty() {
            client.read_tls(&mut rest).expect("memory");
            if client.process_new_packets().is_err() {
                return false;
            }
        }
    }
    !server.is_handshaking()
}

#[test]
fn only_a_listed_proxy_of_the_authority_is_heard() {
    let (world, ours) = world();
    let other = authority();
    let listed = proxy_pair(&ours, "spiffe://corp.test/edge/envoy");
    let unlisted = proxy_pair(&ours, "spiffe://corp.test/app");
    let stranger = proxy_pair(&other, "spiffe://corp.test/edge/envoy");
    let not_a_client = server_pair(&ours);
    let names = "client_names: [spiffe://corp.test/edge/**]";
    for (how, by_none, by_unlisted) in [
        (String::new(), true, true),
        (", client_ca: ca.pem".to_owned(), false, true),
        (format!(", client_ca: ca.pem, {names}"), false, false),
    ] {
        let (snapshot, _) = built(&world, &format!("  tls: {{{PAIR}{how}}}")).expect("a policy");
        let server = snapshot.tls.http.expect("TLS");
        assert!(shake(&server, &ours, Some(&listed)), "{how}: listed");
        assert_eq!(shake(&server, &ours, None), by_none, "{how}: none");
        assert_eq!(shake(&server, &ours, Some(&unlisted)), by_unlisted, "{how}: unlisted");
        if !how.is_empty() {
            assert!(!shake(&server, &ours, Some(&stranger)), "{how}: of another authority");
            assert!(!shake(&server, &ours, Some(&not_a_client)), "{how}: a server's");
        }
    }
}

#[test]
fn two_spiffe_identities_are_none() {
    let (world, ours) = world();
    let names = "client_ca: ca.pem, client_names: [spiffe://corp.test/edge/**, https://edge.test/a]";
    let (snapshot, _) = built(&world, &format!("  tls: {{{PAIR}, {names}}}")).expect("a policy");
    let server = snapshot.tls.http.expect("TLS");
    for (uris, want) in [
        (&["spiffe://corp.test/edge/one"][..], true),
        (&["spiffe://corp.test/app", "spiffe://corp.test/edge/one"], false),
        (&["spiffe://corp.test/edge/one", "https://app.test/"], true),
        (&["spiffe://corp.test/app", "https://edge.test/a"], true),
    ] {
        assert_eq!(shake(&server, &ours, Some(&proxy_of(&ours, uris))), want, "{uris:?}");
    }
}

#[test]
fn the_first_certificate_to_end_is_what_counts() {
    let ours = authority();
    let ending = |year| {
        let mut params = CertificateParams::new(vec!["postern.test".to_owned()]).expect("a name");
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        (params.signed_by(&key, &ours).expect("a certificate").pem(), key.serialize_pem())
    };
    let ((late, key), (early, _)) = (ending(2041), ending(2031));
    let (world, _) = world();
    let world = world.file("p/tls.crt", late + &early).file("p/tls.key", key);
    let tls = |listen: &str| {
        let (snapshot, _) = built(&world, listen).unwrap_or_else(|problems| panic!("{problems:?}"));
        snapshot.tls.ends().map(|(listener, ends)| (listener, ends.to_string())).collect::<Vec<_>>()
    };
    let ends = "2031-01-01T00:00:00Z".to_owned();
    assert_eq!(tls("  tls: {certificate: tls.crt, key: {file: tls.key}, on: [http]}"), [("http", ends.clone())]);
    assert_eq!(tls("  tls: {certificate: tls.crt, key: {file: tls.key}}"), [("grpc", ends.clone()), ("http", ends)]);
    assert_eq!(tls("  http: 127.0.0.1:9192"), []);
}
