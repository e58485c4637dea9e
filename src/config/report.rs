//! Everything that was found in a policy, for people and for programs.

pub mod draw;
mod key;

use std::collections::HashSet;
use std::fmt;

use serde_json::json;

use crate::config::load::SourceFile;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::problem::Severity;

/// Problems in the order of the text they are about, and that text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    problems: Problems,
    files: Vec<SourceFile>,
}

impl Report {
    /// Put problems in order, each once, and find the path to the key for those that have only a place.
    pub fn new(problems: Problems, files: &[SourceFile]) -> Report {
        // What a host inherits is judged with every host.
        let mut seen = HashSet::new();
        let mut problems = Problems(problems.0.into_iter().filter(|problem| seen.insert(problem.clone())).collect());
        let number = |name: &str| files.iter().position(|file| &*file.name == name).unwrap_or(files.len());
        problems.0.sort_by_cached_key(|problem| match &problem.place {
            Some(place) => (number(&place.file), place.span.0, place.line),
            None => (usize::MAX, 0, 0),
        });
        key::fill(&mut problems, files);
        Report { problems, files: files.to_vec() }
    }

    /// What was found, in order.
    pub fn problems(&self) -> &Problems {
        &self.problems
    }

    /// The same, without the text.
    pub fn into_problems(self) -> Problems {
        self.problems
    }

    /// For people: every problem with the line it is about, then the count.
    pub fn text(&self, colour: bool) -> String {
        let mut text = String::new();
        for problem in &self.problems.0 {
            text.push_str(&draw::draw(problem, &self.files, colour));
            text.push_str("\n\n");
        }
        text.push_str(&self.count());
        text.push('\n');
        text
    }

    /// For programs: an array with an object for every problem.
    pub fn json(&self) -> serde_json::Value {
        self.problems.0.iter().map(entry).collect()
    }

    /// `2 errors, 1 warning`.
    pub fn count(&self) -> String {
        let count = |severity| self.problems.0.iter().filter(|problem| problem.severity == severity).count();
        let say = |number: usize, what: &str| match number {
            0 => None,
            1 => Some(format!("1 {what}")),
            _ => Some(format!("{number} {what}s")),
        };
        let parts = [say(count(Severity::Error), "error"), say(count(Severity::Warning), "warning")];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "no problems".to_owned() } else { parts.join(", ") }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(false))
    }
}

impl std::error::Error for Report {}

fn entry(problem: &Problem) -> serde_json::Value {
    json!({
        "severity": severity(problem.severity),
        "file": problem.place.as_ref().map(|place| &*place.file),
        "line": problem.place.as_ref().map(|place| place.line),
        "column": problem.place.as_ref().map(|place| place.column),
        "key": problem.key,
        "message": problem.message,
        "help": problem.help,
    })
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

#[cfg(test)]
mod tests;
