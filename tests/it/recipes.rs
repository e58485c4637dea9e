//! The worked examples of `docs/identity.md`, each asked with tokens of the shape that its provider documents, so that what
//! is written there about users, groups and traps stays true. Only the keys are ours.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use postern::cli::load::LoadedPolicy;
use postern::config::load::Pretend;
use postern::engine::Engine;
use postern::model::response::Verdict;
use postern::telemetry::Telemetry;
use serde_json::Value;
use serde_json::json;

use crate::proxy::asked::Client;
use crate::proxy::asked::WAYS;
use crate::proxy::judged::authorize;
use crate::token::Issuer;
use crate::token::now;
use crate::token::with;

/// One token and what comes of it.
struct Case {
    /// The heading of the example.
    example: &'static str,
    /// What is asked for: method, host, path.
    asked: (&'static str, &'static str, &'static str),
    /// A token as the provider makes it, without times.
    claims: Value,
    /// The user and the groups that the application hears of, or the reason of the refusal.
    want: Result<(&'static str, &'static str), &'static str>,
}

#[test]
fn every_worked_example_does_what_it_says() {
    let issuer = Issuer::new("k1");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let examples = examples();
    let mut tried = BTreeSet::new();
    let mut wrong = Vec::new();
    for Case { example, asked, mut claims, want } in cases() {
        let (_, policy) = examples.iter().find(|(name, _)| name == example).unwrap_or_else(|| panic!("no {example}"));
        let engine = engine(policy, &issuer);
        tried.insert(example.to_owned());
        let members = claims.as_object_mut().expect("an object");
        for (name, at) in [("iat", now() - 60), ("nbf", now() - 60), ("exp", now() + 3000)] {
            members.entry(name).or_insert(json!(at));
        }
        let (method, host, target) = asked;
        let headers = vec![("authorization".to_owned(), format!("Bearer {}", issuer.sign(&claims)))];
        let client = Client { method, host, target, headers, address: "192.0.2.7" };
        for way in &WAYS {
            let response = runtime.block_on(authorize(&engine, way.dialect, &(way.ask)(&client)));
            let found = match &response.verdict {
                Verdict::Allow(allow) => {
                    let header = |name: &str| {
                        let found = allow.headers.set().find(|(set, _)| *set == name);
                        found.map(|(_, text)| text.to_string()).unwrap_or_default()
                    };
                    Ok((header("remote-user"), header("remote-groups")))
                }
                Verdict::Deny(denial) => Err(denial.reason.code()),
            };
            let want = want.map(|(user, groups)| (user.to_owned(), groups.to_owned()));
            if found != want {
                wrong.push(format!("{example}, {asked:?}, {}: {found:?}, wanted {want:?}\n{claims:#}", way.name));
                break;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    let written: BTreeSet<String> = examples.into_iter().map(|(name, _)| name).collect();
    assert_eq!(tried, written, "every example is tried");
}

/// The policy of each example, by its heading.
fn examples() -> Vec<(String, String)> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/identity.md");
    let text = std::fs::read_to_string(file).expect("docs/identity.md");
    let section = text.split("\n## Worked examples\n").nth(1).expect("a section of worked examples");
    let section = section.split("\n## ").next().unwrap_or_default();
    let parts = section.split("\n### ").skip(1);
    parts
        .map(|part| {
            let (name, rest) = part.split_once('\n').expect("a heading");
            let policy = rest.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
            (name.to_owned(), policy.unwrap_or_else(|| panic!("{name} shows no policy")).to_owned())
        })
        .collect()
}

/// The example with keys of ours in the place of the provider's.
fn engine(policy: &str, issuer: &Issuer) -> Engine {
    const OF_FETCHING: [&str; 4] = ["jwks_url:", "key_hosts:", "ca_file:", "fetch_token:"];
    let mut text = String::new();
    for line in policy.lines().filter(|line| !OF_FETCHING.iter().any(|key| line.trim_start().starts_with(key))) {
        text.push_str(&format!("{line}\n"));
        if line.trim_start().starts_with("issuer:") {
            text.push_str("      jwks_file: keys.json\n      algorithms: [ES256]\n");
        }
    }
    let world = Pretend::new().file("policy.yaml", text).file("keys.json", issuer.jwks());
    let loaded = LoadedPolicy::read(Path::new("policy.yaml"), &world);
    let loaded = loaded.unwrap_or_else(|report| panic!("{}\n{policy}", report.text(false)));
    Engine::new(Arc::new(loaded.snapshot), Arc::new(Telemetry::new().expect("telemetry")))
}

fn cases() -> Vec<Case> {
    [keycloak(), entra(), okta(), authelia(), google(), actions(), kubernetes(), client_credentials()]
        .into_iter()
        .flatten()
        .collect()
}

type Rows<const N: usize> =
    [(&'static str, &'static str, Value, Result<(&'static str, &'static str), &'static str>); N];

/// Rows of method, path, claims and outcome at one host of one example.
fn at<const N: usize>(example: &'static str, host: &'static str, rows: Rows<N>) -> Vec<Case> {
    let case = |(method, path, claims, want)| Case { example, asked: (method, host, path), claims, want };
    rows.into_iter().map(case).collect()
}

fn keycloak() -> Vec<Case> {
    let token = json!({
        "iss": "https://sso.corp.test/realms/main", "aud": ["wiki", "account"], "azp": "portal", "typ": "Bearer",
        "jti": "6f3a", "sub": "8f6c2a4e-5d1c-4b7e-9a53-1f6c0d2b7e11", "sid": "9d1e", "acr": "1", "scope": "openid profile email",
        "allowed-origins": ["https://portal.corp.test"], "preferred_username": "alice", "name": "Alice Archer",
        "email": "alice@corp.test", "email_verified": true, "groups": ["/staff"],
        "realm_access": {"roles": ["employee", "offline_access"]},
        "resource_access": {"wiki": {"roles": ["admin"]}, "account": {"roles": ["view-profile"]}},
    });
    let groups = "group:staff,role:employee,role:offline_access,account:view-profile,wiki:admin";
    let role_alone = json!({"groups": [], "realm_access": {"roles": ["staff", "admin"]}, "resource_access": {}});
    at(
        "Keycloak",
        "wiki.corp.test",
        [
            ("GET", "/admin/", token.clone(), Ok(("alice", groups))),
            (
                "GET",
                "/",
                with(&token, json!({"realm_access": null, "resource_access": null})),
                Ok(("alice", "group:staff")),
            ),
            // A group of a group is another group, and a role of another client another role.
            (
                "GET",
                "/",
                with(&token, json!({"groups": ["/guests/staff"], "realm_access": null})),
                Err("requirement_failed"),
            ),
            (
                "GET",
                "/admin/",
                with(&token, json!({"resource_access": {"portal": {"roles": ["admin"]}}})),
                Err("requirement_failed"),
            ),
            ("GET", "/", with(&token, role_alone), Err("requirement_failed")),
            ("GET", "/", with(&token, json!({"aud": "account"})), Err("token_audience")),
            ("GET", "/", with(&token, json!({"typ": "ID", "aud": "wiki"})), Err("token_claims")),
            ("GET", "/", with(&token, json!({"typ": "Refresh"})), Err("token_claims")),
            (
                "GET",
                "/",
                with(&token, json!({"iss": "https://sso.corp.test/auth/realms/main"})),
                Err("token_unclaimed"),
            ),
        ],
    )
}

fn entra() -> Vec<Case> {
    let tenant = "11111111-2222-3333-4444-555555555555";
    let token = json!({
        "iss": format!("https://login.microsoftonline.com/{tenant}/v2.0"), "aud": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "azp": "99999999-0000-0000-0000-000000000000", "azpacr": "1", "tid": tenant, "ver": "2.0", "uti": "x", "rh": "0.A",
        "oid": "cb7eda1b-d09a-40ae-b8bb-37836ebc6abd", "sub": "3OBtLXUC2ZrN_ADLNjW9X4o0lcd61py7lgHw3Skh77s",
        "preferred_username": "alice@corp.test", "name": "Alice Archer", "email": "alice@corp.test", "scp": "Wiki.Use",
        "groups": ["0760b6cf-170e-4a14-91b3-4b78e0739963"], "roles": ["Wiki.Admin"],
    });
    let oid = "cb7eda1b-d09a-40ae-b8bb-37836ebc6abd";
    let overage = json!({
        "groups": null, "roles": null, "_claim_names": {"groups": "src1"},
        "_claim_sources": {"src1": {"endpoint": format!("https://graph.windows.net/{tenant}/users/{oid}/getMemberObjects")}},
    });
    let application = json!({"preferred_username": null, "name": null, "email": null, "scp": null, "groups": null, "idtyp": "app", "roles": ["Wiki.Read"]});
    at(
        "Entra ID",
        "wiki.corp.test",
        [
            ("GET", "/admin/", token.clone(), Ok((oid, "0760b6cf-170e-4a14-91b3-4b78e0739963,Wiki.Admin"))),
            ("GET", "/", with(&token, json!({"roles": null})), Ok((oid, "0760b6cf-170e-4a14-91b3-4b78e0739963"))),
            ("GET", "/", with(&token, application), Ok((oid, "Wiki.Read"))),
            (
                "GET",
                "/",
                with(&token, json!({"groups": ["3b2b0c93-acd8-4208-8eba-7a48db1cd4c0"]})),
                Err("requirement_failed"),
            ),
            ("GET", "/", with(&token, overage), Err("token_claims")),
            ("GET", "/", with(&token, json!({"groups": null, "hasgroups": true})), Err("token_claims")),
            ("GET", "/", with(&token, json!({"aud": "00000003-0000-0000-c000-000000000000"})), Err("token_audience")),
            (
                "GET",
                "/",
                with(&token, json!({"iss": format!("https://sts.windows.net/{tenant}/"), "ver": "1.0"})),
                Err("token_unclaimed"),
            ),
            (
                "GET",
                "/",
                with(&token, json!({"iss": "https://login.microsoftonline.com/common/v2.0"})),
                Err("token_unclaimed"),
            ),
        ],
    )
}

fn okta() -> Vec<Case> {
    let token = json!({
        "ver": 1, "jti": "AT.x", "iss": "https://corp.okta.com/oauth2/default", "aud": "api://default", "cid": "0oa1",
        "uid": "00u1", "auth_time": now() - 90, "scp": ["openid", "wiki.read"], "sub": "alice@corp.test",
        "groups": ["Everyone", "Staff"],
    });
    at(
        "Okta",
        "wiki.corp.test",
        [
            ("GET", "/", token.clone(), Ok(("alice@corp.test", "Everyone,Staff"))),
            ("GET", "/", with(&token, json!({"scp": ["openid"]})), Err("requirement_failed")),
            ("GET", "/", with(&token, json!({"groups": ["Everyone"]})), Err("requirement_failed")),
            (
                "GET",
                "/",
                with(&token, json!({"iss": "https://corp.okta.com", "aud": "https://corp.okta.com"})),
                Err("token_unclaimed"),
            ),
        ],
    )
}

fn authelia() -> Vec<Case> {
    let token = json!({
        "iss": "https://auth.corp.test", "aud": ["wiki"], "sub": "64a2c1b0-9f5e-4c3d-8b7a-2e1d0c9b8a76", "client_id": "portal",
        "jti": "1", "scp": ["openid", "profile", "email", "groups"], "preferred_username": "alice", "groups": ["staff", "devs"],
        "email": "alice@corp.test", "email_verified": true, "name": "Alice Archer",
    });
    at(
        "Authelia",
        "wiki.corp.test",
        [
            ("GET", "/", token.clone(), Ok(("alice", "staff,devs"))),
            ("GET", "/", with(&token, json!({"groups": ["guests"]})), Err("requirement_failed")),
            ("GET", "/", with(&token, json!({"preferred_username": null, "groups": null})), Err("token_claims")),
            ("GET", "/", with(&token, json!({"aud": []})), Err("token_audience")),
            ("GET", "/", with(&token, json!({"nonce": "n", "at_hash": "h"})), Err("token_claims")),
        ],
    )
}

fn google() -> Vec<Case> {
    let client = "1234567890-abc.apps.googleusercontent.com";
    let token = json!({
        "iss": "https://accounts.google.com", "azp": client, "aud": client, "sub": "110169484474386276334", "hd": "corp.test",
        "email": "alice@corp.test", "email_verified": true, "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "nonce": "n",
        "name": "Alice Archer", "picture": "https://lh3.googleusercontent.com/a", "given_name": "Alice",
    });
    at(
        "Google",
        "wiki.corp.test",
        [
            ("GET", "/admin/", token.clone(), Ok(("alice@corp.test", ""))),
            ("GET", "/", with(&token, json!({"email": "bob@corp.test"})), Ok(("bob@corp.test", ""))),
            ("GET", "/admin/", with(&token, json!({"email": "bob@corp.test"})), Err("requirement_failed")),
            // A private account with an address of ours, and an account of another organisation.
            ("GET", "/", with(&token, json!({"hd": null})), Err("requirement_failed")),
            (
                "GET",
                "/",
                with(&token, json!({"hd": "evil.test", "email": "alice@evil.test"})),
                Err("requirement_failed"),
            ),
            ("GET", "/", with(&token, json!({"email_verified": false})), Err("token_claims")),
            ("GET", "/", with(&token, json!({"aud": "999-x.apps.googleusercontent.com"})), Err("token_audience")),
            ("GET", "/", with(&token, json!({"azp": "999-x.apps.googleusercontent.com"})), Err("token_audience")),
        ],
    )
}

fn actions() -> Vec<Case> {
    let token = json!({
        "iss": "https://token.actions.githubusercontent.com", "aud": "https://deploy.corp.test", "jti": "1",
        "sub": "repo:corp/app:environment:production", "ref": "refs/heads/main", "ref_type": "branch", "sha": "c0ffee",
        "repository": "corp/app", "repository_id": "74", "repository_owner": "corp", "repository_owner_id": "4711",
        "repository_visibility": "private", "run_id": "1", "run_number": "10", "run_attempt": "2", "actor": "alice",
        "actor_id": "12", "workflow": "deploy", "event_name": "workflow_dispatch", "head_ref": "", "base_ref": "",
        "environment": "production", "runner_environment": "github-hosted",
        "job_workflow_ref": "corp/app/.github/workflows/deploy.yml@refs/heads/main",
    });
    let pull = json!({"sub": "repo:corp/app:pull_request", "ref": "refs/pull/7/merge", "event_name": "pull_request", "environment": null});
    at(
        "GitHub Actions",
        "deploy.corp.test",
        [
            ("POST", "/production/app", token.clone(), Ok(("corp/app", ""))),
            ("POST", "/preview/7", with(&token, pull.clone()), Ok(("corp/app", ""))),
            ("POST", "/production/app", with(&token, pull), Err("requirement_failed")),
            ("POST", "/production/app", with(&token, json!({"environment": null})), Err("requirement_failed")),
            ("POST", "/production/app", with(&token, json!({"ref": "refs/heads/main2"})), Err("requirement_failed")),
            ("POST", "/production/app", with(&token, json!({"repository": "evil/app"})), Err("requirement_failed")),
            ("POST", "/production/app", with(&token, json!({"repository_owner_id": "666"})), Err("requirement_failed")),
            ("POST", "/production/app", with(&token, json!({"aud": "https://github.com/corp"})), Err("token_audience")),
            ("POST", "/production/app", with(&token, json!({"exp": now() + 7200})), Err("token_claims")),
        ],
    )
}

fn kubernetes() -> Vec<Case> {
    let token = |namespace: &str, name: &str| {
        json!({
            "iss": "https://kubernetes.default.svc.cluster.local", "aud": ["wiki"], "jti": "aed34954",
            "sub": format!("system:serviceaccount:{namespace}:{name}"),
            "kubernetes.io": {
                "namespace": namespace, "serviceaccount": {"name": name, "uid": "14ee3fa4"},
                "node": {"name": "n1", "uid": "646e7c5e"}, "pod": {"name": "p1", "uid": "5e0bd49b"},
            },
        })
    };
    let (web, backup) = (token("prod", "web"), token("ops", "backup"));
    at(
        "Kubernetes",
        "wiki.corp.test",
        [
            (
                "GET",
                "/",
                web.clone(),
                Ok(("system:serviceaccount:prod:web", "system:serviceaccounts,system:serviceaccounts:prod")),
            ),
            (
                "PUT",
                "/backup/1",
                backup.clone(),
                Ok(("system:serviceaccount:ops:backup", "system:serviceaccounts,system:serviceaccounts:ops")),
            ),
            ("PUT", "/backup/1", token("prod", "backup"), Err("requirement_failed")),
            ("GET", "/", backup, Err("requirement_failed")),
            ("GET", "/", with(&web, json!({"sub": "system:serviceaccount:ops:backup"})), Err("token_claims")),
            ("GET", "/", with(&web, json!({"kubernetes.io": null})), Err("token_claims")),
            (
                "GET",
                "/",
                with(&web, json!({"aud": ["https://kubernetes.default.svc.cluster.local"]})),
                Err("token_audience"),
            ),
            // Mounted by default for older clients: a year.
            ("GET", "/", with(&web, json!({"exp": now() + 365 * 24 * 3600})), Err("token_claims")),
        ],
    )
}

fn client_credentials() -> Vec<Case> {
    let token = json!({
        "iss": "https://sso.corp.test/realms/machines", "aud": "deploy", "sub": "ci", "client_id": "ci", "jti": "1",
        "scope": "deploy",
    });
    at(
        "Machines with client credentials",
        "deploy.corp.test",
        [
            ("POST", "/", token.clone(), Ok(("client:ci", ""))),
            ("POST", "/", with(&token, json!({"scope": "read"})), Err("requirement_failed")),
            ("POST", "/", with(&token, json!({"client_id": "other"})), Err("requirement_failed")),
            ("POST", "/", with(&token, json!({"client_id": null})), Err("token_claims")),
            // Another issuer of the same house says so of its own clients.
            ("POST", "/", with(&token, json!({"iss": "https://sso.corp.test/realms/main"})), Err("token_unclaimed")),
        ],
    )
}
