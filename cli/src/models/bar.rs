//! How far a download has come, shown on a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use superstep_provision::Downloads;

use crate::args::runs::ShowProgress;

const TEMPLATE: &str = "{msg}  {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}";

/// A line on stderr while files are fetched, one after the other; nothing where stderr is no terminal.
pub(crate) struct Bar(Option<ProgressBar>);

impl Bar {
    /// A bar, unless progress is never to be shown or nobody would see it.
    pub(crate) fn new(show: ShowProgress) -> Self {
        let seen = match show {
            ShowProgress::Never => false,
            ShowProgress::Auto | ShowProgress::Always => io::stderr().is_terminal(),
        };
        Self(seen.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            bar.set_style(style());
            bar
        }))
    }
}

impl Downloads for Bar {
    fn say(&self, text: String) {
        if let Some(bar) = &self.0 {
            // The line of the file before this one has ended, and an ended line is not drawn.
            if bar.is_finished() {
                bar.reset();
                bar.unset_length();
            }
            bar.set_message(text);
            bar.enable_steady_tick(Duration::from_millis(100));
        }
    }

    fn stand(&self, received: u64, total: Option<u64>) {
        if let Some(bar) = &self.0 {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(received);
        }
    }

    fn begin(&self, received: u64) {
        if let Some(bar) = &self.0 {
            bar.reset();
            bar.set_position(received);
            bar.reset_eta();
        }
    }

    fn clear(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template(TEMPLATE)
        .expect("the template is a constant that a test parses")
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_line_has_a_form() {
        super::style();
    }
}
