//! Reading a message where it lies, and building it with prost: the same acceptance, the same content.

use proptest::prelude::*;
use prost::Message;

use super::wire::WireError;
use super::*;

/// Both readings agree. Says whether they took it for a message.
pub(super) fn agree(octets: &[u8]) -> bool {
    let built = CheckRequest::decode(octets);
    let read = Check::read(octets);
    // Of a map, prost takes a number for the length of an entry; we do not.
    if matches!(read, Err(WireError::OtherKind(3 | 10))) {
        return false;
    }
    assert_eq!(read.is_ok(), built.is_ok(), "{:?} {:?} {}", read.err(), built.err(), octets.escape_ascii());
    let (Ok(mut read), Ok(built)) = (read, built) else { return false };
    if let Some(http) = &mut read.http {
        // A map has no order.
        http.headers.sort_unstable();
    }
    assert!(read == Check::from(&built), "{}", octets.escape_ascii());
    true
}

fn field(number: u32, kind: u32) -> Vec<u8> {
    let mut key = Vec::new();
    prost::encoding::encode_varint(u64::from(number << 3 | kind), &mut key);
    key
}

/// A field of octets.
fn octets(number: u32, content: &[u8]) -> Vec<u8> {
    let mut whole = field(number, 2);
    prost::encoding::encode_varint(content.len() as u64, &mut whole);
    whole.extend_from_slice(content);
    whole
}

fn http(content: &[u8]) -> Vec<u8> {
    octets(1, &octets(4, &octets(2, content)))
}

#[test]
fn repeated_values_and_messages_are_merged() {
    let path = |text: &str| octets(4, text.as_bytes());
    let entry =
        |name: &str, value: &str| octets(3, &[octets(1, name.as_bytes()), octets(2, value.as_bytes())].concat());
    let two = [http(&path("/public")), http(&path("/admin"))].concat();
    assert!(agree(&two));
    assert_eq!(Check::read(&two).ok().and_then(|check| check.http.map(|http| http.path)), Some("/admin"));
    let many: Vec<u8> = (0..100).flat_map(|number| entry(&format!("x-{}", number % 70), &number.to_string())).collect();
    for content in [
        [entry("a", "1"), entry("b", "2"), entry("a", "3")].concat(),
        [entry("", ""), octets(3, b""), entry("", "x")].concat(),
        octets(3, &[octets(1, b"a"), octets(1, b"b"), octets(2, b"c"), octets(9, b"d")].concat()),
        many,
        [octets(13, &octets(1, &octets(1, b"a"))), octets(13, b""), octets(13, &octets(1, &octets(3, b"\xff")))]
            .concat(),
    ] {
        assert!(agree(&http(&content)), "{}", content.escape_ascii());
    }
    let source = |content: &[u8]| octets(1, &octets(1, content));
    let socket = |content: &[u8]| octets(1, &octets(1, content));
    let address = |text: &[u8]| octets(2, text);
    for content in [
        [socket(&address(b"192.0.2.1")), socket(&[field(3, 0), vec![5]].concat())].concat(),
        [socket(&address(b"192.0.2.1")), octets(1, &octets(2, &octets(1, b"/sock")))].concat(),
        [octets(1, &octets(2, b"")), socket(b"")].concat(),
        [octets(4, b"a"), octets(5, b"b"), octets(4, b"c")].concat(),
    ] {
        assert!(agree(&source(&content)), "{}", content.escape_ascii());
    }
}

#[test]
fn an_entry_of_a_map_is_a_message() {
    let number = [field(10, 0), octets(1, b"a").len().to_le_bytes()[..1].to_vec(), octets(1, b"a")].concat();
    // Too short for the eight octets that its kind announces.
    let fixed = [field(10, 1), vec![0]].concat();
    for content in [number, fixed] {
        let message = octets(1, &content);
        assert!(CheckRequest::decode(&*message).is_ok(), "prost has become strict: then so may the comparison");
        assert_eq!(Check::read(&message).err(), Some(WireError::OtherKind(10)));
    }
}

#[test]
fn what_is_no_message_is_one_for_neither() {
    let deep = |groups: usize| [vec![0x7B; groups], vec![0x7C; groups]].concat();
    for octets in [
        vec![0x80; 11],
        vec![0x00],
        vec![0x06],
        vec![0x0C],
        vec![0x0B],
        vec![0x0B, 0x0C],
        vec![0x7B, 0x74],
        vec![0xFF, 0xFF, 0xFF, 0xFF, 0x1F, 0],
        field(1, 0),
        [field(1, 0), vec![1]].concat(),
        [field(1, 2), vec![5, 1]].concat(),
        http(&octets(2, b"\xff")),
        http(&octets(10, b"\xff")),
        http(&octets(3, &octets(2, b"\xff"))),
        http(&[field(2, 5), vec![0; 4]].concat()),
        octets(1, &octets(10, &octets(1, b"\xff"))),
        octets(1, &octets(1, &octets(1, &octets(1, &octets(3, b"8080"))))),
        deep(101),
    ] {
        assert!(!agree(&octets), "{}", octets.escape_ascii());
    }
    for octets in [vec![], deep(100), http(&deep(97)), [field(9, 1), vec![0; 8], field(9, 5), vec![0; 4]].concat()] {
        assert!(agree(&octets), "{}", octets.escape_ascii());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn both_agree_on_recorded_checks_with_octets_changed(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in any::<prop::sample::Index>(),
        cuts in any::<bool>(),
    ) {
        let checks = recorded("ext_authz");
        let mut octets = file(&format!("ext_authz/{}.bin", checks[which.index(checks.len())].name));
        for (at, octet) in changes {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        if cuts {
            octets.truncate(cut.index(octets.len()));
        }
        agree(&octets);
    }

    #[test]
    fn both_agree_on_any_octets(octets in prop::collection::vec(prop_oneof![Just(0x0A), Just(0x12), Just(0x22), 0_u8..16, any::<u8>()], 0..64)) {
        agree(&octets);
        agree(&http(&octets));
    }
}
