//! A server of tools over standard input and output: `mcp_server [--old]`.

#[path = "../tests/mcp/server.rs"]
mod server;

use rmcp::ServiceExt as _;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let is_old = std::env::args().any(|argument| argument == "--old");
    let server = server::Server { is_old, ..server::Server::default() };
    server.serve(rmcp::transport::stdio()).await?.waiting().await?;
    Ok(())
}
