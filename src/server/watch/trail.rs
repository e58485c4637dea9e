//! The way to a file: every place on it where a change leads to another content.

use std::collections::BTreeSet;
use std::collections::HashSet;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Component;
use std::path::Path;
use std::path::PathBuf;

/// As many symbolic links as Linux follows.
const MOST_LINKS: usize = 40;

/// The places on the ways to some files.
#[derive(Debug, Default)]
pub(super) struct Trail {
    /// Files, and symbolic links on the way to them; or what is missing there.
    points: HashSet<PathBuf>,
    /// Folders whose policy files count, each of them.
    listed: HashSet<PathBuf>,
    /// The folders that hold all of these.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Does one of the ways lead nowhere?
    pub(super) is_missing: bool,
}

impl Trail {
    /// Walk to this file or folder.
    pub(super) fn add(&mut self, path: &Path) {
        let Ok(path) = std::path::absolute(path) else { return };
        let mut ahead: VecDeque<OsString> = names(&path).collect();
        let mut here = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = ahead.pop_front() {
            if name == ".." {
                here.pop();
                continue;
            }
            let next = here.join(&name);
            let Ok(found) = fs::symlink_metadata(&next) else {
                self.is_missing = true;
                return self.point(here, next);
            };
            if found.is_symlink() {
                self.point(here.clone(), next.clone());
                links += 1;
                let target = fs::read_link(&next).unwrap_or_default();
                if links > MOST_LINKS {
                    self.is_missing = true;
                    return;
                }
                if target.is_absolute() {
                    here = PathBuf::from("/");
                }
                for name in names(&target).collect::<Vec<_>>().into_iter().rev() {
                    ahead.push_front(name);
                }
                continue;
            }
            if ahead.is_empty() {
                if found.is_dir() {
                    self.listed.insert(next.clone());
                    self.folders.insert(next.clone());
                }
                return self.point(here, next);
            }
            here = next;
        }
    }

    /// Does a change here matter?
    pub(super) fn concerns(&self, path: &Path) -> bool {
        let is_yaml = || path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        self.points.contains(path) || (is_yaml() && path.parent().is_some_and(|folder| self.listed.contains(folder)))
    }

    fn point(&mut self, folder: PathBuf, path: PathBuf) {
        self.folders.insert(folder);
        self.points.insert(path);
    }
}

fn names(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    })
}

/// Which folder it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inode(u64, u64);

impl Inode {
    pub(super) fn of(folder: &Path) -> Option<Inode> {
        let found = fs::metadata(folder).ok()?;
        Some(Inode(found.dev(), found.ino()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_a_point() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path().canonicalize().expect("a real path");
        fs::create_dir_all(root.join("mount/..1")).expect("a folder");
        fs::write(root.join("mount/..1/p.yaml"), "x").expect("a file");
        symlink("..1", root.join("mount/..data")).expect("a link");
        symlink("..data/p.yaml", root.join("mount/p.yaml")).expect("a link");
        symlink(root.join("mount"), root.join("etc")).expect("a link");
        let mut trail = Trail::default();
        trail.add(&root.join("etc/p.yaml"));
        for (path, want) in [
            ("etc", true),
            ("mount/p.yaml", true),
            ("mount/..data", true),
            ("mount/..1/p.yaml", true),
            ("mount/..1/other.yaml", false),
            ("mount/..data_tmp", false),
            ("mount", false),
        ] {
            assert_eq!(trail.concerns(&root.join(path)), want, "{path}");
        }
        let folders = ["", "mount", "mount/..1"].map(|folder| root.join(folder).components().collect::<PathBuf>());
        assert_eq!(trail.folders, BTreeSet::from(folders));
        assert!(!trail.is_missing);
    }

    #[test]
    fn a_folder_is_its_policy_files_and_what_is_missing_is_waited_for() {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path().canonicalize().expect("a real path");
        let mut trail = Trail::default();
        trail.add(&root);
        for (path, want) in [("new.yaml", true), ("new.yml", true), ("notes.txt", false), ("a/new.yaml", false)] {
            assert_eq!(trail.concerns(&root.join(path)), want, "{path}");
        }
        assert!(!trail.is_missing);
        trail.add(&root.join("none/p.yaml"));
        assert!(trail.is_missing && trail.concerns(&root.join("none")), "{trail:?}");
        symlink("b", root.join("a")).expect("a link");
        symlink("a", root.join("b")).expect("a link");
        trail.add(&root.join("a"));
        trail.add(Path::new("/../.."));
    }
}
