//! The services of Superstep: what the `.proto` files beside this crate say, as types and clients and servers.
//!
//! [`v1`] is what is spoken. Nothing here knows the engine: the crate `superstep-worker` converts, in one place.

/// Package `superstep.v1`.
#[allow(missing_docs, clippy::all, reason = "generated from the .proto files, whose comments document it")]
pub mod v1 {
    #![allow(
        unreachable_pub,
        unused_qualifications,
        clippy::pedantic,
        clippy::wildcard_enum_match_arm,
        clippy::large_futures,
        reason = "generated"
    )]
    tonic::include_proto!("superstep.v1");
}

/// The compiled `.proto` files, a `FileDescriptorSet`, for reflection.
///
/// What they said once is understood for ever: `cargo xtask test` compares them with `superstep.v1.binpb` beside this
/// crate.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/superstep.v1.binpb"));
