//! `query: {format: [json]}`: parameters of the query, decoded as forms are (WHATWG URL §5.1).

use std::fmt;

use crate::model::path::parameter::decode;
use crate::model::path::parameter::pairs;
use crate::policy::truth::Truth;

/// The parameter must stand once, with one of these values.
#[derive(Clone, Debug)]
pub struct QueryTest {
    pub name: String,
    pub values: Vec<String>,
}

impl QueryTest {
    /// Does it? A repeated parameter is *unknown*, and so is everything when an escape is broken, or when `;` stands
    /// where some servers see a separator.
    pub fn holds(&self, query: Option<&str>) -> Truth {
        let Some(query) = query else { return Truth::False };
        if query.contains(';') {
            return Truth::Unknown;
        }
        let mut found = None;
        for (name, value) in pairs(query) {
            let (Some(name), Some(value)) = (decode(name), decode(value)) else { return Truth::Unknown };
            if name == self.name.as_bytes() {
                if found.is_some() {
                    return Truth::Unknown;
                }
                found = Some(value);
            }
        }
        match found {
            Some(value) => Truth::from(self.values.iter().any(|wanted| wanted.as_bytes() == value)),
            None => Truth::False,
        }
    }
}

impl fmt::Display for QueryTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{}: [{}]}}", self.name, self.values.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_stand_once_or_are_unknown() {
        let test = QueryTest { name: "format".into(), values: vec!["json".into(), "a b".into()] };
        for (query, want) in [
            (None, Truth::False),
            (Some(""), Truth::False),
            (Some("format=json"), Truth::True),
            (Some("x=1&format=json&y"), Truth::True),
            (Some("%66ormat=jso%6E"), Truth::True),
            (Some("format=a+b"), Truth::True),
            (Some("format=xml"), Truth::False),
            (Some("format"), Truth::False),
            (Some("Format=json"), Truth::False),
            (Some("format=json&format=json"), Truth::Unknown),
            (Some("format=json&%66ormat=xml"), Truth::Unknown),
            (Some("format=json;format=xml"), Truth::Unknown),
            (Some("format=json&x=%zz"), Truth::Unknown),
        ] {
            assert_eq!(test.holds(query), want, "{query:?}");
        }
    }
}
