//! Templates of prompts: minijinja, compiled once.
//!
//! A template reads the same roots as an expression, lazily. What is undefined is an error, `from.X`
//! is none until X has sent, lists and objects print as JSON, and nothing is escaped. There is no
//! clock and no randomness. A rendering takes at most a million instructions; the length of its text
//! is not bounded.

mod names;
mod reading;

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, Serde, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, State, UndefinedBehavior, escape_formatter};
use superstep_engine::{Failure, Payload, View};
use superstep_graph::VertexName;

use crate::roots::{CompileError, NO_ELEMENT, Position, Reference, no_single_message};

/// The longest text of a template, in bytes.
pub const MAX_TEMPLATE: usize = 256 * 1024;

/// The longest text between `{{` and `}}` or `{%` and `%}`, in bytes: what compiles it goes as deep as its chain of
/// operators is long.
pub(crate) const MAX_TAG: usize = 4 * 1024;

const INSTRUCTIONS: u64 = 1_000_000;
const NAME: &str = "template";

/// A compiled template.
#[derive(Clone, Debug)]
pub struct Template {
    environment: Arc<Environment<'static>>,
    references: Arc<[Reference]>,
}

impl Template {
    /// Compiles `source`.
    ///
    /// # Errors
    /// The source is too long, does not parse, or names a root that there is not.
    pub fn compile(source: &str) -> Result<Self, CompileError> {
        Self::compile_all(source).map_err(CompileError::first)
    }

    /// As [`compile`](Self::compile), with every name that is not known.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); at least one.
    pub(crate) fn compile_all(source: &str) -> Result<Self, Vec<CompileError>> {
        if source.len() > MAX_TEMPLATE {
            let message = format!("the template has {} bytes; {MAX_TEMPLATE} are allowed", source.len());
            return Err(vec![CompileError::new(Position { line: 1, column: 1 }, message)]);
        }
        if let Some(start) = long_tag(source) {
            let position = Position::of_char(source, source[..start].chars().count());
            let message = format!("what stands between two braces has more than {MAX_TAG} bytes");
            return Err(vec![CompileError::new(position, message)]);
        }
        let mut environment = environment();
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| vec![parse_error(source, &error)])?;
        let references = reading::references(source, &environment)?;
        Ok(Self { environment: Arc::new(environment), references: references.into() })
    }

    /// The paths that it reads.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The text for what an activation sees.
    ///
    /// # Errors
    /// Something undefined is read or an operation does not apply: a permanent failure that names
    /// the line.
    pub(crate) fn render(&self, view: &View) -> Result<String, Failure> {
        let roots = Value::from_object(Roots { view: view.clone() });
        let template = self.environment.get_template(NAME);
        template.and_then(|template| template.render(roots)).map_err(|error| failure(&error))
    }
}

/// Where a tag begins that is longer than [`MAX_TAG`], if one is. A brace within a text of a tag may end it
/// early here, which only lets it be a little longer.
fn long_tag(source: &str) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut begun = None;
    for at in 0..bytes.len().saturating_sub(1) {
        match (&bytes[at..at + 2], begun) {
            (b"{{" | b"{%", None) => begun = Some(at),
            (b"}}" | b"%}", Some(_)) => begun = None,
            (_, Some(start)) if at - start > MAX_TAG => return begun,
            (_, Some(_) | None) => {}
        }
    }
    None
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(INSTRUCTIONS));
    environment.set_formatter(print);
    environment.add_filter("tojson", json);
    // It would show the names of everything in scope, and nothing that a prompt needs.
    environment.remove_global("debug");
    environment
}

fn print(out: &mut minijinja::Output<'_>, state: &mut State<'_, '_>, value: &Value) -> Result<(), Error> {
    let kind = value.kind();
    if matches!(kind, ValueKind::Seq | ValueKind::Map | ValueKind::Iterable | ValueKind::Bool) {
        return Ok(out.write_str(&json(value.clone())?)?);
    }
    if kind == ValueKind::None {
        return Ok(out.write_str("null")?);
    }
    escape_formatter(out, state, value)
}

fn json(value: Value) -> Result<String, Error> {
    serde_json::to_string(&value).map_err(|error| {
        Error::new(ErrorKind::BadSerialization, "the value has no JSON form").with_source(error)
    })
}

fn parse_error(source: &str, error: &Error) -> CompileError {
    let position = match error.range() {
        Some(range) => {
            Position::of_char(source, source.get(..range.start).map_or(0, |before| before.chars().count()))
        }
        None => Position { line: error.line().unwrap_or(1), column: 1 },
    };
    CompileError::new(position, error.detail().map_or_else(|| error.kind().to_string(), str::to_owned))
}

/// Says what went wrong and where, and names what was undefined.
fn failure(error: &Error) -> Failure {
    let line = error.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let expression = error.range().and_then(|range| error.template_source()?.get(range));
    let mut text = match (error.kind(), error.detail(), expression) {
        (ErrorKind::UndefinedError, Some(detail), _) => detail.to_owned(),
        (ErrorKind::UndefinedError, None, Some(expression)) => {
            format!("`{}` is undefined", expression.trim())
        }
        (kind, Some(detail), Some(expression)) => format!("{kind} at `{}`: {detail}", expression.trim()),
        (kind, None, Some(expression)) => format!("{kind} at `{}`", expression.trim()),
        (kind, Some(detail), None) => format!("{kind}: {detail}"),
        (kind, None, None) => kind.to_string(),
    };
    if error.kind() == ErrorKind::OutOfFuel {
        text = format!("the rendering takes more than {INSTRUCTIONS} instructions");
    }
    Failure::permanent(format!("template, {line}{text}"))
}

#[derive(Debug)]
struct Roots {
    view: View,
}

impl Object for Roots {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let view = &self.view;
        Some(match key.as_str()? {
            "input" => value_of(&view.input),
            "parameters" => value_of(&view.parameters),
            "value" => value_of(&view.value),
            "superstep" => Value::from(view.superstep),
            "element" => match &view.element {
                Some(element) => value_of(element),
                None => misuse(NO_ELEMENT.to_owned()),
            },
            "message" => match view.messages.as_slice() {
                [message] => value_of(&message.payload),
                messages => misuse(no_single_message(messages.len())),
            },
            "messages" => view.messages.iter().map(message_value).collect(),
            "from" => Value::from_object(Senders { roots: Arc::clone(self) }),
            "aggregates" => Value::from_object(Aggregates { roots: Arc::clone(self) }),
            _ => return None,
        })
    }
}

/// A value that is an error as soon as something is done with it.
fn misuse(reason: String) -> Value {
    Value::from(Error::new(ErrorKind::InvalidOperation, reason))
}

fn value_of(payload: &Payload) -> Value {
    Value::from(Serde(payload.value()))
}

fn message_value(message: &superstep_engine::Received) -> Value {
    Value::from_pairs([
        ("from", Value::from(message.from.as_str())),
        ("port", Value::from(message.port.as_str())),
        ("payload", value_of(&message.payload)),
    ])
}

/// `from`: null for whom nothing came from.
#[derive(Debug)]
struct Senders {
    roots: Arc<Roots>,
}

impl Object for Senders {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let payload = self.roots.view.from(&VertexName::from(key.as_str()?));
        Some(payload.map_or_else(|| Value::from(()), value_of))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let last = self.roots.view.last_of_each();
        Enumerator::Values(last.into_keys().map(|name| Value::from(name.as_str())).collect())
    }
}

/// `aggregates`: null before the first contribution.
#[derive(Debug)]
struct Aggregates {
    roots: Arc<Roots>,
}

impl Aggregates {
    fn all(&self) -> &BTreeMap<VertexName, Payload> {
        &self.roots.view.aggregates
    }
}

impl Object for Aggregates {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let payload = self.all().get(&VertexName::from(key.as_str()?));
        Some(payload.map_or_else(|| Value::from(()), value_of))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.all().keys().map(|name| Value::from(name.as_str())).collect())
    }
}

#[cfg(test)]
mod tests;
