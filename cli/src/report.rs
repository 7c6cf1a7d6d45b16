//! Showing mistakes in files: the line, a caret, and what would be right.

mod window;

use std::fmt;
use std::io::{self, IsTerminal};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan};
use superstep_api::Diagnostic;
use superstep_graph::Severity;

use crate::log::{in_colors, say_as_it_is};
use window::Window;

/// So many are shown; what comes after them mostly follows from them.
const MOST_SHOWN: usize = 50;

/// Shows `diagnostics` on stderr and gives the number of errors: in colours on a terminal unless
/// `NO_COLOR` is set, else in plain ASCII.
pub(crate) fn show(diagnostics: &[Diagnostic]) -> usize {
    let handler = handler(io::stderr().is_terminal(), !in_colors());
    for diagnostic in diagnostics.iter().take(MOST_SHOWN) {
        say_as_it_is(&Report { diagnostic, handler: &handler }.to_string());
    }
    if diagnostics.len() > MOST_SHOWN {
        say_as_it_is(&format!("… and {} more", diagnostics.len() - MOST_SHOWN));
    }
    diagnostics.iter().filter(|diagnostic| diagnostic.is_error()).count()
}

fn handler(terminal: bool, no_color: bool) -> GraphicalReportHandler {
    let theme = match (terminal, no_color) {
        (true, false) => GraphicalTheme::unicode(),
        (true, true) => GraphicalTheme::unicode_nocolor(),
        (false, _) => GraphicalTheme::none(),
    };
    GraphicalReportHandler::new_themed(theme).with_links(false).with_width(100).with_break_words(false)
}

struct Report<'a> {
    diagnostic: &'a Diagnostic,
    handler: &'a GraphicalReportHandler,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let window = self.diagnostic.place.as_ref().map(Window::of);
        self.handler.render_report(f, &Labeled { diagnostic: self.diagnostic, window })
    }
}

/// A diagnostic as miette takes it.
struct Labeled<'a> {
    diagnostic: &'a Diagnostic,
    window: Option<Window<'a>>,
}

impl fmt::Display for Labeled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{severity}: {}", self.diagnostic.message)
    }
}

impl fmt::Debug for Labeled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.diagnostic, f)
    }
}

impl std::error::Error for Labeled<'_> {}

impl miette::Diagnostic for Labeled<'_> {
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.diagnostic.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.diagnostic.hint.as_ref().map(|hint| Box::new(hint) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.window.as_ref().map(|window| window as &dyn miette::SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let shown = self.window.as_ref()?.marked();
        Some(Box::new(std::iter::once(LabeledSpan::new(None, shown.start, shown.len()))))
    }
}
