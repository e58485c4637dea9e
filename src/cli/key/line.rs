//! One line of a key file as text.

use crate::authn::api_key::KeyHash;

/// What a new line says. Lists may be empty.
#[derive(Clone, Debug)]
pub(super) struct NewLine {
    pub(super) id: String,
    pub(super) hash: KeyHash,
    pub(super) owner: String,
    pub(super) groups: Vec<String>,
    pub(super) scopes: Vec<String>,
    pub(super) networks: Vec<String>,
    pub(super) expires: Option<String>,
    pub(super) created: String,
    pub(super) comment: Option<String>,
}

impl NewLine {
    /// `- {id: ci, hash: …}`, all in one line: a file that is cut never holds half a key.
    pub(super) fn text(&self) -> String {
        let list =
            |items: &[String]| format!("[{}]", items.iter().map(|item| scalar(item)).collect::<Vec<_>>().join(", "));
        let mut entries = vec![("id", scalar(&self.id)), ("owner", scalar(&self.owner))];
        for (name, items) in [("groups", &self.groups), ("scopes", &self.scopes), ("networks", &self.networks)] {
            if !items.is_empty() {
                entries.push((name, list(items)));
            }
        }
        entries.extend(self.expires.as_ref().map(|moment| ("expires", moment.clone())));
        entries.push(("created", self.created.clone()));
        entries.extend(self.comment.as_ref().map(|comment| ("comment", scalar(comment))));
        entries.push(("hash", scalar(&self.hash.to_string())));
        let entries: Vec<String> = entries.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        format!("- {{{}}}", entries.join(", "))
    }
}

/// A text as YAML reads it back: plain where nothing can be taken for something else, quoted as in JSON elsewhere.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let plain = text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
