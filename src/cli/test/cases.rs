//! Files of cases.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;

use crate::config::load::SourceFile;
use crate::config::load::World;
use crate::config::read::document;
use crate::config::report::Report;
use crate::config::tree;
use crate::model::example::Example;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::snapshot::Snapshot;
use crate::snapshot::example::Setting;
use crate::snapshot::example::build;

/// The longest file, in octets.
const LONGEST: usize = 16 * 1024 * 1024;
/// The versions of the format that this binary reads.
const VERSIONS: [u32; 1] = [1];

/// Why there are no cases.
pub(super) enum NoCases {
    /// A file is not one of cases.
    Bad(Report),
    Unreadable(anyhow::Error),
}

/// The cases of these files, and of the `*.yaml` and `*.yml` files in these folders, in the order of their names.
pub(super) fn read(paths: &[PathBuf], snapshot: &Snapshot, world: &dyn World) -> Result<Vec<Example>, NoCases> {
    let (mut examples, mut problems, mut files) = (Vec::new(), Problems::default(), Vec::new());
    for path in found(paths, world).map_err(NoCases::Unreadable)? {
        let name: Arc<str> = path.display().to_string().into();
        let octets = world.read(&path, LONGEST).with_context(|| format!("cannot read `{name}`"));
        let text = octets.and_then(|octets| String::from_utf8(octets).with_context(|| format!("`{name}` is no text")));
        let text = text.map_err(NoCases::Unreadable)?;
        examples.extend(cases(&name, &text, snapshot, &mut problems));
        files.push(SourceFile { name, text: text.into(), ended: true });
    }
    if problems.has_errors() { Err(NoCases::Bad(Report::new(problems, &files))) } else { Ok(examples) }
}

/// The files that are meant.
fn found(paths: &[PathBuf], world: &dyn World) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        match world.list(path) {
            Err(_) => files.push(path.clone()),
            Ok(mut entries) => {
                let is_yaml = |path: &Path| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
                entries.retain(|entry| is_yaml(entry));
                entries.sort();
                anyhow::ensure!(!entries.is_empty(), "the folder `{}` holds no `*.yaml` file", path.display());
                files.extend(entries);
            }
        }
    }
    Ok(files)
}

fn cases(name: &str, text: &str, snapshot: &Snapshot, problems: &mut Problems) -> Vec<Example> {
    let cases: tree::Cases = match document(name, text) {
        Ok(document) => match document.value {
            Some(cases) => cases,
            None => return Vec::new(),
        },
        Err(found) => {
            problems.0.extend(found.0);
            return Vec::new();
        }
    };
    if !VERSIONS.contains(&cases.version.value) {
        let message = format!("version {} of this format is not known here", cases.version.value);
        problems.push(Problem::error(cases.version.place.clone(), "", message).help("write `version: 1`"));
    }
    let built = cases.cases.iter();
    built.filter_map(|case| build(case, Setting::default(), &snapshot.identities, problems)).collect()
}
