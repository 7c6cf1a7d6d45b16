//! The service that signs certificates of workers.

use std::sync::Arc;
use std::time::Duration;

use superstep_proto::v1;
use superstep_proto::v1::certificates_server::Certificates;
use superstep_transport::IssueError;
use tokio::sync::{Semaphore, watch};
use tonic::{Request, Response, Status};

use super::accounts::{AccountError, Accounts};
use super::root::Root;
use crate::control::chain;

/// How many tokens the API server is asked about at once: anybody can send one.
const REVIEWS: usize = 16;

/// Signs for whom a token says who it is.
pub(super) struct Signer {
    root: watch::Receiver<Option<Arc<Root>>>,
    accounts: Arc<dyn Accounts>,
    reviews: Semaphore,
    life: Duration,
}

/// Why nothing is signed.
#[derive(Debug, thiserror::Error)]
enum SignError {
    #[error("the authority is not known yet")]
    NoRoot,
    #[error("the worker cannot be known")]
    Account(#[from] AccountError),
    #[error("what is to be signed cannot be")]
    Issue(#[from] IssueError),
}

impl Signer {
    pub(super) fn new(
        root: watch::Receiver<Option<Arc<Root>>>,
        accounts: Arc<dyn Accounts>,
        life: Duration,
    ) -> Self {
        Self { root, accounts, reviews: Semaphore::new(REVIEWS), life }
    }

    async fn sign_for(&self, asked: &v1::SignRequest) -> Result<v1::SignResponse, SignError> {
        let root = self.root.borrow().clone().ok_or(SignError::NoRoot)?;
        let identity = {
            let _turn = self.reviews.acquire().await.expect("it is never closed");
            self.accounts.whose(&asked.token).await?
        };
        let signed = root.sign(&asked.request, &identity, self.life)?;
        tracing::info!(%identity, "a certificate is signed");
        let authorities = root.trusted().to_string();
        Ok(v1::SignResponse { chain: signed.chain, authorities, ends_at: signed.ends_at })
    }
}

#[tonic::async_trait]
impl Certificates for Signer {
    async fn sign(&self, request: Request<v1::SignRequest>) -> Result<Response<v1::SignResponse>, Status> {
        match self.sign_for(request.get_ref()).await {
            Ok(signed) => Ok(Response::new(signed)),
            Err(error) => {
                let why = chain(&error);
                tracing::warn!(why, "a certificate is not signed");
                Err(status_of(&error, why))
            }
        }
    }
}

fn status_of(error: &SignError, why: String) -> Status {
    match error {
        SignError::NoRoot | SignError::Account(AccountError::Cluster(_) | AccountError::Silent) => {
            Status::unavailable(why)
        }
        SignError::Account(AccountError::Token { .. } | AccountError::Audience) => {
            Status::unauthenticated(why)
        }
        SignError::Account(
            AccountError::Account { .. }
            | AccountError::NoPod { .. }
            | AccountError::Pod { .. }
            | AccountError::Graph { .. }
            | AccountError::Name(_),
        ) => Status::permission_denied(why),
        SignError::Issue(_) => Status::invalid_argument(why),
    }
}
