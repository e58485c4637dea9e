//! The routes of one host block, found by path and method in time that does not grow with their number.

mod trie;

use std::sync::Arc;

use hashbrown::HashMap;

use crate::model::path::reading::Reading;
use crate::policy::regex::PathRegex;
use crate::policy::route::Route;
use crate::policy::route::RoutePattern;
use crate::policy::table::trie::NONE;
use crate::policy::table::trie::Trie;

/// Routes in the order they were written. A pattern goes by the number of its first route.
#[derive(Debug, Default)]
pub struct RouteTable {
    routes: Vec<Route>,
    /// For each route: the next one with the same pattern, or [`NONE`].
    next: Vec<u32>,
    exact: Trie,
    /// The same with folded literals, for readings of servers that ignore case; `None` where it would be no other. Apart,
    /// because few have one, and there may be ten thousand hosts.
    folded: Option<Box<Trie>>,
    /// Expressions, tried in order where they come before what the tries find.
    regexes: Vec<(u32, Arc<PathRegex>)>,
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
    /// Index routes in their order, each by its pattern. The patterns themselves are not kept.
    pub fn new(routes: Vec<(RoutePattern, Route)>) -> RouteTable {
        let (patterns, routes): (Vec<RoutePattern>, Vec<Route>) = routes.into_iter().unzip();
        let mut table = RouteTable { next: vec![NONE; routes.len()], ..RouteTable::default() };
        table.mentions_upper_case = patterns.iter().any(RoutePattern::mentions_upper_case);
        let in_paths =
            |pattern: &RoutePattern| matches!(pattern, RoutePattern::Path(_)) && pattern.mentions_upper_case();
        table.folded = patterns.iter().any(in_paths).then(Box::default);
        // The last route so far of each pattern.
        let mut last: HashMap<&RoutePattern, u32> = HashMap::with_capacity(patterns.len());
        for (pattern, number) in patterns.iter().zip(0..) {
            if let Some(before) = last.insert(pattern, number) {
                if let Some(next) = table.next.get_mut(before as usize) {
                    *next = number;
                }
                continue;
            }
            match pattern {
                RoutePattern::Path(pattern) => {
                    table.exact.insert(pattern, number, false);
                    if let Some(folded) = &mut table.folded {
                        folded.insert(pattern, number, true);
                    }
                }
                RoutePattern::Regex(regex) => table.regexes.push((number, Arc::clone(regex))),
            }
        }
        drop(last);
        table.exact.shrink();
        table.routes = routes;
        table.routes.shrink_to_fit();
        table
    }

    /// The first route whose path matches fixes the pattern; of the routes with that pattern, the first that lists
    /// the method is the one.
    pub fn find(&self, reading: &Reading<'_>, method: &str) -> Found<'_> {
        let trie = self.folded.as_deref().filter(|_| reading.folded()).unwrap_or(&self.exact);
        let listed = trie.find(reading.segments());
        let mut decoded = None;
        let mut covers =
            |regex: &PathRegex| regex.covers(decoded.get_or_insert_with(|| reading.decoded()), reading.folded());
        let earlier = self.regexes.iter().take_while(|(number, _)| *number < listed);
        let matched = earlier.into_iter().find(|(_, regex)| covers(regex));
        let mut number = matched.map_or(listed, |(number, _)| *number);
        let Some(first) = self.routes.get(number as usize) else { return Found::Nothing };
        while let Some(route) = self.routes.get(number as usize) {
            if route.methods.lists(method) {
                return Found::Route(route);
            }
            number = self.next.get(number as usize).copied().unwrap_or(NONE);
        }
        Found::OtherMethods(first)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::path::Path;
    use crate::policy::pattern::PathPattern;
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
            let (_, route) = route(name, "/", "");
            (RoutePattern::Regex(Arc::new(PathRegex::parse(text).expect(text))), route)
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

    /// The table against the rule itself: every pattern in order.
    #[test]
    fn the_table_finds_what_going_through_all_patterns_finds() {
        let segments = ["a", "b", "A", "*", "ab"];
        let mut random = 1_u32;
        let mut draw = |below: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) as usize % below
        };
        for round in 0..200 {
            let mut some = |least: usize, kinds: usize| {
                let length = draw(4).max(least);
                (0..length).map(|_| format!("/{}", segments[draw(kinds)])).collect::<String>()
            };
            let patterns: Vec<String> = (0..12)
                .map(|number| match number % 3 {
                    0 => format!("{}/**", some(0, 5)),
                    _ => some(1, 5),
                })
                .collect();
            let table = RouteTable::new(patterns.iter().map(|text| route(text, text, "")).collect());
            for _ in 0..20 {
                let target = some(1, 3);
                let path = Path::parse(&target).expect("a path");
                let readings: Vec<_> = std::iter::once(path.canonical()).chain(path.other_readings(true)).collect();
                for reading in readings {
                    let covers = |text: &&String| {
                        let pattern = PathPattern::parse(text).expect("a pattern");
                        let pattern = if reading.folded() { pattern.folded() } else { pattern };
                        pattern.covers(&PathPattern::parse(&reading.text()).expect("a path is a pattern"))
                    };
                    let found = match table.find(&reading, "GET") {
                        Found::Route(route) => Some(&*route.id.name),
                        Found::OtherMethods(_) | Found::Nothing => None,
                    };
                    let wanted = patterns.iter().find(covers).map(String::as_str);
                    assert_eq!(found, wanted, "round {round}: {} in {patterns:?}", reading.text());
                }
            }
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
