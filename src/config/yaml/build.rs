//! The parser's events, put together as nodes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use granit_parser::Event;
use granit_parser::Marker;
use granit_parser::ScalarStyle;
use granit_parser::StructureStyle;
use granit_parser::Tag;

use crate::config::yaml::Node;
use crate::config::yaml::Span;
use crate::config::yaml::Value;
use crate::config::yaml::syntax;
use crate::model::problem::Place;
use crate::model::problem::Problem;

/// How deep lists and mappings may nest. Readers of the tree may recurse.
pub(super) const MAX_DEPTH: usize = 64;

/// What all anchors and aliases of a file may copy, in nodes; 32 octets of text count as one more.
const ALIAS_BUDGET: usize = 500_000;

/// A mapping of so many entries is searched faster than hashed.
const FEW: usize = 16;

/// Builds one document from events.
pub(super) struct Builder<'t> {
    file: u32,
    name: Arc<str>,
    text: &'t str,
    open: Vec<Open<'t>>,
    anchors: HashMap<usize, (Node<'t>, Size)>,
    budget: usize,
    /// Where the last thing that stands in the text ended. Block collections end there too.
    last_end: Marker,
    /// Was there an alias that refers to nothing?
    pub(super) lost_alias: bool,
    pub(super) root: Option<Node<'t>>,
    pub(super) problems: Vec<Problem>,
}

/// How much room a node takes: what a copy costs, and how many levels it nests.
#[derive(Clone, Copy)]
struct Size {
    cost: usize,
    depth: usize,
}

/// A collection whose end has not come yet.
struct Open<'t> {
    start: Marker,
    anchor: usize,
    flow: bool,
    items: Items<'t>,
}

enum Items<'t> {
    List(Vec<Node<'t>>),
    Map { entries: Vec<(Node<'t>, Node<'t>)>, key: Option<Node<'t>> },
}

impl<'t> Builder<'t> {
    pub(super) fn new(file: u32, name: &Arc<str>, text: &'t str) -> Builder<'t> {
        Builder {
            file,
            name: Arc::clone(name),
            text,
            open: Vec::new(),
            anchors: HashMap::new(),
            budget: ALIAS_BUDGET,
            last_end: Marker::default(),
            lost_alias: false,
            root: None,
            problems: Vec::new(),
        }
    }

    /// Take one event. An error ends the parse; smaller problems are noted and passed over.
    pub(super) fn take(&mut self, event: Event<'t>, at: &granit_parser::Span) -> Result<(), Problem> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(text, style, tag.as_deref(), at);
                self.add(node, anchor)
            }
            Event::SequenceStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", at);
                self.begin(Items::List(Vec::with_capacity(usual(style, 1))), style, anchor, at)
            }
            Event::MappingStart(style, anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", at);
                self.begin(Items::Map { entries: Vec::with_capacity(usual(style, 2)), key: None }, style, anchor, at)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(at),
            Event::Alias(id) => {
                self.last_end = at.end;
                let place = self.place(at);
                let Some((node, size)) = self.anchors.get(&id) else { return Err(syntax::alias_within_itself(place)) };
                if self.open.len() + size.depth > MAX_DEPTH {
                    return Err(syntax::too_deep(place));
                }
                let Some(rest) = self.budget.checked_sub(size.cost) else {
                    return Err(syntax::too_many_aliases(place));
                };
                self.budget = rest;
                let node = node.clone();
                self.add(node, 0)
            }
            Event::UnresolvedAlias(name) => {
                self.last_end = at.end;
                self.problems.push(syntax::unknown_alias(self.place(at), &name));
                self.lost_alias = true;
                let span = Span::new(self.file, self.text, at.start, at.end);
                self.add(Node { value: Value::Refused, span }, 0)
            }
            // The rest carries no values; the enum is open, and comments and anchor names are not asked for.
            _ => Ok(()),
        }
    }

    /// The place of an event.
    pub(super) fn place(&self, at: &granit_parser::Span) -> Place {
        self.place_of(at.start, at.end)
    }

    pub(super) fn place_of(&self, start: Marker, end: Marker) -> Place {
        Span::new(self.file, self.text, start, end).place(&self.name)
    }

    fn scalar(
        &mut self,
        text: Cow<'t, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: &granit_parser::Span,
    ) -> Node<'t> {
        let mut span = Span::new(self.file, self.text, at.start, at.end);
        match self.open.last().map(|open| &open.items) {
            // A value that is not written is best shown by its key.
            Some(Items::Map { key: Some(key), .. }) if at.is_empty() => span = key.span,
            _ => self.last_end = at.end,
        }
        let plain = style == ScalarStyle::Plain && tag.is_none();
        let nothing = plain && matches!(text.as_ref(), "" | "~" | "null" | "Null" | "NULL");
        let value = match (self.check_tag(tag, "str", at), nothing) {
            (false, _) => Value::Refused,
            (true, true) => Value::Null,
            (true, false) => Value::Scalar { text, plain },
        };
        Node { value, span }
    }

    /// A tag that only says what is so anyway is fine; any other would have to change the meaning.
    fn check_tag(&mut self, tag: Option<&Tag>, natural: &str, at: &granit_parser::Span) -> bool {
        let Some(tag) = tag.filter(|tag| tag.core_suffix() != Some(natural)) else { return true };
        let at = at.tag_span().unwrap_or(*at);
        self.problems.push(syntax::tag(self.place(&at), &tag.original()));
        false
    }

    fn begin(
        &mut self,
        items: Items<'t>,
        style: StructureStyle,
        anchor: usize,
        at: &granit_parser::Span,
    ) -> Result<(), Problem> {
        if self.open.len() >= MAX_DEPTH {
            return Err(syntax::too_deep(self.place(at)));
        }
        self.open.push(Open { start: at.start, anchor, flow: style == StructureStyle::Flow, items });
        Ok(())
    }

    fn end(&mut self, at: &granit_parser::Span) -> Result<(), Problem> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        if open.flow {
            self.last_end = at.end;
        }
        let mut span = Span::new(self.file, self.text, open.start, self.last_end);
        let value = match open.items {
            Items::List(items) => Value::List(items),
            Items::Map { entries, .. } => {
                if let Some((key, value)) = entries.last()
                    && key.span == value.span
                {
                    // `key:` with nothing after it: the colon tells the mapping from its only key.
                    span.end = span.end.max(key.span.end.saturating_add(1));
                }
                Value::Map(self.check_keys(entries))
            }
        };
        self.add(Node { value, span }, open.anchor)
    }

    /// Put a finished node where it belongs.
    fn add(&mut self, node: Node<'t>, anchor: usize) -> Result<(), Problem> {
        if anchor != 0 {
            let size = measure(&node);
            let Some(rest) = self.budget.checked_sub(size.cost) else {
                return Err(syntax::too_many_aliases(node.span.place(&self.name)));
            };
            self.budget = rest;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::List(items)) => items.push(node),
            Some(Items::Map { entries, key }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
        Ok(())
    }

    /// Keep the entries whose keys are fit to be read; say what is wrong with the others.
    fn check_keys(&mut self, entries: Vec<(Node<'t>, Node<'t>)>) -> Vec<(Node<'t>, Node<'t>)> {
        if are_fit(&entries) {
            return entries;
        }
        let mut kept: Vec<(Node<'t>, Node<'t>)> = Vec::with_capacity(entries.len());
        let mut index = (entries.len() > FEW).then(HashMap::new);
        for (key, value) in entries {
            let place = key.span.place(&self.name);
            let Value::Scalar { text, plain } = &key.value else {
                if key.value != Value::Refused {
                    self.problems.push(syntax::key_is_not_text(place, key.kind()));
                }
                continue;
            };
            if *plain && text == "<<" {
                self.problems.push(syntax::merge_key(place));
                continue;
            }
            let first = match &mut index {
                Some(index) => match index.entry(text.clone()) {
                    Entry::Occupied(first) => Some(*first.get()),
                    Entry::Vacant(empty) => {
                        empty.insert(key.span);
                        None
                    }
                },
                None => kept.iter().find(|(other, _)| other.text() == Some(text)).map(|(other, _)| other.span),
            };
            match first {
                None => kept.push((key, value)),
                Some(first) => {
                    self.problems.push(syntax::duplicate_key(place, text, &first.place(&self.name)));
                }
            }
        }
        kept
    }
}

/// Room for so many nodes in what is written on one line. There are a great many of those, and most are small.
fn usual(style: StructureStyle, nodes: usize) -> usize {
    if style == StructureStyle::Flow { nodes } else { 0 }
}

/// Are the keys of a short mapping such that all can be kept, as nearly always?
fn are_fit(entries: &[(Node<'_>, Node<'_>)]) -> bool {
    let fit = |(number, (key, _)): (usize, &(Node<'_>, Node<'_>))| match &key.value {
        Value::Scalar { text, plain } => {
            let merges = *plain && text == "<<";
            let mut earlier = entries.iter().take(number);
            !merges && earlier.all(|(other, _)| other.text() != Some(text))
        }
        Value::Null | Value::Refused | Value::List(_) | Value::Map(_) => false,
    };
    entries.len() <= FEW && entries.iter().enumerate().all(fit)
}

fn measure(node: &Node<'_>) -> Size {
    let inside = |children: &mut dyn Iterator<Item = &Node<'_>>| {
        children.map(measure).fold(Size { cost: 1, depth: 1 }, |sum, size| Size {
            cost: sum.cost.saturating_add(size.cost),
            depth: sum.depth.max(size.depth + 1),
        })
    };
    match &node.value {
        Value::Null | Value::Refused => Size { cost: 1, depth: 0 },
        Value::Scalar { text, .. } => Size { cost: 1 + text.len() / 32, depth: 0 },
        Value::List(items) => inside(&mut items.iter()),
        Value::Map(entries) => inside(&mut entries.iter().flat_map(|(key, value)| [key, value])),
    }
}
