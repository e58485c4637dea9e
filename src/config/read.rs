//! From nodes to the tree, reporting every mistake of a file and not only the first.
//!
//! Serde stops at the first error. So the reader hands out none while it can help it: where something is wrong it
//! notes a mistake and reads a harmless stand-in instead: the word that was probably meant where there is one, else
//! the least that the type accepts. Only one mistake comes back from serde itself, a missing key: the enclosing `At`
//! then offers its value again with a stand-in for that key, for as long as that finds something new. A value with
//! stand-ins in it decides nothing; it only lets more mistakes be found.
//!
//! For this to work the types of the tree check shapes only. What text means is judged in `snapshot`.

mod access;
mod deserialize;
mod number;
mod value;

use std::cell::Cell;
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;

use crate::config::at::At;
use crate::config::read::value::Reader;
use crate::config::tree::Config;
use crate::config::yaml;
use crate::config::yaml::Node;
use crate::config::yaml::Span;
use crate::config::yaml::Value;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// The versions of the policy language that this binary reads.
const VERSIONS: [u32; 1] = [1];

/// Enough for anybody to work on; a file with more is not worth the time.
const MAX_PROBLEMS: usize = 200;

/// What became of a text: its value as far as it could be read, and what was wrong with it.
#[derive(Debug)]
pub(super) struct Reading<T> {
    /// With stand-ins if there are mistakes; `None` when not even those make a whole.
    pub(super) value: Option<T>,
    pub(super) mistakes: Vec<Mistake>,
}

/// A problem, and what its stand-in makes doubtful.
#[derive(Clone, Debug)]
pub(super) struct Mistake {
    pub(super) problem: Problem,
    pub(super) doubt: Option<Doubt>,
}

/// A node that is not what its author meant.
#[derive(Clone, Debug)]
pub(super) struct Doubt {
    pub(super) place: Place,
    pub(super) extent: Extent,
}

/// How deep a doubt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// The node as a whole, but not what it holds.
    Node,
    /// What it holds too.
    Inside,
}

/// Read a policy from its root. Files are in the order of the numbers in the nodes' spans.
pub(super) fn read(root: &Node<'_>, files: &[Arc<str>]) -> Reading<Config> {
    match check_version(root, files) {
        Some(problem) => Reading { value: None, mistakes: vec![Mistake { problem, doubt: None }] },
        None => read_as(root, files),
    }
}

/// Read a value that stands alone, such as an argument of a command; `name` stands for its file.
pub fn inline<T: for<'de> Deserialize<'de>>(name: &str, text: &str) -> Result<T, Problems> {
    let files = [Arc::from(name)];
    let [file] = &files;
    let parsed = yaml::parse(0, file, text);
    match parsed.root {
        Some(root) if parsed.problems.is_empty() => read_as(&root, &files).finished().map_err(Problems),
        Some(_) | None => Err(Problems(parsed.problems)),
    }
}

/// A file that is not a policy.
#[derive(Debug)]
pub struct Document<T> {
    /// `None` when nothing is written in it.
    pub value: Option<T>,
    /// Does it end with the YAML end marker `...`?
    pub ended: bool,
}

impl<T> Document<T> {
    /// The warning that it may be half written: it holds something, and has no end marker.
    pub fn unended(&self, name: &str) -> Option<Problem> {
        (self.value.is_some() && !self.ended).then(|| {
            let help = "write `...` as its last line, and a half-written file will be noticed";
            Problem::warning(Place::whole(name), "", "the end marker `...` is missing").help(help)
        })
    }
}

/// Read the text of a file that is not a policy; `name` is how the operator calls it.
pub fn document<T: for<'de> Deserialize<'de>>(name: &str, text: &str) -> Result<Document<T>, Problems> {
    let files = [Arc::from(name)];
    let [file] = &files;
    let parsed = yaml::parse(0, file, text);
    let Some(root) = parsed.root.filter(|_| parsed.problems.is_empty()) else {
        return Err(Problems(parsed.problems));
    };
    let value = match root.value {
        Value::Null => None,
        Value::Refused | Value::Scalar { .. } | Value::List(_) | Value::Map(_) => {
            Some(read_as(&root, &files).finished().map_err(Problems)?)
        }
    };
    Ok(Document { value, ended: parsed.ended })
}

/// Read any type made of the tree's pieces.
fn read_as<T: for<'de> Deserialize<'de>>(root: &Node<'_>, files: &[Arc<str>]) -> Reading<T> {
    let context = Context { files, mistakes: RefCell::default(), stopped: Cell::new(false) };
    let reader = Reader { context: &context, node: None, given: &[] };
    let outcome = At::<T>::deserialize(reader.at(Some(root)));
    let mut mistakes = context.mistakes.into_inner();
    let (value, last) = match outcome {
        _ if context.stopped.get() => {
            let message = format!("there are more mistakes than these {MAX_PROBLEMS}");
            (None, Some(Problem::error(None, "", message)))
        }
        Ok(at) => (Some(at.value), None),
        Err(error) if mistakes.is_empty() => {
            (None, Some(Problem::error(place_of(files, root.span), "", error.to_string())))
        }
        Err(_) => (None, None),
    };
    mistakes.extend(last.map(|problem| Mistake { problem, doubt: None }));
    Reading { value, mistakes }
}

impl<T> Reading<T> {
    /// The value, if nothing stands in for any part of it.
    fn finished(self) -> Result<T, Vec<Problem>> {
        match self.value {
            Some(value) if self.mistakes.is_empty() => Ok(value),
            Some(_) | None => Err(self.mistakes.into_iter().map(|mistake| mistake.problem).collect()),
        }
    }
}

/// A file of another version may differ in anything, so this comes first and alone.
fn check_version(root: &Node<'_>, files: &[Arc<str>]) -> Option<Problem> {
    let entries = match &root.value {
        Value::Map(entries) => entries,
        Value::Null => {
            let problem = Problem::error(place_of(files, root.span), "", "there is no policy in this file");
            return Some(problem.help("begin with `version: 1`"));
        }
        Value::Refused | Value::Scalar { .. } | Value::List(_) => return None,
    };
    let (_, version) = entries.iter().find(|(key, _)| key.text() == Some("version"))?;
    let Value::Scalar { text, plain: true } = &version.value else { return None };
    let known = VERSIONS.iter().any(|known| *text == known.to_string());
    if known || !number::is_number(text) {
        return None;
    }
    let versions = VERSIONS.map(|version| format!("`version: {version}`")).join(" and ");
    let message = format!("version {text} of the policy language is not known");
    Some(Problem::error(place_of(files, version.span), "", message).help(format!("this binary reads {versions}")))
}

fn place_of(files: &[Arc<str>], span: Span) -> Option<Place> {
    files.get(span.file as usize).map(|file| span.place(file))
}

/// What all readers of one load share.
struct Context<'r> {
    files: &'r [Arc<str>],
    mistakes: RefCell<Vec<Mistake>>,
    stopped: Cell<bool>,
}

impl Context<'_> {
    fn note(&self, span: Span, doubt: (Span, Extent), message: String, help: Option<String>) {
        let mut mistakes = self.mistakes.borrow_mut();
        if mistakes.len() >= MAX_PROBLEMS {
            self.stopped.set(true);
            return;
        }
        let problem = Problem::error(place_of(self.files, span), "", message);
        let (doubtful, extent) = doubt;
        let doubt = place_of(self.files, doubtful).map(|place| Doubt { place, extent });
        mistakes.push(Mistake { problem: Problem { help, ..problem }, doubt });
    }

    /// How many mistakes are noted, to come back to with [`Context::forget_since`].
    fn noted(&self) -> usize {
        self.mistakes.borrow().len()
    }

    /// Forget what was noted since: the same value is about to be read again.
    fn forget_since(&self, noted: usize) {
        self.mistakes.borrow_mut().truncate(noted);
    }
}

/// A missing key that a struct of this name at this node is given a stand-in for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Given {
    node: Option<Span>,
    table: &'static str,
    key: &'static str,
}

/// Why serde was made to stop.
#[derive(Debug)]
enum Stop {
    /// Serde misses this key.
    Missing(&'static str),
    /// The same, with the table it is missing in.
    Give(Given),
    /// Enough problems are noted.
    Enough,
    /// A visitor refused what it was handed.
    Refused(String),
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Stop::Missing(key) | Stop::Give(Given { key, .. }) => write!(f, "the key `{key}` is missing"),
            Stop::Enough => f.write_str("too many problems"),
            Stop::Refused(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Stop {}

impl serde::de::Error for Stop {
    fn custom<T: fmt::Display>(message: T) -> Stop {
        Stop::Refused(message.to_string())
    }

    fn missing_field(key: &'static str) -> Stop {
        Stop::Missing(key)
    }
}

#[cfg(test)]
mod tests;
