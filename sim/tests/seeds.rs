//! A share of the seeds, the seeds that once found something, and proof that the checkers can.

use superstep_sim::{Counters, Faults, SHAPES, Sabotage, Side, run, run_seed, shape};

/// Runs seeds until `enough`, and says which broke a rule.
fn broken(seeds: impl Iterator<Item = u64>, total: &mut Counters) -> Vec<String> {
    let verdicts = seeds.map(|seed| (seed, run_seed(seed, None, false)));
    verdicts
        .filter_map(|(seed, verdict)| {
            total.add(&verdict.counters);
            verdict.violation.map(|violation| format!("seed {seed}: {violation}"))
        })
        .collect()
}

#[test]
fn rules_hold_in_random_runs() {
    let mut total = Counters::default();
    let found = broken(0..1_000, &mut total);
    assert!(found.is_empty(), "{}", found.join("\n"));
    // A simulation in which nothing happens proves nothing.
    for (name, count) in total.rows() {
        assert!(count > 0, "{name} never happened");
    }
}

#[test]
fn seeds_that_found_something_hold() {
    let text = include_str!("../regressions/seeds.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let seeds: Vec<u64> =
        lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert!(!seeds.is_empty());
    let found = broken(seeds.into_iter(), &mut Counters::default());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_seed_comes_to_the_same_twice() {
    for seed in 0..100 {
        assert_eq!(run_seed(seed, None, false).trace, run_seed(seed, None, false).trace, "seed {seed}");
    }
    assert_ne!(run_seed(1, None, false).trace, run_seed(2, None, false).trace);
}

#[test]
fn a_crash_at_every_write_of_every_shape_changes_nothing() {
    for name in SHAPES {
        let scenario = shape(name).unwrap();
        for partitions in 1..=3 {
            let calm = Faults { partitions, latency: partitions > 1, ..Faults::none(u64::from(partitions)) };
            let writes = run(&scenario, &calm, false).writes;
            assert!(writes >= 3, "{name} writes {writes} times");
            for write in 0..writes {
                for side in [Side::Before, Side::After] {
                    let faults = Faults { crash_at: Some((write, side)), ..calm.clone() };
                    let verdict = run(&scenario, &faults, false);
                    assert_eq!(verdict.counters.crashes, 1, "{name}");
                    let at = format!("{name}, {partitions} partitions, {side:?} write {write}");
                    assert_eq!(verdict.violation, None, "{at}");
                }
            }
        }
    }
}

#[test]
fn every_defect_of_a_driver_is_found() {
    for sabotage in Sabotage::ALL {
        let found = (0..400).find_map(|seed| {
            let violation = run_seed(seed, Some(sabotage), false).violation?;
            Some(format!("{sabotage:?} is found by seed {seed}: {violation}"))
        });
        println!("{}", found.as_deref().unwrap_or("nothing"));
        assert!(found.is_some(), "{sabotage:?} is not found");
    }
}
