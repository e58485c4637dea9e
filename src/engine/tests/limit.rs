//! Limits on whole checks. The rates are of a day, so no test waits for anything or is hurried by the clock.

use tokio_util::sync::CancellationToken;

use super::*;
use crate::authn::testing::provider::Mood;
use crate::authn::testing::provider::Provider;
use crate::authn::testing::provider::says;
use crate::policy::trace::Notes;
use crate::policy::trace::Station;

const HEAD: &str = "\
version: 1
identity:
  people: {jwt: {issuer: https://sso.test, audience: web, jwks_file: keys.json}}
networks: {office: [203.0.113.0/24]}
";

fn snapshot(people: &Issuer, policy: &str) -> Snapshot {
    let keys = json!({"keys": [people.signer.jwk("k1")]}).to_string();
    let world = Pretend::new().file("p/policy.yaml", format!("{HEAD}{policy}...\n")).file("p/keys.json", keys);
    let loaded = load(Path::new("p/policy.yaml"), &world).unwrap_or_else(|refused| panic!("{refused}"));
    crate::snapshot::build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems}")).0
}

fn bench(policy: &str) -> Bench {
    let issuer = |name| Issuer::new(name, Algorithm::Es256);
    let people = issuer("https://sso.test");
    let engine = Engine::new(Arc::new(snapshot(&people, policy)), Arc::new(Telemetry::new().expect("telemetry")));
    Bench { engine, people, robots: issuer("https://down.test") }
}

fn asks<'w>(method: &'w str, target: &'w str, peer: &'w str, fields: &[(&'w str, &'w str)]) -> Attributes<'w> {
    let mut headers = Headers::new(false);
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    Attributes {
        dialect: Dialect::Traefik,
        method,
        scheme: Some(Scheme::Https),
        host: "app.test",
        target,
        address: StatedAddress { peer: Some(peer).filter(|peer| !peer.is_empty()), forwarded_for: Vec::new() },
        headers,
        certificate: StatedCertificate::default(),
        ignored_forwarding: 0,
    }
}

impl Bench {
    /// The status and the reason.
    async fn says(&self, method: &str, target: &str, peer: &str, fields: &[(&str, &str)]) -> (u16, &'static str) {
        let response = self.engine.authorize(Ok(asks(method, target, peer, fields)), None).await;
        match &response.verdict {
            Verdict::Allow(allow) => (200, allow.reason.code()),
            Verdict::Deny(denial) => (denial.status, denial.reason.code()),
        }
    }

    async fn status(&self, target: &str, peer: &str, fields: &[(&str, &str)]) -> u16 {
        self.says("GET", target, peer, fields).await.0
    }

    /// The series of the limits that are not nought.
    fn limits(&self) -> Vec<String> {
        let text = self.engine.telemetry().gather(&[]);
        let series = text.lines().filter_map(|line| line.strip_prefix("postern_limit_requests_total"));
        series.map(str::to_owned).collect()
    }
}

#[tokio::test]
async fn r3_an_address_has_one_budget_however_it_is_written() {
    let bench = bench("hosts: {app.test: {limit: {per: address, rate: 2/day}, routes: [{path: /**, public: true}]}}\n");
    for (spellings, next) in [
        (["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1:9"], "192.0.2.2"),
        (["2001:db8::1", "2001:db8::ffff", "[2001:db8:0:0:1::]:9"], "2001:db8:0:1::1"),
        // Whose address is not known shares one.
        (["", "unknown", "192.0.2.01"], "192.0.2.3"),
    ] {
        let mut seen = Vec::new();
        for peer in spellings {
            seen.push(bench.status("/", peer, &[]).await);
        }
        assert_eq!((seen, bench.status("/", next, &[]).await), (vec![200, 200, 429], 200), "{spellings:?}");
    }
}

#[tokio::test]
async fn r3_another_spelling_of_a_path_is_no_way_around_its_limit() {
    let bench = bench(
        "hosts: {app.test: {routes: [\n\
         {path: /a/**, public: true, limit: {per: address, rate: 2/day}},\n\
         {path: /**, public: true}]}}\n",
    );
    for (target, want) in [
        ("/a/x", 200),
        ("/b/../a/x", 200),
        ("/a/x", 429),
        ("/%61/x", 429),
        ("//a//x", 429),
        // Some servers take it for /a.
        ("/A/x", 429),
        ("/a/../b", 429),
        ("/b", 200),
    ] {
        assert_eq!(bench.status(target, "192.0.2.1", &[]).await, want, "{target}");
    }
}

#[tokio::test]
async fn a_flood_is_refused_before_anybody_looks_at_a_credential() {
    let bench = bench(
        "hosts: {app.test: {routes: [{path: /**, require: {authenticated: true}, limit: {per: address, rate: 3/day}}]}}\n",
    );
    let good = bearer(&bench.token(json!({})));
    let mut seen = Vec::new();
    for fields in
        [&[("authorization", "Bearer x.y.z")][..], &[], &[("authorization", &good)], &[("authorization", &good)]]
    {
        seen.push(bench.says("GET", "/", "192.0.2.1", fields).await);
    }
    let late = (429, "rate_limited");
    assert_eq!(seen, [(401, "token_unclaimed"), (401, "credential_missing"), (200, "permitted"), late]);
    let mut notes = Notes::default();
    let request = Request::parse(asks("GET", "/", "192.0.2.1", &[("authorization", &good)])).expect("a request");
    let given = Given { decision_id: DecisionId(1), now: clock::now(), answers: Answers::none(), assumed: None };
    let mut purse = Purse::taking(clock::instant());
    let _ = walk::walk(&bench.engine.snapshot(), &request, &given, &mut purse, &mut notes);
    assert!(notes.0.iter().all(|note| note.station != Station::Authenticate), "{notes:?}");
}

#[tokio::test]
async fn who_is_denied_for_another_reason_loses_nothing() {
    let bench = bench(
        "defaults: {headers: {user: Remote-User}}\n\
         hosts: {app.test: {routes: [\n\
         {path: /staff, require: {groups: [root]}},\n\
         {path: /one, require: {authenticated: true}, limit: {per: route, rate: 1/day}},\n\
         {path: /**, require: {authenticated: true}}], limit: {per: subject, rate: 2/day}}}\n",
    );
    let alice = bearer(&bench.token(json!({})));
    let odd = bearer(&bench.token(json!({"preferred_username": "zoë", "sub": "zoë"})));
    for _ in 0..3 {
        assert_eq!(bench.status("/staff", "192.0.2.1", &[("authorization", &alice)]).await, 403);
        assert_eq!(bench.status("/", "192.0.2.1", &[]).await, 401);
        assert_eq!(bench.status("/", "192.0.2.1", &[("authorization", "Bearer a.b.c")]).await, 401);
        assert_eq!(
            bench.says("GET", "/", "192.0.2.1", &[("remote-user", "x"), ("authorization", &alice)]).await.0,
            400
        );
    }
    // A name that fits no header: known, permitted, and refused all the same.
    assert_eq!(bench.says("GET", "/one", "", &[("authorization", &odd)]).await, (403, "identity_not_encodable"));
    let mut seen = Vec::new();
    for (peer, target) in [("192.0.2.1", "/one"), ("192.0.2.2", "/"), ("192.0.2.3", "/")] {
        seen.push(bench.status(target, peer, &[("authorization", &alice)]).await);
    }
    assert_eq!(seen, [200, 200, 429], "wherever Alice comes from");
}

#[tokio::test]
async fn groups_routes_roles_and_headers_have_budgets_of_their_own() {
    let bench = bench(
        "roles: {gold: {groups: [gold]}, slow: {groups: [slow], limit: {rate: 1/day}}}\n\
         hosts: {app.test: {routes: [\n\
         {path: /group, require: {any: [{groups: [staff]}, {authenticated: true}]}, limit: {per: group, rate: 2/day}},\n\
         {path: /route, require: {authenticated: true}, limit: {per: route, rate: 2/day}},\n\
         {path: /gold, require: {authenticated: true}, limit: {per: subject, rate: 1/day, except: {roles: [gold]}}},\n\
         {path: /office, public: true, limit: {per: address, rate: 1/day, except: {networks: [office]}}},\n\
         {path: /header, public: true, limit: {per: 'header:X-Tenant', rate: 1/day}},\n\
         {path: /cost, public: true, limit: {per: address, rate: 6/day, cost: {POST: 3, OPTIONS: 0}}},\n\
         {path: /**, require: {authenticated: true}}]}}\n",
    );
    let person = |name: &str, groups: &[&str]| bearer(&bench.token(json!({"sub": name, "groups": groups})));
    let (ann, bob, cat) = (person("ann", &["staff"]), person("bob", &["staff", "other"]), person("cat", &["other"]));
    let (gil, sam) = (person("gil", &["gold"]), person("sam", &["slow"]));
    let long = "x".repeat(300);
    for (method, target, peer, field, want) in [
        ("GET", "/group", "192.0.2.1", ("authorization", &*ann), 200),
        ("GET", "/group", "192.0.2.1", ("authorization", &*bob), 200),
        ("GET", "/group", "192.0.2.1", ("authorization", &*ann), 429),
        ("GET", "/group", "192.0.2.1", ("authorization", &*cat), 200),
        ("GET", "/route", "192.0.2.1", ("authorization", &*ann), 200),
        ("GET", "/route", "192.0.2.2", ("authorization", &*bob), 200),
        ("GET", "/route", "192.0.2.3", ("authorization", &*cat), 429),
        ("GET", "/gold", "192.0.2.1", ("authorization", &*ann), 200),
        ("GET", "/gold", "192.0.2.1", ("authorization", &*ann), 429),
        ("GET", "/gold", "192.0.2.1", ("authorization", &*gil), 200),
        ("GET", "/gold", "192.0.2.1", ("authorization", &*gil), 200),
        ("GET", "/", "192.0.2.1", ("authorization", &*sam), 200),
        ("GET", "/", "192.0.2.1", ("authorization", &*sam), 429),
        ("GET", "/", "192.0.2.1", ("authorization", &*gil), 200),
        ("GET", "/office", "203.0.113.1", ("x", "x"), 200),
        ("GET", "/office", "203.0.113.1", ("x", "x"), 200),
        ("GET", "/office", "192.0.2.1", ("x", "x"), 200),
        ("GET", "/office", "192.0.2.1", ("x", "x"), 429),
        ("GET", "/header", "192.0.2.1", ("X-Tenant", "a"), 200),
        ("GET", "/header", "192.0.2.2", ("x-tenant", "a"), 429),
        ("GET", "/header", "192.0.2.2", ("x-tenant", "b"), 200),
        // No value, and what is no sound value, share one.
        ("GET", "/header", "192.0.2.1", ("x", "x"), 200),
        ("GET", "/header", "192.0.2.2", ("x-tenant", ""), 429),
        ("GET", "/header", "192.0.2.2", ("x-tenant", &long), 429),
        ("GET", "/header", "192.0.2.2", ("x-tenant", "a, b"), 429),
        ("POST", "/cost", "192.0.2.1", ("x", "x"), 200),
        ("GET", "/cost", "192.0.2.1", ("x", "x"), 200),
        ("POST", "/cost", "192.0.2.1", ("x", "x"), 429),
        ("HEAD", "/cost", "192.0.2.1", ("x", "x"), 200),
        ("GET", "/cost", "192.0.2.1", ("x", "x"), 200),
        ("GET", "/cost", "192.0.2.1", ("x", "x"), 429),
        ("OPTIONS", "/cost", "192.0.2.1", ("x", "x"), 200),
    ] {
        assert_eq!(bench.says(method, target, peer, &[field]).await.0, want, "{method} {target} {peer} {}", field.1);
    }
}

#[tokio::test]
async fn who_may_come_without_a_name_is_told_apart_by_address() {
    let bench = bench(
        "hosts: {app.test: {routes: [{path: /**, identity: [people, anonymous], require: {network: [0.0.0.0/1, 128.0.0.0/1]},\n\
         limit: {per: subject, rate: 1/day}}]}}\n",
    );
    for (peer, want) in [("192.0.2.1", 200), ("192.0.2.1", 429), ("192.0.2.2", 200)] {
        assert_eq!(bench.status("/", peer, &[]).await, want);
    }
}

#[tokio::test]
async fn the_client_is_told_how_it_stands_and_when_to_come_again() {
    let bench = bench(
        "hosts: {app.test: {routes: [{path: /**, public: true, limit: [{name: api, per: address, rate: [2/h, 100/day]},\n\
         {per: address, rate: 5000/day, mode: shadow}]}]}}\n",
    );
    let told = |headers: &[(http::HeaderName, crate::model::header::HeaderText)], names: &[&str]| -> Vec<String> {
        let find = |name: &&str| headers.iter().find(|(known, _)| known == *name);
        names.iter().map(|name| find(name).map_or("-".to_owned(), |(_, text)| text.to_string())).collect()
    };
    let names = [
        "ratelimit-policy",
        "ratelimit",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "retry-after",
    ];
    let ask = || bench.engine.authorize(Ok(asks("GET", "/", "192.0.2.1", &[])), None);
    let Verdict::Allow(allow) = ask().await.verdict else { panic!("refused") };
    let policy = "\"api\";q=2;w=3600, \"api-2\";q=100;w=86400";
    let state = "\"api\";r=1;t=1800, \"api-2\";r=99;t=864";
    assert_eq!(told(&allow.told, &names), [policy, state, "2", "1", "1800", "-"]);
    let _ = ask().await;
    let refused = ask().await;
    assert_eq!(denied(&refused, "cache-control"), (Reason::RateLimited, 429, Some("no-store")));
    let Verdict::Deny(denial) = refused.verdict else { panic!("allowed") };
    let told = told(&denial.headers, &names);
    assert_eq!((&*told[0], &*told[2], &*told[3]), (policy, "2", "0"));
    // Hours are long, and this test is not: within a few seconds of half an hour.
    assert!((1790..=1800).contains(&told[5].parse::<u64>().expect("seconds")), "{told:?}");
    assert_eq!(denial.headers.iter().filter(|(name, _)| name == "retry-after").count(), 1);
}

#[tokio::test]
async fn metrics_say_what_each_limit_did() {
    let bench = bench(
        "hosts: {app.test: {routes: [{path: /**, public: true, limit: [{name: hard, per: address, rate: 2/day},\n\
         {name: soft, per: address, rate: 1/day, mode: shadow}]}]}}\n",
    );
    for want in [200, 200, 429, 429] {
        assert_eq!(bench.status("/", "192.0.2.1", &[]).await, want);
    }
    assert_eq!(
        bench.limits(),
        [
            "{limit=\"hard\",outcome=\"allowed\"} 2",
            "{limit=\"hard\",outcome=\"limited\"} 2",
            "{limit=\"soft\",outcome=\"allowed\"} 1",
            "{limit=\"soft\",outcome=\"shadow\"} 1",
        ]
    );
}

#[tokio::test]
async fn r3_a_key_has_a_limit_of_its_own_wherever_it_is_shown() {
    use crate::authn::api_key::KeyHasher;
    use crate::authn::api_key::KeyText;
    use crate::authn::api_key::generate;
    let key = |id: &str, more: &str| {
        let text = generate(id).expect("a key").expose().clone();
        let hash = KeyHasher::plain().hash(&KeyText::parse(&text).expect("a sound key"));
        (format!("- {{id: {id}, hash: '{hash}', owner: deploy{more}}}\n"), text)
    };
    let ((slow, slow_key), (free, free_key)) = (key("slow", ", limit: {rate: 3/day}"), key("free", ""));
    let policy = "version: 1\nidentity: {machines: {api_key: {keys: keys.yaml, token: [{header: X-Api-Key}, bearer]}}}\n\
         hosts: {app.test: {routes: [{path: /public, public: true}, {path: /root, require: {groups: [root]}},\n\
         {path: /each, require: {authenticated: true}, limit: {per: key, rate: 1/day}},\n\
         {path: /**, require: {authenticated: true}}]}}\n...\n";
    let world = Pretend::new().file("p/policy.yaml", policy).file("p/keys.yaml", format!("{slow}{free}...\n"));
    let loaded = load(Path::new("p/policy.yaml"), &world).unwrap_or_else(|refused| panic!("{refused}"));
    let (snapshot, _) = crate::snapshot::build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems}"));
    let issuer = || Issuer::new("https://sso.test", Algorithm::EdDsa);
    let engine = Engine::new(Arc::new(snapshot), Arc::new(Telemetry::new().expect("telemetry")));
    let bench = Bench { engine, people: issuer(), robots: issuer() };
    let (slow_bearer, free_bearer) = (bearer(&slow_key), bearer(&free_key));
    let (slow, free) = (("authorization", &*slow_bearer), ("authorization", &*free_bearer));
    for (target, peer, field, want) in [
        ("/x", "192.0.2.1", slow, "permitted"),
        // Refused for another reason, or nobody's: not counted.
        ("/root", "192.0.2.1", slow, "requirement_failed"),
        ("/public", "192.0.2.1", slow, "public"),
        ("/y", "192.0.2.2", ("x-api-key", &*slow_key), "permitted"),
        ("/each", "192.0.2.3", slow, "permitted"),
        ("/x", "192.0.2.1", slow, "rate_limited"),
        ("/y", "192.0.2.4", ("x-api-key", &*slow_key), "rate_limited"),
        ("/public", "192.0.2.1", slow, "public"),
        ("/each", "192.0.2.1", free, "permitted"),
        ("/each", "192.0.2.1", free, "rate_limited"),
        ("/x", "192.0.2.1", free, "permitted"),
    ] {
        assert_eq!(bench.says("GET", target, peer, &[field]).await.1, want, "{target} {peer}");
    }
}

/// A walk that waits is walked again, and takes once.
#[tokio::test]
async fn a_check_that_waits_for_a_provider_takes_once() {
    let (provider, stop) = (Provider::start().await, CancellationToken::new());
    let policy = format!(
        "version: 1\nidentity:\n  legacy: {{introspection: {{url: '{}/introspect', insecure_url: true, \
         client: {{id: postern, secret: {{env: SECRET}}}}}}}}\n\
         hosts: {{app.test: {{routes: [{{path: /**, require: {{authenticated: true}}, \
         limit: [{{per: address, rate: 3/day}}, {{per: subject, rate: 3/day}}]}}]}}}}\n...\n",
        provider.url
    );
    let world = Pretend::new().file("p/policy.yaml", policy).variable("SECRET", "hunter2");
    let loaded = load(Path::new("p/policy.yaml"), &world).unwrap_or_else(|refused| panic!("{refused}"));
    let (snapshot, _) = crate::snapshot::build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems}"));
    snapshot.ask_providers(clock::now, &stop).expect("a client");
    let issuer = || Issuer::new("https://sso.test", Algorithm::EdDsa);
    let engine = Engine::new(Arc::new(snapshot), Arc::new(Telemetry::new().expect("telemetry")));
    let bench = Bench { engine, people: issuer(), robots: issuer() };
    provider.is(Mood::Says(says(200, r#"{"active":true,"sub":"alice","token_type":"Bearer"}"#)));
    let mut seen = Vec::new();
    // Another token each time, so that the provider is asked each time.
    for token in ["t1", "t2", "t3", "t4"] {
        let fields = [("authorization", &*bearer(token))].map(|(name, value)| (name, value.to_owned()));
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let asked = bench.engine.authorize(Ok(asks("GET", "/", "192.0.2.1", &fields)), Some(Duration::from_secs(20)));
        seen.push(asked.await.verdict.reason());
    }
    assert_eq!(seen, [Reason::Permitted, Reason::Permitted, Reason::Permitted, Reason::RateLimited]);
    assert_eq!(provider.asked(), 3);
}

#[tokio::test]
async fn a_reload_leaves_budgets_as_they_were_where_limits_are() {
    let policy = |more: &str, limit: &str| {
        format!(
            "hosts: {{app.test: {{routes: [{more}{{path: /**, public: true, limit: {{per: address, {limit}}}}}]}}}}\n"
        )
    };
    let bench = bench(&policy("", "rate: 1/day"));
    assert_eq!(bench.status("/", "192.0.2.1", &[]).await, 200);
    for (more, limit, want) in [
        ("", "rate: 1/day", 429),
        ("{path: /x, public: true}, ", "rate: 1/day", 429),
        ("", "rate: 1/day, cost: {POST: 1}", 429),
        ("", "rate: 1/day, mode: shadow", 200),
        ("", "rate: 1/day", 429),
        ("", "rate: 2/day", 200),
        ("", "rate: 1/day", 429),
    ] {
        let mut next = snapshot(&bench.people, &policy(more, limit));
        assert!(next.take_budgets_of(&bench.engine.snapshot()));
        bench.engine.exchange(Arc::new(next));
        assert_eq!(bench.status("/", "192.0.2.1", &[]).await, want, "{more}{limit}");
    }
    let mut smaller = snapshot(&bench.people, &format!("limits: {{memory: 1MiB}}\n{}", policy("", "rate: 1/day")));
    assert!(!smaller.take_budgets_of(&bench.engine.snapshot()), "another memory is another store");
}

/// An explanation takes the same walk and nothing else.
#[tokio::test]
async fn who_only_looks_is_told_and_takes_nothing() {
    let bench = bench("hosts: {app.test: {routes: [{path: /**, public: true, limit: {per: address, rate: 2/day}}]}}\n");
    for _ in 0..5 {
        let mut notes = Notes::default();
        let request = Request::parse(asks("GET", "/", "192.0.2.1", &[])).expect("a request");
        let given = Given { decision_id: DecisionId(1), now: clock::now(), answers: Answers::none(), assumed: None };
        let mut purse = Purse::looking(clock::instant());
        let _ = walk::walk(&bench.engine.snapshot(), &request, &given, &mut purse, &mut notes);
        let said: Vec<&str> =
            notes.0.iter().filter(|note| note.station == Station::Limit).map(|note| &*note.text).collect();
        assert_eq!(said, ["`app.test /** address` per address, 2/day: takes 1, 1 left"]);
    }
    assert_eq!(bench.status("/", "192.0.2.1", &[]).await, 200);
}
