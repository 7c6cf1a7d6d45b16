//! What the model promises a program.

use superstep_algorithms::{
    BoundaryError, Broadcast, Combined, Context, Each, Execution, Graph, Sum, VertexProgram,
};

use crate::{PARTITIONS, layout, run};

/// Keeps what came, in the order in which it came.
struct Witness;

impl VertexProgram for Witness {
    type Value = Vec<(u64, u32, u32)>;
    type Message = (u32, u32);
    type Aggregate = Sum;
    type Delivery = Each;

    fn initial(&self, _: &Graph, _: u32) -> Self::Value {
        Vec::new()
    }

    fn compute(&self, context: &mut Context<'_, Self>, seen: &mut Self::Value, messages: &[(u32, u32)]) {
        let superstep = context.superstep();
        seen.extend(messages.iter().map(|(from, ordinal)| (superstep, *from, *ordinal)));
        seen.push((superstep, u32::MAX, u32::try_from(context.aggregate().0).unwrap()));
        context.contribute(&Sum(1));
        if superstep == 0 {
            let (own, all) = (context.vertex(), u32::try_from(context.graph().vertices()).unwrap());
            // Backwards, so that an order by accident is not the order that is promised.
            for target in (0..all).rev().filter(|target| *target != 3) {
                context.send(target, (own, 0));
                context.send(target, (own, 1));
            }
        }
        // Vertex 2 stays awake for two supersteps more.
        if context.vertex() != 2 || superstep == 2 {
            context.vote_to_halt();
        }
    }
}

#[test]
fn messages_come_in_the_order_of_their_senders_to_those_they_were_sent_to() {
    let graph = Graph::directed(6, &[]).unwrap();
    let outcome = run(&Witness, &graph);
    let senders: Vec<(u64, u32, u32)> = (0..6).flat_map(|from| [(1, from, 0), (1, from, 1)]).collect();
    let first = (0, u32::MAX, 0);
    for (vertex, seen) in outcome.values.iter().enumerate() {
        let mut expected = vec![first];
        if vertex != 3 {
            expected.extend(&senders);
            // All six were computed in superstep 0.
            expected.push((1, u32::MAX, 6));
        }
        if vertex == 2 {
            // Five were computed in superstep 1.
            expected.push((2, u32::MAX, 5));
        }
        assert_eq!(*seen, expected, "vertex {vertex}");
    }
    assert_eq!((outcome.supersteps, outcome.aggregate), (3, Sum(1)));
}

/// Sends 1 to vertex 0, and keeps how many messages came and what they sum up to.
struct Count;

impl VertexProgram for Count {
    type Value = (usize, u64);
    type Message = Sum;
    type Aggregate = ();
    type Delivery = Combined;

    fn initial(&self, _: &Graph, _: u32) -> (usize, u64) {
        (0, 0)
    }

    fn compute(&self, context: &mut Context<'_, Self>, seen: &mut (usize, u64), messages: &[Sum]) {
        *seen = (messages.len(), messages.iter().map(|sum| sum.0).sum());
        if context.superstep() == 0 {
            context.send(0, Sum(1));
            context.send(1, Sum(0));
        }
        context.vote_to_halt();
    }
}

#[test]
fn a_combiner_leaves_one_message_per_sending_partition_and_one_for_the_receiver() {
    let graph = Graph::directed(1000, &[]).unwrap();
    assert_eq!(run(&Count, &graph).values[0], (1, 1000));
    for partitions in PARTITIONS {
        let mut execution = Execution::new(&Count, &graph, layout(partitions, 2));
        assert!(execution.step());
        // To send the identity is to send nothing: vertex 1 is in it without a wake-up.
        assert_eq!(execution.boundary().pending, [(0, Sum(1000)), (1, Sum(0))]);
        assert!(execution.step() && !execution.step());
        let values = execution.boundary().values;
        assert_eq!((values[0], values[1]), ((1, 1000), (0, 0)));
    }
}

/// Sends twice.
struct Twice;

impl VertexProgram for Twice {
    type Value = u64;
    type Message = Sum;
    type Aggregate = ();
    type Delivery = Broadcast;

    fn initial(&self, _: &Graph, _: u32) -> u64 {
        0
    }

    fn compute(&self, context: &mut Context<'_, Self>, value: &mut u64, messages: &[Sum]) {
        *value += messages.iter().map(|sum| sum.0).sum::<u64>();
        if context.superstep() == 0 {
            context.send_along(Sum(1));
            context.send_along(Sum(10));
        }
        context.vote_to_halt();
    }
}

#[test]
fn parallel_edges_carry_a_message_once_each_fetched_or_pushed() {
    // In the second graph vertices that neither send nor receive make pushing the cheaper way.
    for vertices in [3, 1000] {
        let graph = Graph::directed(vertices, &[(0, 1), (0, 1), (2, 1), (1, 1)]).unwrap();
        assert_eq!(run(&Twice, &graph).values[..3], [0, 44, 0]);
    }
}

#[test]
fn a_boundary_of_another_graph_is_refused() {
    let graph = Graph::directed(4, &[(0, 1)]).unwrap();
    let mut boundary = Execution::new(&Count, &graph, layout(1, 1)).boundary();
    let other = Graph::directed(3, &[]).unwrap();
    let error = Execution::resume(&Count, &other, layout(1, 1), boundary.clone()).err();
    assert_eq!(error, Some(BoundaryError::OtherGraph { values: 4, vertices: 3 }));
    boundary.pending.push((4, Sum(1)));
    let error = Execution::resume(&Count, &graph, layout(1, 1), boundary).err();
    assert_eq!(error, Some(BoundaryError::NoSuchVertex { vertex: 4, vertices: 4 }));
}
