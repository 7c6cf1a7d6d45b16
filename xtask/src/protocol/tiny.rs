//! Small `.proto` files that tests compile.

use super::breaks;
use prost_types::FileDescriptorSet;
use protox::file::{File, FileResolver};

const NAME: &str = "superstep/v1/a.proto";

/// The only file that there is.
struct Only(String);

impl FileResolver for Only {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        if name == NAME { File::from_source(name, &self.0) } else { Err(protox::Error::file_not_found(name)) }
    }
}

/// A whole file, of what it declares.
pub(super) fn file(declarations: &str) -> String {
    format!("// A file.\nsyntax = \"proto3\";\npackage superstep.v1;\n{declarations}")
}

/// Compiles a whole file, with source info.
pub(super) fn compiled(text: &str) -> FileDescriptorSet {
    let mut compiler = protox::Compiler::with_file_resolver(Only(text.to_owned()));
    compiler.include_source_info(true).open_file(NAME).unwrap();
    compiler.file_descriptor_set()
}

/// What breaks when these declarations become those.
pub(super) fn broken(old: &str, new: &str) -> Vec<String> {
    let breaks = breaks::between(&compiled(&file(old)), &compiled(&file(new)));
    breaks.iter().map(ToString::to_string).collect()
}
