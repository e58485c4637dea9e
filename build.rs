//! Compiles `proto/` with protox, so that no protoc is needed.

use std::error::Error;

const ROOT: &str = "proto";
/// What is compiled, and the file of its Rust.
const INTERFACES: [(&str, &[&str]); 2] = [
    ("ext_authz_v3.rs", &["proto/envoy/service/auth/v3/external_auth.proto"]),
    (
        "otlp_v1.rs",
        &[
            "proto/opentelemetry/proto/collector/logs/v1/logs_service.proto",
            "proto/opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
            "proto/opentelemetry/proto/collector/trace/v1/trace_service.proto",
        ],
    ),
];

#[expect(clippy::disallowed_macros, reason = "cargo reads a build script's standard output")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    for (file, sources) in INTERFACES {
        let files = protox::compile(sources, [ROOT])?;
        tonic_prost_build::configure()
            // A sorted map keeps decisions deterministic: the wire order of a protobuf map is random.
            .btree_map(".")
            .build_transport(false)
            .include_file(file)
            .compile_fds(files)?;
    }
    Ok(())
}
