//! What a vertex executes, once it is prepared.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::{ActivationId, Failure, Outcome, Payload, ProgramResult, Resumption, View};
use superstep_graph::{Port, VertexSpec};

use crate::calls::Calls;

/// Takes the pieces of a text as a model writes it.
pub type OnText = Arc<dyn Fn(&str) + Send + Sync>;

/// Is told which activation's model writes what.
pub type OnActivationText = Arc<dyn Fn(&ActivationId, &str) + Send + Sync>;

/// Who listens to the models of one activation. It costs next to nothing until one writes.
#[derive(Clone, Default)]
pub struct Listener(Option<(OnActivationText, ActivationId)>);

impl Listener {
    /// Tells `heard` what the models of `activation` write.
    pub fn new(heard: OnActivationText, activation: ActivationId) -> Self {
        Self(Some((heard, activation)))
    }

    /// The listener as a model takes it; none if nobody listens.
    pub fn on_text(self) -> Option<OnText> {
        let (heard, activation) = self.0?;
        Some(Arc::new(move |text| heard(&activation, text)))
    }
}

/// One attempt of one activation.
#[derive(Clone)]
pub struct Activation {
    /// What the program sees.
    pub view: View,
    /// The answer from outside, if the program was suspended.
    pub resumption: Option<Resumption>,
    /// The vertex, as it was when the activation started.
    pub vertex: Arc<VertexSpec>,
    /// The ports that edges of this vertex listen to.
    pub ports: Arc<[Port]>,
    /// The way to the outside.
    pub calls: Calls,
    /// Derived from the activation: equal whenever the run is repeated.
    pub seed: u64,
    /// Told the text of models while they write it.
    pub listener: Listener,
}

impl fmt::Debug for Activation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activation")
            .field("vertex", &self.vertex.name)
            .field("view", &self.view)
            .finish_non_exhaustive()
    }
}

/// What a vertex executes. One value serves all activations of a vertex, at the same time.
pub trait Program: Send + Sync {
    /// Begins one attempt. It does not block: what takes time is in the future it gives back, which
    /// may be dropped at any await.
    fn start(&self, activation: Activation) -> Execution;
}

/// A program that has begun.
pub enum Execution {
    /// It has ended already.
    Ready(Outcome),
    /// It goes on.
    Running(BoxFuture<'static, Outcome>),
}

impl Execution {
    /// An execution that has sent `payload` on the default port, or failed.
    pub fn of(result: Result<Payload, Failure>) -> Self {
        Self::Ready(outcome_of(result))
    }

    /// An execution that will send what `running` gives on the default port, or fail.
    pub(crate) fn running(running: impl Future<Output = Result<Payload, Failure>> + Send + 'static) -> Self {
        Self::Running(running.map(outcome_of).boxed())
    }

    /// How it ends.
    pub async fn outcome(self) -> Outcome {
        match self {
            Self::Ready(outcome) => outcome,
            Self::Running(future) => future.await,
        }
    }
}

fn outcome_of(result: Result<Payload, Failure>) -> Outcome {
    match result {
        Ok(payload) => Outcome::Done(ProgramResult::output(payload)),
        Err(failure) => Outcome::Failed(failure),
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ready(outcome) => f.debug_tuple("Ready").field(outcome).finish(),
            Self::Running(_) => f.write_str("Running"),
        }
    }
}

/// A function of what the activation sees.
pub(crate) struct Closure<F>(pub(crate) F);

impl<F: Fn(&View) -> Result<Payload, Failure> + Send + Sync> Program for Closure<F> {
    fn start(&self, activation: Activation) -> Execution {
        Execution::of((self.0)(&activation.view))
    }
}
