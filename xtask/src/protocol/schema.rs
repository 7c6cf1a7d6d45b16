//! What a descriptor set declares, by full name.

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet, ServiceDescriptorProto,
};
use std::collections::BTreeMap;

/// The declarations of a descriptor set, nested ones too.
#[derive(Default)]
pub(super) struct Schema<'a> {
    pub(super) packages: BTreeMap<String, ()>,
    pub(super) services: BTreeMap<String, &'a ServiceDescriptorProto>,
    /// Without those that stand for the entries of maps: a map is a kind of field.
    pub(super) messages: BTreeMap<String, &'a DescriptorProto>,
    pub(super) enums: BTreeMap<String, &'a EnumDescriptorProto>,
}

impl<'a> Schema<'a> {
    pub(super) fn new(set: &'a FileDescriptorSet) -> Self {
        let mut schema = Self::default();
        set.file.iter().for_each(|file| schema.add_file(file));
        schema
    }

    fn add_file(&mut self, file: &'a FileDescriptorProto) {
        let package = file.package();
        self.packages.insert(package.to_owned(), ());
        self.services.extend(file.service.iter().map(|service| (full(package, service.name()), service)));
        self.add_enums(package, &file.enum_type);
        file.message_type.iter().for_each(|message| self.add_message(package, message));
    }

    fn add_message(&mut self, scope: &str, message: &'a DescriptorProto) {
        if is_map_entry(message) {
            return;
        }
        let name = full(scope, message.name());
        self.add_enums(&name, &message.enum_type);
        message.nested_type.iter().for_each(|nested| self.add_message(&name, nested));
        self.messages.insert(name, message);
    }

    fn add_enums(&mut self, scope: &str, enums: &'a [EnumDescriptorProto]) {
        self.enums.extend(enums.iter().map(|found| (full(scope, found.name()), found)));
    }
}

/// Whether it stands for the entries of a map field.
pub(super) fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

/// The name of a member of a scope, which is a package or a declaration.
pub(super) fn full(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}
