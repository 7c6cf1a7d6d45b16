//! Stores that keep the promise, and stores that do not.

use super::*;
use crate::{StoreError, object::tests::faulty::Fault};

fn probe(fault: Fault) -> Result<(), StoreError> {
    let objects = Arc::new(Faulty::new());
    objects.set(fault);
    let outcome = over(&objects).probe();
    let left = futures::executor::block_on_stream(objects.sound().list(None)).count();
    assert_eq!(left, 0, "nothing is left of a probe");
    outcome
}

#[test]
fn a_store_that_is_exclusive_is_taken() {
    for fault in [Fault::None, Fault::LostAnswers(1), Fault::LostAnswers(5), Fault::Busy(9)] {
        probe(fault).unwrap();
    }
}

#[test]
fn a_store_that_is_not_exclusive_is_refused_by_name() {
    for fault in [Fault::Overwrites, Fault::Denies] {
        let refused = probe(fault).unwrap_err();
        assert!(matches!(refused, StoreError::NotExclusive { .. }), "{refused:?}");
        assert!(refused.to_string().contains("test://bucket/a/root"), "{refused}");
    }
}

#[test]
fn a_store_that_may_not_be_written_is_refused_as_such() {
    assert!(matches!(probe(Fault::Denied), Err(StoreError::Object { .. })));
}
