//! Devices that the node has in name only, so that pods which ask for them are placed as on a real one.

use super::programs::Programs;
use super::{state, up};
use anyhow::Result;
use serde_json::json;

const RESOURCE: &str = "nvidia.com/gpu";

/// Sets how many there are.
pub(super) fn set(programs: &Programs, count: u32) -> Result<()> {
    let quantity = json!({ RESOURCE: count.to_string() });
    let patch = json!({ "status": { "capacity": quantity, "allocatable": quantity } }).to_string();
    let mut command = programs.kubectl(&state::kubeconfig()?);
    command.args(["patch", "node", "testbed", "--subresource=status", "--type=merge", "--patch", &patch]);
    up::until("the node has these devices", &mut command)
}
