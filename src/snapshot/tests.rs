mod cluster;
mod provider;

use std::path::Path;

use super::*;
use crate::config::load::Pretend;
use crate::config::load::load;
use crate::model::caller::Caller;
use crate::policy::address::AddressRule;
use crate::policy::gate::Gate;
use crate::policy::gate::GateRule;

/// One sound issuer whose keys are never needed.
const IDENTITY: &str = "identity: {people: {jwt: {issuer: https://sso.test, audience: app}}}\n";
/// A second one.
const TWO: &str = "identity:\n  people: {jwt: {issuer: https://sso.test, audience: app}}\n  robots: {jwt: {issuer: https://m.test, audience: app}}\ndefaults: {identity: [people, robots]}\n";

fn world() -> Pretend {
    Pretend::new()
        .variable("OFFICE", "198.51.100.0/24, 192.0.2.7")
        .variable("BROKEN", "198.51.100.0/24 oops")
        .variable("BLANK", " ")
        .file("p/key.txt", "a secret that is long enough for HS256\n")
}

fn built(text: &str) -> Result<(Snapshot, Problems), Problems> {
    let world = world().file("p/policy.yaml", format!("version: 1\n{text}...\n"));
    let loaded =
        load(Path::new("p/policy.yaml"), &world).unwrap_or_else(|refused| panic!("{}", judge(refused, &world)));
    build(&loaded, &world)
}

/// Every problem as `line: message (help)`.
fn problems(text: &str) -> Vec<String> {
    let problems = match built(text) {
        Ok((_, warnings)) => warnings,
        Err(problems) => problems,
    };
    let line = |problem: &Problem| problem.place.as_ref().map_or(0, |place| place.line);
    problems.0.iter().map(|problem| format!("{}: {}", line(problem), problem.message)).collect()
}

/// A host with these routes.
fn routes(routes: &str) -> String {
    format!("{IDENTITY}hosts: {{h.test: {{routes: [{routes}]}}}}\n")
}

/// A public route with this limit, or these.
fn limit(limit: &str) -> String {
    routes(&format!("{{path: /a, public: true, limit: [{{{limit}}}]}}"))
}

/// A source whose keys are fetched like this.
fn fetched(how: &str) -> String {
    format!("identity: {{p: {{jwt: {{issuer: https://s.test, audience: a, {how}}}}}}}\n")
}

fn claims(claims: &str) -> String {
    format!("identity: {{p: {{jwt: {{issuer: https://s.test, audience: a, claims: {{{claims}}}}}}}}}\n")
}

#[test]
fn every_mistake_is_said_at_its_line() {
    for (text, want) in [
        (fetched("ca_file: key.txt"), "2: `key.txt` cannot be used: there is no certificate in it"),
        (fetched("jwks_file: k, fetch_token: {file: t}"), "2: `fetch_token` says nothing here: the keys of this source are not fetched"),
        (
            fetched("jwks_url: https://keys.test/k, fetch_token: {file: t}"),
            "2: the token to fetch with is for `https://s.test` alone, over https, and the keys are elsewhere",
        ),
        (
            fetched("jwks_url: http://s.test/k, insecure_http: true, fetch_token: {file: t}"),
            "2: the token to fetch with is for `https://s.test` alone, over https, and the keys are elsewhere",
        ),
        (limit("rate: 1/s"), "3: this limit does not say what it counts by"),
        (limit("per: adress, rate: 1/s"), "3: nothing is counted by `adress`"),
        (limit("per: 'header:a b', rate: 1/s"), "3: `header:a b` names no header"),
        (limit("per: address, rate: 1/m"), "3: `1/m` is not a rate"),
        (limit("per: address, rate: 0/s"), "3: a rate admits at least 1 and at most 1000000000 in its time"),
        (limit("per: address, rate: 1/s, burst: 0"), "3: a burst is at least 1"),
        (limit("per: address, rate: 1/day, burst: 400"), "3: so large a burst takes more than a year to refill"),
        (limit("per: address, rate: [1/s, 9/h], burst: 5"), "3: there are 1 bursts for 2 rates"),
        (limit("per: address, rate: [1/s, 1/s]"), "3: the rate `1/s` is listed twice"),
        (limit("per: address, rate: [1/s, 2/s, 3/s, 4/s, 5/s]"), "3: 5 rates in one limit, more than 4"),
        (limit("per: address, rate: 2/s, cost: {POST: 3}"), "3: a POST costs 3, and there are never more than 2"),
        (limit("per: address, rate: 2/s, cost: {post: 1}"), "3: `post` is not a method"),
        (limit("per: address, rate: 2/s, except: {networks: [x]}"), "3: there is no network called `x`"),
        (limit("per: subject, rate: 2/s, except: {roles: [x]}"), "3: there is no role called `x`"),
        (limit("per: address, rate: 2/s, name: 'a b'"), "3: a limit cannot be called `a b`"),
        (
            limit("per: subject, rate: 2/s"),
            "3: nobody is asked who they are on a public route: this limit counts nobody",
        ),
        (
            format!("{IDENTITY}hosts: {{h.test: {{limit: {{per: key, rate: 1/s}}, routes: [{{path: /a, public: true}}]}}}}\n"),
            "3: no identity source has API keys: this limit counts nobody",
        ),
        (
            format!("{}roles: {{r: {{users: [u], limit: {{per: address, rate: 1/s}}}}}}\n", routes("{path: /a, public: true}")),
            "4: addresses are counted before anybody is known, so nobody's own limit is `per: address`",
        ),
        (
            format!("{}roles: {{r: {{users: [u]}}}}\n", limit("per: address, rate: 2/s, except: {roles: [r]}")),
            "3: addresses are counted before anybody is asked for a role",
        ),
        (
            limit("per: address, name: x, rate: 2/s}, {per: route, name: x, rate: 2/s"),
            "3: two limits are called `x`; the first at p/policy.yaml:3:81",
        ),
        (
            format!("limits: {{memory: 1KiB}}\n{}", routes("{path: /a, public: true}")),
            "2: `1KiB` is no memory for budgets",
        ),
        (
            format!("limits: {{ipv6_prefix: 8}}\n{}", routes("{path: /a, public: true}")),
            "2: 8 bits of an IPv6 address are nobody's",
        ),
        (routes("{path: /a}"), "3: route `/a` lets nobody in"),
        (routes("{path: /a, public: false}"), "3: route `/a` lets nobody in"),
        (
            routes("{path: /a, public: true, require: {authenticated: true}}"),
            "3: a public route has no requirement",
        ),
        (routes("{path: /a, require: {authenticated: false}}"), "3: `authenticated: false` demands nothing"),
        (routes("{path: '*.png', public: true}"), "3: a path pattern starts with `/`"),
        (routes("{path: /%61, public: true}"), "3: `%61` is not written canonically; write `a`"),
        (routes("{path: /a, public: true, methods: [get]}"), "3: `get` is not a method"),
        (
            routes("{path: /a, public: true, methods: [any, GET]}"),
            "3: `any` stands alone: it is every method",
        ),
        (routes("{path: /a, require: {roles: [x]}}"), "3: there is no role called `x`"),
        (routes("{path: /a, require: {network: [offise]}}"), "3: there is no network called `offise`"),
        (routes("{path: /a, require: {network: [10.0.0.0/33]}}"), "3: `10.0.0.0/33` is not an address or CIDR"),
        (routes("{path: /a, require: {identity: [x]}}"), "3: there is no identity source called `x`"),
        (routes("{path: /a, identity: [x], require: {users: [u]}}"), "3: there is no identity source called `x`"),
        (routes("{require: {users: [u]}}"), "3: this route has no path"),
        (routes("{path: /a, path_regex: /b, public: true}"), "3: a route has a `path` or a `path_regex`, not both"),
        (routes("{path_regex: '/(', public: true}"), "3: `/(` is not a regular expression: unclosed group"),
        (routes("{path: /a, require: {schedule: {days: [monday]}}}"), "3: `monday` is not a day or a range of days; write `mon` or `mon-fri`"),
        (routes("{path: /a, require: {headers: {X-A: 'a,b'}}}"), "3: `a,b` can never be told from repeated fields"),
        (routes("{path: /a, require: {headers: {'X A': b}}}"), "3: `X A` is not a header name"),
        (routes("{path: /a, public: true, deny: {network: [nope]}}"), "3: there is no network called `nope`"),
        (routes("{path: /a, public: true, deny: {methods: [get]}}"), "3: `get` is not a method"),
        (routes("{path: /a, require: {claims: {a..b: x}}}"), "3: the claim path `a..b` has an empty step"),
        (
            "hosts: {h.test: {routes: [{path: /a, require: {users: [u]}}]}}\n".to_owned(),
            "2: route `/a` has no identity source",
        ),
        (format!("{IDENTITY}hosts: {{'*': {{routes: [{{path: /, public: true}}]}}}}\n"), "3: `*` alone covers every host; write the hosts, or a suffix such as `**.corp.test`"),
        (format!("{IDENTITY}hosts: {{H.test: {{routes: [{{path: /, public: true}}]}}}}\n"), "3: `H.test` is not written canonically; write `h.test`"),
        ("roles: {a: {includes: [b]}, b: {includes: [a]}}\n".to_owned(), "2: role `a` includes itself, directly or through others"),
        ("networks: {private: [10.0.0.0/8]}\n".to_owned(), "2: a network cannot be called `private`"),
        ("networks: {n: [10.0.0.256]}\n".to_owned(), "2: `10.0.0.256` is not an address or CIDR"),
        ("networks: {n: {env: BROKEN}}\n".to_owned(), "2: environment variable `BROKEN`: `oops` is not an address or CIDR"),
        ("networks: {n: {env: BLANK}}\n".to_owned(), "2: environment variable `BLANK` is unset or blank: the private ranges is used"),
        ("networks: {n: [0.0.0.0/0]}\n".to_owned(), "2: network `n` holds every address"),
        ("callers: [0.0.0.0/0]\n".to_owned(), "2: everyone may ask: anybody who reaches the port can learn and probe the policy"),
        ("audit: {queue: 10}\n".to_owned(), "2: the audit log goes nowhere"),
        ("audit: {stdout: false}\n".to_owned(), "2: the audit log goes nowhere"),
        ("audit: {path: audit.jsonl}\n".to_owned(), "2: `audit.jsonl` is not an absolute path"),
        ("audit: {path: /a, stdout: true}\n".to_owned(), "2: the audit log goes to one place"),
        ("audit: {path: /a, queue: 0}\n".to_owned(), "2: a queue cannot hold 0 lines"),
        ("audit: {stdout: true, rotate: {age: 24h}}\n".to_owned(), "2: stdout cannot be put aside"),
        ("audit: {syslog: {address: logs}}\n".to_owned(), "2: `logs` is not where a syslog receiver can be"),
        ("audit: {syslog: {address: 'tls://logs'}}\n".to_owned(), "2: nothing says which authority the receiver's certificate is from"),
        ("audit: {syslog: {address: 'tls://logs', ca_file: key.txt}}\n".to_owned(), "2: no certificate authority in it can be used"),
        ("audit: {syslog: {address: 'tls://logs', ca_file: key.txt, key: {file: key.txt}}}\n".to_owned(), "2: a certificate is shown with its key, or not at all"),
        ("audit: {syslog: {address: 'tcp://logs', server_name: a}}\n".to_owned(), "2: this says nothing without TLS"),
        ("audit: {syslog: {address: 'tcp://logs', app_name: a b}}\n".to_owned(), "2: `a b` is not an application's name in syslog"),
        ("audit: {syslog: {address: 'tcp://logs'}, rotate: {age: 24h}}\n".to_owned(), "2: there is no file to put aside"),
        ("audit: {http: {url: 'http://logs.test/', spool: /s}}\n".to_owned(), "2: `http://logs.test/` is not an https URL"),
        ("audit: {http: {url: 'https://a:b@logs.test/', spool: /s}}\n".to_owned(), "2: a URL with a user name or password is not asked"),
        (
            "audit: {http: {url: 'https://a:hunter2@logs.test:99999/', spool: /s}}\n".to_owned(),
            "2: `https://…@logs.test:99999/` is not a URL",
        ),
        (
            "audit: {syslog: {address: 'tls://a:hunter2@logs.test'}}\n".to_owned(),
            "2: `tls://…@logs.test` is not where a syslog receiver can be",
        ),
        ("audit: {http: {url: 'https://logs.test/', spool: s}}\n".to_owned(), "2: `s` is not an absolute path"),
        ("audit: {http: {url: 'https://logs.test/', spool: /s, spool_size: 1KiB}}\n".to_owned(), "2: `1KiB` is not the size of a spool"),
        ("audit: {http: {url: 'https://logs.test/', spool: /s, batch: 0}}\n".to_owned(), "2: a batch cannot have 0 lines"),
        ("audit: {http: {url: 'https://logs.test/', spool: /s, ca_file: key.txt}}\n".to_owned(), "2: `key.txt` cannot be used: there is no certificate in it"),
        ("audit: {path: /a, rotate: {keep: 3}}\n".to_owned(), "2: nothing says when a file is put aside"),
        ("audit: {path: /a, rotate: {size: 64MB}}\n".to_owned(), "2: `64MB` is not the size of a log file"),
        ("audit: {path: /a, rotate: {age: 1s}}\n".to_owned(), "2: `1s` is not a lifetime of a log file"),
        ("audit: {path: /a, rotate: {age: 1h, keep: 0}}\n".to_owned(), "2: a log of which nothing is kept is none"),
        (
            "audit: {path: /a, signing_key_file: key.txt}\n".to_owned(),
            "2: this is no signing key: it is not a private key on the curve P-256 as PKCS#8 in PEM",
        ),
        (
            "audit: {path: /a, chain: false, signing_key_file: key.txt}\n".to_owned(),
            "2: there is no chain to sign",
        ),
        ("state_dir: var/postern\n".to_owned(), "2: `var/postern` is not an absolute path"),
        ("callers: [nobody]\n".to_owned(), "2: `nobody` is not a caller"),
        ("client_ip: {trusted_hops: [10.0.0.0/8]}\n".to_owned(), "2: `trusted_hops` says nothing here: only `from: xff` and `from: forwarded` walk over hops"),
        ("client_ip: {from: xff, trusted_hops: ['::/0']}\n".to_owned(), "2: every address is a trusted hop: clients can then state any address they like"),
        ("listen: {grpc: 9191}\n".to_owned(), "2: `9191` is not an address to listen at: write `host:port`, as `127.0.0.1:9191`, or `unix:/path`"),
        ("defaults: {headers: {user: Host}}\n".to_owned(), "2: `Host` means something to proxies and servers; an identity header may not be called so"),
        ("defaults: {headers: {user: X-A, email: x-a}}\n".to_owned(), "2: two identity headers are called `x-a`"),
        (
            "defaults: {assertion: {header: Remote-User, issuer: https://p.test, key: {file: key.txt}}}\n".to_owned(),
            "2: two identity headers are called `Remote-User`",
        ),
        ("defaults: {groups: {separator: x}}\n".to_owned(), "2: `x` cannot separate one text from the next"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, algorithms: [HS256]}}}\n".to_owned(), "2: `HS256` needs a shared `secret`; published keys would make it forgeable"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, secret: {file: key.txt}}}}\n".to_owned(), "2: a shared secret needs its algorithm named"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, algorithms: [RS256], secret: {file: key.txt}}}}\n".to_owned(), "2: `RS256` needs public keys, and this source has a shared secret"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, algorithms: [none]}}}\n".to_owned(), "2: `none` is not a signature algorithm we verify"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, jwks_url: https://s.test/k, jwks_file: k}}}\n".to_owned(), "2: `jwks_url` and `jwks_file` both say where the keys are"),
        ("identity: {p: {jwt: {issuer: http://s.test, audience: a}}}\n".to_owned(), "2: `http://s.test/.well-known/openid-configuration` is not https"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, leeway: 1h}}}\n".to_owned(), "2: `1h` is not a leeway"),
        ("identity: {p: {jwt: {issuer: https://10.0.0.1, audience: a}}}\n".to_owned(), "2: `10.0.0.1` is in a private network"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, key_hosts: ['https://s.test']}}}\n".to_owned(), "2: `https://s.test` is not a host"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, key_hosts: [s.test:8443]}}}\n".to_owned(), "2: `s.test:8443` is not a host"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, refresh: 5s}}}\n".to_owned(), "2: `5s` is not a time between fetches"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, refresh: 1h, max_stale: 1h}}}\n".to_owned(), "2: `1h` is not a time to use keys for"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, jwks_file: keys.json, refresh: 1h}}}\n".to_owned(), "2: `refresh` says nothing here: the keys of this source are not fetched"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, token_cache: 1000001}}}\n".to_owned(), "2: 1000001 tokens are too many to remember"),
        (claims("groups: {claim: g, strip_prefix: /, regex: x, replace: y}"), "2: `strip_prefix` and `regex` both say what groups are called"),
        (claims("groups: {claim: g, regex: x}"), "2: `regex` does not say what groups are called then"),
        (claims("groups: [{claim: g, replace: x}]"), "2: `replace` says nothing without `regex`"),
        (claims("groups: [{claim: g, regex: '(', replace: x}]"), "2: `(` is not a regular expression: unclosed group"),
        (claims("groups: [{claim: g, strip_prefix: ''}]"), "2: every group begins with nothing"),
        (claims("groups: [{claim: g, other: keep}]"), "2: `other` says nothing without `strip_prefix` or `regex`"),
        (claims("groups: [{claim: g}]"), "2: nothing is made of these groups"),
        (claims("groups: [{claim: g..h, split: json}]"), "2: the claim path `g..h` has an empty step"),
        (claims("user: {claim: g..h}"), "2: the claim path `g..h` has an empty step"),
        (claims("email: {claim: mail, verified: v, trusted: true}"), "2: `verified` and `trusted` both say who vouches for the address"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, max_lifetime: 5s}}}\n".to_owned(), "2: `5s` is not a lifetime of a token"),
        ("identity: {p: {jwt: {issuer: https://s.test, audience: a, token: [bearer, {cookie: t}, bearer]}}}\n".to_owned(), "2: this token place is listed twice"),
        ("identity: {anonymous: {jwt: {issuer: https://s.test, audience: a}}}\n".to_owned(), "2: an identity source cannot be called `anonymous`"),
        ("identity: {a: {jwt: {issuer: https://s.test, audience: x}}, b: {jwt: {issuer: https://s.test, audience: y}}}\n".to_owned(), "2: sources `a` and `b` claim the same tokens: one issuer, one place"),
        (format!("{IDENTITY}hosts: {{h.test: {{login: /login, routes: [{{path: /, public: true}}]}}}}\n"), "3: a login URL is absolute: `https://…`"),
        (format!("{IDENTITY}hosts: {{h.test: {{on_unauthenticated: login, routes: [{{path: /, public: true}}]}}}}\n"), "3: host `h.test` has no `login` to send browsers to"),
    ] {
        let problems = problems(&text);
        assert!(problems.iter().any(|problem| problem == want), "{text}\nwanted {want}\ngot {problems:#?}");
    }
}

#[test]
fn a6_a_network_rule_that_nothing_can_feed_is_a_mistake() {
    let with = |client_ip: &str, rule: &str| {
        problems(&format!(
            "client_ip: {{{client_ip}}}\n{IDENTITY}hosts: {{h.test: {{routes: [{{path: /, {rule}}}]}}}}\n"
        ))
    };
    let open = "public: true";
    for (client_ip, rule, want) in [
        ("from: {header: X-Real-IP}", open, None),
        ("from: {header: CF-Connecting-IP}", "network: private, public: true", None),
        (
            "from: {header: X-Forwarded-For}",
            open,
            Some("2: `X-Forwarded-For` is read as the proxy's own statement and never stands alone"),
        ),
        ("from: {header: Host}", open, Some("2: `Host` is read as the proxy's own statement and never stands alone")),
        ("from: {header: Forwarded}", open, Some("2: `Forwarded` holds no single address")),
        ("from: {header: Cookie}", open, Some("2: `Cookie` holds no address")),
        ("from: {header: remote-user}", open, Some("2: `remote-user` is an identity header, and nobody may send one")),
        ("from: {header: X Real IP}", open, Some("2: `X Real IP` is not a header name")),
        ("from: forwarded", open, Some("2: without `trusted_hops` nobody's `Forwarded` is believed")),
        ("from: xff", open, Some("2: without `trusted_hops` the walk ends at the asking proxy's own peer")),
        (
            "from: dialect, trusted_hops: [10.0.0.0/8]",
            open,
            Some("2: `trusted_hops` says nothing here: only `from: xff` and `from: forwarded` walk over hops"),
        ),
        ("from: xff, trusted_hops: [10.0.0.0/8]", "network: 192.0.2.0/24, public: true", None),
        ("from: xff, trusted_hops: [10.0.0.0/8]", "network: private, public: true", None),
        (
            "from: xff, trusted_hops: [10.0.0.0/8]",
            "network: 10.1.0.0/16, public: true",
            Some("4: no client is ever in these networks: all of them are `trusted_hops`"),
        ),
        (
            "from: forwarded, trusted_hops: [private]",
            "require: {network: [10.0.0.0/8, '::1']}",
            Some("4: no client is ever in these networks: all of them are `trusted_hops`"),
        ),
        (
            "from: xff, trusted_hops: [private]",
            "public: true, deny: {network: private}",
            Some("4: no client is ever in these networks: all of them are `trusted_hops`"),
        ),
    ] {
        let found = with(client_ip, rule);
        assert_eq!(found, want.into_iter().collect::<Vec<_>>(), "{client_ip} / {rule}");
    }
}

#[test]
fn one_way_of_writing_groups_is_chosen() {
    let with = |defaults: &str| problems(&format!("defaults: {{{defaults}}}\n{}", routes("{path: /, public: true}")));
    for (defaults, want) in [
        ("groups: {format: json}", None),
        ("groups: {format: list, separator: '|'}, encode: {user: percent, name: rfc2047, groups: percent}", None),
        ("groups: {format: json, separator: '|'}", Some("2: `separator` says nothing here: JSON has its own")),
        (
            "groups: {format: json}, encode: {groups: percent}",
            Some("2: `encode.groups` says nothing here: JSON has its own escapes"),
        ),
    ] {
        assert_eq!(with(defaults), want.into_iter().collect::<Vec<_>>(), "{defaults}");
    }
}

#[test]
fn all_mistakes_are_said_at_once() {
    let text = "networks: {n: [x.x]}\nroles: {r: {includes: [q]}}\nhosts: {H.test: {routes: [{path: a}]}}\n";
    assert_eq!(
        problems(text),
        [
            "2: `x.x` is not an address or CIDR",
            "3: there is no role called `q`",
            "4: route `a` lets nobody in",
            "4: route `a` has no identity source",
            "4: a path pattern starts with `/`",
            "4: `H.test` is not written canonically; write `h.test`",
        ]
    );
}

#[test]
fn two_issuers_make_bare_names_an_error() {
    let with = |who: &str| {
        problems(&format!("{TWO}hosts: {{h.test: {{routes: [{{path: /, require: {{groups: [{who}]}}}}]}}}}\n"))
    };
    assert_eq!(with("people/ops"), Vec::<String>::new());
    assert_eq!(with("'*/ops'"), ["6: `*/ops` trusts every issuer with this name"]);
    assert_eq!(with("ops"), ["6: `ops` could come from any issuer: with two or more, say whose it is"]);
    assert_eq!(with("peeple/ops"), ["6: there is no identity source called `peeple`"]);
    // Beneath a `not`, a name that nobody has would let everybody in.
    assert_eq!(with("people/"), ["6: an empty name matches nobody"]);
    assert_eq!(with("'*/'"), ["6: an empty name matches nobody"]);
    let one = routes("{path: /, require: {groups: [a/b]}}");
    assert_eq!(problems(&one), Vec::<String>::new(), "with one issuer a slash is part of the name");
    let meant = routes("{path: /, require: {not: {users: [people/root]}}}");
    let (_, warnings) = built(&meant).expect("a good policy");
    let warned: Vec<&str> = warnings.0.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(warned, ["`people/root` is one whole name here: sources are named only among several issuers"]);
}

#[test]
fn j13_users_of_two_issuers_on_one_route_are_told_apart() {
    let with = |claims: &str, defaults: &str, identity: &str| {
        problems(&format!(
            "identity:\n  people: {{jwt: {{issuer: https://sso.test, audience: a}}}}\n  partners: {{jwt: {{issuer: https://p.test, audience: a{claims}}}}}\ndefaults: {{{defaults}}}\nhosts: {{h.test: {{identity: {identity}, routes: [{{path: /a, require: {{users: [people/u]}}}}, {{path: /**, require: {{authenticated: true}}}}]}}}}\n"
        ))
    };
    let says =
        "6: `people` and `partners` send their users upstream by the same names, and either could have an `admin`";
    let headers = "headers: {user: Remote-User}";
    let prefix = ", claims: {user: {claim: sub, prefix: 'partners:'}}";
    assert_eq!(with("", headers, "[people, partners]"), [says]);
    assert_eq!(with(prefix, headers, "[people, partners]"), Vec::<String>::new());
    assert_eq!(with("", headers, "[people]"), Vec::<String>::new());
    assert_eq!(with("", "headers: {email: Remote-Email}", "[people, partners]"), Vec::<String>::new());
}

#[test]
fn f3_a_public_default_may_not_open_what_a_host_protects() {
    let with = |default: &str, own: &str| {
        problems(&format!(
            "{IDENTITY}defaults: {{routes: [{{path: {default}, public: true}}]}}\nhosts: {{h.test: {{routes: [{{path: {own}, require: {{users: [u]}}}}]}}}}\n"
        ))
        .len()
    };
    assert_eq!(with("/healthz", "/**"), 0);
    assert_eq!(with("/healthz", "/other"), 0);
    assert_eq!(with("/static/**", "/static/secret"), 1);
    assert_eq!(with("/static/**", "/static/**"), 1);
    assert_eq!(with("/*/x", "/a/*"), 1);
    // Not one path but a whole family of them is taken out of the broader rule.
    assert_eq!(with("/api/**", "/**"), 1);
    assert_eq!(with("/api/*", "/api/**"), 1);
}

#[test]
fn f3_a_public_default_may_not_open_what_a_wildcard_host_protects() {
    for key in ["h.test", "'*.test'", "'**.test'"] {
        let text = format!(
            "{IDENTITY}defaults: {{routes: [{{path: /api/**, public: true}}]}}\nhosts: {{{key}: {{routes: [{{path: /**, require: {{users: [u]}}}}]}}}}\n"
        );
        let found = problems(&text);
        assert!(found.len() == 1 && found[0].contains("opens a part of"), "{key}: {found:?}");
    }
}

#[test]
fn patterns_that_differ_only_in_case_are_warned_of() {
    let with = |host: &str, routes: &str| {
        let text = format!("{IDENTITY}hosts: {{h.test: {{{host}routes: [{routes}]}}}}\n");
        let (_, warnings) = built(&text).expect("a good policy");
        warnings.0.iter().filter(|problem| problem.message.contains("only in case")).count()
    };
    let both = "{path: /Admin/**, require: {users: [u]}}, {path: /admin/**, require: {users: [v]}}";
    assert_eq!(with("", both), 1);
    assert_eq!(with("path_case: sensitive, ", both), 0);
    assert_eq!(with("", "{path: /Admin/**, require: {users: [u]}}, {path: /admin, require: {users: [v]}}"), 0);
    assert_eq!(with("", "{path: /a, methods: [GET], require: {users: [u]}}, {path: /a, require: {users: [v]}}"), 0);
}

#[test]
fn scopes_and_token_places_that_cannot_be_are_refused() {
    for (scope, good) in [("read", true), ("'a:b/c'", true), ("''", false), ("'a b'", false), ("\"a\\tb\"", false)] {
        let found = problems(&routes(&format!("{{path: /, require: {{scopes: [{scope}]}}}}")));
        assert_eq!(found.is_empty(), good, "{scope}: {found:?}");
    }
    for (place, good) in [
        ("bearer", true),
        ("{header: X-Token}", true),
        ("{cookie: __Host-token}", true),
        ("{header: Authorization}", false),
        ("{header: cookie}", false),
        ("{cookie: authorization}", true),
        ("{header: 'x y'}", false),
        ("{header: ''}", false),
        ("{header: 'x:'}", false),
        ("{cookie: ''}", false),
        ("{cookie: 'a=b'}", false),
        ("{cookie: 'a;b'}", false),
    ] {
        let jwt = IDENTITY.replacen("audience:", &format!("token: [{place}], audience:"), 1);
        assert_ne!(jwt, IDENTITY);
        let found = problems(&routes("{path: /, require: {users: [u]}}").replacen(IDENTITY, &jwt, 1));
        assert_eq!(found.is_empty(), good, "{place}: {found:?}");
    }
}

#[test]
fn roles_gather_everything_that_includes_them() {
    let text = format!(
        "{IDENTITY}roles: {{reader: {{groups: [staff]}}, editor: {{groups: [writers], includes: reader}}, admin: {{users: [root], includes: editor}}}}\nhosts: {{h.test: {{routes: [{{path: /, require: {{roles: reader}}}}]}}}}\n"
    );
    let (snapshot, _) = built(&text).expect("a good policy");
    let block = snapshot.policy.hosts.find("h.test", None).expect("a host");
    let route = block.routes.iter().next().expect("a route");
    let crate::policy::route::Access::Require(requirement) = &route.access else { panic!("not public") };
    let mut roles = Vec::new();
    requirement.conditions(&mut |condition, _| {
        if let crate::policy::condition::Condition::Roles(named) = condition {
            roles.extend(named.iter().map(|role| format!("{} {} {}", role.name, role.groups, role.users)));
        }
    });
    assert_eq!(roles, ["reader [staff, writers] [root]"]);
}

#[test]
fn defaults_are_the_safe_ones() {
    let (snapshot, _) = built(&routes("{path: /, require: {users: [u]}}")).expect("a good policy");
    assert_eq!(snapshot.policy.address, AddressRule::Dialect);
    assert_eq!(snapshot.policy.spoof.mode(), SpoofMode::Refuse);
    assert!(snapshot.callers.admit(Caller::Unix));
    assert!(!snapshot.callers.admit(Caller::Address("192.0.2.1".parse().expect("address"))));
    assert_eq!(snapshot.listen.grpc.as_ref().map(ToString::to_string).as_deref(), Some("127.0.0.1:9191"));
    assert!(snapshot.insecure.is_empty());
}

#[test]
fn a_variable_fills_a_network() {
    let text = format!(
        "{IDENTITY}networks: {{n: {{env: OFFICE}}}}\nhosts: {{h.test: {{network: n, routes: [{{path: /, public: true}}]}}}}\n"
    );
    let (snapshot, _) = built(&text).expect("a good policy");
    let block = snapshot.policy.hosts.find("h.test", None).expect("a host");
    let route = block.routes.iter().next().expect("a route");
    let [Gate { rule: GateRule::Within(networks), .. }] = &*route.gates else { panic!("one gate") };
    for (address, inside) in [("198.51.100.200", true), ("192.0.2.7", true), ("10.0.0.1", false)] {
        assert_eq!(networks.set.contains(address.parse().expect(address)), inside, "{address}");
    }
}

#[test]
fn weakening_switches_are_listed() {
    let text = "insecure_any_caller: true\ncallers: [0.0.0.0/0]\nspoof_guard: insecure_report\nclient_ip: {insecure_any_hop: true}\nidentity: {p: {jwt: {issuer: http://127.0.0.1:1, audience: a, insecure_http: true, key_hosts: 127.0.0.1, insecure_bound_tokens: true}}}\n";
    let (snapshot, _) = built(text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(
        snapshot.insecure,
        [
            "insecure_any_caller",
            "client_ip.insecure_any_hop",
            "spoof_guard: insecure_report",
            "identity.p.jwt.insecure_http",
            "identity.p.jwt.insecure_bound_tokens"
        ]
    );
}

#[test]
fn issuers_without_keys_are_obstacles() {
    let text = "identity:\n  people: {jwt: {issuer: https://sso.test, audience: app}}\n  robots: {jwt: {issuer: https://m.test, audience: app, secret: {file: key.txt}, algorithms: [HS256]}}\n";
    let world = world().file("p/policy.yaml", format!("version: 1\n{text}...\n"));
    let loaded = load(Path::new("p/policy.yaml"), &world).expect("a policy");
    let (snapshot, _) = build(&loaded, &world).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(snapshot.obstacles(Timestamp::UNIX_EPOCH), ["identity source `people` has no keys of https://sso.test"]);
    let keys: Vec<(Arc<str>, usize)> =
        snapshot.key_statuses().into_iter().map(|keys| (keys.source, keys.keys)).collect();
    assert_eq!(keys, [("people".into(), 0), ("robots".into(), 1)]);
}
