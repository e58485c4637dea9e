//! Real proxies in front of a real Postern: the shipped configurations, started as they are, and what comes of them.
//!
//! | part | what it does |
//! | --- | --- |
//! | [`parts`] | finds the proxies' binaries, or installs them below `target/` |
//! | [`process`], [`ports`] | children that never outlive the test, ports that nobody else has |
//! | [`client`], [`upstream`] | octets in at one end, octets recorded at the other |
//! | [`edge`] | one proxy with one configuration |
//! | [`postern`] | the binary under test, with one policy |
//! | [`people`] | who asks, and with which token |
//! | [`scenarios`] | the requests, as data, with what must come of each |
//! | [`asked`] | how each proxy puts a request to Postern |
//! | [`judged`] | every scenario through every dialect, in this process |
//! | [`battery`] | every scenario through every proxy |
//! | [`certificates`] | clients with certificates, and with those of others |
//! | [`pod`], [`compose`] | the sidecar manifest and the compose file carry what is tested here |
//! | [`direct`] | a client that asks Postern by itself |
//! | [`link`] | proxies that ask over mutual TLS, with the right certificate and with another |
//! | [`openssl`] | a second implementation of TLS |
//! | [`hand_over`] | one Postern takes over from another under traffic, and nobody notices |
//! | [`outage`] | the same proxies when Postern is dead, silent or at a loss |

pub(crate) mod asked;
mod battery;
mod certificates;
pub(crate) mod client;
mod compose;
mod direct;
pub(crate) mod edge;
mod hand_over;
pub(crate) mod judged;
mod limits;
mod link;
mod openssl;
mod outage;
pub(crate) mod parts;
pub(crate) mod people;
mod pod;
pub(crate) mod ports;
pub(crate) mod postern;
pub(crate) mod process;
pub(crate) mod scenarios;
pub(crate) mod upstream;
