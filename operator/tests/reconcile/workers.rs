//! Workers of graphs, as tasks of the test: the operator reaches them by the names that Services give in a cluster.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use superstep_leases::{FileLease, Pace};
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_store::Store;
use superstep_transport::{Authority, Credentials, Identity, Security, Validity, channel};
use superstep_worker::{Loader, MemberFolder, Node, NodeConfig, Surroundings};
use tonic::Code;
use tonic::transport::Channel;

use super::cluster::{Room, answered, until};
use super::control_plane::is_demanded;
use super::operator::in_namespace;

/// The graph whose workers they are.
pub(crate) const GRAPH: &str = "triage";
/// Where the operator has its authority.
pub(crate) const OWN_NAMESPACE: &str = "--own-namespace=installation";
/// The lives that have a worker each.
const LIVES: [&str; 10] = [
    "reference",
    "conflicts",
    "throttled",
    "failing",
    "done-and-failed",
    "expired",
    "coalesced",
    "killed",
    "stale",
    "two",
];
/// The port of workers in pods.
const PORT: u16 = 7101;
const DAY: Duration = Duration::from_secs(86_400);

/// The namespace of a life, whose name nothing else contains.
pub(crate) fn namespace(life: &str) -> String {
    format!("runs-{life}")
}

/// Whether a process of this machine can be given names of hosts of its own; that it cannot is said.
pub(crate) fn can_be_named() -> bool {
    let folder = tempfile::tempdir().unwrap();
    let hosts = folder.path().join("hosts");
    std::fs::write(&hosts, "").unwrap();
    let tried = in_namespace(&hosts, "true").status();
    let can = tried.is_ok_and(|status| status.success());
    assert!(can || !is_demanded(), "unshare and mount give no process names of hosts of its own");
    if !can {
        eprintln!("SKIPPED: this machine gives no process names of hosts of its own: unshare --mount");
    }
    can
}

/// Where workers are: an address of this machine for each life, that no other process of tests has.
pub(crate) struct Places {
    authority: Authority,
}

impl Places {
    /// Their authority is that of an operator with [`OWN_NAMESPACE`].
    pub(crate) async fn new(client: &Client) -> Self {
        let authority = Authority::new("test").unwrap();
        let room = Room::new(client, "installation").await;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "superstep-ca"}, "type": "Opaque",
            "stringData": {"tls.crt": authority.certificate(), "tls.key": authority.key()},
        });
        let secrets: Api<Secret> = Api::namespaced(client.clone(), &room.namespace);
        let (how, patch) = (PatchParams::apply("test").force(), Patch::Apply(secret));
        answered(async || secrets.patch("superstep-ca", &how, &patch).await).await.unwrap();
        Self { authority }
    }

    /// The names of all of them, as a file of hosts.
    pub(crate) fn hosts(&self) -> String {
        let lines = LIVES.map(|life| format!("{} {GRAPH}-runs.{}.svc\n", address(life), namespace(life)));
        format!("127.0.0.1 localhost\n{}", lines.concat())
    }

    /// The worker of a life.
    pub(crate) async fn worker(&self, life: &str) -> Worker {
        let (folder, namespace) = (tempfile::tempdir().unwrap(), namespace(life));
        let name = format!("{GRAPH}-worker-0");
        let security = |identity: Identity| {
            let issued = self.authority.issue(&identity, Validity::lasting(DAY)).unwrap();
            Security::Mutual(Credentials::held(&issued).unwrap().0)
        };
        let store = Store::memory();
        let around = Surroundings {
            store: store.clone(),
            leases: Arc::new(FileLease::new(folder.path().join("leader"))),
            discovery: Arc::new(MemberFolder::new(folder.path().join("members")).unwrap()),
            provisions: Arc::new(Loader::new(store)),
            traces: None,
        };
        let config = NodeConfig {
            name: name.clone(),
            listen: (address(life), PORT).into(),
            address: None,
            labels: BTreeSet::new(),
            pace: Pace::default(),
            security: security(Identity::worker(&namespace, GRAPH, &name).unwrap()),
        };
        let node = Node::start(config, around).await.unwrap();
        let client = security(Identity::client(&namespace, "test").unwrap());
        let runs = RunsClient::new(channel(node.address(), &client, None).unwrap());
        Worker { runs, _node: node, _folder: folder }
    }
}

/// Where the worker of a life listens.
fn address(life: &str) -> Ipv4Addr {
    let place = LIVES.iter().position(|known| *known == life).unwrap();
    let [.., second, third] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, second, third, u8::try_from(place).unwrap() + 2)
}

/// A worker that leads, until it is dropped.
pub(crate) struct Worker {
    runs: RunsClient<Channel>,
    _node: Node,
    _folder: tempfile::TempDir,
}

impl Worker {
    /// A run, once somebody leads who can tell.
    pub(crate) async fn run(&self, name: &str) -> v1::Run {
        let mut found = None;
        until(&format!("the worker tells of {name}"), async || {
            let asked = self.runs.clone().get(v1::GetRequest { run: name.to_owned() }).await;
            found = asked.ok().and_then(|found| found.into_inner().run);
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Answers the question of a run.
    pub(crate) async fn answer(&self, name: &str) {
        let question = self.run(name).await.questions.into_iter().next().unwrap();
        let request = v1::AnswerRequest {
            run: name.to_owned(),
            question: question.id,
            answer: br#""yes""#.to_vec().into(),
        };
        until("the answer is taken", async || match self.runs.clone().answer(request.clone()).await {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(status.code(), Code::Unavailable, "{status}");
                false
            }
        })
        .await;
    }

    /// The names of all runs that it has had.
    pub(crate) async fn names(&self) -> Vec<String> {
        let mut found = None;
        until("the worker lists its runs", async || {
            found = self.runs.clone().list(v1::ListRequest::default()).await.ok();
            found.is_some()
        })
        .await;
        found.unwrap().into_inner().runs.into_iter().map(|run| run.name).collect()
    }
}
