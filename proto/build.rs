//! Compiles the services: no compiler for protobuf need be installed.

use std::path::PathBuf;

use prost::Message as _;

const FILES: [&str; 5] = [
    "superstep/v1/certificates.proto",
    "superstep/v1/coordination.proto",
    "superstep/v1/messages.proto",
    "superstep/v1/model.proto",
    "superstep/v1/runs.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let descriptor = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("superstep.v1.binpb");
    std::fs::write(out, descriptor.encode_to_vec())?;
    // Payloads are shared and cut out of what was received, not copied.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptor)?;
    Ok(())
}
