//! `headers: {X-Env: [prod]}`: header fields of the client, compared octet by octet.

use std::fmt;

use crate::model::header::Headers;
use crate::policy::truth::Truth;

/// The header field must stand once, with one of these values.
#[derive(Clone, Debug)]
pub struct HeaderTest {
    /// Lower-case.
    pub name: String,
    /// None of them holds a comma.
    pub values: Vec<String>,
}

impl HeaderTest {
    /// Does it? Of a repeated field applications take the first copy, the last, or all in one: when one of the copies
    /// has such a value, that is *unknown*. Some proxies join repeated fields with commas, so a value with a comma is
    /// taken for what it may be, and the verdict is the same behind each of them (I3).
    pub fn holds(&self, headers: &Headers<'_>) -> Truth {
        let mut copies = 0_usize;
        let mut wanted = false;
        for value in headers.all(&self.name) {
            for element in value.split(|byte| *byte == b',') {
                copies += 1;
                wanted |= self.values.iter().any(|value| value.as_bytes() == element.trim_ascii());
            }
        }
        match (wanted, copies) {
            (false, _) => Truth::False,
            (true, 1) => Truth::True,
            (true, _) => Truth::Unknown,
        }
    }
}

impl fmt::Display for HeaderTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}: [{}]}}", self.name, self.values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i3_repeated_and_joined_fields_have_one_verdict() {
        let test = HeaderTest { name: "x-env".into(), values: vec!["prod".into(), "test".into()] };
        for (fields, want) in [
            (vec![("x-env", "prod")], Truth::True),
            (vec![("x-env", "test")], Truth::True),
            (vec![("x-env", "Prod")], Truth::False),
            (vec![("x-env", "prod;v=1")], Truth::False),
            (vec![("x-env", "")], Truth::False),
            (vec![], Truth::False),
            (vec![("x-other", "prod")], Truth::False),
            (vec![("x-env", "prod"), ("x-env", "prod")], Truth::Unknown),
            (vec![("x-env", "dev"), ("x-env", "prod")], Truth::Unknown),
            (vec![("x-env", "dev"), ("x-env", "stage")], Truth::False),
            (vec![("x-env", "prod,dev")], Truth::Unknown),
            (vec![("x-env", "dev,stage")], Truth::False),
        ] {
            let mut headers = Headers::new(false);
            for (name, value) in &fields {
                headers.push(name, value.as_bytes());
            }
            assert_eq!(test.holds(&headers), want, "{fields:?}");
        }
    }
}
