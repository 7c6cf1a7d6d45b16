//! llama.cpp's own server, built from the sources that a Python package has, as an image.

use crate::process::{capture, run_aside};
use crate::workspace::Workspace;
use crate::{cache, images, machine};
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;
use std::time::Instant;

/// The image's name.
pub(crate) const IMAGE: &str = "localhost/llama-server:0.3.36";
/// What pip is asked for.
const REQUIREMENT: &str = "llama-cpp-python==0.3.36";
/// The sources of the package, their digest, and the folder in them that has those of llama.cpp.
const SOURCES: &str = "llama_cpp_python-0.3.36.tar.gz";
const SHA256: &str = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e";
const VENDORED: &str = "llama_cpp_python-0.3.36/vendor/llama.cpp";
/// The program, and what cmake calls it.
const PROGRAM: &str = "llama-server";
/// Relative to the root.
const DOCKERFILE: &str = "tests/e2e/testbed/llama-server/Dockerfile";
const ARCHIVE: &str = "llama-server.tar";
/// The file beside the archive that says what it was made of.
const RECIPE: &str = "recipe";

/// One file for any processor with AVX2, without its pages and what would fetch them, and without what it needs only to
/// fetch models itself. The kernels are C and intrinsics, so that the rest, which takes longest, need not be optimised far.
const SETTINGS: [&str; 14] = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DCMAKE_C_FLAGS_RELEASE=-O2 -DNDEBUG",
    "-DCMAKE_CXX_FLAGS_RELEASE=-O1 -DNDEBUG",
    "-DCMAKE_EXE_LINKER_FLAGS=-static -s",
    "-DBUILD_SHARED_LIBS=OFF",
    "-DGGML_NATIVE=OFF",
    "-DGGML_OPENMP=OFF",
    "-DGGML_CCACHE=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DLLAMA_BUILD_APP=OFF",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_BUILD_UI=OFF",
    "-DLLAMA_USE_PREBUILT_UI=OFF",
];

/// The archive of the image; made unless the cache has it, of the same sources and in the same way.
pub(crate) fn image(workspace: &Workspace) -> Result<PathBuf> {
    let folder = cache::folder()?.join("testbed/llama-server");
    let dockerfile = workspace.root.join(DOCKERFILE);
    let recipe = recipe(&dockerfile)?;
    let archive = folder.join(ARCHIVE);
    if archive.is_file() && fs::read_to_string(folder.join(RECIPE)).is_ok_and(|made_of| made_of == recipe) {
        return Ok(archive);
    }
    machine::install(&machine::COMPILER)?;
    machine::install(&machine::IMAGES)?;
    let start = Instant::now();
    let partial = folder.with_extension("partial");
    for old in [&partial, &folder] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("cannot remove {}", old.display()))?;
        }
    }
    let work = partial.join("work");
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let context = work.join("context");
    fs::create_dir(&context)?;
    fs::rename(compile(&fetch(&work)?, &work)?, context.join(PROGRAM))?;
    let built = images::Built { name: IMAGE, archive: &partial.join(ARCHIVE) };
    images::archive(&dockerfile, None, &context, &built)?;
    fs::remove_dir_all(work)?;
    fs::write(partial.join(RECIPE), recipe)?;
    // A folder of this name holds all of it, whatever befalls a build.
    fs::rename(&partial, &folder)?;
    eprintln!("testbed: llama.cpp's server was built in {:.0} s", start.elapsed().as_secs_f64());
    Ok(archive)
}

/// All that decides what is built.
fn recipe(dockerfile: &Path) -> Result<String> {
    let image =
        fs::read_to_string(dockerfile).with_context(|| format!("cannot read {}", dockerfile.display()))?;
    Ok(format!("{REQUIREMENT} {SHA256}\n{}\n{image}", SETTINGS.join("\n")))
}

/// Fetches the sources into this folder; theirs. pip runs what is in them to learn what they are, and is told their digest so
/// that it compares it before that.
fn fetch(work: &Path) -> Result<PathBuf> {
    let requirements = work.join("requirements.txt");
    fs::write(&requirements, pinned())?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "llama-cpp-python"]);
    run_aside(pip.arg("--dest").arg(work).arg("--requirement").arg(requirements))
        .with_context(|| format!("cannot fetch the sources of llama.cpp, of {REQUIREMENT}"))?;
    let archive = work.join(SOURCES);
    let sources = work.join("sources");
    fs::create_dir(&sources)?;
    let depth = VENDORED.split('/').count();
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--gzip", &format!("--strip-components={depth}"), "--file"]).arg(archive);
    capture(tar.arg("--directory").arg(&sources).arg(VENDORED))?;
    Ok(sources)
}

/// What pip is asked for, in its file of requirements.
fn pinned() -> String {
    format!("{REQUIREMENT} --hash=sha256:{SHA256}\n")
}

/// Compiles the program, which is in this folder then.
fn compile(sources: &Path, work: &Path) -> Result<PathBuf> {
    let folder = work.join("build");
    let cmake = || {
        let mut command = Command::new("nice");
        command.args(["-n", "10", "cmake"]);
        command
    };
    run_aside(cmake().arg("-S").arg(sources).arg("-B").arg(&folder).args(SETTINGS))?;
    let jobs = available_parallelism().map_or(1, usize::from).to_string();
    run_aside(cmake().arg("--build").arg(&folder).args(["--target", PROGRAM, "--parallel", &jobs]))?;
    let program = folder.join("bin").join(PROGRAM);
    // In the image there is no library that it could ask for.
    let told = capture(Command::new("ldd").arg(&program));
    if told.is_ok_and(|told| told.contains("=>")) {
        bail!("{} is not linked statically", program.display());
    }
    capture(Command::new(&program).arg("--version")).context("llama.cpp's server does not start")?;
    Ok(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_version_that_pip_is_asked_for() {
        let (package, version) = REQUIREMENT.split_once("==").unwrap();
        assert_eq!(SOURCES, format!("{}-{version}.tar.gz", package.replace('-', "_")));
        assert_eq!(VENDORED.split('/').next(), SOURCES.strip_suffix(".tar.gz"));
        assert_eq!(IMAGE.rsplit_once(':').unwrap().1, version);
    }

    #[test]
    fn pip_compares_the_digest() {
        let pinned = pinned();
        let (requirement, digest) = pinned.trim_end().split_once(" --hash=sha256:").unwrap();
        assert_eq!((requirement, digest.len()), (REQUIREMENT, 64));
        assert!(digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    }

    #[test]
    fn the_dockerfile_decides_what_is_built() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DOCKERFILE);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(&format!("COPY {PROGRAM} /{PROGRAM}\n")));
        assert!(recipe(&path).unwrap().ends_with(&text));
    }
}
