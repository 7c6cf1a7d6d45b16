//! The operator as a process, at a real API server, behind a proxy that plays its faults.
//!
//! What comes of create, scale, change, delete and recreate must be the same whatever happens on the way, and what comes of
//! runs that are begun, suspended, patched, cancelled, deleted and begun again. There is no kubelet: a task of the test says
//! of each pod that it is ready, and another one is the worker that runs are handed to.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "who looks on is told how often a fault was played")]

#[path = "reconcile/authority.rs"]
mod authority;
#[path = "reconcile/cluster.rs"]
mod cluster;
#[path = "reconcile/control_plane.rs"]
mod control_plane;
#[path = "reconcile/faults.rs"]
mod faults;
#[path = "reconcile/history.rs"]
mod history;
#[path = "reconcile/kubelet.rs"]
mod kubelet;
#[path = "reconcile/life.rs"]
mod life;
#[path = "reconcile/many.rs"]
mod many;
#[path = "reconcile/operator.rs"]
mod operator;
#[path = "reconcile/others.rs"]
mod others;
#[path = "reconcile/proxy.rs"]
mod proxy;
#[path = "reconcile/run_life.rs"]
mod run_life;
#[path = "reconcile/turns.rs"]
mod turns;
#[path = "reconcile/workers.rs"]
mod workers;
