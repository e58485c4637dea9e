use proptest::prop_assert;
use proptest::proptest;

use super::*;

fn canonical(target: &str) -> Result<String, PathError> {
    Path::parse(target).map(|path| path.canonical().text())
}

fn readings(target: &str) -> Vec<String> {
    let path = Path::parse(target).unwrap_or_else(|error| panic!("{target}: {error}"));
    let mut all: Vec<String> = path.other_readings(false).iter().map(Reading::text).collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn ordinary_paths_are_plain() {
    for (target, want) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b"),
        ("/a?b=c", "/a"),
        ("/?q=100%", "/"),
        ("/a?", "/a"),
        ("/a%20b", "/a%20b"),
        ("/caf%c3%a9", "/caf%C3%A9"),
        ("/%40admin", "/@admin"),
        ("/v1%3Aadmin", "/v1:admin"),
        ("/a+b~c@d:e!f,g(h)[i]|'*=&$", "/a+b~c@d:e!f,g(h)%5Bi%5D%7C'*=&$"),
        ("/a.b/.well-known/x..y/...", "/a.b/.well-known/x..y/..."),
        ("/100%25", "/100%25"),
    ] {
        let path = Path::parse(target).unwrap_or_else(|error| panic!("{target}: {error}"));
        assert!(path.hazards().is_empty(), "{target}: {:?}", path.hazards().names());
        assert_eq!(path.canonical().text(), want, "{target}");
        assert!(path.other_readings(false).is_empty(), "{target}");
    }
}

proptest! {
    #[test]
    fn what_is_ordinary_at_first_sight_is_so(raw in "/[a-z0-9A%;./\\\\~-]{0,12}") {
        let scanned = scan(&raw);
        if is_ordinary(&raw) {
            prop_assert!(scanned.is_ok_and(Hazards::is_empty) && !raw.contains('%'));
        }
    }
}

#[test]
fn p8_what_no_route_can_want_is_refused() {
    for (target, want) in [
        ("", PathError::NotOrigin),
        ("*", PathError::NotOrigin),
        ("a/b", PathError::NotOrigin),
        ("http://x.test/", PathError::NotOrigin),
        ("/a b", PathError::Octet),
        ("/a\u{7f}", PathError::Octet),
        ("/caf\u{e9}", PathError::Octet),
        ("/a?b\n", PathError::Octet),
        ("/a#b", PathError::Fragment),
        ("/a?b#c", PathError::Fragment),
        ("/a%", PathError::Escape),
        ("/a%2", PathError::Escape),
        ("/a%zz", PathError::Escape),
        ("/a%00b", PathError::Control),
        ("/a%0d%0a", PathError::Control),
        ("/a%7f", PathError::Control),
        ("/a%c2%85", PathError::Control),
        ("/a%c0%af", PathError::Utf8),
        ("/a%ff", PathError::Utf8),
        ("/a%ed%a0%80", PathError::Utf8),
        ("/a\\b", PathError::Backslash),
        ("/a%5cb", PathError::Backslash),
        ("/a%5Cb", PathError::Backslash),
        ("/a%255cb", PathError::Backslash),
        ("/a/..;/b", PathError::DotParameter),
        ("/a/..;x=1/b", PathError::DotParameter),
        ("/a/.;/b", PathError::DotParameter),
        ("/a/%2e%2e;/b", PathError::DotParameter),
        ("/a/..%3b/b", PathError::DotParameter),
        ("/a/..%253b/b", PathError::DotParameter),
        ("/..", PathError::AboveRoot),
        ("/a/../..", PathError::AboveRoot),
        ("/%2e%2e/a", PathError::AboveRoot),
        ("//..", PathError::AboveRoot),
        ("/a/..%2f..%2fb", PathError::AboveRoot),
        ("/%252e%252e/a", PathError::AboveRoot),
    ] {
        assert_eq!(canonical(target), Err(want), "{target:?}");
    }
    assert_eq!(canonical(&format!("/{}", "a".repeat(MAX_TARGET))), Err(PathError::TooLong));
    assert!(canonical(&format!("/{}", "a".repeat(MAX_TARGET - 1))).is_ok());
}

#[test]
fn the_canonical_reading_is_merged_and_resolved() {
    for (target, want) in [
        ("/public/../admin", "/admin"),
        ("/public/%2e%2e/admin", "/admin"),
        ("/public/.%2E/admin", "/admin"),
        ("//admin//x", "/admin/x"),
        ("/a//../b", "/b"),
        ("/a/./b/.", "/a/b"),
        ("/a;x=1/b", "/a;x=1/b"),
        ("/a%2fb", "/a%2Fb"),
        ("/a/%252e%252e/b", "/a/%252e%252e/b"),
        ("/A/b", "/A/b"),
        ("/a%41", "/aA"),
        ("//", "/"),
    ] {
        assert_eq!(canonical(target).as_deref(), Ok(want), "{target}");
    }
}

#[test]
fn readings_cover_what_backends_do() {
    for (target, want) in [
        ("/public/../admin", vec!["/public/../admin"]),
        ("/a//b", vec!["/a//b"]),
        ("/a//../b", vec!["/a//../b", "/a/../b", "/a/b"]),
        ("/a;x=1/b", vec!["/a/b"]),
        ("/a%3bx/b", vec!["/a/b"]),
        ("/a%3bx;y/b", vec!["/a/b", "/a;x/b"]),
        ("/;x/admin", vec!["//admin", "/admin"]),
        ("/a%2fb", vec!["/a/b"]),
        ("/a%252fb", vec!["/a%2Fb", "/a/b"]),
        ("/a/%252e%252e/b", vec!["/a/../b", "/b"]),
        ("/a%3bx%2fb;y", vec!["/a/b", "/a;x%2Fb", "/a;x/b", "/a;x/b;y", "/a"]),
        ("/a%253bx;y", vec!["/a", "/a%253bx", "/a;x", "/a;x;y"]),
        ("/a/b%2f..", vec!["/a", "/a/b/.."]),
        // A server that resolves before it decodes: `..` undoes `%2e%2e`, which it takes for a name.
        ("/a/../b/c/%2e%2e/../d", vec!["/a/../b/c/../../d", "/b/c/d"]),
        ("/./b;/%2e./d", vec!["/./b/../d", "/./b;/../d", "/b/../d", "/b;/../d"]),
        // One that looks for the query after decoding.
        ("/a%3fx/b", vec!["/a"]),
        ("/a%23x/../b", vec!["/a", "/a%23x/../b"]),
        ("/a%253fx", vec!["/a", "/a%3Fx"]),
    ] {
        let mut want = want;
        want.sort_unstable();
        assert_eq!(readings(target), want, "{target}");
    }
}

#[test]
fn a_path_whose_canonical_form_climbs_is_refused() {
    for target in ["/a%2Fc//../%2e%2e%2fc", "/a%2fb/../..%2f", "/a%252fb/../..%252fc"] {
        assert_eq!(canonical(target), Err(PathError::AboveRoot), "{target}");
    }
    assert_eq!(canonical("/a%2fb/..%2fc").as_deref(), Ok("/a%2Fb/..%2Fc"));
}

/// Servers of the servlet kind cut raw parameters, then decode, and part at what was `%2f`.
#[test]
fn raw_parameters_are_cut_before_anything_is_decoded() {
    for (target, want) in [("/a%3bb%2fc;d", "/a;b/c"), ("/a%3b/b%2f%2f;", "/a;/b"), ("/a;b%2fc%3bd/e", "/a/e")] {
        assert!(readings(target).contains(&want.to_owned()), "{target}: {:?}", readings(target));
    }
}

#[test]
fn folding_adds_the_readings_of_servers_that_ignore_case() {
    let path = Path::parse("/Admin/X").expect("a path");
    assert!(path.hazards().any(Hazards::UPPER_CASE));
    let folded = path.other_readings(true);
    assert_eq!(folded.iter().map(Reading::text).collect::<Vec<_>>(), ["/admin/x"]);
    assert!(folded.iter().all(Reading::folded));
    assert!(path.other_readings(false).is_empty());
}

#[test]
fn canonical_text_is_a_fixed_point() {
    for target in ["/", "/a//../b/", "/%61/%2f/%25", "/a;b/%252e", "/caf%C3%A9/./x", "/a%2Fb/", "/A%20b"] {
        let once = Path::parse(target).expect(target).canonical_text().into_owned();
        let twice = Path::parse(&once).expect(target).canonical_text().into_owned();
        assert_eq!(once, twice, "{target}");
    }
}

#[test]
fn a_path_of_too_many_readings_is_refused() {
    for target in [
        // Many ways to read, and few but long ones.
        "/a%3bb//c;d/./%252e%2523%2f%253b/%2e%3fx".to_owned(),
        format!("/{}%2f;", "b//a/".repeat(1600)),
    ] {
        assert_eq!(canonical(&target), Err(PathError::Readings), "{target}");
    }
    assert!(canonical(&format!("/{}", "x/../A/.//".repeat(100))).is_ok());
}

#[test]
fn no_reading_is_longer_than_the_path() {
    for target in [format!("/{};", "a%2f".repeat(2040)), format!("/%252f{};x", "a%2f;/".repeat(130))] {
        let path = Path::parse(&target).expect("a path");
        for reading in path.other_readings(true) {
            let length: usize = reading.segments().map(|segment| segment.len() + 1).sum();
            assert!(length <= target.len(), "{length} octets of {}", target.len());
        }
    }
}
