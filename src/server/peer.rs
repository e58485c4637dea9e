//! Who is at the other end of a unix socket: the system says so (`SO_PEERCRED`), and nobody can pretend.

use std::io;
use std::path::Path;

use tokio::net::UnixStream;

use crate::model::listen::Account;
use crate::model::listen::Peers;

/// The user and the primary group that a process had when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Peer {
    pub(super) fn of(stream: &UnixStream) -> io::Result<Peer> {
        let credentials = stream.peer_cred()?;
        Ok(Peer { user: credentials.uid(), group: credentials.gid() })
    }

    /// This process, as others would see it.
    pub(super) fn ourselves() -> io::Result<Peer> {
        Peer::of(&UnixStream::pair()?.0)
    }
}

/// Who may connect, as numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PeerRule {
    users: Vec<u32>,
    groups: Vec<u32>,
}

impl PeerRule {
    /// Look the names up.
    pub(super) fn resolve(peers: &Peers) -> io::Result<PeerRule> {
        Ok(PeerRule {
            users: peers.users.iter().map(user).collect::<io::Result<_>>()?,
            groups: peers.groups.iter().map(group).collect::<io::Result<_>>()?,
        })
    }

    /// Is it one of these? Of whom nothing is known, no.
    pub(super) fn admits(&self, peer: Option<Peer>) -> bool {
        peer.is_some_and(|peer| self.users.contains(&peer.user) || self.groups.contains(&peer.group))
    }
}

/// The number of a user.
pub(super) fn user(account: &Account) -> io::Result<u32> {
    number(account, "user", Path::new("/etc/passwd"))
}

/// The number of a group.
pub(super) fn group(account: &Account) -> io::Result<u32> {
    number(account, "group", Path::new("/etc/group"))
}

/// The files alone are asked: a directory service may be away, or wait for us.
fn number(account: &Account, kind: &str, file: &Path) -> io::Result<u32> {
    let name = match account {
        Account::Number(number) => return Ok(*number),
        Account::Name(name) => name,
    };
    #[expect(clippy::disallowed_methods, reason = "names of accounts are this machine's and not the policy's")]
    let text = std::fs::read_to_string(file).unwrap_or_default();
    find(&text, name).ok_or_else(|| {
        let message = format!("there is no {kind} `{name}` in {}: write the number", file.display());
        io::Error::new(io::ErrorKind::InvalidInput, message)
    })
}

/// `name:password:number:…`
fn find(text: &str, name: &str) -> Option<u32> {
    let mut lines = text.lines().map(|line| line.split(':'));
    lines.find_map(|mut fields| (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let text = "root:x:0:0:root:/root:/bin/sh\nenvoy-two:x:102::\nbroken\nenvoy:x:101:101::/:/bin/false\n";
        for (name, want) in
            [("envoy", Some(101)), ("root", Some(0)), ("env", None), ("broken", None), ("", None), ("x", None)]
        {
            assert_eq!(find(text, name), want, "{name}");
        }
        assert_eq!(user(&Account::Number(4711)).ok(), Some(4711));
        let error = group(&Account::Name("no such group".to_owned())).expect_err("nobody").to_string();
        assert_eq!(error, "there is no group `no such group` in /etc/group: write the number");
    }

    #[test]
    fn a_user_or_a_group_is_enough() {
        let rule = PeerRule { users: vec![101], groups: vec![33, 34] };
        for (user, group, want) in [(101, 5, true), (7, 34, true), (33, 101, false), (0, 0, false)] {
            assert_eq!(rule.admits(Some(Peer { user, group })), want, "{user} {group}");
        }
        assert!(!rule.admits(None), "who is not known is not among them");
    }
}
