//! hyper with its protections on. Each limit is named here, so that no default of a library decides.

use std::time::Duration;

use hyper::server::conn::http1;
use hyper::server::conn::http2;
use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto;

use crate::server::limits::Limits;
use crate::server::task::Timed;

/// Pings on a quiet HTTP/2 connection: a peer that is gone is noticed after their sum.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_ANSWER: Duration = Duration::from_secs(10);
/// Streams that the peer opened and reset before we came to them (rapid reset), and streams that we had to reset
/// because of the peer's mistakes: past these numbers the connection is closed, and every check on it is lost. A proxy
/// resets the checks of clients that gave up, many at once when a client wants it so, hence the generous first number.
const RESETS_BY_PEER: usize = 1024;
const RESETS_BY_US: usize = 1024;
/// Credit of one stream and of a connection: a whole message, and more than arrives between two turns of ours.
const STREAM_WINDOW: u32 = 320 * 1024;
const CONNECTION_WINDOW: u32 = 512 * 1024;
/// The frame size every peer must take, and the answer octets we keep for a peer that does not read.
const FRAME: u32 = 16 * 1024;
const UNREAD_ANSWERS: usize = 256 * 1024;

/// gRPC: HTTP/2 with prior knowledge.
pub(super) fn http2(limits: &Limits) -> http2::Builder<Timed> {
    let mut builder = http2::Builder::new(timed(limits));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(RESETS_BY_PEER)
        .max_local_error_reset_streams(RESETS_BY_US)
        .max_header_list_size(limits.header_list)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(UNREAD_ANSWERS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER)
        .auto_date_header(false);
    builder
}

/// Forward-auth: HTTP/1.1, or HTTP/2 when the connection begins with its preface.
pub(super) fn either(limits: &Limits) -> auto::Builder<Timed> {
    let mut builder = auto::Builder::new(timed(limits));
    builder
        .http1()
        .timer(TokioTimer::new())
        // `Paced` watches over heads and rest.
        .header_read_timeout(None)
        .max_buf_size(usize::try_from(limits.header_list).unwrap_or(usize::MAX).max(8192))
        .keep_alive(true)
        .half_close(false)
        .auto_date_header(false)
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_pending_accept_reset_streams(RESETS_BY_PEER)
        .max_local_error_reset_streams(RESETS_BY_US)
        .max_header_list_size(limits.header_list)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(FRAME)
        .max_send_buf_size(UNREAD_ANSWERS)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_ANSWER)
        .auto_date_header(false);
    builder
}

/// Deciding is limited already; what comes after it is only for the peer to take.
fn timed(limits: &Limits) -> Timed {
    Timed { longest: limits.longest + limits.head }
}

/// The admin pages: HTTP/1.1 only.
pub(super) fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(16 * 1024).half_close(false);
    builder
}
