//! Crashes between and within supersteps, after each of which what is left are the bytes of the last boundary.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use superstep_algorithms::{
    Along, Broadcast, Combined, Components, Context, Execution, Graph, Hops, LabelPropagation, PageRank,
    ShortestPaths, Triangles, VertexProgram, rmat,
};

use crate::{PARTITIONS, layout};

/// A program that panics at a vertex, in the one superstep of its second member, if the vertex is computed in it.
struct Fatal<'a, P> {
    program: &'a P,
    superstep: u64,
    vertex: u32,
    /// How many vertices were computed.
    computed: AtomicU64,
}

impl<P: VertexProgram> VertexProgram for Fatal<'_, P> {
    type Value = P::Value;
    type Message = P::Message;
    type Aggregate = P::Aggregate;
    type Delivery = P::Delivery;

    fn initial(&self, graph: &Graph, vertex: u32) -> P::Value {
        self.program.initial(graph, vertex)
    }

    fn compute(&self, context: &mut Context<'_, Self>, value: &mut P::Value, messages: &[P::Message]) {
        if (context.superstep(), context.vertex()) == (self.superstep, self.vertex) {
            // Past the hook that prints.
            std::panic::resume_unwind(Box::new("the process ends"));
        }
        self.computed.fetch_add(1, Relaxed);
        context.delegate(self.program, value, messages);
    }

    fn along(&self) -> Along {
        self.program.along()
    }

    fn finished(&self, superstep: u64, aggregate: &P::Aggregate) -> bool {
        self.program.finished(superstep, aggregate)
    }
}

/// What was counted.
#[derive(Default)]
pub(crate) struct Crashes {
    pub(crate) between: usize,
    pub(crate) within: usize,
}

/// Runs a program whole, and then once for every superstep, on 1, 2 and 5 partitions, with a crash before that
/// superstep and one in the middle of it, resumed on another number of partitions each time. Gives the values.
pub(crate) fn crashed<P: VertexProgram>(program: &P, graph: &Graph) -> (Vec<P::Value>, Crashes)
where
    P::Value: PartialEq + Debug,
    P::Aggregate: Debug,
{
    let whole = Execution::new(program, graph, layout(1, 1)).run();
    let mut crashes = Crashes::default();
    for partitions in PARTITIONS {
        for superstep in 0..whole.supersteps {
            let mut execution = Execution::new(program, graph, layout(partitions, 2));
            while execution.superstep() < superstep {
                assert!(execution.step());
            }
            let bytes = postcard::to_stdvec(&execution.boundary()).unwrap();
            drop(execution);
            crashes.between += 1;
            crashes.within += usize::from(dies(program, graph, superstep, &bytes));
            for again in PARTITIONS {
                let boundary = postcard::from_bytes(&bytes).unwrap();
                let resumed = Execution::resume(program, graph, layout(again, 2), boundary).unwrap();
                assert_eq!(resumed.boundary().superstep, superstep);
                assert_eq!(resumed.run(), whole, "{partitions} partitions, then {again}, at {superstep}");
            }
        }
    }
    (whole.values, crashes)
}

/// Goes on from a boundary and crashes in the middle of the next superstep. Whether some vertices were computed by
/// then, and others were not.
fn dies<P: VertexProgram>(program: &P, graph: &Graph, superstep: u64, bytes: &[u8]) -> bool {
    // The last vertex that is computed may be any: they are tried from the last one on.
    (0..u32::try_from(graph.vertices()).unwrap()).rev().any(|vertex| {
        let fatal = Fatal { program, superstep, vertex, computed: AtomicU64::new(0) };
        let boundary = postcard::from_bytes(bytes).unwrap();
        let mut execution = Execution::resume(&fatal, graph, layout(2, 2), boundary).unwrap();
        let died = catch_unwind(AssertUnwindSafe(|| execution.step())).is_err();
        died && fatal.computed.load(Relaxed) > 0
    })
}

fn check<P: VertexProgram>(program: &P, graph: &Graph, within: usize)
where
    P::Value: PartialEq + Debug,
    P::Aggregate: Debug,
{
    let (_, crashes) = crashed(program, graph);
    assert!(crashes.within >= within, "{}", crashes.within);
    assert!(crashes.between >= crashes.within);
}

#[test]
fn an_execution_that_is_killed_at_any_superstep_ends_as_if_undisturbed() {
    let vertices = 1 << 7;
    let edges = rmat(7, 6, 11);
    for directed in [true, false] {
        let weigh = |&(from, to): &(u32, u32)| (from, to, f64::from((from * 7 + to) % 16) / 3.0);
        let edges: Vec<(u32, u32, f64)> = edges.iter().map(weigh).collect();
        let graph = Graph::weighted(vertices, &edges, directed).unwrap();
        check(&PageRank::<Broadcast>::new(8, 0.85), &graph, 27);
        check(&PageRank::<Combined>::new(8, 0.85), &graph, 27);
        check(&Components, &graph, 9);
        check(&Hops { source: edges[0].0 }, &graph, 3);
        check(&ShortestPaths { source: edges[0].0 }, &graph, 9);
        check(&LabelPropagation { iterations: 5 }, &graph, 9);
        check(&Triangles::new(&graph), &graph, 6);
    }
}
