use std::sync::Arc;

use super::*;
use crate::config::load::Pretend;
use crate::config::load::load;
use crate::model::problem::Place;

const TEXT: &str = "\
version: 1
hosts:
  wiki.test:
    routes:
      - path: /a
        require: {groups: [x, y]}
      - {path: /b, public: true}
  empty: &e
  \"a b\": {k: }
";

fn source(name: &str, text: &str) -> SourceFile {
    SourceFile { name: name.into(), text: text.into(), ended: false }
}

fn place(text: &str, nth: usize) -> Place {
    let start = TEXT.match_indices(text).nth(nth).map(|(start, _)| start).expect("text to point at");
    let before = TEXT.get(..start).expect("text before it");
    let line = before.matches('\n').count() + 1;
    let column = start - before.rfind('\n').map_or(0, |newline| newline + 1) + 1;
    let span = (start as u32, (start + text.len()) as u32);
    Place { file: Arc::from("f.yaml"), line: line as u32, column: column as u32, span }
}

#[test]
fn places_lead_to_keys() {
    for (text, nth, want) in [
        ("version", 0, "version"),
        ("1", 0, "version"),
        ("hosts", 0, "hosts"),
        ("wiki.test", 0, "hosts.\"wiki.test\""),
        ("routes", 0, "hosts.\"wiki.test\".routes"),
        ("path: /a\n        require: {groups: [x, y]}", 0, "hosts.\"wiki.test\".routes[0]"),
        ("path", 0, "hosts.\"wiki.test\".routes[0].path"),
        ("{groups: [x, y]}", 0, "hosts.\"wiki.test\".routes[0].require"),
        ("[x, y]", 0, "hosts.\"wiki.test\".routes[0].require.groups"),
        ("y]", 0, "hosts.\"wiki.test\".routes[0].require.groups"),
        (" y", 0, "hosts.\"wiki.test\".routes[0].require.groups"),
        ("y", 0, "hosts.\"wiki.test\".routes[0].require.groups[1]"),
        ("{path: /b, public: true}", 0, "hosts.\"wiki.test\".routes[1]"),
        ("true", 0, "hosts.\"wiki.test\".routes[1].public"),
        ("empty", 0, "hosts.empty"),
        ("\"a b\"", 0, "hosts.\"a b\""),
        ("{k: }", 0, "hosts.\"a b\""),
        ("k", 1, "hosts.\"a b\".k"),
    ] {
        let problem = Problem::error(place(text, nth), "", "odd");
        let report = Report::new(Problems(vec![problem]), &[source("f.yaml", TEXT)]);
        assert_eq!(report.problems().0[0].key, want, "{text}");
    }
}

#[test]
fn problems_come_in_the_order_of_the_text() {
    let at = |file: &str, start| Place { file: file.into(), line: start, column: 1, span: (start, start + 1) };
    let problems = [
        Problem::error(None, "", "nowhere"),
        Problem::warning(at("b.yaml", 0), "", "second file"),
        Problem::error(at("a.yaml", 4), "k", "later"),
        Problem::error(at("a.yaml", 0), "", "first"),
        Problem::error(at("keys.json", 0), "", "another file"),
    ];
    let files = [source("a.yaml", "a: 1\n\n\n"), source("b.yaml", "b: 1\n")];
    let report = Report::new(Problems(problems.to_vec()), &files);
    let messages: Vec<&str> = report.problems().0.iter().map(|problem| problem.message.as_str()).collect();
    assert_eq!(messages, ["first", "later", "second file", "another file", "nowhere"]);
    assert_eq!(report.count(), "4 errors, 1 warning");
}

#[test]
fn a_report_reads_like_a_compiler() {
    let world = Pretend::new().file("p.yaml", "version: 1\nhosts:\n  a.test:\n    rutes: [{path: /}]\n...\n");
    let report = load("p.yaml".as_ref(), &world).expect_err("an unknown key").report(Problems::default());
    let want = "\
error: unknown key `rutes`
 --> p.yaml:4:5
  |
4 |     rutes: [{path: /}]
  |     ^^^^^
  |
  = key: hosts.\"a.test\".rutes
  = help: did you mean `routes`?

1 error
";
    assert_eq!(report.text(false), want);
    assert!(report.text(true).contains("\u{1b}["));
    assert_eq!(
        report.json(),
        json!([{
            "severity": "error", "file": "p.yaml", "line": 4, "column": 5, "key": "hosts.\"a.test\".rutes",
            "message": "unknown key `rutes`", "help": "did you mean `routes`?",
        }])
    );
}

#[test]
fn odd_places_are_drawn_without_harm() {
    for (text, span) in
        [("", (0, 0)), ("a", (1, 1)), ("ä", (1, 1)), ("a\nb", (0, 3)), ("a", (7, 9)), ("a", (1, 0)), ("\n", (0, 1))]
    {
        let place = Place { file: "f".into(), line: 1, column: 1, span };
        let report = Report::new(Problems(vec![Problem::error(place, "", "odd")]), &[source("f", text)]);
        assert!(report.text(false).starts_with("error: odd\n"), "{text:?}");
    }
}

#[test]
fn no_control_reaches_the_terminal() {
    let text = "version: 1\n\"\u{9b}31m\": 1 # \u{1b}[31m \u{85}\u{202e}\n";
    let refused = load(std::path::Path::new("p.yaml"), &Pretend::new().file("p.yaml", text)).expect_err("unknown key");
    let shown = refused.report(Problems::default()).text(false);
    assert!(!shown.contains(|letter: char| letter.is_control() && letter != '\n' || letter == '\u{202e}'), "{shown:?}");
}

#[test]
fn no_password_of_a_url_is_shown() {
    let text = "version: 1\nurls: [\"https://me:hünter2@sso.test/a?b@c\", http://tok@x, redis://r.test/@y] # a://b@c\n";
    let refused = load(std::path::Path::new("p.yaml"), &Pretend::new().file("p.yaml", text)).expect_err("unknown key");
    let shown = refused.report(Problems::default()).text(false);
    let want = "2 | urls: [\"https://***********@sso.test/a?b@c\", http://***@x, redis://r.test/@y] # a://*@c\n";
    assert!(shown.contains(want), "{shown}");
}
