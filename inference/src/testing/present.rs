//! Real models for tests, where they are on this machine.

use std::path::PathBuf;

/// The folder of the models that tests need; where it is set, all of them are there.
const FOLDER: &str = "SUPERSTEP_TEST_MODELS";

/// The file or folder `name` of the model cache: in the folder that `SUPERSTEP_TEST_MODELS` names, else in
/// `superstep/models` of the XDG cache folder. Nothing if it is not there, which is said on stderr.
///
/// # Panics
/// If the variable is set and the model is not there: whoever sets it wants the tests run, not skipped.
#[must_use]
pub fn present_model(name: &str) -> Option<PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let path = PathBuf::from(folder).join(name);
        assert!(path.exists(), "{FOLDER} is set, and there is no {}", path.display());
        return Some(path);
    }
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache"));
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let found = cache.map(|cache| cache.join("superstep/models").join(name)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("SKIPPED: the model {name} is not in the cache; cargo xtask test fetches it");
    }
    found
}
