//! Several files as one policy. Named things from all files stand together; nothing may be written twice.

use std::collections::HashMap;
use std::sync::Arc;

use crate::config::yaml::Node;
use crate::config::yaml::Span;
use crate::config::yaml::Value;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// The sections whose entries may come from several files.
const SHARED: [&str; 5] = ["identity", "roles", "networks", "defaults", "hosts"];

type Entry<'t> = (Node<'t>, Node<'t>);

/// One root from those of all files. `None` when there is nothing to go on with.
pub(super) fn merge<'t>(roots: Vec<Node<'t>>, names: &[Arc<str>], problems: &mut Problems) -> Option<Node<'t>> {
    if roots.len() < 2 {
        return roots.into_iter().next();
    }
    let place = |span: Span| names.get(span.file as usize).map(|name| span.place(name));
    let span = roots.first()?.span;
    let mut sections: Vec<Vec<Entry<'t>>> = Vec::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    for root in roots {
        let found = root.kind();
        let Value::Map(entries) = root.value else {
            problems.push(match root.value {
                Value::Null => empty_file(place(root.span)),
                _ => Problem::error(place(root.span), "", format!("expected a mapping, found {found}")),
            });
            continue;
        };
        for (key, value) in entries {
            let number = *numbers.entry(key.text().unwrap_or("").to_owned()).or_insert(sections.len());
            match sections.get_mut(number) {
                Some(section) => section.push((key, value)),
                None => sections.push(vec![(key, value)]),
            }
        }
    }
    let entries = sections.into_iter().filter_map(|section| join(section, &place, problems)).collect();
    Some(Node { value: Value::Map(entries), span })
}

/// What all files write under one key.
fn join<'t>(
    section: Vec<Entry<'t>>,
    place: &dyn Fn(Span) -> Option<Place>,
    problems: &mut Problems,
) -> Option<Entry<'t>> {
    let alone = section.len() == 1;
    let mut section = section.into_iter();
    let (key, mut first) = section.next()?;
    if alone {
        return Some((key, first));
    }
    let name = key.text().unwrap_or("").to_owned();
    let mut seen: HashMap<String, Span> = HashMap::new();
    if let Value::Map(entries) = &first.value {
        seen.extend(entries.iter().map(|(key, _)| (key.text().unwrap_or("").to_owned(), key.span)));
    }
    for (again, value) in section {
        if name == "version" && value.text().is_some() && value.text() == first.text() {
            continue;
        }
        match (&mut first.value, value.value) {
            (Value::Map(entries), Value::Map(more)) if SHARED.contains(&name.as_str()) => {
                for (key, value) in more {
                    let text = key.text().unwrap_or("").to_owned();
                    match seen.get(&text) {
                        Some(earlier) => problems.push(twice(&text, place(key.span), place(*earlier))),
                        None => {
                            seen.insert(text, key.span);
                            entries.push((key, value));
                        }
                    }
                }
            }
            _ => problems.push(twice(&name, place(again.span), place(key.span))),
        }
    }
    Some((key, first))
}

fn twice(key: &str, place: Option<Place>, first: Option<Place>) -> Problem {
    let first = first.map_or_else(String::new, |first| format!(", first in {}:{}", first.file, first.line));
    Problem::error(place, "", format!("the key `{key}` is written in two files{first}")).help("remove one of the two")
}

fn empty_file(place: Option<Place>) -> Problem {
    Problem::error(place, "", "there is no policy in this file").help("remove the file, or write what belongs in it")
}
