//! What takes the lines: a file of ours, or stdout.

use std::io;
use std::io::Write;

use jiff::Timestamp;

/// Takes octets. Only the writer's thread uses it, and may wait for it.
pub(super) trait Sink: Send {
    /// Take some of the octets, and say how many.
    fn write(&mut self, octets: &[u8]) -> io::Result<usize>;

    /// Force to the disk what was taken.
    fn sync(&mut self) -> io::Result<()>;

    /// Between two lines: begin another file where that is due. `reopen`: somebody says that ours was moved away.
    fn tend(&mut self, now: Timestamp, reopen: bool) -> io::Result<()>;
}

/// No place of our own: the lines are for collectors only.
pub(super) struct Nowhere;

impl Sink for Nowhere {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        Ok(octets.len())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn tend(&mut self, _now: Timestamp, _reopen: bool) -> io::Result<()> {
        Ok(())
    }
}

/// Lines for whoever collects what the process says.
pub(super) struct Stdout;

impl Sink for Stdout {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut out = io::stdout().lock();
        // Stdout keeps what follows the last line end to itself. We bring whole lines but for the second half of one.
        let written = out.write(octets)?;
        out.flush()?;
        Ok(written)
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn tend(&mut self, _now: Timestamp, _reopen: bool) -> io::Result<()> {
        Ok(())
    }
}
