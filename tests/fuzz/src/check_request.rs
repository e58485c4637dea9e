//! The octets of a `CheckRequest` to those of a `CheckResponse`.

use postern::dialect::ext_authz::{self, Check, CheckRequest};
use postern::model::request::Request;
use prost::Message;

use super::oracle;
use super::world::{authorize, substitute};

pub fn run(input: &[u8]) {
    same(input);
    answer(input);
    // The same with tokens in place of their names; inside a message they would not have the right length.
    if let Ok(mut message) = CheckRequest::decode(input) {
        fill(&mut message);
        answer(&message.encode_to_vec());
    }
}

/// Reading the message where it lies and building it with prost come to the same.
fn same(octets: &[u8]) {
    let (read, built) = (ext_authz::read(octets), CheckRequest::decode(octets));
    // Of a map, prost takes a number for the length of an entry; we do not.
    if read.as_ref().is_err_and(|refusal| refusal.detail.ends_with("is of another kind than its message says")) {
        return;
    }
    assert_eq!(read.is_ok(), built.is_ok(), "{:?}", built.err());
    let (Ok(read), Ok(built)) = (read, built) else { return };
    assert_eq!(content(&read), content(&Check::from(&built)));
}

/// All that is asked of a check, in words; of a map without its order. `None`: it is refused, and which of several faults
/// is named first is a matter of that order.
fn content(check: &Check<'_>) -> Option<String> {
    let attributes = ext_authz::decode(check).ok()?;
    let mut headers: Vec<_> = attributes.headers.iter().collect();
    if attributes.headers.joined() {
        headers.sort_unstable();
    }
    let postern::model::request::Attributes { method, scheme, host, target, address, certificate, .. } = &attributes;
    let ignored = attributes.ignored_forwarding;
    Some(format!("{method} {scheme:?} {host} {target} {address:?} {certificate:?} {headers:?} {ignored}"))
}

fn answer(octets: &[u8]) {
    let read = ext_authz::read(octets);
    let (response, asked) = match &read {
        Err(refusal) => (authorize(Err(refusal.clone())), None),
        Ok(message) => {
            let decoded = ext_authz::decode(message);
            let asked = decoded.as_ref().ok().map(|attributes| (attributes.host, attributes.target));
            if let Ok(attributes) = &decoded {
                let _ = Request::parse(attributes.clone());
            }
            (authorize(decoded), asked)
        }
    };
    let answer = oracle::over_grpc(&response);
    match asked {
        Some((host, target)) => oracle::judge(&answer, host, target, octets),
        None => assert!(!answer.allowed, "nothing was asked"),
    }
}

fn fill(message: &mut CheckRequest) {
    let http = message.attributes.as_mut().and_then(|attributes| attributes.request.as_mut()?.http.as_mut());
    let Some(http) = http else { return };
    let text = |value: &mut String| {
        if let Ok(filled) = String::from_utf8(substitute(value.as_bytes())) {
            *value = filled;
        }
    };
    http.headers.values_mut().for_each(text);
    for field in http.header_map.iter_mut().flat_map(|map| map.headers.iter_mut()) {
        text(&mut field.value);
        field.raw_value = substitute(&field.raw_value);
    }
}
