//! What a file declares, each with its place in the source info.

use super::super::schema::{full, is_map_entry};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, ServiceDescriptorProto};
use std::fmt;

/// A declaration that somebody wrote.
pub(super) struct Declaration {
    pub(super) noun: Noun,
    /// The full name of what it stands in.
    pub(super) scope: String,
    pub(super) name: String,
    /// As `SourceCodeInfo.Location.path` has it: numbers of fields, and indices in them, by turns.
    pub(super) path: Vec<i32>,
}

/// Kinds of declarations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noun {
    Message,
    Field,
    Oneof,
    Enum,
    Value,
    Service,
    Rpc,
}

/// A place in a file: what is declared there has this scope, and a path that begins so.
#[derive(Clone)]
struct Scope {
    name: String,
    path: Vec<i32>,
}

/// All declarations of a file.
pub(super) fn all(file: &FileDescriptorProto) -> Vec<Declaration> {
    let scope = Scope { name: file.package().to_owned(), path: Vec::new() };
    let mut found = Vec::new();
    for (message, index) in file.message_type.iter().zip(0..) {
        of_message(&scope, 4, index, message, &mut found);
    }
    for (declared, index) in file.enum_type.iter().zip(0..) {
        of_enum(&scope, 5, index, declared, &mut found);
    }
    for (service, index) in file.service.iter().zip(0..) {
        of_service(&scope, index, service, &mut found);
    }
    found
}

fn of_message(
    scope: &Scope,
    number: i32,
    index: i32,
    message: &DescriptorProto,
    found: &mut Vec<Declaration>,
) {
    if is_map_entry(message) {
        return;
    }
    let own = scope.inner(number, index, message.name());
    found.push(scope.declaration(Noun::Message, number, index, message.name()));
    for (field, index) in message.field.iter().zip(0..) {
        found.push(own.declaration(Noun::Field, 2, index, field.name()));
    }
    for (oneof, index) in message.oneof_decl.iter().zip(0..) {
        // Behind each `optional` field stands a oneof that nobody wrote.
        let unwritten = message.field.iter().any(|f| f.proto3_optional() && f.oneof_index == Some(index));
        if !unwritten {
            found.push(own.declaration(Noun::Oneof, 8, index, oneof.name()));
        }
    }
    for (nested, index) in message.nested_type.iter().zip(0..) {
        of_message(&own, 3, index, nested, found);
    }
    for (declared, index) in message.enum_type.iter().zip(0..) {
        of_enum(&own, 4, index, declared, found);
    }
}

fn of_enum(
    scope: &Scope,
    number: i32,
    index: i32,
    declared: &EnumDescriptorProto,
    found: &mut Vec<Declaration>,
) {
    let own = scope.inner(number, index, declared.name());
    found.push(scope.declaration(Noun::Enum, number, index, declared.name()));
    let values = declared.value.iter().zip(0..);
    found.extend(values.map(|(value, index)| own.declaration(Noun::Value, 2, index, value.name())));
}

fn of_service(scope: &Scope, index: i32, service: &ServiceDescriptorProto, found: &mut Vec<Declaration>) {
    let own = scope.inner(6, index, service.name());
    found.push(scope.declaration(Noun::Service, 6, index, service.name()));
    let calls = service.method.iter().zip(0..);
    found.extend(calls.map(|(call, index)| own.declaration(Noun::Rpc, 2, index, call.name())));
}

impl Scope {
    fn inner(&self, number: i32, index: i32, name: &str) -> Self {
        Self { name: full(&self.name, name), path: [&self.path[..], &[number, index]].concat() }
    }

    fn declaration(&self, noun: Noun, number: i32, index: i32, name: &str) -> Declaration {
        let path = [&self.path[..], &[number, index]].concat();
        Declaration { noun, scope: self.name.clone(), name: name.to_owned(), path }
    }
}

impl fmt::Display for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.noun, full(&self.scope, &self.name))
    }
}

impl fmt::Display for Noun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Message => "message",
            Self::Field => "field",
            Self::Oneof => "oneof",
            Self::Enum => "enum",
            Self::Value => "value",
            Self::Service => "service",
            Self::Rpc => "rpc",
        })
    }
}
