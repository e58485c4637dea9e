//! The loop of the load: one thread, sockets that do not block, and a clock.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Write;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context;
use anyhow::bail;
use mio::Events;
use mio::Interest;
use mio::Poll;
use mio::Token;
use mio::net::TcpStream;

use crate::fixture::Question;
use crate::load::Asked;
use crate::load::Load;
use crate::load::Outcome;
use crate::load::Said;
use crate::load::Template;
use crate::load::Wire;
use crate::load::latency::Latency;
use crate::measure;

/// Ask until the time is over.
pub(crate) fn drive<W: Wire>(
    load: &Load,
    questions: &[Question],
    templates: &[Template],
    open: impl Fn() -> (W, Vec<u8>),
) -> anyhow::Result<Outcome> {
    let mut poll = Poll::new()?;
    let mut links = Vec::new();
    for number in 0..load.connections {
        let (wire, first) = open();
        links.push(Link::open(&poll, number, load, wire, first)?);
    }
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 256 * 1024];
    let mut plan = Plan::new(load, questions.len());
    let mut count = Count::new(load, questions);
    let warm = plan.begin + Duration::from_secs_f64(load.warm_up);
    let end = warm + Duration::from_secs_f64(load.seconds);
    let mut window = None;
    loop {
        let now = Instant::now();
        if now >= warm && window.is_none() {
            count.restart();
            window = Some(Window::open(load));
        }
        if now >= end {
            break;
        }
        plan.ask(now, &mut links, templates);
        for link in &mut links {
            link.flush()?;
        }
        // With a rate, waiting would be as coarse as the system's clock.
        let patience = if load.rate.is_some() { Duration::ZERO } else { Duration::from_millis(20) };
        match poll.poll(&mut events, Some(patience)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other?,
        }
        for event in &events {
            let Some(link) = links.get_mut(event.token().0) else { continue };
            link.blocked &= !event.is_writable();
            if event.is_readable() {
                link.read(&mut buffer, &mut |asked, said| count.answer(asked, &said))?;
            }
        }
    }
    let window = window.context("the time was over before it began")?;
    let open = links.iter().flat_map(|link| link.wire.open()).map(|asked| asked.at).chain(plan.waiting);
    count.give_up(open, end);
    let sizes: usize = templates.iter().map(|template| template.octets.len()).sum();
    Ok(Outcome { question_size: sizes / templates.len().max(1), ..window.close(load, count) })
}

/// Which question is next, and when.
struct Plan {
    begin: Instant,
    gap: Option<Duration>,
    /// When the next question is due.
    due: Instant,
    /// Due, and not asked yet because no connection has room.
    waiting: VecDeque<Instant>,
    questions: usize,
    sequence: u64,
    next_link: usize,
}

impl Plan {
    fn new(load: &Load, questions: usize) -> Plan {
        let begin = Instant::now();
        Plan {
            begin,
            gap: load.rate.map(|rate| Duration::from_secs_f64(1.0 / rate)),
            due: begin,
            waiting: VecDeque::new(),
            questions,
            sequence: 0,
            next_link: 0,
        }
    }

    fn ask<W: Wire>(&mut self, now: Instant, links: &mut [Link<W>], templates: &[Template]) {
        let Some(gap) = self.gap else {
            for link in links {
                while link.wire.has_room() {
                    let asked = self.next(now);
                    link.ask(asked, templates);
                }
            }
            return;
        };
        while self.due <= now {
            self.waiting.push_back(self.due);
            self.due += gap;
        }
        // In turn, passing over those without room.
        let mut full = 0;
        while let Some(&due) = self.waiting.front().filter(|_| full < links.len()) {
            self.next_link = (self.next_link + 1) % links.len();
            if links[self.next_link].wire.has_room() {
                full = 0;
                self.waiting.pop_front();
                let asked = self.next(due);
                links[self.next_link].ask(asked, templates);
            } else {
                full += 1;
            }
        }
    }

    fn next(&mut self, at: Instant) -> Asked {
        // Questions in another order than they are written in, each once before any comes again.
        const STRIDE: u64 = 7919;
        self.sequence += 1;
        let question = (self.sequence.wrapping_mul(STRIDE) % self.questions as u64) as usize;
        Asked { question, sequence: self.sequence, at }
    }
}

/// A connection.
struct Link<W> {
    socket: TcpStream,
    wire: W,
    out: Vec<u8>,
    sent: usize,
    /// The system takes no more for now.
    blocked: bool,
}

impl<W: Wire> Link<W> {
    fn open(poll: &Poll, number: usize, load: &Load, wire: W, out: Vec<u8>) -> anyhow::Result<Link<W>> {
        let socket =
            std::net::TcpStream::connect(load.target).with_context(|| format!("connecting to {}", load.target))?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let mut socket = TcpStream::from_std(socket);
        poll.registry().register(&mut socket, Token(number), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Link { socket, wire, out, sent: 0, blocked: false })
    }

    fn ask(&mut self, asked: Asked, templates: &[Template]) {
        if let Some(template) = templates.get(asked.question) {
            self.wire.ask(asked, template, &mut self.out);
        }
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        while !self.blocked && self.sent < self.out.len() {
            match self.socket.write(&self.out[self.sent..]) {
                Ok(0) => bail!("the server takes nothing more"),
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.blocked = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("sending"),
            }
        }
        if self.sent == self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        Ok(())
    }

    /// Read until nothing more is there.
    fn read(&mut self, buffer: &mut [u8], answer: &mut dyn FnMut(Asked, Said<'_>)) -> anyhow::Result<()> {
        loop {
            match self.socket.read(buffer) {
                Ok(0) => bail!("the server closed a connection with {} questions under way", self.wire.open().count()),
                Ok(came) => {
                    self.wire.hear(&buffer[..came], &mut self.out, answer).map_err(anyhow::Error::msg)?;
                    // Less than there was room for: that was all.
                    if came < buffer.len() {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).context("receiving"),
            }
        }
    }
}

/// What the answers were.
struct Count<'l> {
    load: &'l Load,
    questions: &'l [Question],
    latency: Latency,
    outcome: Outcome,
}

impl<'l> Count<'l> {
    fn new(load: &'l Load, questions: &'l [Question]) -> Count<'l> {
        Count { load, questions, latency: Latency::new(), outcome: Outcome::default() }
    }

    /// Begin again. What was wrong stays: a wrong answer is one however early it comes.
    fn restart(&mut self) {
        let before = std::mem::take(&mut self.outcome);
        self.outcome = Outcome { wrong: before.wrong, example: before.example, ..Outcome::default() };
        self.latency = Latency::new();
    }

    /// What was asked too long ago to still be waited for.
    fn give_up(&mut self, open: impl Iterator<Item = Instant>, end: Instant) {
        let patience = Duration::from_millis(self.load.patience);
        for age in open.map(|at| end.saturating_duration_since(at)).filter(|age| *age > patience) {
            self.latency.record(age);
            self.outcome.unanswered += 1;
        }
    }

    fn answer(&mut self, asked: Asked, said: &Said<'_>) {
        self.latency.record(asked.at.elapsed());
        self.outcome.answers += 1;
        let kind = match said {
            Said::Allowed(_) => "allowed",
            Said::Denied(403) => "403",
            Said::Denied(503) => "503",
            Said::Denied(_) => "denied otherwise",
            Said::Nothing(_) => "nothing",
        };
        match self.outcome.kinds.get_mut(kind) {
            Some(count) => *count += 1,
            None => drop(self.outcome.kinds.insert(kind.to_owned(), 1)),
        }
        let Some(question) = self.questions.get(asked.question) else { return };
        let right = match (said, &question.allowed) {
            (Said::Allowed(user), Some(wanted)) => self.load.nameless || *user == Some(wanted),
            (Said::Denied(403), None) => true,
            (Said::Denied(503), _) => self.load.may_shed,
            _ => false,
        };
        if !right {
            self.outcome.wrong += 1;
            self.outcome.example.get_or_insert_with(|| {
                let said = match said {
                    Said::Allowed(user) => format!("allowed as {user:?}"),
                    Said::Denied(status) => format!("denied with {status}"),
                    Said::Nothing(why) => (*why).to_owned(),
                };
                let Question { host, path, address, allowed, .. } = question;
                format!("{host}{path} from {address}: {said}, while {allowed:?} is right")
            });
        }
    }
}

/// The time that counts.
struct Window {
    began: Instant,
    processes: Vec<Duration>,
    own: Duration,
    worked: Duration,
}

impl Window {
    fn open(load: &Load) -> Window {
        Window {
            processes: load.watch.iter().map(|process| measure::processor_time(*process)).collect(),
            own: measure::processor_time(std::process::id()),
            worked: measure::worked(&load.on),
            began: Instant::now(),
        }
    }

    fn close(self, load: &Load, count: Count<'_>) -> Outcome {
        let now = Window::open(load);
        let seconds = now.began.duration_since(self.began).as_secs_f64();
        let Count { latency, outcome, .. } = count;
        let answers = outcome.answers.max(1) as f64;
        let used: Vec<f64> =
            now.processes.iter().zip(&self.processes).map(|(now, then)| (*now - *then).as_secs_f64()).collect();
        let own = (now.own - self.own).as_secs_f64();
        // Ours counts only where we are on the same processor.
        let beside = if measure::processors().iter().any(|processor| load.on.contains(processor)) { own } else { 0.0 };
        let others = (now.worked - self.worked).as_secs_f64() - beside - used.iter().sum::<f64>();
        Outcome {
            seconds,
            cost: used.iter().map(|used| used * 1e6 / answers).collect(),
            resident: load.watch.iter().map(|process| measure::resident(*process)).collect(),
            latency: [0.5, 0.99, 0.999, 1.0].map(|share| latency.quantile(share).as_secs_f64() * 1e6),
            // With a rate it never rests, and that says nothing.
            own_share: if load.rate.is_none() { own / seconds } else { 0.0 },
            others_share: (others / seconds / load.on.len().max(1) as f64).max(0.0),
            ..outcome
        }
    }
}
