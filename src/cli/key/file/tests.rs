use super::*;

const TEXT: &str =
    "# Ours.\n- {id: a, hash: x, owner: o} # the first\n# About b.\n- id: b\n  hash: x\n  owner: o\n# The end.\n...\n";

fn file(text: &str) -> KeyFile {
    let (lines, _) = key_file::parse("k", text).expect("keys");
    KeyFile { lines, path: "k".into(), text: text.to_owned() }
}

#[test]
fn a_line_is_added_before_the_end_and_comments_stay() {
    let line = "- {id: c, hash: x, owner: o}";
    assert_eq!(file(TEXT).with("c", line).expect("a text"), TEXT.replace("...\n", &format!("{line}\n...\n")));
    assert_eq!(file("").with("c", line).expect("a text"), format!("{line}\n"));
    let indented = "  - {id: a, hash: x, owner: o}\n...\n";
    assert_eq!(
        file(indented).with("c", line).expect("a text"),
        format!("  - {{id: a, hash: x, owner: o}}\n  {line}\n...\n")
    );
    // What is no list of lines is left alone.
    assert!(file("[{id: a, hash: x, owner: o}]\n...\n").with("c", line).is_err());
    assert!(file(TEXT).with("b", line).is_err(), "another id than the line has");
}

#[test]
fn a_line_is_taken_away_and_comments_stay() {
    let without = |text: &str, id: &str| file(text).without(id).map_err(|error| error.to_string());
    assert_eq!(
        without(TEXT, "a").as_deref(),
        Ok("# Ours.\n# About b.\n- id: b\n  hash: x\n  owner: o\n# The end.\n...\n")
    );
    assert_eq!(
        without(TEXT, "b").as_deref(),
        Ok("# Ours.\n- {id: a, hash: x, owner: o} # the first\n# About b.\n# The end.\n...\n")
    );
    assert_eq!(without("- {id: a, hash: x, owner: o}\n...\n", "a").as_deref(), Ok("...\n"));
    assert_eq!(without(TEXT, "c"), Err("there is no key `c` (known here: `a`, `b`)".to_owned()));
    for odd in ["[{id: a, hash: x, owner: o}, {id: b, hash: x, owner: o}]\n", "-\n  {id: a, hash: x, owner: o}\n...\n"]
    {
        assert_eq!(without(odd, "a"), Err("`k` is not a list of lines; take the key away by hand".to_owned()), "{odd}");
    }
}

#[test]
fn a_file_is_replaced_whole_by_one_at_a_time_and_never_through_a_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keys.yaml");
    let mode = |path: &Path| fs::metadata(path).expect("a file").mode() & 0o777;
    Replacement::of(&path).expect("the right").write("one").expect("written");
    assert_eq!(mode(&path), 0o600);
    // Who may read it may still read it, everybody may not.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    let first = Replacement::of(&path).expect("the right");
    let second = Replacement::of(&path).expect_err("taken").to_string();
    assert!(second.contains("another `postern key` is at work"), "{second}");
    first.write("two").expect("written");
    assert_eq!((mode(&path), fs::metadata(&path).expect("a file").len()), (0o640, 3));
    // Given up, nothing changes and nothing is left.
    drop(Replacement::of(&path).expect("the right"));
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    let link = folder.path().join("link.yaml");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let error = Replacement::of(&link).expect_err("a link").to_string();
    assert!(error.contains("is a symbolic link to"), "{error}");
    assert!(Replacement::of(folder.path()).is_err(), "a folder");
}
