//! What a real API server says of tokens, and of the Secret of the authority: that of `SUPERSTEP_TEST_KUBECONFIG`.

use std::fmt::Debug;

use futures::future::join_all;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, Pod, Secret, ServiceAccount};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config, CustomResourceExt as _, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use superstep_api::AgentGraphObject;
use tokio::time::{Duration, sleep};

use super::super::accounts::{AUDIENCE, AccountError, Accounts as _, ClusterAccounts};
use super::super::secret::{RootSecret, SecretError};

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

async fn create<K>(api: &Api<K>, object: Value) -> K
where
    K: Clone + Debug + Serialize + DeserializeOwned,
{
    for _ in 0..600 {
        match api.create(&PostParams::default(), &serde_json::from_value(object.clone()).unwrap()).await {
            Ok(made) => return made,
            // Its kind is served, or its account made, in a moment.
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404 | 429 | 500..) => {
                sleep(Duration::from_millis(100)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    panic!("it cannot be made: {object}")
}

/// A namespace of its own, which is deleted at the end of the test.
async fn namespace(client: &Client, name: &str) -> String {
    let api: Api<Namespace> = Api::all(client.clone());
    let metadata = json!({"generateName": format!("superstep-test-{name}-")});
    let made = create(&api, json!({"metadata": metadata})).await;
    made.metadata.name.unwrap()
}

async fn remove(client: &Client, namespace: &str) {
    let api: Api<Namespace> = Api::all(client.clone());
    api.delete(namespace, &DeleteParams::default()).await.unwrap();
}

fn within<K>(client: &Client, namespace: &str) -> Api<K>
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
{
    Api::namespaced(client.clone(), namespace)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_operators_one_makes_the_authority_and_all_have_it() {
    let Some(client) = client().await else { return };
    let namespace = namespace(&client, "authority").await;
    let secret = || RootSecret::new(client.clone(), &namespace, "superstep-ca");
    assert!(matches!(secret().obtain().await, Err(SecretError::Missing { .. })));
    let secrets: Api<Secret> = within(&client, &namespace);
    create(&secrets, json!({"metadata": {"name": "superstep-ca"}, "type": "Opaque"})).await;
    let operators: Vec<_> = (0..8).map(|_| secret()).collect();
    let obtained = join_all(operators.iter().map(RootSecret::obtain)).await;
    let pairs: Vec<_> = obtained
        .into_iter()
        .map(|root| {
            let root = root.unwrap();
            (root.pair().0.to_owned(), root.pair().1)
        })
        .collect();
    assert!(pairs.windows(2).all(|two| two[0] == two[1]));
    // What somebody has spoiled is not made anew.
    let mut spoiled = secrets.get("superstep-ca").await.unwrap();
    spoiled.data.as_mut().unwrap().get_mut("tls.crt").unwrap().0.truncate(100);
    secrets.replace("superstep-ca", &PostParams::default(), &spoiled).await.unwrap();
    assert!(matches!(secret().obtain().await, Err(SecretError::Useless { .. })));
    remove(&client, &namespace).await;
}

struct Shop {
    client: Client,
    namespace: String,
}

impl Shop {
    async fn account(&self, name: &str) {
        create::<ServiceAccount>(&within(&self.client, &self.namespace), json!({"metadata": {"name": name}}))
            .await;
    }

    async fn pod(&self, name: &str, account: &str) -> String {
        let pod = json!({
            "metadata": {"name": name},
            "spec": {
                "serviceAccountName": account,
                "nodeSelector": {"superstep.dev/nowhere": "1"},
                "containers": [{"name": "a", "image": "localhost/none"}],
            },
        });
        create::<Pod>(&within(&self.client, &self.namespace), pod).await.metadata.uid.unwrap()
    }

    async fn token(&self, account: &str, audience: &str, pod: Option<(&str, &str)>) -> String {
        let bound_object_ref = pod.map(|(name, uid)| BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(name.to_owned()),
            uid: Some(uid.to_owned()),
        });
        let spec = TokenRequestSpec {
            audiences: vec![audience.to_owned()],
            bound_object_ref,
            ..TokenRequestSpec::default()
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let accounts: Api<ServiceAccount> = within(&self.client, &self.namespace);
        let made = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
        made.status.unwrap().token
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_names_the_worker_that_it_was_given_to_and_nobody_else() {
    let Some(client) = client().await else { return };
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = AgentGraphObject::crd();
    let is_made = match definitions.create(&PostParams::default(), &definition).await {
        Ok(_) => true,
        Err(kube::Error::Api(status)) if status.code == 409 => false,
        Err(error) => panic!("{error}"),
    };
    let shop = Shop { client: client.clone(), namespace: namespace(&client, "tokens").await };
    for account in ["triage-worker", "other-worker", "default-user"] {
        shop.account(account).await;
    }
    let worker = shop.pod("triage-worker-0", "triage-worker").await;
    let stranger = shop.pod("stranger", "triage-worker").await;
    let other = shop.pod("other-worker-0", "other-worker").await;
    let user = shop.pod("user", "default-user").await;
    let graphs: Api<AgentGraphObject> = within(&client, &shop.namespace);
    let graph = json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "AgentGraph",
        "metadata": {"name": "triage"},
        "spec": {"entry": ["a"], "vertices": [{"name": "a", "function": {"cel": "1"}}]},
    });
    create(&graphs, graph).await;
    let accounts = ClusterAccounts::new(client.clone());
    let pod = ("triage-worker-0", worker.as_str());
    let token = shop.token("triage-worker", AUDIENCE, Some(pod)).await;
    let identity = accounts.whose(&token).await.unwrap();
    let expected = format!("spiffe://superstep/ns/{}/graph/triage/worker/triage-worker-0", shop.namespace);
    assert_eq!(identity.to_string(), expected);

    let refused = async |account: &str, audience: &str, pod: Option<(&str, &str)>| {
        accounts.whose(&shop.token(account, audience, pod).await).await.unwrap_err()
    };
    let of_server = refused("triage-worker", "https://kubernetes.default.svc", Some(pod)).await;
    assert!(matches!(of_server, AccountError::Token { .. } | AccountError::Audience), "{of_server}");
    assert!(matches!(refused("triage-worker", AUDIENCE, None).await, AccountError::NoPod { .. }));
    let of_stranger = refused("triage-worker", AUDIENCE, Some(("stranger", &stranger))).await;
    assert!(matches!(of_stranger, AccountError::Pod { .. }), "{of_stranger}");
    let of_user = refused("default-user", AUDIENCE, Some(("user", &user))).await;
    assert!(matches!(of_user, AccountError::Account { .. }), "{of_user}");
    let of_other = refused("other-worker", AUDIENCE, Some(("other-worker-0", &other))).await;
    assert!(matches!(of_other, AccountError::Graph { .. }), "{of_other}");
    let forged = format!("{}A", &token[..token.len() - 1]);
    let forged = accounts.whose(&forged).await.unwrap_err();
    assert!(matches!(forged, AccountError::Token { .. }), "{forged}");
    // The token of a pod that is gone is worth nothing.
    let pods: Api<Pod> = within(&client, &shop.namespace);
    pods.delete(
        "triage-worker-0",
        &DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() },
    )
    .await
    .unwrap();
    let mut gone = accounts.whose(&token).await;
    // The API server believes a token that it has looked at for some seconds.
    for _ in 0..60 {
        if gone.is_err() {
            break;
        }
        sleep(Duration::from_secs(1)).await;
        gone = accounts.whose(&token).await;
    }
    assert!(matches!(gone, Err(AccountError::Token { .. })), "{gone:?}");
    remove(&client, &shop.namespace).await;
    if is_made {
        let name = definition.metadata.name.unwrap();
        definitions.delete(&name, &DeleteParams::default()).await.unwrap();
    }
}
