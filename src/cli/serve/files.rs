//! The files of a served policy: read again when they have changed, and never taken half-written.

use std::collections::HashSet;
use std::path::Path;
use std::path::PathBuf;

use tracing::warn;

use crate::audit::settings::AuditSettings;
use crate::cli::load::LoadedPolicy;
use crate::cli::serve::warn_of;
use crate::config::load::Disk;
use crate::config::load::Inputs;
use crate::config::load::Loaded;
use crate::config::load::Recorder;
use crate::config::load::SourceFile;
use crate::config::load::check_files;
use crate::config::report::Report;
use crate::export::settings::OtlpSettings;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::server::reload::Cause;
use crate::server::reload::Look;
use crate::server::reload::Origin;
use crate::snapshot::Snapshot;

/// The files that the policy in force was made from, and those of the last attempt.
pub(super) struct PolicyFiles {
    path: PathBuf,
    started: Started,
    in_force: Read,
    tried: Option<Read>,
    /// What was tried changed meanwhile, so that nothing was made of it.
    missed: bool,
    seen: Inputs,
    saw_the_same: bool,
}

/// What was set up at the start, and is kept as it was.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Started {
    pub(super) audit: Option<AuditSettings>,
    pub(super) otlp: Option<OtlpSettings>,
}

/// What one load read. Of the policy's own files the text is kept, of those it names what they held: what is read next is
/// held against it, to find out what was cut off.
#[derive(Default)]
struct Read {
    files: Vec<SourceFile>,
    inputs: Inputs,
}

impl Read {
    fn new(files: Vec<SourceFile>, mut inputs: Inputs) -> Read {
        inputs.forget(files.iter().map(|file| Path::new(&*file.name)));
        Read { files, inputs }
    }
}

impl PolicyFiles {
    /// Files from which a policy was made that is in force now.
    pub(super) fn new(path: PathBuf, loaded: Loaded, inputs: Inputs, started: Started) -> PolicyFiles {
        let in_force = Read::new(loaded.files, inputs);
        PolicyFiles {
            path,
            started,
            in_force,
            tried: None,
            missed: false,
            seen: Inputs::default(),
            saw_the_same: false,
        }
    }
}

impl Origin for PolicyFiles {
    /// A file that looks half-written beside the one in force is bad, and so is one that is gone, unless somebody asks: what
    /// guarded a host may have stood in it, and it may only be on its way.
    fn load(&mut self, cause: Cause) -> Result<Snapshot, Problems> {
        self.missed = false;
        let recorder = Recorder::new(&Disk);
        let policy = LoadedPolicy::read(&self.path, &recorder);
        let inputs = recorder.finish();
        let policy = match policy {
            Ok(policy) => policy,
            Err(report) => {
                self.tried = Some(Read::new(Vec::new(), inputs));
                return Err(report.into_problems());
            }
        };
        let mut incomplete = policy.loaded.check_complete(&self.in_force.files);
        if cause == Cause::Noticed {
            incomplete.0.extend(gone(&self.in_force.files, &policy.loaded.files));
        }
        let open = only_opening(&policy.loaded);
        let read = Read::new(policy.loaded.files.clone(), inputs);
        incomplete.0.extend(check_files(&read.inputs, &self.in_force.inputs, |path| open.contains(path)).0);
        self.tried = Some(read);
        if incomplete.has_errors() {
            return Err(Report::new(incomplete, &policy.loaded.files).into_problems());
        }
        warn_of(policy.warnings.problems());
        if policy.snapshot.audit != self.started.audit {
            warn!("the audit log is kept as it was until a restart");
        }
        if policy.snapshot.otlp != self.started.otlp {
            warn!("the collector is told as before until a restart");
        }
        Ok(policy.snapshot)
    }

    fn keep(&mut self) {
        if let Some(read) = self.tried.take() {
            self.in_force = read;
        }
    }

    fn forget(&mut self) {
        self.tried = None;
    }

    fn look(&mut self) -> Look {
        let mut places = self.in_force.inputs.look_again(&Disk);
        if let Some(tried) = &self.tried {
            places.extend(&tried.inputs.look_again(&Disk));
        }
        let earlier = std::mem::replace(&mut self.seen, places);
        self.saw_the_same = self.seen.agrees_with(&earlier) && !self.seen.reaches_beyond(&earlier);
        if self.seen.agrees_with(&self.in_force.inputs) {
            Look::InForce
        } else if !self.missed && self.tried.as_ref().is_some_and(|tried| self.seen.agrees_with(&tried.inputs)) {
            Look::Tried
        } else {
            Look::New
        }
    }

    fn saw_the_same(&mut self) -> bool {
        self.saw_the_same
    }

    fn read_what_was_seen(&mut self) -> bool {
        self.missed = !self.tried.as_ref().is_some_and(|tried| tried.inputs.fits(&self.seen));
        !self.missed
    }

    fn read_more(&mut self) -> bool {
        self.tried.as_ref().is_some_and(|tried| tried.inputs.reaches_beyond(&self.seen))
    }

    fn paths(&self) -> Vec<PathBuf> {
        let reads = [Some(&self.in_force), self.tried.as_ref()];
        let paths: HashSet<&Path> = reads.into_iter().flatten().flat_map(|read| read.inputs.paths()).collect();
        paths.into_iter().map(Path::to_owned).collect()
    }

    fn files(&self) -> usize {
        self.in_force.inputs.files()
    }
}

/// The files in force that a policy is without.
fn gone<'f>(in_force: &'f [SourceFile], new: &'f [SourceFile]) -> impl Iterator<Item = Problem> + use<'f> {
    let is_gone = |file: &&SourceFile| new.iter().all(|other| other.name != file.name);
    in_force.iter().filter(is_gone).map(|file| {
        let help = "if that is meant, ask for it: SIGHUP, or `POST /reload` on the admin listener";
        Problem::error(Place::whole(&*file.name), "", "this file of the policy is gone").help(help)
    })
}

/// The named files of which every line stands alone and lets somebody in.
fn only_opening(loaded: &Loaded) -> HashSet<PathBuf> {
    let basic = loaded.config.identity.iter().filter_map(|(_, source)| source.value.basic.as_ref());
    basic.filter_map(|basic| basic.htpasswd.as_ref()).map(|file| loaded.path(&file.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A policy with a gate that a cut could lose, and the files that it names.
    const POLICY: &str = "version: 1
identity: {machines: {api_key: {header: X-Api-Key, keys: keys.yaml}}, people: {basic: {htpasswd: users}}}
revocation: {file: revoked.yaml}
hosts:
  app.test:
    routes:
      - {path: /open, public: true}
      - path: /**
        identity: [machines, people]
        network: [192.0.2.0/24]
        require: {identity: machines}
...
";
    const KEYS: &str = "- id: a
  owner: x
  hash: sha256:$HASH
  networks: [192.0.2.0/24]
...
";
    const USERS: &str = "alice:$2b$10$M9Rs2SVRZX8HraWyyvHI1upFOzHNFtOaDxElQ2EwvebOsIk/GgPHO
bob:$2b$10$M9Rs2SVRZX8HraWyyvHI1upFOzHNFtOaDxElQ2EwvebOsIk/GgPHO
";
    const REVOKED: &str = "- {subject: eve, source: people}\n- {subject: mallory, source: people}\n";

    struct Place(tempfile::TempDir);

    impl Place {
        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.path().join(name), text).expect("written");
        }

        /// Files in force.
        fn served() -> (Place, PolicyFiles) {
            let place = Place(tempfile::tempdir().expect("a folder"));
            let files = [("policy.yaml", POLICY), ("keys.yaml", &keys()), ("users", USERS), ("revoked.yaml", REVOKED)];
            for (name, text) in files {
                place.write(name, text);
            }
            let path = place.0.path().join("policy.yaml");
            let recorder = Recorder::new(&Disk);
            let policy = LoadedPolicy::read(&path, &recorder).unwrap_or_else(|report| panic!("{report}"));
            let inputs = recorder.finish();
            (place, PolicyFiles::new(path, policy.loaded, inputs, Started::default()))
        }
    }

    fn keys() -> String {
        KEYS.replace("$HASH", &"0".repeat(64))
    }

    #[test]
    fn f4_nothing_cut_at_any_octet_is_taken() {
        let (place, mut files) = Place::served();
        let other = POLICY.replace("/open", "/other");
        for (name, in_force, texts) in [
            ("policy.yaml", POLICY, [POLICY.to_owned(), other]),
            ("keys.yaml", &keys(), [keys(), keys().replace("- id: a", "- id: b")]),
            ("revoked.yaml", REVOKED, [REVOKED.to_owned(), REVOKED.to_owned()]),
        ] {
            for text in texts {
                for (length, _) in text.char_indices() {
                    let (cut, _) = text.split_at(length);
                    place.write(name, cut);
                    // Between the last `.` and the line's end everything is said.
                    let whole = cut.ends_with("...") && text != in_force;
                    assert_eq!(files.load(Cause::Noticed).is_ok(), whole, "{name}: {cut:?}");
                }
                place.write(name, &text);
                assert!(files.load(Cause::Noticed).is_ok(), "{name}: {text}");
            }
            place.write(name, in_force);
        }
    }

    #[test]
    fn the_last_user_of_a_list_can_be_taken_out() {
        let (place, mut files) = Place::served();
        for (length, _) in USERS.char_indices() {
            let (cut, _) = USERS.split_at(length);
            place.write("users", cut);
            assert_eq!(files.load(Cause::Noticed).is_ok(), cut.ends_with('\n'), "{cut:?}");
        }
    }

    #[test]
    fn a_look_says_what_a_load_would_find() {
        let (place, mut files) = Place::served();
        assert_eq!(files.look(), Look::InForce);
        assert!(!files.saw_the_same(), "there was nothing to compare");
        files.look();
        assert!(files.saw_the_same());
        place.write("keys.yaml", "- nothing\n...\n");
        assert_eq!(files.look(), Look::New);
        assert!(!files.saw_the_same());
        assert!(files.load(Cause::Noticed).is_err() && files.read_what_was_seen() && !files.read_more());
        assert_eq!(files.look(), Look::Tried, "known to be bad");
        place.write("keys.yaml", &keys());
        assert_eq!(files.look(), Look::InForce);
        files.forget();
        place.write("keys.yaml", "- nothing\n...\n");
        assert_eq!(files.look(), Look::New, "it may be said again");
        let named = POLICY.replace("keys.yaml", "more.yaml");
        place.write("policy.yaml", &named);
        place.write("more.yaml", &keys());
        files.look();
        assert!(files.load(Cause::Noticed).is_ok() && files.read_more(), "of `more.yaml` nothing was known");
        files.keep();
        assert_eq!(files.look(), Look::InForce);
        assert!(files.paths().contains(&place.0.path().join("more.yaml")));
        place.write("more.yaml", &keys().replace("- id: a", "- id: b"));
        assert_eq!(files.look(), Look::New);
        std::fs::remove_file(place.0.path().join("policy.yaml")).expect("removed");
        files.look();
        assert!(files.load(Cause::Noticed).is_err());
    }

    #[test]
    fn what_was_read_and_not_judged_is_read_again() {
        let (place, mut files) = Place::served();
        place.write("keys.yaml", &keys().replace("- id: a", "- id: b"));
        assert_eq!((files.look(), files.look()), (Look::New, Look::New));
        // Between the last look and the load.
        place.write("keys.yaml", &keys().replace("- id: a", "- id: c"));
        assert!(files.load(Cause::Noticed).is_ok() && !files.read_what_was_seen(), "nobody has seen that");
        assert_eq!(files.look(), Look::New, "it is not in force, and was not refused");
        files.look();
        assert!(files.load(Cause::Noticed).is_ok() && files.read_what_was_seen());
    }

    #[test]
    fn f4_a_file_that_is_gone_is_missed_until_somebody_asks() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
        write("a.yaml", "version: 1\nhosts: {'*.test': {routes: [{path: /**, public: true}]}}\n...\n");
        write("b.yaml", "hosts: {admin.test: {routes: [{path: /**, public: true, network: [192.0.2.1/32]}]}}\n...\n");
        let recorder = Recorder::new(&Disk);
        let policy = LoadedPolicy::read(folder.path(), &recorder).unwrap_or_else(|report| panic!("{report}"));
        let inputs = recorder.finish();
        let mut files = PolicyFiles::new(folder.path().to_owned(), policy.loaded, inputs, Started::default());
        std::fs::rename(folder.path().join("b.yaml"), folder.path().join("b.yaml~")).expect("moved away");
        let refused = files.load(Cause::Noticed).expect_err("it guarded a host");
        assert!(refused.to_string().contains("is gone"), "{refused}");
        assert!(files.load(Cause::Asked).is_ok(), "somebody means it");
        files.keep();
        assert!(files.load(Cause::Noticed).is_ok(), "and then nothing is missing");
    }
}
