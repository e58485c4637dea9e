//! The key file: read whole, changed as text so that comments stay, and replaced in one step.

use std::fs;
use std::fs::File;
use std::io;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::fchown;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use anyhow::ensure;

use crate::cli::print;
use crate::config::at::At;
use crate::config::key_file;
use crate::config::load::SourceFile;
use crate::config::load::World;
use crate::config::report::Report;
use crate::config::tree::KeyLine;

/// The longest key file, in octets: what the policy reads.
const MAX_FILE: usize = 1024 * 1024;

/// A key file that was read.
#[derive(Debug)]
pub(super) struct KeyFile {
    pub(super) lines: Vec<At<KeyLine>>,
    path: PathBuf,
    text: String,
}

impl KeyFile {
    /// Read a file. `None` when it is bad, which has been said then.
    pub(super) fn read(path: &Path, world: &dyn World) -> anyhow::Result<Option<KeyFile>> {
        let octets = world.read(path, MAX_FILE).with_context(|| format!("cannot read `{}`", path.display()))?;
        let text = String::from_utf8(octets).with_context(|| format!("`{}` is not text", path.display()))?;
        let name = path.display().to_string();
        match key_file::parse(&name, &text) {
            Ok((lines, _)) => Ok(Some(KeyFile { lines, path: path.to_owned(), text })),
            Err(problems) => {
                let source = SourceFile { name: name.as_str().into(), text: text.into(), ended: true };
                print::err(&Report::new(problems, &[source]).text(print::may_colour()));
                Ok(None)
            }
        }
    }

    /// The same, or an empty file where there is none.
    pub(super) fn read_or_begin(path: &Path, world: &dyn World) -> anyhow::Result<Option<KeyFile>> {
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let text = "# API keys. `postern key new` adds a line, `postern key revoke` takes one away.\n...\n";
                Ok(Some(KeyFile { lines: Vec::new(), path: path.to_owned(), text: text.to_owned() }))
            }
            Ok(_) | Err(_) => KeyFile::read(path, world),
        }
    }

    /// The line with this id.
    pub(super) fn find(&self, id: &str) -> Option<&At<KeyLine>> {
        self.lines.iter().find(|line| line.id.value == id)
    }

    /// The text with one more line, before the end marker.
    pub(super) fn with(&self, id: &str, line: &str) -> anyhow::Result<String> {
        let indent = self.lines.first().and_then(|first| self.text.lines().nth(first.place.line as usize - 1));
        let indent: String = indent.unwrap_or_default().chars().take_while(|letter| *letter == ' ').collect();
        let mut lines: Vec<&str> = self.text.lines().collect();
        let marker = lines.iter().rposition(|line| *line == "..." || line.starts_with("... "));
        let added = format!("{indent}{line}");
        lines.insert(marker.unwrap_or(lines.len()), &added);
        let text = lines.join("\n") + "\n";
        let wanted: Vec<String> = self.ids().chain([id]).map(str::to_owned).collect();
        ensure!(
            ids_of(&text) == Some(wanted),
            "`{}` is not a list of lines; write this into it:\n{line}",
            self.path.display()
        );
        Ok(text)
    }

    /// The text without the line of this id.
    pub(super) fn without(&self, id: &str) -> anyhow::Result<String> {
        let Some(line) = self.find(id) else { bail!("{}", key_file::unknown_id(id, &self.lines)) };
        let written = self.text.get(line.place.span.0 as usize..line.place.span.1 as usize).unwrap_or_default();
        let first = (line.place.line as usize).saturating_sub(1);
        let last = first + written.trim_end().matches('\n').count();
        let kept = self.text.lines().enumerate().filter(|(number, _)| *number < first || *number > last);
        let text: String = kept.map(|(_, line)| format!("{line}\n")).collect();
        let wanted: Vec<String> = self.ids().filter(|own| *own != id).map(str::to_owned).collect();
        let path = self.path.display();
        ensure!(ids_of(&text) == Some(wanted), "`{path}` is not a list of lines; take the key away by hand");
        Ok(text)
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(|line| line.id.as_str())
    }
}

/// The ids in a text, if it is the text of a key file.
fn ids_of(text: &str) -> Option<Vec<String>> {
    let (lines, _) = key_file::parse("", text).ok()?;
    Some(lines.into_iter().map(|line| line.value.id.value).collect())
}

/// The right to replace a file: nobody else of us does so meanwhile. It is the file that takes the other's place.
#[derive(Debug)]
pub(super) struct Replacement {
    path: PathBuf,
    temporary: PathBuf,
    file: Option<File>,
}

impl Replacement {
    /// Begin to replace a file, or to make one. A symbolic link is refused: which file is meant should be said.
    pub(super) fn of(path: &Path) -> anyhow::Result<Replacement> {
        let name = path.file_name().with_context(|| format!("`{}` is not the name of a file", path.display()))?;
        let old = match fs::symlink_metadata(path) {
            Ok(old) if old.is_symlink() => {
                let target = fs::read_link(path).unwrap_or_default();
                bail!("`{}` is a symbolic link to `{}`: name the file itself", path.display(), target.display());
            }
            Ok(old) if !old.is_file() => bail!("`{}` is not a file", path.display()),
            Ok(old) => Some(old),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot look at `{}`", path.display())),
        };
        let temporary = path.with_file_name(format!(".{}.new", name.display()));
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary);
        let file = match made {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let shown = temporary.display();
                bail!("`{shown}` exists: another `postern key` is at work, or was stopped; then remove that file")
            }
            Err(error) => return Err(error).with_context(|| format!("cannot write `{}`", temporary.display())),
        };
        let replacement = Replacement { path: path.to_owned(), temporary, file: Some(file) };
        if let (Some(old), Some(file)) = (old, &replacement.file) {
            replacement.keep_access(&old, file)?;
        }
        Ok(replacement)
    }

    /// Whoever could read the old file can read the new one, but for everybody.
    fn keep_access(&self, old: &fs::Metadata, file: &File) -> anyhow::Result<()> {
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            let owner = format!("{}:{}", old.uid(), old.gid());
            fchown(file, Some(old.uid()), Some(old.gid())).with_context(|| {
                format!("`{}` belongs to {owner}, and this user may not keep that", self.path.display())
            })?;
        }
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o770))?;
        Ok(())
    }

    /// Write the text and put it in place: whoever reads sees the old file or the new one.
    pub(super) fn write(mut self, text: &str) -> anyhow::Result<()> {
        let written = || format!("cannot write `{}`", self.path.display());
        let Some(mut file) = self.file.take() else { bail!("written twice") };
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(written)?;
        fs::rename(&self.temporary, &self.path).with_context(written)?;
        // The name, too, should outlive a power cut; where folders cannot be synchronised there is nothing to do.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

impl Drop for Replacement {
    /// After the renaming there is nothing left to remove.
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.temporary);
    }
}

#[cfg(test)]
mod tests;
