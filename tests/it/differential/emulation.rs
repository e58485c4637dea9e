//! Servers that exist on other machines, reduced to what they do with a path: a list of steps.
//!
//! All of them guard one folder, and everything below `/admin` is the secret. The file system has the last word, as it
//! has everywhere: it merges slashes and resolves dots whatever the server has done before.

use super::dice::Dice;

/// One thing that servers do with a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Resolve `%XX`, so that `%2f` becomes a separator. What is no escape stays.
    Decode,
    /// The same, but `%2f` stays.
    DecodeButSlash,
    /// Drop `;…` from every segment.
    CutParameters,
    /// Drop all from the first `?` or `#` on.
    CutQuery,
    /// Take `\` for `/`.
    Backslash,
    Merge,
    Resolve,
    /// Ignore the case of ASCII letters.
    Fold,
}

use Step::{Backslash, CutParameters, CutQuery, Decode, DecodeButSlash, Fold, Merge, Resolve};

const STEPS: [Step; 8] = [Decode, DecodeButSlash, CutParameters, CutQuery, Backslash, Merge, Resolve, Fold];

/// A server by what it does. Every one has cut the query off before the first step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Emulation {
    pub(crate) name: &'static str,
    pub(crate) steps: &'static [Step],
    /// A target that a careless check takes for public, and that this server takes for the secret.
    pub(crate) quirk: &'static str,
}

/// Those that stand behind the real proxies.
pub(crate) const EMULATIONS: [Emulation; 11] = [
    Emulation { name: "cuts ; then decodes", steps: &[CutParameters, Decode], quirk: "/public/..;/admin/secret.txt" },
    Emulation { name: "decodes then cuts ;", steps: &[Decode, CutParameters], quirk: "/public/..%3b/admin/secret.txt" },
    Emulation { name: "ignores case", steps: &[Decode, Fold], quirk: "/ADMIN/secret.txt" },
    Emulation { name: "backslash is slash", steps: &[Decode, Backslash], quirk: "/public\\..%5cadmin/secret.txt" },
    Emulation { name: "decodes twice", steps: &[Decode, Decode], quirk: "/public/%252e%252e/admin/secret.txt" },
    Emulation { name: "keeps %2f", steps: &[DecodeButSlash], quirk: "/public/%2e%2e/admin/secret.txt" },
    Emulation {
        name: "resolves then decodes",
        steps: &[Resolve, Decode],
        quirk: "/desk/../admin/x/%2e%2e/../secret.txt",
    },
    Emulation { name: "resolves then merges", steps: &[Decode, Resolve, Merge], quirk: "/desk/../admin//../x" },
    Emulation { name: "merges then resolves", steps: &[Merge, Decode, Resolve], quirk: "/public//../admin/x" },
    Emulation {
        name: "decodes then cuts ?",
        steps: &[Decode, CutQuery],
        quirk: "/desk/../admin/secret.txt%3f/../../x",
    },
    Emulation {
        name: "decodes, cuts ?, decodes",
        steps: &[Decode, CutQuery, Decode],
        quirk: "/desk/../admin%3f/../public",
    },
];

/// Does a server that takes these steps find the secret here?
pub(crate) fn finds_secret(steps: &[Step], target: &[u8]) -> bool {
    let mut path = without_query(&without_authority(target)).to_vec();
    for step in steps {
        path = match step {
            Decode => decode(&path, true),
            DecodeButSlash => decode(&path, false),
            CutParameters => join(path.split(is_slash).map(|segment| before(segment, b";"))),
            CutQuery => without_query(&path).to_vec(),
            Backslash => path.iter().map(|octet| if *octet == b'\\' { b'/' } else { *octet }).collect(),
            Merge => merge(&path),
            Resolve => resolve(&path),
            Fold => path.to_ascii_lowercase(),
        };
    }
    let found = resolve(&merge(&path));
    found == b"/admin" || found.starts_with(b"/admin/")
}

/// Any server that decodes no more than twice.
pub(crate) fn throw(dice: &mut Dice) -> Vec<Step> {
    let mut steps = Vec::new();
    for _ in 0..=dice.below(7) {
        let step = *dice.pick(&STEPS);
        let decodes = |step: &Step| matches!(step, Decode | DecodeButSlash);
        if !(decodes(&step) && steps.iter().filter(|step| decodes(step)).count() == 2) {
            steps.push(step);
        }
    }
    steps
}

/// An absolute target loses its scheme and host.
fn without_authority(target: &[u8]) -> Vec<u8> {
    let lower = target.to_ascii_lowercase();
    let Some(scheme) = [&b"http://"[..], b"https://"].into_iter().find(|scheme| lower.starts_with(scheme)) else {
        return target.to_vec();
    };
    target[scheme.len()..].iter().copied().skip_while(|octet| *octet != b'/').collect()
}

fn without_query(target: &[u8]) -> &[u8] {
    before(target, b"?#")
}

fn before<'t>(text: &'t [u8], ends: &[u8]) -> &'t [u8] {
    text.split(|octet| ends.contains(octet)).next().unwrap_or_default()
}

fn is_slash(octet: &u8) -> bool {
    *octet == b'/'
}

fn join<'s>(segments: impl Iterator<Item = &'s [u8]>) -> Vec<u8> {
    segments.collect::<Vec<_>>().join(&b'/')
}

fn decode(path: &[u8], slashes: bool) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| *first == b'%' && digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(octet) if slashes || octet != b'/' => {
                decoded.push(octet);
                rest = &tail[2..];
            }
            _ => {
                decoded.push(*first);
                rest = tail;
            }
        }
    }
    decoded
}

fn merge(path: &[u8]) -> Vec<u8> {
    let mut merged = path.to_vec();
    merged.dedup_by(|next, before| *next == b'/' && *before == b'/');
    merged
}

/// Resolve dot segments; who climbs above the root stays there. The result starts with a slash.
fn resolve(path: &[u8]) -> Vec<u8> {
    let mut resolved: Vec<&[u8]> = Vec::new();
    let inner = path.strip_prefix(b"/").unwrap_or(path);
    for segment in inner.split(is_slash) {
        match segment {
            b"." => {}
            b".." => drop(resolved.pop()),
            _ => resolved.push(segment),
        }
    }
    let mut whole = b"/".to_vec();
    whole.extend(join(resolved.into_iter()));
    whole
}
