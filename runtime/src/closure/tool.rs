//! A closure as a tool.

use std::fmt;
use std::sync::Arc;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use superstep_engine::{Failure, Payload};

use super::{Callable, Called, Checked, ClosureError};
use crate::programs::Programs;
use crate::tool::{Tool, ToolRequest, ToolSignature};

/// A closure that models and vertices call as a tool. An error that it gives back is a permanent failure
/// with its text, which a model is told.
///
/// ```
/// use superstep_runtime::{ClosureTool, Json, Tool};
///
/// /// Tells the weather of a city.
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct City {
///     /// Its name, in English.
///     city: String,
/// }
///
/// #[derive(serde::Serialize)]
/// struct Weather {
///     celsius: f64,
/// }
///
/// let tool = ClosureTool::new("get_weather", |asked: City| async move {
///     Json(Weather { celsius: asked.city.len() as f64 })
/// })?;
/// assert_eq!(tool.signature().description, "Tells the weather of a city.");
/// # Ok::<(), superstep_runtime::ClosureError>(())
/// ```
pub struct ClosureTool {
    signature: ToolSignature,
    is_idempotent: bool,
    closure: Arc<Checked>,
}

impl ClosureTool {
    /// Makes a tool that models see under `name`.
    ///
    /// # Errors
    /// The parameter of the closure is no struct with named fields, or its schema cannot be used.
    pub fn new<M, C: Callable<M>>(name: impl Into<String>, closure: C) -> Result<Self, ClosureError> {
        let name = name.into();
        let closure = Checked::new(&name, closure)?;
        let signature = ToolSignature {
            name,
            description: closure.description.clone(),
            parameters: Arc::clone(closure.schema.value()),
        };
        Ok(Self { signature, is_idempotent: false, closure: Arc::new(closure) })
    }

    /// The same tool, of which a repeated call does no more than one: a call that was in flight at a crash
    /// is made again without asking a person.
    #[must_use]
    pub fn idempotent(self) -> Self {
        Self { is_idempotent: true, ..self }
    }
}

impl Programs {
    /// Registers a closure as the tool that graphs and models call `name`: see [`ClosureTool`]. The graph
    /// names it in its `tools` as `{name: …, custom: {name: …}}`, with this name in both places. A later one
    /// of that name replaces it.
    ///
    /// # Errors
    /// The parameter of the closure is no struct with named fields, or its schema cannot be used.
    pub fn register_tool_closure<M, C: Callable<M>>(
        &mut self,
        name: impl Into<String>,
        closure: C,
    ) -> Result<(), ClosureError> {
        let tool = ClosureTool::new(name, closure)?;
        let name = tool.signature.name.clone();
        self.register_tool(name, Arc::new(tool)).expect("its schema was compiled before");
        Ok(())
    }
}

impl Tool for ClosureTool {
    fn signature(&self) -> &ToolSignature {
        &self.signature
    }

    fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    fn call(&self, request: ToolRequest) -> BoxFuture<'static, Result<Payload, Failure>> {
        let (closure, name) = (Arc::clone(&self.closure), self.signature.name.clone());
        async move {
            let answer = match closure.call(request.arguments) {
                Ok(Called::Now(answer)) => answer,
                Ok(Called::Later(answer)) => answer.await,
                Err(why) => Err(format!("its arguments do not fit: {why}")),
            };
            answer.map_err(|message| Failure::permanent(format!("tool {name:?}: {message}")))
        }
        .boxed()
    }
}

impl fmt::Debug for ClosureTool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClosureTool").field("signature", &self.signature).finish_non_exhaustive()
    }
}
