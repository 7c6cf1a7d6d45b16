//! The wire between the machine and the cluster's network.

use super::address::{MACHINE, NODE, PODS, SERVICES};
use super::keeper::Keeper;
use crate::process::{capture, feed};
use anyhow::Result;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long it may take to go by itself, when it cannot be taken away any more.
const PATIENCE: Duration = Duration::from_secs(30);
/// The machine's end of the wire; the other ends with the cluster's network.
const WIRE: &str = "superstep-tb";

/// Connects both, so that the machine reaches pods and services, and they the machine.
pub(super) fn create(keeper: &Keeper) -> Result<()> {
    let id = keeper.id();
    let outside = format!(
        "link add {WIRE} type veth peer name eth0 netns {id}\n\
         address add {MACHINE}/30 dev {WIRE}\n\
         link set {WIRE} up\n\
         route add {PODS} via {NODE}\n\
         route add {SERVICES} via {NODE}\n"
    );
    let inside = format!(
        "link set lo up\n\
         address add {NODE}/30 dev eth0\n\
         link set eth0 up\n\
         route add default via {MACHINE}\n"
    );
    feed(Command::new("ip").args(["-batch", "-"]), &outside)?;
    feed(keeper.command("ip").args(["-batch", "-"]), &inside)?;
    feed(keeper.command("tee").arg("/proc/sys/net/ipv4/ip_forward"), "1")
}

/// Takes the machine's end away, which goes by itself a moment after the other.
pub(super) fn remove() -> Result<()> {
    let place = Path::new("/sys/class/net").join(WIRE);
    if !place.exists() {
        return Ok(());
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        match capture(Command::new("ip").args(["link", "delete", WIRE])) {
            Err(_) if place.exists() && Instant::now() < deadline => sleep(Duration::from_millis(50)),
            Err(error) if place.exists() => return Err(error),
            Ok(_) | Err(_) => return Ok(()),
        }
    }
}
