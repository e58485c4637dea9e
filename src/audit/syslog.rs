//! Lines to a syslog receiver: RFC 5424 over a unix socket, UDP (RFC 5426), TCP (RFC 6587, octets counted) or TLS
//! (RFC 5425).
//!
//! Syslog has no receipts. Over a stream, a line counts as sent when the system has taken it; what it still held when a
//! connection broke is lost, and shows as a gap in the chain.

use std::io;
use std::io::Write;

use crate::audit::collector::Collector;
use crate::audit::collector::Kind;
use crate::audit::collector::Line;
use crate::audit::settings::SyslogSettings;
use crate::outbound::socket::Datagram;
use crate::outbound::socket::Endpoint;
use crate::outbound::socket::Socket;
use crate::outbound::socket::Stream;
use crate::outbound::socket::is_slow;

/// The longest line that fits into a datagram whatever stands before it, in octets. UDP carries 65,507.
const LONGEST_DATAGRAM: usize = 64_000;

/// Linux's EMSGSIZE, which has no kind of its own.
const TOO_LONG: i32 = 90;

/// What names the structured data. 32473 is the enterprise number set aside for examples (RFC 5612): we have none.
const SD_ID: &str = "postern@32473";

/// Sends lines.
pub(super) struct Syslog {
    settings: SyslogSettings,
    hostname: String,
    process: u32,
    socket: Option<Socket>,
    frames: Frames,
}

/// Lines on their way through a stream: what is written stays written when the receiver is slow.
#[derive(Default)]
struct Frames {
    octets: Vec<u8>,
    /// Where each line ends in them.
    ends: Vec<usize>,
    written: usize,
}

impl Syslog {
    /// Nothing is sent yet.
    pub(super) fn new(settings: SyslogSettings) -> Syslog {
        let named = settings
            .hostname
            .clone()
            .unwrap_or_else(|| rustix::system::uname().nodename().to_str().map(str::to_owned).unwrap_or_default());
        let hostname = word(&named, 255);
        Syslog { settings, hostname, process: std::process::id(), socket: None, frames: Frames::default() }
    }

    /// The longest line that can be sent, in octets.
    pub(super) fn longest(settings: &SyslogSettings) -> usize {
        match settings.to {
            // A unix socket takes datagrams more often than not.
            Endpoint::Unix(_) | Endpoint::Udp(_) => LONGEST_DATAGRAM,
            Endpoint::Tcp(_) | Endpoint::Tls(..) => usize::MAX,
        }
    }

    /// RFC 5424 §6: the header, our structured data, and the line as it is.
    fn message(&self, line: &Line, out: &mut Vec<u8>) {
        let (severity, kind) = match line.about.kind {
            Kind::Decision { allow: true, .. } => (6, "decision"),
            Kind::Decision { allow: false, .. } => (5, "decision"),
            Kind::Event(kind @ ("dropped" | "torn")) => (4, kind),
            Kind::Event(kind) => (6, kind),
        };
        let priority = u32::from(self.settings.facility) * 8 + severity;
        let Syslog { settings: SyslogSettings { app_name, .. }, hostname, process, .. } = self;
        // Writing to a vector cannot fail.
        let _ = write!(out, "<{priority}>1 {:.6} {hostname} {app_name} {process} {kind} ", line.about.at);
        let id = match line.about.kind {
            Kind::Decision { id, .. } => Some(id),
            Kind::Event(_) => None,
        };
        if line.seq.is_none() && id.is_none() {
            out.push(b'-');
        } else {
            let _ = write!(out, "[{SD_ID}");
            let _ = line.seq.map(|seq| write!(out, " seq=\"{seq}\""));
            let _ = id.map(|id| write!(out, " id=\"{id}\""));
            out.push(b']');
        }
        out.push(b' ');
        out.extend_from_slice(&line.octets);
    }

    fn send_datagrams(&self, socket: &Datagram, lines: &[Line]) -> io::Result<usize> {
        let mut message = Vec::new();
        for (sent, line) in lines.iter().enumerate() {
            message.clear();
            self.message(line, &mut message);
            match socket.send(&message) {
                Ok(()) => {}
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) if error.raw_os_error() == Some(TOO_LONG) => {
                    return Err(io::Error::new(io::ErrorKind::FileTooLarge, error));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(lines.len())
    }

    fn send_frames(&mut self, stream: &mut Stream, lines: &[Line]) -> io::Result<usize> {
        if stream.has_ended()? {
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, "the receiver ended the connection"));
        }
        let mut message = Vec::new();
        for line in lines.iter().skip(self.frames.ends.len()) {
            message.clear();
            self.message(line, &mut message);
            self.frames.put(&message);
        }
        self.frames.write(stream)
    }
}

impl Collector for Syslog {
    fn send(&mut self, lines: &[Line]) -> io::Result<usize> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => {
                // A line that the last connection has only a part of begins anew.
                self.frames = Frames::default();
                self.settings.to.connect()?
            }
        };
        let sent = match &mut socket {
            Socket::Datagram(datagram) => self.send_datagrams(datagram, lines),
            Socket::Stream(stream) => self.send_frames(stream, lines),
        };
        let keeps = |error: &io::Error| is_slow(error) || error.kind() == io::ErrorKind::FileTooLarge;
        if sent.as_ref().err().is_none_or(keeps) {
            self.socket = Some(socket);
        }
        sent
    }
}

impl Frames {
    /// RFC 6587 §3.4.1: the length in octets, a space, the message.
    fn put(&mut self, message: &[u8]) {
        let _ = write!(self.octets, "{} ", message.len());
        self.octets.extend_from_slice(message);
        self.ends.push(self.octets.len());
    }

    /// Write what is left, and say how many lines are through. They are forgotten.
    fn write(&mut self, stream: &mut impl Write) -> io::Result<usize> {
        let mut failed = None;
        while let Some(rest) = self.octets.get(self.written..).filter(|rest| !rest.is_empty()) {
            match stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // What TLS has taken is with the system only now.
        stream.flush()?;
        let through = self.ends.iter().take_while(|end| **end <= self.written).count();
        match failed {
            // What the next connection gets again is better twice there than not at all.
            Some(error) if through == 0 || !is_slow(&error) => Err(error),
            _ => {
                let cut = through.checked_sub(1).and_then(|last| self.ends.get(last)).copied().unwrap_or(0);
                self.octets.drain(..cut);
                self.ends.drain(..through);
                self.ends.iter_mut().for_each(|end| *end -= cut);
                self.written -= cut;
                Ok(through)
            }
        }
    }
}

/// As RFC 5424 lets a word of the header be: printable ASCII without spaces, so long at most; `-` for nothing.
fn word(text: &str, most: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::collector::About;
    use crate::model::decision::DecisionId;
    use crate::outbound::socket::HostPort;

    fn syslog() -> Syslog {
        let to = Endpoint::Udp(HostPort { host: "127.0.0.1".into(), port: 9 });
        let hostname = Some("edge-1".to_owned());
        let settings = SyslogSettings { to, facility: 10, app_name: "postern".into(), hostname };
        Syslog { process: 42, ..Syslog::new(settings) }
    }

    fn line(seq: Option<u64>, kind: Kind) -> Line {
        let at = "2027-01-31T12:00:00.123456789Z".parse().expect("a time");
        Line { seq, about: About { at, kind }, octets: (*b"{\"a\":1}").into() }
    }

    #[test]
    fn a_message_is_rfc_5424_and_ends_with_the_line_as_it_is() {
        let decision = |allow| Kind::Decision { id: DecisionId(7), allow };
        for (seq, kind, want) in [
            (
                Some(3),
                decision(true),
                "<86>1 T edge-1 postern 42 decision [postern@32473 seq=\"3\" id=\"I\"] {\"a\":1}",
            ),
            (None, decision(false), "<85>1 T edge-1 postern 42 decision [postern@32473 id=\"I\"] {\"a\":1}"),
            (Some(1), Kind::Event("start"), "<86>1 T edge-1 postern 42 start [postern@32473 seq=\"1\"] {\"a\":1}"),
            (None, Kind::Event("dropped"), "<84>1 T edge-1 postern 42 dropped - {\"a\":1}"),
        ] {
            let mut message = Vec::new();
            syslog().message(&line(seq, kind), &mut message);
            let want = want.replace('T', "2027-01-31T12:00:00.123456Z").replace('I', "00000000000000000000000007");
            assert_eq!(String::from_utf8(message).expect("text"), want);
        }
    }

    #[test]
    fn a_word_of_the_header_is_printable_ascii() {
        for (text, want) in [("edge-1", "edge-1"), ("a b\u{e9}\n", "ab"), ("", "-"), (" ", "-"), ("abcdef", "abcd")] {
            assert_eq!(word(text, if text == "abcdef" { 4 } else { 255 }), want, "{text:?}");
        }
    }

    /// Takes so many octets, and then none.
    struct Slow(usize, Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let fits = octets.len().min(self.0);
            if fits == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.0 -= fits;
            self.1.extend_from_slice(&octets[..fits]);
            Ok(fits)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_slow_receiver_gets_every_octet_once() {
        let (mut frames, mut slow) = (Frames::default(), Slow(3, Vec::new()));
        (0..3).for_each(|_| frames.put(b"abcd"));
        assert!(frames.write(&mut slow).is_err_and(|error| is_slow(&error)), "not one line is through");
        slow.0 = 8;
        assert_eq!(frames.write(&mut slow).expect("a line"), 1);
        frames.put(b"e");
        slow.0 = 100;
        assert_eq!(frames.write(&mut slow).expect("the others"), 3);
        assert_eq!(String::from_utf8(slow.1).expect("text"), "4 abcd4 abcd4 abcd1 e");
        assert_eq!((frames.octets.len(), frames.ends.len(), frames.written), (0, 0, 0));
    }
}
