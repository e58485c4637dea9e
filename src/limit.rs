//! Rate limits: buckets, where they are kept, and what one request takes from them.
//!
//! A bucket is a pure function of its state, the time and the cost. A store keeps the buckets of everybody who is being
//! counted: [`local`] in this process, [`shared`] where all instances take from them. A [`Purse`] belongs to one request:
//! whoever walks a request twice takes from it once.

pub mod bucket;
pub mod local;
pub mod purse;
pub mod shared;

pub use local::Local;
pub use local::MIN_MEMORY;
pub use purse::Purse;
pub use purse::Stores;
pub use purse::Taken;
pub use shared::Shared;
