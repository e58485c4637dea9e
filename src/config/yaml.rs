//! YAML text to a tree of nodes that know where they stand.
//!
//! Only what a policy needs: one document, text keys, no merge keys, no tags but those that change nothing, aliases
//! within a budget. Whatever else YAML can say is refused with its place, never ignored.

mod build;
mod syntax;

use std::borrow::Cow;
use std::sync::Arc;

use granit_parser::Event;
use granit_parser::Marker;
use granit_parser::Parser;

use crate::config::yaml::build::Builder;
use crate::model::problem::Place;
use crate::model::problem::Problem;

/// One value of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Node<'t> {
    pub(super) value: Value<'t>,
    pub(super) span: Span,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'t> {
    /// Nothing was written, or `null` or `~`.
    Null,
    /// Something that was refused already: readers pass over it without another word.
    Refused,
    /// `plain` is false for text in quotes, block text and text tagged `!!str`.
    Scalar {
        text: Cow<'t, str>,
        plain: bool,
    },
    List(Vec<Node<'t>>),
    /// Keys are scalars and differ from one another.
    Map(Vec<(Node<'t>, Node<'t>)>),
}

/// Where a node stands: which file of a load, 1-based line and column, and the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) file: u32,
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) start: u32,
    pub(super) end: u32,
}

/// What a text says, and what is wrong with it.
#[derive(Debug)]
pub(super) struct Parsed<'t> {
    /// `None` when the text is not YAML: its problems then say where it stops being so.
    pub(super) root: Option<Node<'t>>,
    pub(super) problems: Vec<Problem>,
    /// Does the text end with the marker `...`?
    pub(super) ended: bool,
}

/// Parse the text of one file. `file` is its number among the files of a load, `name` how the operator calls it.
pub(super) fn parse<'t>(file: u32, name: &Arc<str>, text: &'t str) -> Parsed<'t> {
    let mut builder = Builder::new(file, name, text);
    let mut documents = 0;
    let options = granit_parser::options! {
        disallow_directives: true,
        emit_comments: false,
        emit_unresolved_aliases: true,
        // The scanner runs ahead of the builder, which counts both kinds together.
        flow_nesting_limit: build::MAX_DEPTH,
        block_nesting_limit: build::MAX_DEPTH,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((Event::DocumentStart(..), at)) => {
                documents += 1;
                if documents > 1 { Err(syntax::second_document(builder.place(&at))) } else { Ok(()) }
            }
            Ok((event, at)) => builder.take(event, &at),
            // `*.corp.test:` reads as an alias and takes the colon with it; what follows is no mistake of its own.
            Err(_) if builder.lost_alias => return Parsed { root: None, problems: builder.problems, ended: false },
            Err(error) => Err(syntax::problem(&error, builder.place_of(*error.marker(), *error.marker()))),
        };
        if let Err(problem) = step {
            builder.problems.push(problem);
            return Parsed { root: None, problems: builder.problems, ended: false };
        }
    }
    let root = builder.root.or(Some(Node { value: Value::Null, span: Span::start_of(file) }));
    Parsed { root, problems: builder.problems, ended: ends_with_marker(text) }
}

impl<'t> Node<'t> {
    /// The text of a scalar; nothing for other nodes.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            Value::Null | Value::Refused | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// What kind of thing this is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null | Value::Refused => "nothing",
            Value::Scalar { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

impl Span {
    /// The first character of a file.
    pub(super) fn start_of(file: u32) -> Span {
        Span { file, line: 1, column: 1, start: 0, end: 0 }
    }

    fn new(file: u32, text: &str, start: Marker, end: Marker) -> Span {
        let offset = |mark: Marker| mark.byte_offset().unwrap_or(0).min(text.len());
        let written = text.get(offset(start)..offset(end)).unwrap_or("").trim_end();
        Span {
            file,
            line: small(start.line()),
            column: small(start.col()).saturating_add(1),
            start: small(offset(start)),
            end: small(offset(start) + written.len()),
        }
    }

    /// The place as problems and the tree carry it.
    pub(super) fn place(self, file: &Arc<str>) -> Place {
        Place { file: Arc::clone(file), line: self.line, column: self.column, span: (self.start, self.end) }
    }

    /// Does the other stand within this one?
    pub(super) fn contains(self, start: u32, end: u32) -> bool {
        self.start <= start && end <= self.end
    }
}

/// Files are far smaller than 4 GiB, so nothing is lost.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// In a text that parsed as one document, a line `...` can only be followed by comments.
fn ends_with_marker(text: &str) -> bool {
    text.lines()
        .rev()
        .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .and_then(|line| line.strip_prefix("..."))
        .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

#[cfg(test)]
mod tests;
