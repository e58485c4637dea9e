//! The battery as data: what a client sends, what must come of it, and what a proxy may do with it before we are asked.

use super::edge::{Proxy, Setup};
use super::people::{ADA, ALICE, Person};
use super::upstream::SAMPLE_KEY;

use Outcome::{Becomes, Loses, Refused};
use Proxy::{Caddy, EnvoyGrpc, EnvoyHttp, Haproxy, Nginx, NginxSystem, Traefik};
use Setup::{Naive, Shipped};
use Verdict::{Allow, Deny, Login};

/// One request and what must come of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    pub(crate) host: &'static str,
    pub(crate) target: &'static str,
    /// As they are written on the wire; `{alice}` stands for her token.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// What Postern says when it is asked about exactly this.
    pub(crate) verdict: Verdict,
    /// Where it is not simply asked. The first line that fits counts.
    pub(crate) otherwise: &'static [(At, Outcome)],
}

/// What Postern says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Pass, for this reason, as this person.
    Allow(&'static str, Option<&'static Person>),
    /// Refuse, for this reason, with this status where the proxy can carry it.
    Deny(&'static str, u16),
    /// Send a browser to this page, for this reason.
    Login(&'static str, &'static str),
}

/// Behind which proxies, with whose configuration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(Setup, &'static [Proxy]);

/// What a proxy makes of a request. Never a wider verdict: what it asks about is judged by the same rules.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    /// Postern is asked about the request as it is.
    Judged,
    /// The proxy strips or tidies the request, and Postern is asked about what is left: the scenario of this name.
    Becomes(&'static str),
    /// The proxy refuses by itself, with this status. Nobody is asked.
    Refused(u16),
    /// Allowed, but the proxy loses this header of ours on the way. The client's does not take its place.
    Loses(&'static str),
}

impl Scenario {
    /// What this proxy makes of it.
    pub(crate) fn outcome(&self, proxy: Proxy, setup: Setup) -> Outcome {
        let line = self.otherwise.iter().find(|(At(with, proxies), _)| *with == setup && proxies.contains(&proxy));
        line.map_or(Outcome::Judged, |(_, outcome)| *outcome)
    }

    /// The scenario of this name.
    pub(crate) fn named(name: &str) -> &'static Scenario {
        SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap_or_else(|| panic!("no scenario {name:?}"))
    }
}

const HOST: &str = "app.example.test";

/// What most scenarios are a change of.
const PLAIN: Scenario = Scenario {
    name: "",
    method: "GET",
    host: HOST,
    target: "/desk",
    headers: &[],
    verdict: Deny("internal", 503),
    otherwise: &[],
};

const AS_ALICE: (&str, &str) = ("Authorization", "Bearer {alice}");
const AS_ADA: (&str, &str) = ("Authorization", "Bearer {ada}");
const BROWSER: (&str, &str) = ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");
const NAVIGATE: (&str, &str) = ("Sec-Fetch-Mode", "navigate");

const PERMITTED: Verdict = Allow("permitted", Some(&ALICE));
const PUBLIC: Verdict = Allow("public", None);
const ANONYMOUS: Verdict = Deny("credential_missing", 401);
const AMBIGUOUS: Verdict = Deny("ambiguous_path", 400);
const BAD_TARGET: Verdict = Deny("bad_target", 400);
const SPOOFED: Verdict = Deny("spoofed_header", 400);

const ALL: &[Proxy] = &[EnvoyGrpc, EnvoyHttp, Caddy, Nginx, NginxSystem, Traefik, Haproxy];
const ENVOY: &[Proxy] = &[EnvoyGrpc, EnvoyHttp];
const NGINX: &[Proxy] = &[Nginx, NginxSystem];
/// Those that resolve dot segments and repeated slashes when shipped, for us and for the application alike.
const TIDYING: &[Proxy] = &[EnvoyGrpc, EnvoyHttp, Traefik];
/// Those that refuse such paths when shipped.
const STRICT: &[Proxy] = &[Caddy, Nginx, NginxSystem, Haproxy];

/// Every scenario.
pub(crate) const SCENARIOS: &[Scenario] = &[
    // ── who are you ───────────────────────────────────────────────────────────────────────────
    Scenario { name: "bearer", headers: &[AS_ALICE], verdict: PERMITTED, ..PLAIN },
    Scenario {
        name: "cookie",
        headers: &[("Cookie", "theme=dark; access_token={alice}; lang=en")],
        verdict: PERMITTED,
        ..PLAIN
    },
    Scenario { name: "anonymous", verdict: ANONYMOUS, ..PLAIN },
    Scenario { name: "another scheme", headers: &[("Authorization", "Basic YTpi")], verdict: ANONYMOUS, ..PLAIN },
    Scenario {
        name: "expired",
        headers: &[("Authorization", "Bearer {expired}")],
        verdict: Deny("token_expired", 401),
        ..PLAIN
    },
    Scenario {
        name: "not yet valid",
        headers: &[("Authorization", "Bearer {too early}")],
        verdict: Deny("token_not_yet_valid", 401),
        ..PLAIN
    },
    Scenario {
        name: "wrong audience",
        headers: &[("Authorization", "Bearer {audience}")],
        verdict: Deny("token_audience", 401),
        ..PLAIN
    },
    Scenario {
        name: "wrong issuer",
        headers: &[("Authorization", "Bearer {issuer}")],
        verdict: Deny("token_unclaimed", 401),
        ..PLAIN
    },
    Scenario {
        name: "unknown kid",
        headers: &[("Authorization", "Bearer {kid}")],
        verdict: Deny("token_key_unknown", 401),
        ..PLAIN
    },
    Scenario {
        name: "alg none",
        headers: &[("Authorization", "Bearer {none}")],
        verdict: Deny("token_algorithm", 401),
        ..PLAIN
    },
    Scenario {
        name: "alg of another family",
        headers: &[("Authorization", "Bearer {hs256}")],
        verdict: Deny("token_algorithm", 401),
        ..PLAIN
    },
    Scenario {
        name: "a stranger's signature",
        headers: &[("Authorization", "Bearer {signature}")],
        verdict: Deny("token_signature", 401),
        ..PLAIN
    },
    Scenario {
        name: "no token at all",
        headers: &[("Authorization", "Bearer rubbish")],
        verdict: Deny("token_unclaimed", 401),
        ..PLAIN
    },
    Scenario {
        name: "two authorizations",
        headers: &[AS_ALICE, AS_ADA],
        verdict: Deny("duplicate_credential", 400),
        otherwise: &[(At(Shipped, NGINX), Refused(400)), (At(Naive, NGINX), Refused(400))],
        ..PLAIN
    },
    Scenario {
        name: "two cookies of the name",
        headers: &[("Cookie", "access_token={alice}; access_token={ada}")],
        verdict: Deny("duplicate_credential", 400),
        ..PLAIN
    },
    // ── you may ───────────────────────────────────────────────────────────────────────────────
    Scenario { name: "group missing", headers: &[("Authorization", "Bearer {bob}")], verdict: FAILED, ..PLAIN },
    Scenario {
        name: "role",
        target: "/admin/users",
        headers: &[AS_ADA],
        verdict: Allow("permitted", Some(&ADA)),
        ..PLAIN
    },
    Scenario {
        name: "role through includes",
        target: "/operations/restart",
        headers: &[AS_ADA],
        verdict: Allow("permitted", Some(&ADA)),
        ..PLAIN
    },
    Scenario { name: "role missing", target: "/admin/users", headers: &[AS_ALICE], verdict: FAILED, ..PLAIN },
    Scenario { name: "method listed", target: "/reports/q1", headers: &[AS_ALICE], verdict: PERMITTED, ..PLAIN },
    Scenario {
        name: "head goes with get",
        method: "HEAD",
        target: "/reports/q1",
        headers: &[AS_ALICE],
        verdict: PERMITTED,
        ..PLAIN
    },
    Scenario { name: "head refused", method: "HEAD", verdict: ANONYMOUS, ..PLAIN },
    Scenario {
        name: "method not listed",
        method: "POST",
        target: "/reports/q1",
        headers: &[AS_ALICE, ("Content-Length", "0")],
        verdict: Deny("method_not_listed", 403),
        ..PLAIN
    },
    Scenario {
        name: "method override",
        method: "POST",
        target: "/reports/q1",
        headers: &[AS_ALICE, ("X-HTTP-Method-Override", "GET"), ("Content-Length", "0")],
        verdict: Deny("method_not_listed", 403),
        ..PLAIN
    },
    Scenario {
        name: "unregistered method",
        method: "PROPFIND",
        headers: &[AS_ALICE],
        verdict: Deny("method_not_listed", 403),
        ..PLAIN
    },
    Scenario {
        name: "lower-case method",
        method: "get",
        headers: &[AS_ALICE],
        verdict: Deny("bad_method", 400),
        otherwise: &[
            (At(Shipped, ENVOY), Refused(400)),
            (At(Naive, ENVOY), Refused(400)),
            (At(Shipped, NGINX), Refused(400)),
            (At(Naive, NGINX), Refused(400)),
        ],
        ..PLAIN
    },
    Scenario {
        name: "early data that changes something",
        method: "DELETE",
        headers: &[AS_ALICE, ("Early-Data", "1")],
        verdict: Deny("early_data", 425),
        ..PLAIN
    },
    Scenario { name: "early data", headers: &[AS_ALICE, ("Early-Data", "1")], verdict: PERMITTED, ..PLAIN },
    Scenario { name: "options is judged", method: "OPTIONS", verdict: ANONYMOUS, ..PLAIN },
    Scenario {
        name: "preflight is judged",
        method: "OPTIONS",
        headers: &[("Origin", "https://elsewhere.example.test"), ("Access-Control-Request-Method", "GET")],
        verdict: ANONYMOUS,
        ..PLAIN
    },
    Scenario { name: "inside network", target: "/office/door", headers: &[AS_ALICE], verdict: PERMITTED, ..PLAIN },
    Scenario { name: "outside network", target: "/lab/door", headers: &[AS_ALICE], verdict: OUTSIDE, ..PLAIN },
    // ── public ────────────────────────────────────────────────────────────────────────────────
    Scenario { name: "public", target: "/public/page", verdict: PUBLIC, ..PLAIN },
    Scenario {
        name: "public with a bad token",
        target: "/public/page",
        headers: &[("Authorization", "Bearer {expired}")],
        verdict: PUBLIC,
        ..PLAIN
    },
    Scenario { name: "public names nobody", target: "/public/page", headers: &[AS_ALICE], verdict: PUBLIC, ..PLAIN },
    // ── who a client says it is ───────────────────────────────────────────────────────────────
    Scenario {
        name: "spoofed identity",
        headers: &[AS_ALICE, ("Remote-User", "mallory")],
        verdict: SPOOFED,
        otherwise: &[(At(Shipped, ALL), Becomes("bearer"))],
        ..PLAIN
    },
    Scenario {
        name: "spoofed identity, twice",
        headers: &[AS_ALICE, ("remote-groups", "mallory"), ("REMOTE-GROUPS", "mallory")],
        verdict: SPOOFED,
        otherwise: &[(At(Shipped, ALL), Becomes("bearer"))],
        ..PLAIN
    },
    Scenario {
        name: "spoofed identity in public",
        target: "/public/page",
        headers: &[("Remote-Email", "mallory"), ("Remote-Name", "mallory")],
        verdict: SPOOFED,
        otherwise: &[(At(Shipped, ALL), Becomes("public"))],
        ..PLAIN
    },
    Scenario {
        name: "alias with underscore",
        headers: &[AS_ALICE, ("Remote_User", "mallory")],
        verdict: SPOOFED,
        otherwise: &[
            (At(Shipped, ENVOY), Refused(400)),
            (At(Shipped, ALL), Becomes("bearer")),
            // Dropped by default.
            (At(Naive, &[Caddy, Nginx, NginxSystem]), Becomes("bearer")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "alias with dot",
        headers: &[AS_ALICE, ("Remote.Groups", "mallory")],
        verdict: SPOOFED,
        otherwise: &[
            (At(Shipped, ALL), Becomes("bearer")),
            (At(Naive, &[Caddy, Nginx, NginxSystem]), Becomes("bearer")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "says that nobody was asked",
        headers: &[AS_ALICE, ("X-Envoy-Auth-Failure-Mode-Allowed", "true")],
        verdict: SPOOFED,
        ..PLAIN
    },
    Scenario {
        name: "identity nominated away",
        headers: &[AS_ALICE, ("Connection", "close, Remote-User")],
        verdict: PERMITTED,
        otherwise: &[
            (At(Shipped, &[Caddy, Haproxy]), Refused(400)),
            // The naive script shows us the client's Connection header, and we refuse it.
            (At(Naive, &[Haproxy]), Refused(400)),
            // Caddy deletes what the client nominates after we have set it.
            (At(Naive, &[Caddy]), Loses("remote-user")),
        ],
        ..PLAIN
    },
    // ── where a client says it comes from and goes to ─────────────────────────────────────────
    Scenario {
        name: "spoofed address",
        target: "/lab/door",
        headers: &[AS_ALICE, ("X-Forwarded-For", "198.51.100.7"), ("X-Real-IP", "198.51.100.7")],
        verdict: OUTSIDE,
        ..PLAIN
    },
    Scenario {
        name: "spoofed target in X-Forwarded",
        target: "/admin/users",
        headers: &[
            ("X-Forwarded-Uri", "/public/page"),
            ("X-Forwarded-Method", "OPTIONS"),
            ("X-Forwarded-Host", "public.example.test"),
            ("X-Forwarded-Proto", "https"),
        ],
        verdict: ANONYMOUS,
        ..PLAIN
    },
    Scenario {
        name: "spoofed target in X-Original-URL",
        target: "/admin/users",
        headers: &[
            ("X-Original-URL", "http://app.example.test/public/page"),
            ("X-Original-Method", "OPTIONS"),
            ("X-Rewrite-URL", "/public/page"),
        ],
        verdict: ANONYMOUS,
        ..PLAIN
    },
    Scenario { name: "query glued to the path", target: "/admin?/public/page", verdict: ANONYMOUS, ..PLAIN },
    Scenario {
        name: "query with a query",
        target: "/desk?next=/public&x=%2e%2e/?y",
        headers: &[AS_ALICE],
        verdict: PERMITTED,
        ..PLAIN
    },
    // ── paths on which servers disagree ───────────────────────────────────────────────────────
    Scenario { name: "anonymous admin", target: "/admin", verdict: ANONYMOUS, ..PLAIN },
    Scenario { name: "staff files", target: "/files/x", headers: &[AS_ALICE], verdict: PERMITTED, ..PLAIN },
    Scenario {
        name: "dot segments",
        target: "/public/../admin",
        verdict: AMBIGUOUS,
        otherwise: &[
            (At(Shipped, TIDYING), Becomes("anonymous admin")),
            (At(Shipped, STRICT), Refused(400)),
            (At(Naive, &[Traefik]), Becomes("anonymous admin")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "encoded dot segments",
        target: "/public/%2e%2E/admin",
        verdict: AMBIGUOUS,
        otherwise: &[
            (At(Shipped, TIDYING), Becomes("anonymous admin")),
            (At(Shipped, STRICT), Refused(400)),
            (At(Naive, &[Traefik]), Becomes("anonymous admin")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "dot segments under one rule",
        target: "/files/../files/x",
        headers: &[AS_ALICE],
        verdict: PERMITTED,
        otherwise: &[
            (At(Shipped, TIDYING), Becomes("staff files")),
            (At(Shipped, STRICT), Refused(400)),
            (At(Naive, &[Traefik]), Becomes("staff files")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "above the root",
        target: "/public/../../admin",
        verdict: BAD_TARGET,
        otherwise: &[
            (At(Shipped, TIDYING), Becomes("anonymous admin")),
            (At(Shipped, STRICT), Refused(400)),
            (At(Naive, &[Traefik]), Becomes("anonymous admin")),
            (At(Naive, NGINX), Refused(400)),
        ],
        ..PLAIN
    },
    Scenario {
        name: "repeated slash",
        target: "//admin/users",
        headers: &[AS_ALICE],
        verdict: AMBIGUOUS,
        otherwise: &[
            (At(Shipped, TIDYING), Becomes("role missing")),
            (At(Shipped, STRICT), Refused(400)),
            (At(Naive, &[Traefik]), Becomes("role missing")),
        ],
        ..PLAIN
    },
    Scenario {
        name: "encoded slash",
        target: "/files/a%2Fb",
        headers: &[AS_ALICE],
        verdict: AMBIGUOUS,
        otherwise: &[(At(Shipped, ALL), Refused(400))],
        ..PLAIN
    },
    Scenario {
        name: "encoded backslash",
        target: "/public/..%5Cadmin",
        verdict: BAD_TARGET,
        otherwise: &[(At(Shipped, ALL), Refused(400))],
        ..PLAIN
    },
    Scenario {
        name: "backslash",
        target: "/public\\..\\admin",
        verdict: BAD_TARGET,
        otherwise: &[
            // To Envoy a backslash is a slash.
            (At(Shipped, ENVOY), Becomes("anonymous admin")),
            (At(Shipped, &[Caddy, Nginx, NginxSystem, Haproxy, Traefik]), Refused(400)),
        ],
        ..PLAIN
    },
    Scenario {
        name: "dot segment with a parameter",
        target: "/public/..;x/admin",
        verdict: BAD_TARGET,
        otherwise: &[(At(Shipped, ENVOY), Becomes("anonymous admin")), (At(Shipped, STRICT), Refused(400))],
        ..PLAIN
    },
    Scenario {
        name: "escaped NUL",
        target: "/public/a%00b",
        verdict: BAD_TARGET,
        otherwise: &[(At(Shipped, ALL), Refused(400)), (At(Naive, NGINX), Refused(400))],
        ..PLAIN
    },
    Scenario {
        name: "bad escape",
        target: "/public/a%zz",
        verdict: BAD_TARGET,
        otherwise: &[
            (At(Shipped, &[Caddy, Nginx, NginxSystem, Traefik]), Refused(400)),
            (At(Naive, &[Caddy, Nginx, NginxSystem, Traefik]), Refused(400)),
        ],
        ..PLAIN
    },
    Scenario { name: "double encoding", target: "/public/%252e%252e/admin", verdict: AMBIGUOUS, ..PLAIN },
    Scenario { name: "path parameter", target: "/files/a;x=1", headers: &[AS_ALICE], verdict: PERMITTED, ..PLAIN },
    Scenario { name: "upper case", target: "/ADMIN/users", headers: &[AS_ALICE], verdict: AMBIGUOUS, ..PLAIN },
    Scenario {
        name: "endless target",
        target: LONG,
        headers: &[AS_ALICE],
        verdict: BAD_TARGET,
        otherwise: &[(At(Shipped, NGINX), Refused(414)), (At(Naive, NGINX), Refused(414))],
        ..PLAIN
    },
    // ── the host's spellings ──────────────────────────────────────────────────────────────────
    Scenario { name: "host in capitals", host: "APP.Example.TEST", headers: &[AS_ALICE], verdict: PERMITTED, ..PLAIN },
    Scenario {
        name: "host with port",
        host: "app.example.test:8080",
        headers: &[AS_ALICE],
        verdict: PERMITTED,
        ..PLAIN
    },
    Scenario {
        name: "host with final dot",
        host: "app.example.test.",
        headers: &[AS_ALICE],
        verdict: PERMITTED,
        // To Caddy that is another site.
        otherwise: &[(At(Shipped, &[Caddy]), Refused(421))],
        ..PLAIN
    },
    Scenario {
        name: "unknown host",
        host: "unknown.example.test",
        headers: &[AS_ALICE],
        verdict: Deny("host_unknown", 403),
        otherwise: &[(At(Shipped, TIDYING), Refused(404)), (At(Shipped, STRICT), Refused(421))],
        ..PLAIN
    },
    Scenario {
        name: "another host's rules",
        host: "other.example.test",
        headers: &[AS_ALICE],
        verdict: FAILED,
        otherwise: &[(At(Shipped, TIDYING), Refused(404)), (At(Shipped, STRICT), Refused(421))],
        ..PLAIN
    },
    Scenario {
        name: "two hosts in one",
        host: "app.example.test,other.example.test",
        headers: &[AS_ALICE],
        verdict: Deny("bad_host", 400),
        otherwise: &[(At(Shipped, TIDYING), Refused(404)), (At(Shipped, STRICT), Refused(421))],
        ..PLAIN
    },
    // ── browsers, programs, sockets ───────────────────────────────────────────────────────────
    Scenario {
        name: "browser is sent to log in",
        target: "/desk?a=1&b=2",
        headers: &[BROWSER, NAVIGATE],
        verdict: Login(
            "credential_missing",
            "https://sso.example.test/login?rd=https%3A%2F%2Fapp.example.test%2Fdesk%3Fa%3D1%26b%3D2",
        ),
        ..PLAIN
    },
    Scenario {
        name: "browser with an expired cookie",
        headers: &[BROWSER, ("Cookie", "access_token={expired}")],
        verdict: Login("token_expired", "https://sso.example.test/login?rd=https%3A%2F%2Fapp.example.test%2Fdesk"),
        ..PLAIN
    },
    Scenario {
        name: "browser with a bad cookie",
        headers: &[BROWSER, NAVIGATE, ("Cookie", "access_token={audience}")],
        verdict: Deny("token_audience", 401),
        ..PLAIN
    },
    Scenario {
        name: "browser with a bad header",
        headers: &[BROWSER, NAVIGATE, ("Authorization", "Bearer {expired}")],
        verdict: Deny("token_expired", 401),
        ..PLAIN
    },
    Scenario {
        name: "script of a page",
        headers: &[("Accept", "*/*"), ("Sec-Fetch-Mode", "cors")],
        verdict: ANONYMOUS,
        ..PLAIN
    },
    Scenario { name: "program", headers: &[("Accept", "application/json")], verdict: ANONYMOUS, ..PLAIN },
    Scenario {
        name: "form sent without a session",
        method: "POST",
        headers: &[BROWSER, NAVIGATE, ("Content-Length", "0")],
        verdict: ANONYMOUS,
        ..PLAIN
    },
    Scenario {
        name: "websocket",
        target: "/socket",
        headers: &[AS_ALICE, UPGRADE[0], UPGRADE[1], UPGRADE[2], UPGRADE[3]],
        verdict: PERMITTED,
        ..PLAIN
    },
    Scenario { name: "websocket of nobody", target: "/socket", headers: &UPGRADE, verdict: ANONYMOUS, ..PLAIN },
];

const FAILED: Verdict = Deny("requirement_failed", 403);
const OUTSIDE: Verdict = Deny("network_denied", 403);

const UPGRADE: [(&str, &str); 4] = [
    ("Connection", "Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Version", "13"),
    ("Sec-WebSocket-Key", SAMPLE_KEY),
];

/// Just over 8 KiB.
const LONG: &str = {
    const OCTETS: [u8; 8193] = {
        let mut octets = [b'a'; 8193];
        octets[0] = b'/';
        octets
    };
    match std::str::from_utf8(&OCTETS) {
        Ok(text) => text,
        Err(_) => "",
    }
};

/// What a proxy makes of a request has nothing in it that the client did not send, and is judged as it is.
#[test]
fn no_proxy_widens_a_request() {
    for scenario in SCENARIOS {
        let name = scenario.name;
        assert_eq!(SCENARIOS.iter().filter(|other| other.name == name).count(), 1, "{name}: two of the name");
        for (At(setup, proxies), outcome) in scenario.otherwise {
            let Becomes(left) = outcome else { continue };
            let left = Scenario::named(left);
            assert_eq!((left.method, left.host), (scenario.method, scenario.host), "{name}");
            for header in left.headers {
                assert!(scenario.headers.contains(header), "{name}: {header:?} comes from nowhere");
            }
            for proxy in *proxies {
                assert!(matches!(left.outcome(*proxy, *setup), Outcome::Judged), "{name}: {proxy:?} ({setup:?})");
            }
        }
    }
}

/// What a client names in `Connection` a proxy deletes, and no check shows it. So the shipped configurations refuse such
/// a request or keep what Postern has set; the battery shows through the real proxies that each does as is written here.
#[test]
fn i4_no_shipped_configuration_loses_an_identity_that_is_nominated_away() {
    let nominated = Scenario::named("identity nominated away");
    assert!(nominated.headers.contains(&("Connection", "close, Remote-User")));
    for proxy in ALL {
        match nominated.outcome(*proxy, Shipped) {
            Refused(400) => {}
            Outcome::Judged => assert_eq!(nominated.verdict, PERMITTED, "{proxy:?}"),
            other => panic!("{proxy:?}: {other:?}"),
        }
    }
    assert!(matches!(nominated.outcome(Caddy, Naive), Loses("remote-user")), "a naive Caddy shows that it matters");
}
