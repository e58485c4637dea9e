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
    /// Literal segments that are too long for their nodes, one behind the other.
    text: Vec<u8>,
    /// The nodes that a literal leads to, by the node it starts from and its octets.
    literals: HashTable<u32>,
    /// A quick one: what is in the table is the operator's choice, and what is looked up is never put in.
    hasher: DefaultHashBuilder,
}

/// Half of what a processor reads from memory at once, and never a part of two: of a hundred thousand nodes, a request
/// finds hardly any in its caches.
#[derive(Debug)]
#[repr(align(32))]
struct Node {
    /// The node above, and the literal that leads from there to here.
    parent: u32,
    literal: Literal,
    /// The node behind any one segment.
    any: u32,
    /// The pattern that ends here.
    exact: u32,
    /// The pattern whose `**` stands here.
    open: u32,
    /// The lowest pattern number in this subtree.
    lowest: u32,
}

/// The octets of a literal segment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Literal {
    /// In the node itself, filled up with zeros: no literal holds one.
    Short([u8; Literal::SHORT]),
    /// A part of `text`.
    Long { start: u32, end: u32 },
}

impl Literal {
    /// The longest that has room in a node.
    const SHORT: usize = 11;

    /// Nothing: no literal leads here.
    const NOTHING: Literal = Literal::Short([0; Literal::SHORT]);

    fn short(octets: &[u8]) -> Option<Literal> {
        let mut short = [0; Literal::SHORT];
        short.get_mut(..octets.len())?.copy_from_slice(octets);
        (!octets.contains(&0)).then_some(Literal::Short(short))
    }

    fn octets<'t>(&'t self, text: &'t [u8]) -> &'t [u8] {
        match self {
            Literal::Short(short) => short.split(|octet| *octet == 0).next().unwrap_or_default(),
            Literal::Long { start, end } => text.get(*start as usize..*end as usize).unwrap_or_default(),
        }
    }
}

impl Node {
    fn new(parent: u32, literal: Literal) -> Node {
        Node { parent, literal, any: NONE, exact: NONE, open: NONE, lowest: NONE }
    }
}

impl Default for Trie {
    fn default() -> Self {
        let (text, literals, hasher) = (Vec::new(), HashTable::new(), DefaultHashBuilder::default());
        Trie { nodes: vec![Node::new(NONE, Literal::NOTHING)], text, literals, hasher }
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
        let short = Literal::short(literal);
        let leads_here = |node: &Node| {
            let same = match short {
                Some(short) => node.literal == short,
                None => node.literal.octets(&self.text) == literal,
            };
            same && node.parent == at
        };
        self.literals.find(self.hash(at, literal), |next| self.node(*next).is_some_and(leads_here)).copied()
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
                let new = self.add(Node::new(NONE, Literal::NOTHING));
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
        let here = Literal::short(literal).unwrap_or_else(|| {
            let start = small(self.text.len());
            self.text.extend_from_slice(literal);
            Literal::Long { start, end: small(self.text.len()) }
        });
        let new = self.add(Node::new(at, here));
        let hash = self.hash(at, literal);
        let Trie { nodes, text, literals, hasher } = self;
        literals.insert_unique(hash, new, |moved| {
            let node = nodes.get(*moved as usize);
            node.map_or(0, |node| hasher.hash_one((node.parent, node.literal.octets(text))))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_half_of_a_cache_line() {
        assert_eq!((size_of::<Node>(), align_of::<Node>()), (32, 32));
    }

    #[test]
    fn literals_of_every_length_are_found_and_no_others() {
        let literals: Vec<String> =
            (1..30).map(|length| "abcdefghijklmnopqrstuvwxyz1234".chars().take(length).collect()).collect();
        let mut trie = Trie::default();
        for (literal, number) in literals.iter().zip(0..) {
            trie.insert(&PathPattern::parse(&format!("/{literal}/x")).expect("a pattern"), number, false);
        }
        let find = |first: &[u8]| trie.find([first, b"x"].into_iter());
        for (literal, number) in literals.iter().zip(0..) {
            assert_eq!(find(literal.as_bytes()), number, "{literal}");
            let mut other = literal.clone().into_bytes();
            other[0] = b'z';
            assert_eq!(find(&other), NONE, "{other:?}");
            other[0] = b'a';
            other.push(0);
            assert_eq!(find(&other), NONE, "{other:?}");
        }
        assert_eq!(find(b""), NONE);
    }
}
