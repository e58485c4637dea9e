//! Lines to a syslog receiver: a real rsyslog over each transport, and one that never reads.

use std::io::Read;
use std::net::TcpListener;

use socket2::SockRef;

use super::rsyslog::Rsyslog;
use super::*;

/// The lines of the file, as they are.
fn texts(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("audit.jsonl")).expect("a log");
    text.lines().map(str::to_owned).collect()
}

/// What `postern audit verify` says of what a receiver has.
fn judged(received: &[String]) -> (Value, Option<i32>) {
    let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a scratch folder");
    fs::write(folder.path().join("received.jsonl"), received.join("\n") + "\n").expect("written");
    verified(folder.path(), &["received.jsonl"])
}

/// Ask until the answer has this status; says how often that took.
fn ask_until(served: &Served, status: u16) -> usize {
    (1..=50_000)
        .find(|_| client::send(served.http, OPEN.as_bytes()).expect("an answer").status == status)
        .unwrap_or_else(|| panic!("never {status}: {}", served.process.log()))
}

fn wait_for_metric(served: &mut Served, name: &str, is: impl Fn(u64) -> bool) {
    let (admin, name) = (served.admin, name.to_owned());
    served.process.wait_until(&name, || is(metric(admin, &name)));
}

#[test]
fn a_receiver_gets_the_very_lines_over_every_transport() {
    for transport in ["unix", "udp", "tcp", "tls"] {
        let Some(mut rsyslog) = Rsyslog::start() else { return };
        let address = rsyslog.address(transport);
        let served = Served::start(&format!(
            "path: FOLDER/audit.jsonl, syslog: {{{address}, hostname: edge-1, facility: local3}}"
        ));
        assert!(served.ask("nginx", "/open") && !served.ask("nginx", "/closed"), "{transport}");
        let (folder, lines) = served.end();
        assert_eq!(rsyslog.wait_for(4), texts(folder.path()), "{transport}");
        let (report, code) = judged(&rsyslog.received());
        assert_eq!((&report["whole"], &report["stopped"], code), (&true.into(), &true.into(), Some(0)), "{report}");
        let id = |line: usize| lines[line]["id"].as_str().expect("an id");
        let want = format!(
            "local3.info edge-1 postern start [postern@32473 seq=\"1\"]\n\
             local3.info edge-1 postern decision [postern@32473 seq=\"2\" id=\"{}\"]\n\
             local3.notice edge-1 postern decision [postern@32473 seq=\"3\" id=\"{}\"]\n\
             local3.info edge-1 postern stop [postern@32473 seq=\"4\"]\n",
            id(1),
            id(2)
        );
        assert_eq!(fs::read_to_string(rsyslog.file("heads")).expect("heads"), want, "{transport}");
    }
}

#[test]
fn a_receiver_may_be_the_only_one_who_has_the_lines() {
    let Some(mut rsyslog) = Rsyslog::start() else { return };
    let served = Served::start(&format!("syslog: {{{}}}", rsyslog.address("unix")));
    assert!(served.ask("nginx", "/open"));
    assert!(!served.log().exists());
    drop(served);
    let (report, code) = judged(&rsyslog.wait_for(3));
    assert_eq!((&report["lines"], code), (&3.into(), Some(0)), "{report}");
}

#[test]
fn a_receiver_that_is_killed_gets_what_waited_when_it_is_back() {
    for transport in ["unix", "tcp", "tls"] {
        let Some(mut rsyslog) = Rsyslog::start() else { return };
        let address = rsyslog.address(transport);
        let mut served = Served::start(&format!("path: FOLDER/audit.jsonl, when_full: refuse, syslog: {{{address}}}"));
        assert!(served.ask("nginx", "/open"));
        rsyslog.wait_for(2);
        rsyslog.process().kill();
        (0..5).for_each(|_| assert!(served.ask("nginx", "/open"), "there is room for it"));
        wait_for_metric(&mut served, "postern_audit_sink_failing{sink=\"syslog\"}", |failing| failing == 1);
        let path = served.log();
        served.process.wait_until("the file, which waits for nobody", || lines(&path).len() == 7);
        rsyslog.begin();
        rsyslog.wait_for(7);
        wait_for_metric(&mut served, "postern_audit_sink_failing{sink=\"syslog\"}", |failing| failing == 0);
        assert_eq!(served.metric("postern_audit_sink_dropped_total{sink=\"syslog\"}"), 0);
        let (folder, _) = served.end();
        assert_eq!(rsyslog.wait_for(8), texts(folder.path()), "{transport}");
    }
}

#[test]
fn with_refuse_nobody_passes_while_a_receiver_takes_nothing_and_no_line_is_lost() {
    let Some(mut rsyslog) = Rsyslog::start() else { return };
    let address = rsyslog.address("unix");
    let served = Served::start(&format!(
        "path: FOLDER/audit.jsonl, when_full: refuse, queue: 50, fsync: never, syslog: {{{address}}}"
    ));
    rsyslog.process().signal(Signal::Stop);
    let passed = ask_until(&served, 503) - 1;
    let refused = client::send(served.http, OPEN.as_bytes()).expect("an answer");
    assert!(refused.body.contains("audit_unavailable"), "{refused:?}");
    assert!(!served.ask("nginx", "/closed"), "a denial is one");
    rsyslog.process().signal(Signal::Continue);
    ask_until(&served, 200);
    let (folder, lines) = served.end();
    let count = |reason: &str| lines.iter().filter(|line| line["reason"] == reason).count();
    assert_eq!((count("public"), count("route_unknown")), (passed + 1, 1), "{lines:#?}");
    assert!(count("audit_unavailable") >= 2, "the file has room for what the receiver has none for");
    // What was allowed is with the receiver; and no allow is there that the file does not have.
    let (stop, allows) = (texts(folder.path()).pop().expect("a line"), passed + 1);
    let path = rsyslog.file("received.jsonl");
    rsyslog.process().wait_until("the end", || fs::read_to_string(&path).is_ok_and(|text| text.contains(&stop)));
    let received = rsyslog.received();
    assert_eq!(received.iter().filter(|line| line.contains("\"effect\":\"allow\"")).count(), allows);
    let file = texts(folder.path());
    assert!(received.iter().all(|line| file.contains(line)));
}

/// A receiver that accepts one connection, and reads it only when told to.
struct Deaf {
    listener: TcpListener,
}

impl Deaf {
    fn start() -> Deaf {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        SockRef::from(&listener).set_recv_buffer_size(4096).expect("a small buffer");
        Deaf { listener }
    }

    fn address(&self) -> String {
        format!("address: 'tcp://{}'", self.listener.local_addr().expect("an address"))
    }

    /// Read all connections to their end, in the order in which they were made.
    fn read(self) -> Vec<String> {
        let mut octets = Vec::new();
        self.listener.set_nonblocking(true).expect("no waiting");
        while let Ok((mut stream, _)) = self.listener.accept() {
            stream.set_nonblocking(false).expect("waiting");
            let mut frames = Vec::new();
            stream.read_to_end(&mut frames).expect("frames");
            octets.push(frames);
        }
        octets.iter().flat_map(|frames| messages(frames)).collect()
    }
}

/// RFC 6587 §3.4.1, and what follows our structured data.
fn messages(mut frames: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let Some(space) = frames.iter().position(|octet| *octet == b' ') {
        let length: usize = std::str::from_utf8(&frames[..space]).expect("digits").parse().expect("a number");
        let (message, rest) = frames[space + 1..].split_at(length);
        let text = std::str::from_utf8(message).expect("text");
        messages.push(text.split_once("] ").expect("structured data").1.to_owned());
        frames = rest;
    }
    messages
}

#[test]
fn a_receiver_that_never_reads_costs_the_file_nothing_and_drops_are_counted() {
    let deaf = Deaf::start();
    let mut served =
        Served::start(&format!("path: FOLDER/audit.jsonl, queue: 50, fsync: never, syslog: {{{}}}", deaf.address()));
    let mut asked = 0;
    while served.metric("postern_audit_sink_dropped_total{sink=\"syslog\"}") == 0 {
        assert!(asked < 20_000, "{}", served.process.log());
        (0..50).for_each(|_| assert_eq!(client::send(served.http, OPEN.as_bytes()).expect("an answer").status, 200));
        asked += 50;
    }
    wait_for_metric(&mut served, "postern_audit_sink_failing{sink=\"syslog\"}", |failing| failing == 1);
    let status = postern(served.folder.path(), &["status", "--admin", &format!("127.0.0.1:{}", served.admin)]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("syslog: NOT TAKEN, "), "{status}");
    assert_eq!(served.metric("postern_audit_dropped_total"), 0);
    let reader = thread::spawn(move || deaf.read());
    wait_for_metric(&mut served, "postern_audit_sink_waiting_lines{sink=\"syslog\"}", |waiting| waiting == 0);
    assert_eq!(client::send(served.http, OPEN.as_bytes()).expect("an answer").status, 200);
    let (_folder, lines) = served.end();
    assert_eq!(lines.len(), asked + 3, "the file has them all");
    let received = reader.join().expect("a reader");
    let (report, _) = judged(&received);
    let found: Vec<&str> = report["findings"]
        .as_array()
        .expect("findings")
        .iter()
        .map(|one| one["kind"].as_str().expect("a kind"))
        .collect();
    assert!(
        !found.is_empty() && found.iter().all(|kind| *kind == "gap"),
        "what is lost shows, and nothing else: {report}"
    );
}

#[test]
fn a_tls_receiver_that_does_not_know_us_or_that_we_do_not_know_gets_nothing() {
    let Some(mut rsyslog) = Rsyslog::start() else { return };
    let file = |name: &str| rsyslog.file(name).display().to_string();
    for words in [
        format!("ca_file: {}, server_name: server.logs.test", file("other.pem")),
        format!("ca_file: {}, server_name: other.logs.test", file("ca.pem")),
        // No certificate of ours.
        format!("ca_file: {}, server_name: server.logs.test", file("ca.pem")),
    ] {
        let address = format!("address: 'tls://127.0.0.1:{}', {words}", rsyslog.tls);
        let mut served = Served::start(&format!("path: FOLDER/audit.jsonl, syslog: {{{address}}}"));
        assert!(served.ask("nginx", "/open"));
        wait_for_metric(&mut served, "postern_audit_sink_errors_total{sink=\"syslog\"}", |errors| errors > 1);
        assert_eq!(served.metric("postern_audit_sink_lines_total{sink=\"syslog\"}"), 0, "{words}");
        drop(served);
    }
    assert!(rsyslog.received().is_empty());
    rsyslog.process();
}
