//! HTTP/2 frames as they come by (RFC 9113 §4.1), only to see what has begun and is not whole: a frame, or a header
//! block that goes on in CONTINUATION frames.

const PREFIX: usize = 9;
const HEADERS: u8 = 1;
const PUSH_PROMISE: u8 = 5;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Where in the row of frames the stream stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    /// The prefix of the next frame, as far as it is there.
    prefix: [u8; PREFIX],
    seen: usize,
    /// Octets of the payload that are still to come.
    left: usize,
    /// A header block has begun and has not ended.
    block: bool,
    /// Octets since everything was whole.
    unfinished: usize,
    /// Frames that have begun since somebody asked.
    begun: usize,
}

impl Frames {
    /// Octets of what has begun and is not whole.
    pub(super) fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// How many frames have begun since this was asked last.
    pub(super) fn take_begun(&mut self) -> usize {
        std::mem::take(&mut self.begun)
    }

    /// Follow these octets. `true` when there was a moment at which everything was whole.
    pub(super) fn saw(&mut self, mut octets: &[u8]) -> bool {
        let mut whole = false;
        while let Some((first, rest)) = octets.split_first() {
            if self.left > 0 {
                let here = self.left.min(octets.len());
                self.left -= here;
                self.unfinished += here;
                octets = octets.get(here..).unwrap_or_default();
            } else {
                if let Some(slot) = self.prefix.get_mut(self.seen) {
                    *slot = *first;
                }
                self.seen += 1;
                self.unfinished += 1;
                octets = rest;
                if self.seen == PREFIX {
                    self.begin();
                }
            }
            if self.seen == 0 && self.left == 0 && !self.block {
                self.unfinished = 0;
                whole = true;
            }
        }
        whole
    }

    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.prefix;
        self.seen = 0;
        self.begun += 1;
        self.left = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if matches!(kind, HEADERS | PUSH_PROMISE | CONTINUATION) {
            self.block = flags & END_HEADERS == 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(length).expect("a short frame"), kind, flags, 0, 0, 0, 1];
        frame.extend(std::iter::repeat_n(0, length));
        frame
    }

    #[test]
    fn what_is_not_whole_is_counted_however_it_arrives() {
        for (octets, want) in [
            (vec![], 0),
            (frame(0, 0, 3), 0),
            (frame(4, 0, 0), 0),
            (frame(HEADERS, END_HEADERS, 20), 0),
            (frame(HEADERS, 0, 20), 29),
            ([frame(HEADERS, 0, 20), frame(CONTINUATION, 0, 5)].concat(), 43),
            ([frame(HEADERS, 0, 20), frame(CONTINUATION, END_HEADERS, 5)].concat(), 0),
            ([frame(0, 0, 3), frame(0, 0, 9)[..4].to_vec()].concat(), 4),
            (frame(0, 0, 9)[..12].to_vec(), 12),
        ] {
            for size in 1..=octets.len().max(1) {
                let mut frames = Frames::default();
                for piece in octets.chunks(size) {
                    frames.saw(piece);
                }
                assert_eq!(frames.unfinished(), want, "{octets:?} in pieces of {size}");
            }
        }
        let mut two = Frames::default();
        assert!(two.saw(&[frame(0, 0, 3), frame(HEADERS, 0, 20)].concat()));
        assert_eq!(two.take_begun(), 2);
        assert!(!Frames::default().saw(&frame(HEADERS, 0, 3)));
    }
}
