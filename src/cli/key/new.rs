//! `postern key new`: a key that is shown once, and its line in the file.

use anyhow::Context;
use anyhow::ensure;
use jiff::SignedDuration;
use jiff::Timestamp;
use serde_json::json;

use crate::authn::api_key::KeyHash;
use crate::authn::api_key::KeyText;
use crate::authn::api_key::MAX_ID;
use crate::authn::api_key::generate;
use crate::authn::api_key::is_id;
use crate::cli::INVALID;
use crate::cli::key::FileArgs;
use crate::cli::key::PepperArgs;
use crate::cli::key::file::KeyFile;
use crate::cli::key::file::Replacement;
use crate::cli::key::line::NewLine;
use crate::cli::print;
use crate::config::key_file;
use crate::config::load::Machine;
use crate::model::network::parse_network;
use crate::telemetry::clock;

/// Make a key: its text goes to stdout, once, and its hash into the key file
#[derive(Debug, clap::Args)]
pub(super) struct New {
    /// The public name of the key: `a` to `z`, `0` to `9` and `-`
    #[arg(long, value_name = "ID", value_parser = parse_id)]
    id: String,
    /// The user that the key acts for
    #[arg(long, value_name = "USER", value_parser = parse_owner)]
    owner: String,
    /// The groups that the user of the key is in
    #[arg(long, value_name = "GROUP,…", value_delimiter = ',', value_parser = parse_name)]
    groups: Vec<String>,
    /// The scopes that the key has
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', value_parser = parse_name)]
    scopes: Vec<String>,
    /// Where the key may be used from: CIDRs, or network names of the policy [default: anywhere]
    #[arg(long, value_name = "NETWORK,…", value_delimiter = ',', value_parser = parse_network_name)]
    networks: Vec<String>,
    /// When the key ends: `90d`, `12h`, `2027-01-31` (as that day begins, in UTC) or `2027-01-31T12:00:00Z` [default: never]
    #[arg(long, value_name = "WHEN", value_parser = parse_end)]
    expires: Option<End>,
    /// A note that stays in the file
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    pepper: PepperArgs,
    /// Print JSON: the key with its id, owner and end
    #[arg(long)]
    json: bool,
}

/// When a key ends.
#[derive(Clone, Debug, PartialEq, Eq)]
enum End {
    /// A moment as it was written.
    At(Timestamp, String),
    In(SignedDuration),
}

impl New {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        let path = &self.file.file;
        let now = clock::now();
        let expires = match self.expires.as_ref().map(|end| end.text(now)).transpose() {
            Ok(expires) => expires,
            Err(error) => {
                print::failure(&error);
                return Ok(INVALID);
            }
        };
        let Some(hasher) = self.pepper.hasher(&Machine) else { return Ok(INVALID) };
        // First the right to write, then the reading: what is read stays as it is until it is replaced.
        let replacement = Replacement::of(path)?;
        let Some(file) = KeyFile::read_or_begin(path, &Machine)? else { return Ok(INVALID) };
        ensure!(file.find(&self.id).is_none(), "`{}` holds a key `{}` already", path.display(), self.id);
        let peppered = file.lines.iter().filter_map(|line| KeyHash::parse(&line.hash)).map(|hash| hash.is_peppered());
        ensure!(
            peppered.clone().all(|peppered| peppered == hasher.is_peppered()),
            "the keys in `{}` were made {} a pepper: so must this one be",
            path.display(),
            if hasher.is_peppered() { "without" } else { "with" }
        );
        let text = generate(&self.id).context("the system gives no random numbers")?;
        let key = KeyText::parse(text.expose())?;
        let line = NewLine {
            id: self.id.clone(),
            hash: hasher.hash(&key),
            owner: self.owner.clone(),
            groups: self.groups.clone(),
            scopes: self.scopes.clone(),
            networks: self.networks.clone(),
            expires: expires.clone(),
            created: seconds(now).to_string(),
            comment: self.comment.clone(),
        };
        replacement.write(&file.with(&self.id, &line.text())?)?;
        if self.json {
            let (id, owner) = (&self.id, &self.owner);
            print::out(&format!("{:#}\n", json!({"id": id, "owner": owner, "expires": expires, "key": text.expose()})));
        } else {
            print::out(&format!("{}\n", text.expose()));
        }
        let end = expires.map_or("never ends".to_owned(), |end| format!("ends at {end}"));
        print::err(&format!(
            "The key `{}` acts for {} and {end}. It is shown this once; `{}` holds its hash.\n\
             A running server takes it when it sees the file change, or on SIGHUP.\n",
            self.id,
            self.owner,
            path.display()
        ));
        if !hasher.is_peppered() {
            print::err("It was made without a pepper; `postern key pepper` makes one for new key files.\n");
        }
        Ok(0)
    }
}

impl End {
    /// As the file says it. An end that has come already is a mistake.
    fn text(&self, now: Timestamp) -> anyhow::Result<String> {
        let (moment, text) = match self {
            End::At(moment, text) => (*moment, text.clone()),
            End::In(duration) => {
                let moment = seconds(now.checked_add(*duration).context("--expires: that is too far away")?);
                (moment, moment.to_string())
            }
        };
        ensure!(moment > now, "--expires: `{text}` has passed already");
        Ok(text)
    }
}

/// Without its fraction.
fn seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_second(moment.as_second()).unwrap_or(moment)
}

fn parse_id(text: &str) -> Result<String, String> {
    if is_id(text) { Ok(text.to_owned()) } else { Err(format!("1 to {MAX_ID} of `a` to `z`, `0` to `9` and `-`")) }
}

fn parse_owner(text: &str) -> Result<String, String> {
    if text.is_empty() || text.trim() != text || text.contains(char::is_control) {
        return Err("write the name of a user".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_name(text: &str) -> Result<String, String> {
    parse_owner(text).map_err(|_| "write names, with commas between them".to_owned())
}

fn parse_network_name(text: &str) -> Result<String, String> {
    let address = text.contains(['/', ':']) || text.starts_with(|first: char| first.is_ascii_digit());
    if text.is_empty() || (address && parse_network(text).is_none()) {
        return Err("write CIDRs or network names, with commas between them".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_end(text: &str) -> Result<End, String> {
    if let Some(moment) = key_file::parse_moment(text) {
        return Ok(End::At(moment, text.to_owned()));
    }
    let hours = [("h", 1), ("d", 24), ("w", 7 * 24)].into_iter().find_map(|(unit, hours)| {
        let number: i64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(hours).filter(|hours| (1..=1_000_000).contains(hours))
    });
    match hours {
        Some(hours) => Ok(End::In(SignedDuration::from_hours(hours))),
        None => Err("write `90d`, `12h`, `2027-01-31` or `2027-01-31T12:00:00Z`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_span_or_a_moment_to_come() {
        let now: Timestamp = "2026-11-22T10:00:00.5Z".parse().expect("a time");
        for (text, want) in [
            ("90d", Some("2027-02-20T10:00:00Z")),
            ("12h", Some("2026-11-22T22:00:00Z")),
            ("2w", Some("2026-12-06T10:00:00Z")),
            ("2027-01-31", Some("2027-01-31")),
            ("2027-01-31T12:00:00Z", Some("2027-01-31T12:00:00Z")),
            ("2026-11-22", None),
            ("0d", None),
            ("-1d", None),
            ("90", None),
            ("9999999999d", None),
            ("never", None),
        ] {
            let got = parse_end(text).ok().and_then(|end| end.text(now).ok());
            assert_eq!(got.as_deref(), want, "{text}");
        }
    }
}
