use proptest::prelude::*;
use serde_json::json;

use super::*;

fn packed(values: &[Value]) -> Packed {
    let mut packer = Packer::new();
    values.iter().for_each(|value| packer.value(value));
    packer.finish()
}

/// Any value that JSON can hold, short texts among them that come again.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-c]{0,4}".prop_map(Value::from),
        ".{0,200}".prop_map(Value::from),
        proptest::sample::select(vec!["iss", "groups", "email", "Bearer", "1"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 200, 20, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
            proptest::collection::btree_map("[a-c]{0,3}|name|email|.{0,20}", inner, 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_was_packed_is_read_again(values in proptest::collection::vec(any_value(), 0..8)) {
        let packed = packed(&values);
        for (number, value) in values.iter().enumerate() {
            let claim = packed.value(number).expect("a value");
            prop_assert_eq!(&claim.tree(), value);
            prop_assert!(claim.is(value));
            if let (Claim::Object(object), Value::Object(members)) = (&claim, value) {
                for (name, member) in members {
                    prop_assert!(object.member(name).is_some_and(|claim| claim.is(member)), "{}", name);
                }
            }
        }
        prop_assert_eq!(packed.value(values.len()), None);
    }

    #[test]
    fn a_claim_is_no_other_tree(value in any_value(), other in any_value()) {
        prop_assert_eq!(packed(std::slice::from_ref(&value)).value(0).expect("a value").is(&other), value == other);
    }

    #[test]
    fn what_nobody_packed_is_read_without_a_fault(text in "[\\x00-\\x28\u{e4}]{0,60}") {
        let packed = Packed(text.into());
        for number in 0..60 {
            let _ = packed.value(number).map(|claim| claim.tree());
        }
    }
}

#[test]
fn members_are_found_by_their_whole_names() {
    let value = json!({"a": 1, "ab": [1, {"a": 2}], "email": "x@y", "z": null});
    let packed = packed(&[value]);
    let Some(Claim::Object(object)) = packed.value(0) else { panic!("an object") };
    assert_eq!(object.member("a").and_then(|claim| claim.number()), Some(1.0));
    assert_eq!(object.member("email").and_then(|claim| claim.text()), Some("x@y"));
    assert_eq!(object.member("z"), Some(Claim::Null));
    for name in ["", "b", "abc", "A", "emai"] {
        assert_eq!(object.member(name), None, "{name}");
    }
}

#[test]
fn texts_that_stand_there_already_and_words_take_little() {
    let long = "x".repeat(100);
    assert_eq!(packed(&[json!(long)]).size(), 103);
    assert_eq!(packed(&[json!(long), json!([long, long])]).size(), 103 + 2 + 4);
    assert_eq!(packed(&[json!({"preferred_username": "groups"})]).size(), 4);
}

#[test]
fn texts_of_a_list_are_read_in_order() {
    let packed = packed(&[json!(["a", "groups", "", "a"])]);
    let texts = Texts::from(packed.value(0).expect("a value").list());
    assert_eq!(texts.iter().collect::<Vec<_>>(), ["a", "groups", "", "a"]);
    assert_eq!(texts.join(","), "a,groups,,a");
    assert!(texts.contains("a") && texts.contains("") && !texts.contains("b") && !texts.is_empty());
    assert!(Texts::from(List::default()).is_empty());
}
