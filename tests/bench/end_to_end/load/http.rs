//! Asking over HTTP/1.1: one question at a time on a connection that is kept.

use crate::fixture::Question;
use crate::load::Asked;
use crate::load::BROWSER;
use crate::load::PLACEHOLDER;
use crate::load::Said;
use crate::load::Template;
use crate::load::Wire;

/// As Caddy asks, or (not `direct`) as a browser asks a proxy.
pub(crate) fn template(question: &Question, direct: bool) -> Template {
    let Question { host, path, token, address, .. } = question;
    let mut text = if direct { "GET /auth/caddy HTTP/1.1\r\n".to_owned() } else { format!("GET {path} HTTP/1.1\r\n") };
    let mut header = |name: &str, value: &str| {
        for part in [name, ": ", value, "\r\n"] {
            text.push_str(part);
        }
    };
    header("host", host);
    for (name, value) in BROWSER {
        // A hop's own business, which a proxy does not pass on.
        if name != "te" {
            header(name, value);
        }
    }
    header("authorization", &format!("Bearer {token}"));
    header("x-request-id", PLACEHOLDER);
    if direct {
        header("via", "1.1 Caddy");
        header("x-forwarded-for", address);
        header("x-forwarded-host", host);
        header("x-forwarded-method", "GET");
        header("x-forwarded-proto", "https");
        header("x-forwarded-uri", path);
    }
    text.push_str("\r\n");
    Template::new(text.into_bytes())
}

/// One connection.
pub(crate) struct Http {
    under_way: Option<Asked>,
    /// What came of the answer so far.
    came: Vec<u8>,
}

impl Http {
    pub(crate) fn new() -> (Http, Vec<u8>) {
        (Http { under_way: None, came: Vec::new() }, Vec::new())
    }
}

impl Wire for Http {
    fn has_room(&self) -> bool {
        self.under_way.is_none()
    }

    fn ask(&mut self, asked: Asked, template: &Template, out: &mut Vec<u8>) {
        template.write(asked.sequence, out);
        self.under_way = Some(asked);
    }

    fn hear(&mut self, octets: &[u8], _: &mut Vec<u8>, answer: &mut dyn FnMut(Asked, Said<'_>)) -> Result<(), String> {
        self.came.extend_from_slice(octets);
        let Some(head) = Head::read(&self.came)? else { return Ok(()) };
        if self.came.len() < head.length {
            return Ok(());
        }
        if self.came.len() > head.length {
            return Err("more came than one answer".to_owned());
        }
        let asked = self.under_way.take().ok_or("an answer to no question")?;
        match head.status {
            200 => answer(asked, Said::Allowed(head.user)),
            status if head.user.is_some() => return Err(format!("an identity beside status {status}")),
            status => answer(asked, Said::Denied(status)),
        }
        if head.closes {
            return Err("the server closes the connection".to_owned());
        }
        self.came.clear();
        Ok(())
    }

    fn open(&self) -> impl Iterator<Item = &Asked> {
        self.under_way.iter()
    }
}

struct Head<'h> {
    status: u16,
    user: Option<&'h str>,
    /// Octets of head and body.
    length: usize,
    closes: bool,
}

impl Head<'_> {
    fn read(came: &[u8]) -> Result<Option<Head<'_>>, String> {
        let Some(end) = came.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
        let text = std::str::from_utf8(&came[..end]).map_err(|_| "a head that is no text")?;
        let mut lines = text.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        let mut head = Head { status: status.ok_or("no status")?, user: None, length: end + 4, closes: false };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim_ascii();
            if name.eq_ignore_ascii_case("content-length") {
                head.length += value.parse::<usize>().map_err(|_| "a bad content-length")?;
            } else if name.eq_ignore_ascii_case("remote-user") {
                head.user = Some(value);
            } else if name.eq_ignore_ascii_case("connection") {
                head.closes = value.eq_ignore_ascii_case("close");
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                return Err("a chunked answer".to_owned());
            }
        }
        Ok(Some(head))
    }
}
