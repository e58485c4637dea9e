use super::*;
use crate::config::tree::AddressSource;
use crate::config::tree::Network;
use crate::config::tree::Scalar;
use crate::config::tree::TokenPlace;

fn try_read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Vec<String>> {
    let name = Arc::from("f");
    let parsed = crate::config::yaml::parse(0, &name, text);
    assert_eq!(parsed.problems, [], "{text}");
    read_as(&parsed.root.expect("a tree"), &[name]).finished().map_err(|problems: Vec<Problem>| {
        problems
            .into_iter()
            .map(|problem| {
                let place = problem.place.map(|place| format!("{}:{}", place.line, place.column)).unwrap_or_default();
                let help = problem.help.map(|help| format!(" ({help})")).unwrap_or_default();
                format!("{place} {}{help}", problem.message)
            })
            .collect()
    })
}

fn mistakes(text: &str) -> Vec<String> {
    try_read::<Config>(text).err().unwrap_or_default()
}

#[test]
fn places_come_with_values() {
    let config: Config = try_read("version: 1\nhosts:\n  a.test:\n    routes:\n    - path: /x\n").expect("a policy");
    let (host, block) = config.hosts.iter().next().expect("a host");
    assert_eq!((host.value.as_str(), host.place.line, host.place.column), ("a.test", 3, 3));
    let route = &block.routes[0];
    assert_eq!((route.place.line, route.place.column, &*route.place.file), (5, 7, "f"));
    let path = route.path.as_ref().expect("a path");
    assert_eq!((path.value.as_str(), path.place.span), ("/x", (52, 54)));
}

#[test]
fn one_value_stands_for_a_list_of_one() {
    let text = "version: 1\nroles: {a: {groups: ops}, b: {groups: [x, 007], users: 123}}\n";
    let config: Config = try_read(text).expect("a policy");
    let lists: Vec<Vec<&str>> = config
        .roles
        .iter()
        .flat_map(|(_, role)| [&role.groups, &role.users])
        .flatten()
        .map(|list| list.iter().map(|at| at.value.as_str()).collect())
        .collect();
    assert_eq!(lists, [vec!["ops"], vec!["x", "007"], vec!["123"]]);
}

#[test]
fn shapes_choose_the_variant() {
    for (text, want) in [
        ("a", Scalar::Text("a".to_owned())),
        ("\"true\"", Scalar::Text("true".to_owned())),
        ("true", Scalar::Bool(true)),
        ("-1.5", Scalar::Number(-1.5)),
        ("'1'", Scalar::Text("1".to_owned())),
        ("1.2.3", Scalar::Text("1.2.3".to_owned())),
    ] {
        assert_eq!(try_read::<Scalar>(text), Ok(want), "{text}");
    }
    for (text, want) in [
        (
            "yes",
            "1:1 `yes` could be text or something else (write `\"yes\"` for the text; truth values are `true` and `false`, numbers are decimal)",
        ),
        ("[a]", "1:1 expected text or a number or `true` or `false`, found a list"),
        ("~", "1:1 expected text or a number or `true` or `false`, found nothing (write a value, or remove the key)"),
        ("9007199254740993", "1:1 expected a number that is not too large to be exact, found `9007199254740993`"),
    ] {
        assert_eq!(try_read::<Scalar>(text), Err(vec![want.to_owned()]), "{text}");
    }
    for (text, want) in [
        ("10.0.0.0/8", "List 1"),
        ("[10.0.0.0/8, \"::1\"]", "List 2"),
        ("{env: X, default: private}", "Env X 1"),
        ("{env: 5}", "Env 5 0"),
    ] {
        let network = try_read::<Network>(text).map(|network| match network {
            Network::List(list) => format!("List {}", list.len()),
            Network::Env(env) => format!("Env {} {}", *env.env, env.default.map_or(0, |list| list.len())),
        });
        assert_eq!(network, Ok(want.to_owned()), "{text}");
    }
    assert_eq!(try_read::<Network>("{default: x}").map(|_| ()), Err(vec!["1:1 the key `env` is missing".to_owned()]));
}

#[test]
fn choices_are_words_or_single_entries() {
    assert_eq!(try_read("dialect"), Ok(AddressSource::Dialect));
    assert_eq!(try_read("{header: X-Real-IP}"), Ok(AddressSource::Header("X-Real-IP".to_owned())));
    assert_eq!(try_read("[bearer, {cookie: a}]"), Ok(vec![TokenPlace::Bearer, TokenPlace::Cookie("a".to_owned())]));
    for (text, want) in [
        ("header", "1:1 `header` needs a value (write `{header: …}`)"),
        ("{xff: 1}", "1:7 `xff` takes no value (write only `xff`)"),
        (
            "dialct",
            "1:1 expected one of `dialect`, `xff`, `forwarded`, `header`, found `dialct` (did you mean `dialect`?)",
        ),
        ("{heder: x}", "1:2 unknown key `heder` (did you mean `header`?)"),
        (
            "{header: x, xff: y}",
            "1:1 expected one of `dialect`, `xff`, `forwarded`, `header`, found a mapping (write exactly one of them)",
        ),
        ("{header: x, xtra: y}", "1:13 unknown key `xtra` (known here: `dialect`, `xff`, `forwarded`, `header`)"),
        ("{header: [x]}", "1:10 expected text, found a list"),
        ("[xff]", "1:1 expected one of `dialect`, `xff`, `forwarded`, `header`, found a list"),
    ] {
        assert_eq!(try_read::<AddressSource>(text), Err(vec![want.to_owned()]), "{text}");
    }
}

#[test]
fn every_mistake_is_found_once() {
    let text = "\
version: 1
lissen: {}
insecure_any_caller: yes
callers: unix
client_ip: {trusted_hops: []}
spoof_guard: refuze
identity:
  a: {jwt: {audience: }}
  b: {jwt: {issuer: x}, jvt: 1}
  c: text
roles:
networks: {office: }
defaults:
  routes:
    - {methods: GET}
    - /x
    - {path: [a], public: \"true\", require: {}}
  groups: {max_bytes: -1}
hosts:
  w.test:
    routes:
      - {path: /a, require: {any: [{groups: []}, {}], not: {authenticated: 1, claims: {a: , b: [1, yes]}}}}
";
    assert_eq!(
        mistakes(text),
        [
            "2:1 unknown key `lissen` (did you mean `listen`?)",
            "2:9 this mapping is empty (write what belongs in it, or remove the key)",
            "3:22 expected `true` or `false`, found `yes`",
            "4:10 expected a list, found `unix` (write `[unix]`)",
            "5:27 this list is empty (write what belongs in it, or remove the key)",
            "6:14 expected one of `refuse`, `strip`, `insecure_report`, found `refuze` (did you mean `refuse`?)",
            "8:13 expected a value or a list, found nothing (write a value, or remove the key)",
            "8:12 the key `issuer` is missing",
            "9:12 the key `audience` is missing",
            "9:25 unknown key `jvt` (did you mean `jwt`?)",
            "10:6 expected a mapping, found `text`",
            "11:1 expected a mapping, found nothing (write a value, or remove the key)",
            "12:12 expected a list or a mapping, found nothing (write a value, or remove the key)",
            "16:7 expected a mapping, found `/x`",
            "17:14 expected text, found a list",
            "17:27 expected `true` or `false`, found the text `true` (remove the quotes)",
            "17:44 this mapping is empty (write `authenticated: true` to let every identified caller pass)",
            "18:23 expected a whole number from 0 to 4294967295, found `-1`",
            "22:45 this list is empty (write what belongs in it, or remove the key)",
            "22:50 this mapping is empty (write `authenticated: true` to let every identified caller pass)",
            "22:76 expected `true` or `false`, found `1`",
            "22:88 expected a value or a list, found nothing (write a value, or remove the key)",
            "22:100 `yes` could be text or something else (write `\"yes\"` for the text; truth values are `true` and `false`, numbers are decimal)",
        ]
    );
}

#[test]
fn several_missing_keys_are_found_together() {
    assert_eq!(
        mistakes("identity: {a: {jwt: {leeway: 1s}}, b: {jwt: {leeway: 1s, issur: x}}}\n"),
        [
            "1:21 the key `issuer` is missing",
            "1:21 the key `audience` is missing",
            "1:58 unknown key `issur` (did you mean `issuer`?)",
            "1:45 the key `audience` is missing",
            "1:1 the key `version` is missing (write `version: 1`)",
        ]
    );
}

#[test]
fn a_slip_is_read_as_what_was_meant() {
    let read_all = |text: &str| {
        let name: Arc<str> = Arc::from("f");
        let parsed = crate::config::yaml::parse(0, &name, text);
        read(&parsed.root.expect("a tree"), &[name])
    };
    let text = "version: 1\nclient_ip: {fron: {heder: X-Ip}}\nspoof_guard: stripp\nhosts: {h: {routes: [{paht: /a, pth: /b}]}}\n";
    let reading = read_all(text);
    assert_eq!(reading.mistakes.len(), 5, "{reading:#?}");
    let config = reading.value.expect("a draft");
    let from = config.client_ip.from.map(|from| from.value);
    assert_eq!(from, Some(AddressSource::Header("X-Ip".to_owned())));
    assert_eq!(config.spoof_guard.map(|mode| mode.value), Some(crate::config::tree::SpoofGuard::Strip));
    let path = config.hosts.0[0].1.routes[0].path.as_ref().map(|path| path.as_str());
    assert_eq!(path, Some("/a"), "the second slip finds the key taken");
}

#[test]
fn the_version_comes_first() {
    let read_all = |text: &str| {
        let name: Arc<str> = Arc::from("f");
        let parsed = crate::config::yaml::parse(0, &name, text);
        let outcome = read(&parsed.root.expect("a tree"), &[name]);
        outcome.finished().err().unwrap_or_default().into_iter().map(|problem| problem.message).collect::<Vec<_>>()
    };
    assert_eq!(read_all("version: 2\nnew: 1\n"), ["version 2 of the policy language is not known"]);
    assert_eq!(read_all("version: 1.0\n"), ["version 1.0 of the policy language is not known"]);
    assert_eq!(read_all(""), ["there is no policy in this file"]);
    assert_eq!(read_all("- a\n"), ["expected a mapping, found a list"]);
    assert_eq!(read_all("version: \"1\"\n"), ["expected a whole number from 0 to 4294967295, found the text `1`"]);
    assert_eq!(read_all("version: 1\n"), [] as [&str; 0]);
}

#[test]
fn problems_are_bounded() {
    let mut text = "version: 1\ndefaults:\n  routes:\n".to_owned();
    for n in 0..5_000 {
        text.push_str(&format!("    - {{paht: /{n}}}\n"));
    }
    let mistakes = mistakes(&text);
    assert_eq!(mistakes.len(), MAX_PROBLEMS + 1);
    assert_eq!(mistakes.last().map(String::as_str), Some(" there are more mistakes than these 200"));
}

#[test]
fn f6_a_secret_in_place_of_its_name_is_not_repeated() {
    for text in ["hunter2", "'hunter2'", "[hunter2]"] {
        let policy = format!("{{version: 1, listen: {{tls: {{certificate: a, key: {text}}}}}}}");
        let Err(problems) = inline::<Config>("-", &policy) else { panic!("{text} was taken") };
        let said = &problems.0[0].message;
        assert!(!said.contains("hunter2"), "{said}");
    }
}
