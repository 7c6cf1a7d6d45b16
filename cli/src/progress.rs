//! From what the runner tells to what the view shows.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use superstep_engine::{ActivationId, FrameId, Notice, RunStatus};
use superstep_graph::{Mutation, Verdict};
use superstep_runtime::{CACHE_TARGET, Observer};

use crate::args::runs::ShowProgress;
use crate::view::{Progress, View};

/// Shows a run on stderr.
pub(crate) struct Shown {
    state: Mutex<State>,
    live: bool,
}

struct State {
    view: View<io::Stderr>,
    starting: Vec<String>,
    /// Vertices that took kept results, and how many: one, or those of their elements.
    cached: BTreeMap<String, u64>,
    since: BTreeMap<String, Instant>,
    begun: Instant,
    /// What a resumed run tells of its past is not shown again.
    silent_until: Option<u64>,
}

impl Shown {
    /// A view on stderr; none if nothing is to be shown there.
    pub(crate) fn new(show: ShowProgress, resumed_at: Option<u64>) -> Option<Self> {
        let terminal = io::stderr().is_terminal();
        match show {
            ShowProgress::Never => return None,
            ShowProgress::Auto if !terminal => return None,
            ShowProgress::Auto | ShowProgress::Always => {}
        }
        let colors = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let columns =
            rustix::termios::tcgetwinsize(io::stderr()).map_or(100, |size| usize::from(size.ws_col));
        let state = State {
            view: View::new(io::stderr(), colors, columns),
            starting: Vec::new(),
            cached: BTreeMap::new(),
            since: BTreeMap::new(),
            begun: Instant::now(),
            silent_until: resumed_at,
        };
        Some(Self { state: Mutex::new(state), live: terminal })
    }

    /// Whether what models write is shown while they do.
    pub(crate) fn is_live(&self) -> bool {
        self.live
    }
}

impl Observer for Shown {
    fn notice(&self, notice: &Notice) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(progress) = state.translate(notice) {
            state.show(&progress);
        }
    }

    fn text(&self, activation: &ActivationId, text: &str) {
        if self.live {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.show(&Progress::Token { vertex: name_of(activation), text: text.to_owned() });
        }
    }
}

impl State {
    fn show(&mut self, progress: &Progress) {
        if self.silent_until.is_some() {
            return;
        }
        // Progress that nobody can see is no reason to stop the run.
        if let Err(error) = self.view.show(progress) {
            tracing::debug!(%error, "progress cannot be shown");
        }
    }

    fn translate(&mut self, notice: &Notice) -> Option<Progress> {
        match notice {
            Notice::Started { activation, elements } => {
                let name = name_of(activation);
                self.since.insert(name.clone(), Instant::now());
                self.starting.push(elements.map_or_else(|| name.clone(), |count| format!("{name} ×{count}")));
                None
            }
            Notice::SuperstepStarted { superstep, carried, .. } => {
                let active = std::mem::take(&mut self.starting);
                if self.silent_until.is_some_and(|until| *superstep >= until) {
                    self.silent_until = None;
                }
                Some(Progress::SuperstepStarted { superstep: *superstep, active, carried: *carried })
            }
            Notice::Completed { activation, output, failure, usage } => {
                let vertex = name_of(activation);
                let since = self.since.remove(&vertex);
                let preview = match failure {
                    Some(failure) => Err(failure.message.clone()),
                    None => Ok(output.as_ref().map(|output| output.value().to_string()).unwrap_or_default()),
                };
                let millis = since.map_or(0, |since| millis(since.elapsed()));
                let cached = self.cached.remove(&vertex).unwrap_or_default();
                Some(Progress::Completed { vertex, preview, tokens: usage.tokens(), cached, millis })
            }
            Notice::Mutated { requester, mutation, verdict, .. } => {
                let (change, refused) = (change(mutation), refusal(verdict));
                Some(Progress::Mutated { requester: requester.clone(), change, refused })
            }
            Notice::Committed { superstep, .. } => {
                Some(Progress::SuperstepCommitted { superstep: *superstep })
            }
            Notice::Retrying { activation, attempts, failure } => Some(Progress::Completed {
                vertex: name_of(activation),
                preview: Err(format!("attempt {attempts} failed and is made again: {}", failure.message)),
                tokens: 0,
                cached: 0,
                millis: 0,
            }),
            Notice::Ended { status, totals } => {
                self.silent_until = None;
                Some(Progress::Ended {
                    status: status_text(status),
                    supersteps: totals.supersteps,
                    tokens: totals.usage.tokens(),
                    cost: Some(totals.usage.cost).filter(|cost| *cost > 0.0),
                    millis: millis(self.begun.elapsed()),
                })
            }
            Notice::Cancelled { activation } => Some(Progress::Cancelled { vertex: name_of(activation) }),
            Notice::JoinIncomplete { vertex, action, missing, .. } => {
                let missing = missing.iter().map(ToString::to_string).collect();
                Some(Progress::Incomplete { vertex: vertex.to_string(), action: *action, missing })
            }
            Notice::Called(called) => {
                if called.target == CACHE_TARGET {
                    let whole = ActivationId { element: None, ..called.call.activation.clone() };
                    *self.cached.entry(name_of(&whole)).or_default() += 1;
                }
                None
            }
            Notice::Asked { .. }
            | Notice::Settled { .. }
            | Notice::Opened { .. }
            | Notice::Resumed { .. }
            | Notice::Paused => None,
            Notice::Suspended => Some(Progress::Suspended),
        }
    }
}

/// Why a mutation was refused, if it was.
fn refusal(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Applied | Verdict::Collapsed => None,
        Verdict::Refused(refusal) => Some(refusal.to_string()),
    }
}

/// How a run ended, in words.
pub(crate) fn status_text(status: &RunStatus) -> String {
    match status {
        RunStatus::Succeeded => "succeeded".to_owned(),
        RunStatus::Failed { activation, failure } => format!("failed: {}: {failure}", name_of(activation)),
        RunStatus::LimitReached(limit) => format!("limit reached: limits.{}", limit.field()),
        RunStatus::Cancelled => "cancelled".to_owned(),
    }
}

fn name_of(activation: &ActivationId) -> String {
    let name = match activation.element {
        Some(element) => format!("{}[{element}]", activation.vertex),
        None => activation.vertex.to_string(),
    };
    if activation.frame == FrameId::ROOT { name } else { format!("{}/{name}", activation.frame.0) }
}

/// A mutation in words.
pub(crate) fn change(mutation: &Mutation) -> String {
    match mutation {
        Mutation::RemoveEdge(edge) => format!("removes edge {} → {}", edge.from, edge.to),
        Mutation::RemoveVertex(vertex) => format!("removes vertex {}", vertex.name),
        Mutation::AddVertex(vertex) => format!("adds vertex {}", vertex.name),
        Mutation::AddEdge(edge) => format!("adds edge {} → {}", edge.from, edge.to),
        Mutation::Set(set) => {
            let vertex = set.vertex.as_ref().map(ToString::to_string);
            let edge = set.edge.as_ref().map(|edge| format!("edge {} → {}", edge.from, edge.to));
            format!("sets {} of {}", set.field, vertex.or(edge).unwrap_or_default())
        }
        Mutation::Adopt(_) => "adopts the changed document".to_owned(),
        Mutation::Denied(denied) => change(&denied.mutation),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
