//! The graph of a run, as its log tells it.

use std::collections::BTreeMap;
use std::sync::Arc;

use superstep_engine::{Coordinator, FrameId, Notice};
use superstep_graph::{Revision, VertexName};
use superstep_provision::plan_of;
use superstep_runtime::{Programs, RunError, follow, read_run};
use superstep_store::RunName;

use super::drawing::Drawing;
use super::play::{Play, Scene};
use super::{draw, gexf};
use crate::args::{DrawingFormat, RenderArgs};
use crate::exit::CommandError;
use crate::run::open_store;

/// The drawing of the graph of a run: as it stands after all mutations, or in one superstep; in GEXF
/// over all supersteps, unless one is asked for.
///
/// # Errors
/// There is no such run or superstep, its log is corrupt, or Graphviz is needed and cannot be used.
pub(super) fn of_run(run: &str, args: &RenderArgs) -> Result<Vec<u8>, CommandError> {
    let name: RunName = run.parse().map_err(RunError::Store)?;
    let store = open_store(&args.store)?;
    let (started, records) = read_run(&store, &name)?;
    let programs = Arc::new(Programs::new(plan_of(&name, &started)?.not_loaded()));
    let mut stage = Stage::new(&started.root);
    let mut costs = None;
    follow(&name, &records, &programs, |notice, coordinator| {
        stage.add(&notice, coordinator);
        if args.costs && is_seen(&notice, args.superstep) {
            let graph = coordinator.graph(FrameId::ROOT).map(|graph| graph.spec().clone());
            costs = graph.map(|graph| (graph, coordinator.costs().of(&started.root).cloned()));
        }
    })?;
    if let Some((graph, costs)) = &costs {
        stage.scenes.iter_mut().for_each(|scene| scene.drawing.with_costs(graph, costs.as_ref()));
    }
    match args.superstep {
        Some(superstep) if superstep > stage.last => Err(CommandError::NoSuperstep { run: name, superstep }),
        None if args.format == DrawingFormat::Gexf => Ok(gexf::write_play(&stage.play()).into_bytes()),
        chosen => {
            let scene = stage.scene(chosen.unwrap_or(u64::MAX)).ok_or(RunError::Empty { run: name })?;
            draw(&scene.drawing, args.format)
        }
    }
}

/// Whether a notice speaks of what is known by the superstep that is drawn.
fn is_seen(notice: &Notice, drawn: Option<u64>) -> bool {
    match notice {
        Notice::SuperstepStarted { superstep, .. } => drawn.is_none_or(|drawn| *superstep <= drawn),
        Notice::Committed { superstep, .. } => drawn.is_none_or(|drawn| *superstep < drawn),
        Notice::Started { .. }
        | Notice::Opened { .. }
        | Notice::Called(_)
        | Notice::Resumed { .. }
        | Notice::Retrying { .. }
        | Notice::Asked { .. }
        | Notice::Completed { .. }
        | Notice::Cancelled { .. }
        | Notice::JoinIncomplete { .. }
        | Notice::Settled { .. }
        | Notice::Mutated { .. }
        | Notice::Paused
        | Notice::Suspended
        | Notice::Ended { .. } => false,
    }
}

/// What notices told of the run's own graph.
struct Stage {
    root: String,
    revision: Option<Revision>,
    scenes: Vec<Scene>,
    last: u64,
    activations: BTreeMap<(VertexName, u64), u64>,
}

impl Stage {
    fn new(root: &str) -> Self {
        Self {
            root: root.to_owned(),
            revision: None,
            scenes: Vec::new(),
            last: 0,
            activations: BTreeMap::new(),
        }
    }

    fn add(&mut self, notice: &Notice, coordinator: &Coordinator) {
        match notice {
            Notice::SuperstepStarted { superstep, .. } => {
                self.look(*superstep, coordinator);
                self.last = self.last.max(*superstep);
            }
            // A run that ends with a mutation has a graph that no superstep sees.
            Notice::Committed { superstep, .. } => self.look(superstep + 1, coordinator),
            Notice::Started { activation, elements } if activation.frame == FrameId::ROOT => {
                let place = (activation.vertex.clone(), activation.superstep);
                *self.activations.entry(place).or_default() += elements.map_or(1, u64::from);
            }
            Notice::Started { .. }
            | Notice::Retrying { .. }
            | Notice::Asked { .. }
            | Notice::Completed { .. }
            | Notice::Cancelled { .. }
            | Notice::JoinIncomplete { .. }
            | Notice::Settled { .. }
            | Notice::Mutated { .. }
            | Notice::Opened { .. }
            | Notice::Called(_)
            | Notice::Resumed { .. }
            | Notice::Paused
            | Notice::Suspended
            | Notice::Ended { .. } => {}
        }
    }

    /// Notes the graph that superstep `from` begins with, if it is another one.
    fn look(&mut self, from: u64, coordinator: &Coordinator) {
        let Some(graph) = coordinator.graph(FrameId::ROOT) else { return };
        if self.revision.replace(graph.revision()) == Some(graph.revision()) {
            return;
        }
        self.scenes.push(Scene { from, drawing: Drawing::of(&self.root, graph.spec()) });
        self.last = self.last.max(from);
    }

    /// The graph that superstep `superstep` had.
    fn scene(&self, superstep: u64) -> Option<&Scene> {
        self.scenes.iter().rev().find(|scene| scene.from <= superstep)
    }

    fn play(self) -> Play {
        Play::of(self.scenes, self.last, self.activations)
    }
}
