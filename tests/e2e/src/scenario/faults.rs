//! Pods that are killed, and an API server that is away, in the middle of a run of many calls.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use superstep_engine::Record;
use superstep_store::{ObjectPlace, RunName, Store};
use superstep_witness::{CALLS, Oracle, Progress, Random, Reference, RunEnd, Step, asking};

use crate::bench::Bench;
use crate::objects::{list, text};
use crate::release::NAMESPACE;
use crate::report::Report;
use crate::space::{RUNS, Space};
use crate::{kubectl, runs};

const GRAPH: &str = "asking";
const PATIENCE: Duration = Duration::from_secs(300);
/// How many workers there are.
const WORKERS: usize = 3;
/// How often each is killed.
const KILLS: usize = 10;
/// How long the API server is away.
const OUTAGE: Duration = Duration::from_secs(60);
/// How long an answer takes on average while pods are killed, and while the API server is away.
const QUICK: Duration = Duration::from_millis(400);
const SLOW: Duration = Duration::from_millis(5_000);
/// How fast it has to go on then, of how fast it does otherwise: whoever waits for the API server does not go on at all.
const SPEED: f64 = 0.95;
/// The same in a short run, which is played beside other work.
const SPEED_BESIDE: f64 = 0.8;

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Leader,
    Worker,
    Operator,
}

/// A graph on the cluster, and what judges its runs.
struct Rig<'a> {
    bench: &'a Bench,
    space: &'a Space,
    store: Store<Record>,
    folder: &'a Path,
}

/// A run that has ended, and when its supersteps were seen to be committed, from its begin.
struct Played {
    stored: RunName,
    object: Value,
    commits: Vec<Duration>,
}

pub(super) fn play(bench: &mut Bench, report: &mut Report) -> Result<()> {
    let (Some(volumes), Some(model), true) =
        (bench.volumes.clone(), bench.model_server.clone(), bench.has_testbed())
    else {
        report.skip("no testbed, whose processes can be killed");
        return Ok(());
    };
    bench.installed()?;
    let mut space = Space::new("faults")?;
    // Each graph has a folder of its own in a claim.
    let folder = space.share(&volumes, RUNS)?.join(GRAPH);
    let [server, mut graph] = asking(&model);
    graph["spec"]["workers"] = json!({"replicas": WORKERS, "store": {"claim": {"name": RUNS}}});
    kubectl::apply(&space.name, &[server, graph])?;
    runs::ready(&space.name, "agentgraph", GRAPH, PATIENCE)?;
    let url = format!("file://{}", folder.display()).parse::<ObjectPlace>()?;
    let rig = Rig { bench, space: &space, store: Store::object(&url)?, folder: &folder };
    // What becomes of one says nothing of the other.
    let (killed, away) = (kills(&rig, report), outage(&rig, report));
    killed.and(away)?;
    space.delete()
}

fn kills(rig: &Rig<'_>, report: &mut Report) -> Result<()> {
    rig.bench.ledger.set_latency(QUICK);
    let reference = rig.undisturbed("undisturbed-kills")?;
    let mut random = rig.bench.random(2);
    let rounds = if rig.bench.short { 1 } else { KILLS };
    for victim in [Victim::Leader, Victim::Worker, Victim::Operator] {
        let mut late = 0;
        for round in 0..rounds {
            rig.recovered()?;
            let name = format!("{victim:?}-{round}").to_lowercase();
            let played = rig.play(&name, |rig| {
                rig.moment(&name, &mut random)?;
                // Who is to be killed may just be about to lead, or to be seen.
                kubectl::until("a process is killed", PATIENCE, || {
                    kill(&rig.space.name, victim, &mut random).map(Some)
                })?;
                late += usize::from(rig.bench.ledger.counts(&name).0 >= CALLS);
                Ok(())
            });
            rig.judge(report, &played?, &reference.0, &reference.1)?;
        }
        report
            .note(format!("{victim:?}: killed {rounds} times with SIGKILL, {late} of them after all calls"));
    }
    Ok(())
}

/// The API server is away while the run goes on: from where it was then as many supersteps are committed as undisturbed in
/// almost the same time.
fn outage(rig: &Rig<'_>, report: &mut Report) -> Result<()> {
    rig.recovered()?;
    rig.bench.ledger.set_latency(SLOW);
    let (reference, undisturbed) = rig.undisturbed("undisturbed-outage")?;
    let mut begun = Duration::ZERO;
    let start = Instant::now();
    let played = rig.play("outage", |rig| {
        kubectl::until("some calls were answered", PATIENCE, || {
            Ok((rig.bench.ledger.counts("outage").0 > CALLS / 10).then_some(()))
        })?;
        begun = start.elapsed();
        rig.bench.testbed(&["kill", "kube-apiserver"])?;
        sleep(OUTAGE);
        rig.bench.testbed(&["start", "kube-apiserver"]).map(drop)
    })?;
    let before = played.commits.iter().filter(|at| **at < begun).count();
    // The one run is handed over sooner than the other, so that both are compared from the same commit on.
    let last = |commits: &[Duration]| before.checked_sub(1).and_then(|last| commits.get(last)).copied();
    let (Some(here), Some(same)) = (last(&played.commits), last(&undisturbed.commits)) else {
        bail!("no superstep was committed before the API server was away");
    };
    let until =
        |commits: &[Duration], end: Duration| commits.iter().skip(before).filter(|at| **at < end).count();
    let almost = OUTAGE.mul_f64(if rig.bench.short { SPEED_BESIDE } else { SPEED });
    let away = until(&played.commits, begun + OUTAGE);
    let there = until(&undisturbed.commits, same + begun.saturating_sub(here) + almost);
    report.note(format!(
        "{away} supersteps in {} s without an API server, {there} in {:.0} s with it",
        OUTAGE.as_secs(),
        almost.as_secs_f64()
    ));
    report.demand(away >= there && there > 0, "supersteps go on while the API server is away");
    report.demand(played.commits.len() > before + away, "the run goes on for longer than that");
    rig.judge(report, &played, &reference, &undisturbed)
}

impl Rig<'_> {
    /// A run that nothing disturbs.
    fn undisturbed(&self, name: &str) -> Result<(Reference, Played)> {
        let played = self.play(name, |_| Ok(()))?;
        let seen = self.bench.ledger.of(name).len();
        // A worker that stands still for long, with other work on the machine, is taken for dead, and others ask again.
        if seen != CALLS && self.oracle().terms(&played.stored)? == 1 {
            bail!("the undisturbed run made {seen} calls in place of {CALLS}");
        }
        let reference = self.oracle().reference(&played.stored)?;
        Ok((reference, played))
    }

    fn play(&self, name: &str, fault: impl FnOnce(&Self) -> Result<()>) -> Result<Played> {
        let begun = Instant::now();
        let run = kubectl::create(&self.space.name, &runs::run(name, GRAPH, &json!({"run": name})))?;
        let stored = runs::stored(&run)?;
        let progress = Progress::follow(&self.store, &stored);
        fault(self).with_context(|| format!("in run {name}"))?;
        let object = runs::succeeded(&self.space.name, name, PATIENCE)?;
        progress.finish();
        let commits = progress.times(|step| step == Step::Committed);
        let commits = commits.iter().map(|at| at.duration_since(begun)).collect();
        Ok(Played { stored, object, commits })
    }

    /// Waits until whoever was killed is there again: the kubelet looks only every ten seconds at a container that has ended
    /// before.
    fn recovered(&self) -> Result<()> {
        let all = [(self.space.name.as_str(), "worker", WORKERS), (NAMESPACE, "operator", 1)];
        for (namespace, component, count) in all {
            let selector = format!("--selector=app.kubernetes.io/component={component}");
            kubectl::until(&format!("{count} pods are ready in {namespace}"), PATIENCE, || {
                let pods = kubectl::list(&["pods", "--namespace", namespace, &selector])?;
                let containers = pods.iter().flat_map(|pod| list(pod, "/status/containerStatuses"));
                let ready = containers.filter(|container| container.pointer("/ready") == Some(&json!(true)));
                Ok((ready.count() == count).then_some(()))
            })?;
        }
        Ok(())
    }

    /// Waits for a random moment of a run, by the answers that it had.
    fn moment(&self, name: &str, random: &mut Random) -> Result<()> {
        let answers = usize::try_from(random.between(CALLS as u64 / 10, CALLS as u64 * 7 / 10))?;
        kubectl::until("calls are answered", PATIENCE, || {
            Ok((self.bench.ledger.counts(name).0 >= answers).then_some(()))
        })
    }

    fn oracle(&self) -> Oracle<'_> {
        Oracle { runtime: &self.bench.runtime, store: &self.store, objects: self.folder }
    }

    fn judge(
        &self,
        report: &mut Report,
        played: &Played,
        reference: &Reference,
        first: &Played,
    ) -> Result<()> {
        let name = text(&played.object, "/metadata/name");
        let told: RunEnd = self.oracle().end(&played.stored)?;
        let calls = self.bench.ledger.of(name);
        report.add(self.oracle().judge(&played.stored, &told, &calls, reference, false)?);
        let digest = |played: &Played| text(&played.object, "/status/output/digest").to_owned();
        let differs = digest(played) != digest(first) || digest(played).is_empty();
        report.look(
            "results whose hash in the status is another one",
            1,
            differs
                .then(|| format!("{name}: {} and {}", digest(played), digest(first)))
                .into_iter()
                .collect(),
        );
        Ok(())
    }
}

/// SIGKILL for the process of a pod.
fn kill(namespace: &str, victim: Victim, random: &mut Random) -> Result<()> {
    let lease = kubectl::get(namespace, "lease", &format!("{GRAPH}-worker"))?;
    let leader = lease.as_ref().map_or("", |lease| text(lease, "/spec/holderIdentity")).to_owned();
    let (namespace, wanted): (&str, &dyn Fn(&str) -> bool) = match victim {
        Victim::Leader => (namespace, &|pod| pod == leader),
        Victim::Worker => (namespace, &|pod| pod.starts_with(GRAPH) && pod != leader),
        Victim::Operator => (NAMESPACE, &|pod| pod.starts_with("superstep-operator")),
    };
    let pods = kubectl::list(&["pods", "--namespace", namespace, "--field-selector=status.phase=Running"])?;
    let pods: Vec<String> =
        pods.iter().map(|pod| text(pod, "/metadata/name").to_owned()).filter(|pod| wanted(pod)).collect();
    if pods.is_empty() {
        bail!("there is no {victim:?} in {namespace}, led by {leader:?}");
    }
    let pod = random.pick(&pods);
    let variables = [format!("POD_NAME={pod}"), format!("POD_NAMESPACE={namespace}")];
    let ids = processes(&variables)?;
    let [id] = ids.as_slice() else { bail!("{} processes of the pod {pod}", ids.len()) };
    crate::process::capture(std::process::Command::new("kill").args(["-KILL", id])).map(drop)
}

/// Ids of the processes whose environment has these variables.
fn processes(variables: &[String]) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for entry in std::fs::read_dir("/proc")? {
        let path = entry?.path();
        // Processes come and go while they are looked at.
        let Ok(environment) = std::fs::read(path.join("environ")) else { continue };
        let held: Vec<&[u8]> = environment.split(|byte| *byte == 0).collect();
        let id = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let is_id = id.bytes().all(|byte| byte.is_ascii_digit());
        if is_id && variables.iter().all(|variable| held.contains(&variable.as_bytes())) {
            ids.push(id);
        }
    }
    Ok(ids)
}
