//! The engine's records as the log stores them.

use crate::record::Record;

impl Record for superstep_engine::Record {
    const FORMAT: u16 = 1;
}
