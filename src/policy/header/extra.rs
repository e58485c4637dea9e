//! Headers that a policy adds to an identity: a claim, a fact, or words of its own.

use http::HeaderName;
use serde_json::Value;

use crate::model::claim_path::ClaimPath;
use crate::model::header::HeaderText;
use crate::model::identity::Identity;
use crate::policy::encoding::Encoding;

/// The longest value, in octets. A longer one is left out, never cut.
const LONGEST: usize = 4096;

/// One header besides the four of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtraHeader {
    pub name: HeaderName,
    pub content: Content,
}

/// What an extra header says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// These words, with every identity.
    Constant(HeaderText),
    /// What the source found out.
    Fact(Fact),
    /// A claim of the verified credential.
    Claim { path: ClaimPath, format: ClaimFormat, encoding: Encoding },
}

/// What a source knows besides claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// The source's name in the configuration.
    Source,
    /// Who vouches for the identity.
    Issuer,
    /// The issuer's stable id of the caller.
    Subject,
    /// The OAuth scopes, separated by spaces.
    Scopes,
}

/// How a claim becomes text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimFormat {
    /// A text, a number or a boolean as it is; the texts of a list with this between them.
    Text { separator: char },
    /// Whatever it is, as JSON in ASCII.
    Json,
}

/// What became of a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Written {
    Text(HeaderText),
    /// There is nothing to say.
    Absent,
    /// What there is to say does not fit into a header.
    Dropped,
}

impl ExtraHeader {
    /// Its value for this identity.
    pub(super) fn write(&self, identity: &Identity) -> Written {
        let text = match &self.content {
            Content::Constant(text) => return Written::Text(text.clone()),
            Content::Fact(fact) => match fact {
                Fact::Source => identity.source().to_string(),
                Fact::Issuer => identity.issuer().to_string(),
                Fact::Subject => identity.subject().to_owned(),
                Fact::Scopes if identity.scopes().is_empty() => return Written::Absent,
                Fact::Scopes if identity.scopes().iter().any(|scope| scope.contains(' ')) => return Written::Dropped,
                Fact::Scopes => identity.scopes().join(" "),
            },
            // An application takes what we send for proven.
            Content::Claim { path, .. } if identity.states_unverified_mail(path) => return Written::Dropped,
            Content::Claim { path, format, encoding } => match identity.claim(path).map(|claim| claim.tree()) {
                None | Some(Value::Null) => return Written::Absent,
                Some(Value::String(text)) if text.is_empty() => return Written::Absent,
                Some(value) => match format.write(&value, *encoding) {
                    Some(text) if text.is_empty() => return Written::Absent,
                    Some(text) => text,
                    None => return Written::Dropped,
                },
            },
        };
        if text.len() > LONGEST {
            return Written::Dropped;
        }
        HeaderText::new(text).map_or(Written::Dropped, Written::Text)
    }
}

impl ClaimFormat {
    /// One value; `None` when it has no such form. A list with one element that does not fit has none: an application
    /// must not take a part for the whole.
    fn write(self, value: &Value, encoding: Encoding) -> Option<String> {
        match (self, value) {
            (ClaimFormat::Json, value) => Some(ascii(&value.to_string())),
            (ClaimFormat::Text { separator }, Value::Array(list)) => {
                let texts: Option<Vec<String>> = list
                    .iter()
                    .map(|value| scalar(value).and_then(|text| one(&text, Some(separator), encoding)))
                    .collect();
                texts.map(|texts| texts.join(separator.encode_utf8(&mut [0; 4])))
            }
            (ClaimFormat::Text { .. }, value) => scalar(value).and_then(|text| one(&text, None, encoding)),
        }
    }
}

fn one(text: &str, separator: Option<char>, encoding: Encoding) -> Option<String> {
    encoding.write(text, separator).map(std::borrow::Cow::into_owned)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// JSON with everything beyond ASCII escaped (RFC 8259 §7). Outside its texts JSON has only ASCII.
pub(super) fn ascii(json: &str) -> String {
    let mut written = String::with_capacity(json.len());
    for character in json.chars() {
        if (' '..='~').contains(&character) {
            written.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                written.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    written
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::identity::Claims;
    use crate::policy::condition::testing::identity;

    fn written(content: Content, raw: Value) -> Written {
        let Value::Object(raw) = raw else { panic!("claims are an object") };
        let base = identity("alice", &["ops"]);
        let claims = Claims { raw, scopes: vec!["read".into(), "write".into()], ..base.unpacked() };
        let identity = Identity::verified(claims).expect("an identity");
        ExtraHeader { name: HeaderName::from_static("x-extra"), content }.write(&identity)
    }

    fn text(text: &str) -> Written {
        Written::Text(HeaderText::new(text).expect("header text"))
    }

    #[test]
    fn claims_are_written_whole_or_not_at_all() {
        let claim =
            |format, encoding| Content::Claim { path: ClaimPath::parse("a.b").expect("a path"), format, encoding };
        let list = ClaimFormat::Text { separator: ',' };
        for (format, encoding, value, want) in [
            (list, Encoding::Plain, json!("acme"), text("acme")),
            (list, Encoding::Plain, json!(7), text("7")),
            (list, Encoding::Plain, json!(true), text("true")),
            (list, Encoding::Plain, json!(["x", "y", 3]), text("x,y,3")),
            (list, Encoding::Plain, json!(["x", "y,z"]), Written::Dropped),
            (list, Encoding::Percent, json!(["x", "y,z"]), text("x,y%2Cz")),
            (list, Encoding::Plain, json!(["x", ["y"]]), Written::Dropped),
            (list, Encoding::Plain, json!({"c": 1}), Written::Dropped),
            (list, Encoding::Plain, json!("Zo\u{eb}"), Written::Dropped),
            (list, Encoding::Percent, json!("Zo\u{eb}"), text("Zo%C3%AB")),
            (list, Encoding::Plain, json!("a\nb"), Written::Dropped),
            (list, Encoding::Plain, json!(""), Written::Absent),
            (list, Encoding::Plain, json!([]), Written::Absent),
            (list, Encoding::Plain, Value::Null, Written::Absent),
            (list, Encoding::Plain, json!("x".repeat(LONGEST + 1)), Written::Dropped),
            (ClaimFormat::Json, Encoding::Plain, json!({"c": "Zo\u{eb}\u{7f}\n"}), text(r#"{"c":"Zo\u00eb\u007f\n"}"#)),
            (ClaimFormat::Json, Encoding::Plain, json!([]), text("[]")),
        ] {
            let raw = json!({"a": {"b": value}});
            assert_eq!(written(claim(format, encoding), raw.clone()), want, "{format:?} {raw}");
        }
        assert_eq!(written(claim(list, Encoding::Plain), json!({})), Written::Absent);
    }

    #[test]
    fn i7_a_mail_address_that_nobody_verified_is_not_sent_as_a_claim() {
        let format = ClaimFormat::Text { separator: ',' };
        let content = Content::Claim { path: ClaimPath::member("email"), format, encoding: Encoding::Plain };
        let base = identity("alice", &[]);
        let mut claims = Claims { email: Some("root@corp.test".into()), email_verified: true, ..base.unpacked() };
        claims.raw.insert("email".to_owned(), json!("root@corp.test"));
        let header = ExtraHeader { name: HeaderName::from_static("x-mail"), content };
        let verified = Identity::verified(claims.clone()).expect("an identity");
        assert_eq!(header.write(&verified), text("root@corp.test"));
        let not = Identity::verified(Claims { email_verified: false, ..claims }).expect("an identity");
        assert_eq!(header.write(&not), Written::Dropped);
    }

    #[test]
    fn facts_and_constants_need_no_claim() {
        let constant = HeaderText::constant("postern");
        assert_eq!(written(Content::Constant(constant), json!({})), text("postern"));
        assert_eq!(written(Content::Fact(Fact::Scopes), json!({})), text("read write"));
        assert_eq!(written(Content::Fact(Fact::Source), json!({})), text(identity("alice", &[]).source()));
    }
}
