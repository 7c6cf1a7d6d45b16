//! Joins that cannot fire in any run, and vertices that cannot be activated.

use super::may_grow;
use crate::problem::{FieldPath, Problem};
use crate::spec::{Delivery, GraphSpec, JoinMode, WhenIncomplete};
use crate::topology::{Topology, VertexIx};

/// Which vertices some run can activate: a fixpoint from the entries.
struct Possible<'a> {
    topology: &'a Topology,
    /// By a join that is satisfied, or by an entry, an uncounted edge or a direct message.
    whole: Vec<bool>,
    /// The same, or by a join that fires incomplete.
    partly: Vec<bool>,
}

pub(super) fn check(spec: &GraphSpec, topology: &Topology, problems: &mut Vec<Problem>) {
    let sends_any = topology.vertices().iter().any(|vertex| vertex.sends_any);
    let possible = Possible::of(topology, sends_any);
    let lenient = may_grow(spec) || !spec.mutations.allow.is_empty() || sends_any;
    for (position, vertex) in spec.vertices.iter().enumerate() {
        let path = FieldPath::default().field("vertices").index(position);
        let Some(ix) = topology.find(&vertex.name) else { continue };
        if vertex.join.mode == JoinMode::Any {
            if !possible.partly[ix.0 as usize] {
                let message = format!("vertex {:?} is reached from no entry", vertex.name);
                problems.push(Problem::warning(path, message).hint("add an edge to it, or name it in entry"));
            }
            continue;
        }
        if !possible.fires(ix) {
            let message = format!("the join of vertex {:?} can fire in no run", vertex.name);
            let path = path.field("join");
            let problem =
                if lenient { Problem::warning(path, message) } else { Problem::error(path, message) };
            problems.push(problem.hint(possible.why_not(ix)));
        } else if !possible.whole[ix.0 as usize] {
            let message = format!("the join of vertex {:?} can only fire incomplete", vertex.name);
            problems.push(Problem::warning(path.field("join"), message).hint(possible.why_not(ix)));
        } else if vertex.join.mode == JoinMode::All && vertex.join.of.is_none() && on_cycle(topology, ix) {
            let message =
                format!("the join of vertex {:?} counts every predecessor and lies on a cycle", vertex.name);
            let hint = "name in of the predecessors to wait for";
            problems.push(Problem::warning(path.field("join"), message).hint(hint));
        }
    }
}

impl<'a> Possible<'a> {
    fn of(topology: &'a Topology, sends_any: bool) -> Self {
        let count = topology.vertices().len();
        let mut possible = Self { topology, whole: vec![false; count], partly: vec![false; count] };
        possible.whole = possible.fixpoint(sends_any, false);
        possible.partly = possible.fixpoint(sends_any, true);
        possible
    }

    /// Whether the join of `ix` itself fires in some run, whatever else activates the vertex.
    fn fires(&self, ix: VertexIx) -> bool {
        let join = &self.topology.vertex(ix).join;
        let filled = self.filled(ix, &self.partly);
        let gives_up = join.when_incomplete == WhenIncomplete::Fire && filled > 0;
        self.partly[ix.0 as usize] && (filled >= join.need || gives_up)
    }

    fn fixpoint(&self, sends_any: bool, incomplete: bool) -> Vec<bool> {
        let mut active = vec![false; self.topology.vertices().len()];
        let mut work: Vec<VertexIx> = self.topology.entry().to_vec();
        if sends_any {
            work.extend((0u32..).take(active.len()).map(VertexIx));
        }
        while let Some(ix) = work.pop() {
            if std::mem::replace(&mut active[ix.0 as usize], true) {
                continue;
            }
            let vertex = self.topology.vertex(ix);
            work.extend(vertex.sends.iter().copied());
            let targets = self.topology.out(ix).filter(|(_, edge)| edge.delivery == Delivery::Active);
            for to in targets.filter_map(|(_, edge)| edge.to) {
                if self.activates(to, &active, incomplete) {
                    work.push(to);
                }
            }
        }
        active
    }

    /// Whether `to` is activated once messages have come from every vertex that is active.
    fn activates(&self, to: VertexIx, active: &[bool], incomplete: bool) -> bool {
        let vertex = self.topology.vertex(to);
        let uncounted = vertex.incoming.iter().map(|edge| self.topology.edge(*edge)).any(|edge| {
            edge.delivery == Delivery::Active && edge.slot.is_none() && active[edge.from.0 as usize]
        });
        let filled = self.filled(to, active);
        let fires = filled >= vertex.join.need;
        let gives_up = incomplete && vertex.join.when_incomplete == WhenIncomplete::Fire && filled > 0;
        uncounted || fires || gives_up
    }

    fn filled(&self, ix: VertexIx, active: &[bool]) -> usize {
        let vertex = self.topology.vertex(ix);
        let sends = |from: VertexIx| {
            vertex
                .incoming
                .iter()
                .map(|edge| self.topology.edge(*edge))
                .any(|edge| edge.from == from && edge.slot.is_some())
        };
        vertex.join.slots.iter().flatten().filter(|from| active[from.0 as usize] && sends(**from)).count()
    }

    fn why_not(&self, ix: VertexIx) -> String {
        let vertex = self.topology.vertex(ix);
        if vertex.join.slots.is_empty() {
            return "it has no predecessor with an active edge".to_owned();
        }
        if vertex.join.need > vertex.join.slots.len() {
            return format!("it needs {} predecessors and has {}", vertex.join.need, vertex.join.slots.len());
        }
        let missing: Vec<&str> = vertex
            .join
            .slots
            .iter()
            .flatten()
            .filter(|from| !self.whole[from.0 as usize])
            .map(|from| self.topology.vertex(*from).name.as_str())
            .collect();
        if missing.is_empty() {
            "a name in of is no predecessor with an active edge".to_owned()
        } else {
            format!(
                "nothing can come from {} before it has fired: leave what comes later out of of",
                missing.join(", ")
            )
        }
    }
}

fn on_cycle(topology: &Topology, start: VertexIx) -> bool {
    let mut seen = vec![false; topology.vertices().len()];
    let mut work = vec![start];
    while let Some(ix) = work.pop() {
        for to in topology
            .out(ix)
            .filter(|(_, edge)| edge.delivery == Delivery::Active)
            .filter_map(|(_, edge)| edge.to)
        {
            if to == start {
                return true;
            }
            if !std::mem::replace(&mut seen[to.0 as usize], true) {
                work.push(to);
            }
        }
    }
    false
}
