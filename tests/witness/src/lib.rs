//! Who sees what becomes of runs under faults: a model server that keeps a ledger of all that it is asked, and an oracle
//! that holds the ledger beside the log of a run and beside a run that nothing has disturbed.

mod asking;
mod checks;
mod ledger;
mod model;
mod oracle;
mod progress;
mod random;
mod run_end;

pub use asking::{CALLS, asking, messages};
pub use checks::Checks;
pub use ledger::{Call, End, Ledger, UnderWay};
pub use model::serve;
pub use oracle::{Oracle, Reference};
pub use progress::{Progress, Step};
pub use random::Random;
pub use run_end::RunEnd;
