//! A seeded simulator of the engine under faults.
//!
//! A seed determines a graph, what its programs do, and a schedule of what goes wrong: messages that
//! take their time and come twice, a store that fails on either side of a write, processes that die
//! between any two events and while they recover. The same engine as in production runs in it, its
//! coordinator and partitions joined by a simulated network, and checkers judge every step and the
//! end by rule 33 of the semantics. A seed can be replayed.

mod again;
mod audit;
mod behaviour;
mod budget;
mod case;
mod compacted;
mod counters;
mod defects;
mod exhaust;
mod faults;
mod generate;
mod history;
mod letters;
mod model;
mod random;
mod reference;
mod scenario;
mod seed;
mod shapes;
mod shrink;
mod store;
mod trial;
mod unreported;
mod words;
mod world;

pub use case::Case;
pub use counters::Counters;
pub use defects::{Found, all, search};
pub use exhaust::{Crashes, crashes};
pub use faults::{Faults, Hazards, Sabotage, Side};
pub use scenario::Scenario;
pub use seed::{Family, Seed};
pub use shapes::{NAMES as SHAPES, shape};
pub use shrink::shrink;
pub use trial::{Planted, Trial, Verdict, run, run_seed, run_with};
