use super::*;

/// A short drawing of a tree: text in quotes when it was not plain, every node with its bytes.
fn draw(node: &Node<'_>, text: &str) -> String {
    let written = text.get(node.span.start as usize..node.span.end as usize).unwrap_or("?").replace('\n', "⏎");
    match &node.value {
        Value::Null => "null".to_owned(),
        Value::Refused => "refused".to_owned(),
        Value::Scalar { text, plain: true } => {
            assert!(written.contains(text.split(['\n', ' ']).next().unwrap_or("")), "{written} {text}");
            text.to_string()
        }
        Value::Scalar { text, plain: false } => format!("{text:?}"),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| draw(item, text)).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| format!("{}: {}", draw(key, text), draw(value, text)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

fn parsed(text: &str) -> Parsed<'_> {
    parse(0, &Arc::from("f"), text)
}

fn problems(text: &str) -> Vec<String> {
    let parsed = parsed(text);
    let place = |problem: &Problem| problem.place.as_ref().map(|p| format!("{}:{}", p.line, p.column));
    parsed.problems.iter().map(|p| format!("{} {}", place(p).unwrap_or_default(), p.message)).collect()
}

#[test]
fn good_text_becomes_a_tree() {
    for (text, want) in [
        ("", "null"),
        ("# only a comment\n", "null"),
        ("a: 1\nb: two words\n...\n", "{a: 1, b: two words}"),
        ("a:\nb: ~\nc: null\nd: ''", "{a: null, b: null, c: null, d: \"\"}"),
        ("a: \"x\\ty\"\nb: 'it''s'\n", "{a: \"x\\ty\", b: \"it's\"}"),
        ("a:\n- x\n- y: {z: [1, 2]}\n", "{a: [x, {y: {z: [1, 2]}}]}"),
        ("a: |\n  one\n  two\n", "{a: \"one\\ntwo\\n\"}"),
        ("a: !!str 12\nb: !!map {c: !!seq [d]}\n", "{a: \"12\", b: {c: [d]}}"),
        ("a: &x [1, 2]\nb: *x\nc: *x\n", "{a: [1, 2], b: [1, 2], c: [1, 2]}"),
        ("\u{feff}a: 1\n", "{a: 1}"),
        ("a: 1\r\nb: 2\r\n", "{a: 1, b: 2}"),
        ("---\na: 1\n", "{a: 1}"),
        ("a: [\n  x,\n]\n", "{a: [x]}"),
        ("\"<<\": 1\n", "{\"<<\": 1}"),
    ] {
        let parsed = parsed(text);
        assert_eq!(parsed.problems, [], "{text}");
        assert_eq!(parsed.root.map(|root| draw(&root, text)).as_deref(), Some(want), "{text}");
    }
}

#[test]
fn spans_cover_what_was_written() {
    let text = "hosts:\n  ä.test: {a: [b,  c]}\n  empty:\n  last:\n    - path: /x\n      name: y   # why\nend: 1\n";
    let root = parsed(text).root.expect("a tree");
    let mut seen = Vec::new();
    fn walk(node: &Node<'_>, text: &str, seen: &mut Vec<String>) {
        let Span { line, column, start, end, .. } = node.span;
        seen.push(format!(
            "{line}:{column} {}",
            text.get(start as usize..end as usize).unwrap_or("?").replace('\n', "⏎")
        ));
        match &node.value {
            Value::Null | Value::Refused | Value::Scalar { .. } => {}
            Value::List(items) => items.iter().for_each(|item| walk(item, text, seen)),
            Value::Map(entries) => entries.iter().for_each(|(key, value)| {
                walk(key, text, seen);
                walk(value, text, seen);
            }),
        }
    }
    let Value::Map(entries) = &root.value else { panic!("a mapping") };
    walk(&entries[0].1, text, &mut seen);
    assert_eq!(
        seen,
        [
            "2:3 ä.test: {a: [b,  c]}⏎  empty:⏎  last:⏎    - path: /x⏎      name: y",
            "2:3 ä.test",
            "2:11 {a: [b,  c]}",
            "2:12 a",
            "2:15 [b,  c]",
            "2:16 b",
            "2:20 c",
            "3:3 empty",
            "3:3 empty",
            "4:3 last",
            "5:5 - path: /x⏎      name: y",
            "5:7 path: /x⏎      name: y",
            "5:7 path",
            "5:13 /x",
            "6:7 name",
            "6:13 y",
        ]
    );
}

#[test]
fn what_a_policy_does_not_need_is_refused() {
    let wide: String = (0..40).map(|n| format!("k{n}: 1\n")).collect();
    for (text, want) in [
        (
            "a: 1\nb: 2\na: 3\na: 4\n",
            &["3:1 the key `a` is written twice, first in line 1", "4:1 the key `a` is written twice, first in line 1"]
                [..],
        ),
        (
            &format!("{wide}k7: 2\nk7: 3\n"),
            &[
                "41:1 the key `k7` is written twice, first in line 8",
                "42:1 the key `k7` is written twice, first in line 8",
            ],
        ),
        ("a: {b: 1, \"b\": 2}\n", &["1:11 the key `b` is written twice, first in line 1"]),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", &["3:3 the merge key `<<` is not supported"]),
        ("? [a]\n: 1\n~: 2\n", &["1:3 a key must be text, not a list", "3:1 a key must be text, not nothing"]),
        (
            "a: !!int 1\nb: !x {c: 1}\n",
            &["1:4 the tag `!!int` means nothing here", "2:4 the tag `!x` means nothing here"],
        ),
        ("a: 1\n---\nb: 2\n", &["2:1 a second document begins here"]),
        ("a: 1\n...\n---\n...\n", &["3:1 a second document begins here"]),
        ("%YAML 1.2\n---\na: 1\n", &["1:1 YAML directives are not allowed"]),
        ("a:\n\tb: 1\n", &["2:2 this is not YAML: a tab stands where YAML wants spaces"]),
        ("a: [1, 2\n", &["1:4 this is not YAML: `[` is never closed"]),
        ("a: *b\n", &["1:4 `*b` is an alias in YAML, and refers to nothing written above it"]),
        ("a: &a [*a]\n", &["1:8 this alias stands within the value it refers to"]),
        ("a: @b\n", &["1:4 this is not YAML: a value cannot begin with `@`"]),
    ] {
        assert_eq!(problems(text), want, "{text}");
    }
}

#[test]
fn aliases_have_a_budget() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..9 {
        let refs = vec![format!("*a{}", n - 1); 10].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{refs}]\n"));
    }
    assert_eq!(problems(&bomb), ["6:20 the aliases of this file expand to too much"]);
    let mut deep = format!("a0: &a0 {}x{}\n", "[".repeat(50), "]".repeat(50));
    deep.push_str(&format!("a1: {}*a0{}\n", "[".repeat(50), "]".repeat(50)));
    assert_eq!(problems(&deep), ["2:55 this is nested deeper than 64 levels"]);
}

#[test]
fn nesting_has_a_limit() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        assert_eq!(problems(&format!("{}x{}", open.repeat(64), close.repeat(64))), [] as [&str; 0]);
        let want = format!("1:{} this is nested deeper than 64 levels", 64 * open.len() + 1);
        for depth in [65, 10_000] {
            assert_eq!(problems(&format!("{}x{}", open.repeat(depth), close.repeat(depth))), [want.as_str()]);
        }
    }
    let block: String = (0..1000).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert_eq!(problems(&block), ["65:65 this is nested deeper than 64 levels"]);
}

#[test]
fn the_end_marker_is_seen() {
    for (text, ended) in [
        ("a: 1\n...\n", true),
        ("a: 1\n...", true),
        ("a: 1\n... # done\n\n# bye\n", true),
        ("a: 1\r\n...\r\n", true),
        ("a: |\n  x\n...\n", true),
        ("a: 1\n", false),
        ("a: |\n  ...\n", false),
        ("a: ...\n", false),
        ("", false),
    ] {
        assert_eq!(parsed(text).ended, ended, "{text:?}");
    }
}
