//! Tools over HTTP, of commands, and of servers of the Model Context Protocol.

mod address;
mod client;
mod command;
mod doubt;
mod error;
mod http;
mod limits;
mod load;
mod mcp;
mod secret;
mod signature;
mod wait;

pub use error::LoadError;
pub use load::{LoadedTools, Surroundings, load};
pub use secret::from_environment;
