//! The seam for whoever keeps lines elsewhere: what a line is to them, and what they must do.
//!
//! A collector is a file that implements [`Collector`], a variant in `settings::Collection`, and an arm in
//! `audit::collect`. It has a thread (`sender`) and a bounded queue (`outbox`) of its own: however long it takes, only
//! its own lines wait.

use std::io;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::decision::DecisionId;

/// A line as the file has it, and what may be asked of it without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Its number in the chain, where there is one.
    pub(super) seq: Option<u64>,
    pub(super) about: About,
    /// Without the line end. They are never changed, so that the chain can be verified wherever they arrive.
    pub(super) octets: Arc<[u8]>,
}

/// What a line tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct About {
    pub(super) at: Timestamp,
    pub(super) kind: Kind,
}

/// The two kinds of line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Decision {
        id: DecisionId,
        allow: bool,
    },
    /// Of the log itself: `start`, `checkpoint`, …
    Event(&'static str),
}

/// Takes lines. Only its own thread uses it, and may wait for it, but some seconds at most: the process may want to end.
pub(super) trait Collector: Send {
    /// Hand on lines from the first one on, and say how many. After an error, the same lines come again, and maybe more
    /// after them: what was handed on is not to be handed on twice. [`io::ErrorKind::FileTooLarge`] says that the first of them can never be
    /// taken: it is lost to this collector, and counted.
    fn send(&mut self, lines: &[Line]) -> io::Result<usize>;
}
