//! Locks, group commit, and readers beside a writer.

use std::thread;

use superstep_store::{Position, RunName, StoreError};

use crate::entries::{Disk, Entry, entries};

#[test]
fn a_held_run_names_its_holder() {
    let disk = Disk::with(&[entries(0..1)]);
    let held = disk.store().open(&disk.run, "worker seven").unwrap();
    let Err(StoreError::Locked { holder, .. }) = disk.store().open(&disk.run, "another") else {
        panic!("two writers")
    };
    assert!(holder.contains("worker seven") && holder.contains(&std::process::id().to_string()), "{holder}");
    assert!(matches!(disk.store().remove(&disk.run), Err(StoreError::Locked { .. })));
    assert_eq!(disk.store().read_only(&disk.run).unwrap().records, entries(0..1));
    drop(held);
    disk.store().open(&disk.run, "another").unwrap();
}

#[test]
fn appends_that_wait_together_share_a_sync() {
    let mut fewest = u64::MAX;
    // On a busy machine one append may be synced before the next one is asked for, and none waits.
    for _ in 0..50 {
        let disk = Disk::with(&[]);
        let store = disk.store();
        let (mut log, _) = store.open(&disk.run, "test").unwrap();
        let appends: Vec<_> = (0..500).map(|number| log.append(entries(number..number + 1))).collect();
        for (position, append) in (0..).zip(appends) {
            assert_eq!(append.wait().unwrap(), Position(position));
        }
        fewest = fewest.min(store.commits());
        drop(log);
        assert_eq!(disk.store().read_only(&disk.run).unwrap().records, entries(0..500));
        if fewest < 250 {
            return;
        }
    }
    panic!("{fewest} syncs for 500 appends");
}

#[test]
fn each_of_many_runs_keeps_its_own_records() {
    let disk = Disk::with(&[]);
    let store = disk.store();
    let name = |number: u64| -> RunName { format!("run-{number}").parse().unwrap() };
    thread::scope(|scope| {
        for number in 0..8 {
            let store = store.clone();
            scope.spawn(move || {
                let mut log = store.create(&name(number), "test").unwrap();
                for step in 0..25 {
                    let appends =
                        [log.append(vec![Entry::wide(number, 5)]), log.append(entries(step..step + 1))];
                    for append in appends {
                        append.wait().unwrap();
                    }
                }
            });
        }
    });
    assert!(store.commits() < 400, "{} syncs for 400 appends", store.commits());
    for number in 0..8 {
        let expected: Vec<_> =
            (0..25).flat_map(|step| [Entry::wide(number, 5), Entry::wide(step, 20)]).collect();
        assert_eq!(store.open(&name(number), "test").unwrap().1.records, expected);
    }
}

#[test]
fn a_reader_beside_a_writer_sees_whole_batches() {
    let disk = Disk::with(&[]);
    let store = disk.store();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut log, _) = store.open(&disk.run, "test").unwrap();
            for step in 0..150 {
                let wide = |number| Entry::wide(number, 2_000);
                log.append(vec![wide(2 * step), wide(2 * step + 1)]).wait().unwrap();
            }
        });
        let reader = disk.store();
        while !writer.is_finished() {
            let records = reader.read_only(&disk.run).unwrap().records;
            assert_eq!(records.len() % 2, 0);
            assert!(records.iter().zip(0..).all(|(record, number)| *record == Entry::wide(number, 2_000)));
        }
    });
}

#[test]
fn a_log_goes_on_over_segments() {
    let disk = Disk::with(&[]);
    let store = disk.store();
    let (mut log, _) = store.open(&disk.run, "test").unwrap();
    let wide = |number: u64| (0..50).map(move |at| Entry::wide(50 * number + at, 60_000)).collect::<Vec<_>>();
    for number in 0..13 {
        log.append(wide(number)).wait().unwrap();
    }
    assert_eq!(log.read(Position(12 * 50)).unwrap(), wide(12));
    drop(log);
    let expected: Vec<_> = (0..13).flat_map(wide).collect();
    assert_eq!(disk.store().open(&disk.run, "test").unwrap().1.records, expected);

    let mut segments: Vec<_> = std::fs::read_dir(disk.segment().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
        .collect();
    segments.sort();
    assert_eq!(segments.len(), 3);
    std::fs::remove_file(&segments[1]).unwrap();
    assert!(matches!(disk.store().open(&disk.run, "test"), Err(StoreError::Corrupt { .. })));
}
