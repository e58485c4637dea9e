//! A1–A7: the client's address.

use super::Ask;
use super::House;
use super::get;
use super::problems;

/// `/office` is for the office, `/away` for everybody else.
fn house(client_ip: &str) -> House {
    House::with(&format!(
        "{client_ip}networks: {{office: [198.51.100.0/24, 10.0.0.8, \"2001:db8::/32\"]}}\nhosts:\n  app.test:\n    routes:\n      - {{path: /office, network: office, public: true}}\n      - {{path: /away, public: true, deny: {{network: office}}}}\n      - {{path: /not, identity: [people, anonymous], require: {{not: {{network: office}}}}}}\n"
    ))
}

const FORWARDED: &str = "client_ip: {from: forwarded, trusted_hops: [192.0.2.0/24]}\n";

/// Is the client in the office, somewhere else, or nobody knows where? Every dialect must say the same.
#[track_caller]
fn place(house: &House, ask: impl Fn(&str) -> Ask) -> &'static str {
    let allowed = |target: &str| house.answer(&ask(target)).status == 200;
    match (allowed("/office"), allowed("/away"), allowed("/not")) {
        (true, false, false) => "office",
        (false, true, true) => "away",
        (false, false, false) => "unknown",
        other => panic!("{other:?}"),
    }
}

#[test]
fn a1_forwarding_headers_are_believed_of_nobody_unless_configured() {
    let house = house("");
    for name in [
        "X-Forwarded-For",
        "X-Real-IP",
        "Forwarded",
        "X-Client-IP",
        "True-Client-IP",
        "CF-Connecting-IP",
        "X-Envoy-External-Address",
        "X-Cluster-Client-IP",
    ] {
        let value = if name == "Forwarded" { "for=198.51.100.7" } else { "198.51.100.7" };
        assert_eq!(place(&house, |target| get(target).header(name, value)), "away", "{name}");
        assert_eq!(
            place(&house, |target| get(target).from("198.51.100.7").header(name, "192.0.2.1")),
            "office",
            "{name}"
        );
    }
    // The proxy's own peer is no trusted hop: what it forwards is its own story.
    let house = self::house(FORWARDED);
    assert_eq!(place(&house, |target| get(target).from("203.0.113.9").header("Forwarded", "for=198.51.100.7")), "away");
}

#[test]
fn a2_the_first_untrusted_element_from_the_right_counts() {
    let house = house(FORWARDED);
    for (forwarded, want) in [
        (vec!["for=198.51.100.7"], "office"),
        (vec!["for=198.51.100.7, for=203.0.113.9"], "away"),
        (vec!["for=203.0.113.9, for=198.51.100.7, for=192.0.2.20"], "office"),
        (vec!["for=203.0.113.9", "for=198.51.100.7"], "office"),
        (vec!["garbage, for=198.51.100.7"], "office"),
        (vec!["for=\"[2001:db8::7]:443\";proto=https"], "office"),
        (vec!["for=198.51.100.7, garbage"], "unknown"),
        (vec!["for=198.51.100.7, for=unknown"], "unknown"),
        (vec!["for=198.51.100.7, for=_hidden"], "unknown"),
        (vec!["for=198.51.100.7, "], "unknown"),
        (vec!["for=203.0.113.9;x=\", for=198.51.100.7"], "unknown"),
        (vec!["for=192.0.2.20"], "unknown"),
        (vec![], "unknown"),
    ] {
        let ask = |target: &str| forwarded.iter().fold(get(target), |ask, line| ask.header("Forwarded", line));
        assert_eq!(place(&house, ask), want, "{forwarded:?}");
    }
}

#[test]
fn a3_mapped_addresses_are_the_addresses_they_map() {
    for (address, want) in [
        ("10.0.0.8", "office"),
        ("::ffff:10.0.0.8", "office"),
        ("::FFFF:a00:8", "office"),
        ("::ffff:198.51.100.7", "office"),
        ("10.0.0.9", "away"),
        ("::ffff:10.0.0.9", "away"),
        ("2001:DB8:0::7", "office"),
    ] {
        assert_eq!(place(&house(""), |target| get(target).from(address)), want, "{address}");
    }
    assert_eq!(
        place(&house(FORWARDED), |target| get(target).header("Forwarded", "for=\"[::ffff:10.0.0.8]\"")),
        "office"
    );
}

#[test]
fn a4_odd_spellings_are_no_addresses() {
    let house = house("");
    for address in [
        "0306.063.0144.07",
        "0xc6336407",
        "3325256711",
        "198.51.25607",
        "198.051.100.007",
        "fe80::1%eth0",
        "2001:db8::1%1",
        "198.51.100.7/24",
        "198.51.100.7.",
        "[198.51.100.7]",
        "localhost",
        "unknown",
        "198.51.100.7 x",
    ] {
        assert_eq!(place(&house, |target| get(target).from(address)), "unknown", "{address}");
    }
    for address in ["198.51.100.7:4711", "[2001:db8::1]:4711", "[2001:db8::1]"] {
        assert_eq!(place(&house, |target| get(target).from(address)), "office", "{address}");
    }
}

#[test]
fn a5_everybody_is_no_trusted_hop_and_no_caller() {
    for (text, want) in [
        (
            "client_ip: {from: xff, trusted_hops: [0.0.0.0/0]}\n",
            "every address is a trusted hop: clients can then state any address they like",
        ),
        (
            "client_ip: {from: forwarded, trusted_hops: ['::/1', '8000::/1']}\n",
            "every address is a trusted hop: clients can then state any address they like",
        ),
        ("callers: [0.0.0.0/0]\n", "everyone may ask: anybody who reaches the port can learn and probe the policy"),
        ("callers: [unix, '::/0']\n", "everyone may ask: anybody who reaches the port can learn and probe the policy"),
    ] {
        assert!(problems(text).iter().any(|problem| problem == want), "{text}: {:?}", problems(text));
    }
    assert_eq!(problems("insecure_any_caller: true\ncallers: [0.0.0.0/0]\n"), Vec::<String>::new());
    let hops = "client_ip: {from: xff, trusted_hops: [0.0.0.0/0], insecure_any_hop: true}\n";
    assert_eq!(problems(hops), Vec::<String>::new());
}

#[test]
fn a6_an_unknown_address_opens_nothing_and_closes_every_deny() {
    for client_ip in ["client_ip: {from: {header: X-Real-Address}}\n", FORWARDED] {
        assert_eq!(place(&house(client_ip), get), "unknown", "{client_ip}");
    }
    let header = house("client_ip: {from: {header: X-Real-Address}}\n");
    let say = |address: &'static str| move |target: &str| get(target).header("X-Real-Address", address);
    assert_eq!(place(&header, say("198.51.100.7")), "office");
    assert_eq!(place(&header, say("203.0.113.7")), "away");
    assert_eq!(place(&header, say("198.51.100.7, 203.0.113.7")), "unknown");
    assert_eq!(
        place(&header, |target| say("198.51.100.7")(target).header("X-Real-Address", "198.51.100.7")),
        "unknown"
    );
}

#[test]
fn a7_the_policy_says_whose_word_the_address_is() {
    // Envoy's own word is its peer; a client's list in front of it is only read where hops are trusted.
    let xff = house("client_ip: {from: xff, trusted_hops: [192.0.2.0/24]}\n");
    for (way, answer) in xff.answers(&get("/office")) {
        // As asked here, a list with 198.51.100.7 in front of the peer comes from Envoy over gRPC alone.
        assert_eq!(answer.status == 200, way.contains("gRPC"), "{way}: {answer:?}");
    }
    for (way, answer) in house("").answers(&get("/office")) {
        assert_eq!(answer.status, 403, "{way}: {answer:?}");
    }
}
