//! Reading what was packed.

use serde_json::Number;

use crate::model::claim::Claim;
use crate::model::claim::List;
use crate::model::claim::Object;
use crate::model::claim::tag;
use crate::model::claim::word;

/// Where one reads. A packer makes only what can be read, and whoever packs a credential reads it back once; should
/// there be nothing to read all the same, there is no value.
#[derive(Clone, Copy)]
pub(super) struct Reader<'p> {
    packed: &'p str,
    at: usize,
}

impl<'p> Reader<'p> {
    /// At the beginning.
    pub(super) fn new(packed: &'p str) -> Reader<'p> {
        Reader { packed, at: 0 }
    }

    /// The value here, when nobody goes on from it.
    pub(super) fn last(mut self) -> Option<Claim<'p>> {
        let start = self;
        match self.octet()? {
            tag::LIST => {
                let left = self.number()?;
                Some(Claim::List(List { values: self, left }))
            }
            tag::OBJECT => {
                let left = self.number()?;
                Some(Claim::Object(Object { members: self, left }))
            }
            _ => {
                self = start;
                self.claim()
            }
        }
    }

    /// The value here.
    pub(super) fn claim(&mut self) -> Option<Claim<'p>> {
        let start = *self;
        let tag = self.octet()?;
        Some(match tag {
            tag::NULL => Claim::Null,
            tag::FALSE => Claim::Bool(false),
            tag::TRUE => Claim::Bool(true),
            tag::WHOLE => Claim::Number(self.number()?.into()),
            tag::NEGATIVE => Claim::Number(0_i64.checked_sub_unsigned(self.number()?)?.into()),
            tag::FRACTION => {
                let bits = self.number()?;
                Claim::Number(Number::from_f64(f64::from_bits(bits))?)
            }
            tag::LIST => {
                let left = self.number()?;
                let list = List { values: *self, left };
                self.skip_all(left)?;
                Claim::List(list)
            }
            tag::OBJECT => {
                let left = self.number()?;
                let object = Object { members: *self, left };
                self.skip_all(left.checked_mul(2)?)?;
                Claim::Object(object)
            }
            _ => {
                *self = start;
                Claim::Text(self.text()?)
            }
        })
    }

    /// The text here, if it is one.
    pub(super) fn text(&mut self) -> Option<&'p str> {
        match self.octet()? {
            tag::TEXT => {
                let length = self.length()?;
                self.take(length)
            }
            tag::AGAIN => {
                let at = self.length()?;
                let mut there = Reader { at, ..*self };
                if there.octet()? != tag::TEXT {
                    return None;
                }
                let length = there.length()?;
                there.take(length)
            }
            word => word::text(word.checked_sub(tag::WORD)?),
        }
    }

    /// Go past one value.
    pub(super) fn skip(&mut self) -> Option<()> {
        match self.octet()? {
            tag::WHOLE | tag::NEGATIVE | tag::FRACTION | tag::AGAIN => self.number().map(drop),
            tag::TEXT => {
                let length = self.length()?;
                self.take(length).map(drop)
            }
            tag::LIST => {
                let left = self.number()?;
                self.skip_all(left)
            }
            tag::OBJECT => {
                let left = self.number()?;
                self.skip_all(left.checked_mul(2)?)
            }
            _ => Some(()),
        }
    }

    fn skip_all(&mut self, values: u64) -> Option<()> {
        (0..values).try_for_each(|_| self.skip())
    }

    fn octet(&mut self) -> Option<u8> {
        let octet = *self.packed.as_bytes().get(self.at)?;
        self.at += 1;
        Some(octet)
    }

    fn take(&mut self, length: usize) -> Option<&'p str> {
        let end = self.at.checked_add(length)?;
        let taken = self.packed.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.number()?).ok()
    }

    /// Six bits an octet, the least first; the seventh says that more follow. So it is ASCII, whatever the number.
    #[inline]
    fn number(&mut self) -> Option<u64> {
        let first = self.octet()?;
        if first < 0x40 { Some(u64::from(first)) } else { self.longer_number(first) }
    }

    fn longer_number(&mut self, first: u8) -> Option<u64> {
        let mut number = u64::from(first & 0x3f);
        for shift in (6..64).step_by(6) {
            let octet = self.octet()?;
            number |= u64::from(octet & 0x3f) << shift;
            if octet & 0x40 == 0 {
                return Some(number);
            }
        }
        None
    }
}
