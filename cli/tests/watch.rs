//! A run is watched from another process: every event once, from any offset, whoever drives it.

use std::fs::{self, File};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::command::{Home, Running, calls, until};
use crate::random::Random;
use crate::reach::driven;

/// The whole lines that a watcher has written: what a killed one has begun to write is not seen.
fn lines(text: &str) -> Vec<Value> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The durable ones of them.
fn durable(text: &str) -> Vec<Value> {
    lines(text).into_iter().filter(|event| event.get("offset").is_some()).collect()
}

#[test]
fn a_run_that_has_ended_is_told_and_its_end_is_the_watchers() {
    let home = Home::new();
    for (graph, code, end) in
        [("changes", 0, "succeeded"), ("failing", 1, "failed: bad"), ("limited", 3, "limit reached")]
    {
        let run = home.line(&format!("run -f tests/graphs/{graph}.yaml --run-id {graph}")).with(code);
        let watched = home.line(&format!("watch {graph}")).with(code);
        assert_eq!(watched.stdout, run.stdout);
        let shown = home.line(&format!("watch {graph} --progress always")).with(code).saying("superstep 0  ");
        assert!(shown.stderr.contains(end), "{shown:?}");
        let told = lines(&home.line(&format!("watch {graph} --output jsonl")).with(code).stdout);
        let [.., ended, result] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((&ended["event"], &result["outputs"]), (&json!("ended"), &run.json()));
        assert!(ended["status"].as_str().unwrap().starts_with(end), "{ended}");
        let offset = ended["offset"].as_u64().unwrap();
        let rest = home.line(&format!("watch {graph} --output jsonl --offset {}", offset - 2)).with(code);
        assert_eq!(durable(&rest.stdout), told[told.len() - 3..told.len() - 1]);
    }
    let late = lines(&home.line("watch changes --output jsonl --from 2").with(0).stdout);
    assert!(
        late.iter()
            .all(|event| event.get("superstep").is_none_or(|superstep| *superstep == 2 || *superstep == 3))
    );
    home.line("watch none").with(2).saying("not in the store");
    home.line("watch changes --from 1 --offset 2").with(2);
}

#[test]
fn one_who_watches_sees_texts_as_they_are_written_and_what_is_done_and_can_leave() {
    let home = Home::new();
    let running = driven(&home);
    let log = home.path().join("seen");
    let watching = Running::start(
        home.command(["watch", "loop", "--output", "jsonl"]).stdout(File::create(&log).unwrap()),
    );
    let seen = || lines(&fs::read_to_string(&log).unwrap());
    until("a text is seen", || seen().iter().any(|event| event["event"] == "text"));
    let texts = seen().into_iter().find(|event| event["event"] == "text").unwrap();
    assert!(texts["activation"].as_str().unwrap().starts_with("step@") && texts.get("offset").is_none());
    until("several supersteps are seen", || {
        seen().iter().filter(|event| event["event"] == "committed").count() > 4
    });
    watching.signal(Signal::INT);
    watching.end().with(4);
    // The run has not noticed.
    let mut all = home.command(["watch", "loop", "--progress", "always"]);
    let watching = Running::start(&mut all);
    home.line("cancel loop").with(0);
    let watched = watching.end().with(1).saying("superstep 2  step").saying("run loop cancelled");
    assert_eq!(watched.stdout, running.end().with(1).stdout);
}

#[test]
fn a_run_that_nobody_drives_is_waited_for() {
    let home = Home::new();
    assert!(driven(&home).kill().is_none());
    let said = home.path().join("said");
    let watching = Running::start(home.command(["watch", "loop"]).stderr(File::create(&said).unwrap()));
    let text = || fs::read_to_string(&said).unwrap();
    until("it says so", || text().contains("nobody drives the run: it goes on with: superstep resume loop"));
    home.line("cancel loop").with(0);
    watching.end().with(1);
}

/// Watches a run again and again from the last offset that was seen, killed each time, until the run has ended;
/// all that was seen.
fn watch_killed_again_and_again(home: &Home, random: &mut Random) -> (Vec<Value>, u32) {
    let (mut seen, mut kills): (Vec<Value>, u32) = (Vec::new(), 0);
    let mut window = 60_000;
    loop {
        let offset = seen.last().map_or(0, |event| event["offset"].as_u64().unwrap());
        let log = home.path().join("seen");
        let arguments =
            ["watch", "calls", "--output", "jsonl", "--offset", &offset.to_string()].map(str::to_owned);
        let watching = Running::start(home.command(arguments).stdout(File::create(&log).unwrap()));
        std::thread::sleep(Duration::from_micros(random.below(window)));
        let ended = watching.kill();
        seen.extend(durable(&fs::read_to_string(&log).unwrap()));
        if let Some(ended) = ended {
            ended.with(0);
            return (seen, kills);
        }
        kills += 1;
        window += window / 16;
    }
}

#[test]
fn killed_watchers_of_killed_drivers_see_each_event_once() {
    let mut all = 0;
    // A watcher who sleeps while the run ends is killed less often.
    for seed in 1..40 {
        let home = Home::new();
        let mut random = Random(seed);
        let driver = Running::start(&mut home.command(calls("calls")));
        until("the run has begun", || !home.records("calls").is_empty());
        let (seen, kills) = std::thread::scope(|scope| {
            let watching = scope.spawn(|| watch_killed_again_and_again(&home, &mut Random(seed + 100)));
            let mut driver = Some(driver);
            let mut window = 60_000;
            loop {
                std::thread::sleep(Duration::from_micros(random.below(window)));
                if driver.take().unwrap().kill().is_some() {
                    return watching.join().unwrap();
                }
                window += window / 16;
                driver = Some(Running::start(&mut home.command(["resume", "calls"])));
            }
        });
        let undisturbed = durable(&home.line("watch calls --output jsonl").with(0).stdout);
        assert_eq!(seen, undisturbed, "seed {seed}, {kills} kills");
        all += kills;
        if seed >= 3 && all > 12 {
            return;
        }
    }
    panic!("{all} kills say little");
}
