//! Compiles `proto/` with protox, so that no protoc is needed.

use std::error::Error;

const ROOT: &str = "proto";
const SERVICE: &str = "proto/envoy/service/auth/v3/external_auth.proto";

#[expect(clippy::disallowed_macros, reason = "cargo reads a build script's standard output")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={ROOT}");
    let files = protox::compile([SERVICE], [ROOT])?;
    tonic_prost_build::configure()
        // A sorted map keeps decisions deterministic: the wire order of a protobuf map is random.
        .btree_map(".")
        .build_transport(false)
        .include_file("ext_authz_v3.rs")
        .compile_fds(files)?;
    Ok(())
}
