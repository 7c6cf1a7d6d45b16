//! A pinned S3 server, which the tests of the store talk to on loopback.

use crate::go_tool::GoTool;
use crate::workspace::Workspace;
use std::path::PathBuf;

const SERVER: GoTool =
    GoTool { module: "github.com/versity/versitygw", package: "cmd/versitygw", version: "v1.8.0" };

/// The server in the build folder; none where it cannot be had, which is said.
pub(crate) fn obtain(workspace: &Workspace) -> Option<PathBuf> {
    match SERVER.obtain(workspace) {
        Ok(server) => Some(server),
        Err(error) => {
            println!("the store is not tested on S3: {error:#}");
            None
        }
    }
}
