//! Reading HTTP/2 header blocks (RFC 7541), just enough to find the status of a gRPC answer.

use std::collections::VecDeque;

/// The header table of one direction of one connection.
pub(crate) struct Table {
    /// Newest first.
    entries: VecDeque<(Vec<u8>, Vec<u8>)>,
    size: usize,
    capacity: usize,
}

/// What a header block may not be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

impl Table {
    pub(crate) fn new() -> Table {
        Table { entries: VecDeque::new(), size: 0, capacity: 4096 }
    }

    /// Read one whole block, handing on each name and value.
    pub(crate) fn read(&mut self, block: &[u8], mut each: impl FnMut(&[u8], &[u8])) -> Result<(), Malformed> {
        let mut rest = block;
        while let Some(&first) = rest.first() {
            if first & 0x80 != 0 {
                let index = integer(&mut rest, 7)?;
                let (name, value) = self.entry(index)?;
                each(name, value);
            } else if first & 0xe0 == 0x20 {
                self.capacity = integer(&mut rest, 5)?.min(4096);
                self.shrink();
            } else {
                let indexed = first & 0x40 != 0;
                let index = integer(&mut rest, if indexed { 6 } else { 4 })?;
                let name = if index == 0 { text(&mut rest)? } else { self.entry(index)?.0.to_vec() };
                let value = text(&mut rest)?;
                each(&name, &value);
                if indexed {
                    self.size += name.len() + value.len() + OVERHEAD;
                    self.entries.push_front((name, value));
                    self.shrink();
                }
            }
        }
        Ok(())
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), Malformed> {
        let index = index.checked_sub(1).ok_or(Malformed)?;
        if let Some(name) = STATIC_NAMES.get(index) {
            let value = if index == 7 { "200" } else { "" };
            return Ok((name.as_bytes(), value.as_bytes()));
        }
        let (name, value) = self.entries.get(index - STATIC_NAMES.len()).ok_or(Malformed)?;
        Ok((name, value))
    }

    fn shrink(&mut self) {
        while self.size > self.capacity {
            let Some((name, value)) = self.entries.pop_back() else { break };
            self.size -= name.len() + value.len() + OVERHEAD;
        }
    }
}

/// What every entry is counted as beyond its octets (§4.1).
const OVERHEAD: usize = 32;

/// Appendix A. Of the values only that of `:status: 200` matters here.
const STATIC_NAMES: [&str; 61] = [
    ":authority",
    ":method",
    ":method",
    ":path",
    ":path",
    ":scheme",
    ":scheme",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    ":status",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "accept",
    "access-control-allow-origin",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "link",
    "location",
    "max-forwards",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "refresh",
    "retry-after",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "user-agent",
    "vary",
    "via",
    "www-authenticate",
];

/// §5.1
fn integer(rest: &mut &[u8], prefix: u32) -> Result<usize, Malformed> {
    let mask = (1_u8 << prefix) - 1;
    let mut value = usize::from(next(rest)? & mask);
    if value < usize::from(mask) {
        return Ok(value);
    }
    for shift in [0, 7, 14] {
        let octet = next(rest)?;
        value += usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed)
}

/// §5.2
fn text(rest: &mut &[u8]) -> Result<Vec<u8>, Malformed> {
    let coded = rest.first().ok_or(Malformed)? & 0x80 != 0;
    let length = integer(rest, 7)?;
    let (octets, after) = rest.split_at_checked(length).ok_or(Malformed)?;
    *rest = after;
    if coded { huffman(octets) } else { Ok(octets.to_vec()) }
}

fn next(rest: &mut &[u8]) -> Result<u8, Malformed> {
    let (&first, after) = rest.split_first().ok_or(Malformed)?;
    *rest = after;
    Ok(first)
}

/// Appendix B: how many bits the code of each character from 0x20 to 0x7e has. The code is canonical, so that the lengths
/// say it all. Of the others only 0 is as short (13 bits), and none of them stands in a header.
#[rustfmt::skip]
const BITS: [u8; 95] = [
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13,
];
const LONGEST: u8 = 15;

fn huffman(octets: &[u8]) -> Result<Vec<u8>, Malformed> {
    let symbols = |bits: u8| {
        let zero = (bits == 13).then_some(0_u8);
        let others = (0x20_u8..).zip(BITS).filter(move |(_, length)| *length == bits).map(|(symbol, _)| symbol);
        zero.into_iter().chain(others)
    };
    let mut stream = octets.iter().flat_map(|octet| (0..8).rev().map(move |bit| u32::from(octet >> bit & 1)));
    let mut decoded = Vec::new();
    'symbol: loop {
        // The first code of each length follows the last of the length before.
        let (mut code, mut first) = (0, 0);
        for length in 1..=LONGEST {
            let Some(bit) = stream.next() else { return Ok(decoded) };
            code = code << 1 | bit;
            first <<= 1;
            let count = u32::try_from(symbols(length).count()).map_err(|_| Malformed)?;
            if code < first + count {
                let nth = usize::try_from(code - first).map_err(|_| Malformed)?;
                decoded.push(symbols(length).nth(nth).ok_or(Malformed)?);
                continue 'symbol;
            }
            first += count;
        }
        return Err(Malformed);
    }
}
