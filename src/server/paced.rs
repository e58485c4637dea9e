//! A connection that must keep pace: a head that has begun must end soon, and rest lasts only so long.
//!
//! hyper's own limit on the time for a head also ends connections that merely rest between requests, which makes
//! proxies lose checks, and it sets a timer for every request. Here the two times are apart, and a timer is touched
//! only when a head comes in pieces or a connection rests.
//!
//! HTTP/2 is left alone once its preface is there: pings find the peers that have gone.

use std::future::Future;
use std::io;
use std::io::IoSlice;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering;
use std::task::Context;
use std::task::Poll;
use std::time::Duration;
use std::time::Instant;

use tokio::io::AsyncRead;
use tokio::io::AsyncWrite;
use tokio::io::ReadBuf;
use tokio::time::Sleep;

use crate::server::limits::Limits;
use crate::telemetry::clock;

/// What HTTP/2 connections begin with.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream with its pace.
pub(super) struct Paced<S> {
    stream: S,
    pace: Pace,
    phase: Phase,
    head: Duration,
    idle: Duration,
    /// Octets of the preface seen so far, while everything seen is one.
    preface: Option<usize>,
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
    /// HTTP/2: requests begin and end in between each other.
    Multiplexed,
}

/// How the service tells the stream that a head was complete.
#[derive(Clone)]
pub(super) struct Pace(Arc<AtomicU8>);

impl Pace {
    const QUIET: u8 = 0;
    const BEGUN: u8 = 1;

    /// A request has arrived whole, as far as its head goes.
    pub(super) fn begin(&self) {
        self.0.store(Pace::BEGUN, Ordering::Relaxed);
    }

    fn has_begun(&self) -> bool {
        self.0.swap(Pace::QUIET, Ordering::Relaxed) == Pace::BEGUN
    }
}

impl<S> Paced<S> {
    pub(super) fn new(stream: S, limits: &Limits) -> Paced<S> {
        Paced {
            stream,
            pace: Pace(Arc::new(AtomicU8::new(Pace::QUIET))),
            phase: Phase::Rest(clock::instant()),
            head: limits.head,
            idle: limits.idle,
            preface: Some(0),
            timer: None,
        }
    }

    /// The handle for the service.
    pub(super) fn pace(&self) -> Pace {
        self.pace.clone()
    }

    fn catch_up(&mut self) {
        if self.pace.has_begun() && self.phase != Phase::Multiplexed {
            self.phase = Phase::Busy;
        }
    }

    fn saw(&mut self, octets: &[u8]) {
        self.catch_up();
        self.phase = match self.phase {
            Phase::Rest(_) => Phase::Head(clock::instant()),
            phase @ (Phase::Head(_) | Phase::Busy | Phase::Multiplexed) => phase,
        };
        self.preface = self.preface.and_then(|seen| {
            let ahead = PREFACE.get(seen..).unwrap_or_default();
            let both = ahead.len().min(octets.len());
            (ahead.get(..both) == octets.get(..both)).then_some(seen + both)
        });
        if self.preface == Some(PREFACE.len()) {
            self.phase = Phase::Multiplexed;
            self.timer = None;
            self.preface = None;
        }
    }

    fn wrote(&mut self) {
        self.catch_up();
        if self.phase == Phase::Busy {
            self.phase = Phase::Rest(clock::instant());
        }
    }

    /// Has the peer used up its time? Asked when there is nothing to read.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<io::Error> {
        self.catch_up();
        let due = match self.phase {
            Phase::Rest(since) => since + self.idle,
            Phase::Head(since) => since + self.head,
            Phase::Busy | Phase::Multiplexed => return Poll::Pending,
        };
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
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(result) => {
                let octets = buffer.filled().get(before..).unwrap_or_default();
                if !octets.is_empty() {
                    this.saw(octets);
                }
                Poll::Ready(result)
            }
            Poll::Pending => this.poll_late(context).map(Err),
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

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        if let Poll::Ready(Ok(_)) = result {
            this.wrote();
        }
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
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
