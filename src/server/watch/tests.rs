use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::telemetry::clock;

const PATIENCE: Duration = Duration::from_secs(10);

struct Place {
    _folder: tempfile::TempDir,
    root: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("a real path");
        Place { _folder: folder, root }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }
}

/// Everything that was noticed so far is forgotten.
async fn settle(watch: &mut Watch) {
    while tokio::time::timeout(Duration::from_millis(200), watch.shared.changed.notified()).await.is_ok() {}
}

async fn notices(watch: &mut Watch) -> bool {
    tokio::time::timeout(PATIENCE, watch.shared.changed.notified()).await.is_ok()
}

#[tokio::test]
async fn writes_renames_swaps_and_new_folders_are_noticed() {
    let place = Place::new();
    place.write("p.yaml", "1");
    fs::create_dir(place.path("..1")).expect("a folder");
    place.write("..1/keys", "1");
    symlink("..1", place.path("..data")).expect("a link");
    symlink("..data/keys", place.path("keys")).expect("a link");
    let paths = [place.path("p.yaml"), place.path("keys"), place.path("later/list")];
    let mut watch = Watch::start();
    assert_eq!(watch.mode(), WatchMode::Events);
    watch.follow(&paths);
    type Step = fn(&Place);
    let steps: [(&str, Step); 7] = [
        ("written in place", |place| place.write("p.yaml", "2")),
        ("renamed over", |place| {
            place.write("p.new", "3");
            fs::rename(place.path("p.new"), place.path("p.yaml")).expect("renamed");
        }),
        ("moved away", |place| fs::rename(place.path("p.yaml"), place.path("p~")).expect("renamed")),
        ("written anew", |place| place.write("p.yaml", "4")),
        ("swapped", |place| {
            fs::create_dir(place.path("..2")).expect("a folder");
            place.write("..2/keys", "2");
            symlink("..2", place.path("..data_tmp")).expect("a link");
            fs::rename(place.path("..data_tmp"), place.path("..data")).expect("renamed");
            fs::remove_dir_all(place.path("..1")).expect("removed");
        }),
        ("a folder comes", |place| fs::create_dir(place.path("later")).expect("a folder")),
        ("and a file in it", |place| place.write("later/list", "1")),
    ];
    for (what, step) in steps {
        settle(&mut watch).await;
        step(&place);
        assert!(notices(&mut watch).await, "{what}");
        watch.follow(&paths);
    }
    settle(&mut watch).await;
    assert!(!watch.is_missing);
    place.write("..2/keys", "in the new folder");
    assert!(notices(&mut watch).await, "what was swapped in is watched, too");
}

#[tokio::test]
async fn a_folder_that_is_exchanged_is_watched_again() {
    let place = Place::new();
    fs::create_dir(place.path("conf")).expect("a folder");
    place.write("conf/p.yaml", "1");
    let paths = [place.path("conf/p.yaml")];
    let mut watch = Watch::start();
    watch.follow(&paths);
    settle(&mut watch).await;
    fs::rename(place.path("conf"), place.path("old")).expect("renamed");
    assert!(notices(&mut watch).await, "the folder went away");
    watch.follow(&paths);
    assert!(watch.is_missing);
    settle(&mut watch).await;
    fs::create_dir(place.path("conf")).expect("a folder");
    assert!(notices(&mut watch).await, "there is another");
    watch.follow(&paths);
    settle(&mut watch).await;
    place.write("conf/p.yaml", "2");
    assert!(notices(&mut watch).await, "and a file in it");
}

/// Reading is no change, and neither are files that are none of ours: a look must not lead to the next.
#[tokio::test]
async fn reading_and_strangers_are_not_noticed() {
    let place = Place::new();
    place.write("p.yaml", "1");
    let mut watch = Watch::start();
    watch.follow(&[place.path("p.yaml")]);
    settle(&mut watch).await;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut fs::File::open(place.path("p.yaml")).expect("a file"), &mut text).expect("read");
    place.write("log", "a line");
    place.write(".p.yaml.swp", "x");
    watch.follow(&[place.path("p.yaml")]);
    let heard = tokio::time::timeout(Duration::from_millis(300), watch.shared.changed.notified()).await;
    assert!(heard.is_err());
}

#[tokio::test(start_paused = true)]
async fn without_the_systems_help_we_look_ourselves() {
    let nobody = Err(notify::Error::new(notify::ErrorKind::MaxFilesWatch));
    let mut watch = Watch::with(nobody, Arc::default());
    watch.follow(&[PathBuf::from("/p.yaml")]);
    assert_eq!(watch.mode(), WatchMode::Polling);
    let before = clock::after(Duration::ZERO);
    watch.changed().await;
    assert_eq!(before.elapsed(), SOON);
}
