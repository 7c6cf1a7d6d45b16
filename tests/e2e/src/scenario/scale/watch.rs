//! Graphs as somebody outside sees them change.

use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::{kubectl, process};

/// After so long without an event none is to come.
const SILENCE: Duration = Duration::from_secs(120);

/// How long a watch may take to begin.
const PATIENCE: Duration = Duration::from_secs(600);

/// A watch of the graphs of a namespace, from where they stand on.
pub(super) struct Watch {
    kubectl: Child,
    told: Receiver<(Instant, Value)>,
    reader: JoinHandle<()>,
}

impl Watch {
    /// It has begun when this returns: the graph `first` is changed until that is seen.
    pub(super) fn begin(namespace: &str, first: &str) -> Result<Self> {
        let mut kubectl = Command::new("kubectl")
            .args(["get", "agentgraphs", "--namespace", namespace, "--watch-only", "--output=json"])
            .args(["--output-watch-events", "--request-timeout=0"])
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start kubectl")?;
        let output = kubectl.stdout.take().context("kubectl has an output")?;
        let (tell, told) = channel();
        let reader = thread::spawn(move || {
            let stream = serde_json::Deserializer::from_reader(BufReader::new(output)).into_iter::<Value>();
            // A watch that was ended breaks off within an event.
            for event in stream.map_while(Result::ok) {
                if tell.send((Instant::now(), event)).is_err() {
                    return;
                }
            }
        });
        let watch = Self { kubectl, told, reader };
        let mut number = 0;
        kubectl::until("the watch has begun", PATIENCE, || {
            number += 1;
            let change = json!({"metadata": {"annotations": {"e2e/seen": number.to_string()}}}).to_string();
            let words =
                ["patch", "agentgraph", first, "--namespace", namespace, "--type=merge", "--patch", &change];
            kubectl::run(&words)?;
            Ok(watch.told.recv_timeout(Duration::from_secs(2)).ok().map(drop))
        })?;
        Ok(watch)
    }

    /// The next event, and when it came; none if nothing happens any more.
    pub(super) fn next(&self) -> Option<(Instant, Value)> {
        self.told.recv_timeout(SILENCE).ok()
    }

    pub(super) fn end(self) -> Result<()> {
        let Self { mut kubectl, told, reader } = self;
        process::capture(Command::new("kill").arg(kubectl.id().to_string()))?;
        kubectl.wait()?;
        drop(told);
        if reader.join().is_err() {
            crate::say("the thread that reads a watch has panicked");
        }
        Ok(())
    }
}
