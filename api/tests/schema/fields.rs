//! Every field has a test of what it does, and `testdata/tests_of_fields.txt` names it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use superstep_api::schema;

use super::everything;

/// The test of each field, as the file has it.
fn listed() -> BTreeMap<String, String> {
    let text = std::fs::read_to_string("testdata/tests_of_fields.txt").unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").expect("a field and its test")).map(owned).collect()
}

fn owned((field, test): (&str, &str)) -> (String, String) {
    (field.to_owned(), test.to_owned())
}

/// Names of the functions in the crates of the workspace, those of their tests among them, and of transcripts.
fn known(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            known(&path, found);
        } else if name.ends_with(".rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<', ' ']).next());
            found.extend(names.map(str::to_owned));
        } else if name.ends_with(".txt")
            && path.parent().is_some_and(|folder| folder.ends_with("engine/testdata"))
        {
            found.insert(name);
        }
    }
}

#[test]
fn every_field_has_a_test_of_what_it_does() {
    let whole = schema(None);
    let mut all = BTreeSet::new();
    for (name, definition) in whole["$defs"].as_object().unwrap() {
        everything(name, definition, &mut all);
    }
    let fields: BTreeSet<String> = all.into_iter().filter(|field| !field.contains(" = ")).collect();
    let listed = listed();
    let untested: Vec<&String> = fields.iter().filter(|field| !listed.contains_key(*field)).collect();
    assert!(untested.is_empty(), "add to testdata/tests_of_fields.txt the tests of {untested:#?}");
    let gone: Vec<&String> = listed.keys().filter(|field| !fields.contains(*field)).collect();
    assert!(gone.is_empty(), "testdata/tests_of_fields.txt has fields that are none: {gone:#?}");
    let mut tests = BTreeSet::new();
    known(Path::new(".."), &mut tests);
    let absent: Vec<&String> = listed.values().filter(|test| !tests.contains(*test)).collect();
    assert!(absent.is_empty(), "there are no such tests: {absent:#?}");
}
