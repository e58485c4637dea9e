//! Protocol buffers, field by field, where they lie (<https://protobuf.dev/programming-guides/encoding/>). It takes what
//! prost takes and refuses what prost refuses; a fuzz target holds the two against each other.

/// Why octets are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("a number does not end")]
    Varint,
    #[error("a field has no number, or one that is too large")]
    Key,
    #[error("a field is of no known kind")]
    Kind,
    #[error("field {0} is of another kind than its message says")]
    OtherKind(u32),
    #[error("a field is longer than what is left")]
    Length,
    #[error("a text is not UTF-8")]
    Utf8,
    #[error("a group does not end, or ends without a beginning")]
    Group,
    #[error("it is nested too deeply")]
    Depth,
}

/// The deepest nesting of messages and groups together.
const DEPTH: u32 = 100;

/// The fields of one message.
#[derive(Clone, Debug)]
pub(super) struct Fields<'w> {
    rest: &'w [u8],
    /// How much deeper it may go.
    depth: u32,
}

/// One field that a message of ours has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field<'w> {
    number: u32,
    value: Value<'w>,
    depth: u32,
}

/// What stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'w> {
    Varint,
    Octets(&'w [u8]),
    Other,
}

impl<'w> Fields<'w> {
    /// The fields of an outermost message.
    pub(super) fn of(message: &'w [u8]) -> Fields<'w> {
        Fields { rest: message, depth: DEPTH }
    }

    /// The next field for which `known` holds. Others are passed over.
    pub(super) fn next(&mut self, known: impl Fn(u32) -> bool) -> Result<Option<Field<'w>>, WireError> {
        while !self.rest.is_empty() {
            let (number, kind) = self.key()?;
            if known(number) {
                let value = match kind {
                    0 => self.varint().map(|_| Value::Varint)?,
                    2 => Value::Octets(self.octets()?),
                    // No message of ours has one: whoever asks what stands there is refused, so it is not even read.
                    _ => Value::Other,
                };
                return Ok(Some(Field { number, value, depth: self.depth }));
            }
            self.skip(number, kind, self.depth)?;
        }
        Ok(None)
    }

    fn skip(&mut self, number: u32, kind: u8, depth: u32) -> Result<(), WireError> {
        if depth == 0 {
            return Err(WireError::Depth);
        }
        match kind {
            0 => self.varint().map(|_| ()),
            1 => self.take(8).map(|_| ()),
            2 => self.octets().map(|_| ()),
            5 => self.take(4).map(|_| ()),
            3 => loop {
                let (inner, kind) =
                    self.key().map_err(|error| if self.rest.is_empty() { WireError::Group } else { error })?;
                if kind == 4 {
                    return if inner == number { Ok(()) } else { Err(WireError::Group) };
                }
                self.skip(inner, kind, depth - 1)?;
            },
            _ => Err(WireError::Group),
        }
    }

    fn key(&mut self) -> Result<(u32, u8), WireError> {
        // Numbers 1 to 15, of the kinds that messages of ours have.
        if let [byte @ 8..0x80, rest @ ..] = self.rest
            && matches!(byte & 7, 0 | 2)
        {
            self.rest = rest;
            return Ok((u32::from(byte >> 3), byte & 7));
        }
        let key = u32::try_from(self.varint()?).map_err(|_| WireError::Key)?;
        let kind = (key & 7) as u8;
        if kind > 5 {
            return Err(WireError::Kind);
        }
        if key >> 3 == 0 {
            return Err(WireError::Key);
        }
        Ok((key >> 3, kind))
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        // Nearly all of them are small.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        let mut value = 0;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7F) << (at * 7);
            if *byte < 0x80 {
                // The tenth octet has room for one bit.
                if at == 9 && *byte > 1 {
                    return Err(WireError::Varint);
                }
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(value);
            }
        }
        Err(WireError::Varint)
    }

    fn octets(&mut self) -> Result<&'w [u8], WireError> {
        // Nearly all of them are shorter than 2^14.
        let (length, rest) = match self.rest {
            [length @ 0..0x80, rest @ ..] => (usize::from(*length), rest),
            [low @ 0x80..=0xFF, high @ 0..0x80, rest @ ..] => (usize::from(low & 0x7F) | usize::from(*high) << 7, rest),
            _ => return self.long_octets(),
        };
        let (taken, rest) = rest.split_at_checked(length).ok_or(WireError::Length)?;
        self.rest = rest;
        Ok(taken)
    }

    fn long_octets(&mut self) -> Result<&'w [u8], WireError> {
        let length = usize::try_from(self.varint()?).map_err(|_| WireError::Length)?;
        self.take(length)
    }

    fn take(&mut self, length: usize) -> Result<&'w [u8], WireError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(WireError::Length)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl<'w> Field<'w> {
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// A `bytes` field.
    pub(super) fn octets(&self) -> Result<&'w [u8], WireError> {
        match self.value {
            Value::Octets(octets) => Ok(octets),
            Value::Varint | Value::Other => Err(WireError::OtherKind(self.number)),
        }
    }

    /// A `string` field.
    pub(super) fn text(&self) -> Result<&'w str, WireError> {
        text(self.octets()?)
    }

    /// A `string` field as octets, for whoever does not need it as text.
    pub(super) fn text_octets(&self) -> Result<&'w [u8], WireError> {
        text_octets(self.octets()?)
    }

    /// A field of a message type.
    pub(super) fn message(&self) -> Result<Fields<'w>, WireError> {
        let rest = self.octets()?;
        let depth = self.depth.checked_sub(1).ok_or(WireError::Depth)?;
        Ok(Fields { rest, depth })
    }

    /// A number nobody asks for; only that it is one.
    pub(super) fn number_only(&self) -> Result<(), WireError> {
        if self.value == Value::Varint { Ok(()) } else { Err(WireError::OtherKind(self.number)) }
    }
}

/// Octets as the text they must be.
pub(super) fn text(octets: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(octets).map_err(|_| WireError::Utf8)
}

/// The same without making a text of them.
pub(super) fn text_octets(octets: &[u8]) -> Result<&[u8], WireError> {
    // Most texts are ASCII, which is cheaper to see.
    if octets.is_ascii() || std::str::from_utf8(octets).is_ok() { Ok(octets) } else { Err(WireError::Utf8) }
}
