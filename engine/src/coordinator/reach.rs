//! Who can still cause a message to whom.

use superstep_graph::{Delivery, EdgeIx, Topology, VertexIx};

/// The vertices from which one of `targets` is reached, the targets among them, along active edges
/// and declared direct sends. A path passes `join` only where `passable` and it is entered by an
/// edge that the join does not count, or by a direct message.
pub(super) fn sources_of(
    topology: &Topology,
    targets: &[VertexIx],
    join: VertexIx,
    passable: bool,
) -> Vec<bool> {
    let mut found = vec![false; topology.vertices().len()];
    let mut work: Vec<VertexIx> =
        targets.iter().copied().filter(|target| passable || *target != join).collect();
    let mut any_sender = false;
    while let Some(at) = work.pop() {
        if std::mem::replace(&mut found[at.0 as usize], true) {
            continue;
        }
        let vertex = topology.vertex(at);
        for edge in vertex.incoming.iter().map(|edge: &EdgeIx| topology.edge(*edge)) {
            let enters = edge.delivery == Delivery::Active && (at != join || edge.slot.is_none());
            if enters && (passable || edge.from != join) {
                work.push(edge.from);
            }
        }
        work.extend(vertex.sent_by.iter().copied().filter(|from| passable || *from != join));
        if !any_sender {
            any_sender = true;
            work.extend(topology.any_senders().iter().copied().filter(|from| passable || *from != join));
        }
    }
    found
}

/// The vertices reached from `start` along active edges and direct sends, `start` among them, as if
/// `join` and every edge into it were not there.
pub(super) fn reached_without(topology: &Topology, start: VertexIx, join: VertexIx) -> Vec<VertexIx> {
    let mut found = vec![false; topology.vertices().len()];
    let mut order = Vec::new();
    let mut work = vec![start];
    while let Some(at) = work.pop() {
        if at == join || std::mem::replace(&mut found[at.0 as usize], true) {
            continue;
        }
        order.push(at);
        work.extend(
            topology
                .out(at)
                .filter(|(_, edge)| edge.delivery == Delivery::Active)
                .filter_map(|(_, edge)| edge.to),
        );
        work.extend(topology.vertex(at).sends.iter().copied());
    }
    order
}
