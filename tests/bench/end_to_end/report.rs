//! The table at the end, for people and for machines.

use std::io::Write;

use serde::Serialize;

use crate::compare::Figure;
use crate::compare::Samples;
use crate::compare::Target;
use crate::compare::Verdict;
use crate::compare::judge;

/// One line of the table.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    /// The row of the bench it belongs to.
    pub(crate) row: &'static str,
    /// What was measured.
    pub(crate) what: String,
    /// What `ours` and `base` are counted in.
    pub(crate) unit: &'static str,
    /// What `base` is.
    pub(crate) base_name: &'static str,
    pub(crate) figure: Option<Figure>,
    pub(crate) value: Option<f64>,
    pub(crate) target: Option<Target>,
    pub(crate) verdict: Verdict,
    pub(crate) notes: Vec<String>,
}

/// What may make a figure worth less, as the worst of its rounds had it.
#[derive(Clone, Copy)]
pub(crate) struct Doubts {
    /// The share of the server's processors that others used.
    pub(crate) others: f64,
    /// The share of its processor that the load used.
    pub(crate) load: f64,
}

/// Unit and name of a base.
#[derive(Clone, Copy)]
pub(crate) struct Measure {
    pub(crate) unit: &'static str,
    pub(crate) base: &'static str,
}

impl Line {
    /// What was measured, judged. `noise`: the spread past which nothing is claimed.
    pub(crate) fn judged(
        (row, what): (&'static str, impl Into<String>),
        measure: Measure,
        figure: Figure,
        target: Option<Target>,
        noise: f64,
    ) -> Line {
        Line {
            row,
            what: what.into(),
            unit: measure.unit,
            base_name: measure.base,
            value: Some(figure.value()),
            verdict: judge(&figure, target, noise),
            figure: Some(figure),
            target,
            notes: Vec::new(),
        }
    }

    /// What was not measured.
    pub(crate) fn not_run(row: &'static str, what: impl Into<String>, why: impl Into<String>) -> Line {
        Line {
            row,
            what: what.into(),
            unit: "",
            base_name: "",
            figure: None,
            value: None,
            target: None,
            verdict: Verdict::NotRun(why.into()),
            notes: Vec::new(),
        }
    }

    /// Add what else a reader may want to know.
    pub(crate) fn note(mut self, note: String) -> Line {
        self.notes.push(note);
        self
    }

    /// Say what was wrong with the machine, and claim nothing when it was too much.
    pub(crate) fn heed(mut self, doubts: Doubts) -> Line {
        /// Past this share, others' work shows in caches and in waiting.
        const CROWDED: f64 = 0.1;
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        if doubts.load > 0.97 {
            let share = percent(doubts.load);
            self.notes.push(format!("the load used {share} of its processor: the server may have waited for it"));
        }
        if doubts.others > 0.02 {
            self.notes.push(format!("other work took up to {} of the server's processor", percent(doubts.others)));
        }
        if doubts.others > CROWDED && matches!(self.verdict, Verdict::Goal | Verdict::Pass | Verdict::Fail) {
            let why = format!(
                "others used the server's processor, over {}; it would be: {}",
                percent(CROWDED),
                word(&self.verdict)
            );
            self.verdict = Verdict::NoClaim(why);
        }
        self
    }
}

/// Print for people.
pub(crate) fn print(lines: &[Line], out: &mut impl Write) -> std::io::Result<()> {
    let head = ["what", "ours", "", "beside", "value", "target", "spread", ""].map(str::to_owned);
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(lines.iter().map(cells)).collect();
    let widths: [usize; 8] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    for (number, row) in rows.iter().enumerate() {
        let mut text = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            // Words to the left, numbers to the right.
            let right = matches!(column, 1 | 3 | 4 | 6);
            text += &if right { format!("{padding}{cell}  ") } else { format!("{cell}{padding}  ") };
        }
        writeln!(out, "{}", text.trim_end())?;
        for note in number.checked_sub(1).and_then(|line| lines.get(line)).iter().flat_map(|line| &line.notes) {
            writeln!(out, "    {note}")?;
        }
    }
    let count = |wanted: &str| lines.iter().filter(|line| word(&line.verdict) == wanted).count();
    let counts = ["goal", "pass", "FAIL", "no claim", "not run"].map(|word| format!("{} {word}", count(word)));
    writeln!(out, "\n{}", counts.join(", "))
}

fn cells(line: &Line) -> [String; 8] {
    let dash = || "-".to_owned();
    let mean = |samples: &Samples| number(samples.mean());
    let figure = line.figure.as_ref();
    let base = figure.and_then(|figure| figure.base.as_ref());
    let spread = |samples: &Samples| format!("{:.0} %", samples.spread() * 100.0);
    let why = match &line.verdict {
        Verdict::NoClaim(why) | Verdict::NotRun(why) => format!("{}: {why}", word(&line.verdict)),
        other => word(other).to_owned(),
    };
    [
        line.what.clone(),
        figure.map_or_else(dash, |figure| mean(&figure.ours)),
        line.unit.to_owned(),
        base.map_or_else(dash, |base| format!("{} {}", mean(base), line.base_name)),
        figure.map_or_else(dash, |figure| match base {
            Some(_) => format!("{:.2}x", figure.value()),
            None => number(figure.value()),
        }),
        match line.target {
            Some(Target::AtMost { required, goal: Some(goal) }) => format!("<= {required} (goal {goal})"),
            Some(Target::AtMost { required, goal: None }) => format!("<= {required}"),
            Some(Target::AtLeast { required }) => format!(">= {required}"),
            None => dash(),
        },
        figure.map_or_else(dash, |figure| match base {
            Some(base) => format!("{}, {}", spread(&figure.ours), spread(base)),
            None => spread(&figure.ours),
        }),
        why,
    ]
}

/// Three digits, or all before the point.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Goal => "goal",
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::NoClaim(_) => "no claim",
        Verdict::Told => "",
        Verdict::NotRun(_) => "not run",
    }
}
