//! `authenticated: true`: anybody who proved an identity. This one fact is known of anonymous callers too.

use crate::model::identity::Principal;
use crate::policy::truth::Truth;

/// Has the caller proven an identity?
pub fn holds(principal: &Principal) -> Truth {
    Truth::from(principal.identity().is_some())
}
