//! Does a file look half-written beside the one in force? For the files that a policy names; the policy's own are
//! judged by [`Loaded::check_complete`](crate::config::load::Loaded::check_complete).

use std::path::Path;

use crate::config::load::Inputs;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// What makes the files of `new` look half-written: one is the beginning of what it was, or has lost its end marker.
///
/// A file that `only_opens` is a list of lines, each of which lets somebody in and stands alone. When the last of them are
/// gone, whole, that can only close something; and it must be possible to take somebody out.
pub fn check_files(new: &Inputs, in_force: &Inputs, only_opens: impl Fn(&Path) -> bool) -> Problems {
    let mut problems = Problems::default();
    for (path, content) in new.contents() {
        let Some(before) = in_force.content(path) else { continue };
        let place = || Place::whole(path.display().to_string());
        if before.len() > content.len() && before.starts_with(content) {
            let whole_lines = content.last() == Some(&b'\n');
            if whole_lines && only_opens(path) {
                continue;
            }
            let message = "this file is only the beginning of the one in force";
            let help = "if that is meant, change anything before the cut, or restart";
            problems.push(Problem::error(place(), "", message).help(help));
        } else if has_end(before) && !has_end(content) {
            let message = "this file has lost its end marker `...`";
            problems.push(Problem::error(place(), "", message).help("write `...` as its last line"));
        }
    }
    problems
}

/// Is the last line that says anything the YAML end marker?
fn has_end(content: &[u8]) -> bool {
    let mut lines = content.rsplit(|octet| *octet == b'\n').map(<[u8]>::trim_ascii_end);
    let said = lines.find(|line| !line.is_empty() && !line.starts_with(b"#"));
    said.is_some_and(|line| line == b"..." || line.starts_with(b"... "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Pretend;
    use crate::config::load::Recorder;
    use crate::config::load::World;

    fn inputs(content: &str) -> Inputs {
        let world = Pretend::new().file("/list", content);
        let recorder = Recorder::new(&world);
        recorder.read(Path::new("/list"), 1000).expect("a file");
        recorder.finish()
    }

    #[test]
    fn f4_a_named_file_that_looks_half_written_is_refused() {
        for (before, now, opens, want) in [
            ("- a\n- b\n...\n", "- a\n- b\n...\n", false, None),
            ("- a\n- b\n...\n", "- a\n...\n", false, None),
            ("- a\n- b\n...\n", "- a\n", false, Some("beginning")),
            ("- a\n- b\n...\n", "- a\n- c\n", false, Some("end marker")),
            ("- a\n- b\n... \n\n# end\n", "- c\n", false, Some("end marker")),
            ("- a\n- b\n", "- a\n", false, Some("beginning")),
            ("- a\n- b\n", "", false, Some("beginning")),
            ("- a\n", "- a\n- b\n", false, None),
            ("a:1\nb:2\n", "a:1\n", true, None),
            ("a:1\nb:2\n", "a:1\nb", true, Some("beginning")),
            ("a:1\nb:2\n", "a:1", true, Some("beginning")),
            ("a:1\nb:2\n", "", true, Some("beginning")),
            ("secret", "secre", false, Some("beginning")),
        ] {
            let found = check_files(&inputs(now), &inputs(before), |_| opens);
            let said = found.0.first().map(|problem| problem.message.as_str());
            match want {
                None => assert_eq!(said, None, "{before:?} to {now:?}"),
                Some(word) => assert!(said.is_some_and(|said| said.contains(word)), "{before:?} to {now:?}: {said:?}"),
            }
        }
    }
}
