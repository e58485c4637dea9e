//! The routes of one host block, found by path and method in time that does not grow with their number.

use std::collections::HashMap;

use crate::model::path::reading::Reading;
use crate::policy::pattern::PathPattern;
use crate::policy::pattern::Segment;
use crate::policy::regex::PathRegex;
use crate::policy::route::Route;
use crate::policy::route::RoutePattern;

/// Routes in the order they were written, grouped by pattern.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// For each pattern, in the order of its first route: the routes that have it.
    patterns: Vec<Vec<usize>>,
    exact: Trie,
    /// The same with folded literals, for readings of servers that ignore case.
    folded: Trie,
    /// Expressions, tried in order where they come before what the tries find.
    regexes: Vec<(usize, PathRegex)>,
    mentions_upper_case: bool,
}

/// What a path and a method lead to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Found<'p> {
    Route(&'p Route),
    /// The path's pattern is this route's, but no route with the pattern lists the method.
    OtherMethods(&'p Route),
    Nothing,
}

impl RouteTable {
    /// Index routes in their order.
    pub fn new(routes: Vec<Route>) -> RouteTable {
        let mut table = RouteTable::default();
        #[expect(clippy::mutable_key_type, reason = "an expression is hashed and compared by its text alone")]
        let mut numbers: HashMap<RoutePattern, usize> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            let next = table.patterns.len();
            let number = *numbers.entry(route.pattern.clone()).or_insert(next);
            if number == next {
                table.patterns.push(Vec::new());
                match &route.pattern {
                    RoutePattern::Path(pattern) => {
                        table.exact.insert(pattern, number, false);
                        table.folded.insert(pattern, number, true);
                    }
                    RoutePattern::Regex(regex) => table.regexes.push((number, regex.clone())),
                }
                table.mentions_upper_case |= route.pattern.mentions_upper_case();
            }
            if let Some(group) = table.patterns.get_mut(number) {
                group.push(index);
            }
        }
        table.routes = routes;
        table
    }

    /// The first route whose path matches fixes the pattern; of the routes with that pattern, the first that lists
    /// the method is the one.
    pub fn find(&self, reading: &Reading<'_>, method: &str) -> Found<'_> {
        let trie = if reading.folded() { &self.folded } else { &self.exact };
        let listed = trie.find(reading.segments());
        let earlier = |number: usize| listed.is_none_or(|listed| number < listed);
        let mut decoded = None;
        let mut covers =
            |regex: &PathRegex| regex.covers(decoded.get_or_insert_with(|| reading.decoded()), reading.folded());
        let matched = self.regexes.iter().take_while(|(number, _)| earlier(*number)).find(|(_, regex)| covers(regex));
        let first = matched.map(|(number, _)| *number).or(listed);
        let Some(group) = first.and_then(|number| self.patterns.get(number)) else {
            return Found::Nothing;
        };
        let mut routes = group.iter().filter_map(|index| self.routes.get(*index));
        let Some(first) = routes.clone().next() else { return Found::Nothing };
        match routes.find(|route| route.methods.lists(method)) {
            Some(route) => Found::Route(route),
            None => Found::OtherMethods(first),
        }
    }

    /// Every route, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Route> {
        self.routes.iter()
    }

    /// Is there a pattern with an upper-case letter? Then even a lower-case path may be another one's, folded.
    pub fn mentions_upper_case(&self) -> bool {
        self.mentions_upper_case
    }
}

/// Patterns by segment. A pattern's number is its precedence: the lowest that matches wins.
#[derive(Debug)]
struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    literals: HashMap<Box<[u8]>, usize>,
    any: Option<usize>,
    /// The pattern that ends here.
    exact: Option<usize>,
    /// The pattern whose `**` stands here.
    open: Option<usize>,
    /// The lowest pattern number in this subtree.
    lowest: Option<usize>,
}

impl Default for Trie {
    fn default() -> Self {
        Trie { nodes: vec![Node::default()] }
    }
}

impl Trie {
    fn insert(&mut self, pattern: &PathPattern, number: usize, fold: bool) {
        let mut at = 0;
        for segment in pattern.segments() {
            self.lower(at, number);
            let next = self.nodes.len();
            let Some(node) = self.nodes.get_mut(at) else { return };
            at = match segment {
                Segment::Any => *node.any.get_or_insert(next),
                Segment::Literal(octets) => {
                    let key = if fold { octets.to_ascii_lowercase() } else { octets.clone() };
                    *node.literals.entry(key.into_boxed_slice()).or_insert(next)
                }
            };
            if at == next {
                self.nodes.push(Node::default());
            }
        }
        self.lower(at, number);
        if let Some(node) = self.nodes.get_mut(at) {
            let slot = if pattern.is_open() { &mut node.open } else { &mut node.exact };
            // Folding can make two patterns meet: the earlier one keeps the place.
            slot.get_or_insert(number);
        }
    }

    fn lower(&mut self, at: usize, number: usize) {
        if let Some(node) = self.nodes.get_mut(at) {
            node.lowest = Some(node.lowest.map_or(number, |lowest| lowest.min(number)));
        }
    }

    fn find<'s>(&self, segments: impl Iterator<Item = &'s [u8]> + Clone) -> Option<usize> {
        let mut best = None;
        self.search(0, segments, &mut best);
        best
    }

    fn search<'s>(&self, at: usize, mut segments: impl Iterator<Item = &'s [u8]> + Clone, best: &mut Option<usize>) {
        let Some(node) = self.nodes.get(at) else { return };
        let better = |number: usize, best: &Option<usize>| best.is_none_or(|best| number < best);
        if !node.lowest.is_some_and(|lowest| better(lowest, best)) {
            return;
        }
        if let Some(number) = node.open
            && better(number, best)
        {
            *best = Some(number);
        }
        let Some(first) = segments.next() else {
            if let Some(number) = node.exact
                && better(number, best)
            {
                *best = Some(number);
            }
            return;
        };
        if let Some(next) = node.literals.get(first) {
            self.search(*next, segments.clone(), best);
        }
        if let Some(next) = node.any
            && !first.is_empty()
        {
            self.search(next, segments, best);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::path::Path;
    use crate::policy::route::testing::route;

    fn found(routes: &[(&str, &str)], method: &str, target: &str) -> String {
        let table = RouteTable::new(
            routes
                .iter()
                .enumerate()
                .map(|(index, (path, methods))| route(&index.to_string(), path, methods))
                .collect(),
        );
        let path = Path::parse(target).expect(target);
        match table.find(&path.canonical(), method) {
            Found::Route(route) => route.id.name.to_string(),
            Found::OtherMethods(route) => format!("!{}", route.id.name),
            Found::Nothing => "-".to_owned(),
        }
    }

    #[test]
    fn the_first_matching_path_fixes_the_pattern_and_then_the_method_chooses() {
        let routes = [
            ("/a/{id}", "GET"),
            ("/a/b", "POST"),
            ("/a/*", "POST"),
            ("/b/**", ""),
            ("/b/c", ""),
            ("/c", "any"),
            ("/d/**", "PROPFIND"),
            ("/**", "GET"),
        ];
        for (method, target, want) in [
            ("GET", "/a/b", "0"),
            ("HEAD", "/a/b", "0"),
            ("POST", "/a/b", "2"),
            ("PUT", "/a/b", "!0"),
            ("GET", "/a", "7"),
            ("GET", "/a/", "7"),
            ("GET", "/a/b/c", "7"),
            ("PUT", "/b", "3"),
            ("PUT", "/b/c", "3"),
            ("PROPFIND", "/b/c", "!3"),
            ("PROPFIND", "/d/x", "6"),
            ("GET", "/d/x", "!6"),
            ("MADE-UP", "/c", "5"),
            ("GET", "/", "7"),
            ("POST", "/", "!7"),
        ] {
            assert_eq!(found(&routes, method, target), want, "{method} {target}");
        }
        assert_eq!(found(&[("/a", "")], "GET", "/b"), "-");
        assert_eq!(found(&[("/a", "")], "GET", "/"), "-");
        assert_eq!(found(&[], "GET", "/"), "-");
    }

    #[test]
    fn p12_segments_are_whole() {
        for (target, want) in [("/admin", "0"), ("/admin/x", "0"), ("/adminx", "-"), ("/admi", "-"), ("/%61dmin", "0")]
        {
            assert_eq!(found(&[("/admin/**", "")], "GET", target), want, "{target}");
        }
    }

    #[test]
    fn expressions_keep_their_place_in_the_order() {
        let regex = |name: &str, text: &str| {
            let mut route = route(name, "/", "");
            route.pattern = RoutePattern::Regex(PathRegex::parse(text).expect(text));
            route
        };
        let table = RouteTable::new(vec![
            route("first", "/img/logo.png", ""),
            regex("pictures", r"/img/.*\.png"),
            route("images", "/img/**", ""),
            regex("late", "/img/.*"),
        ]);
        for (target, want) in
            [("/img/logo.png", "first"), ("/img/x.png", "pictures"), ("/img/x.gif", "images"), ("/other", "-")]
        {
            let path = Path::parse(target).expect(target);
            let found = match table.find(&path.canonical(), "GET") {
                Found::Route(route) => &*route.id.name,
                Found::OtherMethods(_) | Found::Nothing => "-",
            };
            assert_eq!(found, want, "{target}");
        }
    }

    #[test]
    fn folded_readings_meet_folded_patterns() {
        let table = RouteTable::new(vec![route("upper", "/Admin/**", ""), route("rest", "/**", "")]);
        assert!(table.mentions_upper_case());
        let path = Path::parse("/admin/x").expect("a path");
        let name = |found| match found {
            Found::Route(route) => route.id.name.to_string(),
            _ => "-".to_owned(),
        };
        assert_eq!(name(table.find(&path.canonical(), "GET")), "rest");
        let folded = path.other_readings(true);
        assert_eq!(folded.len(), 1);
        assert_eq!(name(table.find(&folded[0], "GET")), "upper");
    }
}
