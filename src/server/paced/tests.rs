use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;

use super::*;
use crate::server::store::Store;

/// Octets read, or `None` when the time was up.
async fn read(stream: &mut Paced<DuplexStream>) -> Option<usize> {
    let mut buffer = [0; 64];
    match stream.read(&mut buffer).await {
        Ok(count) => Some(count),
        Err(error) => {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            None
        }
    }
}

fn pair() -> (DuplexStream, Paced<DuplexStream>) {
    let limits = Limits { head: Duration::from_millis(100), idle: Duration::from_millis(300), ..Limits::default() };
    let (peer, stream) = tokio::io::duplex(1024);
    (peer, Paced::new(stream, &limits, Store::new(64 * 1024).place(), None))
}

async fn took(work: impl Future<Output = Option<usize>>) -> (Option<usize>, u128) {
    let before = clock::instant();
    let outcome = work.await;
    (outcome, clock::instant().duration_since(before).as_millis())
}

#[tokio::test]
async fn a_head_that_has_begun_must_end_soon() {
    let (mut peer, mut stream) = pair();
    peer.write_all(b"GET / HT").await.expect("write");
    assert_eq!(read(&mut stream).await, Some(8));
    let (outcome, millis) = took(read(&mut stream)).await;
    assert_eq!(outcome, None);
    assert!((90..250).contains(&millis), "{millis} ms");
}

#[tokio::test]
async fn trickling_does_not_buy_time() {
    let (mut peer, mut stream) = pair();
    let trickle = tokio::spawn(async move {
        while peer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let (outcome, millis) = took(async {
        while read(&mut stream).await.is_some() {}
        None
    })
    .await;
    assert_eq!(outcome, None);
    assert!((90..250).contains(&millis), "{millis} ms");
    trickle.abort();
}

#[tokio::test]
async fn rest_lasts_longer_than_a_head_and_ends_too() {
    let (mut peer, mut stream) = pair();
    for _ in 0..2 {
        peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("write");
        assert_eq!(read(&mut stream).await, Some(18));
        stream.pace().begin();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.expect("answer");
    }
    let (outcome, millis) = took(read(&mut stream)).await;
    assert_eq!(outcome, None);
    assert!((290..500).contains(&millis), "{millis} ms");
}

#[tokio::test]
async fn a_request_being_answered_has_no_limit_here() {
    let (mut peer, mut stream) = pair();
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("write");
    assert_eq!(read(&mut stream).await, Some(18));
    stream.pace().begin();
    let waiting = tokio::time::timeout(Duration::from_millis(500), read(&mut stream)).await;
    assert!(waiting.is_err(), "{waiting:?}");
}

#[tokio::test]
async fn http_2_may_rest_once_its_preface_is_there() {
    let (mut peer, mut stream) = pair();
    for piece in [&PREFACE[..10], &PREFACE[10..]] {
        peer.write_all(piece).await.expect("write");
        assert_eq!(read(&mut stream).await, Some(piece.len()));
    }
    assert_eq!(stream.phase, Phase::Multiplexed(None));
    stream.pace().begin();
    let waiting = tokio::time::timeout(Duration::from_millis(500), read(&mut stream)).await;
    assert!(waiting.is_err(), "{waiting:?}");
}

#[tokio::test]
async fn half_a_preface_is_a_head() {
    let (mut peer, mut stream) = pair();
    peer.write_all(&PREFACE[..10]).await.expect("write");
    assert_eq!(read(&mut stream).await, Some(10));
    assert_eq!(read(&mut stream).await, None);
}

/// The preface, an empty SETTINGS, and the beginning of a header block.
async fn begin_http_2(peer: &mut DuplexStream, stream: &mut Paced<DuplexStream>, head: &[u8]) {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let octets = [PREFACE, &SETTINGS[..], head].concat();
    peer.write_all(&octets).await.expect("write");
    let mut left = octets.len();
    while left > 0 {
        left -= read(stream).await.expect("some octets");
    }
}

#[tokio::test]
async fn an_http_2_head_or_frame_that_has_begun_must_end_soon() {
    const HALF_A_BLOCK: &[u8] = &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82];
    const HALF_A_FRAME: &[u8] = &[0, 0, 9, 0, 0, 0, 0, 0, 1, b'x'];
    for begun in [HALF_A_BLOCK, HALF_A_FRAME] {
        let (mut peer, mut stream) = pair();
        begin_http_2(&mut peer, &mut stream, begun).await;
        let (outcome, millis) = took(read(&mut stream)).await;
        assert_eq!(outcome, None);
        assert!((60..250).contains(&millis), "{millis} ms");
    }
}

#[tokio::test]
async fn heads_that_have_begun_share_one_store() {
    let limits = Limits::default();
    let store = Store::new(64 * 1024);
    let mut ends = Vec::new();
    for number in 0..3 {
        let (mut peer, stream) = tokio::io::duplex(64 * 1024);
        let mut stream = Paced::new(stream, &limits, store.place(), None);
        peer.write_all(&[b'a'; 40 * 1024]).await.expect("write");
        let mut buffer = vec![0; 40 * 1024];
        stream.read_exact(&mut buffer).await.expect("a head");
        let more = tokio::time::timeout(Duration::from_millis(20), stream.read(&mut buffer)).await;
        match number {
            // Two of 40 KiB, each with 8 KiB free, fill the store.
            0 | 1 => assert!(more.is_err(), "{more:?}"),
            _ => assert_eq!(more.expect("at once").expect_err("no room").kind(), io::ErrorKind::QuotaExceeded),
        }
        ends.push((peer, stream));
    }
}

#[tokio::test]
async fn a_peer_with_much_to_say_is_heard_in_turns() {
    let (mut peer, stream) = tokio::io::duplex(4 * TURN);
    let mut stream = Paced::new(stream, &Limits::default(), Store::new(usize::MAX).place(), None);
    peer.write_all(&[b'a'; 3 * TURN]).await.expect("write");
    let mut buffer = vec![0; 4 * TURN];
    let (mut turns, mut read) = (1, 0);
    std::future::poll_fn(|context| {
        while read < 3 * TURN {
            let mut piece = ReadBuf::new(&mut buffer[..TURN / 4]);
            match Pin::new(&mut stream).poll_read(context, &mut piece) {
                Poll::Ready(result) => {
                    result.expect("octets");
                    read += piece.filled().len();
                }
                Poll::Pending => {
                    turns += 1;
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(())
    })
    .await;
    assert_eq!(turns, 3);
}

/// What waits while the thread is busy elsewhere has waited; what comes when we look has not.
#[tokio::test]
async fn a_request_has_waited_since_it_could_have_been_read() {
    let (mut peer, mut stream) = pair();
    let pace = stream.pace();
    let reading = tokio::spawn(async move {
        read(&mut stream).await;
        let first = pace.arrived();
        read(&mut stream).await;
        (first, pace.arrived())
    });
    tokio::task::yield_now().await;
    let before = clock::instant();
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("write");
    let between = clock::instant();
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    let after = clock::instant();
    peer.write_all(b"GET / HTTP/1.1\r\n\r\n").await.expect("write");
    let (first, second) = reading.await.expect("the reader");
    assert!(before <= first && first <= between, "not when it was read");
    assert!(after <= second, "a later one is not as old");
}
