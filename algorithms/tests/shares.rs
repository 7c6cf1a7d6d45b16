//! Executions whose partitions are apart: what they say goes as bytes through a network that holds, reorders and repeats.

use std::fmt::Debug;
use std::num::NonZeroUsize;

use superstep_algorithms::{
    Barrier, BoundaryOf, Broadcast, Combined, Components, ComputedOf, Each, Execution, Fixed, Graph,
    LabelPropagation, Next, Outcome, PageRank, Report, Share, ShareError, Split, Stamp, Taken, Triangles,
    VertexProgram, parts, rmat, unpack,
};

use crate::{PARTITIONS, layout};

/// More messages than that go in several parts.
const PART: usize = 7;
const TERM: u64 = 4;

fn split(partitions: usize, me: usize) -> Split {
    Split { partitions: NonZeroUsize::new(partitions).unwrap(), me, term: TERM }
}

/// What is on its way.
enum Parcel<A> {
    Columns { to: usize, bytes: Vec<u8> },
    Report { from: usize, report: Report<A> },
    Begin { to: usize, superstep: u64, aggregate: A },
}

/// Numbers by a linear congruential generator (Knuth, MMIX).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

struct World<'a, P: VertexProgram> {
    shares: Vec<Share<'a, P>>,
    /// What each was told to compute, and has not.
    told: Vec<Option<(u64, P::Aggregate)>>,
    barrier: Barrier<'a, P>,
    parcels: Vec<Parcel<P::Aggregate>>,
    chance: Chance,
    repeated: usize,
}

impl<'a, P: VertexProgram> World<'a, P>
where
    P::Message: Fixed,
{
    fn new(
        program: &'a P,
        graph: &'a Graph,
        partitions: usize,
        from: Option<&BoundaryOf<P>>,
        seed: u64,
    ) -> Self {
        let begun = (0..partitions).map(|me| match from {
            None => Share::new(program, graph, split(partitions, me)),
            Some(boundary) => Share::resume(program, graph, split(partitions, me), boundary).unwrap(),
        });
        let (shares, reports): (Vec<_>, Vec<_>) = begun.unzip();
        let barrier = match from {
            None => Barrier::new(program, partitions),
            Some(boundary) => {
                Barrier::standing(program, partitions, boundary.superstep, boundary.aggregate.clone())
            }
        };
        let parcels = reports.into_iter().enumerate().map(|(from, report)| Parcel::Report { from, report });
        let told = vec![None; partitions];
        let (parcels, chance) = (parcels.collect(), Chance(seed));
        Self { shares, told, barrier, parcels, chance, repeated: 0 }
    }

    /// Delivers what is on its way, in an order and as often as chance has it, to the end.
    fn run(mut self) -> (Outcome<P::Value, P::Aggregate>, usize) {
        loop {
            let some = self.chance.below(self.parcels.len());
            let parcel = self.parcels.swap_remove(some);
            let again = self.chance.below(4) == 0;
            match parcel {
                Parcel::Columns { to, bytes } => {
                    self.columns(to, &bytes);
                    if again {
                        self.parcels.push(Parcel::Columns { to, bytes });
                    }
                }
                Parcel::Begin { to, superstep, aggregate } => {
                    self.told[to] = Some((superstep, aggregate));
                    self.go_on(to);
                }
                Parcel::Report { from, report } => {
                    if again {
                        self.parcels.push(Parcel::Report { from, report: report.clone() });
                    }
                    let superstep = report.superstep;
                    match self.barrier.report(from, report) {
                        Some(Next::Superstep(aggregate)) => self.begin(superstep, &aggregate),
                        Some(Next::Ended { supersteps, aggregate }) => {
                            let values = self.shares.iter().flat_map(Share::values).cloned().collect();
                            return (Outcome { values, supersteps, aggregate }, self.repeated);
                        }
                        None => {}
                    }
                }
            }
        }
    }

    fn begin(&mut self, superstep: u64, aggregate: &P::Aggregate) {
        let begin = |to| Parcel::Begin { to, superstep, aggregate: aggregate.clone() };
        self.parcels.extend((0..self.shares.len()).map(begin));
    }

    fn columns(&mut self, to: usize, bytes: &[u8]) {
        let (stamp, letters) = unpack(bytes).unwrap();
        let taken = self.shares[to].take(stamp, letters).unwrap();
        assert_ne!(taken, Taken::Stale);
        self.repeated += usize::from(taken == Taken::Repeated);
        self.go_on(to);
    }

    /// Lets a share compute what it was told to, once it can.
    fn go_on(&mut self, me: usize) {
        let Some((superstep, aggregate)) = self.told[me].take() else { return };
        assert_eq!(self.shares[me].superstep(), superstep);
        let ready = self.shares[me].is_ready();
        let computed = self.shares[me].compute(&aggregate);
        assert_eq!(computed.is_some(), ready);
        match computed {
            None => self.told[me] = Some((superstep, aggregate)),
            Some(computed) => self.send(me, computed),
        }
    }

    fn send(&mut self, from: usize, computed: ComputedOf<P>) {
        for (to, letters) in computed.letters {
            assert_ne!(to, from);
            let parts = parts(computed.stamp, &letters, PART);
            self.parcels.extend(parts.map(|bytes| Parcel::Columns { to, bytes }));
        }
        self.parcels.push(Parcel::Report { from, report: computed.report });
    }
}

/// Runs a program on 1, 2 and 5 shares, and checks that they come to `outcome`.
pub(crate) fn check<P: VertexProgram>(program: &P, graph: &Graph, outcome: &Outcome<P::Value, P::Aggregate>)
where
    P::Message: Fixed,
    P::Value: PartialEq + Debug,
    P::Aggregate: Debug,
{
    for (seed, partitions) in (0..).zip(PARTITIONS) {
        let (found, _) = World::new(program, graph, partitions, None, seed).run();
        assert_eq!(found, *outcome, "{partitions} shares");
    }
}

fn from_any_superstep<P: VertexProgram>(program: &P, graph: &Graph)
where
    P::Message: Fixed,
    P::Value: PartialEq + Debug,
    P::Aggregate: Debug,
{
    let whole = Execution::new(program, graph, layout(1, 1)).run();
    let mut execution = Execution::new(program, graph, layout(3, 1));
    let mut repeated = 0;
    loop {
        let boundary = execution.boundary();
        for partitions in PARTITIONS {
            let (found, times) =
                World::new(program, graph, partitions, Some(&boundary), boundary.superstep).run();
            assert_eq!(found, whole, "{partitions} shares from superstep {}", boundary.superstep);
            repeated += times;
        }
        if !execution.step() {
            break;
        }
    }
    assert!(repeated > 0);
}

#[test]
fn shares_that_go_on_from_any_superstep_come_to_what_one_execution_comes_to() {
    let edges = rmat(7, 6, 11);
    for graph in [Graph::directed(1 << 7, &edges).unwrap(), Graph::undirected(1 << 7, &edges).unwrap()] {
        from_any_superstep(&PageRank::<Broadcast>::new(6, 0.85), &graph);
        from_any_superstep(&PageRank::<Combined>::new(6, 0.85), &graph);
        from_any_superstep(&PageRank::<Each>::new(6, 0.85), &graph);
        from_any_superstep(&Components, &graph);
        from_any_superstep(&LabelPropagation { iterations: 5 }, &graph);
        from_any_superstep(&Triangles::new(&graph), &graph);
    }
}

type Ranking<'a> = Share<'a, PageRank<Each>>;

/// Two shares of a graph in which each of the two vertices has an edge to the other one, after superstep 0 of the first.
fn two<'a>(
    program: &'a PageRank<Each>,
    graph: &'a Graph,
) -> (Ranking<'a>, Ranking<'a>, ComputedOf<PageRank<Each>>) {
    let (mut one, report) = Share::new(program, graph, split(2, 0));
    let (other, _) = Share::new(program, graph, split(2, 1));
    let computed = one.compute(&report.contribution).unwrap();
    (one, other, computed)
}

#[test]
fn what_is_stale_ahead_or_of_nobody_is_not_delivered() {
    let (program, graph) = (PageRank::<Each>::new(3, 0.85), Graph::directed(2, &[(0, 1), (1, 0)]).unwrap());
    let (mut one, mut other, computed) = two(&program, &graph);
    let (stamp, (to, letters)) = (computed.stamp, computed.letters[0].clone());
    assert_eq!((to, letters.len(), stamp.superstep, stamp.from), (1, 1, 1, 0));
    let take = |share: &mut Share<'_, _>, stamp| share.take(stamp, letters.clone());
    for term in [TERM - 1, TERM + 1] {
        assert_eq!(take(&mut other, Stamp { term, ..stamp }), Ok(Taken::Stale));
    }
    // A superstep is computed only after all have computed the one before.
    let far = Stamp { superstep: 2, ..stamp };
    assert_eq!(take(&mut other, far), Err(ShareError::Superstep { found: 2, present: 0 }));
    for from in [1, 2] {
        assert_eq!(take(&mut other, Stamp { from, ..stamp }), Err(ShareError::Partition(from)));
    }
    assert_eq!(
        one.take(Stamp { from: 1, ..stamp }, letters.clone()),
        Err(ShareError::Vertex { from: 1, vertex: 1 })
    );
    assert_eq!(take(&mut other, stamp), Ok(Taken::New));
    assert_eq!(take(&mut other, stamp), Ok(Taken::Repeated));
    let more = Stamp { parts: 2, ..stamp };
    assert_eq!(take(&mut other, more), Err(ShareError::Parts { from: 0, found: 2, known: 1 }));
    // Superstep 0 needs nothing that comes from elsewhere, and superstep 1 of the first needs what this one sends.
    let computed_too = other.compute(&computed.report.contribution).unwrap();
    assert!(other.is_ready() && !one.is_ready());
    assert!(one.compute(&computed.report.contribution).is_none());
    assert_eq!(one.superstep(), 1);
    let letters = computed_too.letters[0].1.clone();
    assert_eq!(one.take(computed_too.stamp, letters), Ok(Taken::New));
    assert!(one.compute(&computed.report.contribution).is_some());
    // What is of a superstep that was computed is a repetition.
    assert_eq!(one.take(computed_too.stamp, Vec::new()), Ok(Taken::Repeated));
}

#[test]
fn a_barrier_waits_for_all_and_counts_nobody_twice() {
    let program = PageRank::<Each>::new(3, 0.85);
    let report =
        |superstep, awake| Report { superstep, awake, sent: false, contribution: Default::default() };
    let mut barrier = Barrier::new(&program, 2);
    assert_eq!(barrier.report(0, report(0, 1)), None);
    assert_eq!(barrier.report(0, report(0, 1)), None);
    assert_eq!(barrier.report(2, report(0, 1)), None);
    assert_eq!(barrier.report(1, report(1, 1)), None);
    assert!(matches!(barrier.report(1, report(0, 0)), Some(Next::Superstep(_))));
    assert_eq!(barrier.report(1, report(0, 0)), None);
    assert_eq!(barrier.report(1, report(1, 0)), None);
    let ended = barrier.report(0, report(1, 0));
    assert!(matches!(ended, Some(Next::Ended { supersteps: 1, .. })));
    assert_eq!(barrier.report(0, report(1, 0)), None);
}
