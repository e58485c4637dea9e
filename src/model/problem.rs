//! What is wrong in a configuration, said to whoever wrote it.

use std::fmt;
use std::sync::Arc;

/// A position in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The file as the operator named it.
    pub file: Arc<str>,
    /// 1-based line.
    pub line: u32,
    /// 1-based column, counted in characters.
    pub column: u32,
    /// Byte range in the file, for drawing a snippet.
    pub span: (u32, u32),
}

impl Place {
    /// A place in a file that is not text with lines: the whole file.
    pub fn whole(file: impl Into<Arc<str>>) -> Place {
        Place { file: file.into(), line: 1, column: 1, span: (0, 0) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// How much a [`Problem`] matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration works, but someone should look.
    Warning,
}

/// One mistake: where, what, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Problem {
    pub severity: Severity,
    /// Where it stands; `None` only for files that cannot be read at all.
    pub place: Option<Place>,
    /// The path to the key, as `hosts."wiki.test".routes[0].require`.
    pub key: String,
    /// What is wrong, lower-case, the user's text in backticks.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
    /// `postern check` fails on it even as a warning. A server starts all the same: an outage would be worse.
    pub fails_check: bool,
}

impl Problem {
    /// A mistake that refuses the configuration.
    pub fn error(place: impl Into<Option<Place>>, key: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem {
            severity: Severity::Error,
            place: place.into(),
            key: key.into(),
            message: message.into(),
            help: None,
            fails_check: false,
        }
    }

    /// Something worth a look that refuses nothing.
    pub fn warning(place: impl Into<Option<Place>>, key: impl Into<String>, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, ..Problem::error(place, key, message) }
    }

    /// The same problem with a hint.
    pub fn help(mut self, help: impl Into<String>) -> Problem {
        self.help = Some(help.into());
        self
    }
}

/// All that was found, in the order of the files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Add one.
    pub fn push(&mut self, problem: Problem) {
        self.0.push(problem);
    }

    /// Is there anything that refuses the configuration?
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|problem| problem.severity == Severity::Error)
    }
}

impl fmt::Display for Problems {
    /// One line a problem, without snippets: for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            if let Some(place) = &problem.place {
                write!(f, "{place}: ")?;
            }
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            write!(f, "{}", problem.message)?;
            if let Some(help) = &problem.help {
                write!(f, " ({help})")?;
            }
        }
        Ok(())
    }
}
