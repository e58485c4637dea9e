//! Why a request was allowed or refused: the one closed list that clients, metrics and the audit log share.

/// Makes the enum and what each of its members says from one line a reason: its code, and the HTTP status it stands for
/// before a dialect folds it.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:literal;)*) => {
        /// A stable, public word for the outcome of one check. It never quotes a token, a key or an internal cause.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// Every reason, in the order they are written: the closed label set of the metrics.
            pub const ALL: [Reason; [$(stringify!($name)),*].len()] = [$(Reason::$name),*];

            /// The stable code that clients, logs and metrics show.
            pub fn code(self) -> &'static str {
                match self {
                    $(Reason::$name => $code,)*
                }
            }

            /// The reverse of [`Reason::code`].
            pub fn parse(code: &str) -> Option<Reason> {
                Reason::ALL.into_iter().find(|reason| reason.code() == code)
            }

            /// The HTTP status the reason stands for, before a dialect folds it.
            pub fn status(self) -> u16 {
                match self {
                    $(Reason::$name => $status,)*
                }
            }
        }
    };
}

reasons! {
    // ── allowed ────────────────────────────────────────────────────────────────────────────────
    /// The route's requirement holds.
    Permitted = "permitted", 200;
    /// The route is `public: true`.
    Public = "public", 200;
    /// A CORS preflight, where `preflight: allow` is written.
    Preflight = "preflight", 200;

    // ── the request itself cannot be judged (400) ─────────────────────────────────────────────
    /// The proxy did not send an attribute its dialect must carry.
    AttributeMissing = "attribute_missing", 400;
    /// Two attributes, or two copies of one, contradict each other.
    AttributeConflict = "attribute_conflict", 400;
    /// The request target is not one a route can want.
    BadTarget = "bad_target", 400;
    /// The host does not fit the host grammar.
    BadHost = "bad_host", 400;
    /// The method is not an upper-case token.
    BadMethod = "bad_method", 400;
    /// The readings of a hazardous path do not all allow.
    AmbiguousPath = "ambiguous_path", 400;
    /// The client sent an identity header, or an alias of one.
    SpoofedHeader = "spoofed_header", 400;
    /// The client sent an alias or a second copy of a forwarding header the dialect reads.
    ForwardingAlias = "forwarding_alias", 400;
    /// Two values of one credential in one place.
    DuplicateCredential = "duplicate_credential", 400;

    // ── who are you (401) ─────────────────────────────────────────────────────────────────────
    /// No credential that a source of the route claims.
    CredentialMissing = "credential_missing", 401;
    /// A bearer token of an issuer (or shape) that no source of the route claims.
    TokenUnclaimed = "token_unclaimed", 401;
    /// Not a signed compact JWT with sound header and claims.
    TokenMalformed = "token_malformed", 401;
    /// The algorithm is not one the source lists, or not the key's.
    TokenAlgorithm = "token_algorithm", 401;
    /// No key of the issuer fits the token.
    TokenKeyUnknown = "token_key_unknown", 401;
    /// The signature does not verify.
    TokenSignature = "token_signature", 401;
    /// `exp` has passed.
    TokenExpired = "token_expired", 401;
    /// `nbf` or `iat` lies in the future.
    TokenNotYetValid = "token_not_yet_valid", 401;
    /// `aud` names none of ours.
    TokenAudience = "token_audience", 401;
    /// A required claim is absent, empty or of the wrong type.
    TokenClaims = "token_claims", 401;
    /// The credential, or everything issued to its subject before some moment, has been revoked.
    Revoked = "revoked", 401;
    /// The issuer says that this token is not active (RFC 7662 §2.2).
    TokenInactive = "token_inactive", 401;
    /// No API key has this id and this secret.
    ApiKeyInvalid = "api_key_invalid", 401;
    /// The API key is past its end.
    ApiKeyExpired = "api_key_expired", 401;
    /// No user has this name and this password.
    PasswordInvalid = "password_invalid", 401;
    /// The proxy's word on the client certificate is malformed, or the certificate maps to nobody.
    CertificateInvalid = "certificate_invalid", 401;

    // ── you may not (403) ─────────────────────────────────────────────────────────────────────
    /// No host block covers the host.
    HostUnknown = "host_unknown", 403;
    /// No route covers the path.
    RouteUnknown = "route_unknown", 403;
    /// The path has a route, but none that lists the method.
    MethodNotListed = "method_not_listed", 403;
    /// A network gate is closed to the client address.
    NetworkDenied = "network_denied", 403;
    /// The API key may not be used from the client address.
    ApiKeyNetwork = "api_key_network", 403;
    /// A `deny` gate is closed to a header of the request.
    HeaderDenied = "header_denied", 403;
    /// A `deny` gate is closed to the method.
    MethodDenied = "method_denied", 403;
    /// The requirement is false or cannot be known.
    RequirementFailed = "requirement_failed", 403;
    /// The user does not fit into a header.
    IdentityNotEncodable = "identity_not_encodable", 403;
    /// The groups do not fit into the header budget.
    GroupsTooLarge = "groups_too_large", 403;

    // ── come again (425) ──────────────────────────────────────────────────────────────────────
    /// A request that changes something came in TLS early data, which can be played again by anybody who recorded it.
    EarlyData = "early_data", 425;

    // ── later (429) ───────────────────────────────────────────────────────────────────────────
    /// The client, or the name it gives, has sent too many wrong credentials within the minute.
    TooManyFailures = "too_many_failures", 429;
    /// A limit of the policy has no more for this caller now.
    RateLimited = "rate_limited", 429;

    // ── we cannot answer (503) ────────────────────────────────────────────────────────────────
    /// The keys of the token's issuer are not to be had.
    KeysUnavailable = "keys_unavailable", 503;
    /// A service that must be asked about the credential does not answer.
    UpstreamUnavailable = "upstream_unavailable", 503;
    /// A limit cannot be asked whether it has room, and lets nobody pass then.
    LimitsUnavailable = "limits_unavailable", 503;
    /// More requests than we may take at once.
    Overloaded = "overloaded", 503;
    /// The caller's deadline passed.
    DeadlineExceeded = "deadline_exceeded", 503;
    /// The caller's message could not be decoded.
    MessageMalformed = "message_malformed", 503;
    /// The audit log takes no line, and nobody may pass without one.
    AuditUnavailable = "audit_unavailable", 503;
    /// A fault of ours.
    Internal = "internal", 503;
}

impl Reason {
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
