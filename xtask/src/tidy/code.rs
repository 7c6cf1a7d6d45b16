//! Rules of Rust code: sizes, headers and expressions that hide a failure.

use super::Violation;
use super::scan::{Line, RustFile};

const LINES: usize = 350;
const REASON: &str = "//! Long because ";

/// What must not stand in code, and whether tests may have it.
const FORBIDDEN: [(&str, &str, bool, &str); 8] = [
    ("allow", "#[allow(", false, "write #[expect(…, reason = \"…\")]"),
    ("allow", "#![allow(", false, "write #![expect(…, reason = \"…\")]"),
    ("unfinished", "todo!(", false, "finish it"),
    ("unfinished", "unimplemented!(", false, "finish it"),
    ("unfinished", "dbg!(", false, "take it out"),
    ("unwrap", ".unwrap()", true, "return the error, or say with expect why it cannot happen"),
    ("ignored result", "let _ =", true, "handle the result, or drop it by name"),
    ("ignored result", "let _:", true, "handle the result, or drop it by name"),
];

/// Checks one file.
pub(super) fn check(file: &RustFile) -> Vec<Violation> {
    let mut violations: Vec<Violation> = header(file).into_iter().chain(size(file)).collect();
    for (index, line) in file.lines.iter().enumerate() {
        let found = FORBIDDEN.iter().filter(|rule| holds(line, rule.1, rule.2));
        violations.extend(found.map(|(rule, text, _, hint)| {
            Violation::new(&file.path, index + 1, rule, format!("`{text}`: {hint}"))
        }));
    }
    violations
}

fn holds(line: &Line, text: &str, allowed_in_tests: bool) -> bool {
    if line.test && allowed_in_tests {
        return false;
    }
    line.code.match_indices(text).any(|(at, _)| {
        let before = line.code[..at].chars().next_back();
        text.starts_with(['.', '#']) || !before.is_some_and(|c| c.is_alphanumeric() || c == '_')
    })
}

fn header(file: &RustFile) -> Option<Violation> {
    let root = file.path.ends_with("src/lib.rs") || file.path.ends_with("src/main.rs");
    let first = file.lines.iter().find(|line| !line.code.trim().is_empty() || !line.comment.is_empty());
    let documented = first.is_some_and(|line| line.comment.starts_with("//!"));
    (root && !documented).then(|| {
        Violation::new(
            &file.path,
            1,
            "header",
            "begin with `//!` and one sentence that says what this crate is",
        )
    })
}

fn size(file: &RustFile) -> Option<Violation> {
    let lines = file.production_lines();
    let reasoned = file.lines.iter().any(|line| line.comment.starts_with(REASON));
    (lines > LINES && !reasoned).then(|| {
        let what = format!("{lines} lines of production code; split it by noun, or say why with `{REASON}…`");
        Violation::new(&file.path, 1, "size", what)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rules(path: &str, text: &str) -> Vec<&'static str> {
        check(&RustFile::scan(Path::new(path), text)).into_iter().map(|violation| violation.rule).collect()
    }

    #[test]
    fn forbidden_code() {
        for (text, rule) in [
            ("#[allow(dead_code)]", "allow"),
            ("#![allow(dead_code)]", "allow"),
            ("fn f() { todo!() }", "unfinished"),
            ("fn f() { unimplemented!(\"x\") }", "unfinished"),
            ("fn f() { dbg!(1); }", "unfinished"),
            ("fn f() { g().unwrap(); }", "unwrap"),
            ("fn f() { let _ = g(); }", "ignored result"),
        ] {
            assert_eq!(rules("a/src/b.rs", text), [rule], "{text}");
        }
    }

    #[test]
    fn clean_code() {
        for text in [
            "#[expect(dead_code, reason = \"r\")]",
            "fn f() { g().unwrap_or(1); outlet _ = 3; }",
            "let _guard = lock();",
            "// .unwrap() and let _ = are only named here",
            "f(\"todo!()\")",
            "#[cfg(test)]\nmod tests { fn f() { g().unwrap(); let _ = g(); } }",
        ] {
            assert_eq!(rules("a/src/b.rs", text), [""; 0], "{text}");
        }
        assert_eq!(rules("a/tests/b.rs", "fn f() { g().unwrap(); }"), [""; 0]);
    }

    #[test]
    fn tests_may_not_allow_or_debug() {
        assert_eq!(rules("a/tests/b.rs", "#[allow(x)]\nfn f() { dbg!(1); }"), ["allow", "unfinished"]);
    }

    #[test]
    fn a_crate_says_what_it_is() {
        assert_eq!(rules("a/src/lib.rs", "mod b;"), ["header"]);
        assert_eq!(rules("a/src/main.rs", "// Text.\nmod b;"), ["header"]);
        assert_eq!(rules("a/src/lib.rs", "//! The a.\nmod b;"), [""; 0]);
        assert_eq!(rules("a/src/b.rs", "mod c;"), [""; 0]);
    }

    #[test]
    fn long_files_say_why() {
        let long = "f();\n".repeat(LINES + 1);
        assert_eq!(rules("a/src/b.rs", &long), ["size"]);
        assert_eq!(
            rules("a/src/b.rs", &format!("//! B.\n//! Long because it is one table.\n{long}")),
            [""; 0]
        );
        assert_eq!(rules("a/src/b.rs", &format!("#[cfg(test)]\nmod t {{\n{long}}}")), [""; 0]);
        assert_eq!(rules("a/src/b.rs", &"// why\n".repeat(LINES + 1)), [""; 0]);
    }
}
