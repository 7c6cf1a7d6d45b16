//! Torn tails are repaired, corrupt records are refused, and the two are never confused.

use std::fs;

use superstep_store::{Contents, Damage, StoreError};

use crate::entries::{Disk, Entry, entries};

const SECTOR: usize = 512;
/// What the operating system may have allocated behind the last frame.
const AHEAD: usize = 4 * SECTOR;

fn open(disk: &Disk) -> Result<Contents<Entry>, StoreError> {
    disk.store().open(&disk.run, "test").map(|(_, contents)| contents)
}

/// A log of two acknowledged batches and a last one: its bytes before the last one and with it.
fn before_and_after(last: &[Entry]) -> (Disk, Vec<u8>, Vec<u8>) {
    let acknowledged = [entries(0..1), entries(1..3)];
    let before = Disk::with(&acknowledged).bytes();
    let disk = Disk::with(&[&acknowledged[..], &[last.to_vec()]].concat());
    let after = disk.bytes();
    assert!(after.starts_with(&before));
    (disk, before, after)
}

/// Expects that a reader takes the last batch for torn.
fn assert_torn(disk: &Disk, offset: usize) {
    let contents = disk.store().read_only(&disk.run).unwrap();
    assert_eq!(contents.records, entries(0..3));
    assert_eq!(contents.torn.unwrap().offset, offset as u64);
}

/// Expects that the last batch is cut off, that the log goes on, and that the second opening finds nothing torn.
fn assert_repairs(disk: &Disk, offset: usize) {
    let contents = open(disk).unwrap();
    assert_eq!(contents.records, entries(0..3));
    assert_eq!(contents.torn.unwrap().offset, offset as u64);
    let (mut log, contents) = disk.store().open(&disk.run, "test").unwrap();
    assert_eq!((contents.records, contents.torn), (entries(0..3), None));
    log.append(entries(3..4)).wait().unwrap();
    drop(log);
    assert_eq!(open(disk).unwrap().records, entries(0..4));
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let (disk, before, after) = before_and_after(&[Entry::wide(3, 900)]);
    for kept in before.len() + 1..after.len() {
        let mut torn = after[..kept].to_vec();
        for length in [kept, after.len() + AHEAD] {
            torn.resize(length, 0);
            disk.replace(&torn);
            assert_torn(&disk, before.len());
            // Repairing syncs, so a sample has to do.
            if kept % 50 == 0 {
                assert_repairs(&disk, before.len());
            }
        }
    }
}

#[test]
fn a_tail_that_lost_any_of_its_sectors_is_cut_off() {
    let (disk, before, after) = before_and_after(&[Entry::wide(3, 4 * SECTOR)]);
    let (first, last) = (before.len() / SECTOR, (after.len() - 1) / SECTOR);
    let count = last - first + 1;
    assert!(count >= 5);
    for lost in 1_u32..(1 << count) - 1 {
        let mut torn = after.clone();
        torn.resize(after.len() + AHEAD, 0);
        for sector in (0..count).filter(|sector| lost & (1 << sector) != 0) {
            let begin = ((first + sector) * SECTOR).max(before.len());
            torn[begin..(first + sector + 1) * SECTOR].fill(0);
        }
        disk.replace(&torn);
        assert_torn(&disk, before.len());
        if lost % 7 == 0 {
            assert_repairs(&disk, before.len());
        }
    }
}

#[test]
fn a_write_that_never_reached_the_disk_leaves_nothing_torn() {
    let (disk, mut before, _) = before_and_after(&entries(3..4));
    before.resize(before.len() + AHEAD, 0);
    disk.replace(&before);
    let contents = open(&disk).unwrap();
    assert_eq!((contents.records, contents.torn), (entries(0..3), None));
}

#[test]
fn every_flipped_bit_of_an_acknowledged_log_is_refused() {
    let wide = vec![Entry::wide(2, 1_300)];
    let batches = [entries(0..1), entries(1..2), wide, entries(3..6), entries(6..7)];
    let disk = Disk::with(&batches);
    let (store, whole) = (disk.store(), disk.bytes());
    for ahead in [0, AHEAD] {
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                flipped.resize(whole.len() + ahead, 0);
                disk.replace(&flipped);
                let outcome = store.open(&disk.run, "test").map(|(_, contents)| contents);
                assert!(
                    matches!(outcome, Err(StoreError::Corrupt { .. })),
                    "byte {at} bit {bit}: {outcome:?}"
                );
                assert_eq!(disk.bytes(), flipped, "a refused log is left as it is");
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_a_batch_with_zero_sectors_is_refused() {
    let (disk, before, after) = before_and_after(&[Entry::blank(3, 3 * SECTOR)]);
    for at in before.len()..after.len() {
        let mut flipped = after.clone();
        flipped[at] ^= 0x10;
        disk.replace(&flipped);
        assert!(matches!(open(&disk), Err(StoreError::Corrupt { .. })), "byte {at}");
    }
}

#[test]
fn corruption_names_file_offset_and_record() {
    let (disk, before, mut bytes) = before_and_after(&entries(3..4));
    let at = before.len() - 12;
    bytes[at] ^= 1;
    disk.replace(&bytes);
    let Err(StoreError::Corrupt { file, offset, record, why }) = open(&disk) else { panic!("it opened") };
    assert_eq!((file, record, why), (disk.segment(), 1, Damage::Checksum));
    assert_eq!(offset, Disk::with(&[entries(0..1)]).bytes().len() as u64);
    let message = disk.store().read_only(&disk.run).unwrap_err().to_string();
    for part in ["0000000000000000.log", "record 1", &format!("byte {offset}")] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_lost_sector_before_whole_frames_is_refused() {
    let batches: Vec<_> = (0..40).map(|number| entries(number..number + 1)).collect();
    let disk = Disk::with(&batches);
    let whole = disk.bytes();
    for sector in 1..whole.len() / SECTOR {
        let mut lost = whole.clone();
        lost[sector * SECTOR..(sector + 1) * SECTOR].fill(0);
        disk.replace(&lost);
        assert!(matches!(open(&disk), Err(StoreError::Corrupt { .. })), "sector {sector}");
    }
}

#[test]
fn a_frame_of_another_history_breaks_the_chain() {
    let ours = Disk::with(&[entries(0..1), entries(1..2)]);
    let theirs = Disk::with(&[entries(5..6), entries(1..2)]).bytes();
    let mut spliced = ours.bytes();
    let second = Disk::with(&[entries(0..1)]).bytes().len();
    assert_eq!(spliced.len(), theirs.len());
    spliced[second..].copy_from_slice(&theirs[second..]);
    ours.replace(&spliced);
    let outcome = open(&ours);
    assert!(matches!(outcome, Err(StoreError::Corrupt { record: 1, why: Damage::Chain, .. })), "{outcome:?}");
}

#[test]
fn a_damaged_blob_is_refused_and_can_be_put_again() {
    let disk = Disk::with(&[]);
    let blobs = disk.store().blobs(&disk.run).unwrap();
    let digest = blobs.put(b"payload").unwrap();
    let name = digest.to_string();
    let file = disk.path().join("runs/run/blobs").join(&name[..2]).join(&name[2..]);
    fs::write(&file, b"pAyload").unwrap();
    assert!(matches!(blobs.get(digest), Err(StoreError::CorruptBlob { .. })));
    blobs.put(b"payload").unwrap();
    assert_eq!(&*blobs.get(digest).unwrap(), b"payload");
}
