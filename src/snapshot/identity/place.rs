//! The places a token may stand in: a name that no header and no cookie can have is a mistake.

use crate::config::at::At;
use crate::config::tree;
use crate::model::problem::Problem;
use crate::model::problem::Problems;

/// Fields that mean something already: a credential in one of them would be lost, or would be somebody else's.
pub(super) const TAKEN: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "host"];

/// Header names are tokens (RFC 9110 §5.1), and so are cookie names (RFC 6265 §4.1.1).
pub(super) fn check(place: &At<tree::TokenPlace>, problems: &mut Problems) {
    let (kind, name) = match &place.value {
        tree::TokenPlace::Bearer => return,
        tree::TokenPlace::Header(name) => ("header", name),
        tree::TokenPlace::Cookie(name) => ("cookie", name),
    };
    if kind == "header" && TAKEN.contains(&name.to_ascii_lowercase().as_str()) {
        let message = format!("a token cannot stand in the header `{name}`, which holds something else");
        let help = "write `bearer`, `{cookie: …}`, or a header of its own as `{header: X-Access-Token}`";
        problems.push(Problem::error(place.place.clone(), "", message).help(help));
    }
    if http::HeaderName::from_bytes(name.as_bytes()).is_err() {
        let message = format!("`{name}` is not the name of a {kind}: no token can be there");
        problems.push(
            Problem::error(place.place.clone(), "", message)
                .help(format!("write a name such as `{kind}: access-token`")),
        );
    }
}
