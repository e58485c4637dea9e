//! As much of PromQL as is needed to know what an expression asks for.

/// One metric that is asked for, and the values of the labels it must have.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) metric: String,
    /// Each label with the alternatives of its value.
    pub(super) labels: Vec<(String, Vec<String>)>,
}

/// The metrics an expression asks for: `up`, and all that bear the names of ours.
pub(super) fn asked(expr: &str) -> Vec<Asked> {
    let mut asked = Vec::new();
    let mut rest = expr;
    while let Some(start) = rest.find(|letter: char| is_of_name(letter) || letter == '"') {
        rest = rest.split_at(start).1;
        if let Some(text) = rest.strip_prefix('"') {
            rest = text.split_once('"').map_or("", |(_, after)| after);
            continue;
        }
        let end = rest.find(|letter| !is_of_name(letter)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        rest = after;
        if name == "up" || name.starts_with("postern_") || name.starts_with("process_") {
            let labels;
            (labels, rest) = matchers(after);
            asked.push(Asked { metric: name.to_owned(), labels });
        }
    }
    asked
}

/// The name that a histogram's parts have in common.
pub(super) fn family(metric: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|part| metric.strip_suffix(part)).unwrap_or(metric)
}

/// What stands in braces, and what follows them.
fn matchers(text: &str) -> (Vec<(String, Vec<String>)>, &str) {
    let mut labels = Vec::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    while let Some((name, after)) = rest.split_once('"') {
        if name.contains('}') {
            break;
        }
        let (value, after) = after.split_once('"').expect("a value ends");
        let label = name.trim_matches(|letter: char| !is_of_name(letter)).to_owned();
        let alternatives = if name.contains('~') { value.split('|').collect() } else { vec![value] };
        labels.push((label, alternatives.into_iter().map(str::to_owned).collect()));
        rest = after;
    }
    (labels, rest.split_once('}').map_or("", |(_, after)| after))
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

#[test]
fn what_is_asked_for_is_found() {
    let one = |metric: &str, labels: &[(&str, &[&str])]| Asked {
        metric: metric.to_owned(),
        labels: labels
            .iter()
            .map(|(label, values)| ((*label).to_owned(), values.iter().map(|value| (*value).to_owned()).collect()))
            .collect(),
    };
    for (expr, want) in [
        ("up{job=\"postern\"} == 0", vec![one("up", &[("job", &["postern"])])]),
        (
            "sum by (instance) (rate(postern_a{x=~\"b|c\",y!=\"d\"}[5m])) > 0 or process_b",
            vec![one("postern_a", &[("x", &["b", "c"]), ("y", &["d"])]), one("process_b", &[])],
        ),
        ("postern_a unless postern_b{} offset 10m", vec![one("postern_a", &[]), one("postern_b", &[])]),
        ("label_replace(time(), \"a\", \"postern_no\", \"b\", \"c\")", vec![]),
    ] {
        assert_eq!(asked(expr), want, "{expr}");
    }
}
