//! Lines to an HTTP collector that fails, is slow, goes away and comes back.

use std::convert::Infallible;
use std::sync::Mutex;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::BodyExt;
use http_body_util::Empty;
use hyper::Request;
use hyper::Response;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::*;

/// A collector: what it has acknowledged, and the status that it answers with. 0: it never answers.
struct Collector {
    port: u16,
    status: Arc<AtomicU16>,
    batches: Arc<Mutex<Vec<String>>>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Collector {
    fn new() -> Collector {
        Collector { port: ports::free(), status: Arc::new(200.into()), batches: Arc::default(), runtime: None }
    }

    fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(tokio::net::TcpListener::bind(("127.0.0.1", self.port))).expect("a port");
        let (status, batches) = (Arc::clone(&self.status), Arc::clone(&self.batches));
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (status, batches) = (Arc::clone(&status), Arc::clone(&batches));
                let answer = service_fn(move |request| answer(request, Arc::clone(&status), Arc::clone(&batches)));
                let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
                tokio::spawn(served);
            }
        });
        self.runtime = Some(runtime);
    }

    /// It is gone, with all its connections.
    fn stop(&mut self) {
        self.runtime.take().expect("it runs").shutdown_timeout(Duration::from_secs(5));
    }

    fn answers(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    /// The lines that it has acknowledged.
    fn lines(&self) -> Vec<String> {
        let batches = self.batches.lock().expect("a lock");
        batches.iter().flat_map(|batch| batch.lines()).map(str::to_owned).collect()
    }

    /// What to write to reach it, with a spool in the folder.
    fn words(&self) -> String {
        format!(
            "url: 'http://127.0.0.1:{}/in', insecure_url: true, spool: FOLDER/spool, spool_size: 1MiB, interval: 20ms, timeout: 500ms, bearer_file: FOLDER/token",
            self.port
        )
    }
}

async fn answer(
    request: Request<Incoming>,
    status: Arc<AtomicU16>,
    batches: Arc<Mutex<Vec<String>>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let sound = header("content-type").as_deref() == Some("application/x-ndjson")
        && header("authorization").as_deref() == Some("Bearer canary-of-a-token")
        && request.uri().path() == "/in"
        && request.method() == "POST";
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let status = status.load(Ordering::SeqCst);
    if status == 0 {
        std::future::pending::<()>().await;
    }
    if sound && (200..300).contains(&status) {
        batches.lock().expect("a lock").push(String::from_utf8(body.to_vec()).expect("text"));
    }
    let status = if sound { status } else { 400 };
    Ok(Response::builder().status(status).body(Empty::new()).expect("an answer"))
}

/// A server that sends to it.
fn served(collector: &Collector, more: &str) -> Served {
    Served::start_with(&format!("http: {{{}}}{more}", collector.words()), |folder| {
        fs::write(folder.join("token"), "canary-of-a-token\n").expect("a token");
    })
}

fn wait_for(served: &mut Served, collector: &Collector, lines: usize) {
    served.process.wait_until("lines", || collector.lines().len() >= lines);
}

/// The lines of the file, as they are.
fn texts(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("audit.jsonl")).expect("a log");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn a_collector_gets_the_very_lines_in_batches() {
    let mut collector = Collector::new();
    collector.start();
    let served = served(&collector, ", path: FOLDER/audit.jsonl");
    (0..3).for_each(|_| assert!(served.ask("nginx", "/open")));
    let (folder, _) = served.end();
    assert_eq!(collector.lines(), texts(folder.path()));
    fs::write(folder.path().join("received.jsonl"), collector.lines().join("\n") + "\n").expect("written");
    let (report, code) = verified(folder.path(), &["received.jsonl"]);
    assert_eq!((&report["whole"], &report["lines"], code), (&true.into(), &5.into(), Some(0)), "{report}");
    assert_eq!(fs::read_dir(folder.path().join("spool")).expect("a spool").count(), 1, "nothing but the lock");
    let log = fs::read_to_string(folder.path().join("log")).expect("a log");
    assert!(!log.contains("canary"), "{log}");
}

#[test]
fn what_a_collector_does_not_acknowledge_comes_again_in_order() {
    let mut collector = Collector::new();
    collector.start();
    let mut served = served(&collector, ", path: FOLDER/audit.jsonl");
    wait_for(&mut served, &collector, 1);
    let mut asked = 1;
    // It fails, refuses us, sends us elsewhere, and never answers; and is not there at all.
    for status in [500, 401, 302, 0, 1] {
        let errors = served.metric("postern_audit_sink_errors_total{sink=\"http\"}");
        if status == 1 {
            collector.stop();
        } else {
            collector.answers(status);
        }
        (0..3).for_each(|_| assert!(served.ask("nginx", "/open")));
        asked += 3;
        let admin = served.admin;
        let name = "postern_audit_sink_errors_total{sink=\"http\"}";
        served.process.wait_until("errors", || metric(admin, name) > errors);
        assert_eq!(served.metric("postern_audit_sink_failing{sink=\"http\"}"), 1, "{status}");
        collector.answers(204);
        if status == 1 {
            collector.start();
        }
        wait_for(&mut served, &collector, asked);
        served.process.wait_until("calm", || metric(admin, "postern_audit_sink_failing{sink=\"http\"}") == 0);
    }
    let (folder, lines) = served.end();
    assert_eq!(collector.lines(), texts(folder.path()));
    assert_eq!(lines.len(), asked + 1);
}

#[test]
fn what_a_killed_process_had_in_its_spool_is_sent_by_the_next() {
    let mut collector = Collector::new();
    let mut served = served(&collector, ", path: FOLDER/audit.jsonl");
    (0..5).for_each(|_| assert!(served.ask("nginx", "/open")));
    let admin = served.admin;
    served.process.wait_until("a spool", || metric(admin, "postern_audit_sink_lines_total{sink=\"spool\"}") == 6);
    let before = texts(served.folder.path());
    served.process.kill();
    assert!(collector.lines().is_empty());
    collector.start();
    served.process = serve(served.folder.path(), served.admin);
    wait_for(&mut served, &collector, 7);
    let (folder, _) = served.end();
    assert_eq!(&collector.lines()[..6], &before[..], "the oldest first");
    assert_eq!(collector.lines(), texts(folder.path()));
}

#[test]
fn a_full_spool_refuses_and_lets_pass_again_when_lines_are_taken() {
    let mut collector = Collector::new();
    let long = format!(
        "/auth/nginx HTTP/1.1\r\nHost: postern\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: app.test\r\nX-Forwarded-Uri: /open?{}\r\n\r\n",
        "x".repeat(7000)
    );
    let long = format!("GET {long}");
    let mut served = served(&collector, ", when_full: refuse, queue: 500, fsync: never, include_query: true");
    let (http, admin) = (served.http, served.admin);
    let mut allowed = 0;
    served.process.wait_until("a full spool", || {
        let reply = client::send(http, long.as_bytes()).expect("an answer");
        allowed += usize::from(reply.status == 200);
        assert!(reply.status == 200 || reply.body.contains("audit_unavailable"), "{reply:?}");
        reply.status == 503 && metric(admin, "postern_audit_sink_failing{sink=\"spool\"}") == 1
    });
    let octets: u64 = fs::read_dir(served.folder.path().join("spool"))
        .expect("a spool")
        .map(|entry| entry.expect("an entry").metadata().expect("metadata").len())
        .sum();
    assert!((900_000..=1_048_576).contains(&octets), "{octets}");
    assert_eq!(served.metric("postern_audit_sink_dropped_total{sink=\"spool\"}"), 0);
    collector.start();
    served.process.wait_until("room", || client::send(http, OPEN.as_bytes()).is_ok_and(|reply| reply.status == 200));
    let allows = || collector.lines().iter().filter(|line| line.contains("\"effect\":\"allow\"")).count();
    served.process.wait_until("all that was allowed, and one more", || allows() > allowed);
    served.process.wait_until("calm", || metric(admin, "postern_audit_sink_waiting_lines{sink=\"http\"}") == 0);
}
