//! A real folder, and what others may do to it.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;

use super::*;

fn folder() -> (tempfile::TempDir, Folder) {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = Folder::open(&parent.path().join("state")).expect("a folder of ours");
    (parent, folder)
}

fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(&folder.path).expect("a folder");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("a file").permissions().mode() & 0o777
}

#[test]
fn what_is_saved_is_read_again_and_only_ours() {
    let (_parent, folder) = folder();
    assert_eq!(folder.load("keys").expect("nothing yet"), None);
    folder.save("keys", b"one").expect("saved");
    folder.save("keys", b"two").expect("saved over it");
    assert_eq!(folder.load("keys").expect("there").as_deref(), Some(&b"two"[..]));
    assert_eq!(names(&folder), ["keys"], "nothing else is left");
    assert_eq!((mode(&folder.path), mode(&folder.path.join("keys"))), (0o700, 0o600));
}

#[test]
fn what_others_may_have_written_is_not_read() {
    let (_parent, folder) = folder();
    folder.save("keys", b"one").expect("saved");
    let path = folder.path.join("keys");
    for bits in [0o620, 0o602, 0o666] {
        fs::set_permissions(&path, fs::Permissions::from_mode(bits)).expect("a mode");
        assert!(matches!(folder.load("keys"), Err(StorageError::WritableByOthers(_))), "{bits:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    assert!(folder.load("keys").is_ok());
    symlink(&path, folder.path.join("link")).expect("a link");
    assert!(matches!(folder.load("link"), Err(StorageError::NotAFile(_))));
    fs::create_dir(folder.path.join("folder")).expect("a folder");
    assert!(matches!(folder.load("folder"), Err(StorageError::NotAFile(_))));
    let stranger = Folder { path: folder.path.clone(), owner: folder.owner.wrapping_add(1), process: 0 };
    assert!(matches!(stranger.load("keys"), Err(StorageError::NotOurs(_))));
}

#[test]
fn documents_are_bounded() {
    let (_parent, folder) = folder();
    let huge = vec![b'x'; MAX_SIZE + 1];
    assert!(matches!(folder.save("keys", &huge), Err(StorageError::TooLarge(_))));
    folder.save("keys", &huge[1..]).expect("just fits");
    fs::write(folder.path.join("huge"), &huge).expect("written");
    fs::set_permissions(folder.path.join("huge"), fs::Permissions::from_mode(0o600)).expect("a mode");
    assert!(matches!(folder.load("huge"), Err(StorageError::TooLarge(_))));
}

#[test]
fn what_was_left_unfinished_is_removed_and_never_read() {
    let (parent, folder) = folder();
    folder.save("keys", b"one").expect("saved");
    fs::write(folder.path.join(".postern-keys-0000"), b"half").expect("written");
    let again = Folder::open(&parent.path().join("state")).expect("the same folder");
    assert_eq!(names(&again), ["keys"]);
    assert_eq!(again.load("keys").expect("there").as_deref(), Some(&b"one"[..]));
}

#[test]
fn a_folder_that_cannot_be_used_says_so() {
    let (parent, folder) = folder();
    let missing = Folder::open(&parent.path().join("a/b")).expect_err("its parent is missing");
    assert!(missing.to_string().ends_with("a/b` cannot be made"), "{missing}");
    fs::write(parent.path().join("file"), b"").expect("written");
    assert!(Folder::open(&parent.path().join("file")).is_err());
    fs::remove_dir(&folder.path).expect("removed");
    let error = folder.save("keys", b"one").expect_err("the folder is gone");
    assert!(error.to_string().ends_with("cannot be written"), "{error}");
}
