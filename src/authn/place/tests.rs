use super::*;

fn find(place: &TokenPlace, fields: &[(&'static str, &'static str)], joined: bool) -> Found<'static> {
    let mut headers = Headers::new(joined);
    for (name, value) in fields {
        headers.push(name, value.as_bytes());
    }
    place.find(&headers)
}

#[test]
fn a_bearer_token_has_one_grammar() {
    for (value, want) in [
        ("Bearer abc", Found::One("abc")),
        ("bearer abc", Found::One("abc")),
        ("BEARER abc", Found::One("abc")),
        ("Bearer   abc", Found::One("abc")),
        (" Bearer abc ", Found::One("abc")),
        ("Bearer a.b-c_d~e+f/g==", Found::One("a.b-c_d~e+f/g==")),
        ("", Found::Nothing),
        ("Basic YWxpY2U6cHc=", Found::Nothing),
        ("Negotiate abc", Found::Nothing),
        ("Digest username=\"a\", realm=\"b\"", Found::Nothing),
        ("BearerX abc", Found::Nothing),
        ("Bearerabc", Found::Nothing),
        ("abc", Found::Nothing),
        ("Bearer", Found::BadBearer),
        ("Bearer ", Found::BadBearer),
        ("Bearer ==", Found::BadBearer),
        ("Bearer a b", Found::BadBearer),
        ("Bearer\tabc", Found::BadBearer),
        ("Bearer a=b", Found::BadBearer),
        ("Bearer a,b", Found::BadBearer),
        // Envoy joins two fields so, whatever it does with others.
        ("Bearer a, Bearer b", Found::Many),
        ("Basic a,Bearer b", Found::Many),
        ("Bearer \"a\"", Found::BadBearer),
        ("Bearer é", Found::BadBearer),
        ("Bearer a\0", Found::BadBearer),
    ] {
        assert_eq!(find(&TokenPlace::Bearer, &[("authorization", value)], false), want, "{value:?}");
    }
}

#[test]
fn a_bearer_token_has_these_octets_and_no_others() {
    for octet in 0..=u8::MAX {
        let fits = octet.is_ascii_alphanumeric() || b"-._~+/".contains(&octet);
        assert_eq!(is_token68_octet(octet), fits, "{octet:#x}");
    }
}

#[test]
fn j19_two_authorization_fields_are_seen_joined_or_not() {
    let bearer = TokenPlace::Bearer;
    for values in [["Bearer a", "Bearer b"], ["Bearer a", "Basic b"], ["Basic a", "Basic b"], ["Bearer a", "Bearer a"]]
    {
        let fields = values.map(|value| ("Authorization", value));
        assert_eq!(find(&bearer, &fields, false), Found::Many, "{values:?}");
    }
    for (value, want) in [
        ("Bearer a,Bearer b", Found::Many),
        ("Bearer a, bearer b", Found::Many),
        ("Basic a,Bearer b", Found::Many),
        ("Bearer a,Basic b", Found::Many),
        ("Bearer,Bearer", Found::Many),
        ("Bearer a", Found::One("a")),
        ("Digest username=\"a\", realm=\"b\"", Found::Nothing),
    ] {
        assert_eq!(find(&bearer, &[("authorization", value)], true), want, "{value}");
    }
}

#[test]
fn a_header_holds_one_value() {
    let place = TokenPlace::Header("x-token".into());
    for (fields, joined, want) in [
        (&[("X-Token", "abc")][..], false, Found::One("abc")),
        (&[("x-other", "abc")], false, Found::Nothing),
        (&[("x-token", "")], false, Found::Nothing),
        (&[("x-token", "a"), ("X-TOKEN", "b")], false, Found::Many),
        (&[("x-token", "a,b")], false, Found::One("a,b")),
        (&[("x-token", "a,b")], true, Found::Many),
    ] {
        assert_eq!(find(&place, fields, joined), want, "{fields:?} {joined}");
    }
}

#[test]
fn j19_a_cookie_stands_once() {
    let place = TokenPlace::Cookie("t".into());
    for (fields, joined, want) in [
        (&[("cookie", "t=abc")][..], false, Found::One("abc")),
        (&[("cookie", "a=1; t=abc; b=2")], false, Found::One("abc")),
        (&[("cookie", "a=1;t=abc;b")], false, Found::One("abc")),
        (&[("cookie", "a=1"), ("cookie", "t=abc")], false, Found::One("abc")),
        (&[("cookie", "t=a=b")], false, Found::One("a=b")),
        (&[("cookie", "T=abc; tt=1; xt=2; t")], false, Found::Nothing),
        (&[("cookie", "t=")], false, Found::Nothing),
        (&[("cookie", "a=t=abc")], false, Found::Nothing),
        (&[("cookie", "t=a; t=b")], false, Found::Many),
        (&[("cookie", "t=a; t=a")], false, Found::Many),
        (&[("cookie", "t=a;t =b")], false, Found::Many),
        (&[("cookie", "t=; t=b")], false, Found::Many),
        (&[("cookie", "t=a"), ("cookie", "t=b")], false, Found::Many),
        (&[("cookie", "a=1,t=b")], false, Found::Nothing),
        (&[("cookie", "a=1,t=b")], true, Found::One("b")),
        (&[("cookie", "t=a,t=b")], true, Found::Many),
        (&[("cookie", "t=a; b=1,b=2; t=c")], true, Found::Many),
        (&[("cookie", "t=a; b=1,c=2")], true, Found::One("a")),
    ] {
        assert_eq!(find(&place, fields, joined), want, "{fields:?} {joined}");
    }
}

#[test]
fn a_basic_credential_stands_alone() {
    for (value, joined, want) in [
        ("Basic YTpi", false, Found::One("YTpi")),
        ("basic YTpi", false, Found::One("YTpi")),
        ("Basic", false, Found::One("")),
        ("Basic  a b", false, Found::One("a b")),
        ("Bearer abc", false, Found::Nothing),
        ("BasicX YTpi", false, Found::Nothing),
        ("Digest username=\"a\", realm=\"b\"", false, Found::Nothing),
        ("Basic YTpi, Basic YTpi", false, Found::Many),
        ("Basic YTpi,Bearer b", false, Found::Many),
        ("Bearer b,Basic YTpi", false, Found::Many),
        ("Basic a,b", true, Found::Many),
    ] {
        assert_eq!(find(&TokenPlace::Basic, &[("authorization", value)], joined), want, "{value:?}");
    }
    let two = [("authorization", "Basic YTpi"), ("authorization", "Bearer b")];
    assert_eq!(find(&TokenPlace::Basic, &two, false), Found::Many);
}
