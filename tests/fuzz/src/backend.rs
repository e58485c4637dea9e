//! What servers make of a request target, each written after its own way and apart from how the product reads paths.

/// What one kind of server takes a target for.
#[derive(Debug, PartialEq, Eq)]
pub struct View {
    pub server: &'static str,
    /// Decoded segments; a trailing slash leaves none.
    pub segments: Vec<Vec<u8>>,
    /// The server ignores ASCII case; the segments are in lower case.
    pub folded: bool,
}

/// What every kind of server makes of it. One that refuses the target has no view.
pub fn views(target: &str) -> Vec<View> {
    let raw = target.split('?').next().unwrap_or(target);
    let servers: [(&'static str, Option<Vec<Vec<u8>>>); 7] = [
        ("decode, merge, resolve", decode(raw.as_bytes()).and_then(|path| resolve(merge(split(&path))))),
        ("keep as it is, decode segments", each(split(raw.as_bytes()))),
        ("resolve, then merge, then decode segments", envoy(raw)),
        ("merge, then resolve, decode segments", each(merge(split(raw.as_bytes()))).and_then(resolve)),
        ("strip parameters, decode, merge, resolve", tomcat(raw)),
        ("decode, strip parameters, merge, resolve", strip_late(raw)),
        ("decode twice, merge, resolve", twice(raw)),
    ];
    let mut views = Vec::new();
    for (server, segments) in servers {
        let Some(mut segments) = segments else { continue };
        if segments.last().is_some_and(Vec::is_empty) {
            segments.pop();
        }
        let lower = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
        views.push(View { server, segments, folded: false });
        views.push(View { server, segments: lower, folded: true });
    }
    views
}

fn envoy(raw: &str) -> Option<Vec<Vec<u8>>> {
    each(split(raw.as_bytes())).and_then(resolve).map(merge)
}

fn tomcat(raw: &str) -> Option<Vec<Vec<u8>>> {
    let stripped: Vec<Vec<u8>> = split(raw.as_bytes()).into_iter().map(before_semicolon).collect();
    let path = decode(&stripped.join(&b'/'))?;
    resolve(merge(split(&path)))
}

fn strip_late(raw: &str) -> Option<Vec<Vec<u8>>> {
    let path = decode(raw.as_bytes())?;
    resolve(merge(split(&path).into_iter().map(before_semicolon).collect()))
}

fn twice(raw: &str) -> Option<Vec<Vec<u8>>> {
    let once = decode(raw.as_bytes())?;
    resolve(merge(split(&decode_leniently(&once))))
}

fn split(path: &[u8]) -> Vec<Vec<u8>> {
    let path = path.strip_prefix(b"/").unwrap_or(path);
    path.split(|octet| *octet == b'/').map(<[u8]>::to_vec).collect()
}

fn before_semicolon(mut segment: Vec<u8>) -> Vec<u8> {
    if let Some(at) = segment.iter().position(|octet| *octet == b';') {
        segment.truncate(at);
    }
    segment
}

fn each(segments: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    segments.iter().map(|segment| decode(segment)).collect()
}

fn merge(segments: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    segments.into_iter().filter(|segment| !segment.is_empty()).collect()
}

/// Servers clamp at the root or refuse; those that clamp are of no interest, for the product always refuses.
fn resolve(segments: Vec<Vec<u8>>) -> Option<Vec<Vec<u8>>> {
    let mut resolved: Vec<Vec<u8>> = Vec::new();
    let last = segments.len().saturating_sub(1);
    for (index, segment) in segments.into_iter().enumerate() {
        match segment.as_slice() {
            b"." => {}
            b".." => {
                resolved.pop()?;
            }
            _ => {
                resolved.push(segment);
                continue;
            }
        }
        // A dot segment at the end names a folder.
        if index == last {
            resolved.push(Vec::new());
        }
    }
    Some(resolved)
}

fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(octet) = text.get(at) {
        if *octet == b'%' {
            decoded.push(escaped(text, at)?);
            at += 3;
        } else {
            decoded.push(*octet);
            at += 1;
        }
    }
    Some(decoded)
}

fn decode_leniently(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    let mut at = 0;
    while let Some(octet) = text.get(at) {
        match escaped(text, at).filter(|_| *octet == b'%') {
            Some(value) => {
                decoded.push(value);
                at += 3;
            }
            None => {
                decoded.push(*octet);
                at += 1;
            }
        }
    }
    decoded
}

fn escaped(text: &[u8], at: usize) -> Option<u8> {
    let digits = std::str::from_utf8(text.get(at + 1..at + 3)?).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
}
