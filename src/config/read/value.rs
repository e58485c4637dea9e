//! One value: what is written in it, and what to say where something else is wanted.

use crate::config::nearest;
use crate::config::read::Context;
use crate::config::read::Extent;
use crate::config::read::Given;
use crate::config::read::access::Choice;
use crate::config::read::number;
use crate::config::yaml::Node;
use crate::config::yaml::Value;

/// Reads one node, or stands in for one: without a node every type gets the least it accepts, and nothing is noted.
#[derive(Clone, Copy)]
pub(super) struct Reader<'r, 't> {
    pub(super) context: &'r Context<'r>,
    pub(super) node: Option<&'r Node<'t>>,
    /// Keys that tables read from here on get a stand-in for.
    pub(super) given: &'r [Given],
}

impl<'r, 't> Reader<'r, 't> {
    /// The same circumstances for another node.
    pub(super) fn at(self, node: Option<&'r Node<'t>>) -> Reader<'r, 't> {
        Reader { node: node.filter(|node| node.value != Value::Refused), ..self }
    }

    /// A stand-in.
    pub(super) fn nothing(self) -> Reader<'r, 't> {
        self.at(None)
    }

    /// Note a mistake in this node.
    pub(super) fn note(self, message: impl Into<String>, help: Option<String>) {
        if let Some(node) = self.node {
            self.context.note(node.span, (node.span, Extent::Inside), message.into(), help);
        }
    }

    /// Note that this mapping lacks a key. What it has is sound for all that.
    pub(super) fn note_missing(self, key: &str, help: Option<String>) {
        if let Some(node) = self.node {
            self.context.note(node.span, (node.span, Extent::Node), format!("the key `{key}` is missing"), help);
        }
    }

    /// Note that this mapping has a key that nobody knows, with what to write instead. If it was not `recognised` as
    /// another, it could have been meant to be anything, and the whole mapping is in doubt.
    pub(super) fn note_unknown(self, key: &Node<'t>, recognised: bool, help: String) {
        let doubtful = self.node.filter(|_| !recognised).map_or(key.span, |table| table.span);
        let message = format!("unknown key `{}`", key.text().unwrap_or(""));
        self.context.note(key.span, (doubtful, Extent::Inside), message, Some(help));
    }

    /// Note that something else should stand here.
    pub(super) fn note_wanted(self, wanted: &str, help: Option<String>) {
        let Some(node) = self.node else { return };
        let (found, help) = match &node.value {
            Value::Null => {
                ("nothing".to_owned(), Some(help.unwrap_or_else(|| "write a value, or remove the key".to_owned())))
            }
            Value::Scalar { text, .. } if text.chars().count() > 40 => ("text".to_owned(), help),
            Value::Scalar { text, plain: true } => (format!("`{text}`"), help),
            Value::Scalar { text, plain: false } => (format!("the text `{text}`"), help),
            Value::Refused | Value::List(_) | Value::Map(_) => (node.kind().to_owned(), help),
        };
        self.note(format!("expected {wanted}, found {found}"), help);
    }

    /// The text of a scalar, and whether it is plain.
    pub(super) fn scalar(self) -> Option<(&'r str, bool)> {
        match self.node.map(|node| &node.value) {
            Some(Value::Scalar { text, plain }) => Some((text, *plain)),
            Some(Value::Null | Value::Refused | Value::List(_) | Value::Map(_)) | None => None,
        }
    }

    /// A plain scalar that parses, or a stand-in.
    pub(super) fn plain<T: Default>(self, wanted: &str, parse: impl Fn(&str) -> Option<T>) -> T {
        match self.scalar() {
            Some((text, plain)) => match parse(text) {
                Some(value) if plain => return value,
                Some(_) => self.note_wanted(wanted, Some("remove the quotes".to_owned())),
                None => self.note_wanted(wanted, None),
            },
            None => self.note_wanted(wanted, None),
        }
        T::default()
    }

    /// The items of a list; `single` allows one value in place of a list of one.
    pub(super) fn items(self, single: bool) -> &'r [Node<'t>] {
        let Some(node) = self.node else { return &[] };
        match &node.value {
            Value::List(items) => {
                if items.is_empty() {
                    self.note("this list is empty", Some("write what belongs in it, or remove the key".to_owned()));
                }
                items
            }
            Value::Scalar { .. } | Value::Map(_) if single => std::slice::from_ref(node),
            Value::Scalar { text, .. } => {
                self.note_wanted("a list", Some(format!("write `[{text}]`")));
                &[]
            }
            Value::Null if single => {
                self.note_wanted("a value or a list", None);
                &[]
            }
            Value::Refused => &[],
            Value::Null | Value::Map(_) => {
                self.note_wanted("a list", None);
                &[]
            }
        }
    }

    /// The entries of a mapping. Without any, the reader that comes back stands in.
    pub(super) fn entries(self, table: &str) -> (Reader<'r, 't>, &'r [(Node<'t>, Node<'t>)]) {
        match self.node.map(|node| &node.value) {
            Some(Value::Map(entries)) if !entries.is_empty() => return (self, entries),
            Some(Value::Map(_)) => {
                let help = match table {
                    "Require" => "write `authenticated: true` to let every identified caller pass",
                    _ => "write what belongs in it, or remove the key",
                };
                self.note("this mapping is empty", Some(help.to_owned()));
            }
            // It may be the secret itself, and what is said here is logged (F6).
            Some(Value::Scalar { .. }) if matches!(table, "SecretRef" | "FetchToken") => {
                let help = "write `{file: /run/secrets/name}`, and keep the secret there";
                self.note("expected a mapping, found text", Some(help.to_owned()));
            }
            Some(Value::Null | Value::Scalar { .. } | Value::List(_)) => self.note_wanted("a mapping", None),
            Some(Value::Refused) | None => {}
        }
        (self.nothing(), &[])
    }

    /// The variant of a `$shape` enum that takes what is written here.
    pub(super) fn shape(self, variants: &'static [&'static str]) -> Option<&'static str> {
        let variant = |name: &str| variants.iter().copied().find(|variant| *variant == name);
        let by_spelling = variant("bool").is_some() || variant("number").is_some();
        match self.node.map(|node| &node.value)? {
            Value::Null | Value::Refused => None,
            Value::Map(_) => variant("map"),
            Value::List(_) => variant("list"),
            Value::Scalar { text, plain: true } if number::parse_bool(text).is_some() && by_spelling => variant("bool"),
            Value::Scalar { text, plain: true } if number::is_number(text) && by_spelling => variant("number"),
            Value::Scalar { text, plain: true } if number::is_doubtful(text) && by_spelling => None,
            Value::Scalar { .. } => variant("text").or_else(|| variant("list")),
        }
    }

    /// The one entry of a mapping that names a variant.
    pub(super) fn chosen(
        self,
        variants: &'static [&'static str],
        entries: &'r [(Node<'t>, Node<'t>)],
    ) -> Option<Choice<'r, 't>> {
        let mut choices = Vec::new();
        for (key, value) in entries {
            let text = key.text().unwrap_or("");
            match variants.iter().find(|variant| **variant == text) {
                Some(variant) => choices.push(Choice { variant, bare: false, content: self.at(Some(value)) }),
                None => {
                    let meant = nearest::nearest(text, variants).filter(|_| entries.len() == 1);
                    self.note_unknown(key, meant.is_some(), nearest::help(text, variants));
                    choices.extend(meant.map(|variant| Choice { variant, bare: false, content: self.at(Some(value)) }));
                }
            }
        }
        let several = choices.len() > 1;
        if several || entries.is_empty() {
            self.note_wanted(&one_of(variants), Some("write exactly one of them".to_owned()));
        }
        choices.pop().filter(|_| !several)
    }

    pub(super) fn note_shape(self, variants: &[&str]) {
        if let Some((text, true)) = self.scalar()
            && number::is_doubtful(text)
        {
            let help =
                format!("write `\"{text}\"` for the text; truth values are `true` and `false`, numbers are decimal");
            return self.note(format!("`{text}` could be text or something else"), Some(help));
        }
        let wanted: Vec<&str> = variants
            .iter()
            .map(|variant| match *variant {
                "list" => "a list",
                "map" => "a mapping",
                "number" => "a number",
                "bool" => "`true` or `false`",
                other => other,
            })
            .collect();
        self.note_wanted(&wanted.join(" or "), None);
    }
}

/// The variants of a choice, for messages.
pub(super) fn one_of(variants: &[&str]) -> String {
    match variants {
        [only] => format!("`{only}`"),
        _ => format!("one of {}", nearest::list(variants)),
    }
}
