//! A policy with mistakes in its shape: good for finding more mistakes, and for nothing else.

use std::path::PathBuf;
use std::sync::Arc;

use crate::config::load::surroundings::Surroundings;
use crate::config::load::world::World;
use crate::config::read::Doubt;
use crate::config::read::Extent;
use crate::config::tree::Config;
use crate::config::yaml::Node;
use crate::config::yaml::Value;
use crate::model::problem::Place;
use crate::model::problem::Problem;
use crate::model::problem::Problems;
use crate::model::problem::Severity;

/// The sections that other parts of a policy refer to, or inherit from.
const REFERRED: [&str; 4] = ["identity", "roles", "networks", "defaults"];

/// A policy as far as it could be read, with stand-ins where it could not. Nothing serves it: a snapshot is built
/// from a [`Loaded`](crate::config::load::Loaded), and there is no way from here to one.
#[derive(Debug)]
pub struct Draft {
    config: Config,
    folder: PathBuf,
    doubts: Vec<Doubt>,
}

impl Draft {
    /// A draft with these doubts. `None` when they are about what other parts refer to: a name that is missing there
    /// may have been lost with the mistake.
    pub(super) fn new(
        config: Config,
        root: &Node<'_>,
        names: &[Arc<str>],
        folder: PathBuf,
        doubts: Vec<Doubt>,
    ) -> Option<Draft> {
        let lost = doubts.iter().filter(|doubt| doubt.extent == Extent::Inside).any(|doubt| {
            let file = names.iter().position(|name| *name == doubt.place.file);
            file.and_then(|file| u32::try_from(file).ok()).is_none_or(|file| loses_names(root, file, doubt.place.span))
        });
        (!lost).then_some(Draft { config, folder, doubts })
    }

    /// What could be read.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What the policy may look at beyond its own text.
    pub fn surroundings<'w>(&self, world: &'w dyn World) -> Surroundings<'w> {
        Surroundings::new(self.folder.clone(), world)
    }

    /// Those problems that would be found without the mistakes too: errors that are about no stand-in.
    pub fn certain(&self, found: Problems) -> Problems {
        let certain = |problem: &Problem| {
            problem.severity == Severity::Error
                && problem.place.as_ref().is_some_and(|place| {
                    !place.file.is_empty() && !self.doubts.iter().any(|doubt| concerns(doubt, place))
                })
        };
        Problems(found.0.into_iter().filter(certain).collect())
    }
}

/// Could a problem at this place follow from what is doubtful?
fn concerns(doubt: &Doubt, place: &Place) -> bool {
    let within = |(start, end): (u32, u32), (from, to): (u32, u32)| from <= start && end <= to;
    place.file == doubt.place.file
        && (within(doubt.place.span, place.span)
            || (doubt.extent == Extent::Inside && within(place.span, doubt.place.span)))
}

/// Is the mistake about a whole section that others refer to, or about an entry that was left out of one?
fn loses_names(root: &Node<'_>, file: u32, span: (u32, u32)) -> bool {
    match entry_at(root, file, span) {
        Some((key, section)) if key.text().is_some_and(|key| REFERRED.contains(&key)) => {
            entry_at(section, file, span).is_none()
        }
        Some(_) => false,
        None => true,
    }
}

/// The entry of a mapping that holds these bytes. The entries of a merged section come from several files.
fn entry_at<'n, 't>(node: &'n Node<'t>, file: u32, (start, end): (u32, u32)) -> Option<&'n (Node<'t>, Node<'t>)> {
    let holds = |node: &Node<'t>| node.span.file == file && node.span.contains(start, end);
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|(key, value)| {
        let merged = match &value.value {
            Value::Map(inner) => inner.iter().any(|(key, value)| holds(key) || holds(value)),
            Value::Null | Value::Refused | Value::Scalar { .. } | Value::List(_) => false,
        };
        holds(key) || holds(value) || merged
    })
}
