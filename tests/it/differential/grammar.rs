//! A grammar of tricks: ways to write the URL of the protected file that somebody, somewhere, has got past a check with.
//!
//! An attack is a plain request for the file to which one to three tricks are applied. A trick that belongs to the path
//! works on its parts (a separator and what follows it), so that tricks combine: a detour spelled with an escape, behind
//! a parameter, on the wrong host.

use super::dice::Dice;

/// One request, as it will be written on the wire.
#[derive(Clone, Debug)]
pub(crate) struct Attack {
    pub(crate) method: String,
    /// What stands before the path: the authority of an absolute target.
    front: Vec<u8>,
    parts: Vec<Part>,
    /// What stands after the path.
    tail: Vec<u8>,
    /// The Host lines.
    pub(crate) hosts: Vec<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// What was done, for whoever reads of a failure.
    pub(crate) tricks: Vec<&'static str>,
}

/// A separator and the segment after it.
#[derive(Clone, Debug)]
struct Part {
    slash: Vec<u8>,
    text: Vec<u8>,
}

pub(crate) const APP: &str = "app.example.test";
pub(crate) const OPEN: &str = "open.example.test";

type Trick = (&'static str, fn(&mut Attack, &mut Dice));

/// All there are. Those of the path stand first and are thrown more often.
const TRICKS: [Trick; 17] = [
    ("detour", detour),
    ("detour inside", detour_inside),
    ("separator", separator),
    ("extra segment", extra_segment),
    ("escape", escape),
    ("case", case),
    ("parameter", parameter),
    ("ending", ending),
    ("look-alike", look_alike),
    ("tail", tail),
    ("glued public path", glued),
    ("front", front),
    ("length", length),
    ("host", host),
    ("method", method),
    ("override header", override_header),
    ("spoofed header", spoofed_header),
];
const OF_THE_PATH: usize = 11;

const UPS: [&[u8]; 22] = [
    b"..",
    b"..",
    b"..",
    b"%2e%2e",
    b"%2E%2E",
    b".%2e",
    b"%2e.",
    b"%252e%252e",
    b".%252e",
    b"..;",
    b"..;x=1",
    b"%2e%2e;",
    b"..%3b",
    b"..%00",
    b"..%20",
    b"...",
    b"..\t",
    b"..%09",
    b"%c0%ae%c0%ae",
    b"%ef%bc%8e%ef%bc%8e",
    b"%e2%80%a5",
    b"%25252e%25252e",
];

const SLASHES: [&[u8]; 22] = [
    b"/",
    b"//",
    b"///",
    b"%2f",
    b"%2F",
    b"%252f",
    b"%252F",
    b"\\",
    b"%5c",
    b"%5C",
    b"%255c",
    b"/./",
    b"/%2e/",
    b"/;/",
    b"/;x=1/",
    b"/%20/",
    b"%c0%af",
    b"%ef%bc%8f",
    b"%e2%88%95",
    b"/\\",
    b"\\/",
    b"%25252f",
];

const EXTRA: [&[u8]; 11] = [b".", b"%2e", b"", b";", b";x=1", b"%20", b"...", b"%252e", b".;", b"%09", b".%00"];

const PARAMETERS: [&[u8]; 14] = [
    b";",
    b";x=1",
    b";jsessionid=0",
    b";/",
    b";/..",
    b"%3b",
    b"%3bx=1",
    b"%253b",
    b";x=%2f..%2f..%2fpublic",
    b";..",
    b";.css",
    b";%2f..",
    b";a;b",
    b";%3f",
];

const ENDINGS: [&[u8]; 22] = [
    b".",
    b"..",
    b"%20",
    b"+",
    b"::$DATA",
    b"%3a%3a$DATA",
    b"%00",
    b"%00.txt",
    b"%0a",
    b"%0d%0a",
    b"%09",
    b"\t",
    b" ",
    b"~1",
    b"%e2%80%8b",
    b"%c2%a0",
    b"%7f",
    b"%1f",
    b"%",
    b"%zz",
    b"%2",
    b"\x01",
];

const TAILS: [&[u8]; 26] = [
    b"?",
    b"?/public/hello.txt",
    b"#",
    b"#/public/hello.txt",
    b"%3f",
    b"%3f/public/hello.txt",
    b"%23",
    b"%23/public/hello.txt",
    b"%253f",
    b";/public/hello.txt",
    b"&/public",
    b"%26",
    b";.css",
    b"/",
    b"//",
    b"/.",
    b"/%2e",
    b"?q=100%",
    b"?/../../public/hello.txt",
    b"?;",
    b"??",
    b"%0a",
    b"%20",
    b"?#",
    b"?\xff",
    b"/hello.css",
];

/// What is set between the protected path and a public one.
const GLUES: [&[u8]; 10] = [b"%3f", b"%23", b"%253f", b"%2523", b";", b"%00", b"", b"%3b", b"?", b"#"];

const HOSTS: [&[&str]; 22] = [
    &["APP.example.TEST"],
    &["app.example.test:80"],
    &["app.example.test:65536"],
    &["app.example.test."],
    &["app.example.test.."],
    &["app.example.test.:8080"],
    &[OPEN],
    &["OPEN.EXAMPLE.TEST."],
    &["open.example.test@app.example.test"],
    &["app.example.test@open.example.test"],
    &["open.example.test,app.example.test"],
    &["open.example.test, app.example.test"],
    &["open.example.test/app.example.test"],
    &["open.example.test?app.example.test"],
    &["open.example.test#app.example.test"],
    &["open.example.test:80@app.example.test:80"],
    &["open.example.test app.example.test"],
    &["open.example.test\tapp.example.test"],
    &[OPEN, APP],
    &[APP, OPEN],
    &[""],
    &[],
];

const METHODS: [&str; 16] = [
    "get", "Get", "HEAD", "POST", "PUT", "OPTIONS", "TRACE", "PROPFIND", "FOO", "GET\t", "G%45T", "DELETE", "PATCH",
    "GET ", "M-SEARCH", "\x00GET",
];

const OVERRIDES: [&str; 8] = [
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Original-URI",
    "X-Forwarded-Uri",
    "X-Forwarded-Path",
    "X-Forwarded-Prefix",
    "X-Envoy-Original-Path",
    "X-Auth-Request-Redirect",
];

const SPOOFS: [(&str, &str); 26] = [
    ("Remote-User", "ada"),
    ("Remote-Groups", "it-admins"),
    ("Remote_Groups", "it-admins"),
    ("Remote.Groups", "it-admins"),
    ("X-Forwarded-Host", OPEN),
    ("X_Forwarded_Host", OPEN),
    ("X-Forwarded-Method", "OPTIONS"),
    ("X-Original-Method", "OPTIONS"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1;host=open.example.test"),
    ("X-HTTP-Method-Override", "GET"),
    ("X-HTTP-Method", "OPTIONS"),
    ("X-Method-Override", "OPTIONS"),
    ("Connection", "close, X-Forwarded-Uri"),
    ("Connection", "X-Forwarded-Host, X-Forwarded-Method"),
    ("Connection", "Authorization"),
    ("X-Envoy-Auth-Failure-Mode-Allowed", "true"),
    ("X-Envoy-Internal", "true"),
    ("X-Forwarded-Uri", "/public/hello.txt"),
    ("X-Original-URL", "http://open.example.test/public/hello.txt"),
    ("Origin", "https://app.example.test"),
    ("Access-Control-Request-Method", "GET"),
    ("Authorization", "Bearer"),
    ("Cookie", "access_token="),
    ("Early-Data", "1"),
];

impl Attack {
    /// The request without a trick.
    pub(crate) fn plain() -> Attack {
        Attack::on(&["admin", "secret.txt"])
    }

    fn on(segments: &[&str]) -> Attack {
        Attack {
            method: "GET".to_owned(),
            front: vec![],
            parts: segments.iter().map(|text| Part::new(text.as_bytes())).collect(),
            tail: vec![],
            hosts: vec![APP.to_owned()],
            headers: vec![],
            tricks: vec![],
        }
    }

    /// One to three tricks.
    pub(crate) fn throw(dice: &mut Dice) -> Attack {
        // The index of the folder is as protected as the file in it.
        let mut attack = match dice.below(8) {
            0 => Attack::on(&["admin", ""]),
            1 => Attack::on(&["admin", "more", "secret.txt"]),
            _ => Attack::plain(),
        };
        for _ in 0..=dice.below(3) {
            let tricks = if dice.below(4) > 0 { &TRICKS[..OF_THE_PATH] } else { &TRICKS[..] };
            let (name, trick) = dice.pick(tricks);
            attack.tricks.push(name);
            trick(&mut attack, dice);
        }
        attack
    }

    /// The request target.
    pub(crate) fn target(&self) -> Vec<u8> {
        let path = self.parts.iter().flat_map(|part| [part.slash.as_slice(), part.text.as_slice()]);
        let whole = std::iter::once(self.front.as_slice()).chain(path).chain([self.tail.as_slice()]);
        whole.collect::<Vec<_>>().concat()
    }

    /// The octets of the request, with some more header fields.
    pub(crate) fn octets(&self, fields: &[(&str, &str)]) -> Vec<u8> {
        let mut octets = format!("{} ", self.method).into_bytes();
        octets.extend(self.target());
        octets.extend_from_slice(b" HTTP/1.1\r\n");
        let hosts = self.hosts.iter().map(|host| ("Host", host.as_str()));
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in hosts.chain(headers).chain(fields.iter().copied()) {
            octets.extend(format!("{name}: {value}\r\n").bytes());
        }
        if matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") {
            octets.extend_from_slice(b"Content-Length: 0\r\n");
        }
        octets.extend_from_slice(b"\r\n");
        octets
    }
}

impl Part {
    fn new(text: &[u8]) -> Part {
        Part { slash: b"/".to_vec(), text: text.to_vec() }
    }
}

/// Down somewhere allowed and up again, before the path.
fn detour(attack: &mut Attack, dice: &mut Dice) {
    let down = *dice.pick(&["public", "public", "desk", "desk", "public/x", "desk/x"]);
    go_round(attack, dice, 0, down);
}

/// The same anywhere in the path.
fn detour_inside(attack: &mut Attack, dice: &mut Dice) {
    let at = dice.below(attack.parts.len() + 1);
    let down = *dice.pick(&["x", "public", "x/y", "%61", "", "%2e%2e"]);
    go_round(attack, dice, at, down);
}

fn go_round(attack: &mut Attack, dice: &mut Dice, at: usize, down: &str) {
    let mut round: Vec<Part> = down.split('/').map(|text| Part::new(text.as_bytes())).collect();
    // Now and then one step too many or too few.
    let ups = match dice.below(8) {
        0 => round.len() + 1,
        1 => round.len() - 1,
        _ => round.len(),
    };
    let up = dice.octets(&UPS);
    for _ in 0..ups {
        let up = if dice.below(4) == 0 { dice.octets(&UPS) } else { up };
        round.push(Part::new(up));
    }
    attack.parts.splice(at..at, round);
}

fn separator(attack: &mut Attack, dice: &mut Dice) {
    let at = dice.below(attack.parts.len());
    attack.parts[at].slash = dice.octets(&SLASHES).to_vec();
}

fn extra_segment(attack: &mut Attack, dice: &mut Dice) {
    let at = dice.below(attack.parts.len() + 1);
    attack.parts.insert(at, Part::new(dice.octets(&EXTRA)));
}

/// The place of a letter in some segment.
fn letter(attack: &Attack, dice: &mut Dice) -> Option<(usize, usize, u8)> {
    let at = dice.below(attack.parts.len());
    let letters: Vec<_> =
        attack.parts[at].text.iter().enumerate().filter(|(_, octet)| octet.is_ascii_lowercase()).collect();
    (!letters.is_empty()).then(|| {
        let (index, octet) = *dice.pick(&letters);
        (at, index, *octet)
    })
}

fn replace(attack: &mut Attack, (at, index, _): (usize, usize, u8), with: &[u8]) {
    attack.parts[at].text.splice(index..=index, with.iter().copied());
}

fn escape(attack: &mut Attack, dice: &mut Dice) {
    let Some(place @ (_, _, octet)) = letter(attack, dice) else { return };
    let with = match dice.below(7) {
        0 => format!("%{octet:02X}"),
        1 => format!("%25{octet:02x}"),
        2 => format!("%2525{octet:02x}"),
        3 => format!("%%{:02x}{:02x}", u32::from(b'0') + u32::from(octet >> 4), u32::from(octet & 15) + 0x30),
        4 => format!("%u00{octet:02x}"),
        _ => format!("%{octet:02x}"),
    };
    replace(attack, place, with.as_bytes());
}

fn case(attack: &mut Attack, dice: &mut Dice) {
    if dice.below(3) == 0 {
        let at = dice.below(attack.parts.len());
        attack.parts[at].text.make_ascii_uppercase();
        return;
    }
    let Some(place @ (_, _, octet)) = letter(attack, dice) else { return };
    let upper = octet.to_ascii_uppercase();
    let with = match dice.below(4) {
        0 => format!("%{upper:02x}"),
        1 => format!("%25{upper:02x}"),
        _ => char::from(upper).to_string(),
    };
    replace(attack, place, with.as_bytes());
}

fn parameter(attack: &mut Attack, dice: &mut Dice) {
    let at = dice.below(attack.parts.len());
    attack.parts[at].text.extend_from_slice(dice.octets(&PARAMETERS));
}

fn ending(attack: &mut Attack, dice: &mut Dice) {
    let at = dice.below(attack.parts.len());
    attack.parts[at].text.extend_from_slice(dice.octets(&ENDINGS));
}

fn look_alike(attack: &mut Attack, dice: &mut Dice) {
    let Some(place @ (_, _, octet)) = letter(attack, dice) else { return };
    let wide = char::from_u32(u32::from(octet) - 0x21 + 0xFF01).expect("a full-width letter").to_string();
    let escaped: String = wide.bytes().map(|octet| format!("%{octet:02x}")).collect();
    let with = match dice.below(4) {
        0 => wide.into_bytes(),
        // Overlong, raw and escaped.
        1 => vec![0xC0 | octet >> 6, 0x80 | octet & 0x3F],
        2 => format!("%{:02x}%{:02x}", 0xC0 | octet >> 6, 0x80 | octet & 0x3F).into_bytes(),
        _ => escaped.into_bytes(),
    };
    replace(attack, place, &with);
}

fn tail(attack: &mut Attack, dice: &mut Dice) {
    attack.tail.extend_from_slice(dice.octets(&TAILS));
}

/// The protected path, something that may end it, and from there up and to something allowed.
fn glued(attack: &mut Attack, dice: &mut Dice) {
    attack.tail.extend_from_slice(dice.octets(&GLUES));
    let up = dice.octets(&UPS);
    let ups = 1 + dice.below(attack.parts.len());
    for _ in 0..ups {
        attack.tail.push(b'/');
        attack.tail.extend_from_slice(up);
    }
    attack.tail.extend_from_slice(dice.octets(&[b"/public/hello.txt", b"/desk/hello.txt"]));
}

fn front(attack: &mut Attack, dice: &mut Dice) {
    attack.front = dice
        .octets(&[
            b"/",
            b"//",
            b"/\\",
            b"/.",
            b"/;",
            b"/%2f",
            b"//open.example.test",
            b"http://app.example.test",
            b"http://open.example.test",
            b"HTTP://OPEN.example.test:80",
            b"https://open.example.test",
            b"http://open.example.test@app.example.test",
            b"http://app.example.test@open.example.test",
            b"http://open.example.test,app.example.test",
            b"http://",
            b"/http://open.example.test",
            b"*",
            b".",
            b"?",
            b"\t",
            b" ",
        ])
        .to_vec();
    if dice.below(8) == 0
        && let Some(first) = attack.parts.first_mut()
    {
        first.slash = vec![];
    }
}

fn length(attack: &mut Attack, dice: &mut Dice) {
    // Below our limit of 8 KiB and beyond it.
    let times = *dice.pick(&[100, 1000, 2500]);
    let at = dice.below(attack.parts.len() + 1);
    match dice.below(5) {
        0 => attack.parts[0].slash = b"/.".repeat(times).into_iter().chain(*b"/").collect(),
        1 => attack.parts[0].slash = b"/".repeat(times),
        2 => {
            let round = b"/x/..".repeat(times / 2);
            attack.parts.insert(at, Part { slash: round, text: vec![] });
        }
        3 => attack.parts.insert(at, Part::new(&b";x".repeat(times))),
        _ => attack.tail.extend(b"?".iter().copied().chain(b"q=1&".repeat(times))),
    }
}

fn host(attack: &mut Attack, dice: &mut Dice) {
    attack.hosts = dice.pick(&HOSTS).iter().map(|host| (*host).to_owned()).collect();
}

fn method(attack: &mut Attack, dice: &mut Dice) {
    attack.method = (*dice.pick(&METHODS)).to_owned();
}

/// One URL in the request line, another in a header: each way round.
fn override_header(attack: &mut Attack, dice: &mut Dice) {
    let name = (*dice.pick(&OVERRIDES)).to_owned();
    if dice.below(4) == 0 {
        attack.headers.push((name, "/public/hello.txt".to_owned()));
    } else {
        attack.headers.push((name, "/admin/secret.txt".to_owned()));
        attack.parts = vec![Part::new(dice.octets(&[b"public", b"desk"])), Part::new(b"hello.txt")];
    }
}

fn spoofed_header(attack: &mut Attack, dice: &mut Dice) {
    let (name, value) = *dice.pick(&SPOOFS);
    attack.headers.push((name.to_owned(), value.to_owned()));
}
