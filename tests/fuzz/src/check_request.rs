//! The octets of a `CheckRequest` to those of a `CheckResponse`.

use postern::dialect::ext_authz::{self, CheckRequest};
use postern::model::request::Request;
use prost::Message;

use super::oracle;
use super::world::{authorize, substitute};

pub fn run(input: &[u8]) {
    answer(input);
    // The same with tokens in place of their names; inside a message they would not have the right length.
    if let Ok(mut message) = CheckRequest::decode(input) {
        fill(&mut message);
        answer(&message.encode_to_vec());
    }
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
