//! What the walk of a request says about itself. `serve` listens to nothing, `explain` to everything; both take the
//! very same walk.

use crate::model::problem::Place;

/// The stations of a request that have something to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Station {
    Request,
    Address,
    SpoofGuard,
    Route,
    Gate,
    Authenticate,
    Decide,
    Limit,
    Respond,
}

impl Station {
    /// The name shown to people.
    pub fn name(self) -> &'static str {
        match self {
            Station::Request => "request",
            Station::Address => "address",
            Station::SpoofGuard => "spoof guard",
            Station::Route => "route",
            Station::Gate => "gate",
            Station::Authenticate => "authenticate",
            Station::Decide => "decide",
            Station::Limit => "limit",
            Station::Respond => "respond",
        }
    }
}

/// Someone who listens to the walk.
pub trait Trace {
    /// Take a note. `text` is only made when someone listens.
    fn note(&mut self, station: Station, place: Option<&Place>, text: impl FnOnce() -> String);
}

/// Nobody listens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Trace for Silent {
    fn note(&mut self, _: Station, _: Option<&Place>, _: impl FnOnce() -> String) {}
}

/// One thing that was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    pub station: Station,
    pub place: Option<Place>,
    pub text: String,
}

/// Keeps every note, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes(pub Vec<Note>);

impl Trace for Notes {
    fn note(&mut self, station: Station, place: Option<&Place>, text: impl FnOnce() -> String) {
        self.0.push(Note { station, place: place.cloned(), text: text() });
    }
}
