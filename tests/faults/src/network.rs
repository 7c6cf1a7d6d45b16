//! Machines of their own network each, between which packets can be lost one way or both.
//!
//! Each has a cable to this process's network, which passes packets on. A cut is a rule of its routing: what one sends
//! to another goes down a cable with nobody at its end, which counts it. Neither end hears of that.

use anyhow::{Context as _, Result};

use crate::machine::run;

/// The routing table of what is lost, and the cable that it leads to.
const LOST: u32 = 100;
const SINK: &str = "sink";

/// Machines numbered from 1.
pub(crate) struct Network {
    machines: usize,
    cuts: Vec<(usize, usize)>,
}

impl Network {
    /// So many machines, in a process that has a network of its own.
    pub(crate) fn new(machines: usize) -> Result<Self> {
        std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").context("packets are not passed on")?;
        let network = Self { machines, cuts: Vec::new() };
        run(&format!("ip link add {SINK} type veth peer name {SINK}-end"))?;
        run(&format!("ip link set {SINK} up arp off"))?;
        run(&format!("ip link set {SINK}-end up arp off"))?;
        run(&format!("ip route add default dev {SINK} table {LOST}"))?;
        for machine in 1..=machines {
            let (space, inner, outer) = (space(machine), address(machine), gateway(machine));
            run(&format!("ip netns add {space}"))?;
            run(&format!("ip link add cable{machine} type veth peer name eth0 netns {space}"))?;
            run(&format!("ip addr add {outer}/24 dev cable{machine}"))?;
            run(&format!("ip link set cable{machine} up"))?;
            run(&format!("ip -n {space} addr add {inner}/24 dev eth0"))?;
            run(&format!("ip -n {space} link set eth0 up"))?;
            run(&format!("ip -n {space} link set lo up"))?;
            run(&format!("ip -n {space} route add default via {outer}"))?;
        }
        Ok(network)
    }

    /// From here on nothing that `from` sends reaches `to`.
    pub(crate) fn cut(&mut self, from: usize, to: usize) -> Result<()> {
        run(&format!("ip rule add from {} to {} lookup {LOST}", address(from), address(to)))?;
        self.cuts.push((from, to));
        Ok(())
    }

    /// Everything reaches everybody again.
    pub(crate) fn heal(&mut self) -> Result<()> {
        for (from, to) in self.cuts.drain(..) {
            run(&format!("ip rule del from {} to {} lookup {LOST}", address(from), address(to)))?;
        }
        Ok(())
    }

    /// How many packets were lost by cuts so far.
    pub(crate) fn lost(&self) -> Result<u64> {
        let text = std::fs::read_to_string("/proc/net/dev")?;
        let line = text.lines().find_map(|line| line.trim().strip_prefix(SINK)?.strip_prefix(':'));
        let sent = line.and_then(|line| line.split_whitespace().nth(9)).context("the packets are counted")?;
        Ok(sent.parse()?)
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let healed = self.heal();
        // A machine is gone a while after it was removed, and its cable with it: so the cable goes first.
        let cables = (1..=self.machines).map(|machine| format!("ip link del cable{machine}"));
        let spaces = (1..=self.machines).map(|machine| format!("ip netns del {}", space(machine)));
        let all = cables.chain(spaces).chain([format!("ip link del {SINK}")]);
        for error in all.map(|line| run(&line)).chain([healed]).filter_map(Result::err) {
            crate::say(&format!("a part of the network stays: {error:#}"));
        }
    }
}

fn space(machine: usize) -> String {
    format!("machine{machine}")
}

/// Where a machine is.
pub(crate) fn address(machine: usize) -> String {
    format!("10.231.{machine}.2")
}

/// Where this process is for a machine.
pub(crate) fn gateway(machine: usize) -> String {
    format!("10.231.{machine}.1")
}

/// The words that start a program on a machine.
pub(crate) fn within(machine: usize) -> Vec<String> {
    ["ip", "netns", "exec", &space(machine)].map(str::to_owned).to_vec()
}
