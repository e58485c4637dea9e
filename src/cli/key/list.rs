//! `postern key list`: the keys of a file. There are no secrets in it, and hashes are not shown.

use jiff::Timestamp;
use serde_json::Value;
use serde_json::json;

use crate::cli::INVALID;
use crate::cli::key::FileArgs;
use crate::cli::key::file::KeyFile;
use crate::cli::print;
use crate::config::at::At;
use crate::config::at::OneOrMany;
use crate::config::key_file;
use crate::config::load::Machine;
use crate::config::tree::KeyLine;
use crate::telemetry::clock;

/// Show the keys of a file: whose they are, how old, and when they end
#[derive(Debug, clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    file: FileArgs,
    /// Print JSON: a list of keys with id, owner, groups, scopes, networks, created, expires, expired and comment
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self) -> anyhow::Result<u8> {
        let Some(file) = KeyFile::read(&self.file.file, &Machine)? else { return Ok(INVALID) };
        let now = clock::now();
        if self.json {
            let lines: Value = file.lines.iter().map(|line| entry(line, now)).collect();
            print::out(&format!("{lines:#}\n"));
        } else {
            print::out(&table(&file.lines, now));
        }
        Ok(0)
    }
}

fn entry(line: &KeyLine, now: Timestamp) -> Value {
    json!({
        "id": line.id.value,
        "owner": line.owner.value,
        "groups": names(line.groups.as_ref()),
        "scopes": names(line.scopes.as_ref()),
        "networks": names(line.networks.as_ref()),
        "created": line.created.as_ref().map(|at| &at.value),
        "expires": line.expires.as_ref().map(|at| &at.value),
        "expired": expired(line, now),
        "comment": line.comment.as_ref().map(|at| &at.value),
    })
}

fn table(lines: &[At<KeyLine>], now: Timestamp) -> String {
    let mut rows = vec![["ID", "OWNER", "GROUPS", "SCOPES", "NETWORKS", "AGE", "ENDS"].map(str::to_owned)];
    for line in lines {
        let list = |list| match names(list).join(",") {
            text if text.is_empty() => "-".to_owned(),
            text => text,
        };
        let ends = match &line.expires {
            None => "never".to_owned(),
            Some(moment) if expired(line, now) => format!("{} (ended)", moment.value),
            Some(moment) => moment.value.clone(),
        };
        rows.push([
            line.id.value.clone(),
            line.owner.value.clone(),
            list(line.groups.as_ref()),
            list(line.scopes.as_ref()),
            list(line.networks.as_ref()),
            age(line, now),
            ends,
        ]);
    }
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: [usize; 7] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let draw = |row: &[String; 7]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(draw).collect()
}

fn expired(line: &KeyLine, now: Timestamp) -> bool {
    let end = line.expires.as_ref().and_then(|moment| key_file::parse_moment(moment));
    end.is_some_and(|end| end <= now)
}

/// In whole days.
fn age(line: &KeyLine, now: Timestamp) -> String {
    let created = line.created.as_ref().and_then(|moment| key_file::parse_moment(moment));
    created.map_or("-".to_owned(), |created| format!("{}d", now.duration_since(created).as_hours().max(0) / 24))
}

fn names(list: Option<&At<OneOrMany<At<String>>>>) -> Vec<&str> {
    list.into_iter().flat_map(|list| list.iter()).map(|name| name.value.as_str()).collect()
}
