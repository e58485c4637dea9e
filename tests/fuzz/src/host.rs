//! Hosts: one canonical name, and the same block for every spelling of it.

use postern::model::host::Host;
use postern::policy::host::HostPattern;

use super::world::SNAPSHOT;

pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let _ = HostPattern::parse(text);
    let Ok(host) = Host::parse(text) else {
        assert!(Host::parse(&text.to_ascii_uppercase()).is_err(), "{text:?}");
        return;
    };
    let name = host.name();
    assert!(
        name.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b"-_.[]:".contains(&octet)),
        "{text:?} is {name:?}"
    );
    let again = Host::parse(name).unwrap_or_else(|error| panic!("{text:?} is {name:?}: {error}"));
    assert_eq!((again.name(), again.port()), (name, None), "{text:?}");

    let hosts = &SNAPSHOT.policy.hosts;
    let block = |host: &Host<'_>| hosts.find(host.name(), host.port()).map(|block| block.key.clone());
    let found = block(&host);
    let port = host.port().map(|port| format!(":{port}")).unwrap_or_default();
    let mut spellings = vec![format!("{name}{port}"), format!("{}{port}", name.to_ascii_uppercase())];
    if !name.starts_with('[') {
        spellings.push(format!("{name}.{port}"));
    }
    for spelling in spellings {
        let other = Host::parse(&spelling).unwrap_or_else(|error| panic!("{text:?} as {spelling:?}: {error}"));
        assert_eq!((other.name(), other.port()), (name, host.port()), "{text:?} as {spelling:?}");
        assert_eq!(block(&other), found, "{text:?} as {spelling:?}");
    }

    let want = match (name, host.port()) {
        ("wiki.test", Some(8443)) => Some("wiki.test:8443"),
        ("wiki.test" | "files.test" | "rules.test", _) => Some(name),
        _ => match name.strip_suffix(".test") {
            Some(label) if !label.is_empty() && !label.contains('.') => Some("*.test"),
            _ => None,
        },
    };
    assert_eq!(found.as_deref(), want, "{text:?}");
}
