//! Asking over HTTP/2 (RFC 9113) as Envoy asks: few connections, many streams, headers from the connection's table.

use std::collections::VecDeque;
use std::time::Duration;

use prost::Message;

use crate::fixture::Question;
use crate::load::Asked;
use crate::load::Said;
use crate::load::Template;
use crate::load::Wire;
use crate::load::check;
use crate::load::hpack::Table;
use crate::message;
use crate::message::CheckResponse;

/// A DATA frame with the whole message; its stream is written when it is sent.
pub(crate) fn template(question: &Question) -> Template {
    let body = check::message(question).encode_to_vec();
    let length = body.len() + 5;
    let mut frame = frame_head(length, DATA, END_STREAM, 0).to_vec();
    frame.push(0);
    frame.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(&body);
    Template::new(frame)
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const ACKNOWLEDGED: u8 = 1;
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;

fn frame_head(length: usize, kind: u8, flags: u8, stream: u32) -> [u8; 9] {
    let [_, a, b, c] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let [d, e, f, g] = stream.to_be_bytes();
    [a, b, c, kind, flags, d, e, f, g]
}

/// One connection.
pub(crate) struct Grpc {
    /// How many streams we want, and how many the server lets us have.
    wanted: usize,
    granted: usize,
    patience: Duration,
    next: u32,
    /// Octets of DATA that we may send.
    window: i64,
    /// What a stream may bring before the server lets it send more; a question must fit.
    stream_window: i64,
    /// Octets of DATA that came since we let more come.
    taken: u32,
    /// Have the headers of a request been put into the server's table?
    told: bool,
    table: Table,
    /// Streams under way, oldest first: answers come nearly in order.
    under_way: VecDeque<Stream>,
    came: Vec<u8>,
    block: Vec<u8>,
}

struct Stream {
    id: u32,
    asked: Asked,
    body: Vec<u8>,
    status: Option<u16>,
}

/// So much may come without our word.
const WINDOW: u32 = 1 << 30;

impl Grpc {
    /// A connection, and what is sent first.
    pub(crate) fn new(wanted: usize, patience: Duration) -> (Grpc, Vec<u8>) {
        let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // ENABLE_PUSH is 0.
        out.extend_from_slice(&frame_head(6, SETTINGS, 0, 0));
        out.extend_from_slice(&[0, 2, 0, 0, 0, 0]);
        out.extend_from_slice(&frame_head(4, WINDOW_UPDATE, 0, 0));
        out.extend_from_slice(&WINDOW.to_be_bytes());
        let grpc = Grpc {
            wanted,
            granted: usize::MAX,
            patience,
            next: 1,
            window: 65_535,
            stream_window: 65_535,
            taken: 0,
            told: false,
            table: Table::new(),
            under_way: VecDeque::new(),
            came: Vec::new(),
            block: Vec::new(),
        };
        (grpc, out)
    }

    /// A first request tells the server its headers, later ones name them by their numbers.
    fn request_head(&mut self, id: u32, out: &mut Vec<u8>) {
        // `:method: POST`, `:scheme: http`
        let mut block = vec![0x83, 0x86];
        let timeout = format!("{}m", self.patience.as_millis());
        let told = [
            (":path", "/envoy.service.auth.v3.Authorization/Check"),
            (":authority", "postern"),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("grpc-timeout", &timeout),
            ("x-envoy-internal", "true"),
            ("x-envoy-expected-rq-timeout-ms", timeout.trim_end_matches('m')),
        ];
        if self.told {
            // The newest entry is 62.
            block.extend((0..told.len()).rev().map(|age| 0x80 | (62 + age) as u8));
        } else {
            self.told = true;
            for (name, value) in told {
                block.push(0x40);
                for text in [name, value] {
                    block.push(text.len() as u8);
                    block.extend_from_slice(text.as_bytes());
                }
            }
        }
        out.extend_from_slice(&frame_head(block.len(), HEADERS, END_HEADERS, id));
        out.extend_from_slice(&block);
    }

    fn frame(
        &mut self,
        (kind, flags, id): (u8, u8, u32),
        payload: &[u8],
        out: &mut Vec<u8>,
        answer: &mut dyn FnMut(Asked, Said<'_>),
    ) -> Result<(), String> {
        let ends = flags & END_STREAM != 0;
        match kind {
            DATA => {
                self.taken += payload.len() as u32;
                let payload = unpadded(payload, flags).ok_or("a bad DATA frame")?;
                if let Some(stream) = self.under_way.iter_mut().find(|stream| stream.id == id) {
                    stream.body.extend_from_slice(payload);
                }
                if ends {
                    self.end(id, answer, Err("a gRPC answer without a status"));
                }
            }
            HEADERS | CONTINUATION => {
                let mut payload =
                    if kind == HEADERS { unpadded(payload, flags).ok_or("a bad HEADERS frame")? } else { payload };
                if kind == HEADERS && flags & PRIORITY != 0 {
                    payload = payload.get(5..).ok_or("a bad HEADERS frame")?;
                }
                self.block.extend_from_slice(payload);
                if flags & END_HEADERS == 0 {
                    return Err("an answer whose headers fill more than one frame".to_owned());
                }
                let mut status = None;
                let block = std::mem::take(&mut self.block);
                let read = self.table.read(&block, |name, value| {
                    if name == b"grpc-status" {
                        status = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
                    }
                });
                read.map_err(|_| "headers that cannot be read")?;
                if let Some(stream) = self.under_way.iter_mut().find(|stream| stream.id == id) {
                    stream.status = status.or(stream.status);
                }
                if ends {
                    self.end(id, answer, Ok(()));
                }
            }
            RST_STREAM => self.end(id, answer, Err("a stream that was reset")),
            SETTINGS if flags & ACKNOWLEDGED == 0 => {
                for setting in payload.chunks_exact(6) {
                    if let [0, kind, a, b, c, d] = *setting {
                        let value = u32::from_be_bytes([a, b, c, d]);
                        match kind {
                            3 => self.granted = value as usize,
                            4 => self.stream_window = i64::from(value),
                            _ => {}
                        }
                    }
                }
                out.extend_from_slice(&frame_head(0, SETTINGS, ACKNOWLEDGED, 0));
            }
            PING if flags & ACKNOWLEDGED == 0 => {
                out.extend_from_slice(&frame_head(payload.len(), PING, ACKNOWLEDGED, 0));
                out.extend_from_slice(payload);
            }
            GOAWAY => return Err("the server ends the connection".to_owned()),
            WINDOW_UPDATE if id == 0 => {
                if let [a, b, c, d] = *payload {
                    self.window += i64::from(u32::from_be_bytes([a & 0x7f, b, c, d]));
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self, id: u32, answer: &mut dyn FnMut(Asked, Said<'_>), how: Result<(), &str>) {
        let Some(place) = self.under_way.iter().position(|stream| stream.id == id) else { return };
        let Some(stream) = self.under_way.remove(place) else { return };
        match (how, stream.status) {
            (Err(why), _) => answer(stream.asked, Said::Nothing(why)),
            (Ok(()), Some(0)) => read_answer(&stream, answer),
            (Ok(()), Some(status)) => answer(stream.asked, Said::Nothing(&format!("gRPC error {status}"))),
            (Ok(()), None) => answer(stream.asked, Said::Nothing("a gRPC answer without a status")),
        }
    }
}

fn read_answer(stream: &Stream, answer: &mut dyn FnMut(Asked, Said<'_>)) {
    let message = stream.body.get(5..).and_then(|octets| CheckResponse::decode(octets).ok());
    let Some(message) = message else { return answer(stream.asked, Said::Nothing("an answer that cannot be read")) };
    let code = message.status.as_ref().map_or(0, |status| status.code);
    match (code, &message.denied, &message.ok) {
        (0, None, Some(ok)) => answer(stream.asked, Said::Allowed(message::value(&ok.headers, "remote-user"))),
        (0, ..) => answer(stream.asked, Said::Nothing("an allow by default")),
        (_, Some(denied), None) if message::value(&denied.headers, "remote-user").is_none() => {
            let status = denied.status.as_ref().and_then(|status| u16::try_from(status.code).ok()).unwrap_or(403);
            answer(stream.asked, Said::Denied(status));
        }
        _ => answer(stream.asked, Said::Nothing("a denial that is not whole")),
    }
}

fn unpadded(payload: &[u8], flags: u8) -> Option<&[u8]> {
    if flags & PADDED == 0 {
        return Some(payload);
    }
    let (padding, rest) = payload.split_first()?;
    rest.get(..rest.len().checked_sub(usize::from(*padding))?)
}

impl Wire for Grpc {
    fn has_room(&self) -> bool {
        const LARGEST: i64 = 16_384;
        self.under_way.len() < self.wanted.min(self.granted) && self.window >= LARGEST && self.stream_window >= LARGEST
    }

    fn ask(&mut self, asked: Asked, template: &Template, out: &mut Vec<u8>) {
        let id = self.next;
        self.next += 2;
        self.request_head(id, out);
        let begin = out.len();
        template.write(asked.sequence, out);
        out[begin + 5..begin + 9].copy_from_slice(&id.to_be_bytes());
        self.window -= (template.octets.len() - 9) as i64;
        self.under_way.push_back(Stream { id, asked, body: Vec::new(), status: None });
    }

    fn hear(
        &mut self,
        octets: &[u8],
        out: &mut Vec<u8>,
        answer: &mut dyn FnMut(Asked, Said<'_>),
    ) -> Result<(), String> {
        let mut came = std::mem::take(&mut self.came);
        came.extend_from_slice(octets);
        let mut rest = &came[..];
        while let Some((head, after)) = rest.split_first_chunk::<9>() {
            let [a, b, c, kind, flags, d, e, f, g] = *head;
            let length = u32::from_be_bytes([0, a, b, c]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            self.frame((kind, flags, u32::from_be_bytes([d & 0x7f, e, f, g])), payload, out, answer)?;
            rest = after;
        }
        let done = came.len() - rest.len();
        came.drain(..done);
        self.came = came;
        if self.taken > WINDOW / 2 {
            out.extend_from_slice(&frame_head(4, WINDOW_UPDATE, 0, 0));
            out.extend_from_slice(&self.taken.to_be_bytes());
            self.taken = 0;
        }
        Ok(())
    }

    fn open(&self) -> impl Iterator<Item = &Asked> {
        self.under_way.iter().map(|stream| &stream.asked)
    }
}
