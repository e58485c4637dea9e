//! Policies of any size, as an operator would write them, and the snapshots built from them.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;
use anyhow::Result;
use postern::config::load::Loaded;
use postern::config::load::Pretend;
use postern::config::load::load;
use postern::snapshot;
use postern::snapshot::Snapshot;

/// Who signs the tokens, and for whom they are.
pub(crate) const ISSUER: &str = "https://sso.bench.test/realms/main";
pub(crate) const AUDIENCE: &str = "bench";

/// What tokens are signed with.
pub(crate) const SECRET: &str = "a secret of a bench, long enough for HS256";

/// How large a policy is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Routes of all hosts together: `/api/team-N/**` for the group `team-N`.
    pub(crate) routes: usize,
    pub(crate) hosts: usize,
    /// Verified tokens remembered at most; 0: none.
    pub(crate) tokens: usize,
}

impl Size {
    /// All routes in one host.
    pub(crate) fn routes(routes: usize) -> Size {
        Size { routes, hosts: 1, tokens: 4096 }
    }

    /// The host that a route stands in; neighbours stand in different ones.
    pub(crate) fn host_of(self, route: usize) -> String {
        format!("app-{}.bench.test", route % self.hosts)
    }
}

/// The policy as a file.
pub(crate) fn text(size: Size) -> Result<String> {
    let mut text = format!(
        "version: 1
identity:
  people:
    jwt:
      issuer: {ISSUER}
      audience: {AUDIENCE}
      secret: {{env: SECRET}}
      algorithms: [HS256]
      token_cache: {tokens}
      claims: {{user: preferred_username, groups: groups, email: email, name: name}}
defaults:
  identity: [people]
  headers: {{user: Remote-User, groups: Remote-Groups, email: Remote-Email, name: Remote-Name}}
networks:
  inside: [10.0.0.0/8, 192.0.2.0/24, \"2001:db8::/32\"]
hosts:
",
        tokens = size.tokens
    );
    for host in 0..size.hosts {
        writeln!(text, "  {}:\n    network: [inside]\n    routes:", size.host_of(host))?;
        for route in (host..size.routes).step_by(size.hosts) {
            writeln!(text, "      - {{path: /api/team-{route}/**, require: {{groups: [team-{route}]}}}}")?;
        }
    }
    text.push_str("...\n");
    Ok(text)
}

/// The file read: what `load` makes of it.
pub(crate) fn loaded(text: &str) -> Result<Loaded> {
    let world = world().file("policy.yaml", text);
    load(Path::new("policy.yaml"), &world).map_err(|refused| anyhow::anyhow!("{refused}"))
}

/// The snapshot of what was read.
pub(crate) fn built(loaded: &Loaded) -> Result<Snapshot> {
    let built = snapshot::build(loaded, &world()).map_err(|problems| anyhow::anyhow!("{problems:?}"));
    Ok(built?.0)
}

/// From the size to the snapshot.
pub(crate) fn snapshot(size: Size) -> Result<Snapshot> {
    built(&loaded(&text(size)?)?).with_context(|| format!("a policy of {size:?}"))
}

fn world() -> Pretend {
    Pretend::new().variable("SECRET", SECRET)
}
