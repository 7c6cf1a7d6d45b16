//! Schemas of the fields that the wide shape holds.

use std::sync::Arc;

use serde_json::json;
use superstep_engine::{Failure, Outcome, Payload, ProgramResult, View};
use superstep_runtime::{Activation, Execution, Program, Programs, Schema};

use super::Vertex;

/// What a field may hold.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// A list of objects.
    Objects,
    /// An object, or null.
    Object,
    Text,
}

/// A vertex of the wide shape: what comes to it, and the fields of its value in their order.
pub(super) struct Holder {
    pub(super) vertex: &'static str,
    pub(super) takes: Kind,
    pub(super) fields: &'static [(&'static str, Kind)],
}

/// The schemas, compiled once.
pub(super) struct Schemas {
    object: Schema,
    text: Schema,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let compile = |schema| Schema::compile(&schema).expect("it is a schema");
        Self {
            object: compile(json!({"type": ["object", "null"]})),
            text: compile(json!({"type": "string"})),
        }
    }

    /// Checks everything that an activation of `holder` reads: all that came, and all that it holds.
    fn check(&self, holder: &Holder, view: &View) -> Result<(), String> {
        if view.messages.is_empty() {
            self.field("input", holder.takes, &view.input)?;
        }
        let came = view.messages.iter().chain(&view.kept).map(|message| &message.payload);
        // What comes only to say that it is time holds nothing.
        came.filter(|payload| !payload.is_null())
            .try_for_each(|payload| self.field("message", holder.takes, payload))?;
        let held = if view.value.is_null() { None } else { view.value.items() };
        let mut fields = holder.fields.iter().zip(held.iter().flat_map(|held| held.iter()));
        fields.try_for_each(|((name, kind), payload)| self.field(name, *kind, payload))
    }

    /// The items of a list are checked one by one, for as one value they would be copied.
    fn field(&self, name: &str, kind: Kind, payload: &Payload) -> Result<(), String> {
        let checked = match kind {
            Kind::Objects => payload.items().map_or_else(
                || Err("it is no list".to_owned()),
                |items| items.iter().try_for_each(|item| self.object.check(item.value())),
            ),
            Kind::Object => self.object.check(payload.value()),
            Kind::Text => self.text.check(payload.value()),
        };
        checked.map_err(|why| format!("{name}: {why}"))
    }
}

/// A vertex that fails where what it reads does not fit.
struct Checked<F> {
    holder: &'static Holder,
    schemas: Arc<Schemas>,
    vertex: Vertex<F>,
}

impl<F> Program for Checked<F>
where
    F: Fn(&View) -> ProgramResult + Send + Sync,
{
    fn start(&self, activation: Activation) -> Execution {
        match self.schemas.check(self.holder, &activation.view) {
            Ok(()) => self.vertex.start(activation),
            Err(why) => Execution::Ready(Outcome::Failed(Failure::permanent(why))),
        }
    }
}

/// Registers the program of `holder`, which checks what it reads where there are `schemas`.
pub(super) fn register<F>(
    programs: &mut Programs,
    holder: &'static Holder,
    schemas: Option<&Arc<Schemas>>,
    program: F,
) where
    F: Fn(&View) -> ProgramResult + Send + Sync + 'static,
{
    let vertex = Vertex(program);
    let program: Arc<dyn Program> = match schemas {
        Some(schemas) => Arc::new(Checked { holder, schemas: Arc::clone(schemas), vertex }),
        None => Arc::new(vertex),
    };
    programs.register(holder.vertex, program);
}
