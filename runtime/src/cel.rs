//! CEL expressions: compiled once, evaluated over JSON.
//!
//! An expression is pure and ends: it has no clock and no randomness, maps are iterated in the order
//! of their keys, its text is at most 16 KiB, its operations are nested at most 250 deep, and all its loops together take at most a million
//! steps. What the value of one step may weigh is not bounded: an expression that doubles a text a
//! hundred times exhausts the memory.

mod analysis;
mod convert;
mod depth;
mod environment;
mod harden;
mod resolver;

use std::sync::Arc;
use std::thread;

use cel::common::ast::{IdedExpr, SourceInfo};
use cel::{Context, ExecutionError, Value as CelValue};
use serde_json::Value;
use superstep_engine::{Failure, Payload};

use crate::roots::{Bindings, CompileError, Position, Reference, Scope};
use resolver::Resolver;

/// The longest text of an expression, in bytes.
pub const MAX_EXPRESSION: usize = 16 * 1024;

/// How deeply the operations of an expression may be nested: evaluation and its threads' stacks set the limit.
pub(crate) const MAX_NESTING: usize = 250;

/// Several times what the parser needs for the longest expression.
const PARSER_STACK: usize = 16 << 20;

/// A compiled CEL expression.
#[derive(Clone, Debug)]
pub struct Expression {
    source: Arc<str>,
    ast: Arc<IdedExpr>,
    references: Arc<[Reference]>,
    /// The dotted paths that the expression reads, each once: what [`Resolver`] keeps converted.
    paths: Arc<[String]>,
}

impl Expression {
    /// Compiles `source` for `scope`.
    ///
    /// # Errors
    /// The source is too long, does not parse, or names a root or a function that there is not.
    pub fn compile(source: &str, scope: Scope) -> Result<Self, CompileError> {
        Self::compile_all(source, scope).map_err(CompileError::first)
    }

    /// As [`compile`](Self::compile), with every name that is not known.
    ///
    /// # Errors
    /// As [`compile`](Self::compile); at least one.
    pub(crate) fn compile_all(source: &str, scope: Scope) -> Result<Self, Vec<CompileError>> {
        if source.len() > MAX_EXPRESSION {
            let message = format!("the expression has {} bytes; {MAX_EXPRESSION} are allowed", source.len());
            return Err(vec![CompileError::new(Position { line: 1, column: 1 }, message)]);
        }
        let (mut ast, info) = parse(source).map_err(|error| vec![error])?;
        harden::harden(&mut ast);
        let analysis = analysis::analyse(&ast, source, &info);
        let unknown = analysis.unknown(scope);
        if !unknown.is_empty() {
            return Err(unknown);
        }
        let mut paths: Vec<String> =
            analysis.references.iter().map(|reference| reference.path.join(".")).collect();
        paths.sort_unstable();
        paths.dedup();
        Ok(Self {
            source: source.into(),
            ast: Arc::new(ast),
            references: analysis.references.into(),
            paths: paths.into(),
        })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The paths that it reads.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// The value for `bindings`. Only what the expression reads is converted.
    ///
    /// # Errors
    /// It has no value: a permanent failure that names the expression and never shows a payload.
    pub(crate) fn evaluate(&self, bindings: Bindings<'_>) -> Result<Payload, Failure> {
        self.run(bindings).map(Payload::from)
    }

    /// As [`evaluate`](Self::evaluate), for expressions that are conditions.
    pub(crate) fn evaluate_bool(&self, bindings: Bindings<'_>) -> Result<bool, Failure> {
        match self.run(bindings)? {
            Value::Bool(value) => Ok(value),
            other @ (Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_)
            | Value::Object(_)) => {
                Err(self.failure(&format!("a condition is true or false, this is {}", kind(&other))))
            }
        }
    }

    fn run(&self, bindings: Bindings<'_>) -> Result<Value, Failure> {
        let resolver = Resolver::new(bindings, &self.paths);
        let mut context = Context::with_env(Arc::clone(environment::get()));
        context.set_variable_resolver(&resolver);
        let outcome = CelValue::resolve_val(&self.ast, &context);
        if resolver.is_exhausted() {
            return Err(self.failure("its loops take more than a million steps"));
        }
        match outcome {
            Ok(value) => convert::to_json(value.as_ref()).map_err(|reason| self.failure(&reason)),
            Err(error) => Err(self.failure(&explain(&error, resolver.reason()))),
        }
    }

    fn failure(&self, reason: &str) -> Failure {
        let mut shown: String = self.source.chars().take(80).collect();
        if shown.len() < self.source.len() {
            shown.push('…');
        }
        Failure::permanent(format!("expression `{shown}`: {reason}"))
    }
}

/// Parses an expression whose operations are not nested too deeply. The parser goes as deep as a chain of
/// operators is long, so a long text gets a stack that the longest one fits.
fn parse(source: &str) -> Result<(IdedExpr, SourceInfo), CompileError> {
    if source.len() <= MAX_EXPRESSION / 16 {
        return parse_here(source);
    }
    let refused = |why: String| CompileError::new(Position { line: 1, column: 1 }, why);
    thread::scope(|scope| {
        let parser = thread::Builder::new().stack_size(PARSER_STACK);
        let parsing = parser.spawn_scoped(scope, || parse_here(source));
        let parsing = parsing.map_err(|error| refused(format!("no thread to parse it: {error}")))?;
        parsing.join().unwrap_or_else(|_| Err(refused("its parser panicked".to_owned())))
    })
}

fn parse_here(source: &str) -> Result<(IdedExpr, SourceInfo), CompileError> {
    let (ast, info) = environment::get().parser().parse_with_source_info(source).map_err(parse_error)?;
    if depth::exceeds(&ast, MAX_NESTING) {
        let message = format!(
            "the expression is nested too deeply: {MAX_NESTING} levels are allowed, and each operator of a chain \
             such as a + b + c is one"
        );
        return Err(CompileError::new(Position { line: 1, column: 1 }, message));
    }
    Ok((ast, info))
}

/// The kind of a JSON value, with its article.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn parse_error(errors: cel::ParseErrors) -> CompileError {
    let Some(error) = errors.errors.into_iter().next() else {
        return CompileError::new(Position { line: 1, column: 1 }, "the expression does not parse");
    };
    let place = |number: isize| usize::try_from(number).unwrap_or(1).max(1);
    let position = Position { line: place(error.pos.0), column: place(error.pos.1) };
    CompileError::new(position, error.msg.trim().to_owned())
}

/// Says what went wrong without showing a value: a value may be long or confidential, and the debug
/// form of a map has no fixed order.
#[expect(clippy::wildcard_enum_match_arm, reason = "the enum is open: what is not named here shows no value")]
fn explain(error: &ExecutionError, reason: Option<&str>) -> String {
    let text = match error {
        ExecutionError::UndeclaredReference(_) if reason.is_some() => String::new(),
        ExecutionError::NoSuchKey(name) => format!("there is no field {name:?}"),
        ExecutionError::UnsupportedTargetType { target } => {
            format!("it does not apply to {}", target.type_of())
        }
        ExecutionError::NotSupportedAsMethod { method, target } => {
            format!("{method:?} is no function of {}", target.type_of())
        }
        ExecutionError::UnsupportedKeyType(key) => format!("{} is no key of a map", key.type_of()),
        ExecutionError::ValuesNotComparable(left, right) => {
            format!("{} does not compare with {}", left.type_of(), right.type_of())
        }
        ExecutionError::UnsupportedBinaryOperator(operator, left, right) => {
            format!("{operator} does not apply to {} and {}", left.type_of(), right.type_of())
        }
        ExecutionError::UnsupportedIndex(index, value) => {
            format!("{} is no index of {}", index.type_of(), value.type_of())
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "division by zero".to_owned()
        }
        ExecutionError::Overflow(operator, _, _) => format!("{operator} leaves the range of its numbers"),
        ExecutionError::IndexOutOfBounds(_) => "the index is out of bounds".to_owned(),
        ExecutionError::DuplicateKey(_) => "a map names a key twice".to_owned(),
        ExecutionError::NoSuchOverload(overload) => {
            format!(
                "{} does not apply to ({})",
                operator(overload.function()),
                overload.argument_types().join(", ")
            )
        }
        ExecutionError::UndeclaredReference(name) => format!("there is no {name:?}"),
        other => other.to_string(),
    };
    match reason {
        Some(reason) if text.is_empty() => reason.to_owned(),
        Some(reason) => format!("{text} ({reason})"),
        None => text,
    }
}

/// An operator as it is written.
fn operator(function: &str) -> String {
    match function {
        "_._" => "reading a field".to_owned(),
        "_[_]" => "[]".to_owned(),
        _ => function.trim_matches('_').trim_matches('@').to_owned(),
    }
}

#[cfg(test)]
mod tests;
