//! The live view of a run: what happens in each superstep, and the text of models as it comes.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use superstep_graph::WhenIncomplete;

use crate::exit::count;

/// The least time between two paintings of the line that changes.
const BETWEEN_PAINTINGS: Duration = Duration::from_millis(40);

/// Something to show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Progress {
    /// A superstep has started.
    SuperstepStarted {
        /// Which.
        superstep: u64,
        /// The vertices that begin in it.
        active: Vec<String>,
        /// How many go on from the superstep before.
        carried: u64,
    },
    /// A model has written on.
    Token {
        /// For which vertex.
        vertex: String,
        /// What came now.
        text: String,
    },
    /// A vertex has a result.
    Completed {
        /// Which.
        vertex: String,
        /// What it gave, or why it failed.
        preview: Result<String, String>,
        /// Tokens read and written.
        tokens: u64,
        /// How many of its results were kept ones: those of its elements, or one.
        cached: u64,
        /// How long it took.
        millis: u64,
    },
    /// An activation was given up, because nobody needs its result.
    Cancelled {
        /// Of which vertex.
        vertex: String,
    },
    /// The run stands still, because somebody has suspended it.
    Suspended,
    /// A join that nothing can complete any more did what it says for that.
    Incomplete {
        /// Whose join.
        vertex: String,
        /// What it did.
        action: WhenIncomplete,
        /// The predecessors that sent nothing.
        missing: Vec<String>,
    },
    /// A change of the graph was judged.
    Mutated {
        /// Who asked.
        requester: String,
        /// What was asked.
        change: String,
        /// Why it was refused, if it was.
        refused: Option<String>,
    },
    /// A superstep is durable.
    SuperstepCommitted {
        /// Which.
        superstep: u64,
    },
    /// The run has ended.
    Ended {
        /// How.
        status: String,
        /// Supersteps in all.
        supersteps: u64,
        /// Tokens in all.
        tokens: u64,
        /// Cost in all, by the prices of the models.
        cost: Option<f64>,
        /// How long it took.
        millis: u64,
    },
}

/// Paints progress on a terminal. The last line changes while models write; all others stay.
#[derive(Debug)]
pub(crate) struct View<W> {
    out: W,
    colors: bool,
    columns: usize,
    /// The text of each vertex whose model writes.
    writing: Vec<(String, String)>,
    painted: Option<Instant>,
    line_open: bool,
}

impl<W: Write> View<W> {
    /// A view on `out`, a terminal that is `columns` wide.
    pub(crate) fn new(out: W, colors: bool, columns: usize) -> Self {
        Self { out, colors, columns: columns.max(20), writing: Vec::new(), painted: None, line_open: false }
    }

    /// Shows one thing.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub(crate) fn show(&mut self, progress: &Progress) -> io::Result<()> {
        match progress {
            Progress::SuperstepStarted { superstep, active, carried } => {
                self.writing.clear();
                let head = self.bold(&format!("superstep {superstep}"));
                let carried = match carried {
                    0 => None,
                    1 => Some("(1 goes on)".to_owned()),
                    count => Some(format!("({count} go on)")),
                };
                let names = Some(active.join(", ")).filter(|names| !names.is_empty());
                let words: Vec<String> = names.into_iter().chain(carried).collect();
                self.line(&format!("{head}  {}", plain(&words.join(" "))))
            }
            Progress::Token { vertex, text } => self.token(vertex, text),
            Progress::Completed { vertex, preview, tokens, cached, millis } => {
                self.writing.retain(|(name, _)| name != vertex);
                let (mark, text) = match preview {
                    Ok(text) => (self.colored("32", "✓"), text),
                    Err(text) => (self.colored("31", "✗"), text),
                };
                let used = if *tokens > 0 { format!("{tokens} tokens, ") } else { String::new() };
                let kept = match cached {
                    0 => String::new(),
                    1 => "cached, ".to_owned(),
                    count => format!("{count} cached, "),
                };
                let used = format!("{used}{kept}{}", seconds(*millis));
                let room = self.columns.saturating_sub(vertex.chars().count() + used.chars().count() + 8);
                let used = self.dim(&used);
                self.line(&format!("  {mark} {vertex}  {used}  {}", start(&plain(text), room)))
            }
            Progress::Cancelled { vertex } => {
                self.writing.retain(|(name, _)| name != vertex);
                let mark = self.colored("33", "–");
                self.line(&format!("  {mark} {vertex}  cancelled"))
            }
            Progress::Suspended => {
                let mark = self.colored("33", "–");
                self.line(&format!("  {mark} suspended"))
            }
            Progress::Incomplete { vertex, action, missing } => {
                let mark = self.colored("33", "–");
                let did = match action {
                    WhenIncomplete::Fire => "fires",
                    WhenIncomplete::Skip => "is skipped",
                    WhenIncomplete::Fail => "fails",
                };
                self.line(&format!("  {mark} {vertex}  {did} without {}", plain(&missing.join(", "))))
            }
            Progress::Mutated { requester, change, refused } => {
                let text = match refused {
                    None => format!("{requester}: {change}"),
                    Some(why) => format!("{requester}: {change} refused: {why}"),
                };
                let mark = self.colored("35", "∆");
                let text = start(&plain(&text), self.columns.saturating_sub(4));
                self.line(&format!("  {mark} {text}"))
            }
            Progress::SuperstepCommitted { .. } => self.close_line(),
            Progress::Ended { status, supersteps, tokens, cost, millis } => {
                let cost = cost.map(|cost| format!(", cost {cost:.4}")).unwrap_or_default();
                let head = self.bold(&plain(status));
                let supersteps = count(usize::try_from(*supersteps).unwrap_or(usize::MAX), "superstep");
                self.line(&format!("{head}  {supersteps}, {tokens} tokens{cost}, {}", seconds(*millis)))
            }
        }
    }

    fn token(&mut self, vertex: &str, text: &str) -> io::Result<()> {
        let position = self.writing.iter().position(|(name, _)| name == vertex);
        let position = position.unwrap_or_else(|| {
            self.writing.push((vertex.to_owned(), String::new()));
            self.writing.len() - 1
        });
        self.writing[position].1.push_str(text);
        if self.painted.is_some_and(|painted| painted.elapsed() < BETWEEN_PAINTINGS) {
            return Ok(());
        }
        self.painted = Some(Instant::now());
        let others = match self.writing.len() {
            1 => String::new(),
            count => format!(" (+{})", count - 1),
        };
        let head = format!("  … {vertex}{others}  ");
        let room = self.columns.saturating_sub(head.chars().count() + 1);
        let text = self.dim(&end(&plain(&self.writing[position].1), room));
        write!(self.out, "\r\x1b[2K{head}{text}")?;
        self.line_open = true;
        self.out.flush()
    }

    fn close_line(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.line_open) {
            write!(self.out, "\r\x1b[2K")?;
        }
        self.out.flush()
    }

    fn line(&mut self, text: &str) -> io::Result<()> {
        self.close_line()?;
        writeln!(self.out, "{text}")
    }

    fn colored(&self, code: &str, text: &str) -> String {
        if self.colors { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn bold(&self, text: &str) -> String {
        self.colored("1", text)
    }

    fn dim(&self, text: &str) -> String {
        self.colored("2", text)
    }
}

/// The text on one line. What a model writes must not steer the terminal.
fn plain(text: &str) -> String {
    let visible = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    visible.collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn start(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

fn end(text: &str, room: usize) -> String {
    let count = text.chars().count();
    text.chars().skip(count.saturating_sub(room)).collect()
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1_000, millis % 1_000 / 100)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn a_run_is_shown_superstep_by_superstep_and_text_cannot_steer_the_terminal() {
        let mut view = View::new(Vec::new(), false, 60);
        for progress in [
            Progress::SuperstepStarted {
                superstep: 0,
                active: vec!["classify".to_owned(), "extract".to_owned()],
                carried: 0,
            },
            Progress::Token { vertex: "extract".to_owned(), text: "Wid\x1b[31mget".to_owned() },
            Progress::Completed {
                vertex: "classify".to_owned(),
                preview: Ok("{\"kind\": \"bug\",\n \"why\": \"a long reason that does not fit\"}".to_owned()),
                tokens: 42,
                cached: 0,
                millis: 1_240,
            },
            Progress::Completed {
                vertex: "extract".to_owned(),
                preview: Err("no model".to_owned()),
                tokens: 0,
                cached: 0,
                millis: 0,
            },
            Progress::Mutated {
                requester: "grow".to_owned(),
                change: "addVertex second".to_owned(),
                refused: None,
            },
            Progress::SuperstepCommitted { superstep: 0 },
            Progress::SuperstepStarted { superstep: 1, active: Vec::new(), carried: 2 },
            Progress::Cancelled { vertex: "slow".to_owned() },
            Progress::SuperstepStarted { superstep: 2, active: vec!["draft".to_owned()], carried: 1 },
            Progress::Incomplete {
                vertex: "draft".to_owned(),
                action: WhenIncomplete::Fire,
                missing: vec!["mood".to_owned()],
            },
            Progress::Ended {
                status: "failed".to_owned(),
                supersteps: 1,
                tokens: 42,
                cost: Some(0.5),
                millis: 1_300,
            },
        ] {
            view.show(&progress).unwrap();
        }
        let text = String::from_utf8(view.out).unwrap().replace('\x1b', "ESC").replace('\r', "CR");
        expect![[r#"
            superstep 0  classify, extract
            CRESC[2K  … extract  Wid [31mgetCRESC[2K  ✓ classify  42 tokens, 1.2 s  {"kind": "bug", "why": "a l…
              ✗ extract  0.0 s  no model
              ∆ grow: addVertex second
            superstep 1  (2 go on)
              – slow  cancelled
            superstep 2  draft (1 goes on)
              – draft  fires without mood
            failed  1 superstep, 42 tokens, cost 0.5000, 1.3 s
        "#]].assert_eq(&text);
    }
}
