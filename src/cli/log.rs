//! The lines of an audit log, from files that may be packed, one at a time however many there are.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::BufRead;
use std::io::BufReader;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context;
use anyhow::bail;
use flate2::bufread::MultiGzDecoder;
use indicatif::ProgressBar;
use indicatif::ProgressStyle;
use ruzstd::decoding::BlockDecodingStrategy;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::errors::ReadFrameHeaderError;

/// The longest line, in octets; ours are far shorter.
const LONGEST: u64 = 4 * 1024 * 1024;
/// What is read at once.
const CHUNK: usize = 256 * 1024;
/// A person is told after so many lines what was found.
const TELL_EVERY: u64 = 4096;
/// How files begin that are packed (RFC 1952, RFC 8878).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// All files, as if they were one.
pub(super) struct Log {
    waiting: VecDeque<PathBuf>,
    now: Option<Reading>,
    bar: ProgressBar,
    lines: u64,
}

struct Reading {
    file: String,
    number: u64,
    from: Box<dyn BufRead>,
}

/// One line.
pub(super) struct Line {
    pub(super) file: String,
    pub(super) number: u64,
    pub(super) text: String,
}

impl Log {
    /// Look that all are there, so that nobody finds out at the end.
    pub(super) fn open(files: &[PathBuf]) -> anyhow::Result<Log> {
        let mut size = 0;
        for path in files.iter().filter(|path| path.as_os_str() != "-") {
            let metadata = unreadable(File::open(path).and_then(|file| file.metadata()), &named(path))?;
            if metadata.is_dir() {
                bail!("`{}` is a folder: name the files in it, oldest first", path.display());
            }
            size += metadata.len();
        }
        // What is no terminal is never drawn on.
        let bar = if size > 0 { ProgressBar::new(size) } else { ProgressBar::new_spinner() };
        if let Some(style) = (size > 0)
            .then(|| ProgressStyle::with_template("{bar:30} {percent:>3} % of {total_bytes}, {eta} left; {msg}").ok())
        {
            bar.set_style(style.unwrap_or_else(ProgressStyle::default_bar));
        }
        Ok(Log { waiting: files.iter().cloned().collect(), now: None, bar, lines: 0 })
    }

    /// The next line, without its end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<Line>> {
        loop {
            let Some(reading) = &mut self.now else {
                let Some(path) = self.waiting.pop_front() else { return Ok(None) };
                let file = named(&path);
                let from = unreadable(unpacked(&path, &self.bar), &file)?;
                self.now = Some(Reading { file, number: 0, from });
                continue;
            };
            let mut line = Vec::new();
            let read = reading.from.by_ref().take(LONGEST).read_until(b'\n', &mut line);
            if unreadable(read, &reading.file)? == 0 {
                self.now = None;
                continue;
            }
            line.pop_if(|octet| *octet == b'\n');
            reading.number += 1;
            self.lines += 1;
            // What is no text is no line of ours, and said to be none.
            let text = String::from_utf8_lossy(&line).into_owned();
            return Ok(Some(Line { file: reading.file.clone(), number: reading.number, text }));
        }
    }

    /// Tell a person how far it is, and what was found so far.
    pub(super) fn show(&self, found: impl FnOnce() -> String) {
        if self.lines.is_multiple_of(TELL_EVERY) {
            self.bar.set_message(format!("{} lines, {}", self.lines, found()));
        }
    }

    /// Take the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// The file's name in messages.
fn named(path: &Path) -> String {
    if path.as_os_str() == "-" { "stdin".to_owned() } else { path.display().to_string() }
}

/// Reading went wrong there.
fn unreadable<T>(result: io::Result<T>, file: &str) -> anyhow::Result<T> {
    result.with_context(|| format!("cannot read `{file}`"))
}

/// A file, or stdin, unpacked where it begins as a packed one does, whatever its name.
fn unpacked(path: &Path, bar: &ProgressBar) -> io::Result<Box<dyn BufRead>> {
    let raw: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(io::stdin()),
        false => Box::new(bar.wrap_read(File::open(path)?)),
    };
    let mut raw = BufReader::with_capacity(CHUNK, raw);
    let begins = raw.fill_buf()?;
    if begins.starts_with(&GZIP) {
        return Ok(Box::new(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(raw))));
    }
    if begins.starts_with(&ZSTD) {
        let frames = Frames { from: raw, decoder: FrameDecoder::new(), within: false };
        return Ok(Box::new(BufReader::with_capacity(CHUNK, frames)));
    }
    Ok(Box::new(raw))
}

/// All frames of a zstd file, one after the other: what was put together of packed files is one.
struct Frames<R: BufRead> {
    from: R,
    decoder: FrameDecoder,
    /// A frame has begun and not ended.
    within: bool,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Frames { from, decoder, within } = self;
        loop {
            if *within {
                while decoder.can_collect() == 0 && !decoder.is_finished() {
                    decoder
                        .decode_blocks(&mut *from, BlockDecodingStrategy::UptoBlocks(1))
                        .map_err(io::Error::other)?;
                }
                let read = decoder.read(into)?;
                if read > 0 || into.is_empty() {
                    return Ok(read);
                }
                let said = decoder.get_checksum_from_data();
                if said.is_some() && said != decoder.get_calculated_checksum() {
                    return Err(io::Error::other("a frame of zstd has another checksum than it says"));
                }
                *within = false;
            }
            if from.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match decoder.reset(&mut *from) {
                Ok(()) => *within = true,
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut from.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
    }
}
