use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;
use tokio::io::DuplexStream;

use super::*;

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
    (peer, Paced::new(stream, &limits))
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
async fn http_2_is_left_alone_once_its_preface_is_there() {
    let (mut peer, mut stream) = pair();
    for piece in [&PREFACE[..10], &PREFACE[10..]] {
        peer.write_all(piece).await.expect("write");
        assert_eq!(read(&mut stream).await, Some(piece.len()));
    }
    assert_eq!(stream.phase, Phase::Multiplexed);
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
