//! The services of Superstep: what the `.proto` files beside this crate say, as types and clients and servers.
//!
//! [`v1`] is what is spoken. Nothing here knows the engine: the crate `superstep-wire` converts, in one place.

/// Package `superstep.v1`.
pub mod v1 {
    tonic::include_proto!("superstep.v1");
}

/// The compiled `.proto` files, a `FileDescriptorSet`, for reflection.
///
/// What they said once is understood for ever: `cargo xtask test` compares them with `superstep.v1.binpb` beside this
/// crate.
pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/superstep.v1.binpb"));
