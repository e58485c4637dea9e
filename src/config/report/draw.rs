//! Places, drawn with the line they are about.

use std::borrow::Cow;

use annotate_snippets::AnnotationKind;
use annotate_snippets::Group;
use annotate_snippets::Level;
use annotate_snippets::Origin;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;

use crate::config::load::SourceFile;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Severity;

/// Several lines of text without a newline at the end.
pub(super) fn draw(problem: &Problem, files: &[SourceFile], colour: bool) -> String {
    let level = match problem.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group = Group::with_title(level.primary_title(problem.message.as_str()));
    if let Some(place) = &problem.place {
        let text = files.iter().find(|file| file.name == place.file).map_or("", |file| &file.text);
        group = match line(text, place) {
            Some((line, start, end)) => group.element(
                Snippet::source(line)
                    .path(&*place.file)
                    .line_start(place.line as usize)
                    .annotation(AnnotationKind::Primary.span(start..end)),
            ),
            None => group.element(Origin::path(&*place.file).line(place.line as usize)),
        };
    }
    if !problem.key.is_empty() {
        group = group.element(Level::NOTE.with_name("key").message(problem.key.as_str()));
    }
    if let Some(help) = &problem.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    // The renderer shows other controls as pictures; these would still reach the terminal.
    renderer.render(&[group]).replace(|letter| matches!(letter, '\u{80}'..='\u{9f}'), "\u{fffd}")
}

/// The first line of a place and its number, underlined: two lines of text, nothing for a place without text.
pub fn snippet(place: &Place, files: &[SourceFile]) -> String {
    let text = files.iter().find(|file| file.name == place.file).map_or("", |file| &file.text);
    let Some((line, start, end)) = line(text, place) else { return String::new() };
    let width = |part: Option<&str>| part.map_or(0, |part| part.chars().count());
    let (before, about) = (width(line.get(..start)), width(line.get(start..end)).max(1));
    format!("  {:>4} | {line}\n       | {:before$}{:^<about$}\n", place.line, "", "")
}

/// The first line of a place, and which of its bytes belong to it.
fn line<'t>(text: &'t str, place: &Place) -> Option<(Cow<'t, str>, usize, usize)> {
    let (start, end) = (place.span.0 as usize, place.span.1 as usize);
    let before = text.get(..start)?;
    let begin = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = text.get(begin..)?.lines().next()?;
    // Something must be underlined, if only the end of the line.
    let from = (start - begin).min(line.len());
    let next = line.get(from..)?.chars().next().map_or(from, |c| from + c.len_utf8());
    let to = end.saturating_sub(begin).clamp(next, line.len().max(next));
    Some((without_passwords(line), from, to))
}

/// The line with stars for what stands between `://` and `@`: reports are shown, logged and pasted. As long as before, octet by
/// octet, so that what is underlined stays where it is.
fn without_passwords(line: &str) -> Cow<'_, str> {
    let mut shown = Cow::Borrowed(line);
    let mut from = 0;
    while let Some(begin) = line.get(from..).and_then(|rest| rest.find("://")).map(|at| from + at + 3) {
        from = begin;
        let rest = line.get(begin..).unwrap_or_default();
        let authority = rest.split(['/', '?', '#', '"', '\'', ' ', '\t']).next().unwrap_or_default();
        if let Some(length) = authority.rfind('@') {
            shown.to_mut().replace_range(begin..begin + length, &"*".repeat(length));
        }
    }
    shown
}
