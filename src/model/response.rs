//! The answer to a check, before a dialect writes it: an allow or a denial, never something between.

use std::sync::Arc;
use std::sync::OnceLock;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;

use crate::model::claim::Claim;
use crate::model::claim::Packed;
use crate::model::claim::Packer;
use crate::model::decision::DecisionId;
use crate::model::header::HeaderText;
use crate::model::reason::Reason;

/// What the proxy is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Response {
    pub decision_id: DecisionId,
    pub verdict: Verdict,
}

/// Two shapes, so that no denial can carry an identity and no allow a body.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    Allow(Allow),
    Deny(Denial),
}

/// The request may pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Allow {
    pub reason: Reason,
    /// What it changes in the request.
    pub headers: Arc<AllowHeaders>,
    /// What the client is told beside the application's answer, where the proxy can do that.
    pub told: Vec<(HeaderName, HeaderText)>,
}

/// What an allow changes in the request on its way upstream. It depends on the caller and hardly on the request, so it
/// is made once and used for many answers.
#[derive(Clone, Debug)]
pub struct AllowHeaders {
    names: Arc<AllowNames>,
    /// What stands in the headers that are set, in their order.
    values: Packed,
    written: OnceLock<Bytes>,
    /// The values once more, as an answer over HTTP holds them.
    fields: OnceLock<Box<[HeaderValue]>>,
}

/// The names alone: nearly all callers of a policy have the same.
#[derive(Debug)]
pub struct AllowNames {
    set: Vec<HeaderName>,
    remove: Vec<HeaderName>,
    /// The fields of an answer over HTTP that is still to be filled in.
    form: OnceLock<HeaderMap>,
}

impl PartialEq for AllowNames {
    /// Whether there is a form of them is of no account.
    fn eq(&self, other: &AllowNames) -> bool {
        self.set == other.set && self.remove == other.remove
    }
}

impl AllowHeaders {
    /// Set these and make the others absent. A name in both lists is set.
    pub fn new(set: Vec<(HeaderName, HeaderText)>, mut remove: Vec<HeaderName>) -> AllowHeaders {
        remove.retain(|name| !set.iter().any(|(kept, _)| kept == name));
        let names = set.iter().map(|(name, _)| name.clone()).collect();
        let names = Arc::new(AllowNames { set: names, remove, form: OnceLock::new() });
        AllowHeaders::of(names, set.iter().map(|(_, text)| text))
    }

    /// The same headers for another caller: these are set, and whatever is absent depends on their names alone. `None`
    /// when the names differ from those of the first.
    pub fn like(first: &Arc<AllowNames>, set: &[(HeaderName, HeaderText)]) -> Option<AllowHeaders> {
        let same = first.set.iter().eq(set.iter().map(|(name, _)| name));
        same.then(|| AllowHeaders::of(Arc::clone(first), set.iter().map(|(_, text)| text)))
    }

    fn of<'t>(names: Arc<AllowNames>, texts: impl Iterator<Item = &'t HeaderText>) -> AllowHeaders {
        let mut values = Packer::new();
        texts.for_each(|text| values.text(text.as_str()));
        AllowHeaders { names, values: values.finish(), written: OnceLock::new(), fields: OnceLock::new() }
    }

    /// The names, for [`AllowHeaders::like`].
    pub fn shared_names(&self) -> &Arc<AllowNames> {
        &self.names
    }

    /// Identity headers to set on the request upstream.
    pub fn set(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        let mut values = self.values.values();
        self.names.set.iter().map(move |name| (name, text_of(values.next())))
    }

    /// The names alone of the headers to set.
    pub fn names(&self) -> &[HeaderName] {
        &self.names.set
    }

    /// The value of the header of this number among those to set: always the text of a [`HeaderText`].
    pub fn value(&self, number: usize) -> &str {
        text_of(self.values.value(number))
    }

    /// Headers that must be absent upstream: every owned identity header that is not set, and what holds nothing but
    /// credentials.
    pub fn remove(&self) -> &[HeaderName] {
        &self.names.remove
    }

    /// The whole answer as the gRPC listener sends it, for every allow with these headers the same octets.
    pub fn written(&self, write: impl FnOnce() -> Bytes) -> Bytes {
        self.written.get_or_init(write).clone()
    }

    /// The headers to set as fields of an answer over HTTP, with what every such answer has `besides`. Hashing names is
    /// the dearest part of writing such an answer, so a form with the names is made once and copied.
    pub fn fields<const N: usize>(&self, besides: [(HeaderName, HeaderValue); N]) -> HeaderMap {
        let values = self.fields.get_or_init(|| self.set().map(|(_, text)| field(text)).collect());
        let form = self.names.form.get_or_init(|| {
            let names = self.names.set.iter().map(|name| (name.clone(), HeaderValue::from_static("")));
            let mut form: HeaderMap = names.chain(besides).collect();
            // A map that is full grows even when what is put in is there already.
            form.reserve(1);
            form
        });
        let mut fields = form.clone();
        let named = self.names.set.iter().zip(values.iter().cloned());
        // A map may keep its fields in any order. It keeps them in ours, but nobody is ever called by his groups.
        // Nor does it keep as many where two are called the same.
        let distinct = fields.len() == self.names.set.len() + N && fields.keys_len() == fields.len();
        if distinct && fields.keys().zip(&self.names.set).all(|(held, name)| held == name) {
            fields.values_mut().zip(named).for_each(|(held, (_, value))| *held = value);
        } else {
            named.for_each(|(name, value)| drop(fields.insert(name.clone(), value)));
        }
        fields
    }
}

/// The text of a [`HeaderText`] fits every field; if it ever did not, nothing is said.
fn field(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

// INVARIANT: there are as many values as names. A name without one would be set to nothing, never left alone.
fn text_of<'p>(value: Option<Claim<'p>>) -> &'p str {
    value.and_then(|value| value.text()).unwrap_or_default()
}

impl PartialEq for AllowHeaders {
    /// Whether it has been written is of no account.
    fn eq(&self, other: &AllowHeaders) -> bool {
        self.names == other.names && self.values == other.values
    }
}

/// The request may not pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Denial {
    pub reason: Reason,
    /// The status meant for the client: the reason's, or 302 for a login redirect.
    pub status: u16,
    /// For the client: `WWW-Authenticate`, `Location`, `Retry-After`, …; `Cache-Control` and the decision id too.
    pub headers: Vec<(HeaderName, HeaderText)>,
    pub content_type: &'static str,
    pub body: String,
}

impl Verdict {
    /// Why.
    pub fn reason(&self) -> Reason {
        match self {
            Verdict::Allow(allow) => allow.reason,
            Verdict::Deny(denial) => denial.reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &'static str) -> HeaderName {
        HeaderName::from_static(name)
    }

    fn allow(set: &[(&'static str, &str)], remove: &[&'static str]) -> AllowHeaders {
        let text = |text: &str| HeaderText::new(text).expect("header text");
        let set = set.iter().map(|(header, value)| (name(header), text(value))).collect();
        AllowHeaders::new(set, remove.iter().map(|header| name(header)).collect())
    }

    fn set(headers: &AllowHeaders) -> Vec<(&str, &str)> {
        headers.set().map(|(name, value)| (name.as_str(), value)).collect()
    }

    #[test]
    fn every_header_is_set_or_removed_and_never_both() {
        let pairs = [("remote-user", "alice"), ("remote-email", "alice"), ("remote-groups", "a,b")];
        let headers = allow(&pairs, &["remote-user", "remote-name", "remote-groups"]);
        assert_eq!(set(&headers), pairs);
        assert_eq!(headers.names(), pairs.map(|(header, _)| name(header)));
        assert_eq!(headers.remove(), [name("remote-name")]);
    }

    /// As they would be written without a form.
    fn plain(set: &[(HeaderName, HeaderText)], besides: &[(HeaderName, HeaderValue)]) -> HeaderMap {
        let mut fields: HeaderMap = besides.iter().cloned().collect();
        for (name, text) in set {
            fields.insert(name.clone(), HeaderValue::from_str(text.as_str()).expect("a value"));
        }
        fields
    }

    proptest::proptest! {
        /// Whoever asks first, and in whatever order: everybody gets what is theirs, and nothing of anybody else.
        #[test]
        fn fields_from_a_form_are_those_of_a_plain_build(
            people in proptest::collection::vec(
                (proptest::collection::vec(0_usize..14, 0..12), "[!-~]{1,12}"), 1..6),
            distinct in proptest::bool::ANY,
        ) {
            let names: Vec<HeaderName> = (0..12)
                .map(|number| format!("x-id-{number}"))
                .chain(["x-decision", "content-length"].map(str::to_owned))
                .map(|name| HeaderName::try_from(name).expect("a name"))
                .collect();
            let besides = || {
                [(names[12].clone(), HeaderValue::from_static("")), (names[13].clone(), HeaderValue::from_static("0"))]
            };
            let mut first: Option<Arc<AllowNames>> = None;
            let mut made = Vec::new();
            for (number, (which, value)) in people.iter().enumerate() {
                let mut which = which.clone();
                if distinct {
                    // Everybody has the same names, or some of them.
                    which = (0..which.len()).collect();
                }
                let set: Vec<_> = which
                    .iter()
                    .enumerate()
                    .map(|(at, name)| (names[*name].clone(), HeaderText::new(format!("{value}{number}.{at}")).expect("text")))
                    .collect();
                let like = first.as_ref().and_then(|first| AllowHeaders::like(first, &set));
                let headers = like.unwrap_or_else(|| AllowHeaders::new(set.clone(), vec![]));
                first.get_or_insert_with(|| Arc::clone(headers.shared_names()));
                made.push((headers, set));
            }
            for (headers, set) in made.iter().chain(made.iter().rev()) {
                proptest::prop_assert_eq!(headers.fields(besides()), plain(set, &besides()));
            }
        }
    }

    #[test]
    fn names_are_shared_only_where_they_are_the_same() {
        let alice = allow(&[("remote-user", "alice")], &["remote-name"]);
        let text = HeaderText::new("bob").expect("header text");
        let bob = AllowHeaders::like(alice.shared_names(), &[(name("remote-user"), text.clone())]).expect("like alice");
        assert!(Arc::ptr_eq(&alice.names, &bob.names));
        assert_eq!(bob, allow(&[("remote-user", "bob")], &["remote-name"]));
        for other in [vec![], vec!["x-user"], vec!["remote-user", "remote-name"]] {
            let other: Vec<_> = other.into_iter().map(|header| (name(header), text.clone())).collect();
            assert_eq!(AllowHeaders::like(alice.shared_names(), &other), None);
        }
        assert_eq!((set(&alice), set(&bob)), (vec![("remote-user", "alice")], vec![("remote-user", "bob")]));
    }
}
