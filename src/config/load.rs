//! From a path to a policy. The only reader of files and of the environment.

mod complete;
mod draft;
mod inputs;
mod memory;
mod merge;
mod surroundings;
mod world;

use std::fmt;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use aws_lc_rs::digest;

use crate::config::at::At;
use crate::config::read;
use crate::config::read::Doubt;
use crate::config::read::Extent;
use crate::config::report::Report;
use crate::config::tree::Config;
use crate::config::tree::SecretRef;
use crate::config::yaml;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::problem::Severity;
use crate::model::secret::Secret;

pub use crate::config::load::complete::check_files;
pub use crate::config::load::draft::Draft;
pub use crate::config::load::inputs::Inputs;
pub use crate::config::load::inputs::Recorder;
pub use crate::config::load::surroundings::Surroundings;
pub use crate::config::load::world::Disk;
pub use crate::config::load::world::Machine;
pub use crate::config::load::world::Pretend;
pub use crate::config::load::world::Reader;
pub use crate::config::load::world::World;

/// The longest policy file, in octets.
const MAX_FILE: usize = 16 * 1024 * 1024;

/// A policy that holds together as far as its language goes.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    /// The files it was read from, in the order they were read.
    pub files: Vec<SourceFile>,
    /// SHA-256 of the files' contents in hexadecimal. Names do not count, their order does.
    pub digest: String,
    /// What works but deserves a look, as it was found: [`Loaded::report`] puts it in order.
    pub warnings: Problems,
    folder: PathBuf,
}

/// A policy that is not one: what is wrong with it, and as much of it as could be read.
#[derive(Debug)]
pub struct Refused {
    problems: Problems,
    files: Vec<SourceFile>,
    draft: Option<Box<Draft>>,
}

/// One policy file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// The file as the operator named it.
    pub name: Arc<str>,
    pub text: Arc<str>,
    /// Does it end with the YAML end marker `...`?
    pub ended: bool,
}

/// Read a policy: one YAML file, or a folder whose `*.yaml` and `*.yml` files are merged in the order of their names.
/// Folders within it are not looked into.
pub fn load(path: &Path, world: &dyn World) -> Result<Loaded, Refused> {
    let refuse = |problem: Problem| Refused { problems: Problems(vec![problem]), files: Vec::new(), draft: None };
    let (folder, paths) = find(path, world).map_err(refuse)?;
    let mut problems = Problems::default();
    let mut files = Vec::with_capacity(paths.len());
    for path in paths {
        match read_text(&path, world) {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.has_errors() {
        return Err(Refused { problems, files, draft: None });
    }
    match understand(&mut files, folder, &mut problems) {
        Understood::Whole(config, folder) => {
            Ok(Loaded { config, digest: digest_of(&files), files, warnings: problems, folder })
        }
        Understood::Draft(draft) => Err(Refused { problems, files, draft: Some(Box::new(draft)) }),
        Understood::Nothing => Err(Refused { problems, files, draft: None }),
    }
}

/// A secret that is named outside of a policy; relative paths start from the current folder.
pub fn secret(reference: &At<SecretRef>, world: &dyn World) -> Result<Secret<Vec<u8>>, Problem> {
    Surroundings::new(PathBuf::new(), world).secret(reference)
}

impl Refused {
    /// What could be read, to be judged further.
    pub fn draft(&self) -> Option<&Draft> {
        self.draft.as_deref()
    }

    /// What is wrong, and what was found later, ready to be shown with the text it is about.
    pub fn report(self, found: Problems) -> Report {
        let mut problems = self.problems;
        problems.0.extend(found.0);
        Report::new(problems, &self.files)
    }
}

/// What the load itself found.
impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Report::new(self.problems.clone(), &self.files).fmt(f)
    }
}

impl std::error::Error for Refused {}

impl Loaded {
    /// What the policy may look at beyond its own text: the files and variables it names.
    pub fn surroundings<'w>(&self, world: &'w dyn World) -> Surroundings<'w> {
        Surroundings::new(self.folder.clone(), world)
    }

    /// A path that the policy names; relative ones start from its folder.
    pub fn path(&self, named: &str) -> PathBuf {
        self.folder.join(named)
    }

    /// Problems found later, ready to be shown with the text they are about. Warnings of the load join them.
    pub fn report(&self, mut problems: Problems) -> Report {
        problems.0.extend(self.warnings.0.iter().cloned());
        Report::new(problems, &self.files)
    }

    /// What makes a file look half-written beside the one in force: it is the beginning of that text, or it has lost
    /// the end marker. A new file of a folder has none in force; it lacks the marker that all the others had.
    pub fn check_complete(&self, in_force: &[SourceFile]) -> Problems {
        let mut problems = Problems::default();
        let all_ended = !in_force.is_empty() && in_force.iter().all(|before| before.ended);
        for file in &self.files {
            let Some(before) = in_force.iter().find(|before| before.name == file.name) else {
                if all_ended && !file.ended {
                    let message = "this new file has no end marker `...`, as all files in force have";
                    problems.push(Problem::error(end_place(file), "", message).help("write `...` as its last line"));
                }
                continue;
            };
            if file.text.len() < before.text.len() && before.text.starts_with(&*file.text) {
                let message = "this file is only the beginning of the one in force";
                let help = "if that is meant, change anything before the cut, or restart";
                problems.push(Problem::error(end_place(file), "", message).help(help));
            } else if before.ended && !file.ended {
                let message = "this file has lost its end marker `...`";
                problems.push(Problem::error(end_place(file), "", message).help("write `...` as its last line"));
            }
        }
        problems
    }
}

/// The folder that relative paths start from, and the files to read.
fn find(path: &Path, world: &dyn World) -> Result<(PathBuf, Vec<PathBuf>), Problem> {
    let mut paths = match world.list(path) {
        Ok(paths) => paths,
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Ok((path.parent().unwrap_or(Path::new("")).to_owned(), vec![path.to_owned()]));
        }
        Err(error) => return Err(Problem::error(None, "", unreadable("policy", path, &error, MAX_FILE))),
    };
    paths.retain(|path| is_policy_file(path));
    paths.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    if paths.is_empty() {
        let message = format!("the folder `{}` holds no `*.yaml` file", path.display());
        return Err(Problem::error(None, "", message));
    }
    Ok((path.to_owned(), paths))
}

/// Is this a file that a folder's policy is read from?
fn is_policy_file(path: &Path) -> bool {
    let hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn read_text(path: &Path, world: &dyn World) -> Result<SourceFile, Problem> {
    let bytes = world
        .read(path, MAX_FILE)
        .map_err(|error| Problem::error(None, "", unreadable("policy file", path, &error, MAX_FILE)))?;
    let name: Arc<str> = path.display().to_string().into();
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { name, text: text.into(), ended: false }),
        Err(error) => {
            let good = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            let lines = bytes.iter().take(good).filter(|byte| **byte == b'\n').count();
            let line = u32::try_from(lines + 1).unwrap_or(u32::MAX);
            let place = Place { line, ..Place::whole(name) };
            Err(Problem::error(place, "", "this file is not UTF-8 text"))
        }
    }
}

/// What the texts amount to.
enum Understood {
    Whole(Config, PathBuf),
    Draft(Draft),
    Nothing,
}

/// Parse, merge and read; what is wrong goes to `problems`.
fn understand(files: &mut [SourceFile], folder: PathBuf, problems: &mut Problems) -> Understood {
    let texts: Vec<Arc<str>> = files.iter().map(|file| Arc::clone(&file.text)).collect();
    let names: Vec<Arc<str>> = files.iter().map(|file| Arc::clone(&file.name)).collect();
    let mut roots = Vec::with_capacity(files.len());
    for (number, (file, text)) in files.iter_mut().zip(&texts).enumerate() {
        let parsed = yaml::parse(u32::try_from(number).unwrap_or(u32::MAX), &file.name, text);
        problems.0.extend(parsed.problems);
        let Some(root) = parsed.root else { continue };
        file.ended = parsed.ended;
        if !file.ended && root.value != yaml::Value::Null {
            let help = "write `...` as its last line, and a half-written file will be noticed";
            problems.push(Problem::warning(end_place(file), "", "the end marker `...` is missing").help(help));
        }
        roots.push(root);
    }
    if roots.len() < files.len() {
        // What the broken files hold is not known, so nothing can be said about the whole.
        return Understood::Nothing;
    }
    let Some(root) = merge::merge(roots, &names, problems) else { return Understood::Nothing };
    let reading = read::read(&root, &names);
    let errors = problems.0.iter().filter(|problem| problem.severity == Severity::Error);
    let mut doubts: Vec<Doubt> =
        errors.filter_map(|problem| Some(Doubt { place: problem.place.clone()?, extent: Extent::Inside })).collect();
    for mistake in reading.mistakes {
        problems.push(mistake.problem);
        doubts.extend(mistake.doubt);
    }
    match reading.value {
        Some(config) if !problems.has_errors() => Understood::Whole(config, folder),
        Some(config) => {
            Draft::new(config, &root, &names, folder, doubts).map_or(Understood::Nothing, Understood::Draft)
        }
        None => Understood::Nothing,
    }
}

/// Where the next line would begin.
fn end_place(file: &SourceFile) -> Place {
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let end = number(file.text.len());
    Place { file: Arc::clone(&file.name), line: number(file.text.lines().count() + 1), column: 1, span: (end, end) }
}

fn digest_of(files: &[SourceFile]) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for file in files {
        context.update(&(file.text.len() as u64).to_be_bytes());
        context.update(file.text.as_bytes());
    }
    context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Why a file cannot be had, in words for its operator.
fn unreadable(what: &str, path: &Path, error: &io::Error, limit: usize) -> String {
    let path = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => format!("the {what} `{path}` does not exist"),
        io::ErrorKind::PermissionDenied => format!("the {what} `{path}` may not be read by this user"),
        io::ErrorKind::IsADirectory => format!("the {what} `{path}` is a folder"),
        io::ErrorKind::FileTooLarge => format!("the {what} `{path}` is larger than {} KiB", limit / 1024),
        _ => format!("the {what} `{path}` cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests;
