//! The load: asks questions as fast as the answers come, or at a fixed rate, and checks every answer.
//!
//! It runs as a process of its own on a processor of its own, and is written for little: requests are laid out beforehand,
//! and a frame is a copy. A load that is dearer than the server would measure itself.

mod check;
mod drive;
mod grpc;
mod hpack;
mod http;
mod latency;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use clap::ValueEnum;
use serde::Deserialize;
use serde::Serialize;

use crate::fixture::Question;

/// Put load on a server. What is found is one line of JSON.
#[derive(Args, Clone, Debug)]
pub(crate) struct Load {
    #[arg(long)]
    pub(crate) protocol: Protocol,
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// JSON: the questions and their answers.
    #[arg(long)]
    pub(crate) questions: PathBuf,
    #[arg(long)]
    pub(crate) connections: usize,
    /// Questions under way on one connection.
    #[arg(long, default_value_t = 1)]
    pub(crate) streams: usize,
    /// Seconds before anything counts.
    #[arg(long)]
    pub(crate) warm_up: f64,
    #[arg(long)]
    pub(crate) seconds: f64,
    /// Questions a second, however long answers take. Latency counts from the moment a question was due. Without it, a
    /// question follows an answer.
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// What the caller says it will wait, in milliseconds (`grpc-timeout`).
    #[arg(long, default_value_t = 5000)]
    pub(crate) patience: u64,
    /// Every question is to be allowed, as this user: the floor knows nobody.
    #[arg(long)]
    pub(crate) everybody: Option<String>,
    /// The answers need not name the user: Envoy keeps what it is told.
    #[arg(long)]
    pub(crate) nameless: bool,
    /// A 503 is an answer, too.
    #[arg(long)]
    pub(crate) may_shed: bool,
    /// Processes whose processor time is counted.
    #[arg(long, value_delimiter = ',')]
    pub(crate) watch: Vec<u32>,
    /// The processors they run on.
    #[arg(long, value_delimiter = ',')]
    pub(crate) on: Vec<usize>,
}

/// How to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// `ext_authz` over HTTP/2, as Envoy.
    Grpc,
    /// Forward-auth over HTTP/1.1, as Caddy.
    Http,
    /// The client's own request, for a proxy.
    Browser,
}

/// What one run found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) answers: u64,
    pub(crate) seconds: f64,
    /// Microseconds of processor time for an answer, of each watched process.
    pub(crate) cost: Vec<f64>,
    /// KiB, of each watched process, at the end.
    pub(crate) resident: Vec<u64>,
    /// Microseconds: half, 99 %, 99.9 % of the answers took no longer; and the longest.
    pub(crate) latency: [f64; 4],
    /// Answers by what they were.
    pub(crate) kinds: BTreeMap<String, u64>,
    /// Answers that were wrong, or none.
    pub(crate) wrong: u64,
    /// One of them.
    pub(crate) example: Option<String>,
    /// Questions that had no answer in the caller's patience, and still none at the end. Their latency is their age then.
    pub(crate) unanswered: u64,
    /// The share of its processor the load itself used, when it asks as fast as it can.
    pub(crate) own_share: f64,
    /// The share of the watched processes' processors that others used meanwhile.
    pub(crate) others_share: f64,
    /// The octets of a question, on average.
    pub(crate) question_size: usize,
}

impl Outcome {
    /// Answers in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.answers as f64 / self.seconds
    }

    /// Of the first watched process.
    pub(crate) fn first_cost(&self) -> f64 {
        self.cost.first().copied().unwrap_or(f64::NAN)
    }
}

impl Load {
    /// What a process that is to do this is started with.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let named = |value: &dyn std::fmt::Display, name: &str| format!("--{name}={value}");
        let protocol = self.protocol.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut arguments = vec![
            named(&protocol, "protocol"),
            named(&self.target, "target"),
            named(&self.questions.display(), "questions"),
            named(&self.connections, "connections"),
            named(&self.streams, "streams"),
            named(&self.warm_up, "warm-up"),
            named(&self.seconds, "seconds"),
            named(&self.patience, "patience"),
        ];
        arguments.extend(self.rate.map(|rate| named(&rate, "rate")));
        arguments.extend(self.everybody.as_ref().map(|user| named(user, "everybody")));
        arguments.extend(self.on.iter().map(|processor| named(processor, "on")));
        arguments.extend(self.watch.iter().map(|process| named(process, "watch")));
        arguments.extend(self.nameless.then(|| "--nameless".to_owned()));
        arguments.extend(self.may_shed.then(|| "--may-shed".to_owned()));
        arguments
    }

    /// Ask, and find out.
    pub(crate) fn run(&self) -> anyhow::Result<Outcome> {
        let text = fs::read_to_string(&self.questions).context("the questions")?;
        let mut questions: Vec<Question> = serde_json::from_str(&text)?;
        for question in &mut questions {
            if let Some(user) = &self.everybody {
                question.allowed = Some(user.clone());
            }
        }
        match self.protocol {
            Protocol::Grpc => {
                let templates: Vec<_> = questions.iter().map(grpc::template).collect();
                let open = || grpc::Grpc::new(self.streams, Duration::from_millis(self.patience));
                drive::drive(self, &questions, &templates, open)
            }
            Protocol::Http | Protocol::Browser => {
                let direct = self.protocol == Protocol::Http;
                let templates: Vec<_> = questions.iter().map(|question| http::template(question, direct)).collect();
                drive::drive(self, &questions, &templates, http::Http::new)
            }
        }
    }
}

/// A request laid out beforehand, with places for what differs each time.
pub(crate) struct Template {
    pub(crate) octets: Vec<u8>,
    /// Where the request id stands.
    pub(crate) ids: Vec<usize>,
}

impl Template {
    /// `octets` holds [`PLACEHOLDER`] wherever the id stands.
    pub(crate) fn new(octets: Vec<u8>) -> Template {
        let windows = octets.windows(PLACEHOLDER.len()).enumerate();
        let ids = windows.filter(|(_, window)| *window == PLACEHOLDER.as_bytes()).map(|(at, _)| at).collect();
        Template { octets, ids }
    }

    /// Append the request with an id of its own.
    pub(crate) fn write(&self, sequence: u64, out: &mut Vec<u8>) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let begin = out.len();
        out.extend_from_slice(&self.octets);
        for id in &self.ids {
            // The last twelve digits.
            let at = begin + id + PLACEHOLDER.len() - 12;
            for (place, octet) in out[at..at + 12].iter_mut().rev().enumerate() {
                *octet = DIGITS[(sequence >> (4 * place)) as usize & 15];
            }
        }
    }
}

/// Stands for the id of a request.
pub(crate) const PLACEHOLDER: &str = "2c9ce1a4-77a5-4b6e-9d1e-00000000ffff";

/// The headers of a browser's request, in which a proxy changes nothing. With those of a proxy it is 21 headers in 2 kB.
pub(crate) const BROWSER: [(&str, &str); 13] = [
    ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/png,*/*;q=0.8"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en;q=0.8,de;q=0.5,fr;q=0.3"),
    ("cache-control", "no-cache"),
    (
        "cookie",
        "theme=dark; lang=en; csrf=5d41402abc4b2a76b9719d911017c592; sid=s%3Ax9QmV2h0b3dkeQ.7lF0Zr8pYk1xT3JtcnVl",
    ),
    ("priority", "u=0, i"),
    ("referer", "https://app.bench.test/overview?from=start"),
    ("sec-ch-ua-mobile", "?0"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
    ("te", "trailers"),
    ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"),
];

/// What an answer says.
pub(crate) enum Said<'a> {
    Allowed(Option<&'a str>),
    Denied(u16),
    /// No decision at all; a gRPC error is one, because proxies may take it for an allow.
    Nothing(&'a str),
}

/// One side of a connection, without the socket.
pub(crate) trait Wire {
    /// May another question be asked now?
    fn has_room(&self) -> bool;
    /// Lay a question out for sending.
    fn ask(&mut self, asked: Asked, template: &Template, out: &mut Vec<u8>);
    /// Take what came, and hand on the answers in it. What the connection needs goes to `out`. An error ends it.
    fn hear(&mut self, octets: &[u8], out: &mut Vec<u8>, answer: &mut dyn FnMut(Asked, Said<'_>))
    -> Result<(), String>;
    /// The questions that have no answer yet.
    fn open(&self) -> impl Iterator<Item = &Asked>;
}

/// A question under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    /// Its number in the list.
    pub(crate) question: usize,
    pub(crate) sequence: u64,
    /// When it was asked, or should have been.
    pub(crate) at: std::time::Instant,
}
