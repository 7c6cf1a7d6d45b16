//! How the measuring examples are started.

use std::process::Command;

/// What an example fails with.
pub(crate) type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Pins the process to one thread; the tensor library reads it once at its first use.
const THREADS: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

/// Runs `work` on one thread: in this process where it was started so, else in another that is.
pub(crate) fn on_one_thread(work: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    if THREADS.iter().all(|name| std::env::var_os(name).is_some()) {
        return work();
    }
    let mut child = Command::new(std::env::current_exe()?);
    child.args(std::env::args_os().skip(1)).envs(THREADS.map(|name| (name, "1")));
    let status = child.status()?;
    if status.success() { Ok(()) } else { Err(format!("the measuring process: {status}").into()) }
}

/// Options with their values; each name must be one of `known`.
pub(crate) fn options(known: &[&str]) -> Outcome<std::collections::BTreeMap<String, String>> {
    let mut found = std::collections::BTreeMap::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        if !known.contains(&name.as_str()) {
            return Err(format!("unknown option {name}; there are {}", known.join(", ")).into());
        }
        let value = arguments.next().ok_or_else(|| format!("{name} needs a value"))?;
        found.insert(name, value);
    }
    Ok(found)
}
