//! The user's cache folder.

use anyhow::{Context, Result};
use std::env;
use std::path::PathBuf;

/// `$XDG_CACHE_HOME/superstep`, else the same under `~/.cache`.
pub(crate) fn folder() -> Result<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = match absolute("XDG_CACHE_HOME") {
        Some(folder) => folder,
        None => absolute("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?.join(".cache"),
    };
    Ok(cache.join("superstep"))
}
