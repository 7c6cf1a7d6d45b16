//! Models of providers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use reqwest::Url;
use superstep_engine::Failure;
use superstep_graph::{CredentialRef, ExternalModel, Prices, Provider, VertexName};
use superstep_runtime::{
    EmbedRequest, Embedder, Embeddings, Model, ModelAnswer, ModelIdentity, ModelRequest, OnText,
};

use crate::breaker::{Breaker, First};
use crate::connection::{Bounds, Line, client, client_of_services, is_service};
use crate::credential::Credential;
use crate::dialect::Question;
use crate::draft::Draft;
use crate::fault::{Fault, FaultKind, Named, Scope};
use crate::patience::Patience;
use crate::provider::{home, well_known};

/// How long a request may take where the model does not say.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// Why a model of a provider cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Its credential is not there.
    #[error(
        "model {model:?} needs the environment variable {variable}, which is not set: its credentialRef is \
         {{name: {name}, key: {key}}}"
    )]
    NoCredential {
        /// The model, as the graph calls it.
        model: VertexName,
        /// The variable.
        variable: String,
        /// The secret that is meant.
        name: String,
        /// The key in it.
        key: String,
    },
    /// Its credential is no text that can be sent.
    #[error("the environment variable {variable} of model {model:?} has characters that no credential has")]
    BadCredential {
        /// The model, as the graph calls it.
        model: VertexName,
        /// The variable.
        variable: String,
    },
    /// Nothing can be sent to anybody.
    #[error("no connection can be made to providers: {0}")]
    Client(#[source] reqwest::Error),
}

/// Makes models of providers. Those that it makes share connections, and what was found out about an
/// account concerns all of its models.
pub struct Providers {
    client: reqwest::Client,
    /// Asks services of a cluster; none until there is one.
    of_services: Option<reqwest::Client>,
    accounts: BTreeMap<Account, Arc<Breaker>>,
    models: BTreeMap<(Account, String), Arc<Breaker>>,
}

/// Who pays, and where.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Account {
    base_url: String,
    credential: Option<CredentialRef>,
}

impl Providers {
    /// Makes nothing yet, and connects to nobody.
    ///
    /// # Errors
    /// The system's certificates cannot be read.
    pub fn new() -> Result<Self, ProviderError> {
        let client = client().map_err(ProviderError::Client)?;
        Ok(Self { client, of_services: None, accounts: BTreeMap::new(), models: BTreeMap::new() })
    }

    /// The model that the graph calls `name`. Its credential is what `variable` gives for the name of its
    /// environment variable. The document was checked by [`check_external`](superstep_graph::check_external).
    ///
    /// # Errors
    /// The credential is not there.
    pub fn model(
        &mut self,
        name: &VertexName,
        spec: &ExternalModel,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Arc<dyn Model>, ProviderError> {
        Ok(Arc::new(Shared(Arc::new(self.external(name, spec, variable)?))))
    }

    /// The same as a model that embeds. Whether the provider's model does is told by its first answer.
    ///
    /// # Errors
    /// The credential is not there.
    pub fn embedder(
        &mut self,
        name: &VertexName,
        spec: &ExternalModel,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Arc<dyn Embedder>, ProviderError> {
        Ok(Arc::new(Shared(Arc::new(self.external(name, spec, variable)?))))
    }

    fn external(
        &mut self,
        name: &VertexName,
        spec: &ExternalModel,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<External, ProviderError> {
        let credential = credential(name, spec, variable)?;
        let home = home(spec.provider);
        let base_url = spec.base_url.as_deref().unwrap_or(home.base_url).trim_end_matches('/').to_owned();
        let (header, prefix) = home.dialect.credential_header();
        let value = credential.as_ref().map(|credential| {
            let bad = |_| ProviderError::BadCredential {
                model: name.clone(),
                variable: credential.variable().to_owned(),
            };
            credential.header(prefix).map_err(bad)
        });
        let value = value.transpose()?;
        let client = self.client_for(&base_url)?;
        let account = Account { base_url: base_url.clone(), credential: spec.credential_ref.clone() };
        let of_model = self.models.entry((account.clone(), spec.model.clone())).or_default();
        Ok(External {
            label: format!("model {:?} ({:?} {})", name.as_str(), spec.provider, spec.model),
            model: spec.model.clone(),
            provider: spec.provider,
            credential,
            timeout: spec.timeout.map_or(TIMEOUT, superstep_graph::DurationSpec::duration),
            starts_within: spec.starts_within.map_or(Duration::ZERO, superstep_graph::DurationSpec::duration),
            prices: spec.prices.unwrap_or_default(),
            calls_tools: spec.calls_tools.unwrap_or(true),
            keeps_schemas: spec.keeps_schemas.unwrap_or(true),
            breakers: Breakers {
                model: Arc::clone(of_model),
                account: Arc::clone(self.accounts.entry(account).or_default()),
            },
            line: Line {
                client,
                base_url,
                dialect: home.dialect,
                credential: value.map(|value| (header, value)),
                bounds: Bounds::default(),
            },
        })
    }

    fn client_for(&mut self, base_url: &str) -> Result<reqwest::Client, ProviderError> {
        if !is_service(base_url) {
            return Ok(self.client.clone());
        }
        let client = match self.of_services.take() {
            Some(client) => client,
            None => client_of_services().map_err(ProviderError::Client)?,
        };
        Ok(self.of_services.insert(client).clone())
    }
}

impl fmt::Debug for Providers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Providers").finish_non_exhaustive()
    }
}

fn credential(
    model: &VertexName,
    spec: &ExternalModel,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Credential>, ProviderError> {
    let Some(reference) = &spec.credential_ref else { return Ok(None) };
    let found = Credential::find(reference, lookup).ok_or_else(|| ProviderError::NoCredential {
        model: model.clone(),
        variable: reference.variable(),
        name: reference.name.clone(),
        key: reference.key.clone(),
    });
    found.map(Some)
}

/// What is remembered about an account and one of its models.
struct Breakers {
    account: Arc<Breaker>,
    model: Arc<Breaker>,
}

/// A model of a provider.
struct External {
    /// Names it in messages.
    label: String,
    /// As the provider knows it.
    model: String,
    provider: Provider,
    credential: Option<Credential>,
    /// The longest that one request may take.
    timeout: Duration,
    /// How long a server is waited for that nobody answers at.
    starts_within: Duration,
    prices: Prices,
    calls_tools: bool,
    keeps_schemas: bool,
    breakers: Breakers,
    line: Line,
}

struct Shared(Arc<External>);

impl Model for Shared {
    fn calls_tools(&self) -> bool {
        self.0.calls_tools
    }

    fn identity(&self) -> Option<ModelIdentity> {
        let server = Url::parse(&self.0.line.base_url).ok();
        let server = server.and_then(|url| Some((url.host_str()?.to_owned(), url.port_or_known_default()?)));
        let provider = well_known(self.0.provider).into();
        Some(ModelIdentity { provider, model: self.0.model.clone(), server })
    }

    fn prices(&self) -> Prices {
        self.0.prices
    }

    fn generate(
        &self,
        request: ModelRequest,
        on_text: Option<OnText>,
    ) -> BoxFuture<'static, Result<ModelAnswer, Failure>> {
        let external = Arc::clone(&self.0);
        async move { external.generate(&request, on_text).await }.boxed()
    }
}

impl Embedder for Shared {
    fn identity(&self) -> Option<ModelIdentity> {
        Model::identity(self)
    }

    fn prices(&self) -> Prices {
        self.0.prices
    }

    fn embed(&self, request: EmbedRequest) -> BoxFuture<'static, Result<Embeddings, Failure>> {
        let external = Arc::clone(&self.0);
        async move { external.vectors(&request).await.map_err(|fault| external.failure(fault)) }.boxed()
    }
}

impl External {
    async fn vectors(&self, request: &EmbedRequest) -> Result<Embeddings, Fault> {
        let _first = self.admitted().await?;
        let mut patience = Patience::new(self.starts_within, Instant::now());
        let answer = loop {
            let wire = self.line.dialect.write_embeddings(&self.model, request)?;
            let answer = match tokio::time::timeout(self.timeout, self.line.whole(wire)).await {
                Ok(answer) => answer,
                Err(_) => Err(self.too_late()),
            };
            match answer.as_ref().err().and_then(|fault| patience.again(fault, Instant::now())) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break answer,
            }
        };
        let vectors = answer.and_then(|answer| self.line.dialect.read_embeddings(&answer, request));
        self.ended(vectors.as_ref().err());
        vectors
    }

    async fn generate(
        &self,
        request: &ModelRequest,
        on_text: Option<OnText>,
    ) -> Result<ModelAnswer, Failure> {
        let answer = self.ask(request, on_text).await;
        match answer {
            Ok(answer) => {
                let usage = answer.usage;
                tracing::debug!(
                    vertex = %request.vertex, model = %self.label, prompt_tokens = usage.prompt_tokens,
                    completion_tokens = usage.completion_tokens, cached_tokens = answer.parts.cached,
                    reasoning_tokens = answer.parts.reasoning, "a provider has answered"
                );
                Ok(answer)
            }
            Err(fault) => Err(self.failure(fault)),
        }
    }

    /// Waits until the provider takes requests again.
    ///
    /// # Errors
    /// Requests are known to fail.
    async fn wait(&self) -> Result<(), Fault> {
        loop {
            let now = Instant::now();
            let Breakers { account, model } = &self.breakers;
            if let Some(fault) = account.fault(now).or_else(|| model.fault(now)) {
                return Err(fault);
            }
            let pause = model.pause(now);
            if pause.is_zero() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask(&self, request: &ModelRequest, on_text: Option<OnText>) -> Result<ModelAnswer, Fault> {
        let _first = self.admitted().await?;
        let stream = on_text.is_some();
        let question = Question { request, model: &self.model, stream, keeps_schemas: self.keeps_schemas };
        let mut draft = Draft::new(on_text);
        let mut patience = Patience::new(self.starts_within, Instant::now());
        let ended = loop {
            let wire = self.line.dialect.write(&question)?;
            let exchange = self.line.exchange(wire, stream, &mut draft);
            let exchange = tokio::time::timeout(self.timeout, exchange).await;
            let ended = match exchange {
                Ok(ended) => ended,
                Err(_) if draft.finish.is_some() => Ok(()),
                Err(_) => Err(self.too_late()),
            };
            match ended.as_ref().err().and_then(|fault| patience.again(fault, Instant::now())) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => break ended,
            }
        };
        let answer = ended.and_then(|()| draft.answer(request));
        self.ended(answer.as_ref().err());
        answer
    }

    /// Waits until a request may be sent. What it gives is held until the request has ended.
    ///
    /// # Errors
    /// Requests are known to fail.
    async fn admitted(&self) -> Result<Option<First<'_>>, Fault> {
        self.wait().await?;
        let first = self.breakers.model.follow().await;
        if first.is_none() {
            self.wait().await?;
        }
        Ok(first)
    }

    fn too_late(&self) -> Fault {
        Fault::new(FaultKind::Timeout, format!("timeout {} s", self.timeout.as_secs_f32()))
    }

    /// Takes note of how a request ended.
    fn ended(&self, fault: Option<&Fault>) {
        if let Some(fault) = fault {
            self.remember(fault);
        }
        self.breakers.model.ended();
    }

    /// Lets later requests know.
    fn remember(&self, fault: &Fault) {
        let now = Instant::now();
        match fault.kind.scope() {
            Scope::Account => self.breakers.account.trip(fault, now),
            Scope::Model => self.breakers.model.trip(fault, now),
            Scope::Request => {
                if let Some(pause) = fault.wait {
                    self.breakers.model.hold(pause, now);
                }
            }
        }
    }

    fn failure(&self, fault: Fault) -> Failure {
        let detail = match &self.credential {
            Some(credential) => credential.redact(&fault.detail),
            None => fault.detail.clone(),
        };
        let named = Named {
            label: &self.label,
            base_url: &self.line.base_url,
            variable: self.credential.as_ref().map(Credential::variable),
        };
        Fault { detail, ..fault }.failure(&named)
    }
}

#[cfg(test)]
mod tests;
