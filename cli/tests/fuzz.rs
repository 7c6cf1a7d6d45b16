//! Inputs on which fuzzing found something are run again: the targets of `fuzz/`, without what drives them there.

#![expect(unreachable_pub, reason = "the targets are public in the crate that fuzzes them")]

#[path = "../../fuzz/src/bounded.rs"]
mod bounded;
#[path = "../../fuzz/src/edits.rs"]
mod edits;
#[path = "../../fuzz/src/expressions.rs"]
mod expressions;
#[path = "../../fuzz/src/gguf.rs"]
mod gguf;
#[path = "../../fuzz/src/manifests.rs"]
mod manifests;
#[path = "../../fuzz/src/patches.rs"]
mod patches;
#[path = "../../fuzz/src/records.rs"]
mod records;
#[path = "../../fuzz/src/schemas.rs"]
mod schemas;

use std::fs;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use self::bounded::{Target, bounded_by};
use crate::random::Random;

const TARGETS: [(&str, Target); 6] = [
    ("expressions", expressions::expressions),
    ("gguf", gguf::gguf),
    ("manifests", manifests::manifests),
    ("patches", patches::patches),
    ("records", records::records),
    ("schemas", schemas::schemas),
];

/// Runs a target under the bound of fuzzing. Other tests work in this process, so that its own thread is what counts.
fn run(target: Target, data: &[u8]) {
    bounded_by(ClockId::ThreadCPUTime, target, data);
}

#[test]
#[should_panic(expected = "one input took")]
fn an_input_that_is_computed_on_for_more_than_a_second_fails() {
    let busy: Target = |_| {
        let begun = clock_gettime(ClockId::ThreadCPUTime).tv_sec;
        // From the middle of one second of the clock to the end of the next.
        while clock_gettime(ClockId::ThreadCPUTime).tv_sec < begun + 2 {}
    };
    run(busy, &[]);
}

#[test]
fn what_fuzzing_found_does_not_come_again() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (name, target) in TARGETS {
        assert!(folder.join(format!("fuzz_targets/{name}.rs")).is_file(), "{name}");
        let Ok(inputs) = fs::read_dir(folder.join("regressions").join(name)) else { continue };
        for input in inputs {
            let path = input.unwrap().path();
            // Where it panics, the last line tells on what.
            println!("{}", path.display());
            run(target, &fs::read(&path).unwrap());
        }
    }
}

/// The texts below a folder of the project.
fn texts(folder: &Path, found: &mut Vec<String>) {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            texts(&path, found);
        } else if path.extension().is_some_and(|end| end == "yaml") {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// What a target is given before it is damaged.
fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut manifests = Vec::new();
    for folder in ["manifests", "api/testdata", "cli/tests/bad", "cli/tests/graphs", "tests/conformance"] {
        texts(&Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder), &mut manifests);
    }
    let lines = || manifests.iter().flat_map(|text| text.lines());
    let after = |word: &'static str| lines().filter_map(move |line| Some(line.split_once(word)?.1.trim()));
    match name {
        "manifests" => manifests.iter().map(|text| text.clone().into_bytes()).collect(),
        "expressions" => {
            let kinds = [("cel: ", 0), ("when: ", 1), ("transform: ", 1), ("value: ", 2), ("template: ", 3)];
            let of = |(word, kind): (&'static str, u8)| {
                after(word).map(move |text| [&[kind], text.trim_matches('"').as_bytes()].concat())
            };
            kinds.into_iter().flat_map(of).collect()
        }
        "schemas" => [
            r#"{"type":"object","required":["a"],"properties":{"a":{"type":"integer","minimum":-3},"b":{"enum":["x",null]}}}"#,
            r#"{"type":"array","prefixItems":[{"const":1}],"items":{"type":"boolean"},"minItems":1,"maxItems":3}"#,
            r##"{"$ref":"#/$defs/n","$defs":{"n":{"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#/$defs/n"}}]}}}"##,
            r#"{"type":"string","pattern":"^[a-c]{2,4}(x|y)?$","maxLength":5}"#,
        ]
        .map(|text| [b"\x10", text.as_bytes()].concat())
        .into(),
        _ => vec![vec![0, 0, 0], vec![200, 1, 2, 3, 2, 5, 9], vec![32, 0, 0, 40, 0, 0, 255], vec![9; 40]],
    }
}

/// A seed with a few bytes that are changed, put in, taken out, repeated, or of another seed.
fn damaged(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut below = |bound: usize| usize::try_from(random.below(bound.max(1) as u64)).unwrap();
    let mut bytes = seeds[below(seeds.len())].clone();
    for _ in 0..=below(4) {
        let (at, end) = (below(bytes.len()), below(bytes.len() + 1));
        let (from, to) = (at.min(end), at.max(end).min(at.min(end) + 40));
        match below(5) {
            0 if !bytes.is_empty() => bytes[at] = u8::try_from(below(256)).unwrap(),
            1 => bytes.insert(from, u8::try_from(below(256)).unwrap()),
            2 => drop(bytes.drain(from..to)),
            3 => {
                let part = bytes[from..to].to_vec();
                bytes.splice(from..from, part);
            }
            _ => {
                let other = &seeds[below(seeds.len())];
                let start = below(other.len());
                let part = other[start..(start + 30).min(other.len())].to_vec();
                bytes.splice(from..to, part);
            }
        }
    }
    bytes
}

#[test]
fn a_share_of_fuzzing_finds_nothing() {
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(seeds.len() > 3, "{name}");
        let mut random = Random(1);
        for _ in 0..200 {
            let bytes = damaged(&seeds, &mut random);
            // Where it panics, the last line tells on what.
            println!("{name} {:?}", String::from_utf8_lossy(&bytes));
            run(target, &bytes);
        }
    }
}
