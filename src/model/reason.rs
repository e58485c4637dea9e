//! Why a request was allowed or refused: the one closed list that clients, metrics and the audit log share.

/// A stable, public word for the outcome of one check. It never quotes a token, a key or an internal cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    // ── allowed ────────────────────────────────────────────────────────────────────────────────
    /// The route's requirement holds.
    Permitted,
    /// The route is `public: true`.
    Public,
    /// A CORS preflight, where `preflight: allow` is written.
    Preflight,

    // ── the request itself cannot be judged (400) ─────────────────────────────────────────────
    /// The proxy did not send an attribute its dialect must carry.
    AttributeMissing,
    /// Two attributes, or two copies of one, contradict each other.
    AttributeConflict,
    /// The request target is not one a route can want.
    BadTarget,
    /// The host does not fit the host grammar.
    BadHost,
    /// The method is not an upper-case token.
    BadMethod,
    /// The readings of a hazardous path do not all allow.
    AmbiguousPath,
    /// The client sent an identity header, or an alias of one.
    SpoofedHeader,
    /// The client sent an alias or a second copy of a forwarding header the dialect reads.
    ForwardingAlias,
    /// Two values of one credential in one place.
    DuplicateCredential,

    // ── who are you (401) ─────────────────────────────────────────────────────────────────────
    /// No credential that a source of the route claims.
    CredentialMissing,
    /// A bearer token of an issuer (or shape) that no source of the route claims.
    TokenUnclaimed,
    /// Not a signed compact JWT with sound header and claims.
    TokenMalformed,
    /// The algorithm is not one the source lists, or not the key's.
    TokenAlgorithm,
    /// No key of the issuer fits the token.
    TokenKeyUnknown,
    /// The signature does not verify.
    TokenSignature,
    /// `exp` has passed.
    TokenExpired,
    /// `nbf` or `iat` lies in the future.
    TokenNotYetValid,
    /// `aud` names none of ours.
    TokenAudience,
    /// A required claim is absent, empty or of the wrong type.
    TokenClaims,

    // ── you may not (403) ─────────────────────────────────────────────────────────────────────
    /// No host block covers the host.
    HostUnknown,
    /// No route covers the path.
    RouteUnknown,
    /// The path has a route, but none that lists the method.
    MethodNotListed,
    /// A network gate is closed to the client address.
    NetworkDenied,
    /// A `deny` gate is closed to a header of the request.
    HeaderDenied,
    /// A `deny` gate is closed to the method.
    MethodDenied,
    /// The requirement is false or cannot be known.
    RequirementFailed,
    /// The user does not fit into a header.
    IdentityNotEncodable,
    /// The groups do not fit into the header budget.
    GroupsTooLarge,

    // ── come again (425) ──────────────────────────────────────────────────────────────────────
    /// A request that changes something came in TLS early data, which can be played again by anybody who recorded it.
    EarlyData,

    // ── we cannot answer (503) ────────────────────────────────────────────────────────────────
    /// The keys of the token's issuer are not to be had.
    KeysUnavailable,
    /// More requests than we may take at once.
    Overloaded,
    /// The caller's deadline passed.
    DeadlineExceeded,
    /// The caller's message could not be decoded.
    MessageMalformed,
    /// A fault of ours.
    Internal,
}

impl Reason {
    /// Every reason, in the order above: the closed label set of the metrics.
    pub const ALL: [Reason; 37] = [
        Reason::Permitted,
        Reason::Public,
        Reason::Preflight,
        Reason::AttributeMissing,
        Reason::AttributeConflict,
        Reason::BadTarget,
        Reason::BadHost,
        Reason::BadMethod,
        Reason::AmbiguousPath,
        Reason::SpoofedHeader,
        Reason::ForwardingAlias,
        Reason::DuplicateCredential,
        Reason::CredentialMissing,
        Reason::TokenUnclaimed,
        Reason::TokenMalformed,
        Reason::TokenAlgorithm,
        Reason::TokenKeyUnknown,
        Reason::TokenSignature,
        Reason::TokenExpired,
        Reason::TokenNotYetValid,
        Reason::TokenAudience,
        Reason::TokenClaims,
        Reason::HostUnknown,
        Reason::RouteUnknown,
        Reason::MethodNotListed,
        Reason::NetworkDenied,
        Reason::HeaderDenied,
        Reason::MethodDenied,
        Reason::RequirementFailed,
        Reason::IdentityNotEncodable,
        Reason::GroupsTooLarge,
        Reason::EarlyData,
        Reason::KeysUnavailable,
        Reason::Overloaded,
        Reason::DeadlineExceeded,
        Reason::MessageMalformed,
        Reason::Internal,
    ];

    /// The stable code that clients, logs and metrics show.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Permitted => "permitted",
            Reason::Public => "public",
            Reason::Preflight => "preflight",
            Reason::AttributeMissing => "attribute_missing",
            Reason::AttributeConflict => "attribute_conflict",
            Reason::BadTarget => "bad_target",
            Reason::BadHost => "bad_host",
            Reason::BadMethod => "bad_method",
            Reason::AmbiguousPath => "ambiguous_path",
            Reason::SpoofedHeader => "spoofed_header",
            Reason::ForwardingAlias => "forwarding_alias",
            Reason::DuplicateCredential => "duplicate_credential",
            Reason::CredentialMissing => "credential_missing",
            Reason::TokenUnclaimed => "token_unclaimed",
            Reason::TokenMalformed => "token_malformed",
            Reason::TokenAlgorithm => "token_algorithm",
            Reason::TokenKeyUnknown => "token_key_unknown",
            Reason::TokenSignature => "token_signature",
            Reason::TokenExpired => "token_expired",
            Reason::TokenNotYetValid => "token_not_yet_valid",
            Reason::TokenAudience => "token_audience",
            Reason::TokenClaims => "token_claims",
            Reason::HostUnknown => "host_unknown",
            Reason::RouteUnknown => "route_unknown",
            Reason::MethodNotListed => "method_not_listed",
            Reason::NetworkDenied => "network_denied",
            Reason::HeaderDenied => "header_denied",
            Reason::MethodDenied => "method_denied",
            Reason::RequirementFailed => "requirement_failed",
            Reason::IdentityNotEncodable => "identity_not_encodable",
            Reason::GroupsTooLarge => "groups_too_large",
            Reason::EarlyData => "early_data",
            Reason::KeysUnavailable => "keys_unavailable",
            Reason::Overloaded => "overloaded",
            Reason::DeadlineExceeded => "deadline_exceeded",
            Reason::MessageMalformed => "message_malformed",
            Reason::Internal => "internal",
        }
    }

    /// The HTTP status the reason stands for, before a dialect folds it.
    pub fn status(self) -> u16 {
        match self {
            Reason::Permitted | Reason::Public | Reason::Preflight => 200,
            Reason::AttributeMissing
            | Reason::AttributeConflict
            | Reason::BadTarget
            | Reason::BadHost
            | Reason::BadMethod
            | Reason::AmbiguousPath
            | Reason::SpoofedHeader
            | Reason::ForwardingAlias
            | Reason::DuplicateCredential => 400,
            Reason::CredentialMissing
            | Reason::TokenUnclaimed
            | Reason::TokenMalformed
            | Reason::TokenAlgorithm
            | Reason::TokenKeyUnknown
            | Reason::TokenSignature
            | Reason::TokenExpired
            | Reason::TokenNotYetValid
            | Reason::TokenAudience
            | Reason::TokenClaims => 401,
            Reason::HostUnknown
            | Reason::RouteUnknown
            | Reason::MethodNotListed
            | Reason::NetworkDenied
            | Reason::HeaderDenied
            | Reason::MethodDenied
            | Reason::RequirementFailed
            | Reason::IdentityNotEncodable
            | Reason::GroupsTooLarge => 403,
            Reason::EarlyData => 425,
            Reason::KeysUnavailable
            | Reason::Overloaded
            | Reason::DeadlineExceeded
            | Reason::MessageMalformed
            | Reason::Internal => 503,
        }
    }

    /// Only these let a request pass.
    pub fn allows(self) -> bool {
        matches!(self, Reason::Permitted | Reason::Public | Reason::Preflight)
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_allowing_reason_has_status_200() {
        for reason in Reason::ALL {
            assert_eq!(reason.status() == 200, reason.allows(), "{reason}");
        }
    }

    #[test]
    fn codes_are_unique_and_snake_case() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Reason::ALL.len());
        assert!(codes.iter().all(|c| c.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
    }
}
