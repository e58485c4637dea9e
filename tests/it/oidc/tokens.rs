//! Which tokens of a real provider pass.

use postern::model::reason::Reason;
use tokio_util::sync::CancellationToken;

use super::house::BASIC;
use super::house::House;
use super::house::legacy;
use super::house::people;
use super::provider::OPAQUE;
use super::provider::Provider;
use super::provider::SIGNED;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signed_and_opaque_tokens_pass_and_those_for_others_do_not() {
    let Some(provider) = Provider::start() else { return };
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let sources = people(&provider) + &legacy(&provider, BASIC, &format!(", audience: {OPAQUE}"));
    for names in ["people, legacy", "legacy, people"] {
        let house = House::start(&provider, names, &sources, &stop);
        for (audience, want) in [
            (Some(SIGNED), Ok("robot")),
            (Some(OPAQUE), Ok("robot")),
            (Some("https://other.test/jwt"), Err(Reason::TokenAudience)),
            (Some("https://other.test/opaque"), Err(Reason::TokenAudience)),
            (None, Err(Reason::TokenAudience)),
        ] {
            let token = provider.token(audience);
            assert_eq!(house.judge(&token).await.as_deref().map_err(|reason| *reason), want, "{audience:?}");
            let passed = (200, Some("robot".to_owned()));
            let expected = if want.is_ok() { passed } else { (401, None) };
            assert_eq!(house.check(&token).await, expected, "{audience:?}");
        }
        assert_eq!(house.judge("made-up").await, Err(Reason::TokenInactive));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_proof_of_being_the_client_is_taken_and_a_wrong_one_is_not() {
    let Some(provider) = Provider::start() else { return };
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let token = provider.token(Some(OPAQUE));
    let url = format!("{}/token/introspection", provider.issuer());
    for (client, want) in [
        (BASIC.to_owned(), Ok("robot")),
        ("id: postern-post, secret: {env: POST_SECRET}, method: client_secret_post".to_owned(), Ok("robot")),
        ("id: postern-key, key: {file: client.pem}, kid: c1".to_owned(), Ok("robot")),
        (format!("id: postern-key, key: {{file: client.pem}}, audience: '{url}'"), Ok("robot")),
        (
            "id: postern-key, key: {file: client.pem}, audience: https://other.test".to_owned(),
            Err(Reason::UpstreamUnavailable),
        ),
        ("id: pos tern, secret: {env: POST_SECRET}".to_owned(), Err(Reason::UpstreamUnavailable)),
        ("id: nobody, secret: {env: POST_SECRET}".to_owned(), Err(Reason::UpstreamUnavailable)),
    ] {
        let house = House::start(&provider, "legacy", &legacy(&provider, &client, ", cache: off"), &stop);
        for _ in 0..2 {
            assert_eq!(house.judge(&token).await.as_deref().map_err(|reason| *reason), want, "{client}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn k6_a_token_revoked_at_the_provider_is_refused_as_soon_as_it_is_not_remembered() {
    let Some(provider) = Provider::start() else { return };
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let forgetful = House::start(&provider, "legacy", &legacy(&provider, BASIC, ", cache: off"), &stop);
    let house = House::start(&provider, "legacy", &legacy(&provider, BASIC, ""), &stop);
    let token = provider.token(None);
    assert_eq!(forgetful.judge(&token).await.as_deref(), Ok("robot"));
    assert_eq!(house.judge(&token).await.as_deref(), Ok("robot"));
    provider.revoke(&token);
    assert_eq!(forgetful.judge(&token).await, Err(Reason::TokenInactive));
    house.pass(11);
    assert_eq!(house.judge(&token).await, Err(Reason::TokenInactive));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_tokens_pass_by_introspection_and_userinfo_and_refresh_tokens_by_neither() {
    let Some(provider) = Provider::start() else { return };
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let issuer = provider.issuer();
    let userinfo = format!("  me: {{userinfo: {{url: {issuer}/me, issuer: {issuer}, insecure_url: true}}}}\n");
    let (access, refresh) = provider.tokens_of("alice");
    for (names, sources, refused) in
        [("legacy", legacy(&provider, BASIC, ""), Reason::TokenClaims), ("me", userinfo, Reason::TokenInactive)]
    {
        let house = House::start(&provider, names, &sources, &stop);
        assert_eq!(house.judge(&access).await.as_deref(), Ok("alice"), "{names}");
        assert_eq!(house.judge(&refresh).await, Err(refused), "{names}");
        assert_eq!(house.judge("made-up").await, Err(Reason::TokenInactive), "{names}");
    }
    // The weakening switch does what it says.
    let house = House::start(&provider, "legacy", &legacy(&provider, BASIC, ", insecure_untyped: true"), &stop);
    assert_eq!(house.judge(&refresh).await.as_deref(), Ok("alice"));
}
