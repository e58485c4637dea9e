use super::*;
use crate::config::at::At;
use crate::config::tree::SecretRef;

const SMALL: &str = "version: 1\nhosts:\n  a.test: {routes: [{path: /}]}\n...\n";

fn messages(report: &Report) -> Vec<String> {
    let line = |problem: &Problem| match &problem.place {
        Some(place) => format!("{}:{} {}", place.file, place.line, problem.message),
        None => problem.message.clone(),
    };
    report.problems().0.iter().map(line).collect()
}

fn refused(world: &Pretend, path: &str) -> Vec<String> {
    messages(&load(path.as_ref(), world).expect_err(path).report(Problems::default()))
}

fn at<T>(value: T) -> At<T> {
    At { value, place: Place::whole("policy.yaml") }
}

#[test]
fn one_file_or_a_folder_loads() {
    let world = Pretend::new()
        .file("/p/a.yaml", SMALL)
        .file("/d/10-b.yml", "hosts:\n  b.test: {routes: [{path: /}]}\n...\n")
        .file("/d/05-a.yaml", SMALL)
        .file("/d/20-c.yaml", "version: 1\ndefaults: {identity: x}\n...\n")
        .file("/d/30-d.yaml", "defaults: {network: any}\nroles: {r: {users: u}}\n...\n")
        .file("/d/.hidden.yaml", "]")
        .file("/d/..data/x.yaml", "]")
        .file("/d/README.md", "]");
    let one = load("/p/a.yaml".as_ref(), &world).expect("a policy");
    assert_eq!(one.config.hosts.0.len(), 1);
    assert_eq!(one.warnings, Problems::default());
    let all = load("/d".as_ref(), &world).expect("a policy");
    let names: Vec<&str> = all.files.iter().map(|file| &*file.name).collect();
    assert_eq!(names, ["/d/05-a.yaml", "/d/10-b.yml", "/d/20-c.yaml", "/d/30-d.yaml"]);
    let hosts: Vec<(&str, &str)> = all.config.hosts.iter().map(|(key, _)| (key.as_str(), &*key.place.file)).collect();
    assert_eq!(hosts, [("a.test", "/d/05-a.yaml"), ("b.test", "/d/10-b.yml")]);
    assert!(all.config.defaults.identity.is_some() && all.config.defaults.network.is_some());
}

#[test]
fn f5_nothing_is_written_in_two_files() {
    let world = Pretend::new()
        .file("d/a.yaml", "version: 1\nlisten: {grpc: x}\nroles: {r: {users: u}}\ndefaults: {identity: x}\n...\n")
        .file("d/b.yaml", "version: 2\nlisten: {http: x}\nroles: {r: {users: v}, s: {users: v}}\n...\n")
        .file("d/c.yaml", "defaults:\n  identity: y\nroles:\n  s: {users: w}\nhosts: []\n...\n")
        .file("e/a.yaml", "version: 1\n...\n")
        .file("e/b.yaml", "# nothing yet\n")
        .file("e/c.yaml", "- x\n...\n");
    assert_eq!(
        refused(&world, "d"),
        [
            "d/b.yaml:1 the key `version` is written in two files, first in d/a.yaml:1",
            "d/b.yaml:2 the key `listen` is written in two files, first in d/a.yaml:2",
            "d/b.yaml:3 the key `r` is written in two files, first in d/a.yaml:3",
            "d/c.yaml:2 the key `identity` is written in two files, first in d/a.yaml:4",
            "d/c.yaml:4 the key `s` is written in two files, first in d/b.yaml:3",
            "d/c.yaml:5 expected a mapping, found a list",
        ]
    );
    assert_eq!(
        refused(&world, "e"),
        ["e/b.yaml:1 there is no policy in this file", "e/c.yaml:1 expected a mapping, found a list"]
    );
}

#[test]
fn a_draft_is_kept_unless_names_are_lost() {
    let first = "version: 1\nroles: {a: {users: u}}\nlisten: {grcp: x}\n...\n";
    for (second, want) in [
        ("roles: {b: {users: []}}\n...\n", true),
        ("roles: {b: {uses: u}}\n...\n", true),
        ("roles: [b]\n...\n", false),
        ("roles: {a: {users: v}}\n...\n", false),
        ("roles: {<<: x}\n...\n", false),
        ("networks:\n...\n", false),
        ("hosts: {h.test: {routes: /}}\n...\n", true),
        ("zzzzzzzz: {h.test: {routes: /}}\n...\n", false),
    ] {
        let world = Pretend::new().file("d/a.yaml", first).file("d/b.yaml", second);
        let refused = load("d".as_ref(), &world).expect_err(second);
        assert_eq!(refused.draft().is_some(), want, "{second}");
    }
}

#[test]
fn what_cannot_be_read_is_said() {
    let world = Pretend::new()
        .file("latin.yaml", b"version: 1\n# caf\xe9\n".as_slice())
        .file("large.yaml", vec![b'#'; MAX_FILE + 1])
        .file("empty.yaml", "")
        .file("d/readme.md", "")
        .file("two/a.yaml", "a: [\n")
        .file("two/b.yaml", "b:\n\tc: 1\n");
    for (path, want) in [
        ("none.yaml", &["the policy `none.yaml` does not exist"][..]),
        ("latin.yaml", &["latin.yaml:2 this file is not UTF-8 text"]),
        ("large.yaml", &["the policy file `large.yaml` is larger than 16384 KiB"]),
        ("empty.yaml", &["empty.yaml:1 there is no policy in this file"]),
        ("d", &["the folder `d` holds no `*.yaml` file"]),
        (
            "two",
            &[
                "two/a.yaml:1 this is not YAML: `[` is never closed",
                "two/b.yaml:2 this is not YAML: a tab stands where YAML wants spaces",
            ],
        ),
    ] {
        assert_eq!(refused(&world, path), want, "{path}");
    }
}

#[test]
fn the_machine_is_read_with_limits() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.yaml");
    std::fs::write(&file, SMALL).expect("a file");
    let kind = |result: io::Result<Vec<u8>>| result.map_err(|error| error.kind());
    assert_eq!(kind(Machine.read(&file, SMALL.len())), Ok(SMALL.as_bytes().to_vec()));
    assert_eq!(kind(Machine.read(&file, SMALL.len() - 1)), Err(io::ErrorKind::FileTooLarge));
    assert_eq!(Machine.list(&file).map_err(|error| error.kind()), Err(io::ErrorKind::NotADirectory));
    assert_eq!(Machine.list(folder.path()).ok(), Some(vec![file.clone()]));
    for path in [&file, folder.path()] {
        assert_eq!(load(path, &Machine).map(|loaded| loaded.config.hosts.0.len()).ok(), Some(1));
    }
}

#[test]
fn the_digest_is_of_contents_in_order() {
    let digest = |files: &[(&str, &str)]| {
        let world = files.iter().fold(Pretend::new(), |world, (name, text)| world.file(*name, *text));
        load("d".as_ref(), &world).expect("a policy").digest
    };
    let (a, b) = (SMALL, "roles: {r: {users: u}}\n...\n");
    let whole = digest(&[("d/a.yaml", a), ("d/b.yaml", b)]);
    assert_eq!(whole.len(), 64);
    assert_eq!(whole, digest(&[("d/x.yaml", a), ("d/y.yaml", b)]));
    assert_ne!(whole, digest(&[("d/a.yaml", b), ("d/b.yaml", a)]));
    assert_ne!(whole, digest(&[("d/a.yaml", &format!("{a}\n")), ("d/b.yaml", b)]));
}

#[test]
fn half_written_files_are_noticed() {
    let loaded = |text: &str| load("p.yaml".as_ref(), &Pretend::new().file("p.yaml", text)).expect("a policy");
    let open = SMALL.trim_end_matches("...\n");
    let more = format!("{open}  b.test: {{routes: [{{path: /}}]}}\n");
    let texts = |problems: Problems| problems.0.into_iter().map(|problem| problem.message).collect::<Vec<_>>();
    for (before, after, want) in [
        (SMALL, SMALL, None),
        (SMALL, more.as_str(), Some("this file has lost its end marker `...`")),
        (SMALL, open, Some("this file is only the beginning of the one in force")),
        (more.as_str(), open, Some("this file is only the beginning of the one in force")),
        (open, more.as_str(), None),
        (open, SMALL, None),
    ] {
        let problems = loaded(after).check_complete(&loaded(before).files);
        assert_eq!(texts(problems), want.into_iter().collect::<Vec<_>>(), "{before} -> {after}");
    }
    let warnings = loaded(open).warnings;
    assert_eq!(texts(warnings), ["the end marker `...` is missing"]);
}

/// A route of a new file that has lost its last condition lets in whom neither policy would.
#[test]
fn a_new_file_ends_as_the_others_do() {
    let folder = |more: &[(&str, &str)]| {
        let world = Pretend::new().file("p/a.yaml", SMALL);
        let world = more.iter().fold(world, |world, (name, text)| world.file(*name, *text));
        load("p".as_ref(), &world).expect("a policy")
    };
    let (cut, whole) = ("hosts: {b.test: {routes: [{path: /}]}}\n", "hosts: {b.test: {routes: [{path: /}]}}\n...\n");
    let open = "hosts: {c.test: {routes: [{path: /}]}}\n";
    let (alone, beside_open) = (folder(&[]), folder(&[("p/c.yaml", open)]));
    for (before, after, want) in [
        (&alone, folder(&[("p/b.yaml", whole)]), false),
        (&alone, folder(&[("p/b.yaml", cut)]), true),
        (&beside_open, folder(&[("p/b.yaml", cut), ("p/c.yaml", open)]), false),
    ] {
        assert_eq!(after.check_complete(&before.files).has_errors(), want, "{after:?}");
    }
}

#[test]
fn surroundings_are_read_beside_the_policy_and_remembered() {
    let world = Pretend::new()
        .file("/etc/p/policy.yaml", SMALL)
        .file("/etc/p/keys.json", "{}")
        .file("/run/secret", "s3cret\r\n")
        .file("/run/blank", "\n")
        .file("/run/huge", vec![0; 1024 * 1024 + 1])
        .variable("LIST", "10.0.0.0/8")
        .variable("EMPTY", "");
    let loaded = load("/etc/p/policy.yaml".as_ref(), &world).expect("a policy");
    let around = loaded.surroundings(&world);
    let text = |value: &str| at(value.to_owned());
    assert_eq!(around.file(&text("keys.json")), Ok(b"{}".to_vec()));
    let message = |result: Result<Vec<u8>, Problem>| result.map_err(|problem| problem.message);
    assert_eq!(message(around.file(&text("no.json"))), Err("the file `/etc/p/no.json` does not exist".to_owned()));
    assert_eq!(
        message(around.file(&text("/run/huge"))),
        Err("the file `/run/huge` is larger than 1024 KiB".to_owned())
    );
    assert_eq!(message(around.file(&text("/run"))), Err("the file `/run` is a folder".to_owned()));
    assert_eq!(around.env(&text("LIST")), Some("10.0.0.0/8".to_owned()));
    assert_eq!(around.env(&text("NONE")), None);
    for (file, env, want) in [
        (Some("/run/secret"), None, Ok(b"s3cret".to_vec())),
        (None, Some("LIST"), Ok(b"10.0.0.0/8".to_vec())),
        (Some("/run/blank"), None, Err("this secret is empty")),
        (None, Some("EMPTY"), Err("this secret is empty")),
        (None, Some("NONE"), Err("the environment variable `NONE` is not set")),
        (Some("/run/secret"), Some("LIST"), Err("a secret has one source")),
        (None, None, Err("a secret has one source")),
    ] {
        let secret = around.secret(&at(SecretRef { file: file.map(text), env: env.map(text), credential: None }));
        let secret = secret.map(|secret| secret.expose().clone()).map_err(|problem| problem.message);
        assert_eq!(secret, want.map_err(str::to_owned), "{file:?} {env:?}");
    }
    let files: Vec<String> = around.files().iter().map(|path| path.display().to_string()).collect();
    assert_eq!(files, ["/etc/p/keys.json", "/etc/p/no.json", "/run", "/run/blank", "/run/huge", "/run/secret"]);
    assert_eq!(around.variables(), ["EMPTY", "LIST", "NONE"]);
}

#[test]
fn a_credential_is_what_systemd_hands_over() {
    let world = Pretend::new()
        .file("/run/credentials/postern.service/client-secret", "s3cret\n")
        .variable("CREDENTIALS_DIRECTORY", "/run/credentials/postern.service");
    let text = |value: &str| At { value: value.to_owned(), place: Place::whole("policy.yaml") };
    let secret = |world: &Pretend, name: &str| {
        let reference = SecretRef { credential: Some(text(name)), ..SecretRef::default() };
        let reference = At { value: reference, place: Place::whole("policy.yaml") };
        let around = Surroundings::new(PathBuf::new(), world);
        let secret = around.secret(&reference).map(|secret| secret.expose().clone()).map_err(|problem| problem.message);
        (secret, around.files().len())
    };
    assert_eq!(secret(&world, "client-secret"), (Ok(b"s3cret".to_vec()), 1));
    let missing = "the credential `/run/credentials/postern.service/other` does not exist";
    assert_eq!(secret(&world, "other"), (Err(missing.to_owned()), 1));
    for name in ["", ".", "..", "../x", "a/b", "/etc/passwd", "a b"] {
        assert_eq!(secret(&world, name), (Err(format!("`{name}` is not the name of a credential")), 0));
    }
    let message = "there is no credential `client-secret`: `$CREDENTIALS_DIRECTORY` is not set";
    assert_eq!(secret(&Pretend::new(), "client-secret"), (Err(message.to_owned()), 0));
    for folder in ["", "credentials"] {
        let world = Pretend::new().file("client-secret", "s").file("credentials/client-secret", "s");
        let world = world.variable("CREDENTIALS_DIRECTORY", folder);
        let message = "there is no credential `client-secret`: `$CREDENTIALS_DIRECTORY` is no absolute path";
        assert_eq!(secret(&world, "client-secret"), (Err(message.to_owned()), 0), "{folder}");
    }
}

#[test]
fn a_credential_that_everybody_may_read_is_exposed() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, mode) = (folder.path().join("client-secret"), std::fs::Permissions::from_mode);
    std::fs::write(&file, "s3cret").expect("a file");
    std::fs::set_permissions(folder.path(), mode(0o755)).expect("a mode");
    for (mode_of, want) in [(0o644, 1), (0o400, 0)] {
        std::fs::set_permissions(&file, mode(mode_of)).expect("a mode");
        let name = At { value: "client-secret".to_owned(), place: Place::whole("policy.yaml") };
        let reference = SecretRef { credential: Some(name), ..SecretRef::default() };
        let world = HandsOver(folder.path());
        let around = Surroundings::new(PathBuf::new(), &world);
        around.secret(&At { value: reference, place: Place::whole("policy.yaml") }).expect("a secret");
        let exposed = around.exposed();
        assert_eq!(exposed.iter().filter(|problem| problem.fails_check).count(), want, "{mode_of:o} {exposed:?}");
    }
}

/// The machine, where systemd hands over what is in a folder.
struct HandsOver<'f>(&'f Path);

impl World for HandsOver<'_> {
    fn read(&self, path: &Path, limit: usize) -> std::io::Result<Vec<u8>> {
        Machine.read(path, limit)
    }

    fn list(&self, folder: &Path) -> std::io::Result<Vec<PathBuf>> {
        Machine.list(folder)
    }

    fn reader(&self, path: &Path, limit: usize) -> Reader {
        Machine.reader(path, limit)
    }

    fn env(&self, _: &str) -> Option<std::ffi::OsString> {
        Some(self.0.into())
    }

    fn readable_by_others(&self, path: &Path) -> bool {
        Machine.readable_by_others(path)
    }

    fn memory_limit(&self) -> Option<u64> {
        None
    }
}

#[test]
fn a_file_is_open_when_every_folder_on_the_way_is() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().expect("a folder");
    let (inner, mode) = (folder.path().join("inner"), std::fs::Permissions::from_mode);
    std::fs::create_dir(&inner).expect("a folder");
    let (file, link) = (inner.join("secret"), folder.path().join("link"));
    std::fs::write(&file, "s3cret").expect("a file");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    for (outer_mode, inner_mode, file_mode, want) in [
        (0o755, 0o755, 0o644, true),
        (0o711, 0o711, 0o604, true),
        (0o755, 0o755, 0o640, false),
        (0o755, 0o750, 0o644, false),
        (0o700, 0o755, 0o644, false),
    ] {
        for (path, mode_of) in [(folder.path(), outer_mode), (&inner, inner_mode), (&file, file_mode)] {
            std::fs::set_permissions(path, mode(mode_of)).expect("a mode");
        }
        for path in [&file, &link] {
            let found = Machine.readable_by_others(path);
            assert_eq!(found, want, "{outer_mode:o} {inner_mode:o} {file_mode:o} {}", path.display());
        }
    }
    assert!(!Machine.readable_by_others(Path::new("/nothing/there")));
}
