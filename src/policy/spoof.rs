//! The spoof guard: identity headers are ours to set, whatever spelling a client sends them in.

use std::collections::HashSet;

use http::HeaderName;

use crate::model::dialect::Dialect;
use crate::model::header::Headers;
use crate::policy::trace::Station;
use crate::policy::trace::Trace;

/// What to do with an identity header that the client sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpoofMode {
    /// Refuse the request.
    Refuse,
    /// Overwrite or remove it; refuse only what cannot be removed: an alias, behind a proxy that knows but the name.
    Strip,
    /// Only count it; it is overwritten or removed where that can be done.
    Report,
}

/// The guard over all owned identity headers.
#[derive(Clone, Debug)]
pub struct SpoofGuard {
    mode: SpoofMode,
    /// The owned names, lower-case.
    owned: HashSet<String>,
    /// The same with every odd character made `-`, and others that no client may say.
    folded: Vec<String>,
    /// Bit `n`: some folded name is `n` octets long, or longer than 62 for the last one. Nearly every header of a client
    /// is of another length than ours, and costs no more than this look.
    lengths: u64,
}

/// What the guard saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spoofed {
    /// The client's header names that are owned, or an alias of one.
    pub names: Vec<String>,
    /// The client names an owned header in `Connection`.
    pub nominated: bool,
    /// The request must be refused.
    pub refuse: bool,
}

impl Spoofed {
    /// The names as a proxy can be told to remove them.
    pub fn removable(&self) -> impl Iterator<Item = HeaderName> {
        self.names.iter().filter_map(|name| HeaderName::from_bytes(name.as_bytes()).ok())
    }

    /// How many things there were to see.
    pub fn count(&self) -> u32 {
        u32::try_from(self.names.len()).unwrap_or(u32::MAX).saturating_add(u32::from(self.nominated))
    }
}

impl SpoofGuard {
    /// Guard these header names.
    pub fn new<'a>(mode: SpoofMode, owned: impl IntoIterator<Item = &'a str>) -> SpoofGuard {
        let owned: HashSet<String> = owned.into_iter().map(str::to_ascii_lowercase).collect();
        let guard = SpoofGuard { mode, folded: Vec::new(), lengths: 0, owned: owned.clone() };
        guard.also(owned.iter().map(String::as_str))
    }

    /// Guard these names too, which no proxy's list of identity headers holds.
    pub fn also<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> SpoofGuard {
        for name in names {
            self.lengths |= length_bit(name.len());
            self.folded.push(name.bytes().map(fold).map(char::from).collect());
        }
        self
    }

    /// Tells apart guards that look for different names. FNV-1a: whoever chooses the names is no attacker.
    pub fn fingerprint(&self) -> String {
        let mut names: Vec<&str> = self.folded.iter().map(String::as_str).collect();
        names.sort_unstable();
        let octets = names.iter().flat_map(|name| name.bytes().chain([0]));
        let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        format!("{hash:016x}")
    }

    /// The client's header names that it sees, in their order; `connection` where that names one of ours.
    pub fn sightings(&self, headers: &Headers<'_>) -> Vec<String> {
        let nominates = |name: &[u8], value| name == b"connection" && self.is_named_in(value);
        let seen = headers.iter().filter(|(name, value)| self.is_ours(name) || nominates(name, value));
        // An octet that no name may hold is as odd as any other.
        let text =
            |name: &[u8]| name.iter().map(|octet| if octet.is_ascii() { char::from(*octet) } else { '-' }).collect();
        seen.map(|(name, _)| text(name)).collect()
    }

    /// Is this one of our names, however it is spelt?
    fn is_ours(&self, name: &[u8]) -> bool {
        let same = |ours: &String| {
            ours.len() == name.len() && ours.bytes().zip(name).all(|(ours, octet)| ours == fold(*octet))
        };
        self.lengths & length_bit(name.len()) != 0 && self.folded.iter().any(same)
    }

    /// The mode.
    pub fn mode(&self) -> SpoofMode {
        self.mode
    }

    /// Look through the client's header fields.
    pub fn inspect(&self, headers: &Headers<'_>, dialect: Dialect, trace: &mut impl Trace) -> Spoofed {
        let mut spoofed = Spoofed::default();
        let mut stays = false;
        for (name, value) in headers.iter() {
            if self.is_ours(name) {
                let name = String::from_utf8_lossy(name);
                trace.note(Station::SpoofGuard, None, || format!("the client sent `{name}`"));
                stays |= !self.owned.contains(&*name) && !dialect.removes_headers();
                spoofed.names.push(name.into_owned());
            } else if name == b"connection" && self.is_named_in(value) {
                trace.note(Station::SpoofGuard, None, || {
                    "the client names an identity header in `connection`".to_owned()
                });
                spoofed.nominated = true;
            }
        }
        spoofed.refuse = match self.mode {
            SpoofMode::Refuse => spoofed.count() > 0,
            SpoofMode::Strip => stays,
            SpoofMode::Report => false,
        };
        spoofed
    }

    /// RFC 9110 §7.6.1: a later hop deletes what `Connection` names, be it what we have set (I4).
    fn is_named_in(&self, connection: &[u8]) -> bool {
        connection.split(|octet| *octet == b',').any(|option| self.is_ours(option.trim_ascii()))
    }
}

fn length_bit(length: usize) -> u64 {
    1 << length.min(63)
}

/// Servers of the CGI kind turn every odd character of a header name into `_`: all such spellings are one name.
fn fold(octet: u8) -> u8 {
    if octet.is_ascii_alphanumeric() { octet.to_ascii_lowercase() } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::trace::Silent;

    #[test]
    fn i2_every_spelling_of_an_owned_name_is_seen() {
        let guard = SpoofGuard::new(SpoofMode::Refuse, ["remote-user"]);
        for (name, seen) in [
            ("remote-user", true),
            ("Remote-User", true),
            ("REMOTE_USER", true),
            ("remote.user", true),
            ("remote!user", true),
            ("remoteuser", false),
            ("x-remote-user", false),
            ("remote-users", false),
            ("remote--user", false),
        ] {
            let mut headers = Headers::new(false);
            headers.push(name, b"root");
            assert_eq!(guard.inspect(&headers, Dialect::Caddy, &mut Silent).refuse, seen, "{name}");
        }
    }

    #[test]
    fn f2_a_name_that_no_list_holds_is_refused_where_it_cannot_be_removed() {
        let guard = SpoofGuard::new(SpoofMode::Strip, ["remote-user"]).also(["x-only-a-proxy-says"]);
        for (name, dialect, refused) in [
            ("X-Only-A-Proxy-Says", Dialect::ExtAuthz, false),
            ("X-Only-A-Proxy-Says", Dialect::Caddy, true),
            ("x_only_a_proxy_says", Dialect::Nginx, true),
            ("Remote-User", Dialect::Caddy, false),
        ] {
            let mut headers = Headers::new(false);
            headers.push(name, b"true");
            let spoofed = guard.inspect(&headers, dialect, &mut Silent);
            assert_eq!((spoofed.refuse, spoofed.count()), (refused, 1), "{name} {dialect}");
        }
    }

    #[test]
    fn i4_an_owned_header_is_not_named_in_connection() {
        let guard = SpoofGuard::new(SpoofMode::Refuse, ["remote-user"]);
        for (value, seen) in [
            ("remote-user", true),
            ("close, Remote-User", true),
            ("keep-alive,\tREMOTE_USER ,x", true),
            ("close", false),
            ("keep-alive, Upgrade", false),
            ("x-remote-user", false),
        ] {
            let mut headers = Headers::new(false);
            headers.push("Connection", value.as_bytes());
            assert_eq!(guard.inspect(&headers, Dialect::Caddy, &mut Silent).refuse, seen, "{value}");
        }
    }

    #[test]
    fn strip_refuses_only_what_the_proxy_cannot_take_away() {
        for (mode, dialect, name, refuse) in [
            (SpoofMode::Strip, Dialect::Caddy, "remote-user", false),
            (SpoofMode::Strip, Dialect::Caddy, "remote_user", true),
            (SpoofMode::Strip, Dialect::ExtAuthz, "remote_user", false),
            (SpoofMode::Strip, Dialect::EnvoyHttp, "remote.user", false),
            (SpoofMode::Report, Dialect::Caddy, "remote_user", false),
            (SpoofMode::Refuse, Dialect::ExtAuthz, "remote_user", true),
        ] {
            let mut headers = Headers::new(false);
            headers.push(name, b"root");
            let spoofed = SpoofGuard::new(mode, ["Remote-User"]).inspect(&headers, dialect, &mut Silent);
            assert_eq!(spoofed, Spoofed { names: vec![name.into()], nominated: false, refuse }, "{mode:?} {dialect}");
            assert_eq!((spoofed.removable().count(), spoofed.count()), (1, 1));
        }
    }
}
