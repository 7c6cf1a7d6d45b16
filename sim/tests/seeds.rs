//! A share of the seeds, the runs that once found something, and proof that the checkers can.

use std::path::Path;

use superstep_sim::{
    Case, Counters, Family, Faults, Planted, SHAPES, Sabotage, Seed, Side, Trial, all, crashes, run_seed,
    run_with, search, shape, shrink,
};

/// Runs seeds, and says which broke a rule.
fn broken(seeds: impl Iterator<Item = Seed>, total: &mut Counters) -> Vec<String> {
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
    let found = broken((0..1_200).map(Seed::in_turn), &mut total);
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
    let seeds: Vec<Seed> =
        lines.map(|line| line.split_whitespace().next().unwrap().parse().unwrap()).collect();
    assert!(!seeds.is_empty());
    let found = broken(seeds.into_iter(), &mut Counters::default());
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// The cases in the folder of regressions, by the names of their files.
fn cases() -> Vec<(String, Case)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("it can be read").path()).collect();
    paths.sort();
    let cases = paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    cases.map(|path| (path.display().to_string(), Case::read(&path).expect("it is a case"))).collect()
}

#[test]
fn cases_that_found_something_hold() {
    let cases = cases();
    assert!(!cases.is_empty());
    for (name, case) in cases.into_iter().filter(|(_, case)| case.excluded.is_none()) {
        assert_eq!(run_with(&case.scenario, &case.faults, None, false).violation, None, "{name}");
    }
}

#[test]
fn cases_that_were_made_for_a_mistake_find_it() {
    let mut found = 0;
    for (name, case) in cases() {
        let planted = all().into_iter().find(|planted| Some(planted.to_string()) == case.finds);
        let Some(planted) = planted else { continue };
        assert!(run_with(&case.scenario, &case.faults, Some(planted), false).violation.is_some(), "{name}");
        found += 1;
    }
    assert!(found >= 8, "{found} were looked for");
}

#[test]
fn a_case_is_small_and_still_fails_and_is_read_as_it_was_written() {
    let planted = Some(Planted::Driver(Sabotage::ForgottenOutcomes));
    let seed =
        (0..).map(Seed::in_turn).find(|seed| run_seed(*seed, planted, false).violation.is_some()).unwrap();
    let (scenario, faults) = seed.unfold();
    let fails = |scenario: &_, faults: &_| run_with(scenario, faults, planted, false).violation.is_some();
    let (small, calm) = shrink(&scenario, &faults, 1_500, &fails);
    assert!(fails(&small, &calm));
    let size = |scenario: &superstep_sim::Scenario| serde_json::to_string(scenario).unwrap().len();
    assert!(size(&small) * 2 < size(&scenario), "{} of {} bytes are left", size(&small), size(&scenario));
    let case =
        Case { origin: format!("seed {seed}"), finds: None, excluded: None, scenario: small, faults: calm };
    let path = std::env::temp_dir().join(format!("superstep-sim-case-{}.json", std::process::id()));
    case.write(&path).unwrap();
    let read = Case::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read, case);
    assert!(fails(&read.scenario, &read.faults));
}

#[test]
fn a_seed_comes_to_the_same_twice() {
    for seed in (0..150).map(Seed::in_turn) {
        assert_eq!(run_seed(seed, None, false).trace, run_seed(seed, None, false).trace, "seed {seed}");
    }
    assert_ne!(run_seed(Seed::usual(1), None, false).trace, run_seed(Seed::usual(2), None, false).trace);
}

#[test]
fn a_crash_at_every_write_of_every_shape_changes_nothing() {
    for name in SHAPES.iter().filter(|name| **name != "wide") {
        let scenario = shape(name).unwrap();
        let crashes = crashes(&scenario, Some(20));
        assert!(crashes.runs.len() > 30, "{name} has {} crashes", crashes.runs.len());
        let mut trial = Trial::new(&scenario);
        for faults in &crashes.runs {
            let verdict = trial.run(faults, false);
            assert!(verdict.counters.crashes >= 1, "{name}, {faults:?}");
            assert_eq!(verdict.violation, None, "{name}, {faults:?}");
        }
    }
}

#[test]
fn a_thousand_branches_are_joined_whatever_crashes() {
    let scenario = shape("wide").unwrap();
    let mut trial = Trial::new(&scenario);
    for write in 1..4 {
        let faults =
            Faults { crash_at: vec![(write, Side::After), (write + 1, Side::Before)], ..Faults::none(1) };
        let verdict = trial.run(&faults, false);
        assert_eq!((verdict.violation, verdict.counters.crashes), (None, 2));
    }
}

#[test]
fn the_model_of_the_rules_knows_every_strange_graph() {
    let seeds = (0..300).map(Seed::in_turn).filter(|seed| seed.family == Family::Strange);
    let mut total = Counters::default();
    let found = broken(seeds, &mut total);
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(total.predicted_runs >= 95, "{} of 100 were compared", total.predicted_runs);
}

#[test]
fn every_defect_of_a_driver_is_found() {
    for sabotage in Sabotage::ALL {
        let found = search(Planted::Driver(sabotage), 1, 3_000);
        assert!(found.is_some(), "{sabotage:?} is not found");
    }
}
