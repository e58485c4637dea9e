//! The known word somebody probably meant.

/// How to put it right: the nearest of the known words, or all of them.
pub fn help(written: &str, known: &[&str]) -> String {
    match nearest(written, known) {
        Some(word) => format!("did you mean `{word}`?"),
        None => format!("known here: {}", list(known)),
    }
}

/// The words in backticks with commas.
pub fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// The word that is least far away, if a slip of the pen explains the distance.
pub fn nearest<'k>(written: &str, known: &[&'k str]) -> Option<&'k str> {
    let written: Vec<char> = plain(written).take(64).collect();
    let limit = (written.len() / 3).max(1);
    known
        .iter()
        .map(|word| (distance(&written, &plain(word).collect::<Vec<_>>()), *word))
        .filter(|(distance, word)| *distance <= limit && *distance < word.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// Case and the choice between `-` and `_` are not mistakes worth counting.
fn plain(word: &str) -> impl Iterator<Item = char> + '_ {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() })
}

/// How many letters must be added, dropped, changed or swapped with their neighbour.
fn distance(from: &[char], to: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = Vec::with_capacity(to.len() + 1);
        row.push(i + 1);
        for (j, b) in to.iter().enumerate() {
            let cell = |line: &[usize], column: usize| line.get(column).copied().unwrap_or(usize::MAX - 1);
            let change = cell(&last, j) + usize::from(a != b);
            let mut best = change.min(cell(&last, j + 1) + 1).min(cell(&row, j) + 1);
            let swapped = i.checked_sub(1).and_then(|i| from.get(i)) == Some(b)
                && j.checked_sub(1).and_then(|j| to.get(j)) == Some(a);
            if swapped && i > 0 && j > 0 {
                best = best.min(cell(&before, j - 1) + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word() {
        let known = ["path", "paths_any", "require", "methods", "public", "inherit_routes", "if"];
        for (written, want) in [
            ("pat", Some("path")),
            ("Path", Some("path")),
            ("requires", Some("require")),
            ("reqiure", Some("require")),
            ("method", Some("methods")),
            ("inherit-routes", Some("inherit_routes")),
            ("publik", Some("public")),
            ("x", None),
            ("", None),
            ("headers", None),
            ("zz", None),
        ] {
            assert_eq!(nearest(written, &known), want, "{written}");
        }
    }

    #[test]
    fn distance_counts_slips() {
        for (from, to, want) in [("", "", 0), ("", "ab", 2), ("ab", "", 2), ("ab", "ba", 1), ("kitten", "sitting", 3)] {
            let chars = |word: &str| word.chars().collect::<Vec<_>>();
            assert_eq!(distance(&chars(from), &chars(to)), want, "{from} {to}");
        }
    }
}
