//! The cases of the repository hold, and the command tells of a case that does not.

use std::fs;
use std::path::PathBuf;

use crate::command::Home;

fn cases() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/conformance")
}

#[test]
fn every_case_of_the_repository_holds() {
    let folder = cases();
    let told = Home::new().run(["conformance", folder.to_str().unwrap(), "--output", "json"]).with(0).json();
    let written =
        fs::read_dir(&folder).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    assert_eq!(told["of"], written);
    assert_eq!(told["held"], written);
    let sum = |what: &str| -> u64 {
        told["cases"].as_array().unwrap().iter().map(|case| case[what].as_u64().unwrap()).sum()
    };
    assert!(sum("crashes") > 150, "{}", sum("crashes"));
    assert!(sum("completedCalls") > 150, "{}", sum("completedCalls"));
    assert_eq!(sum("repeatedCalls"), 0);
}

#[test]
fn every_case_stands_in_the_table() {
    let table = fs::read_to_string(cases().join("README.md")).unwrap();
    for entry in fs::read_dir(cases()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(!path.is_dir() || table.contains(&format!("| [{name}]({name}/case.yaml) |")), "{name}");
    }
}

/// A copy of a case with another expectation.
fn altered(home: &Home, case: &str, from: &str, to: &str) -> String {
    let copy = home.path().join("cases").join(case);
    fs::create_dir_all(&copy).unwrap();
    for entry in fs::read_dir(cases().join(case)).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let is_case = path.ends_with("case.yaml");
        assert!(!is_case || text.contains(from), "{from} is not in {}", path.display());
        let text = if is_case { text.replacen(from, to, 1) } else { text };
        fs::write(copy.join(path.file_name().unwrap()), text).unwrap();
    }
    home.path().join("cases").into_os_string().into_string().unwrap()
}

#[test]
fn each_wrong_expectation_is_found_and_named() {
    let skipped = "join-of-a-skipped-branch";
    for (case, from, to, what) in [
        (skipped, "joined: [xl]", "joined: [xr]", "outputs.after.joined[0]"),
        (skipped, "outputs: {after", "outputs: {other: 1, after", "outputs.other"),
        (skipped, "[[route], [left]", "[[route], [right]", "started[1][0]"),
        (skipped, "Delivered: 3", "Delivered: 3, Late: 1", "messages.Late"),
        (skipped, "Delivered: 3", "Delivered: 4", "messages.Delivered"),
        (skipped, "missing: [right]", "missing: [left]", "incomplete[0].missing[0]"),
        (skipped, "calls: 0", "calls: 1", "calls"),
        (skipped, "status: Succeeded", "status: Failed", "status"),
        (skipped, "status: Succeeded", "status: Succeeded\n  because: of a limit", "because"),
        (skipped, "status: Succeeded", "status: Succeeded\n  refused: 1", "refused"),
        (skipped, "status: Succeeded", "status: Succeeded\n  committed: [[route]]", "committed"),
        ("pregel-mutations", "adds vertex both: applied", "adds vertex both: refused", "changes[0]"),
        ("a-half-filled-join-over-a-pause", "- resume\n", "", "status"),
    ] {
        let home = Home::new();
        let folder = altered(&home, case, from, to);
        let told = home.run(["conformance", &folder]).with(1);
        assert!(told.stdout.contains(&format!("the run: {what}\n")), "{what} in {told:?}");
        assert!(told.stdout.contains("0 of 1 hold"), "{told:?}");
        let told = home.run(["conformance", &folder, "--output", "json"]).with(1).json();
        assert_eq!(told["cases"][0]["difference"]["what"], what);
    }
}

#[test]
fn a_run_that_a_crash_changes_is_found_at_its_record() {
    // After a crash a command that may not be repeated waits for a person, whom the case does not have.
    let home = Home::new();
    let folder = home.path().join("asks");
    fs::create_dir(&folder).unwrap();
    let graph = "
apiVersion: superstep.dev/v1alpha1
kind: AgentGraph
metadata: {name: asks}
spec:
  entry: [a]
  vertices: [{name: a, function: {command: {argv: [printf, done]}}}]
";
    fs::write(folder.join("graph.yaml"), graph).unwrap();
    let case = "{shows: s, origin: [o], wrong: w, right: r, expect: {status: Succeeded, calls: 1}}";
    fs::write(folder.join("case.yaml"), case).unwrap();
    let told = home.run(["conformance", folder.to_str().unwrap()]).with(1);
    assert!(told.stdout.contains("after a crash behind record 3 of"), "{told:?}");
    assert!(told.stdout.contains("found    \"Waiting\""), "{told:?}");
}

#[test]
fn mistakes_in_a_case_are_shown_at_their_place() {
    let home = Home::new();
    let folder = altered(&home, "join-of-a-skipped-branch", "missing: [right]", "misssing: [right]");
    home.run(["conformance", &folder]).with(2).saying("case.yaml:").saying("misssing").saying("missing");
    let folder = altered(&home, "join-of-a-skipped-branch", "Succeeded", "Suceeded");
    home.run(["conformance", &folder]).with(2).saying("Suceeded");
    let cases = cases();
    home.run(["conformance", cases.to_str().unwrap(), "--case", "none"])
        .with(2)
        .saying("has no case \"none\"");
    home.run(["conformance", home.path().join("absent").to_str().unwrap()])
        .with(2)
        .saying("cannot read the cases");
}
