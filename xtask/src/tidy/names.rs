//! Names of files that say nothing.

use super::{Violation, has_extension};
use std::path::Path;

const EMPTY_NAMES: [&str; 7] = ["utils", "util", "helpers", "helper", "common", "types", "mod"];

/// A Rust file or its folder is named after the noun that it defines.
pub(super) fn check(path: &Path) -> Option<Violation> {
    if !has_extension(path, "rs") {
        return None;
    }
    let whole = path.with_extension("");
    let name = whole.iter().find(|part| EMPTY_NAMES.iter().any(|name| part == name))?;
    let what =
        format!("`{}` is no noun of ours; name the file after what it defines", name.to_string_lossy());
    Some(Violation::new(path, 1, "name", what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for wrong in ["a/src/utils.rs", "a/src/x/mod.rs", "a/src/common/x.rs", "a/src/types.rs"] {
            assert!(check(Path::new(wrong)).is_some(), "{wrong}");
        }
        for right in ["a/src/join.rs", "a/src/model.rs", "common/notes.md"] {
            assert!(check(Path::new(right)).is_none(), "{right}");
        }
    }
}
