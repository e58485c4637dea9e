//! Path patterns by segment. One table holds the literals of all nodes, and the nodes are small: there may be a hundred
//! thousand routes.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;
use hashbrown::HashTable;

use crate::policy::pattern::PathPattern;
use crate::policy::pattern::Segment;

/// No pattern, no node. Greater than every number, so that the lowest of several numbers is found by comparing alone.
pub(super) const NONE: u32 = u32::MAX;

/// Patterns with numbers. A pattern's number is its precedence: the lowest that matches wins.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// All literal segments, one behind the other.
    text: Vec<u8>,
    /// The nodes that a literal leads to, by the node it starts from and its octets.
    literals: HashTable<u32>,
    /// A quick one: what is in the table is the operator's choice, and what is looked up is never put in.
    hasher: DefaultHashBuilder,
}

#[derive(Debug)]
struct Node {
    /// The node above, and the literal that leads from there to here, as a part of `text`.
    parent: u32,
    start: u32,
    end: u32,
    /// The node behind any one segment.
    any: u32,
    /// The pattern that ends here.
    exact: u32,
    /// The pattern whose `**` stands here.
    open: u32,
    /// The lowest pattern number in this subtree.
    lowest: u32,
}

impl Node {
    fn new(parent: u32, start: u32, end: u32) -> Node {
        Node { parent, start, end, any: NONE, exact: NONE, open: NONE, lowest: NONE }
    }
}

impl Default for Trie {
    fn default() -> Self {
        let (text, literals, hasher) = (Vec::new(), HashTable::new(), DefaultHashBuilder::default());
        Trie { nodes: vec![Node::new(NONE, 0, 0)], text, literals, hasher }
    }
}

impl Trie {
    /// Add a pattern; with `fold`, as a server takes it that ignores ASCII case.
    pub(super) fn insert(&mut self, pattern: &PathPattern, number: u32, fold: bool) {
        let mut at = 0;
        for segment in pattern.segments() {
            self.lower(at, number);
            at = match segment {
                Segment::Any => self.any(at),
                Segment::Literal(octets) if fold => self.literal(at, &octets.to_ascii_lowercase()),
                Segment::Literal(octets) => self.literal(at, octets),
            };
        }
        self.lower(at, number);
        if let Some(node) = self.node_mut(at) {
            let slot = if pattern.is_open() { &mut node.open } else { &mut node.exact };
            // Folding can make two patterns meet: the earlier one keeps the place.
            *slot = number.min(*slot);
        }
    }

    /// The lowest number of the patterns that cover a path, or [`NONE`].
    pub(super) fn find<'s>(&self, segments: impl Iterator<Item = &'s [u8]> + Clone) -> u32 {
        let mut best = NONE;
        self.search(0, segments, &mut best);
        best
    }

    /// Give back the room that growing has taken in advance.
    pub(super) fn shrink(&mut self) {
        self.nodes.shrink_to_fit();
        self.text.shrink_to_fit();
    }

    fn search<'s>(&self, at: u32, mut segments: impl Iterator<Item = &'s [u8]> + Clone, best: &mut u32) {
        let Some(node) = self.node(at) else { return };
        if node.lowest >= *best {
            return;
        }
        *best = node.open.min(*best);
        if node.lowest == *best {
            // Nothing below is better than the `**` that stands here.
            return;
        }
        let Some(first) = segments.next() else {
            *best = node.exact.min(*best);
            return;
        };
        if let Some(next) = self.behind(at, first) {
            self.search(next, segments.clone(), best);
        }
        if node.any != NONE && !first.is_empty() {
            self.search(node.any, segments, best);
        }
    }

    /// The node that a literal leads to.
    fn behind(&self, at: u32, literal: &[u8]) -> Option<u32> {
        self.literals.find(self.hash(at, literal), |next| self.leads_to(at, literal, *next)).copied()
    }

    fn leads_to(&self, at: u32, literal: &[u8], next: u32) -> bool {
        self.node(next).is_some_and(|node| node.parent == at && self.literal_of(node) == literal)
    }

    fn literal_of(&self, node: &Node) -> &[u8] {
        self.text.get(node.start as usize..node.end as usize).unwrap_or_default()
    }

    fn hash(&self, at: u32, literal: &[u8]) -> u64 {
        self.hasher.hash_one((at, literal))
    }

    fn node(&self, at: u32) -> Option<&Node> {
        self.nodes.get(at as usize)
    }

    fn node_mut(&mut self, at: u32) -> Option<&mut Node> {
        self.nodes.get_mut(at as usize)
    }

    fn lower(&mut self, at: u32, number: u32) {
        if let Some(node) = self.node_mut(at) {
            node.lowest = number.min(node.lowest);
        }
    }

    /// The node behind any segment, made if there is none.
    fn any(&mut self, at: u32) -> u32 {
        match self.node(at) {
            Some(node) if node.any != NONE => node.any,
            _ => {
                let new = self.add(Node::new(NONE, 0, 0));
                if let Some(node) = self.node_mut(at) {
                    node.any = new;
                }
                new
            }
        }
    }

    /// The node behind a literal, made if there is none.
    fn literal(&mut self, at: u32, literal: &[u8]) -> u32 {
        if let Some(next) = self.behind(at, literal) {
            return next;
        }
        let start = small(self.text.len());
        self.text.extend_from_slice(literal);
        let new = self.add(Node::new(at, start, small(self.text.len())));
        let hash = self.hash(at, literal);
        let Trie { nodes, text, literals, hasher } = self;
        literals.insert_unique(hash, new, |moved| {
            let node = nodes.get(*moved as usize);
            let (parent, range) =
                node.map_or((NONE, 0..0), |node| (node.parent, node.start as usize..node.end as usize));
            hasher.hash_one((parent, text.get(range).unwrap_or_default()))
        });
        new
    }

    fn add(&mut self, node: Node) -> u32 {
        self.nodes.push(node);
        small(self.nodes.len() - 1)
    }
}

/// A policy is at most 16 MiB of text a file, far from four billion of anything.
fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NONE)
}
