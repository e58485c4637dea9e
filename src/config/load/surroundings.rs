//! What a policy names beyond its own text: key files, secrets, environment variables.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::path::PathBuf;

use crate::config::at::At;
use crate::config::load::Reader;
use crate::config::load::unreadable;
use crate::config::load::world::World;
use crate::config::tree::SecretRef;
use crate::model::problem::Problem;
use crate::model::secret::Secret;

/// The longest key file or secret, in octets.
const MAX_FILE: usize = 1024 * 1024;

/// Reads what a policy names, and remembers what that was. Relative paths start from the policy's folder.
pub struct Surroundings<'w> {
    folder: PathBuf,
    world: &'w dyn World,
    files: RefCell<BTreeSet<PathBuf>>,
    variables: RefCell<BTreeSet<String>>,
    exposed: RefCell<Vec<Problem>>,
}

impl<'w> Surroundings<'w> {
    pub(super) fn new(folder: PathBuf, world: &'w dyn World) -> Surroundings<'w> {
        Surroundings {
            folder,
            world,
            files: RefCell::default(),
            variables: RefCell::default(),
            exposed: RefCell::default(),
        }
    }

    /// The memory that this process may use, in octets; `None` where nobody limits it.
    pub fn memory_limit(&self) -> Option<u64> {
        self.world.memory_limit()
    }

    /// The content of a file.
    pub fn file(&self, at: &At<String>) -> Result<Vec<u8>, Problem> {
        let path = self.folder.join(&at.value);
        self.files.borrow_mut().insert(path.clone());
        self.world
            .read(&path, MAX_FILE)
            .map_err(|error| Problem::error(at.place.clone(), "", unreadable("file", &path, &error, MAX_FILE)))
    }

    /// What reads a file again whenever it is called: for a token that somebody else renews. A reload does not watch it.
    pub fn reader(&self, at: &At<String>) -> Reader {
        self.world.reader(&self.folder.join(&at.value), MAX_FILE)
    }

    /// A file of UTF-8 text, with the name to call it by.
    pub fn text(&self, at: &At<String>) -> Result<(String, String), Problem> {
        let name = self.folder.join(&at.value).display().to_string();
        match String::from_utf8(self.file(at)?) {
            Ok(text) => Ok((name, text)),
            Err(_) => Err(Problem::error(at.place.clone(), "", format!("the file `{name}` is not UTF-8 text"))),
        }
    }

    /// A warning about a file that every user of this machine may read, and should not.
    pub fn open_to_others(&self, at: &At<String>) -> Option<Problem> {
        self.open_at(&self.folder.join(&at.value), at)
    }

    fn open_at(&self, path: &Path, at: &At<String>) -> Option<Problem> {
        self.world.readable_by_others(path).then(|| {
            let message = format!("every user of this machine may read `{}`", path.display());
            Problem::warning(at.place.clone(), "", message).help(format!("chmod o-r {}", path.display()))
        })
    }

    /// The same about a secret, which fails a check.
    fn expose(&self, path: &Path, at: &At<String>) {
        let warning = self.open_at(path, at).map(|warning| Problem { fails_check: true, ..warning });
        self.exposed.borrow_mut().extend(warning);
    }

    /// Warnings about the secrets that were asked for and that every user of this machine may read.
    pub fn exposed(&self) -> Vec<Problem> {
        self.exposed.take()
    }

    /// A secret. One newline at its end does not belong to it; an empty one is refused.
    pub fn secret(&self, at: &At<SecretRef>) -> Result<Secret<Vec<u8>>, Problem> {
        let (place, mut content) = match (&at.file, &at.env, &at.credential) {
            (Some(file), None, None) => {
                self.expose(&self.folder.join(&file.value), file);
                (&file.place, self.file(file)?)
            }
            (None, None, Some(name)) => (&name.place, self.credential(name)?),
            (None, Some(name), None) => match self.variable(name) {
                Some(value) => (&name.place, value.into_encoded_bytes()),
                None => {
                    let message = format!("the environment variable `{}` is not set", name.value);
                    return Err(Problem::error(name.place.clone(), "", message));
                }
            },
            _ => {
                let message = "a secret has one source";
                let help = "write one of `{file: /run/secrets/name}`, `{env: NAME}` and `{credential: name}`";
                return Err(Problem::error(at.place.clone(), "", message).help(help));
            }
        };
        if content.pop_if(|byte| *byte == b'\n').is_some() {
            content.pop_if(|byte| *byte == b'\r');
        }
        if content.is_empty() {
            return Err(Problem::error(place.clone(), "", "this secret is empty"));
        }
        Ok(Secret::new(content))
    }

    /// What systemd hands over under this name.
    fn credential(&self, name: &At<String>) -> Result<Vec<u8>, Problem> {
        const FOLDER: &str = "CREDENTIALS_DIRECTORY";
        let refuse = |message: String, help: &str| Err(Problem::error(name.place.clone(), "", message).help(help));
        let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.' | b':');
        if name.value.is_empty() || name.value.starts_with('.') || !name.value.bytes().all(plain) {
            return refuse(
                format!("`{}` is not the name of a credential", name.value),
                "write such a name as `client-secret`",
            );
        }
        self.variables.borrow_mut().insert(FOLDER.to_owned());
        let Some(folder) = self.world.env(FOLDER) else {
            let message = format!("there is no credential `{}`: `${FOLDER}` is not set", name.value);
            return refuse(message, "have systemd hand it over (`LoadCredential=` in the unit), or write `{file: …}`");
        };
        let folder = PathBuf::from(folder);
        if !folder.is_absolute() {
            let message = format!("there is no credential `{}`: `${FOLDER}` is no absolute path", name.value);
            return refuse(message, "it is for systemd to set: leave it alone, or write `{file: …}`");
        }
        let path = folder.join(&name.value);
        self.expose(&path, name);
        self.files.borrow_mut().insert(path.clone());
        self.world
            .read(&path, MAX_FILE)
            .map_err(|error| Problem::error(name.place.clone(), "", unreadable("credential", &path, &error, MAX_FILE)))
    }

    /// An environment variable. What is not Unicode in it becomes U+FFFD, which no address and no name contains.
    pub fn env(&self, at: &At<String>) -> Option<String> {
        self.variable(at).map(|value| value.to_string_lossy().into_owned())
    }

    /// The files that were asked for, whether they could be read or not: what a reload has to watch.
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.borrow().iter().cloned().collect()
    }

    /// The variables that were asked for, set or not.
    pub fn variables(&self) -> Vec<String> {
        self.variables.borrow().iter().cloned().collect()
    }

    fn variable(&self, name: &At<String>) -> Option<std::ffi::OsString> {
        self.variables.borrow_mut().insert(name.value.clone());
        self.world.env(&name.value)
    }
}
