//! Writing XML 1.0.

use std::fmt::Write as _;

/// A document in the making, indented by two spaces a level.
pub(super) struct Document {
    text: String,
    open: Vec<&'static str>,
}

impl Document {
    /// A document with its declaration, in UTF-8.
    pub(super) fn new() -> Self {
        Self { text: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned(), open: Vec::new() }
    }

    /// Begins an element that has others inside.
    pub(super) fn open(&mut self, name: &'static str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str(">\n");
        self.open.push(name);
    }

    /// Ends the element that was begun last.
    pub(super) fn close(&mut self) {
        let name = self.open.pop().expect("every element that is closed was opened");
        self.indent();
        writeln!(self.text, "</{name}>").expect("a String takes every text");
    }

    /// An element with nothing inside.
    pub(super) fn empty(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.start(name, attributes);
        self.text.push_str("/>\n");
    }

    /// An element with a text inside.
    pub(super) fn leaf(&mut self, name: &str, attributes: &[(&str, &str)], content: &str) {
        self.start(name, attributes);
        self.text.push('>');
        escape(content, &mut self.text);
        writeln!(self.text, "</{name}>").expect("a String takes every text");
    }

    /// The text, once every element is closed.
    pub(super) fn finish(self) -> String {
        debug_assert!(self.open.is_empty(), "{:?} is open", self.open);
        self.text
    }

    fn start(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.indent();
        write!(self.text, "<{name}").expect("a String takes every text");
        for (attribute, value) in attributes {
            write!(self.text, " {attribute}=\"").expect("a String takes every text");
            escape(value, &mut self.text);
            self.text.push('"');
        }
    }

    fn indent(&mut self) {
        self.text.extend(std::iter::repeat_n("  ", self.open.len()));
    }
}

/// Writes what means something to XML by its name, white space that a reader would fold by its number,
/// and the replacement character for what XML 1.0 cannot hold (clause 2.2).
fn escape(text: &str, into: &mut String) {
    for letter in text.chars() {
        match letter {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                write!(into, "&#{};", u32::from(letter)).expect("a String takes every text")
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => into.push('\u{fffd}'),
            other => into.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_gets_back_whatever_xml_can_hold() {
        let hostile = "<a href=\"x\">'&amp;]]>\r\n\t é 🦀 \u{0}\u{1b}[31m\u{b}\u{ffff}\u{7f}\u{85} -->";
        let mut document = Document::new();
        document.open("a", &[("b", hostile)]);
        document.leaf("c", &[("d", "")], hostile);
        document.empty("e", &[]);
        document.close();
        let text = document.finish();
        let read = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
        let expected = hostile.replace(['\0', '\u{1b}', '\u{b}', '\u{ffff}'], "\u{fffd}");
        let root = read.root_element();
        assert_eq!(root.attribute("b"), Some(expected.as_str()));
        assert_eq!(root.first_element_child().unwrap().text(), Some(expected.as_str()));
    }
}
