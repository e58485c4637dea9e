//! A unix socket that is described in full: its mode, whose it is, and who may connect.

use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::tree;
use crate::model::listen::Account;
use crate::model::listen::ListenAddress;
use crate::model::listen::ListenAddressError;
use crate::model::listen::Peers;
use crate::model::listen::UnixSocket;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// Build it; `None` when its path is none, which has been reported then.
pub(super) fn socket(written: &tree::ListenUnix, problems: &mut Problems) -> Option<UnixSocket> {
    let mode = written.mode.as_ref().map_or(UnixSocket::MODE, |mode| self::mode(mode, problems));
    let mut account = |written: &Option<At<String>>| written.as_ref().and_then(|written| account(written, problems));
    let (owner, group) = (account(&written.owner), account(&written.group));
    let peers = written.peers.as_ref().map(|written| peers(written, problems));
    if let Some(written) = written.mode.as_ref().filter(|_| mode & 0o002 != 0 && peers.is_none()) {
        let message = "every user of this machine may connect";
        problems.push(
            Problem::warning(written.place.clone(), "", message)
                .help("write `0660` and a `group`, or say who in `peers`"),
        );
    }
    let path = match format!("unix:{}", written.unix.value).parse() {
        Ok(ListenAddress::Unix(UnixSocket { path, .. })) => path,
        Ok(ListenAddress::Tcp(_)) => return None,
        Err(error) => {
            let message = match error {
                ListenAddressError::RelativePath(_) => format!("`{}` is not an absolute path", written.unix.value),
                other => other.to_string(),
            };
            problems.push(
                Problem::error(written.unix.place.clone(), "", message)
                    .help("write such a path as `/run/postern/grpc.sock`"),
            );
            return None;
        }
    };
    Some(UnixSocket { path, mode, owner, group, peers })
}

fn mode(written: &At<String>, problems: &mut Problems) -> u32 {
    let text = written.value.as_str();
    let is_octal = matches!(text.len(), 3 | 4) && text.bytes().all(|octet| matches!(octet, b'0'..=b'7'));
    match u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777) {
        Some(mode) if mode & 0o200 != 0 => mode,
        Some(_) => {
            let message = format!("with the mode `{text}` its owner may not connect");
            problems.push(Problem::error(written.place.clone(), "", message).help("write `0660`, or `0600`"));
            UnixSocket::MODE
        }
        None => {
            let message = format!("`{text}` is not a mode");
            problems.push(Problem::error(written.place.clone(), "", message).help("write it in octal, as `0660`"));
            UnixSocket::MODE
        }
    }
}

fn account(written: &At<String>, problems: &mut Problems) -> Option<Account> {
    let account = written.parse().ok();
    if account.is_none() {
        let message = format!("`{}` is not the name or the number of an account", written.value);
        problems
            .push(Problem::error(written.place.clone(), "", message).help("write such a name as `envoy`, or a number"));
    }
    account
}

fn peers(written: &At<tree::ListenPeers>, problems: &mut Problems) -> Peers {
    let mut accounts = |written: &Option<At<OneOrMany<At<String>>>>| -> Vec<Account> {
        written.iter().flat_map(|list| list.iter()).filter_map(|written| account(written, problems)).collect()
    };
    Peers { users: accounts(&written.users), groups: accounts(&written.groups) }
}
