//! Whose token it is that a worker shows.

use std::time::Duration;

use futures::future::{BoxFuture, FutureExt as _};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use kube::api::PostParams;
use kube::{Api, Client};
use superstep_api::AgentGraphObject;
use superstep_transport::{Identity, IdentityError};
use tokio::time::timeout;

use crate::names::OfGraph;

/// For whom the tokens of workers are made.
pub(super) const AUDIENCE: &str = "superstep";
/// What the name of an account begins with.
const ACCOUNT: &str = "system:serviceaccount:";
/// Where a token says to which pod it was given.
const POD: &str = "authentication.kubernetes.io/pod-name";
/// How long the API server may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why a token is of no worker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountError {
    /// The API server does not accept it.
    #[error("the token is not accepted: {why}")]
    Token {
        /// What it says.
        why: String,
    },
    /// It is for others.
    #[error("the token is not for the audience {AUDIENCE:?}")]
    Audience,
    /// The account is no worker's.
    #[error("{account:?} is no account of workers")]
    Account {
        /// Its name.
        account: String,
    },
    /// It was not given to a pod.
    #[error("the token of {account:?} was not given to a pod")]
    NoPod {
        /// The account.
        account: String,
    },
    /// It was given to a pod that is none of the graph's.
    #[error("pod {pod:?} is no worker of graph {graph:?}")]
    Pod {
        /// The pod.
        pod: String,
        /// The graph.
        graph: String,
    },
    /// There is no graph whose worker it could be.
    #[error("there is no AgentGraph {graph:?} in namespace {namespace:?}")]
    Graph {
        /// Where.
        namespace: String,
        /// The graph.
        graph: String,
    },
    /// A certificate cannot have such a name.
    #[error("a certificate cannot have the name of the pod")]
    Name(#[from] IdentityError),
    /// Nobody says whose it is.
    #[error("the API server cannot be asked")]
    Cluster(#[from] Box<kube::Error>),
    /// Nobody says in time.
    #[error("the API server has not answered after {PATIENCE:?}")]
    Silent,
}

/// Knows whose tokens are: the API server.
pub(crate) trait Accounts: Send + Sync {
    /// The worker whose token it is.
    fn whose<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, AccountError>>;
}

/// The accounts of a cluster.
pub(super) struct ClusterAccounts(Client);

impl ClusterAccounts {
    pub(super) fn new(client: Client) -> Self {
        Self(client)
    }

    async fn look_at(&self, token: &str) -> Result<Identity, AccountError> {
        let audiences = Some(vec![AUDIENCE.to_owned()]);
        let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviews = Api::<TokenReview>::all(self.0.clone());
        let Pod { namespace, graph, name } =
            Pod::of(&ask(reviews.create(&PostParams::default(), &review)).await?)?;
        let graphs = Api::<AgentGraphObject>::namespaced(self.0.clone(), &namespace);
        if ask(graphs.get_metadata_opt(&graph)).await?.is_none() {
            return Err(AccountError::Graph { namespace, graph });
        }
        Ok(Identity::worker(&namespace, &graph, &name)?)
    }
}

impl Accounts for ClusterAccounts {
    fn whose<'a>(&'a self, token: &'a str) -> BoxFuture<'a, Result<Identity, AccountError>> {
        self.look_at(token).boxed()
    }
}

async fn ask<T>(request: impl Future<Output = kube::Result<T>>) -> Result<T, AccountError> {
    match timeout(PATIENCE, request).await {
        Ok(answer) => Ok(answer.map_err(Box::new)?),
        Err(_) => Err(AccountError::Silent),
    }
}

/// The pod of a worker.
#[derive(Debug, PartialEq, Eq)]
struct Pod {
    namespace: String,
    graph: String,
    name: String,
}

impl Pod {
    /// The pod to which a token was given that was looked at.
    fn of(review: &TokenReview) -> Result<Self, AccountError> {
        let status = review.status.clone().unwrap_or_default();
        if status.authenticated != Some(true) {
            let why = status.error.filter(|why| !why.is_empty());
            return Err(AccountError::Token { why: why.unwrap_or_else(|| "it is none".to_owned()) });
        }
        if !status.audiences.iter().flatten().any(|audience| audience == AUDIENCE) {
            return Err(AccountError::Audience);
        }
        Self::of_user(&status.user.unwrap_or_default())
    }

    fn of_user(user: &UserInfo) -> Result<Self, AccountError> {
        let account = user.username.clone().unwrap_or_default();
        let parts = account.strip_prefix(ACCOUNT).and_then(|name| name.split_once(':'));
        let worker = parts.and_then(|(namespace, name)| Some((namespace, name.strip_suffix("-worker")?)));
        let Some((namespace, graph)) = worker.filter(|(_, graph)| !graph.is_empty()) else {
            return Err(AccountError::Account { account });
        };
        let pods = user.extra.iter().filter_map(|extra| extra.get(POD)).flatten().collect::<Vec<_>>();
        let [name] = pods.as_slice() else { return Err(AccountError::NoPod { account }) };
        let of_graph = OfGraph(graph).worker();
        let number = name.strip_prefix(&of_graph).and_then(|rest| rest.strip_prefix('-'));
        if number.is_none_or(|number| number.parse::<u32>().is_err()) {
            return Err(AccountError::Pod { pod: (*name).clone(), graph: graph.to_owned() });
        }
        Ok(Self { namespace: namespace.to_owned(), graph: graph.to_owned(), name: (*name).clone() })
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::authentication::v1::TokenReviewStatus;

    use super::*;

    fn review(account: &str, pods: &[&str], audience: &str) -> TokenReview {
        let pods = pods.iter().map(|pod| (*pod).to_owned()).collect();
        let user = UserInfo {
            username: Some(account.to_owned()),
            extra: Some([(POD.to_owned(), pods)].into()),
            ..UserInfo::default()
        };
        let status = TokenReviewStatus {
            authenticated: Some(true),
            audiences: Some(vec![audience.to_owned()]),
            user: Some(user),
            ..TokenReviewStatus::default()
        };
        TokenReview { status: Some(status), ..TokenReview::default() }
    }

    #[test]
    fn a_worker_is_known_by_its_account_and_its_pod() {
        let of = |account: &str, pods: &[&str]| Pod::of(&review(account, pods, AUDIENCE));
        let found = of("system:serviceaccount:shop:triage-worker", &["triage-worker-12"]).unwrap();
        let pod = |namespace: &str, graph: &str, name: &str| Pod {
            namespace: namespace.to_owned(),
            graph: graph.to_owned(),
            name: name.to_owned(),
        };
        assert_eq!(found, pod("shop", "triage", "triage-worker-12"));
        let found = of("system:serviceaccount:a:b-worker-worker", &["b-worker-worker-0"]).unwrap();
        assert_eq!(found, pod("a", "b-worker", "b-worker-worker-0"));
        for account in [
            "system:serviceaccount:shop:default",
            "system:serviceaccount:shop:-worker",
            "system:serviceaccount:triage-worker",
            "system:node:triage-worker",
            "triage-worker",
            "",
        ] {
            assert!(
                matches!(of(account, &["triage-worker-0"]), Err(AccountError::Account { .. })),
                "{account}"
            );
        }
        let account = "system:serviceaccount:shop:triage-worker";
        for pods in [&[][..], &["triage-worker-0", "triage-worker-1"]] {
            assert!(matches!(of(account, pods), Err(AccountError::NoPod { .. })), "{pods:?}");
        }
        for name in
            ["triage-worker", "triage-worker-", "triage-worker-x", "other-worker-0", "triage-worker-0-1"]
        {
            assert!(matches!(of(account, &[name]), Err(AccountError::Pod { .. })), "{name}");
        }
        let other = review(account, &["triage-worker-0"], "https://kubernetes.default.svc");
        assert!(matches!(Pod::of(&other), Err(AccountError::Audience)));
        let mut refused = review(account, &["triage-worker-0"], AUDIENCE);
        refused.status.as_mut().unwrap().authenticated = None;
        assert!(matches!(Pod::of(&refused), Err(AccountError::Token { .. })));
        assert!(matches!(Pod::of(&TokenReview::default()), Err(AccountError::Token { .. })));
    }
}
