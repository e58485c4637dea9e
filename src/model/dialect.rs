//! The names of the wire languages we speak, as metrics and the audit log show them.

/// One proxy's way of asking. The readers and writers live in the `dialect` room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dialect {
    /// Envoy `ext_authz` gRPC v3.
    ExtAuthz,
    /// Envoy `ext_authz` `http_service`.
    EnvoyHttp,
    /// Caddy `forward_auth`.
    Caddy,
    /// Traefik `forwardAuth`.
    Traefik,
    /// nginx `auth_request` with our configuration.
    Nginx,
    /// The ingress-nginx controller's `auth-url`.
    IngressNginx,
    /// HAProxy with our Lua action.
    Haproxy,
}

impl Dialect {
    /// Every dialect: the closed label set of the metrics.
    pub const ALL: [Dialect; 7] = [
        Dialect::ExtAuthz,
        Dialect::EnvoyHttp,
        Dialect::Caddy,
        Dialect::Traefik,
        Dialect::Nginx,
        Dialect::IngressNginx,
        Dialect::Haproxy,
    ];

    /// The name used in logs, metrics and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Dialect::ExtAuthz => "ext_authz",
            Dialect::EnvoyHttp => "envoy_http",
            Dialect::Caddy => "caddy",
            Dialect::Traefik => "traefik",
            Dialect::Nginx => "nginx",
            Dialect::IngressNginx => "ingress_nginx",
            Dialect::Haproxy => "haproxy",
        }
    }

    /// Can our answer remove any header of the request? The others remove only those their configuration lists.
    pub fn removes_headers(self) -> bool {
        match self {
            Dialect::ExtAuthz | Dialect::EnvoyHttp => true,
            Dialect::Caddy | Dialect::Traefik | Dialect::Nginx | Dialect::IngressNginx | Dialect::Haproxy => false,
        }
    }

    /// The reverse of [`Dialect::name`].
    pub fn parse(name: &str) -> Option<Dialect> {
        Dialect::ALL.into_iter().find(|dialect| dialect.name() == name)
    }
}

/// Can a check bring a header of this lower-case name beside what its dialect reads as the request's own attributes?
/// `false` where most dialects consume it.
pub fn brings(name: &str) -> bool {
    const CONSUMED: [&str; 6] =
        ["host", "x-forwarded-for", "x-forwarded-host", "x-forwarded-method", "x-forwarded-proto", "x-forwarded-uri"];
    !CONSUMED.contains(&name)
}

impl std::fmt::Display for Dialect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
