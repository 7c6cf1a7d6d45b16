//! How far a download has come, shown on a terminal.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::runs::ShowProgress;

const TEMPLATE: &str = "{msg}  {bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}";

/// A line on stderr while something is fetched; nothing where stderr is no terminal.
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

    /// A bar that is never seen.
    #[cfg(test)]
    pub(super) fn hidden() -> Self {
        Self(None)
    }

    /// What is going on.
    pub(super) fn say(&self, text: String) {
        if let Some(bar) = &self.0 {
            bar.set_message(text);
            bar.enable_steady_tick(Duration::from_millis(100));
        }
    }

    /// So many bytes of so many are there.
    pub(super) fn stand(&self, received: u64, total: Option<u64>) {
        if let Some(bar) = &self.0 {
            if let Some(total) = total {
                bar.set_length(total);
            }
            bar.set_position(received);
        }
    }

    /// So many bytes were there before this process began, and do not count for its speed.
    pub(super) fn begin(&self, received: u64) {
        if let Some(bar) = &self.0 {
            bar.reset();
            bar.set_position(received);
            bar.reset_eta();
        }
    }

    /// Takes the line away.
    pub(super) fn clear(&self) {
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
