//! A connection that must keep pace: a head that has begun must end soon, and rest lasts only so long.
//!
//! hyper's own limit on the time for a head also ends connections that merely rest between requests, which makes
//! proxies lose checks, and it sets a timer for every request. Here the two times are apart, and a timer is touched
//! only when a head comes in pieces or a connection rests.
//!
//! HTTP/2 may rest once its preface is there: pings find the peers that have gone. But a frame or a header block that
//! has begun must end soon, too.
//!
//! What has begun is kept in a store that all connections of the thread share, and a peer with much to say is heard
//! in turn with the others. Since when its octets have been waiting for that turn is told to the service.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::server::bell::Bell;
use crate::server::frames::Frames;
use crate::server::limits::Limits;
use crate::server::store::Held;
use crate::telemetry::clock;

/// What HTTP/2 connections begin with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What hyper keeps for every connection anyway, and what costs nobody a place in the store.
const FREE: usize = 8 * 1024;
/// How much of a peer is read before it is another's turn, in octets. At every turn the answers are sent, and one system
/// call for many answers is what makes them cheap: this is some twenty checks.
const TURN: usize = 64 * 1024;
/// What an HTTP/2 frame counts for besides its octets: it may open a stream, or reset one.
const FRAME: usize = 512;

/// A stream with its pace.
pub(super) struct Paced<S> {
    stream: S,
    pace: Pace,
    phase: Phase,
    head: Duration,
    idle: Duration,
    /// Octets of the preface seen so far, while everything seen is one.
    preface: Option<usize>,
    /// What of an HTTP/2 connection is not whole.
    frames: Frames,
    /// Octets of an HTTP/1 request, as far as it is there.
    begun: usize,
    /// The last of them ended a head.
    whole: bool,
    held: Held,
    /// Octets read in this turn.
    turn: usize,
    /// Since when what is read next has been there: we were woken, or stopped reading.
    since: Option<Instant>,
    bell: Option<Bell>,
    timer: Option<Pin<Box<Sleep>>>,
}

/// Where the conversation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Nothing is under way since then.
    Rest(Instant),
    /// A head has begun then and is not complete.
    Head(Instant),
    /// The request is being answered.
    Busy,
    /// HTTP/2: requests begin and end in between each other. A frame or header block that is not whole began then.
    Multiplexed(Option<Instant>),
}

/// How the service tells the stream that a head was complete, and learns how long it lay there.
#[derive(Clone)]
pub(super) struct Pace(Arc<Shared>);

struct Shared {
    begun: AtomicU8,
    opened: Instant,
    /// Nanoseconds from `opened` to when what was read last had arrived; 0 where that is not known.
    arrived: AtomicU64,
}

impl Pace {
    const QUIET: u8 = 0;
    const BEGUN: u8 = 1;

    fn new(arrived: Option<Instant>) -> Pace {
        let opened = arrived.unwrap_or_else(clock::instant);
        Pace(Arc::new(Shared { begun: AtomicU8::new(Pace::QUIET), opened, arrived: AtomicU64::new(0) }))
    }

    /// Since when the request that was just read has been waiting, as far as that is known.
    pub(super) fn arrived(&self) -> Instant {
        match self.0.arrived.load(Ordering::Relaxed) {
            0 => clock::instant(),
            nanos => self.0.opened + Duration::from_nanos(nanos),
        }
    }

    fn read(&self, arrived: Option<Instant>) {
        let nanos = arrived.map_or(0, |at| at.saturating_duration_since(self.0.opened).as_nanos().max(1));
        self.0.arrived.store(u64::try_from(nanos).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// A request has arrived whole, as far as its head goes.
    pub(super) fn begin(&self) {
        self.0.begun.store(Pace::BEGUN, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.begun.swap(Pace::QUIET, Ordering::Relaxed) == Pace::BEGUN
    }
}

impl<S> Paced<S> {
    /// `arrived` is when the first octets did, if they waited for this.
    pub(super) fn new(stream: S, limits: &Limits, held: Held, arrived: Option<Instant>) -> Paced<S> {
        Paced {
            stream,
            pace: Pace::new(arrived),
            phase: Phase::Rest(clock::instant()),
            head: limits.head,
            idle: limits.idle,
            preface: Some(0),
            frames: Frames::default(),
            begun: 0,
            whole: true,
            held,
            turn: 0,
            since: arrived,
            bell: None,
            timer: None,
        }
    }

    /// The handle for the service.
    pub(super) fn pace(&self) -> Pace {
        self.pace.clone()
    }

    fn catch_up(&mut self) {
        if self.pace.has_begun() && !matches!(self.phase, Phase::Multiplexed(_)) {
            self.phase = Phase::Busy;
        }
    }

    fn saw(&mut self, octets: &[u8]) {
        self.catch_up();
        match self.phase {
            Phase::Rest(_) => {
                self.phase = Phase::Head(clock::instant());
                self.begun = octets.len();
            }
            Phase::Head(_) | Phase::Busy => self.begun += octets.len(),
            Phase::Multiplexed(since) => return self.follow(since, octets),
        }
        self.whole = octets.ends_with(b"\r\n\r\n");
        let Some(seen) = self.preface else { return };
        let ahead = PREFACE.get(seen..).unwrap_or_default();
        let (now, after) = octets.split_at(ahead.len().min(octets.len()));
        self.preface = ahead.starts_with(now).then_some(seen + now.len());
        if self.preface == Some(PREFACE.len()) {
            self.preface = None;
            self.follow(None, after);
        }
    }

    fn follow(&mut self, since: Option<Instant>, octets: &[u8]) {
        let whole = self.frames.saw(octets);
        self.phase = Phase::Multiplexed(match self.frames.unfinished() {
            0 => None,
            _ if whole => Some(clock::instant()),
            _ => since.or_else(|| Some(clock::instant())),
        });
    }

    fn wrote(&mut self) {
        self.catch_up();
        if self.phase == Phase::Busy {
            self.phase = Phase::Rest(clock::instant());
        }
    }

    /// Has the peer used up its time, or its room? Asked when there is nothing to read, or it is another's turn.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.catch_up();
        let (due, kept) = match self.phase {
            // What came behind the last request is the next one's, and hyper has it.
            Phase::Rest(since) => (Some(since + self.idle), if self.whole { 0 } else { self.begun }),
            Phase::Head(since) => (Some(since + self.head), self.begun),
            Phase::Busy => (None, 0),
            Phase::Multiplexed(since) => (since.map(|since| since + self.head), self.frames.unfinished()),
        };
        if !self.held.hold(kept.saturating_sub(FREE)) {
            return Poll::Ready(io::Error::from(io::ErrorKind::QuotaExceeded));
        }
        let Some(due) = due else { return Poll::Pending };
        let due = tokio::time::Instant::from_std(due);
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        // A timer set for an earlier rest may ring early: it is set again then, not at every request.
        if timer.deadline() > due {
            timer.as_mut().reset(due);
        }
        while timer.as_mut().poll(context).is_ready() {
            if timer.deadline() >= due {
                return Poll::Ready(io::Error::from(io::ErrorKind::TimedOut));
            }
            timer.as_mut().reset(due);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.turn >= TURN {
            this.turn = 0;
            this.since = Some(clock::instant());
            context.waker().wake_by_ref();
            return this.poll_late(context).map(Err);
        }
        let before = buffer.filled().len();
        let bell = match &mut this.bell {
            Some(bell) if bell.wakes(context) => bell,
            bell => bell.insert(Bell::of(context)),
        };
        this.since = bell.rang().or(this.since);
        match Pin::new(&mut this.stream).poll_read(&mut Context::from_waker(bell.waker()), buffer) {
            Poll::Ready(result) => {
                let octets = buffer.filled().get(before..).unwrap_or_default();
                if !octets.is_empty() {
                    this.pace.read(this.since);
                    this.saw(octets);
                    this.turn += octets.len() + FRAME * this.frames.take_begun();
                }
                Poll::Ready(result)
            }
            Poll::Pending => {
                this.turn = 0;
                this.since = None;
                this.poll_late(context).map(Err)
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(context, octets);
        if let Poll::Ready(Ok(_)) = result {
            this.wrote();
        }
        result
    }

    /// Several answers in one buffer cost less than a list of their pieces: answers are small, and HTTP/2 would write
    /// each of more than 256 octets in a system call of its own.
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
