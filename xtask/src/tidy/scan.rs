//! A Rust file split line by line into code, comments and what belongs to tests.
//!
//! This is a scanner, not a parser: it knows comments, string and character literals and balanced braces, which
//! is what the rules need, and it blanks literals so that no rule trips over a sample text.

use std::mem;
use std::path::{Path, PathBuf};

/// One scanned file.
pub(super) struct RustFile {
    pub(super) path: PathBuf,
    pub(super) lines: Vec<Line>,
}

/// One line, its literals blanked and its comment set apart.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) code: String,
    /// With its slashes.
    pub(super) comment: String,
    /// Belongs to an item under `#[cfg(test)]`, or to a file of tests.
    pub(super) test: bool,
}

/// What the scanner is inside of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    BlockComment { depth: u32 },
    Text,
    RawText { hashes: usize },
}

impl RustFile {
    pub(super) fn scan(path: &Path, text: &str) -> Self {
        let mut lines = split(text);
        mark_test_items(&mut lines);
        let mut file = Self { path: path.to_owned(), lines };
        if path.iter().any(|part| part == "tests" || part == "tests.rs") {
            file.mark_as_test();
        }
        file
    }

    pub(super) fn mark_as_test(&mut self) {
        for line in &mut self.lines {
            line.test = true;
        }
    }

    /// Lines with code outside tests.
    pub(super) fn production_lines(&self) -> usize {
        self.lines.iter().filter(|line| !line.test && !line.code.trim().is_empty()).count()
    }

    /// Paths, without extension, of the modules that `#[cfg(test)] mod NAME;` declares here.
    pub(super) fn test_modules(&self) -> Vec<PathBuf> {
        let declared = self.lines.iter().filter(|line| line.test).filter_map(|line| {
            let code = line.code.trim();
            let code = code.rsplit(']').next().unwrap_or(code).trim();
            code.strip_prefix("mod ")?.strip_suffix(';')
        });
        let root = ["lib.rs", "main.rs"].iter().any(|name| self.path.ends_with(name));
        let folder = if root {
            self.path.parent().unwrap_or(Path::new("")).to_owned()
        } else {
            self.path.with_extension("")
        };
        declared.map(|name| folder.join(name)).collect()
    }
}

fn split(text: &str) -> Vec<Line> {
    let characters: Vec<char> = text.chars().collect();
    let mut lines = Vec::new();
    let mut line = Line::default();
    let mut state = State::Code;
    let mut at = 0;
    while at < characters.len() {
        let rest = &characters[at..];
        if rest[0] == '\n' {
            lines.push(mem::take(&mut line));
            if state == State::LineComment {
                state = State::Code;
            }
            at += 1;
            continue;
        }
        at += step(rest, &mut state, &mut line);
    }
    lines.push(line);
    lines
}

/// Takes the next token of `rest` into the line and returns how many characters it has, all on one line.
fn step(rest: &[char], state: &mut State, line: &mut Line) -> usize {
    match *state {
        State::Code => step_code(rest, state, line),
        State::LineComment => {
            line.comment.push(rest[0]);
            1
        }
        State::BlockComment { depth } => {
            if starts(rest, "/*") {
                *state = State::BlockComment { depth: depth + 1 };
            } else if starts(rest, "*/") {
                *state = if depth == 1 { State::Code } else { State::BlockComment { depth: depth - 1 } };
            } else {
                line.comment.push(rest[0]);
                return 1;
            }
            2
        }
        State::Text if rest[0] == '\\' && rest.get(1).is_some_and(|next| *next != '\n') => 2,
        State::Text => {
            if rest[0] == '"' {
                line.code.push('"');
                *state = State::Code;
            }
            1
        }
        State::RawText { hashes } => {
            let closed = rest[0] == '"' && rest[1..].iter().take_while(|c| **c == '#').count() >= hashes;
            if !closed {
                return 1;
            }
            line.code.push('"');
            *state = State::Code;
            1 + hashes
        }
    }
}

fn step_code(rest: &[char], state: &mut State, line: &mut Line) -> usize {
    if starts(rest, "//") {
        *state = State::LineComment;
        return 0;
    }
    if starts(rest, "/*") {
        *state = State::BlockComment { depth: 1 };
        return 2;
    }
    let word = line.code.chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
    if !word && (rest[0] == 'r' || starts(rest, "br")) {
        let prefix = if rest[0] == 'b' { 2 } else { 1 };
        let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
        if rest.get(prefix + hashes) == Some(&'"') {
            *state = State::RawText { hashes };
            line.code.push('"');
            return prefix + hashes + 1;
        }
    }
    match rest {
        ['"', ..] => *state = State::Text,
        ['\'', '\\', _, tail @ ..] => {
            let end = tail.iter().position(|c| *c == '\'').map_or(0, |end| end + 4);
            return end.max(1);
        }
        ['\'', _, '\'', ..] => return 3,
        _ => {}
    }
    line.code.push(rest[0]);
    1
}

fn starts(rest: &[char], prefix: &str) -> bool {
    prefix.chars().enumerate().all(|(index, c)| rest.get(index) == Some(&c))
}

/// Marks each item under `#[cfg(test)]`, from the attribute to its closing brace or semicolon.
fn mark_test_items(lines: &mut [Line]) {
    let mut open: Option<i32> = None;
    for line in lines {
        let begins = line.code.find("#[cfg(test)]");
        if open.is_none() && begins.is_none() {
            continue;
        }
        line.test = true;
        let code = match begins {
            Some(at) if open.is_none() => line.code[at..].trim_start_matches("#[cfg(test)]"),
            Some(_) | None => &line.code,
        };
        let mut depth = open.unwrap_or(0);
        let mut ended = false;
        for c in code.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            ended |= depth == 0 && (c == '}' || c == ';');
        }
        open = (!ended).then_some(depth);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> RustFile {
        RustFile::scan(Path::new("a/src/b.rs"), text)
    }

    fn code(text: &str) -> Vec<String> {
        scan(text).lines.into_iter().map(|line| line.code).collect()
    }

    #[test]
    fn literals_are_blanked() {
        assert_eq!(code(r#"f("a // b \" {", 'x', '"', '\'')"#), ["f(\"\", , , )"]);
        assert_eq!(code("f(r#\"a \" {\"#)"), ["f(\"\")"]);
        assert_eq!(code("f(b\"x\", br\"y\")"), ["f(b\"\", \"\")"]);
        assert_eq!(code("fn f<'a>(x: &'a str)"), ["fn f<'a>(x: &'a str)"]);
        assert_eq!(code("\"a\nb\" + c"), ["\"", "\" + c"]);
        assert_eq!(code(r"'\u{1F600}'; d"), ["; d"]);
    }

    #[test]
    fn comments_are_set_apart() {
        let file = scan("a // why\n/* b\n c */ d");
        let comments: Vec<&str> = file.lines.iter().map(|line| line.comment.as_str()).collect();
        assert_eq!(comments, ["// why", " b", " c "]);
        assert_eq!(file.lines[2].code, " d");
    }

    #[test]
    fn items_for_tests_end_with_their_brace() {
        let file = scan("a();\n#[cfg(test)]\nmod tests {\n  b {}\n}\nc();\n#[cfg(test)] mod d;\ne();");
        let tests: Vec<bool> = file.lines.iter().map(|line| line.test).collect();
        assert_eq!(tests, [false, true, true, true, true, false, true, false]);
        assert_eq!(file.production_lines(), 3);
        assert_eq!(file.test_modules(), [Path::new("a/src/b/d")]);
    }
}
