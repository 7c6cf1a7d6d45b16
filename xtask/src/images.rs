//! `cargo xtask images`: the images of the cluster's parts, from the Dockerfile at the top.

mod binaries;
mod buildah;
mod context;
mod libraries;

use crate::machine;
use crate::workspace::{Package, Workspace};
use anyhow::{Context, Result};
use clap::Args;
use std::fs;
use std::path::{Path, PathBuf};

pub(crate) use buildah::{Built, archive};

/// The feature of a package that runs models on NVIDIA GPUs.
const CUDA: &str = "cuda";

/// Options of `cargo xtask images`.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Build this image only; may be given several times.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// The folder for the archives, NAME.tar each; target/images unless given.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The tag of the images.
    #[arg(long, default_value = "dev")]
    tag: String,
}

/// An image: a target of the Dockerfile, and the binary in it.
#[derive(Debug, Clone, Copy)]
struct Image {
    /// Of the target, of the archive, and what `--only` takes.
    name: &'static str,
    /// Without the tag.
    repository: &'static str,
    package: &'static str,
    binary: &'static str,
    linking: Linking,
}

/// How a binary is linked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Linking {
    /// With everything in it, and the features that the tests have.
    Static,
    /// With the libraries of CUDA, and the feature of that name.
    Cuda,
}

/// Every image that there may be; one exists as soon as its binary and its feature do.
const IMAGES: [Image; 4] = [
    Image {
        name: "operator",
        repository: "localhost/superstep-operator",
        package: "superstep-operator",
        binary: "superstep-operator",
        linking: Linking::Static,
    },
    Image {
        name: "worker",
        repository: "localhost/superstep-worker",
        package: "superstep-worker",
        binary: "superstep-worker",
        linking: Linking::Static,
    },
    Image {
        name: "worker-cuda",
        repository: "localhost/superstep-worker-cuda",
        package: "superstep-worker",
        binary: "superstep-worker",
        linking: Linking::Cuda,
    },
    Image {
        name: "command",
        repository: "localhost/superstep",
        package: "superstep-cli",
        binary: "superstep",
        linking: Linking::Static,
    },
];

/// Builds the binaries and puts each into an archive.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    let images = chosen(&arguments.only, &workspace.packages)?;
    machine::install(&machine::IMAGES)?;
    let work = workspace.target.join("images");
    let out = arguments.out.clone().unwrap_or_else(|| work.clone());
    fs::create_dir_all(&out).with_context(|| format!("cannot make {}", out.display()))?;
    let context = work.join("context");
    context::prepare(&context)?;
    binaries::build(workspace, &images, &work, &context)?;
    for image in images {
        let path = out.join(format!("{}.tar", image.name));
        let name = format!("{}:{}", image.repository, arguments.tag);
        let built = Built { name: &name, archive: &path };
        archive(&workspace.root.join("Dockerfile"), Some(image.name), &context, &built)?;
        println!("{name} {} ({:.1} MB)", path.display(), megabytes(fs::metadata(&path)?.len()));
    }
    Ok(())
}

/// Builds these images with this tag into a folder.
pub(crate) fn build(workspace: &Workspace, only: &[&str], tag: &str, out: &Path) -> Result<()> {
    let only = only.iter().map(|name| (*name).to_owned()).collect();
    run(workspace, &Arguments { only, out: Some(out.to_owned()), tag: tag.to_owned() })
}

/// Those that are asked for, of those that these packages have.
fn chosen(only: &[String], packages: &[Package]) -> Result<Vec<Image>> {
    let images: Vec<Image> = IMAGES.into_iter().filter(|image| image.exists(packages)).collect();
    if only.is_empty() {
        return Ok(images);
    }
    let named = only.iter().map(|name| {
        let found = images.iter().find(|image| image.name == name).copied();
        let names = || images.iter().map(|image| image.name).collect::<Vec<_>>().join(", ");
        found.with_context(|| format!("there is no image `{name}`; there are {}", names()))
    });
    named.collect()
}

impl Image {
    fn exists(&self, packages: &[Package]) -> bool {
        packages.iter().filter(|package| package.name == self.package).any(|package| {
            let has_feature = self.linking == Linking::Static || package.features.iter().any(|f| f == CUDA);
            has_feature && package.binaries.iter().any(|binary| binary == self.binary)
        })
    }

    /// The name of its binary in the folder that it is built in.
    fn file(&self) -> String {
        match self.linking {
            Linking::Static => self.binary.to_owned(),
            Linking::Cuda => format!("{}-{CUDA}", self.binary),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one decimal")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packages(features: &[&str]) -> Vec<Package> {
        let binary = |name: &str, binary: &str, features: &[&str]| Package {
            name: name.to_owned(),
            manifest: PathBuf::new(),
            dependencies: Vec::new(),
            binaries: vec![binary.to_owned()],
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        };
        vec![
            binary("superstep-worker", "superstep-worker", features),
            binary("superstep-cli", "superstep", &[]),
        ]
    }

    fn names(only: &[&str], packages: &[Package]) -> Result<Vec<&'static str>> {
        let only: Vec<String> = only.iter().map(|name| (*name).to_owned()).collect();
        Ok(chosen(&only, packages)?.iter().map(|image| image.name).collect())
    }

    #[test]
    fn an_image_exists_when_its_binary_and_its_feature_do() {
        assert_eq!(names(&[], &packages(&["s3"])).unwrap(), ["worker", "command"]);
        assert_eq!(names(&[], &packages(&["cuda"])).unwrap(), ["worker", "worker-cuda", "command"]);
        assert_eq!(names(&["command"], &packages(&[])).unwrap(), ["command"]);
        let error = names(&["operator"], &packages(&[])).unwrap_err().to_string();
        assert!(error.contains("operator") && error.contains("worker, command"), "{error}");
    }

    #[test]
    fn every_image_is_a_target_of_the_dockerfile() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Dockerfile");
        let text = fs::read_to_string(path).unwrap();
        for image in IMAGES {
            let lines =
                [format!(" AS {}\n", image.name), format!("\nCOPY {} /{}\n", image.file(), image.binary)];
            for line in lines {
                assert!(text.contains(&line), "{line:?}");
            }
        }
    }
}
