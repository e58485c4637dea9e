//! Behind a real Envoy, and beside what it can do alone. Envoy answers by itself what may pass, so that there is no
//! application to pay for; it has one worker, on the processor that we are on.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use serde_json::Value;
use serde_json::json;

use crate::compare::Figure;
use crate::compare::Samples;
use crate::compare::Target;
use crate::fixture::AUDIENCE;
use crate::fixture::ISSUER;
use crate::fixture::Scale;
use crate::fixture::team;
use crate::load::Load;
use crate::load::Outcome;
use crate::load::Protocol;
use crate::report::Line;
use crate::report::Measure;
use crate::row::doubts;
use crate::server::Bench;
use crate::server::Server;
use crate::server::free_ports;

/// Microseconds of processor time for an answer.
const MICROSECONDS: &str = "us CPU";
const ROUTES: usize = 1000;
const MISSING: &str = "MISSING: no Envoy below target/; `cargo test --test it proxy` installs the pinned one";

/// What of the processor time is ours.
pub(super) fn share(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let what = "through Envoy, our share of both";
    let Some(binary) = envoy() else { return Ok(vec![Line::not_run(row, what, MISSING)]) };
    let world = bench.world(Scale::routes(100))?;
    let ours = bench.postern(&world, &bench.processors.server)?;
    let edge = start(bench, &binary, vec![asking()], Some(ours.grpc))?;
    let load = through(bench.plan(Protocol::Browser, &edge, &world), &[&ours, &edge]);
    let [outcomes] = bench.by_turns(&[load])?;
    let figure = Figure { ours: parts(&outcomes, 1), base: Some(parts(&outcomes, 2)) };
    let measure = Measure { unit: MICROSECONDS, base: "together" };
    let line = Line::judged((row, what), measure, figure, Some(Target::at_most(0.2)), bench.manner.noise);
    Ok(vec![line.heed(doubts(&outcomes))])
}

/// The same policy as `jwt_authn` and `rbac` can state it.
pub(super) fn filters(bench: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let what = format!("Envoy and us, {ROUTES} routes");
    let Some(binary) = envoy() else { return Ok(vec![Line::not_run(row, what, MISSING)]) };
    let world = bench.world(Scale::routes(ROUTES))?;
    let ours = bench.postern(&world, &bench.processors.server)?;
    let edge = start(bench, &binary, vec![asking()], Some(ours.grpc))?;
    let jwks = bench.issuer.jwks();
    let alone = start(bench, &binary, vec![verifying(&jwks, false), permitting()], None)?;
    let cached = start(bench, &binary, vec![verifying(&jwks, true), permitting()], None)?;
    let plan = |edge: &Server| bench.plan(Protocol::Browser, edge, &world);
    let [ours, alone, cached] = bench.by_turns(&[
        through(plan(&edge), &[&ours, &edge]),
        through(plan(&alone), &[&alone]),
        through(plan(&cached), &[&cached]),
    ])?;
    let line = |what: String, base: &[Outcome], target| {
        let figure = Figure { ours: parts(&ours, 2), base: Some(parts(base, 1)) };
        let measure = Measure { unit: MICROSECONDS, base: "Envoy alone" };
        Line::judged((row, what), measure, figure, target, bench.manner.noise).heed(doubts(ours.iter().chain(base)))
    };
    Ok(vec![
        line(format!("{what}, jwt_authn and rbac"), &alone, Some(Target::at_most(1.0))),
        line(format!("{what}, the same with its token cache"), &cached, None),
    ])
}

pub(super) fn opa(_: &Bench, row: &'static str) -> anyhow::Result<Vec<Line>> {
    let why = "MISSING: no package registry has the OPA Envoy plugin; it must be measured by hand";
    Ok(vec![Line::not_run(row, "the OPA Envoy plugin, same rule", why)])
}

/// The pinned one that the tests install.
fn envoy() -> Option<PathBuf> {
    let binary = Path::new(env!("CARGO_TARGET_TMPDIR")).parent()?.join("proxies/bin/envoy");
    binary.is_file().then_some(binary)
}

fn through(load: Load, watched: &[&Server]) -> Load {
    Load { nameless: true, watch: watched.iter().map(|server| server.id()).collect(), ..load }
}

/// Processor time of the first so many watched processes together.
fn parts(outcomes: &[Outcome], count: usize) -> Samples {
    Samples(outcomes.iter().map(|outcome| outcome.cost.iter().take(count).sum()).collect())
}

fn start(bench: &Bench, binary: &Path, filters: Vec<Value>, asked: Option<SocketAddr>) -> anyhow::Result<Server> {
    let [listen] = free_ports()?;
    let file = bench.folder().join(format!("envoy-{}.json", listen.port()));
    fs::write(&file, configuration(listen, filters, asked).to_string())?;
    let mut command = bench.pinned(&bench.processors.server, binary);
    command.args(["--concurrency", "1", "--disable-hot-restart", "--log-level", "error", "--config-path"]).arg(&file);
    bench.start("envoy", &mut command, (listen, listen), &bench.processors.server)
}

fn configuration(listen: SocketAddr, mut filters: Vec<Value>, asked: Option<SocketAddr>) -> Value {
    filters.push(filter("envoy.filters.http.router", "router.v3.Router", json!({})));
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        // The client is the load itself.
        "use_remote_address": true,
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [
            {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "ok"}}},
        ]}]},
    });
    let cluster = asked.map(|asked| {
        json!({
            "name": "postern", "type": "STATIC", "connect_timeout": "1s",
            "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": {"http2_protocol_options": {}},
            }},
            "load_assignment": {"cluster_name": "postern", "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": address(asked)}},
            ]}]},
        })
    });
    json!({"static_resources": {
        "listeners": [{"name": "edge", "address": address(listen), "filter_chains": [{"filters": [
            {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager},
        ]}]}],
        "clusters": cluster.into_iter().collect::<Vec<_>>(),
    }})
}

fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

fn filter(name: &str, kind: &str, mut settings: Value) -> Value {
    settings["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{kind}"));
    json!({"name": name, "typed_config": settings})
}

fn asking() -> Value {
    let settings = json!({
        "transport_api_version": "V3",
        // As in the configuration that we ship.
        "encode_raw_headers": true,
        "grpc_service": {"envoy_grpc": {"cluster_name": "postern"}, "timeout": "5s"},
    });
    filter("envoy.filters.http.ext_authz", "ext_authz.v3.ExtAuthz", settings)
}

fn verifying(jwks: &str, cached: bool) -> Value {
    let mut provider = json!({
        "issuer": ISSUER, "audiences": [AUDIENCE], "local_jwks": {"inline_string": jwks},
        "payload_in_metadata": "claims", "forward": true,
        "claim_to_headers": [
            {"header_name": "remote-user", "claim_name": "preferred_username"},
            {"header_name": "remote-email", "claim_name": "email"},
        ],
    });
    if cached {
        provider["jwt_cache_config"] = json!({"jwt_cache_size": 10_000});
    }
    let settings = json!({
        "providers": {"people": provider},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "people"}}],
    });
    filter("envoy.filters.http.jwt_authn", "jwt_authn.v3.JwtAuthentication", settings)
}

fn permitting() -> Value {
    let policy = |route: usize| {
        let team = team(route);
        let groups = json!({
            "filter": "envoy.filters.http.jwt_authn", "path": [{"key": "claims"}, {"key": "groups"}],
            "value": {"list_match": {"one_of": {"string_match": {"exact": team}}}},
        });
        let policy = json!({
            "permissions": [{"url_path": {"path": {"prefix": format!("/api/{team}/")}}}],
            "principals": [{"and_ids": {"ids": [
                {"remote_ip": {"address_prefix": "127.0.0.0", "prefix_len": 8}},
                {"sourced_metadata": {"metadata_matcher": groups}},
            ]}}],
        });
        (team, policy)
    };
    let policies: serde_json::Map<String, Value> = (0..ROUTES).map(policy).collect();
    filter("envoy.filters.http.rbac", "rbac.v3.RBAC", json!({"rules": {"action": "ALLOW", "policies": policies}}))
}
