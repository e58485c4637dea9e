//! F1–F10: what goes wrong stays closed, and tells nobody more than they should know.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use postern::audit::Audit;
use postern::audit::settings::AuditSettings;
use postern::audit::settings::Fsync;
use postern::audit::settings::Target;
use postern::audit::settings::WhenFull;
use postern::authn::Answers;
use postern::config::load;
use postern::config::load::Pretend;
use postern::dialect::ext_authz;
use postern::engine::walk::Given;
use postern::engine::walk::walk;
use postern::limit::Purse;
use postern::model::decision::DecisionId;
use postern::model::dialect::Dialect;
use postern::model::header::Headers;
use postern::model::reason::Reason;
use postern::model::request::Attributes;
use postern::model::request::Refusal;
use postern::model::request::Request;
use postern::model::request::StatedAddress;
use postern::model::request::StatedCertificate;
use postern::model::response::Verdict;
use postern::policy::trace::Notes;
use postern::telemetry::clock;
use postern::telemetry::log;
use postern::telemetry::log::LogFormat;
use serde_json::Value;
use serde_json::json;

use super::House;
use super::build;
use super::get;
use super::problems;
use crate::proxy::asked::WAYS;

#[test]
fn f1_no_fault_is_an_allow() {
    let house = House::routes(&["path: /**, public: true"]);
    for reason in Reason::ALL {
        let response = house.engine.refuse(&Refusal { dialect: Dialect::Nginx, reason, detail: "a fault".into() });
        let Verdict::Deny(denial) = response.verdict else { panic!("{reason} allowed") };
        assert!(denial.status >= 400, "{reason}: {}", denial.status);
    }
    for octets in [&b""[..], b"\xff", b"\x0a\x00", b"{}"] {
        let refused = ext_authz::read(octets).map(|request| ext_authz::decode(&request).is_err());
        assert!(refused.unwrap_or(true), "{octets:?}");
    }
}

#[test]
fn f2_nothing_we_ship_fails_open() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut asked = 0;
    for file in shipped(root) {
        let text = fs::read_to_string(&file).expect("a shipped file");
        for open in
            ["failure_mode_allow: true", "failure_mode_allow_header_add: true", "failOpen: true", "fail_open: true"]
        {
            assert!(!text.contains(open), "{} holds `{open}`", file.display());
        }
        if !file.starts_with(root.join("envoy")) {
            continue;
        }
        let filters = text.matches("filters.http.ext_authz.v3.ExtAuthz").count();
        assert_eq!(text.matches("failure_mode_allow: false").count(), filters, "{}", file.display());
        asked += filters;
    }
    assert!(asked >= 2, "{asked} filters");
}

#[test]
fn f2_nobody_says_that_nobody_was_asked() {
    let house = House::routes(&["path: /**, public: true"]);
    for name in
        ["X-Envoy-Auth-Failure-Mode-Allowed", "x_envoy_auth_failure_mode_allowed", "X-Envoy-Auth.Failure-Mode-Allowed"]
    {
        assert_eq!(house.reason(&get("/x").header(name, "true")), "spoofed_header", "{name}");
    }
}

#[test]
fn f3_what_is_not_written_is_denied_and_what_is_empty_is_refused() {
    assert_eq!(House::with("").reason(&get("/x")), "host_unknown");
    assert_eq!(House::with("hosts:\n  app.test: {path_case: sensitive}\n").reason(&get("/x")), "route_unknown");
    let route = |rest: &str| problems(&format!("hosts: {{app.test: {{routes: [{{path: /x, {rest}}}]}}}}\n"));
    for rest in [
        "require: {}",
        "require: {groups: []}",
        "require: {any: []}",
        "require: {any: [{}]}",
        "require: {not: {}}",
        "require: null",
        "public: false",
        "methods: [], public: true",
        "network: [], public: true",
        "identity: [], require: {users: u}",
        "requires: {users: u}",
        "allow: all",
        "require: {group: staff}",
        "require: {groups: staff, unless: x}",
    ] {
        assert!(!route(rest).is_empty(), "{rest}");
    }
    assert_eq!(route("require: {users: u}"), Vec::<String>::new());
}

#[test]
fn f4_a_policy_cut_off_anywhere_is_refused() {
    let text = include_str!("../../config/good/example.yaml");
    let read = |text: &str| load::load(Path::new("p.yaml"), &Pretend::new().file("p.yaml", text));
    let whole = read(text).expect("the example");
    let end = text.rfind("...").expect("an end marker");
    let mut loadable = 0;
    for cut in 0..end + 2 {
        let Some(half) = text.get(..cut) else { continue };
        let Ok(half) = read(half) else { continue };
        loadable += 1;
        assert!(half.check_complete(&whole.files).has_errors(), "the first {cut} octets would replace the whole");
    }
    assert!(loadable > 5, "only {loadable} of the beginnings are policies, which shows nothing");
}

/// Secrets of every kind that a request or a configuration brings.
const CANARIES: [&str; 7] = [
    "canary-of-a-cookie-1f",
    "canary-of-a-header-2e",
    "canary-of-a-password-3d",
    "canary-of-the-environment-4c-4c-4c-4c",
    "canary-of-a-file-5b-5b-5b-5b-5b-5b-5b",
    "canary-of-a-key-6a",
    "canary-of-a-short-file-7",
];

#[test]
fn f6_no_secret_is_in_any_output() {
    const POLICY: &str = "identity:
  people: {jwt: {issuer: https://sso.test, audience: app, jwks_file: keys.json, algorithms: [ES256], token: [bearer, {cookie: session}, {header: X-Token}]}}
  machines: {jwt: {issuer: https://m.test, audience: app, algorithms: [HS256], secret: {env: MACHINES}}}
  robots: {jwt: {issuer: https://r.test, audience: app, algorithms: [HS256], secret: {file: robots.key}}}
  keys: {api_key: {keys: keys.yaml, pepper: {env: PEPPER}, token: [{header: X-Api-Key}, bearer, basic]}}
  staff: {basic: {htpasswd: users}}
defaults: {identity: [people, machines, robots, keys, staff]}
hosts: {app.test: {login: \"https://sso.test/login?rd={url}\", routes: [{path: /**, require: {groups: [people/staff]}}]}}
";
    let mut house = House::with("");
    let ((line, key), (office, office_key)) =
        (super::api_key::key("ci", ""), super::api_key::key("office", ", networks: [10.0.0.0/8]"));
    let wrong_key = super::api_key::key("ci", "").1;
    let world = Pretend::new()
        .file("keys.json", house.issuer.jwks())
        .file("robots.key", CANARIES[4])
        .file("keys.yaml", format!("{line}{office}...\n"))
        .variable("MACHINES", CANARIES[3])
        .file("users", super::basic::LINE.as_str())
        .variable("PEPPER", super::api_key::PEPPER);
    let snapshot = build(POLICY, world.clone()).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut said = format!("{snapshot:?}\n{world:?}");
    let folder = tempfile::tempdir().expect("a folder");
    let audit_log = folder.path().join("audit.jsonl");
    let settings = AuditSettings {
        when_full: WhenFull::Refuse,
        queue: 100_000,
        fsync: Fsync::Never,
        ..AuditSettings::to(Target::File(audit_log.clone()))
    };
    let audit = Audit::start(&settings, house.engine.telemetry().metrics().audit(), "p").expect("a log");
    let audit = Arc::new(audit);
    house.engine = postern::engine::Engine::new(Arc::new(snapshot), Arc::clone(house.engine.telemetry()))
        .with_audit(Arc::clone(&audit));
    let token = house.token(&json!({}));
    let mut canaries: Vec<String> = CANARIES.map(str::to_owned).to_vec();
    // The signature and the claims of each token: its header is the same for all.
    let tokens = [token.clone(), house.token(&json!({"exp": 1})), house.token(&json!({"aud": "x", "jti": "z"}))];
    canaries.extend(tokens.iter().flat_map(|token| token.split('.').skip(1).map(str::to_owned)));
    // The secret half of each key, and the hashes: the ids are public.
    let keys = [&key, &office_key, &wrong_key];
    canaries.extend(keys.iter().map(|key| key.rsplit('_').next().unwrap_or_default().to_owned()));
    canaries.extend([&line, &office].map(|line| line.split('\'').nth(1).unwrap_or_default().to_owned()));
    canaries.push(super::api_key::PEPPER.to_owned());
    // The password, right and wrong, its encoding and its hash.
    let passwords = [super::basic::PASSWORD, "canary-of-a-guess-0d"];
    canaries.extend(passwords.map(str::to_owned));
    canaries.extend(passwords.map(|password| super::basic::basic("alice", password).replace("Basic ", "")));
    canaries.push(super::basic::LINE.trim_end().rsplit('$').next().unwrap_or_default().to_owned());
    let mut asks: Vec<_> = tokens
        .iter()
        .flat_map(|token| {
            [
                get("/x").bearer(token),
                get("/x").header("Cookie", &format!("session={token}; other=canary-of-a-cookie-1f")),
                get("/x").header("X-Token", token),
                get("/x").bearer(&format!("{token}canary-of-a-header-2e")),
                get("/x").bearer(token).bearer(token),
                get("/x").bearer(token).header("Remote-User", "canary-of-a-header-2e"),
                get("/%00").bearer(token).header("Cookie", "session=canary-of-a-cookie-1f"),
                get("/x").header("Authorization", "Basic canary-of-a-password-3d"),
                get("/x").header("Authorization", "canary-of-a-password-3d"),
                get("/x").bearer("canary-of-a-header-2e"),
                get("/x").bearer("a.canary-of-a-header-2e.c"),
                get("/x").header("X-Api-Key", "canary-of-a-key-6a").header("Cookie", "session=canary-of-a-cookie-1f"),
                get("/x?access_token=canary-of-a-key-6a").header("Accept", "application/json"),
            ]
        })
        .collect();
    asks.extend(keys.iter().flat_map(|key| {
        let basic = |user: &str| format!("Basic {}", STANDARD.encode(format!("{user}:{key}")));
        canaries.extend([basic("ci"), basic("x")].map(|value| value.replace("Basic ", "")));
        [
            get("/x").bearer(key),
            get("/x").header("X-Api-Key", key),
            get("/x").header("X-Api-Key", &format!("{key}0")),
            get("/x").header("X-Api-Key", &key.replace("postern_", "")),
            get("/x").header("Authorization", &basic("ci")),
            get("/x").header("Authorization", &basic("x")),
        ]
    }));
    asks.extend(passwords.map(|password| get("/x").header("Authorization", &super::basic::basic("alice", password))));
    let log = logged("trace", || {
        for ask in &asks {
            for (way, answer) in house.answers(ask) {
                said.push_str(&format!("{way} {answer:?}\n"));
            }
            for way in &WAYS {
                let question = (way.ask)(&ask.client());
                let response = house.runtime.block_on(super::authorize(&house.engine, way.dialect, &question));
                said.push_str(&format!("{response:?}\n"));
            }
        }
    });
    assert!(log.lines().count() >= asks.len() * WAYS.len(), "{} lines", log.lines().count());
    said.push_str(&log);
    assert!(audit.close(std::time::Duration::from_secs(60)));
    let audited = fs::read_to_string(&audit_log).expect("a log");
    assert!(audited.lines().count() >= asks.len() * WAYS.len(), "{} lines", audited.lines().count());
    said.push_str(&audited);
    said.push_str(&house.metrics());
    for ask in asks.iter().filter(|ask| !ask.target.contains('?')) {
        said.push_str(&explained(&house, ask));
    }
    // What is wrong with a secret is said without saying it.
    let short = world.file("robots.key", CANARIES[6]);
    match build(POLICY, short) {
        Err(problems) => said.push_str(&problems.join("\n")),
        Ok(_) => panic!("a secret of {} octets is taken", CANARIES[6].len()),
    }
    for canary in &canaries {
        if let Some((before, _)) = said.split_once(canary.as_str()) {
            let from = before.char_indices().rev().nth(300).map_or(0, |(at, _)| at);
            panic!("`{canary}` is said after: …{}", before.split_at(from).1);
        }
    }
}

/// What `explain` says of a request, and the debug form of all that takes part.
fn explained(house: &House, ask: &super::Ask) -> String {
    let mut headers = Headers::new(false);
    for (name, value) in &ask.headers {
        headers.push(name, value.as_bytes());
    }
    let attributes = Attributes {
        dialect: Dialect::ExtAuthz,
        method: &ask.method,
        scheme: None,
        host: &ask.host,
        target: &ask.target,
        address: StatedAddress::default(),
        headers,
        certificate: StatedCertificate::default(),
        ignored_forwarding: 0,
    };
    let mut said = format!("{attributes:?}\n");
    let request = match Request::parse(attributes) {
        Ok(request) => request,
        Err(refusal) => return format!("{said}{refusal:?}\n"),
    };
    let mut notes = Notes::default();
    let given = Given { decision_id: DecisionId(1), now: clock::now(), answers: Answers::none(), assumed: None };
    let walked = walk(&house.engine.snapshot(), &request, &given, &mut Purse::looking(clock::instant()), &mut notes);
    // Claims are not secret to an operator who asks about a token; the token is.
    let walked = format!("{walked:?}");
    said.push_str(&format!("{request:?}\n{given:?}\n{notes:?}\n{walked}\n"));
    said
}

#[test]
fn f7_one_request_is_one_line_whatever_it_holds() {
    let house = House::routes(&["path: /public/**, public: true", "path: /**, require: {groups: [staff]}"]);
    let evil = "\r\n{\"level\":\"ERROR\"}\u{1b}[31m\u{85}\u{9b}\u{202e}\u{2066}\u{2028}";
    let user = house.token(&json!({"sub": "a\u{202e}b\u{2066}c", "groups": ["x"]}));
    let kid = house.issuer.sign_with_header(&json!({"alg": "ES256", "kid": evil}), &json!({"iss": "https://sso.test"}));
    let asks = [
        get("/public/%0d%0aforged"),
        get(&format!("/public/{evil}")),
        get("/public/x%E2%80%AEy%C2%85z"),
        get("/public/x").host(evil),
        get("/public/x").method(evil),
        get("/public/x").method("G\nT"),
        get("/public/x").header("remote\r\nuser", "root"),
        get("/public/x").header("X-Forwarded-For\n", "root"),
        get("/public/x").from(evil),
        get("/public/x").header("User-Agent", evil),
        get("/x").bearer(&user),
        get("/x").bearer(&kid),
        get("/x").bearer(evil),
    ];
    for ask in &asks {
        let mut checks = 0;
        let log = logged("debug", || checks = house.answers(ask).len());
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), checks, "{ask:?}\n{log}");
        for line in lines {
            let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert_eq!(event["message"], "request decided", "{line}");
            let odd =
                |character: char| character.is_control() || matches!(character, '\u{202e}' | '\u{2066}' | '\u{2028}');
            assert!(!line.chars().any(odd), "{line:?}");
            for (name, value) in event.as_object().expect("an object") {
                let text = value.as_str().unwrap_or_default();
                assert!(!text.chars().any(odd), "{name}: {text:?}");
            }
        }
    }
}

#[test]
fn f8_nothing_a_client_sends_is_a_label() {
    let house = House::with(
        "hosts:\n  app.test: {routes: [{path: /public/**, public: true}, {path: /**, require: {groups: [staff]}}]}\n  \"**.wild.test\": {routes: [{path: /**, public: true}]}\n",
    );
    let some = |n: u32| {
        let word = format!("r{}", n.wrapping_mul(2_654_435_761));
        let user = json!({"sub": word, "groups": [word, "staff"], "email": format!("{word}@corp.test")});
        let other = json!({"sub": word, "groups": [word]});
        let kid =
            house.issuer.sign_with_header(&json!({"alg": "ES256", "kid": word}), &json!({"iss": "https://sso.test"}));
        [
            get(&format!("/public/{word}")),
            get(&format!("/{word}")),
            get("/x").host(&format!("{word}.test")),
            get("/x").host(&format!("{word}.wild.test")),
            get("/x").method(&word.to_ascii_uppercase()),
            get("/x").bearer(&house.token(&user)),
            get("/x").bearer(&house.token(&other)),
            get("/x").bearer(&kid),
            get("/public/x").from(&format!("10.{}.{}.{}", n % 251, n % 241, n % 239)),
            get("/public/x").header(&format!("X-{word}"), &word),
            get(&format!("/{word}%00")),
        ]
    };
    let series = || {
        let metrics = house.metrics();
        metrics
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.rsplit_once(' ').map_or(line, |(name, _)| name).to_owned())
            .collect::<Vec<_>>()
    };
    for ask in some(0) {
        house.answers(&ask);
    }
    let before = series();
    for n in 1..=100 {
        for ask in some(n) {
            house.answers(&ask);
        }
    }
    assert_eq!(series(), before);
    assert!(before.iter().any(|name| name.contains("token_key_unknown")), "{before:#?}");
}

/// The series of 100,000 clients are those of one.
#[test]
fn f8_a_hundred_thousand_hosts_paths_and_users_add_no_series() {
    let house = House::with(
        "hosts:\n  \"**.wild.test\": {routes: [{path: /public/**, public: true}, {path: /**, require: {groups: [staff]}}]}\n",
    );
    let house = &house;
    let ask = |n: u32| {
        let word = format!("r{}", n.wrapping_mul(2_654_435_761));
        let host = if n.is_multiple_of(10) { format!("{word}.test") } else { format!("{word}.wild.test") };
        let public = if n.is_multiple_of(2) { "public/" } else { "" };
        let groups = if n.is_multiple_of(3) { "staff" } else { &word };
        let user = json!({"sub": word, "groups": [groups], "email": format!("{word}@corp.test")});
        get(&format!("/{public}{word}/x?{word}")).host(&host).bearer(&house.token(&user)).header("X-Word", &word)
    };
    let way = &WAYS[0];
    let answer = |n: u32| {
        let ask = ask(n);
        house.runtime.block_on(super::authorize(&house.engine, way.dialect, &(way.ask)(&ask.client())));
    };
    let series = || house.metrics().lines().filter(|line| !line.starts_with('#')).count();
    (1..=30).for_each(answer);
    let before = series();
    (31..=100_000).for_each(answer);
    assert_eq!(series(), before);
    let metrics = house.metrics();
    let counted = metrics.lines().filter(|line| line.starts_with("postern_decisions_total{"));
    let counted: u64 = counted.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum();
    assert_eq!(counted, 100_000);
}

#[test]
fn f10_a_client_sees_a_code_and_an_id() {
    let house =
        House::routes(&["path: /**, require: {groups: [secret-group]}, network: [10.0.0.0/8], name: secret-route"]);
    for ask in [
        get("/x"),
        get("/x").from("10.0.0.1"),
        house.as_member(get("/x").from("10.0.0.1"), &["x"]),
        get("/%00"),
        get("/x").host("other"),
    ] {
        for way in &WAYS {
            let question = (way.ask)(&ask.client());
            let response = house.runtime.block_on(super::authorize(&house.engine, way.dialect, &question));
            let Verdict::Deny(denial) = response.verdict else { panic!("{ask:?} is allowed") };
            let body: Value = serde_json::from_str(&denial.body).expect("a problem");
            let keys: Vec<&String> = body.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["decision", "reason", "status", "title", "type"], "{}", denial.body);
            let all = format!("{denial:?}");
            for word in ["secret-group", "secret-route", "10.0.0.0", "policy.yaml", "alice"] {
                assert!(!all.contains(word), "{all}");
            }
        }
    }
}

/// What is logged meanwhile, as `serve` would write it.
fn logged(level: &str, act: impl FnOnce()) -> String {
    // While there is one dispatcher, the first thread to pass an event decides for all whether anybody listens to it:
    // a test that listens to nothing would silence this one. A second dispatcher, kept for ever, ends that.
    static SECOND: LazyLock<tracing::Dispatch> =
        LazyLock::new(|| tracing::Dispatch::new(tracing_subscriber::registry()));
    LazyLock::force(&SECOND);
    let lines = Written::default();
    let writer = lines.clone();
    let (subscriber, _) = log::lines(LogFormat::Json, level, false, move || writer.clone()).expect("a filter");
    tracing::subscriber::with_default(subscriber, || {
        // A test beside this one may have been the first to say something, when nobody listened yet.
        tracing::callsite::rebuild_interest_cache();
        act();
    });
    let octets = lines.0.lock().expect("lines").clone();
    String::from_utf8(octets).expect("text")
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl io::Write for Written {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("lines").extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every configuration that we give to others.
pub(super) fn shipped(root: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![root.join("examples"), root.join("envoy"), root.join("k8s"), root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.push(root.join("README.md"));
    files
}
