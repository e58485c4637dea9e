//! The one writer of files: small documents that outlive the process, in a folder of their own.
//!
//! A document is written whole or not at all: into a file beside it that nobody else may read, forced to the disk, and
//! renamed. What is read must be a plain file of ours that nobody else can have written; what it says is the reader's
//! business to check.

use std::fmt;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

/// The largest document, in octets.
pub const MAX_SIZE: usize = 4 * 1024 * 1024;

/// What the files being written are called until they are whole.
const UNFINISHED: &str = ".postern-";

/// Keeps documents across restarts.
pub trait Storage: fmt::Debug + Send + Sync {
    /// The document of this name; `None` when there is none. Waits for the disk.
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError>;

    /// Keep a document instead of the one that had this name. Waits for the disk.
    fn save(&self, name: &str, content: &[u8]) -> Result<(), StorageError>;
}

/// Why a document was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("`{path}` cannot be {doing}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{0}` is not a plain file")]
    NotAFile(PathBuf),
    #[error("`{0}` belongs to another user")]
    NotOurs(PathBuf),
    #[error("`{0}` can be written by others")]
    WritableByOthers(PathBuf),
    #[error("`{0}` is larger than {MAX_SIZE} octets")]
    TooLarge(PathBuf),
    #[error("`{0}` was exchanged while it was read")]
    Exchanged(PathBuf),
}

/// A folder of documents.
pub struct Folder {
    path: PathBuf,
    /// Who we are, as the files we make say.
    owner: u32,
    /// Makes the names of unfinished files differ from those of other processes.
    process: u64,
}

impl Folder {
    /// Use a folder, made if it is not there. Fails when it cannot be written; what an earlier process left unfinished
    /// is removed.
    pub fn open(path: &Path) -> Result<Folder, StorageError> {
        let failed = |doing| move |source| StorageError::Io { doing, path: path.to_owned(), source };
        match fs::DirBuilder::new().mode(0o700).create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("made")(error)),
        }
        for entry in fs::read_dir(path).map_err(failed("listed"))?.flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
                let _left_for_next_time = fs::remove_file(entry.path());
            }
        }
        let mut folder = Folder { path: path.to_owned(), owner: 0, process: RandomState::new().hash_one(0_u64) };
        let (probe, file) = folder.create("probe")?;
        folder.owner = file.metadata().map_err(failed("read"))?.uid();
        fs::remove_file(probe).map_err(failed("written"))?;
        Ok(folder)
    }

    /// A new file that only we can read, and its path.
    fn create(&self, name: &str) -> Result<(PathBuf, File), StorageError> {
        let path = self.path.join(format!("{UNFINISHED}{name}-{:016x}", self.process));
        let _of_an_earlier_failure = fs::remove_file(&path);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        match file {
            Ok(file) => Ok((path, file)),
            Err(source) => Err(StorageError::Io { doing: "written", path, source }),
        }
    }

    fn judge(&self, path: &Path, metadata: &fs::Metadata) -> Result<(), StorageError> {
        if !metadata.file_type().is_file() {
            return Err(StorageError::NotAFile(path.to_owned()));
        }
        if metadata.uid() != self.owner {
            return Err(StorageError::NotOurs(path.to_owned()));
        }
        if metadata.mode() & 0o022 != 0 {
            return Err(StorageError::WritableByOthers(path.to_owned()));
        }
        Ok(())
    }
}

impl Storage for Folder {
    fn load(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let path = self.path.join(name);
        let failed = |source| StorageError::Io { doing: "read", path: path.clone(), source };
        // Not followed if it is a link; and what is opened then must be the very file that was judged.
        let judged = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        self.judge(&path, &judged)?;
        let file = File::open(&path).map_err(failed)?;
        let opened = file.metadata().map_err(failed)?;
        if (opened.dev(), opened.ino()) != (judged.dev(), judged.ino()) {
            return Err(StorageError::Exchanged(path));
        }
        let mut content = Vec::new();
        file.take(MAX_SIZE as u64 + 1).read_to_end(&mut content).map_err(failed)?;
        if content.len() > MAX_SIZE { Err(StorageError::TooLarge(path)) } else { Ok(Some(content)) }
    }

    fn save(&self, name: &str, content: &[u8]) -> Result<(), StorageError> {
        let path = self.path.join(name);
        if content.len() > MAX_SIZE {
            return Err(StorageError::TooLarge(path));
        }
        let (unfinished, mut file) = self.create(name)?;
        let written = file
            .write_all(content)
            .and_then(|()| file.sync_all())
            .and_then(|()| fs::rename(&unfinished, &path))
            // The new name is on the disk only when the folder is.
            .and_then(|()| File::open(&self.path)?.sync_all());
        written.map_err(|source| {
            let _not_there_after_a_rename = fs::remove_file(&unfinished);
            StorageError::Io { doing: "written", path, source }
        })
    }
}

impl fmt::Debug for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Folder").field("path", &self.path).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
