//! What workers say of themselves without being asked by gRPC.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use superstep_worker::Health;

use super::asking::asking;
use super::*;

/// The status and the body of a page.
fn page(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// What is counted, by name and labels.
fn metrics(address: SocketAddr) -> BTreeMap<String, f64> {
    let (status, text) = page(address, "/metrics");
    assert_eq!((status, text.lines().last()), (200, Some("# EOF")), "{text}");
    let value = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.strip_prefix("superstep_worker_").unwrap().to_owned(), value.parse().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(value).collect()
}

impl Group {
    fn health(&self, name: &str) -> Health {
        let health = self.client.block_on(Health::listen("127.0.0.1:0".parse().unwrap())).unwrap();
        let worker = self.workers.iter().find(|worker| worker.name == name).unwrap();
        health.show(worker.node.as_ref().unwrap().vitals());
        health
    }
}

#[test]
fn a_worker_says_that_it_is_ready_and_what_it_has_done() {
    let group = Group::new(&["a", "b"]);
    group.complete(2);
    let health = group.client.block_on(Health::listen("127.0.0.1:0".parse().unwrap())).unwrap();
    assert_eq!(page(health.address(), "/livez").0, 200);
    let (status, why) = page(health.address(), "/readyz");
    assert_eq!(status, 503);
    assert!(why.contains("has not started"), "{why}");
    assert!(metrics(health.address()).is_empty());
    assert_eq!(page(health.address(), "/").0, 404);

    let ledger = group.folder.path().join("ledger");
    group.submit("working", &working(&ledger, "0"), &Value::Null);
    assert_eq!(group.end("working").0, RunStatus::Succeeded);
    let both = ["a", "b"].map(|name| group.health(name));
    assert!(both.iter().all(|health| page(health.address(), "/readyz").0 == 200));
    let counted = both.each_ref().map(|health| metrics(health.address()));
    let sum = |name: &str| counted.iter().map(|counted| counted[name]).sum::<f64>();
    assert_eq!((sum("leads"), sum("supersteps_total"), sum("calls_total")), (1.0, 2.0, 24.0));
    let share = f64::from(u32::try_from(share_of("a", &["a", "b"])).unwrap());
    assert_eq!(counted[0]["calls_total"], share);
    assert_eq!((sum("store_away_seconds"), sum("callers_refused_total{reason=\"plaintext\"}")), (0.0, 0.0));
}

#[test]
fn a_worker_that_leaves_lets_go_of_a_run_as_soon_as_another_has_it() {
    let mut group = Group::new(&["a", "b"]);
    group.complete(2);
    // A run that waits for people can go at once, the other one when its calls have ended.
    group.submit("asking", &[asking()], &Value::Null);
    until("it waits for people", || group.get("asking").phase() == v1::RunPhase::Paused);
    let ledger = group.folder.path().join("ledger");
    group.submit("working", &held(&ledger, 10_000), &Value::Null);
    until("all have begun", || counts(&ledger).len() == 24);
    let leaves = if group.leader() == "a" { "b" } else { "a" };
    let health = group.health(leaves);
    assert_eq!(metrics(health.address())["partitions"], 2.0);
    let at = group.workers.iter().position(|worker| worker.name == leaves).unwrap();
    let mut worker = group.workers.remove(at);
    let leaving = std::thread::spawn(move || worker.runtime.block_on(worker.node.take().unwrap().leave()));
    until("it has let go of the run that waits", || metrics(health.address())["partitions"] == 1.0);
    assert!(!leaving.is_finished(), "its calls go on");
    let (status, why) = page(health.address(), "/readyz");
    assert_eq!((status, why.as_str()), (503, "the worker leaves\n"));
    let_go(&ledger);
    leaving.join().unwrap();
    assert_eq!(group.end("working").0, RunStatus::Succeeded);
    assert!(counts(&ledger).values().all(|counts| *counts == (1, 1)));
}

#[test]
fn a_list_does_not_begin_again_behind_a_run_that_is_gone() {
    let group = Group::new(&["a"]);
    group.complete(1);
    group.submit("asking", &[asking()], &Value::Null);
    let list = |after: &str| {
        let request = v1::ListRequest { after: after.to_owned(), ..v1::ListRequest::default() };
        group.asked(async |mut client| client.list(request.clone()).await)
    };
    assert_eq!(list("").unwrap().into_inner().runs.len(), 1);
    assert_eq!(list("asking").unwrap().into_inner().runs.len(), 0);
    assert_eq!(list("gone").unwrap_err().code(), tonic::Code::NotFound);
}
