//! What the figures were taken on.

use super::plan::Programs;
use super::plan::inference::{LLAMA_CPP, ONNX_RUNTIME};
use crate::process::capture;
use crate::workspace::Workspace;
use std::fs;
use std::process::Command;
use std::thread;

/// Instructions that decide which kernels run.
const INSTRUCTIONS: [&str; 5] = ["avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8"];

/// The machine, and the programs that were compared, as a table.
pub(super) fn table(workspace: &Workspace, programs: &Programs) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
    let processor = read("/proc/cpuinfo");
    let flags: Vec<&str> = field(&processor, "flags").split(' ').collect();
    let instructions: Vec<&str> =
        INSTRUCTIONS.into_iter().filter(|instruction| flags.contains(instruction)).collect();
    let kernel = read("/proc/sys/kernel/osrelease");
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let mut rows = vec![
        ("processor", field(&processor, "model name").to_owned()),
        ("cores", cores.to_string()),
        ("instructions", instructions.join(" ")),
        ("memory", field(&read("/proc/meminfo"), "MemTotal").to_owned()),
        ("kernel", kernel.trim().to_owned()),
        ("compiler", told(Command::new("rustc").arg("--version"))),
        (
            "commit",
            told(Command::new("git").current_dir(&workspace.root).args(["rev-parse", "--short=12", "HEAD"])),
        ),
    ];
    for (peer, module) in [(LLAMA_CPP, "llama_cpp"), (ONNX_RUNTIME, "onnxruntime")] {
        if let Some(python) = programs.venvs.python(peer) {
            let version = format!("import {module}; print({module}.__version__)");
            rows.push((peer, told(Command::new(python).args(["-c", &version]))));
        }
    }
    let lines = rows.into_iter().map(|(what, value)| format!("| {what} | {value} |\n"));
    format!("| | |\n|---|---|\n{}", lines.collect::<String>())
}

fn told(command: &mut Command) -> String {
    capture(command).map_or_else(|error| format!("{error:#}"), |text| text.trim().to_owned())
}

/// The first value of a field of `/proc`.
fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let value = |line: &'a str| line.split_once(':').filter(|(found, _)| found.trim() == name);
    text.lines().find_map(value).map_or("unknown", |(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_proc() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu avx2\n";
        assert_eq!(field(text, "model name"), "Some CPU @ 2 GHz");
        assert_eq!(field(text, "flags"), "fpu avx2");
        assert_eq!(field(text, "absent"), "unknown");
    }
}
