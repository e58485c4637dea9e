use std::sync::Mutex;

use super::*;
use crate::audit::chain::Link;
use crate::audit::verify::Verifier;
use crate::telemetry::Telemetry;

/// A disk with so much room, shared with the test.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    room: usize,
    octets: Vec<u8>,
    synced: usize,
    sync_fails: bool,
}

impl Disk {
    fn with_room(room: usize) -> Disk {
        let disk = Disk::default();
        disk.set(|shelf| shelf.room = room);
        disk
    }

    fn set<T>(&self, change: impl FnOnce(&mut Shelf) -> T) -> T {
        change(&mut self.0.lock().expect("a lock"))
    }

    fn text(&self) -> String {
        self.set(|shelf| String::from_utf8(shelf.octets.clone()).expect("text"))
    }
}

impl Sink for Disk {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.set(|shelf| {
            let fits = octets.len().min(shelf.room - shelf.octets.len());
            if fits == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            shelf.octets.extend_from_slice(&octets[..fits]);
            Ok(fits)
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.set(|shelf| {
            if shelf.sync_fails {
                return Err(io::Error::other("no"));
            }
            shelf.synced = shelf.octets.len();
            Ok(())
        })
    }

    fn tend(&mut self, _now: Timestamp, _reopen: bool) -> io::Result<()> {
        Ok(())
    }
}

fn writer(disk: &Disk, fsync: Fsync) -> Writer<Disk> {
    let metrics = Telemetry::new().expect("telemetry").metrics().audit();
    Writer::new(disk.clone(), Chain::after(Link::START, None), fsync, metrics)
}

const ABOUT: About = About { at: Timestamp::UNIX_EPOCH, kind: Kind::Event("start") };
const BODIES: &str = "\"kind\":\"decision\",\"n\":1}\n\"kind\":\"decision\",\"n\":2}\n";

#[test]
fn a_disk_that_was_full_gets_the_rest_of_the_very_line() {
    let disk = Disk::with_room(50);
    let mut writer = writer(&disk, Fsync::Never);
    writer.put_bodies(BODIES, &mut [ABOUT; 2].into_iter(), Timestamp::UNIX_EPOCH);
    let now = clock::instant();
    for _ in 0..2 {
        let error = writer.push(now, false).expect_err("a full disk");
        assert_eq!((error.kind(), disk.text().len()), (io::ErrorKind::StorageFull, 50));
    }
    assert_eq!(writer.unwritten(), 2);
    disk.set(|shelf| shelf.room = 10_000);
    writer.push(now, false).expect("there is room");
    let mut verifier = Verifier::new(None);
    for (number, line) in disk.text().lines().enumerate() {
        verifier.line("a", number as u64 + 1, line.as_bytes(), true);
    }
    let report = verifier.finish();
    assert_eq!((report.lines, report.findings), (2, vec![]));
}

#[test]
fn what_is_written_is_forced_to_the_disk_when_asked() {
    let start = clock::instant();
    let later = start + SYNC_WITHIN;
    for (fsync, at_once, after, at_the_end) in
        [(Fsync::Never, false, false, false), (Fsync::Second, false, true, true), (Fsync::Line, true, true, true)]
    {
        let synced = |disk: &Disk| disk.set(|shelf| shelf.synced > 0);
        let disk = Disk::with_room(10_000);
        let mut writer = writer(&disk, fsync);
        writer.put_bodies(BODIES, &mut [ABOUT; 2].into_iter(), Timestamp::UNIX_EPOCH);
        writer.push(start, false).expect("written");
        assert_eq!(synced(&disk), at_once, "{fsync:?}");
        writer.push(later, false).expect("written");
        assert_eq!(synced(&disk), after, "{fsync:?}");
        disk.set(|shelf| shelf.synced = 0);
        writer.put_bodies(BODIES, &mut [ABOUT; 2].into_iter(), Timestamp::UNIX_EPOCH);
        writer.push(later, true).expect("written");
        assert_eq!(synced(&disk), at_the_end, "{fsync:?}");
    }
}

#[test]
fn an_fsync_that_fails_is_a_failure_until_one_succeeds() {
    let disk = Disk::with_room(10_000);
    disk.set(|shelf| shelf.sync_fails = true);
    let mut writer = writer(&disk, Fsync::Line);
    writer.put_bodies(BODIES, &mut [ABOUT; 2].into_iter(), Timestamp::UNIX_EPOCH);
    let now = clock::instant();
    assert!(writer.push(now, false).is_err() && writer.push(now, false).is_err());
    disk.set(|shelf| shelf.sync_fails = false);
    writer.push(now, false).expect("synced");
    assert_eq!(disk.text().lines().count(), 2, "nothing is written twice");
}

#[test]
fn what_was_dropped_is_told_in_the_log_and_the_end_is_marked() {
    let disk = Disk::with_room(10_000);
    let queue = Arc::new(Queue::new(2));
    let writer = writer(&disk, Fsync::Second);
    for body in ["\"kind\":\"decision\"}", "\"kind\":\"decision\"}", "\"kind\":\"decision\"}"] {
        if !queue.offer(body, ABOUT) {
            queue.drop_one();
        }
    }
    let running = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || run(writer, &queue))
    };
    assert!(queue.close(Duration::from_secs(20)));
    running.join().expect("the writer");
    let lines: Vec<serde_json::Value> =
        disk.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let kinds: Vec<&str> = lines.iter().filter_map(|line| line["kind"].as_str()).collect();
    assert_eq!(kinds, ["dropped", "decision", "decision", "stop"]);
    assert_eq!(lines[0]["lines"], 1);
    assert_eq!(disk.set(|shelf| shelf.synced), disk.text().len());
}

#[test]
fn a_disk_that_stays_full_does_not_keep_us_for_ever() {
    let disk = Disk::with_room(0);
    let queue = Arc::new(Queue::new(2));
    assert!(queue.offer("\"kind\":\"decision\"}", ABOUT));
    let telemetry = Telemetry::new().expect("telemetry");
    let metrics = telemetry.metrics().audit();
    let writer = Writer::new(disk, Chain::after(Link::START, None), Fsync::Second, metrics);
    let running = {
        let queue = Arc::clone(&queue);
        std::thread::spawn(move || run(writer, &queue))
    };
    assert!(queue.close(Duration::from_secs(20)), "it gives up");
    let told = telemetry.gather(&[]);
    assert!(told.contains("postern_audit_dropped_total 1\n"), "{told}");
    running.join().expect("the writer");
    assert!(queue.is_failing(), "and takes nothing any more");
}

#[test]
fn parts_end_with_lines_and_nothing_is_lost() {
    let line = "é".repeat(700) + "\n";
    for count in [0, 1, 46, 47, 48, 200] {
        let bodies = line.repeat(count);
        let parts: Vec<&str> = parts(&bodies).collect();
        assert_eq!(parts.concat(), bodies, "{count}");
        assert!(parts.iter().all(|part| part.ends_with('\n') && part.len() <= PART + line.len()), "{count}");
    }
}

#[test]
fn collectors_get_the_very_lines_that_the_file_has_and_not_before_it() {
    let disk = Disk::with_room(50);
    let outbox = Arc::new(crate::audit::outbox::tests::outbox(10, 10_000, false));
    let mut writer = writer(&disk, Fsync::Never).with_outboxes(vec![Arc::clone(&outbox)]);
    writer.put_bodies(BODIES, &mut [ABOUT; 2].into_iter(), Timestamp::UNIX_EPOCH);
    let now = clock::instant();
    let _full = writer.push(now, false).expect_err("a full disk");
    let mut lines = Vec::new();
    outbox.look(&mut lines, 9, Duration::ZERO);
    assert_eq!(lines, [], "a kill would leave them nowhere else");
    disk.set(|shelf| shelf.room = 10_000);
    writer.push(now, false).expect("there is room");
    outbox.look(&mut lines, 9, Duration::ZERO);
    let texts: Vec<&[u8]> = lines.iter().map(|line| &*line.octets).collect();
    assert_eq!(texts, disk.text().lines().map(str::as_bytes).collect::<Vec<_>>());
    assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [Some(1), Some(2)]);
}
