//! Setting up the log: one line an event, JSON or for reading, always on stderr.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Columns for a person at a terminal.
    Pretty,
}

/// Why the log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("`{filter}` is not a log level or filter")]
    Filter { filter: String, source: tracing_subscriber::filter::ParseError },
    #[error("the log was set up twice")]
    Twice,
    #[error("the log has ended")]
    Gone,
}

/// Start logging. `filter` is a level (`info`) or a list as `info,postern=debug`; libraries keep to `warn`
/// unless the list names them.
pub fn start(format: LogFormat, filter: &str, colour: bool) -> Result<LogLevel, LogError> {
    let (subscriber, level) = lines(format, filter, colour, io::stderr)?;
    tracing::subscriber::set_global_default(subscriber).map_err(|_| LogError::Twice)?;
    log_panics();
    Ok(level)
}

/// What writes the lines, to `writer`, and what sets which.
pub fn lines<W>(format: LogFormat, filter: &str, colour: bool, writer: W) -> Result<(Lines, LogLevel), LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt().with_env_filter(parse(filter)?).with_writer(writer);
    Ok(match format {
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_filter_reloading();
            let handle = lines.reload_handle();
            let set = move |filter| handle.reload(filter).map_err(|_| LogError::Gone);
            (Box::new(lines.finish()), LogLevel::new(filter, set))
        }
        LogFormat::Pretty => {
            let lines = lines.with_ansi(colour).with_filter_reloading();
            let handle = lines.reload_handle();
            let set = move |filter| handle.reload(filter).map_err(|_| LogError::Gone);
            (Box::new(lines.finish()), LogLevel::new(filter, set))
        }
    })
}

/// Which lines are written; to be changed at any time.
#[derive(Clone)]
pub struct LogLevel {
    current: Arc<Mutex<String>>,
    set: Arc<dyn Fn(EnvFilter) -> Result<(), LogError> + Send + Sync>,
}

impl LogLevel {
    fn new(current: &str, set: impl Fn(EnvFilter) -> Result<(), LogError> + Send + Sync + 'static) -> LogLevel {
        LogLevel { current: Arc::new(Mutex::new(current.to_owned())), set: Arc::new(set) }
    }

    /// The level or list in force, as it was written.
    pub fn current(&self) -> String {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on write by this level or list.
    pub fn set(&self, filter: &str) -> Result<(), LogError> {
        let parsed = parse(filter)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.set)(parsed)?;
        filter.clone_into(&mut current);
        Ok(())
    }
}

fn parse(filter: &str) -> Result<EnvFilter, LogError> {
    let directives = match filter.parse::<LevelFilter>() {
        Ok(level) => format!("warn,postern={level}"),
        Err(_) => filter.to_owned(),
    };
    EnvFilter::builder()
        .with_regex(false)
        .parse(&directives)
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })
}

/// A subscriber of our log events.
pub type Lines = Box<dyn tracing::Subscriber + Send + Sync>;

/// A panic is an event like any other: one line, with its place but without its text, which may quote a request.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.payload().downcast_ref::<&'static str>().copied();
        error!(
            panic.place = panic.location().map(tracing::field::display),
            panic.message = message,
            "a bug: one request or task was given up"
        );
    }));
}

/// Text from outside, with everything that is not a plain character escaped: line ends, terminal codes, C1,
/// and the marks that turn the direction of writing (F7).
#[derive(Clone, Copy)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;
        for character in self.0.chars() {
            match character {
                '"' | '\'' | '\\' => f.write_char(character)?,
                _ => write!(f, "{}", character.escape_debug())?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f7_text_from_outside_stays_on_its_line() {
        for (text, want) in [
            ("/a b\"c\\d", "/a b\"c\\d"),
            ("wiki.test\r\nX: y", "wiki.test\\r\\nX: y"),
            ("\u{1b}[31m", "\\u{1b}[31m"),
            ("\u{85}\u{9b}31m", "\\u{85}\\u{9b}31m"),
            ("a\u{202e}b\u{2066}c\u{2028}d", "a\\u{202e}b\\u{2066}c\\u{2028}d"),
            ("jörg", "jörg"),
        ] {
            assert_eq!(Plain(text).to_string(), want, "{text:?}");
        }
    }

    /// A value in a list is taken as it is written: an expression of a few letters would build tables of gigabytes.
    #[test]
    fn a_filter_costs_little_to_read() {
        let started = crate::telemetry::clock::instant();
        let filter = format!("postern[a{{x=(a|b)*a{}}}]=trace", "(a|b)".repeat(17));
        parse(&filter).expect("a filter");
        assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
    }

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        let error = start(LogFormat::Json, "postern=loud", false).err().expect("no such level");
        assert_eq!(error.to_string(), "`postern=loud` is not a log level or filter");
    }
}
