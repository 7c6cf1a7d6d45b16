//! Objects that are not as they were written.

use futures::executor::block_on;
use object_store::ObjectStoreExt;

use super::*;
use crate::{Damage, StoreError, object::reader::object};

/// A log of three appends, each an object, and the names of all four.
fn written() -> (Arc<Faulty>, ObjectRuns, Vec<Path>) {
    let (objects, runs, mut log) = begun();
    for text in ["a", "b", "c"] {
        append(&mut log, text).wait().unwrap();
    }
    let folder = runs.log_folder(&run());
    (objects, runs, (0..4).map(|number| object(&folder, number)).collect())
}

fn bytes(objects: &Faulty, path: &Path) -> Vec<u8> {
    block_on(async { objects.sound().get(path).await.unwrap().bytes().await.unwrap() }).to_vec()
}

fn replace(objects: &Faulty, path: &Path, bytes: Vec<u8>) {
    block_on(objects.sound().put(path, bytes.into())).unwrap();
}

#[test]
fn every_flipped_bit_and_every_cut_of_an_object_is_refused() {
    let (objects, runs, paths) = written();
    for (number, path) in paths.iter().enumerate() {
        let whole = bytes(&objects, path);
        let flipped = (0..whole.len() * 8).step_by(3).map(|bit| {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        });
        let cut = (0..whole.len()).map(|length| whole[..length].to_vec());
        let longer = [0_u8, 1].map(|byte| [whole.as_slice(), &[byte]].concat());
        for damaged in flipped.chain(cut).chain(longer) {
            replace(&objects, path, damaged.clone());
            let outcome = runs.open::<Note>(&run()).map(drop);
            // The number of the writer is checked, and its meaning is not known to a reader.
            let Err(StoreError::Corrupt { file, record, .. }) = &outcome else {
                panic!("object {number}: {outcome:?} of {damaged:?}")
            };
            assert_eq!(*record, (number as u64).saturating_sub(1));
            assert!(file.ends_with(path.filename().unwrap()), "{}", file.display());
            assert!(file.starts_with("test://bucket/a/root/runs/run/log"), "{}", file.display());
        }
        replace(&objects, path, whole);
    }
    runs.open::<Note>(&run()).unwrap();
}

#[test]
fn an_object_of_another_history_breaks_the_chain() {
    let (objects, runs, paths) = written();
    let (others, _, _) = written();
    replace(&objects, &paths[2], bytes(&others, &paths[3]));
    let outcome = runs.read_only::<Note>(&run()).map(drop);
    let why = Damage::SegmentGap { expected: 1, found: 2 };
    assert!(matches!(&outcome, Err(StoreError::Corrupt { why: found, .. }) if *found == why), "{outcome:?}");
}

#[test]
fn an_object_that_the_store_has_lost_is_missed() {
    let (objects, runs, paths) = written();
    for lost in [1, 2] {
        let whole = bytes(&objects, &paths[lost]);
        block_on(objects.sound().delete(&paths[lost])).unwrap();
        for outcome in [runs.open::<Note>(&run()).map(drop), runs.read_only::<Note>(&run()).map(drop)] {
            let missed = matches!(outcome, Err(StoreError::Corrupt { why: Damage::ObjectMissing, .. }));
            assert!(missed, "{outcome:?}");
        }
        replace(&objects, &paths[lost], whole);
    }
    runs.open::<Note>(&run()).unwrap();
}

#[test]
fn a_newer_object_is_refused() {
    let (objects, runs, paths) = written();
    let mut newer = bytes(&objects, &paths[3]);
    newer[8..10].copy_from_slice(&2_u16.to_le_bytes());
    let checksum = crc32c::crc32c(&newer[..28]);
    newer[28..32].copy_from_slice(&checksum.to_le_bytes());
    replace(&objects, &paths[3], newer);
    let outcome = runs.read_only::<Note>(&run()).map(drop);
    assert!(matches!(outcome, Err(StoreError::NewerFormat { what: "object", found: 2, known: 1, .. })));
}

#[test]
fn a_follower_keeps_its_place_when_it_meets_damage() {
    let (objects, runs, paths) = written();
    let store = store_over(&objects);
    let whole = bytes(&objects, &paths[2]);
    let mut damaged = whole.clone();
    damaged[100] ^= 1;
    replace(&objects, &paths[2], damaged);
    let mut follower = store.follow(&run(), Position(0)).unwrap();
    for _ in 0..2 {
        assert!(matches!(follower.read(), Err(StoreError::Corrupt { record: 1, .. })));
    }
    replace(&objects, &paths[2], whole);
    assert_eq!(texts(&follower.read().unwrap()), ["a", "b", "c"]);
    drop(runs);
}
