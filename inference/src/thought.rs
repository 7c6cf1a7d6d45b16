//! What a model thinks aloud, kept apart from what it answers.
//!
//! Models that were trained to reason write `<think>`, their thoughts and `</think>` in front of the answer; of some the
//! chat template opens the thoughts already, as the last thing of the prompt.

const OPENS: &str = "<think>";
const CLOSES: &str = "</think>";

/// Where in an output it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// There was nothing but white space and perhaps a part of the mark.
    Begins,
    Thinks,
    /// Thoughts have ended, and of the answer there was nothing but white space.
    Turns,
    Answers,
}

/// Cuts the text of one output into thoughts and answer.
#[derive(Debug)]
pub(crate) struct Thought {
    stage: Stage,
    thoughts: Option<String>,
    /// Text that is not known to be either yet.
    held: String,
}

impl Thought {
    /// An output that is an answer and nothing else.
    pub(crate) fn none() -> Self {
        Self { stage: Stage::Answers, thoughts: None, held: String::new() }
    }

    /// An output of a model that thinks, whose prompt ends with `end`.
    pub(crate) fn after(end: &str) -> Self {
        let is_open = end.trim_end().ends_with(OPENS);
        let (stage, thoughts) =
            if is_open { (Stage::Thinks, Some(String::new())) } else { (Stage::Begins, None) };
        Self { stage, thoughts, held: String::new() }
    }

    /// Whether a chat template is of a model that thinks.
    pub(crate) fn is_known_to(template: &str) -> bool {
        template.contains(CLOSES)
    }

    /// Whether what comes next is no answer, as far as it is known.
    pub(crate) fn goes_on(&self) -> bool {
        match self.stage {
            Stage::Thinks => true,
            Stage::Begins | Stage::Turns | Stage::Answers => false,
        }
    }

    /// Takes the next text, and returns what of the answer is known by it.
    pub(crate) fn push(&mut self, text: &str) -> String {
        if self.stage == Stage::Answers {
            return text.to_owned();
        }
        // A long train of thought is not looked through again with each token.
        let mut from =
            if self.stage == Stage::Thinks { self.held.len().saturating_sub(CLOSES.len()) } else { 0 };
        while !self.held.is_char_boundary(from) {
            from -= 1;
        }
        self.held.push_str(text);
        if self.stage == Stage::Begins {
            let said = self.held.trim_start();
            if let Some(rest) = said.strip_prefix(OPENS) {
                self.thoughts = Some(String::new());
                self.held = rest.to_owned();
                self.stage = Stage::Thinks;
            } else if !OPENS.starts_with(said) {
                self.stage = Stage::Answers;
            }
        }
        if self.stage == Stage::Thinks {
            let Some(end) = self.held[from..].find(CLOSES) else { return String::new() };
            let rest = self.held.split_off(from + end);
            self.close();
            self.held = rest[CLOSES.len()..].to_owned();
            self.stage = Stage::Turns;
        }
        if self.stage == Stage::Turns {
            self.held = self.held.trim_start().to_owned();
            if !self.held.is_empty() {
                self.stage = Stage::Answers;
            }
        }
        if self.stage == Stage::Answers { std::mem::take(&mut self.held) } else { String::new() }
    }

    /// Ends the output, and returns the rest of the answer and the thoughts, if there were any.
    pub(crate) fn finish(&mut self) -> (String, Option<String>) {
        if self.stage == Stage::Thinks {
            self.close();
        }
        (std::mem::take(&mut self.held), self.thoughts.take().filter(|thoughts| !thoughts.is_empty()))
    }

    /// What is held are the thoughts.
    fn close(&mut self) {
        self.thoughts = Some(std::mem::take(&mut self.held).trim().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(mut thought: Thought, text: &str, piece: usize) -> (String, Option<String>) {
        let characters: Vec<char> = text.chars().collect();
        let mut answer = String::new();
        for piece in characters.chunks(piece) {
            answer.push_str(&thought.push(&piece.iter().collect::<String>()));
        }
        let (rest, thoughts) = thought.finish();
        (answer + &rest, thoughts)
    }

    #[test]
    fn thoughts_are_kept_apart_however_the_text_is_cut() {
        // What the prompt ends with, what is written, the thoughts and the answer.
        let table: [(&str, &str, Option<&str>, &str); 11] = [
            ("<think>", "a 🦀 long 中中中中 thought</think>b", Some("a 🦀 long 中中中中 thought"), "b"),
            ("", "<think>\nhm\n</think>\n\nYes.", Some("hm"), "Yes."),
            ("", "\n <think>a</think>b", Some("a"), "b"),
            ("<think>\n", "a < b</think>b </think>", Some("a < b"), "b </think>"),
            ("<think>", "cut off </thi", Some("cut off </thi"), ""),
            ("", "<think>cut off", Some("cut off"), ""),
            ("<think>\n\n</think>\n\n", "Yes.", None, "Yes."),
            ("", "<think>\n\n</think>\n\nYes.", None, "Yes."),
            ("", "Yes <think>no</think>", None, "Yes <think>no</think>"),
            ("", " <thin", None, " <thin"),
            ("", "  <b>x", None, "  <b>x"),
        ];
        for (end, text, thoughts, answer) in table {
            for piece in [1, 2, 3, 7, 100] {
                let found = cut(Thought::after(end), text, piece);
                assert_eq!(
                    found,
                    (answer.to_owned(), thoughts.map(str::to_owned)),
                    "{end:?} {text:?} {piece}"
                );
            }
        }
        assert_eq!(cut(Thought::none(), "<think>a</think>b", 3), ("<think>a</think>b".to_owned(), None));
    }
}
