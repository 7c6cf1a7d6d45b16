//! Rust closures as tools and as programs of vertices.

mod answer;
mod program;
mod tool;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;
use superstep_engine::Payload;

use crate::schema::{Schema, SchemaError};

pub use answer::{IntoAnswer, Json};
pub use program::ClosureProgram;
pub use tool::ClosureTool;

/// A closure with one parameter, a struct, that gives back an [`IntoAnswer`] or a future of one.
///
/// It is implemented for every such closure and function; `Marker` tells the two apart and is never
/// written. The parameter derives `serde::Deserialize` and `schemars::JsonSchema`: its schema is what the
/// argument is checked against, and what a model is shown. The doc comment of the struct is the
/// description of the tool, those of its fields describe the arguments.
///
/// A closure that is no future is called on the thread that drives the run, so it must not block.
#[diagnostic::on_unimplemented(
    message = "this is no closure for a tool or a vertex",
    note = "it takes one parameter, a struct with `#[derive(serde::Deserialize, schemars::JsonSchema)]`, by value",
    note = "it gives back a JSON value, `Json(…)` around what derives `Serialize`, or a `Result` of what derives `Serialize` and an error; or a `Send` future of one"
)]
pub trait Callable<Marker>: Send + Sync + 'static {
    /// Its parameter.
    type Argument: DeserializeOwned + JsonSchema;

    /// Calls it.
    fn call(&self, argument: Self::Argument) -> Called;
}

/// What a closure gave back.
pub enum Called {
    /// The answer, or the message of its error.
    Now(Result<Payload, String>),
    /// A future of it.
    Later(BoxFuture<'static, Result<Payload, String>>),
}

impl<C, A, T> Callable<fn(A) -> T> for C
where
    C: Fn(A) -> T + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema,
    T: IntoAnswer,
{
    type Argument = A;

    fn call(&self, argument: A) -> Called {
        Called::Now(self(argument).into_answer())
    }
}

/// Marks closures that give a future.
#[derive(Debug)]
pub struct Asynchronous;

impl<C, A, F> Callable<(Asynchronous, fn(A) -> F)> for C
where
    C: Fn(A) -> F + Send + Sync + 'static,
    A: DeserializeOwned + JsonSchema,
    F: Future<Output: IntoAnswer> + Send + 'static,
{
    type Argument = A;

    fn call(&self, argument: A) -> Called {
        Called::Later(self(argument).map(IntoAnswer::into_answer).boxed())
    }
}

/// Why a closure cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClosureError {
    /// Its parameter is not written as an object.
    #[error("the parameter of {name:?} is no struct with named fields")]
    NoObject {
        /// The name that the closure was to get.
        name: String,
    },
    /// The schema of its parameter cannot be used.
    #[error("the parameter of {name:?}: {source}")]
    Schema {
        /// The name that the closure was to get.
        name: String,
        /// Why.
        source: SchemaError,
    },
}

/// A closure whose argument is checked.
struct Checked {
    schema: Schema,
    description: String,
    call: Box<dyn Fn(Value) -> Result<Called, String> + Send + Sync>,
}

impl Checked {
    fn new<M, C: Callable<M>>(name: &str, closure: C) -> Result<Self, ClosureError> {
        let schema = schemars::SchemaGenerator::default().into_root_schema_for::<C::Argument>();
        let mut schema = schema.to_value();
        if schema["type"] != "object" {
            return Err(ClosureError::NoObject { name: name.to_owned() });
        }
        let description = take_description(&mut schema);
        let schema = Schema::compile(&schema)
            .map_err(|source| ClosureError::Schema { name: name.to_owned(), source })?;
        let call = move |argument: Value| {
            let argument = serde_json::from_value(argument).map_err(|error| error.to_string())?;
            Ok(closure.call(argument))
        };
        Ok(Self { schema, description, call: Box::new(call) })
    }

    /// Calls it, or says why the argument does not fit.
    fn call(&self, argument: Value) -> Result<Called, String> {
        self.schema.check(&argument)?;
        (self.call)(argument)
    }
}

/// Takes what is not about the argument out of its schema, and gives the description.
fn take_description(schema: &mut Value) -> String {
    let Some(schema) = schema.as_object_mut() else { return String::new() };
    schema.remove("$schema");
    schema.remove("title");
    match schema.remove("description") {
        Some(Value::String(description)) => description,
        Some(_) | None => String::new(),
    }
}

#[cfg(test)]
mod tests;
