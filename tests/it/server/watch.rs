//! A running server sees that its files change: swapped, renamed, removed, half-written, and under load.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use crate::proxy::client;
use crate::proxy::client::Reply;
use crate::proxy::ports;
use crate::proxy::process::Process;

/// A running `postern serve`, and the folder of its files.
struct Served {
    folder: tempfile::TempDir,
    process: Process,
    http: u16,
    admin: u16,
}

impl Served {
    /// Lay out a folder, and serve the policy that lies at `policy` in it.
    fn start(policy: &str, lay_out: impl FnOnce(&Path)) -> Served {
        let folder = tempfile::tempdir().expect("a folder");
        lay_out(folder.path());
        let (http, admin) = (ports::free(), ports::free());
        let mut command = Command::new(env!("CARGO_BIN_EXE_postern"));
        command.args(["serve", "-c", policy]).current_dir(folder.path());
        command.args(["--listen-http", &format!("127.0.0.1:{http}"), "--listen-admin", &format!("127.0.0.1:{admin}")]);
        command.arg(format!("--listen-grpc=unix:{}/grpc.sock", folder.path().display()));
        let mut process = Process::start("postern", &mut command, &folder.path().join("log"));
        process.wait_until("/readyz", || page(admin, "/readyz").is_some());
        Served { folder, process, http, admin }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("written");
    }

    /// Write beside the file, and rename over it.
    fn replace(&self, name: &str, text: &str) {
        self.write(".new", text);
        fs::rename(self.path(".new"), self.path(name)).expect("renamed");
    }

    /// Wait until the metrics hold this line.
    fn wait_for(&mut self, line: &str) {
        let admin = self.admin;
        self.process.wait_until(line, || {
            page(admin, "/metrics").is_some_and(|metrics| metrics.lines().any(|shown| shown == line))
        });
    }

    /// Wait until so many reloads ended so; there must not be more.
    fn reloads(&mut self, result: &str, times: u32) {
        self.wait_for(&format!("postern_config_reloads_total{{result=\"{result}\"}} {times}"));
    }

    /// The status for `GET /<path>`.
    fn ask(&self, path: &str) -> u16 {
        ask(self.http, path).status
    }
}

fn ask(http: u16, path: &str) -> Reply {
    let request = format!(
        "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /{path}\r\n\r\n"
    );
    client::send(http, request.as_bytes()).expect("an answer")
}

fn page(admin: u16, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client::send(admin, request.as_bytes()).ok().filter(|reply| reply.status == 200).map(|reply| reply.body)
}

fn public(path: &str) -> String {
    format!("version: 1\nhosts: {{app.test: {{routes: [{{path: /{path}, public: true}}]}}}}\n...\n")
}

/// What Kubernetes does with a volume: a folder for each version, and a link to it that is exchanged.
fn mount(volume: &Path, version: u32, text: &str) {
    let folder = volume.join(format!("..{version}"));
    fs::create_dir(&folder).expect("a folder");
    fs::write(folder.join("policy.yaml"), text).expect("written");
    symlink(format!("..{version}"), volume.join("..data_tmp")).expect("a link");
    fs::rename(volume.join("..data_tmp"), volume.join("..data")).expect("renamed");
    if version > 1 {
        fs::remove_dir_all(volume.join(format!("..{}", version - 1))).expect("removed");
    }
}

#[test]
fn a_volume_that_is_swapped_is_one_reload_each_time() {
    let mut served = Served::start("volume/policy.yaml", |folder| {
        fs::create_dir(folder.join("volume")).expect("a folder");
        mount(&folder.join("volume"), 1, &public("one"));
        symlink("..data/policy.yaml", folder.join("volume/policy.yaml")).expect("a link");
    });
    for (version, path) in [(2, "two"), (3, "three")] {
        mount(&served.path("volume"), version, &public(path));
        served.reloads("accepted", version - 1);
        served.wait_for(&format!("postern_config_generation {version}"));
        assert_eq!((served.ask(path), served.ask("one")), (200, 403), "{path}");
    }
    // Two in one breath: what comes last is in force.
    mount(&served.path("volume"), 4, &public("four"));
    mount(&served.path("volume"), 5, &public("five"));
    let http = served.http;
    served.process.wait_until("the last one", || ask(http, "five").status == 200);
    assert_eq!(served.ask("four"), 403);
    served.reloads("refused", 0);
}

#[test]
fn editors_and_removals_are_seen() {
    let mut served = Served::start("link.yaml", |folder| {
        fs::create_dir(folder.join("real")).expect("a folder");
        fs::write(folder.join("real/policy.yaml"), public("one")).expect("written");
        symlink("real/policy.yaml", folder.join("link.yaml")).expect("a link");
    });
    served.write("real/policy.yaml", &public("in-place"));
    served.reloads("accepted", 1);
    served.replace("real/policy.yaml", &public("renamed"));
    served.reloads("accepted", 2);
    // As vim does: the old one becomes the backup, and a new one is written.
    fs::rename(served.path("real/policy.yaml"), served.path("real/policy.yaml~")).expect("renamed");
    served.write("real/policy.yaml", &public("vim"));
    served.reloads("accepted", 3);
    assert_eq!(served.ask("vim"), 200);
    served.reloads("refused", 0);
    // Another file behind the link.
    served.write("real/other.yaml", &public("other"));
    symlink("real/other.yaml", served.path(".link")).expect("a link");
    fs::rename(served.path(".link"), served.path("link.yaml")).expect("renamed");
    served.reloads("accepted", 4);
    assert_eq!((served.ask("other"), served.ask("vim")), (200, 403));

    fs::remove_file(served.path("real/other.yaml")).expect("removed");
    served.reloads("refused", 1);
    served.wait_for("postern_config_last_reload_successful 0");
    assert_eq!(served.ask("other"), 200, "the old policy stays");
    assert!(page(served.admin, "/readyz").is_some(), "and so does readiness");
    assert!(served.process.log().contains("does not exist"), "{}", served.process.log());
    served.write("real/other.yaml", &public("other"));
    served.reloads("unchanged", 1);
    served.wait_for("postern_config_last_reload_successful 1");
    served.wait_for("postern_config_generation 5");
}

#[test]
fn a_folder_and_the_files_it_names_are_seen() {
    let key = |folder: &Path| {
        let words = ["key", "new", "--id", "a", "--owner", "x", "--file", "keys.yaml"];
        let made = Command::new(env!("CARGO_BIN_EXE_postern")).args(words).current_dir(folder).output();
        assert!(made.expect("the binary runs").status.success());
    };
    let hosts = "hosts: {app.test: {routes: [{path: /one, public: true}]}}\n...\n";
    let mut served = Served::start(".", |folder| {
        fs::write(folder.join("a.yaml"), "version: 1\n...\n").expect("written");
        fs::write(folder.join("b.yaml"), hosts).expect("written");
    });
    let more = "hosts: {more.test: {identity: machines, routes: [{path: /two, require: {authenticated: true}}]}}\n";
    served.write("c.yaml", &format!("identity: {{machines: {{api_key: {{keys: keys}}}}}}\n{more}...\n"));
    served.reloads("refused", 1);
    assert!(served.process.log().contains("c.yaml:1"), "with its place: {}", served.process.log());
    // What it lacked comes.
    key(served.folder.path());
    fs::rename(served.path("keys.yaml"), served.path("keys")).expect("renamed");
    served.reloads("accepted", 1);
    served.replace("b.yaml", &hosts.replace("one", "two"));
    served.reloads("accepted", 2);
    assert_eq!((served.ask("one"), served.ask("two")), (403, 200));
    let keys = fs::read_to_string(served.path("keys")).expect("keys");
    served.replace("keys", &keys.replace("id: a", "id: b"));
    served.reloads("accepted", 3);
    served.wait_for("postern_config_generation 4");
}

/// Octet by octet, as slowly as no disk is. A rest between two octets may be taken for the end.
#[test]
fn f4_a_slow_writer_never_lets_anybody_in_early() {
    let policy = |guarded: &str| {
        format!(
            "version: 1\nnetworks: {{office: 192.0.2.0/24}}\nhosts:\n  app.test:\n    routes:\n      - path: /{guarded}/**\n        \
             public: true\n        network: office\n      - {{path: /open, public: true}}\n...\n"
        )
    };
    let (old, new) = (policy("old"), policy("new"));
    let mut served = Served::start("policy.yaml", |folder| {
        fs::write(folder.join("policy.yaml"), &old).expect("written");
    });
    let file = served.path("policy.yaml");
    let writer = thread::spawn(move || {
        use std::io::Write;
        let mut file = fs::File::create(file).expect("a file");
        for (number, octet) in new.bytes().enumerate() {
            file.write_all(&[octet]).expect("written");
            let rests = number % 40 == 0;
            thread::sleep(Duration::from_millis(if rests { 250 } else { 1 }));
        }
    });
    while !writer.is_finished() {
        assert_eq!((served.ask("old/x"), served.ask("new/x"), served.ask("open")), (403, 403, 200));
    }
    writer.join().expect("written");
    served.reloads("accepted", 1);
    assert_eq!((served.ask("old/x"), served.ask("new/x"), served.ask("open")), (403, 403, 200));
}

/// Each answer is that of one policy, whatever is exchanged meanwhile.
#[test]
fn no_answer_under_load_fails_or_mixes_two_policies() {
    const RELOADS: u64 = 12;
    let policy = |variant: &str| {
        format!(
            "version: 1\nidentity: {{machines: {{api_key: {{header: X-Api-Key, keys: keys.yaml}}}}}}\n\
             defaults: {{identity: machines, headers: {{user: Remote-User, extra: {{X-First: {{value: {variant}}}, \
             X-Last: {{value: {variant}}}}}}}}}\n\
             hosts: {{app.test: {{routes: [{{path: /both, require: {{authenticated: true}}}}, {{path: /{variant}, \
             require: {{authenticated: true}}}}]}}}}\n...\n"
        )
    };
    let mut key = String::new();
    let mut served = Served::start("policy.yaml", |folder| {
        let words = ["key", "new", "--id", "a", "--owner", "x", "--file", "keys.yaml"];
        let made = Command::new(env!("CARGO_BIN_EXE_postern")).args(words).current_dir(folder).output();
        key = String::from_utf8(made.expect("the binary runs").stdout).expect("a key").trim().to_owned();
        fs::write(folder.join("policy.yaml"), policy("even")).expect("written");
    });
    let (stop, asked, http) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), served.http);
    let askers: Vec<_> = ["both", "even", "odd"]
        .into_iter()
        .map(|path| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            let request = format!(
                "GET /auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\n\
                 X-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /{path}\r\nX-Api-Key: {key}\r\n\r\n"
            );
            thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let reply = client::send(http, request.as_bytes()).expect("an answer");
                    let values = [reply.all("x-first"), reply.all("x-last")].concat();
                    match (path, reply.status) {
                        ("both", 200) => assert!(values == ["even"; 2] || values == ["odd"; 2], "{reply:?}"),
                        ("even" | "odd", 200) => assert_eq!(values, [path; 2], "{reply:?}"),
                        ("even" | "odd", 403) => assert!(values.is_empty(), "{reply:?}"),
                        _ => panic!("{path}: {reply:?}"),
                    }
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let accepted = |metrics: &str| {
        let line =
            metrics.lines().find_map(|line| line.strip_prefix("postern_config_reloads_total{result=\"accepted\"} "));
        line.and_then(|times| times.parse::<u64>().ok()).unwrap_or_default()
    };
    for number in 0_u64.. {
        served.replace("policy.yaml", &policy(if number.is_multiple_of(2) { "odd" } else { "even" }));
        thread::sleep(Duration::from_millis(200));
        let metrics = page(served.admin, "/metrics").expect("metrics");
        if accepted(&metrics) >= RELOADS {
            break;
        }
        assert!(number < 20 * RELOADS, "reloads do not keep up: {metrics}");
    }
    stop.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.join().expect("no failed and no mixed answer");
    }
    assert!(asked.load(Ordering::Relaxed) > RELOADS * 10, "{} answers", asked.load(Ordering::Relaxed));
    served.reloads("refused", 0);
}
