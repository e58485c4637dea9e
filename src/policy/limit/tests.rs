use super::*;

#[test]
fn a_method_costs_what_is_written_and_head_what_get_does() {
    let costs = Costs(vec![("GET".into(), 2), ("POST".into(), 5), ("OPTIONS".into(), 0)]);
    for (method, want) in [("GET", 2), ("HEAD", 2), ("POST", 5), ("OPTIONS", 0), ("PUT", 1), ("get", 1)] {
        assert_eq!(costs.of(method), want, "{method}");
    }
    assert_eq!(Costs(vec![("GET".into(), 2), ("HEAD".into(), 1)]).of("HEAD"), 1);
}

#[test]
fn r3_an_address_is_one_client_whatever_its_form() {
    let of = |text: &str, ipv6_prefix| {
        let address = ClientAddress::Known(text.parse().expect("an address"));
        Limits { ipv6_prefix, ..Limits::default() }.address(address)
    };
    for (one, other, prefix, same) in [
        ("192.0.2.1", "::ffff:192.0.2.1", 64, true),
        ("192.0.2.1", "192.0.2.2", 64, false),
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", 64, true),
        ("2001:db8::1", "2001:db8:0:1::1", 64, false),
        ("2001:db8::1", "2001:db8:0:ff::1", 56, true),
        ("2001:db8::1", "2001:db8:0:100::1", 56, false),
        ("2001:db8::1", "2001:db8::2", 128, false),
        // Nobody's IPv6 network is somebody's IPv4 address.
        ("::ffff:0:0", "0.0.0.0", 32, true),
        ("::1", "0.0.0.1", 64, false),
    ] {
        assert_eq!(of(one, prefix) == of(other, prefix), same, "{one} {other} /{prefix}");
    }
    let unknown = [ClientAddress::Missing, ClientAddress::Malformed, ClientAddress::AllTrusted];
    assert!(unknown.iter().all(|address| Limits::default().address(*address) == Who::UnknownAddress));
}
