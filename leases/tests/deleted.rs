//! A lease that somebody deletes, at a server that does with one lease what an API server does: what has a uid or a version
//! replaces that object only, and what has neither is made if there is none.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode};
use axum::routing::get;
use k8s_openapi::api::coordination::v1::Lease as Object;
use kube::{Client, Config};
use serde_json::{Value, json};
use superstep_leases::{Election, KubernetesLease, Lease, LeaseError, Leases as _, Pace, RENEWALS, Standing};
use tokio::net::TcpListener;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Default)]
struct Server {
    object: Option<Object>,
    /// How many versions there were.
    versions: u64,
    /// Whether nobody may make a lease.
    refuses: bool,
    /// What was asked that nobody here has a right to.
    strange: u64,
}

type Refused = (StatusCode, &'static str, Option<&'static str>);

impl Server {
    /// Makes, or replaces.
    fn put(&mut self, mut object: Object) -> Result<Object, Refused> {
        let conflict = (StatusCode::CONFLICT, "Conflict", None);
        let (uid, version) = (&object.metadata.uid, &object.metadata.resource_version);
        match &self.object {
            None if uid.is_some() || version.is_some() => return Err(conflict),
            None if self.refuses => return Err((StatusCode::FORBIDDEN, "Forbidden", None)),
            None => {}
            Some(_) if version.is_none() => {
                let field = Some("metadata.resourceVersion");
                return Err((StatusCode::UNPROCESSABLE_ENTITY, "Invalid", field));
            }
            Some(there) if *version != there.metadata.resource_version => return Err(conflict),
            Some(there) => object.metadata.uid.clone_from(&there.metadata.uid),
        }
        self.versions += 1;
        let version = self.versions.to_string();
        object.metadata.uid.get_or_insert_with(|| format!("uid-{version}"));
        object.metadata.resource_version = Some(version);
        self.object = Some(object.clone());
        Ok(object)
    }
}

type Shared = Arc<Mutex<Server>>;

fn answer(told: Result<Object, Refused>) -> Response<Body> {
    let (code, body) = match told {
        Ok(object) => (StatusCode::OK, serde_json::to_value(object).unwrap()),
        Err((code, reason, field)) => {
            let causes: Vec<Value> = field.iter().map(|field| json!({"field": field})).collect();
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code.as_u16(),
                "reason": reason, "message": reason, "details": {"causes": causes},
            });
            (code, status)
        }
    };
    let response = Response::builder().status(code).header("content-type", "application/json");
    response.body(Body::from(body.to_string())).unwrap()
}

async fn read(State(server): State<Shared>) -> Response<Body> {
    let found = server.lock().unwrap().object.clone();
    answer(found.ok_or((StatusCode::NOT_FOUND, "NotFound", None)))
}

async fn write(State(server): State<Shared>, body: Bytes) -> Response<Body> {
    answer(server.lock().unwrap().put(serde_json::from_slice(&body).unwrap()))
}

/// A right to leases by their names is none to what has no name in its path.
async fn strange(State(server): State<Shared>) -> Response<Body> {
    server.lock().unwrap().strange += 1;
    answer(Err((StatusCode::FORBIDDEN, "Forbidden", None)))
}

/// A server, and a client of it.
async fn serve() -> (Shared, Client) {
    let server = Shared::default();
    let router = Router::new()
        .route("/apis/coordination.k8s.io/v1/namespaces/team/leases/leader", get(read).put(write))
        .fallback(strange)
        .with_state(Arc::clone(&server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (server, Client::try_from(Config::new(url.parse().unwrap())).unwrap())
}

/// A request has a quarter of the time after which a holder gives up, and the machine may be busy.
fn lease(client: &Client) -> KubernetesLease {
    let pace = Pace { gives_up: 60 * SECOND, ..Pace::of_cluster() };
    KubernetesLease::new(client.clone(), "team", "leader", pace)
}

/// One who takes part in an election.
struct Candidate {
    lease: KubernetesLease,
    election: Election,
}

impl Candidate {
    fn new(client: &Client, name: &str, now: Instant) -> Self {
        Self { lease: lease(client), election: Election::new(name, Pace::of_cluster(), now) }
    }

    /// Looks at the lease as at that time, and says where he stands.
    async fn look(&mut self, now: Instant) -> Standing {
        if let Err(error) = self.renew(now).await {
            assert!(matches!(&error, LeaseError::Cluster { what: "make", .. }), "{error:?}");
        }
        self.election.standing(now)
    }

    async fn renew(&mut self, now: Instant) -> Result<(), LeaseError> {
        let read = self.lease.read().await?;
        if let Some(next) = self.election.look(read.clone(), now) {
            let written = self.lease.replace(read, next.clone()).await?;
            self.election.wrote(next, written, now);
        }
        Ok(())
    }
}

/// The lease as whoever installs makes it: it goes with its owner, and nobody has it.
fn installed() -> Object {
    serde_json::from_value(json!({
        "metadata": {
            "name": "leader", "namespace": "team", "labels": {"app": "x"}, "annotations": {"made-by": "y"},
            "finalizers": ["a.b/c"],
            "ownerReferences": [
                {"apiVersion": "v1", "kind": "ConfigMap", "name": "z", "uid": "u", "controller": true},
            ],
        },
    }))
    .unwrap()
}

fn follows(name: &str) -> Standing {
    Standing::Follows(name.to_owned())
}

#[tokio::test]
async fn a_deleted_lease_is_made_anew_by_who_had_it_as_it_was_and_nobody_else_has_it_meanwhile() {
    let (server, client) = serve().await;
    server.lock().unwrap().put(installed()).unwrap();
    let start = Instant::now();
    let (mut one, mut two) = (Candidate::new(&client, "one", start), Candidate::new(&client, "two", start));
    assert_eq!(one.look(start).await, Standing::Leads);
    assert_eq!(two.look(start).await, follows("one"));
    assert_eq!(one.look(start + 2 * SECOND).await, Standing::Leads);
    let before = server.lock().unwrap().object.take().unwrap();

    for second in 3..6 {
        assert_eq!(two.look(start + second * SECOND).await, follows("one"));
    }
    assert_eq!(server.lock().unwrap().object, None);
    assert_eq!(one.look(start + 6 * SECOND).await, Standing::Leads);
    let after = server.lock().unwrap().object.clone().unwrap();
    assert_ne!(after.metadata.uid, before.metadata.uid);
    assert_eq!(after.metadata.labels, before.metadata.labels);
    assert_eq!(after.metadata.owner_references, before.metadata.owner_references);
    assert_eq!(after.metadata.finalizers, None);
    let annotations = after.metadata.annotations.unwrap();
    assert_eq!((annotations["made-by"].as_str(), annotations[RENEWALS].as_str()), ("y", "1"));
    let (before, after) = (before.spec.unwrap(), after.spec.unwrap());
    assert_eq!(after.holder_identity.as_deref(), Some("one"));
    assert_eq!(
        (after.acquire_time, after.lease_transitions),
        (before.acquire_time, before.lease_transitions)
    );

    for second in 7..20 {
        let now = start + second * SECOND;
        assert_eq!(two.look(now).await, follows("one"));
        assert_eq!(one.look(now).await, Standing::Leads);
    }
    assert_eq!(server.lock().unwrap().strange, 0);
}

#[tokio::test]
async fn a_deleted_lease_of_one_who_is_gone_is_made_by_another_after_its_time() {
    let (server, client) = serve().await;
    server.lock().unwrap().put(installed()).unwrap();
    let start = Instant::now();
    let (mut one, mut two) = (Candidate::new(&client, "one", start), Candidate::new(&client, "two", start));
    one.look(start).await;
    two.look(start).await;
    server.lock().unwrap().object = None;
    for second in 1..11 {
        assert_eq!(two.look(start + second * SECOND).await, follows("one"));
    }
    assert_eq!(two.look(start + 11 * SECOND).await, Standing::Leads);
    let object = server.lock().unwrap().object.clone().unwrap();
    assert_eq!(object.metadata.owner_references, installed().metadata.owner_references);
    // The other one comes back, and sees it.
    assert_eq!(one.look(start + 12 * SECOND).await, follows("two"));
}

#[tokio::test]
async fn who_may_not_make_a_lease_does_not_count_on_one_that_is_deleted() {
    let (server, client) = serve().await;
    server.lock().unwrap().put(installed()).unwrap();
    let start = Instant::now();
    let mut one = Candidate::new(&client, "one", start);
    assert_eq!(one.look(start).await, Standing::Leads);
    *server.lock().unwrap() = Server { refuses: true, ..Server::default() };
    assert_eq!(one.look(start + SECOND).await, Standing::Vacant);
    server.lock().unwrap().refuses = false;
    assert_eq!(one.look(start + 2 * SECOND).await, Standing::Leads);
}

#[tokio::test]
async fn one_of_several_makes_a_lease_and_nothing_that_was_deleted_is_replaced() {
    let (server, client) = serve().await;
    let (one, two) = (lease(&client), lease(&client));
    let held = |name: &str, renewals| Lease { holder: Some(name.to_owned()), renewals };
    assert_eq!((one.read().await.unwrap(), two.read().await.unwrap()), (None, None));
    assert!(one.replace(None, held("one", 1)).await.unwrap());
    assert!(!two.replace(None, held("two", 1)).await.unwrap());
    assert_eq!(two.read().await.unwrap(), Some(held("one", 1)));
    server.lock().unwrap().object = None;
    assert!(!one.replace(Some(held("one", 1)), held("one", 2)).await.unwrap());
    assert!(!two.replace(Some(held("one", 1)), held("two", 2)).await.unwrap());
    assert_eq!(server.lock().unwrap().object, None);
    assert!(two.replace(None, held("two", 1)).await.unwrap());
    assert!(!one.replace(None, held("one", 1)).await.unwrap());
    assert_eq!(server.lock().unwrap().strange, 0);
}
