//! `cargo xtask e2e`: Superstep on a real Kubernetes, installed and used as a user does.

use crate::binary::{self, Profile};
use crate::model;
use crate::process::run as run_process;
use crate::workspace::Workspace;
use crate::{images, llama, testbed};
use anyhow::{Context, Result, bail};
use clap::Args;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const HARNESS: &str = "superstep-e2e";
/// The images that pods are made of.
const IMAGES: [&str; 2] = ["operator", "worker"];
/// The tags of the images: the second is of the same binaries, and what is upgraded to.
const TAGS: [&str; 2] = ["dev", "next"];
/// The tag of the images of an earlier build.
const FORMER: &str = "former";

/// The scenarios that the test command plays: the rest takes longer than all its other stages.
const SHARE: [&str; 4] = ["install", "devices", "patches", "rights"];

/// The scenario that needs an image of somebody else's, which is built for it alone.
const LLAMA: &str = "llamacpp";

/// Options of `cargo xtask e2e`.
///
/// With KUBECONFIG set, the cluster that it names is used, and the images are those that it can pull by these names.
#[derive(Default, Args)]
pub(crate) struct Arguments {
    /// Play this scenario only; may be given several times. A name that is none lists them.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// A share of it that takes some minutes.
    #[arg(long)]
    short: bool,
    /// What moments are drawn from.
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// Write all figures there.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Leave the testbed up that was started for this.
    #[arg(long)]
    keep: bool,
    /// Take the images in target/images as they are.
    #[arg(long)]
    built: bool,
    /// A checkout of an earlier commit, from whose chart and images the scenario `upgrade` begins, in place of this build's under
    /// another tag. A cluster of KUBECONFIG must be able to pull its images, with the tag `former`; else they are made there by `cargo xtask images --only operator --only worker --tag former --out
    /// target/images/former`.
    #[arg(long, value_name = "DIR")]
    former: Option<PathBuf>,
    /// The repository of the operator's image, on a cluster of KUBECONFIG.
    #[arg(long, value_name = "NAME")]
    operator_image: Option<String>,
    /// The repository of the workers' image, on a cluster of KUBECONFIG.
    #[arg(long, value_name = "NAME")]
    worker_image: Option<String>,
    /// The tag of both, on a cluster of KUBECONFIG.
    #[arg(long)]
    tag: Option<String>,
}

/// Plays the scenarios, on the cluster of KUBECONFIG or else on the testbed.
pub(crate) fn run(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    play(workspace, arguments, env::var_os("KUBECONFIG").is_some())
}

fn play(workspace: &Workspace, arguments: &Arguments, on_another: bool) -> Result<()> {
    let superstep = binary::build(workspace, Profile::Dev)?;
    let mut harness = Command::new(superstep.with_file_name(HARNESS));
    // This very program, which the build has put in the place of the one that runs.
    let own = superstep.with_file_name("xtask");
    harness.current_dir(&workspace.root).args(arguments.words()).arg("--superstep").arg(superstep);
    let model = model::obtain(workspace, Profile::Dev, &model::Source::Default)?;
    harness.arg("--model").arg(model.path);
    if let Some(former) = &arguments.former {
        harness.arg("--former").arg(former.join("charts/superstep")).arg(FORMER);
    }
    if on_another {
        return run_process(harness.args(arguments.images()));
    }
    let ours = !testbed::is_up()?;
    let programs = testbed::bring_up(workspace)?;
    load(workspace, arguments)?;
    if arguments.plays(LLAMA) {
        load_one(&llama::image(workspace)?)?;
        harness.args(["--llama-image", llama::IMAGE]);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(programs).chain(env::split_paths(&path));
    harness.env("PATH", env::join_paths(folders)?).env("KUBECONFIG", testbed::kubeconfig()?);
    harness.args(
        TAGS.map(OsString::from)
            .iter()
            .zip(["--tag", "--next"])
            .flat_map(|(tag, option)| [OsString::from(option), tag.clone()]),
    );
    if let Some(former) = &arguments.former {
        load_all(&former.join("target/images").join(FORMER))?;
    }
    harness.args(testbed::for_harness()?).arg("--testbed").arg(own);
    let played = run_process(&mut harness);
    if ours && !arguments.keep {
        testbed::take_down()?;
    }
    played
}

/// What `cargo xtask test` runs, on the testbed alone: nobody's cluster is changed by tests that were not asked for it. What
/// of it cannot be done here.
pub(crate) fn share(workspace: &Workspace) -> Result<Option<&'static str>> {
    let is_ours = || if testbed::is_up()? { bail!("a testbed is up, which somebody uses") } else { Ok(()) };
    let there = testbed::possible(workspace).and_then(|()| is_ours());
    let there = there.and_then(|()| testbed::bring_up(workspace));
    if let Err(error) = there {
        // Where everything is tested there must be a cluster.
        if env::var_os("CI").is_some() {
            return Err(error.context("there is no cluster to test on"));
        }
        println!("nothing is tested on Kubernetes, all scenarios are skipped: {error:#}");
        return Ok(Some("no cluster: all of it skipped"));
    }
    let only = SHARE.map(str::to_owned).into();
    let played = play(workspace, &Arguments { only, short: true, keep: true, ..Arguments::default() }, false);
    testbed::take_down()?;
    played.map(|()| None)
}

/// Builds the images and gives them to the node, under each tag.
fn load(workspace: &Workspace, arguments: &Arguments) -> Result<()> {
    for tag in TAGS {
        let out = workspace.target.join("images").join(tag);
        if !arguments.built {
            images::build(workspace, &IMAGES, tag, &out)?;
        }
        load_all(&out)?;
    }
    Ok(())
}

/// Gives the images in a folder to the node.
fn load_all(folder: &Path) -> Result<()> {
    IMAGES.iter().try_for_each(|name| load_one(&folder.join(format!("{name}.tar"))))
}

fn load_one(archive: &Path) -> Result<()> {
    if !archive.is_file() {
        bail!("there is no {}", archive.display());
    }
    testbed::give(archive).with_context(|| format!("cannot load {}", archive.display()))
}

impl Arguments {
    /// Whether this scenario is played, which is none of those of a short run.
    fn plays(&self, scenario: &str) -> bool {
        self.only.iter().any(|name| name == scenario) || (self.only.is_empty() && !self.short)
    }

    /// The words of the harness's own command line.
    fn words(&self) -> Vec<String> {
        let only = self.only.iter().flat_map(|name| ["--only".to_owned(), name.clone()]);
        let valued = [
            ("--seed", self.seed.map(|seed| seed.to_string())),
            ("--json", self.json.as_ref().map(|path| path.display().to_string())),
        ];
        let short = self.short.then(|| "--short".to_owned());
        only.chain(options(valued)).chain(short).collect()
    }

    /// Those that say which images a cluster can pull.
    fn images(&self) -> Vec<String> {
        let valued = [
            ("--operator-image", self.operator_image.clone()),
            ("--worker-image", self.worker_image.clone()),
            ("--tag", self.tag.clone()),
        ];
        options(valued).collect()
    }
}

fn options<const N: usize>(valued: [(&'static str, Option<String>); N]) -> impl Iterator<Item = String> {
    valued.into_iter().filter_map(|(name, value)| Some([name.to_owned(), value?])).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    #[test]
    fn options_are_handed_on() {
        let line =
            ["e2e", "--only", "install", "--only", "odd", "--seed", "3", "--short", "--tag", "v1", "--keep"];
        let arguments = Line::parse_from(line).arguments;
        assert_eq!(arguments.words(), ["--only", "install", "--only", "odd", "--seed", "3", "--short"]);
        assert_eq!(arguments.images(), ["--tag", "v1"]);
    }

    #[test]
    fn what_is_built_for_one_scenario_is_built_when_it_is_played() {
        for (line, expected) in [
            (&["e2e"] as &[&str], true),
            (&["e2e", "--short"], false),
            (&["e2e", "--only", "install"], false),
            (&["e2e", "--short", "--only", LLAMA], true),
        ] {
            assert_eq!(Line::parse_from(line).arguments.plays(LLAMA), expected, "{line:?}");
        }
    }
}
