//! One gRPC message in, one out: the five octets in front of it, and the caller's deadline.
//!
//! Written here because a gRPC library answers a message it cannot read with a gRPC error, and Envoy under
//! `failure_mode_allow` takes that for an allow.

use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use bytes::Buf;
use bytes::BufMut;
use bytes::Bytes;
use bytes::BytesMut;
use http::HeaderValue;
use http_body::Body;
use prost::Message;

use crate::server::store::Held;

/// A flag and a length of four octets.
const PREFIX: usize = 5;

/// Why a body is not one message.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("the body ends before the message does")]
    Truncated,
    #[error("the message is compressed, which was never offered")]
    Compressed,
    #[error("the flag of the message is {0}")]
    Flag(u8),
    #[error("a message of {length} octets, at most {limit}")]
    Large { length: usize, limit: usize },
    #[error("too much is under way to wait for the rest of the message")]
    Crowded,
    #[error("more octets follow the message")]
    Trailing,
    #[error("the body could not be read: {0}")]
    Transport(String),
}

/// Read a body that must hold exactly one message of at most `limit` octets. What has to wait for more is `held`.
pub(super) async fn read<B>(mut body: B, limit: usize, mut held: Held) -> Result<Bytes, FrameError>
where
    B: Body<Data = Bytes, Error: std::fmt::Display> + Unpin,
{
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    loop {
        let next = std::future::poll_fn(|context| {
            let next = Pin::new(&mut body).poll_frame(context);
            if next.is_pending() && !wait(&mut first, &mut all, &mut held) {
                return Poll::Ready(Some(Err(FrameError::Crowded)));
            }
            next.map(|next| next.map(|frame| frame.map_err(|error| FrameError::Transport(error.to_string()))))
        });
        let Some(frame) = next.await else { break };
        let frame = frame?;
        let Ok(data) = frame.into_data() else { continue };
        // The usual case is one piece, which is never copied.
        if first.is_empty() && all.is_empty() {
            first = data;
            expected(&first, limit)?;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&std::mem::take(&mut first));
        }
        all.extend_from_slice(&data);
        expected(&all, limit)?;
    }
    let mut whole = if all.is_empty() { first } else { all.freeze() };
    match expected(&whole, limit)? {
        Some(length) if whole.len() == PREFIX + length => {
            whole.advance(PREFIX);
            Ok(whole)
        }
        _ => Err(FrameError::Truncated),
    }
}

/// Keep what is there until more comes: in memory of its own, because a piece may hold a much larger buffer of the
/// connection's. `false` when there is no room to wait.
fn wait(first: &mut Bytes, all: &mut BytesMut, held: &mut Held) -> bool {
    if !first.is_empty() {
        all.extend_from_slice(&std::mem::take(first));
    }
    held.hold(all.capacity())
}

/// The length of the message, once its prefix is there. Stops a body that can no longer become right.
fn expected(mut octets: &[u8], limit: usize) -> Result<Option<usize>, FrameError> {
    match octets.first() {
        None | Some(0) => {}
        Some(1) => return Err(FrameError::Compressed),
        Some(flag) => return Err(FrameError::Flag(*flag)),
    }
    if octets.len() < PREFIX {
        return Ok(None);
    }
    let there = octets.len() - PREFIX;
    octets.advance(1);
    let length = usize::try_from(octets.get_u32()).unwrap_or(usize::MAX);
    if length > limit {
        return Err(FrameError::Large { length, limit });
    }
    if there > length {
        return Err(FrameError::Trailing);
    }
    Ok(Some(length))
}

/// One message with its prefix.
pub(super) fn write(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut octets = BytesMut::with_capacity(PREFIX + length);
    octets.put_u8(0);
    octets.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    message.encode_raw(&mut octets);
    octets.freeze()
}

/// Read a `grpc-timeout`: at most eight digits and a unit. A value that is none is as good as absent.
pub(super) fn timeout(value: &HeaderValue) -> Option<Duration> {
    let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let amount = digits.parse::<u64>().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(amount * 60 * 60)),
        "M" => Some(Duration::from_secs(amount * 60)),
        "S" => Some(Duration::from_secs(amount)),
        "m" => Some(Duration::from_millis(amount)),
        "u" => Some(Duration::from_micros(amount)),
        "n" => Some(Duration::from_nanos(amount)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use http_body_util::StreamBody;

    use super::*;
    use crate::server::store::Store;

    async fn read_pieces(pieces: &[&[u8]]) -> Result<Bytes, FrameError> {
        let frames: Vec<Result<_, std::convert::Infallible>> =
            pieces.iter().map(|piece| Ok(http_body::Frame::data(Bytes::copy_from_slice(piece)))).collect();
        read(StreamBody::new(tokio_stream_of(frames)), 8, Store::new(0).place()).await
    }

    fn tokio_stream_of<T>(items: Vec<T>) -> impl tonic::codegen::tokio_stream::Stream<Item = T> {
        tonic::codegen::tokio_stream::iter(items)
    }

    #[tokio::test]
    async fn a_body_is_one_whole_message_or_an_error() {
        let large = FrameError::Large { length: 9, limit: 8 };
        for (pieces, want) in [
            (&[b"\0\0\0\0\x02hi".as_slice()][..], Ok("hi")),
            (&[b"\0\0", b"\0\0\x02h", b"", b"i"], Ok("hi")),
            (&[b"\0\0\0\0\0"], Ok("")),
            (&[b"\0\0\0\0\x0812345678"], Ok("12345678")),
            (&[], Err(FrameError::Truncated)),
            (&[b""], Err(FrameError::Truncated)),
            (&[b"\0\0\0\0"], Err(FrameError::Truncated)),
            (&[b"\0\0\0\0\x02h"], Err(FrameError::Truncated)),
            (&[b"\x01\0\0\0\x02hi"], Err(FrameError::Compressed)),
            (&[b"\x01"], Err(FrameError::Compressed)),
            (&[b"\x80\0\0\0\0"], Err(FrameError::Flag(0x80))),
            (&[b"\0\0\0\0\x09"], Err(large)),
            (&[b"\0\xff\xff\xff\xff"], Err(FrameError::Large { length: u32::MAX as usize, limit: 8 })),
            (&[b"\0\0\0\0\x02hi!"], Err(FrameError::Trailing)),
            (&[b"\0\0\0\0\x02hi", b"\0\0\0\0\0"], Err(FrameError::Trailing)),
        ] {
            assert_eq!(read_pieces(pieces).await, want.map(|text: &str| Bytes::from(text.to_owned())), "{pieces:?}");
        }
    }

    #[tokio::test]
    async fn what_is_written_reads_back() {
        let text = "a message".to_owned();
        let read = read(Full::new(write(&text)), 64, Store::new(0).place()).await.expect("a message");
        assert_eq!(String::decode(read).expect("a string"), text);
    }

    /// A body of one message that comes in two pieces, the second a while later.
    struct InTwo(std::vec::IntoIter<Option<&'static [u8]>>);

    impl Body for InTwo {
        type Data = Bytes;
        type Error = std::convert::Infallible;

        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
            match self.0.next() {
                Some(Some(piece)) => Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(piece))))),
                Some(None) => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(None),
            }
        }
    }

    #[tokio::test]
    async fn what_has_to_wait_needs_room() {
        for (room, want) in [(0, Err(FrameError::Crowded)), (64, Ok(Bytes::from("hi")))] {
            let body = InTwo(vec![Some(&b"\0\0\0\0\x02h"[..]), None, Some(b"i")].into_iter());
            assert_eq!(read(body, 8, Store::new(room).place()).await, want, "room for {room}");
        }
    }

    #[test]
    fn timeouts_have_a_unit() {
        for (text, want) in [
            ("500m", Some(Duration::from_millis(500))),
            ("1S", Some(Duration::from_secs(1))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("200000u", Some(Duration::from_millis(200))),
            ("7n", Some(Duration::from_nanos(7))),
            ("", None),
            ("m", None),
            ("500", None),
            ("-1m", None),
            ("+1m", None),
            ("1.5S", None),
            ("123456789m", None),
            ("5s", None),
        ] {
            assert_eq!(timeout(&HeaderValue::from_static(text)), want, "{text}");
        }
    }
}
