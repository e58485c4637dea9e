use proptest::prelude::*;

use super::*;

mod oracle;

fn read(text: &str) -> Result<Value, String> {
    parse_object(text.as_bytes()).map(Value::Object).map_err(|error| error.to_string())
}

#[test]
fn sound_objects_are_read_as_serde_json_reads_them() {
    for text in [
        "{}",
        " {\"a\":1} ",
        "\t{\r\n\"a\" : [ 1 , 2 ] , \"b\" : { } , \"c\" : [ ] }\n",
        r#"{"a":[1,-2,3.5,1e3,true,false,null,"x"],"b":{"c":{}},"\u0064":"\ud83d\ude00"}"#,
        r#"{"big":18446744073709551615,"float":1.0,"low":-9223372036854775808,"lower":-9223372036854775809}"#,
        r#"{"zero":0,"less":-0,"18":999999999999999999,"19":9999999999999999999,"20":18446744073709551616}"#,
        r#"{"e":1e-400,"f":0.1e+2,"g":1E3}"#,
        r#"{"":"","long name with é and 😀":"seven\\","quote":"\"","eight":"12345678","nine":"12345678\""}"#,
        "{\"a\":\"\u{7f}\u{80}\u{a2}\u{dc}\u{10ffff}\"}",
    ] {
        assert_eq!(read(text), Ok(serde_json::from_str(text).expect("json")), "{text}");
    }
}

#[test]
fn j7_doubles_are_refused_at_every_level_escapes_included() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"iss":"x","\u0069ss":"y"}"#,
        r#"{"b":{"a":1,"a":2}}"#,
        r#"{"b":[{"a":1,"\u0061":2}]}"#,
        r#"{"":1,"":1}"#,
    ] {
        assert!(read(text).is_err_and(|error| error.contains("stands twice")), "{text}");
    }
    let error = read(r#"{"a":1, "a":2}"#);
    assert_eq!(error, Err("is not sound JSON: the member \"a\" stands twice at octet 14".to_owned()));
}

#[test]
fn anything_but_one_object_is_refused() {
    for text in
        ["", " ", "1", "[]", "\"a\"", "null", "{} {}", "{}x", "{\"a\":1,}", "{\"a\":1e999}", "{'a':1}", "\u{feff}{}"]
    {
        assert!(read(text).is_err(), "{text}");
    }
    for text in [
        "{",
        "}",
        "{{",
        "{]",
        "{,}",
        "{a:1}",
        "{1:1}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\"1}",
        "{\"a\":1 \"b\":1}",
        "{\"a",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1 2]}",
        "{\"a\":[1}",
        "{\"a\":[1}]",
        "{\"a\":[",
        "{\"a\":1",
        "{}\0",
        "{\"a\":tru}",
        "{\"a\":True}",
        "{\"a\":nullx}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{/**/}",
        "{}//",
        "{\u{a0}}",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    assert!(parse_object(b"{\"a\":\"\xff\"}").is_err());
    assert!(parse_object(b"{\"a\":\"\xed\xa0\x80\"}").is_err(), "a surrogate in UTF-8");
    assert!(parse_object(b"{\"\xc3\":1}").is_err());
}

#[test]
fn texts_that_are_none_are_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud800\u0061""#,
        r#""\x""#,
        r#""\u12""#,
        r#""\u12g4""#,
        r#""\"#,
        r#""\""#,
        "\"\n\"",
        "\"12345678\t\"",
        "\"\0\"",
        "\"\\\n\"",
        "\"\\n\n\"",
        "\"\\é\"",
        r#"""""#,
        r#"'a'"#,
    ] {
        let object = format!("{{\"a\":{text}}}");
        assert!(read(&object).is_err(), "{object}");
        let object = format!("{{{text}:1}}");
        assert!(read(&object).is_err(), "{object}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    for number in [
        "01",
        "00",
        "-",
        "+1",
        "1.",
        ".1",
        "1e",
        "1e+",
        "1.e1",
        "--1",
        "1-2",
        "0x1",
        "1_0",
        "1e999",
        "-1e999",
        "-01",
        "1.2.3",
        "1,",
        "١",
        "9".repeat(400).as_str(),
    ] {
        let object = format!("{{\"a\":{number}}}");
        assert!(read(&object).is_err(), "{object}");
    }
}

#[test]
fn j16_nesting_ends_at_32_levels() {
    let arrays = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    let objects = |levels: usize| format!("{}{{}}{}", "{\"a\":".repeat(levels - 1), "}".repeat(levels - 1));
    for nested in [arrays, objects] {
        assert!(read(&nested(32)).is_ok());
        assert_eq!(read(&nested(33)).err().map(|error| error.contains("deeper than 32 levels")), Some(true));
        assert!(read(&nested(100_000)).is_err());
    }
}

#[test]
fn what_ends_plain_text_is_found_wherever_it_stands() {
    for octet in 0..=u8::MAX {
        let special = matches!(octet, b'"' | b'\\' | 0..0x20);
        for place in 0..8 {
            for filling in [b'a', b'!', b'#', b' ', b'[', b']', 0x7f, 0x80, 0xa2, 0xdc, 0xff] {
                let mut word = [filling; 8];
                word[place] = octet;
                let found = specials(u64::from_le_bytes(word));
                assert_eq!(found != 0, special, "{word:x?}");
                if special {
                    assert_eq!(found.trailing_zeros() as usize / 8, place, "{word:x?}");
                }
            }
        }
    }
}

/// Made up from what JSON is made of, sound and unsound.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"", "\\", " ", "\n"]),
        3 => prop::sample::select(vec!["\"a\":", "\"b\":", "\"\\u0061\":", "\"a\"", "\"\\ud83d\\ude00\"", "\"\\ud800\""]),
        2 => prop::sample::select(vec!["0", "1", "-1", "1.5", "1e9", "01", "18446744073709551616", "true", "false", "null"]),
        1 => prop::sample::select(vec!["é", "\u{7f}", "\u{1f}", "12345678", "\\\"", "\\u00", "e", "-", ".", "nul", "{}", "[]"]),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// A sound value.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (0..2_000_000_000_u64).prop_map(Value::from),
        any::<f64>().prop_filter_map("finite", |number| Number::from_f64(number).map(Value::Number)),
        ".{0,20}".prop_map(Value::from),
        "[a-z\"\\\\\n]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map("[a-c\"é]{0,3}", inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_is_made_up_is_judged_as_before(text in pieces(), within in any::<bool>()) {
        let text = if within { format!("{{\"x\":{text}}}") } else { text };
        prop_assert_eq!(parse_object(text.as_bytes()).ok(), oracle::parse_object(text.as_bytes()), "{}", text);
    }

    #[test]
    fn a_sound_object_is_read_and_a_changed_one_judged_as_before(
        members in prop::collection::btree_map("[a-z]{0,12}", value(), 0..8),
        pretty in any::<bool>(),
        change in prop::option::of((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8)),
    ) {
        let object = Value::Object(members.into_iter().collect());
        let text = if pretty { serde_json::to_vec_pretty(&object) } else { serde_json::to_vec(&object) };
        let mut text = text.expect("text");
        match change {
            None => prop_assert_eq!(parse_object(&text).map(Value::Object), serde_json::from_slice(&text).map_err(|_| JsonError::NotAnObject)),
            Some((place, octet, 0)) => *place.get_mut(&mut text) = octet,
            Some((place, octet, 1)) => text.insert(place.index(text.len()), octet),
            Some((place, _, _)) => text.truncate(place.index(text.len())),
        }
        prop_assert_eq!(parse_object(&text).ok(), oracle::parse_object(&text), "{}", String::from_utf8_lossy(&text));
    }

    #[test]
    fn any_octets_are_judged_as_before(octets in prop::collection::vec(any::<u8>(), 0..64)) {
        prop_assert_eq!(parse_object(&octets).ok(), oracle::parse_object(&octets));
    }
}
