//! Inputs on which fuzzing found something are run again: the targets of `fuzz/`, without what drives them there.

#![expect(unreachable_pub, reason = "the targets are public in the crate that fuzzes them")]

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

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 6] = [
    ("expressions", expressions::expressions),
    ("gguf", gguf::gguf),
    ("manifests", manifests::manifests),
    ("patches", patches::patches),
    ("records", records::records),
    ("schemas", schemas::schemas),
];

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
            target(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn each_target_takes_any_bytes() {
    for (name, target) in TARGETS {
        for length in 0..48_u8 {
            let bytes: Vec<u8> =
                (0..length).map(|at| at.wrapping_mul(89).wrapping_add(length.wrapping_mul(7))).collect();
            println!("{name} {bytes:?}");
            target(&bytes);
        }
    }
}
