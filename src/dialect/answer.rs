//! What all encoders share about answers: a denial can never be written as an allow, nor carry framing headers.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use crate::model::header::HeaderText;
use crate::model::reason::Reason;
use crate::model::response::{Allow, Denial};

/// The header that names the decision.
pub(super) const DECISION: HeaderName = HeaderName::from_static("x-postern-decision");

/// The identity headers of an allow, which has no body, and room for the decision. Proxies delete those on their list
/// that are not here.
pub(super) fn identity(allow: &Allow) -> HeaderMap {
    let length = (header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    let mut headers = allow.headers.fields([(DECISION, HeaderValue::from_static("")), length]);
    // Whether the proxy passes these on to the client is up to its configuration; none passes them on upstream. An
    // identity header of such a name stays what it is.
    for (name, text) in &allow.told {
        headers.entry(name.clone()).or_insert_with(|| HeaderValue::from(text));
    }
    headers
}

/// The status of a denial; one that a proxy could take for an allow, or not at all, becomes 503.
pub(super) fn denied_status(denial: &Denial) -> u16 {
    match denial.status {
        status @ (302 | 303 | 307 | 308 | 400..=599) => status,
        _ => 503,
    }
}

/// The headers of a denial that may be relayed: not those that frame the answer or that the encoder writes itself.
pub(super) fn relayed(denial: &Denial) -> impl Iterator<Item = (&HeaderName, &HeaderText)> {
    denial
        .headers
        .iter()
        .filter(|(name, _)| !WITHHELD.contains(name) && *name != DECISION)
        .map(|(name, text)| (name, text))
}

/// The denial for when no decision could be made: a fault, overload, a passed deadline, a message that is none.
pub(super) fn failure(reason: Reason) -> Denial {
    Denial {
        reason,
        status: if reason.allows() { Reason::Internal.status() } else { reason.status() },
        headers: HeaderText::new("no-store").map(|text| (header::CACHE_CONTROL, text)).into_iter().collect(),
        content_type: "",
        body: String::new(),
    }
}

const WITHHELD: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::DATE,
    header::HOST,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_denial_has_a_status_that_allows() {
        for status in (0..=1000).chain([u16::MAX]) {
            let denial = Denial { status, ..failure(Reason::Internal) };
            assert!(matches!(denied_status(&denial), 302..=308 | 400..=599), "{status}");
        }
        for reason in Reason::ALL {
            assert!(failure(reason).status >= 400, "{reason}");
        }
    }

    #[test]
    fn framing_headers_are_not_relayed() {
        let text = || HeaderText::new("x").expect("text");
        let mut denial = failure(Reason::Internal);
        denial.headers.push((header::CONTENT_LENGTH, text()));
        denial.headers.push((DECISION, text()));
        denial.headers.push((header::LOCATION, text()));
        let names: Vec<_> = relayed(&denial).map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["cache-control", "location"]);
    }
}
