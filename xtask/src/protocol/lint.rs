//! How the `.proto` files are written: every declaration says what it is, in names of one style.

mod declaration;
mod style;

use crate::tidy::Violation;
use declaration::{Declaration, Noun};
use prost_types::source_code_info::Location;
use prost_types::{FileDescriptorProto, FileDescriptorSet};
use std::path::Path;

const PACKAGE: &str = "superstep.v1";
const SYNTAX: &str = "proto3";

/// Field numbers of `FileDescriptorProto`, which are the paths of their statements in source info.
const PACKAGE_PATH: [i32; 1] = [2];
const SYNTAX_PATH: [i32; 1] = [12];

/// A file with its places; violations name it relative to the root.
struct Source<'a> {
    path: &'a Path,
    file: &'a FileDescriptorProto,
}

/// Checks files that were compiled with source info, which lie in this folder.
pub(super) fn check(set: &FileDescriptorSet, folder: &Path) -> Vec<Violation> {
    set.file.iter().flat_map(|file| Source { path: &folder.join(file.name()), file }.check()).collect()
}

impl Source<'_> {
    fn check(&self) -> Vec<Violation> {
        let mut violations = self.check_file();
        for declaration in declaration::all(self.file) {
            violations.extend(self.check_comment(&declaration));
            let name = style::check(&declaration);
            violations.extend(name.map(|what| self.violation(&declaration.path, "name", what)));
        }
        violations.sort();
        violations
    }

    fn check_file(&self) -> Vec<Violation> {
        let mut violations = Vec::new();
        if self.file.syntax() != SYNTAX {
            violations.push(self.violation(&SYNTAX_PATH, "syntax", format!("is not `{SYNTAX}`")));
        }
        if self.file.package() != PACKAGE {
            let what = format!("is `{}`, not `{PACKAGE}`", self.file.package());
            violations.push(self.violation(&PACKAGE_PATH, "package", what));
        }
        if Path::new(self.file.name()).parent() != Some(Path::new(&PACKAGE.replace('.', "/"))) {
            let what = format!("does not lie in the folder of `{PACKAGE}`");
            violations.push(self.violation(&PACKAGE_PATH, "package", what));
        }
        if !self.is_commented(&SYNTAX_PATH) {
            violations.push(self.violation(&SYNTAX_PATH, "comment", "the file does not say what it is"));
        }
        violations
    }

    fn check_comment(&self, declaration: &Declaration) -> Option<Violation> {
        // What can be said of a oneof is said of its fields.
        let wanted = declaration.noun != Noun::Oneof && !self.is_commented(&declaration.path);
        wanted.then(|| {
            self.violation(&declaration.path, "comment", format!("{declaration} has none before it"))
        })
    }

    fn is_commented(&self, path: &[i32]) -> bool {
        self.location(path).is_some_and(|location| !location.leading_comments().trim().is_empty())
    }

    fn location(&self, path: &[i32]) -> Option<&Location> {
        self.file.source_code_info.as_ref()?.location.iter().find(|location| location.path == path)
    }

    fn violation(&self, path: &[i32], rule: &'static str, what: impl Into<String>) -> Violation {
        let start = self.location(path).and_then(|location| location.span.first());
        let line = start.and_then(|line| usize::try_from(*line).ok()).unwrap_or_default() + 1;
        Violation::new(self.path, line, rule, what)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tiny::{compiled, file};
    use super::*;

    const WHOLE: &str = "
// A.
message A {
  oneof x {
    // B.
    string b = 1;
  }
  // C.
  map<string, string> c_d = 2;
  // E.
  optional uint32 e = 3;
  // N.
  message N {}
}
// E.
enum WhatFor {
  // Zero.
  WHAT_FOR_UNSPECIFIED = 0;
}
// S.
service S {
  // Do.
  rpc Do(A) returns (A);
}
";

    fn found(text: &str) -> Vec<String> {
        check(&compiled(text), Path::new("proto")).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_file_as_it_should_be() {
        assert_eq!(found(&file(WHOLE)), [""; 0]);
    }

    #[test]
    fn every_declaration_has_a_comment() {
        let bare: String = WHOLE.lines().filter(|line| !line.contains("//")).collect::<Vec<_>>().join("\n");
        let wanted = [
            "5: comment: message superstep.v1.A",
            "7: comment: field superstep.v1.A.b",
            "9: comment: field superstep.v1.A.c_d",
            "10: comment: field superstep.v1.A.e",
            "11: comment: message superstep.v1.A.N",
            "13: comment: enum superstep.v1.WhatFor",
            "14: comment: value superstep.v1.WhatFor.WHAT_FOR_UNSPECIFIED",
            "16: comment: service superstep.v1.S",
            "17: comment: rpc superstep.v1.S.Do",
        ];
        let wanted = wanted.map(|what| format!("proto/superstep/v1/a.proto:{what} has none before it"));
        assert_eq!(found(&file(&bare)), wanted);
    }

    #[test]
    fn a_comment_behind_or_apart_is_none() {
        for declarations in ["message A {} // A.\n", "// A.\n\nmessage A {}\n"] {
            assert_eq!(found(&file(declarations)).len(), 1, "{declarations}");
        }
    }

    #[test]
    fn a_file_is_of_our_package_and_says_what_it_is() {
        for (text, rule) in [
            ("// A.\nsyntax = \"proto3\";\npackage superstep.v2;\n", ":3: package: "),
            ("// A.\nsyntax = \"proto2\";\npackage superstep.v1;\n", ":2: syntax: "),
            ("syntax = \"proto3\";\npackage superstep.v1;\n", ":1: comment: "),
        ] {
            let found = found(text);
            assert!(found.len() == 1 && found[0].contains(rule), "{found:?}");
        }
        let mut set = compiled(&file(""));
        set.file[0].name = Some("superstep/a.proto".to_owned());
        assert_eq!(check(&set, Path::new("proto")).len(), 1);
    }
}
