//! `superstep replay` and `superstep fork`: what happened happens again, or otherwise.

use std::fs;
use std::sync::Arc;

use serde_json::{Value, json};
use superstep_engine::{CallKey, Payload, Record, RunStatus};

use crate::command::{Ended, Home, calls, undisturbed};

/// Puts a log into the store.
fn keep(home: &Home, run: &str, records: Vec<Record>) {
    let mut log = home.store().create(&run.parse().unwrap(), "test").unwrap();
    log.append(records).wait().unwrap();
}

fn replay(home: &Home, run: &str) -> Ended {
    home.line(&format!("replay {run}"))
}

fn story() -> Home {
    let home = Home::new();
    home.run([
        "run",
        "-f",
        "tests/graphs/story.yaml",
        "--graph",
        "story",
        "--input",
        "{\"n\": 3}",
        "--run-id",
        "story",
    ])
    .with(0);
    home
}

fn outputs(ended: &Ended) -> Value {
    ended.json()["each"].clone()
}

#[test]
fn every_kind_of_run_is_replayed_to_the_byte_without_a_model_or_a_tool() {
    let home = story();
    home.run(calls("calls")).with(0);
    home.line("run -f tests/graphs/changes.yaml --run-id changes").with(0);
    home.line("run -f tests/graphs/limited.yaml --run-id limited").with(3);
    home.line("run -f tests/graphs/failing.yaml --run-id failing").with(1);
    let agent =
        ["run", "-f", "tests/graphs/agent.yaml", "--input", "{\"text\": \"1 + 2\"}", "--run-id", "agent"];
    home.run(agent).with(4);
    let unfinished = replay(&home, "agent").with(0).stdout;
    assert_eq!(unfinished, "identical: 1 superstep, 4 activations, 6 calls answered from the log\n");
    home.line("answer agent yes").with(0);
    let given = home.line("resume agent").with(0).json();
    assert_eq!((&given["all"][1], &given["all"][3]), (&json!(3), &json!({"text": "It is three."})));
    let before = fs::read(home.log("agent")).unwrap();
    for (run, supersteps, activations, calls) in [
        ("story", 10, 11, 0),
        ("calls", 21, 62, 41),
        ("changes", 3, 5, 1),
        ("limited", 3, 3, 0),
        ("failing", 2, 2, 1),
        ("agent", 3, 6, 6),
    ] {
        let told = home.line(&format!("replay {run} --output json")).with(0).json();
        let counted = [&told["supersteps"], &told["activations"], &told["calls"]];
        assert_eq!(told["identical"], true, "{told}");
        assert_eq!(counted, [&json!(supersteps), &json!(activations), &json!(calls)], "{run}: {told}");
    }
    assert_eq!(fs::read(home.log("agent")).unwrap(), before, "a replay has written to the log");
    let part = replay(&home, "story --from 5").with(0).stdout;
    assert!(part.starts_with("identical: 5 supersteps, "), "{part}");
    replay(&home, "story --from 10").with(2).saying("has no superstep 10");
    replay(&home, "nobody").with(2).saying("not in the store");
}

#[test]
fn a_changed_record_is_told_with_its_superstep_activation_and_field() {
    let home = Home::new();
    home.run(calls("calls")).with(0);
    let records = home.records("calls");
    let mut answered = records.clone();
    for record in &mut answered {
        if let Record::CallEnded { call, outcome } = record
            && (call.activation.vertex.as_str(), call.activation.superstep) == ("step", 7)
        {
            outcome.answer = Ok(Payload::from(json!({"text": "eight", "finish": "stop"})));
        }
    }
    keep(&home, "answered", answered);
    let told = replay(&home, "answered").with(7).stdout;
    let expected = "different: superstep 7, step@7, emissions[0].payload.text\n  the log has  \"seven\"\n  it comes to  \"eight\"\n";
    assert_eq!(told, expected);
    let told = home.line("replay answered --output json").with(7).json();
    let difference = json!({"superstep": 7, "activation": "step@7", "field": "emissions[0].payload.text",
        "recorded": "seven", "again": "eight"});
    assert_eq!((&told["identical"], &told["difference"]), (&json!(false), &difference));
    replay(&home, "answered --from 8").with(0);
    let of_eye = |record: &&Record| {
        let (Record::CallIntent { call, .. } | Record::CallEnded { call, .. }) = record else { return false };
        call.activation.vertex.as_str() == "eye"
    };
    keep(&home, "forgotten", records.iter().filter(|record| !of_eye(record)).cloned().collect());
    let told = replay(&home, "forgotten").with(7).stdout;
    assert!(
        told.starts_with(
            "different: superstep 0, eye@0, call\n  the log has  nothing\n  it comes to  \"model m\""
        ),
        "{told}"
    );
    let mut longer = records;
    for record in &mut longer {
        if let Record::Committed(commit) = record
            && commit.superstep == 2
        {
            Arc::make_mut(commit).closing = Some(RunStatus::Cancelled);
        }
    }
    keep(&home, "closed", longer);
    // A run that was cancelled has nothing more to commit.
    let told = replay(&home, "closed").with(7).stdout;
    assert!(told.starts_with("different: superstep 3, commit\n"), "{told}");
}

/// The calls that a log intends from a record on.
fn intended(records: &[Record], from: usize) -> Vec<CallKey> {
    let call = |record: &Record| {
        let Record::CallIntent { call, .. } = record else { return None };
        Some(call.clone())
    };
    records[from..].iter().filter_map(call).collect()
}

fn commit_of(records: &[Record], superstep: u64) -> usize {
    let is = |record: &Record| matches!(record, Record::Committed(commit) if commit.superstep == superstep);
    records.iter().position(is).unwrap()
}

#[test]
fn a_fork_has_what_was_committed_and_makes_no_call_of_it_again() {
    let home = Home::new();
    home.run(calls("calls")).with(0);
    let before = home.records("calls");
    let ended = home
        .line("fork calls --from 10 --run-id other")
        .with(0)
        .saying("run other is a fork of calls at superstep 10");
    assert_eq!(ended.json(), undisturbed());
    let after = home.records("other");
    let (old, new) = (commit_of(&before, 9), commit_of(&after, 9));
    assert_eq!(intended(&before, old), intended(&after, new), "other calls than after the fork");
    assert_eq!(intended(&after, new).len(), 10);
    let key = &intended(&after, new)[0];
    assert_ne!(key.idempotency_key("other"), key.idempotency_key("calls"));
    assert_eq!(home.records("calls"), before, "the other run was changed");
    replay(&home, "other").with(0);
    let diff = home.line("diff calls other --output json").with(0).json();
    assert_eq!(
        (&diff["same"], &diff["origins"]["other"]),
        (&json!(true), &json!("fork of calls at superstep 10"))
    );
    let inspected = home.line("inspect other --output json").with(0).json();
    assert_eq!(inspected["origin"], "fork of calls at superstep 10");
    let runs = home.line("runs --output json").with(0).json();
    let origin =
        |run: &str| runs.as_array().unwrap().iter().find(|row| row["run"] == run).unwrap()["origin"].clone();
    assert_eq!((origin("other"), origin("calls")), (json!("fork of calls at superstep 10"), Value::Null));
    // What is noted and what the log says is the same.
    fs::remove_file(home.path().join(".local/state/superstep/runs/other/note")).unwrap();
    let again = home.line("runs --output json").with(0).json();
    assert_eq!(again, runs);
}

#[test]
fn a_fork_with_a_change_goes_another_way_from_its_superstep_on() {
    let home = story();
    let on = "vertex.judge.router.cel=message < 3 ? 'again' : 'good'";
    let fork =
        |from: &str, run: &str| home.run(["fork", "story", "--from", from, "--set", on, "--run-id", run]);
    let ended = fork("4", "later").with(0);
    assert_eq!(outputs(&ended), json!([4, 41]));
    let told = home.line("inspect later --output json").with(0).json();
    let judged = &told["supersteps"][3]["mutations"][0];
    let judged = ["requester", "change", "verdict"].map(|member| judged[member].as_str().unwrap());
    assert_eq!(judged, ["fork later", "sets router.cel of judge", "applied"]);
    assert_ne!(told["supersteps"][3]["revision"], told["supersteps"][2]["revision"]);
    assert_eq!(told["supersteps"][4]["revision"], told["supersteps"][3]["revision"]);
    replay(&home, "later").with(0);
    let diff = home.line("diff story later --output json").with(0).json();
    assert_eq!((&diff["same"], &diff["firstDifference"]), (&json!(false), &json!(3)));
    let anew = fork("0", "anew").with(0);
    assert_eq!(outputs(&anew), json!([4, 41]));
    let diff = home.line("diff story anew --output json").with(0).json();
    assert_eq!(diff["start"][0]["what"], "revision");
    // After the judge was heard the change comes too late.
    assert_eq!(outputs(&fork("5", "late").with(0)), json!([4, 31]));
    let of_fork = home.line("fork later --from 2 --run-id again").with(0);
    assert_eq!(outputs(&of_fork), json!([4, 31]), "a change that was made later is not there");
}

#[test]
fn what_cannot_be_forked_is_told_and_makes_no_run() {
    let home = story();
    home.line("run -f tests/graphs/failing.yaml --run-id failing").with(1);
    let broken = "vertex.judge.router.cel=message <";
    for (arguments, words) in [
        (vec!["story", "--from", "11"], "the last one to fork from is 10"),
        (vec!["failing", "--from", "2"], "the run ended with the one before: the last one to fork from is 1"),
        (vec!["nobody", "--from", "0"], "not in the store"),
        (vec!["story", "--from", "4", "--set", broken], "router.cel"),
        (vec!["story", "--from", "0", "--set", broken], "router.cel"),
        (vec!["story", "--from", "4", "--set", "vertex.juge.value=1"], "did you mean \"judge\"?"),
        (vec!["story", "--from", "4", "--set", "vertex.judge.vaue=1"], "did you mean \"value\"?"),
        (
            vec!["story", "--from", "4", "--set", "vertex.judge.value=1", "--set", "vertex.judge.value=2"],
            "claimed",
        ),
    ] {
        let ended =
            home.run(["fork"].into_iter().chain(arguments.clone()).chain(["--run-id", "new"])).with(2);
        ended.saying(words);
        assert!(home.records("new").is_empty(), "{arguments:?}");
    }
    home.line("fork story --from 2 --run-id failing").with(2).saying("failing");
    let mut log = fs::read(home.log("story")).unwrap();
    log[700] ^= 1;
    fs::write(home.log("story"), log).unwrap();
    home.line("fork story --from 2 --run-id new").with(5);
    replay(&home, "story").with(5);
    assert!(home.records("new").is_empty());
}

#[test]
fn a_patch_changes_a_fork_which_goes_on_when_it_is_resumed() {
    let home = story();
    let patch = |graph: &str| {
        format!(
            "apiVersion: superstep.dev/v1alpha1\nkind: AgentGraphPatch\nmetadata: {{name: more}}\nspec:\n  graphRef: {{name: {graph}}}\n  mutations:\n  - addVertex: {{name: extra, function: {{cel: \"'extra'\"}}}}\n  - addEdge: {{from: list, to: extra}}\n"
        )
    };
    let file = home.file("patch.yaml", &patch("story"));
    let made = home.line(&format!("fork story --from 5 --patch {file} --run-id new --no-run")).with(0);
    assert_eq!(made.saying("superstep resume new").json(), json!({"run": "new"}));
    assert!(!matches!(home.records("new").last(), Some(Record::Ended(_))));
    let given = home.line("resume new").with(0).json();
    assert_eq!((&given["extra"], &given["each"]), (&json!("extra"), &json!([4, 31])));
    let other = home.file("other.yaml", &patch("other"));
    home.line(&format!("fork story --from 5 --patch {other} --run-id none"))
        .with(2)
        .saying("is for graph \"other\"");
    home.line("fork story --from 5 --patch tests/graphs/letters.yaml --run-id none")
        .with(2)
        .saying("no AgentGraphPatch");
}

#[test]
fn an_answer_is_given_otherwise_in_a_fork_from_before_it() {
    let home = Home::new();
    let run =
        ["run", "-f", "tests/graphs/approve.yaml", "--input", "{\"customer\": \"Ada\"}", "--run-id", "a"];
    home.run(run).with(4);
    home.line("answer a 5 --vertex amount").with(0);
    home.line("answer a yes --vertex approve").with(0);
    assert_eq!(home.line("resume a").with(0).json(), json!({"refund": 5}));
    home.line("fork a --from 1 --run-id b --no-run").with(0);
    assert_eq!(home.line("answer b").with(0).json().as_array().unwrap().len(), 2);
    home.line("answer b 5 --vertex amount").with(0);
    home.line("answer b no --vertex approve").with(0);
    assert_eq!(home.line("resume b").with(0).json(), json!({"refund": 0}));
    for run in ["a", "b"] {
        replay(&home, run).with(0);
    }
}
