//! Leases of a real API server: that of `SUPERSTEP_TEST_KUBECONFIG`, in its namespace `default`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::api::DeleteParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use superstep_leases::{Election, KubernetesLease, Lease, LeaseError, Leases, Pace, RENEWALS, Standing};
use tokio::net::TcpListener;
use tokio::sync::watch;

const VARIABLE: &str = "SUPERSTEP_TEST_KUBECONFIG";

/// A way to the API server; none if there is no such server.
async fn client() -> Option<Client> {
    let Ok(path) = std::env::var(VARIABLE) else {
        eprintln!("skipped: there is no cluster; {VARIABLE} is to name its kubeconfig");
        return None;
    };
    let config = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap();
    Some(Client::try_from(config).unwrap())
}

fn quick() -> Pace {
    Pace {
        lasts: Duration::from_secs(12),
        gives_up: Duration::from_secs(8),
        looks: Duration::from_millis(200),
    }
}

/// A lease of this name that nobody has had.
async fn fresh(client: &Client, name: &str) -> (Api<Object>, KubernetesLease) {
    let api: Api<Object> = Api::namespaced(client.clone(), "default");
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => panic!("{error}"),
    }
    (api, patient(client, name))
}

/// It waits long enough for a server that has much to do.
fn patient(client: &Client, name: &str) -> KubernetesLease {
    KubernetesLease::new(
        client.clone(),
        "default",
        name,
        Pace { gives_up: Duration::from_secs(60), ..quick() },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn only_one_of_many_replaces_what_all_have_seen() {
    let Some(client) = client().await else { return };
    let name = "superstep-test-race";
    let (api, lease) = fresh(&client, name).await;
    assert_eq!(lease.read().await.unwrap(), None);
    let all: Vec<_> = (0..8).map(|_| patient(&client, name)).collect();
    for round in 1..=20 {
        let read = join_all(all.iter().map(Leases::read)).await;
        let attempts = all.iter().zip(read).enumerate().map(|(number, (lease, seen))| async move {
            let next = Lease { holder: Some(number.to_string()), renewals: round };
            lease.replace(seen.unwrap(), next).await.unwrap().then_some(number)
        });
        let winners: Vec<usize> = join_all(attempts).await.into_iter().flatten().collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let expected = Lease { holder: Some(winners[0].to_string()), renewals: round };
        assert_eq!(lease.read().await.unwrap(), Some(expected));
    }
    // One who remembers what was there writes nothing over it.
    let old = Lease { holder: Some("0".to_owned()), renewals: 3 };
    assert!(!lease.replace(Some(old), Lease { holder: None, renewals: 4 }).await.unwrap());
    let seen = lease.read().await.unwrap();
    api.delete(name, &DeleteParams::default()).await.unwrap();
    assert!(!lease.replace(seen, Lease { holder: None, renewals: 21 }).await.unwrap());
    assert_eq!(lease.read().await.unwrap(), None);
}

/// One who takes part in an election until he is stopped, and says where he stands.
fn candidate(client: &Client, name: &'static str, me: &'static str) -> (watch::Receiver<Standing>, Stop) {
    let lease = KubernetesLease::new(client.clone(), "default", name, quick());
    let (tell, standing) = watch::channel(Standing::Vacant);
    let (stop, mut stopped) = watch::channel(false);
    tokio::spawn(async move {
        let mut election = Election::new(me, quick(), Instant::now());
        let mut look = tokio::time::interval(quick().looks);
        loop {
            tokio::select! {
                gone = stopped.changed() => {
                    if gone.is_ok() && let Some((seen, next)) = election.release() {
                        assert!(lease.replace(seen, next).await.unwrap());
                    }
                    return;
                }
                _ = look.tick() => {}
            }
            if let Ok(read) = lease.read().await
                && let Some(next) = election.look(read.clone(), Instant::now())
                && let Ok(written) = lease.replace(read, next.clone()).await
            {
                election.wrote(next, written, Instant::now());
            }
            tell.send_replace(election.standing(Instant::now()));
        }
    });
    (standing, Stop(stop))
}

/// Dropping it stops a candidate at once, as a crash would.
struct Stop(watch::Sender<bool>);

impl Stop {
    /// The candidate gives the lease back.
    fn gently(self) {
        self.0.send_replace(true);
    }
}

async fn until(standing: &mut watch::Receiver<Standing>, expected: &Standing) {
    let waited = standing.wait_for(|standing| standing == expected);
    tokio::time::timeout(Duration::from_secs(120), waited).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_after_the_other_and_anybody_can_read_who() {
    let Some(client) = client().await else { return };
    let name = "superstep-test-election";
    let (api, _) = fresh(&client, name).await;
    let (mut one, stop_one) = candidate(&client, name, "one");
    until(&mut one, &Standing::Leads).await;
    let (mut two, stop_two) = candidate(&client, name, "two");
    until(&mut two, &Standing::Follows("one".to_owned())).await;
    drop(stop_one);
    until(&mut two, &Standing::Leads).await;
    let (mut three, _stop_three) = candidate(&client, name, "three");
    until(&mut three, &Standing::Follows("two".to_owned())).await;
    stop_two.gently();
    until(&mut three, &Standing::Leads).await;
    let object = api.get(name).await.unwrap();
    let spec = object.spec.unwrap();
    assert_eq!(spec.holder_identity.as_deref(), Some("three"));
    assert_eq!((spec.lease_duration_seconds, spec.lease_transitions), (Some(12), Some(2)));
    assert!(spec.renew_time.unwrap() >= spec.acquire_time.unwrap());
    assert!(object.metadata.annotations.unwrap()[RENEWALS].parse::<u64>().unwrap() >= 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_lease_is_made_anew_by_who_had_it() {
    let Some(client) = client().await else { return };
    let name = "superstep-test-deleted";
    let (api, _) = fresh(&client, name).await;
    let (mut one, _stop_one) = candidate(&client, name, "one");
    until(&mut one, &Standing::Leads).await;
    let (mut two, _stop_two) = candidate(&client, name, "two");
    until(&mut two, &Standing::Follows("one".to_owned())).await;
    let first = api.get(name).await.unwrap();
    api.delete(name, &DeleteParams::default()).await.unwrap();
    let since = Instant::now();
    let second = loop {
        assert!(since.elapsed() < Duration::from_secs(60), "the lease is made anew");
        if let Some(object) = api.get_opt(name).await.unwrap() {
            break object;
        }
        tokio::time::sleep(quick().looks / 4).await;
    };
    assert_ne!(second.metadata.uid, first.metadata.uid);
    assert_eq!(second.spec.unwrap().holder_identity.as_deref(), Some("one"));
    until(&mut one, &Standing::Leads).await;
    assert_eq!(*two.borrow(), Standing::Follows("one".to_owned()));
}

#[tokio::test]
async fn a_server_that_is_silent_is_not_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let accepting = tokio::spawn(async move {
        let mut kept = Vec::new();
        loop {
            kept.push(listener.accept().await.unwrap());
        }
    });
    let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
    let lease: Arc<dyn Leases> = Arc::new(KubernetesLease::new(client, "default", "a", quick()));
    let read = lease.read().await;
    assert!(
        matches!(read, Err(LeaseError::Silent { what: "read", after, .. }) if after < quick().gives_up / 2)
    );
    accepting.abort();
}
