//! Request targets: one canonical form, and no server's view of a path outside its readings.

use postern::model::path::{Hazards, Path};

use super::backend;

pub fn run(input: &[u8]) {
    let Ok(target) = std::str::from_utf8(input) else { return };
    let parsed = Path::parse(target);
    assert_eq!(parsed.as_ref().err(), Path::parse(target).err().as_ref());
    let Ok(path) = parsed else { return };
    assert!(target.bytes().all(|octet| matches!(octet, 0x21..=0x7E) && octet != b'#'));
    assert!(target.starts_with('/'));
    assert!(!path.raw().contains('\\'), "{target}");

    let text = path.canonical_text().into_owned();
    let again = Path::parse(&text).unwrap_or_else(|error| panic!("{target} is {text}: {error}"));
    assert_eq!(again.canonical(), path.canonical(), "{target} is {text}");
    assert_eq!(again.canonical_text(), text, "{target}");
    if !path.needs_opt_in() {
        assert!(!again.hazards().any(Hazards::DOTS | Hazards::SLASHES), "{target} is {text}");
    }
    for segment in path.canonical().segments() {
        assert!(!segment.is_empty() && segment != b"." && segment != b"..", "{target} is {text}");
        assert!(std::str::from_utf8(segment).is_ok_and(|text| !text.chars().any(char::is_control)), "{target}");
    }

    let alone = Path::parse(path.raw()).expect("the path without its query");
    assert_eq!((alone.canonical(), alone.hazards()), (path.canonical(), path.hazards()), "{target}");
    assert_eq!(alone.query(), None);

    let canonical = path.canonical();
    let others = path.other_readings(true);
    let same = |segments: &[Vec<u8>], reading: &postern::model::path::reading::Reading<'_>| {
        reading.segments().eq(segments.iter().map(Vec::as_slice))
    };
    for view in backend::views(target) {
        let known = others.iter().any(|reading| reading.folded() == view.folded && same(&view.segments, reading));
        assert!(
            known || !view.folded && same(&view.segments, &canonical),
            "{target}: a server ({}) reads {:?}, which is none of the readings",
            view.server,
            view.segments
        );
    }
}
