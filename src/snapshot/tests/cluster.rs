//! What is written about fetching is how keys are fetched.

use super::*;
use crate::authn::jwks::FetchOutcome;
use crate::authn::testing::NOW;
use crate::authn::testing::at;
use crate::authn::testing::cluster::Cluster;
use crate::authn::testing::cluster::authority;

#[tokio::test]
async fn keys_are_fetched_with_the_authority_and_the_token_that_are_written() {
    let authority = authority();
    let cluster = Cluster::start(&authority);
    let issuer = &cluster.issuer;
    let policy = |more: &str| {
        format!(
            "version: 1\nidentity: {{pods: {{jwt: {{issuer: {issuer}, audience: a, preset: kubernetes, algorithms: [EdDSA], \
             jwks_url: {issuer}/keys, key_hosts: [localhost]{more}}}}}}}\n...\n"
        )
    };
    for (more, outcome, asked) in [
        (", ca_file: ca.crt, fetch_token: {file: token}", FetchOutcome::Fresh, &["/keys Bearer t"][..]),
        (", ca_file: ca.crt", FetchOutcome::Fresh, &["/keys -"]),
        (", fetch_token: {file: token}", FetchOutcome::Failed, &[]),
        (", ca_file: ca.crt, fetch_token: {file: absent}", FetchOutcome::Failed, &[]),
    ] {
        let world =
            Pretend::new().file("p/policy.yaml", policy(more)).file("p/ca.crt", authority.pem()).file("p/token", "t\n");
        let loaded =
            load(Path::new("p/policy.yaml"), &world).unwrap_or_else(|refused| panic!("{}", judge(refused, &world)));
        let (snapshot, _) = build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems:?}"));
        let stop = CancellationToken::new();
        snapshot.keep_keys_fresh(|| at(NOW), &stop).expect("a client");
        let keys = snapshot.keys.first().expect("keys");
        assert_eq!(
            (keys.fetch_now(None, at(NOW)).await, &*cluster.asked()),
            (outcome, &asked.iter().map(|asked| (*asked).to_owned()).collect::<Vec<_>>()[..]),
            "{more}"
        );
        stop.cancel();
    }
}
