//! The official client of OpenAI as a real client: `openai_client.py` in an environment of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use serde_json::json;
use superstep_serving::Offered;

use crate::given::{Given, script_offered, tiny_embedder};

/// The version of the client.
const CLIENT: &str = "openai==3.57.0";
/// The script, whose checks are counted by their names.
const SCRIPT: &str = include_str!("openai_client.py");

/// Python with the client, in an environment that is kept with the build; none where it cannot be had, which is said.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openai-client");
    let python = folder.join("bin/python");
    let has_client = |python: &Path| {
        let version =
            format!("import openai; assert openai.__version__ == {:?}", CLIENT.rsplit('=').next().unwrap());
        Command::new(python).args(["-c", &version]).output().is_ok_and(|output| output.status.success())
    };
    if has_client(&python) {
        return Some(python);
    }
    let made = Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder).output();
    let install = || Command::new(&python).args(["-m", "pip", "install", "--quiet", CLIENT]).output();
    if made.is_ok_and(|output| output.status.success())
        && install().is_ok_and(|output| output.status.success())
        && has_client(&python)
    {
        return Some(python);
    }
    let checks = SCRIPT.matches("\ndef check_").count();
    eprintln!("skipped: {checks} checks with {CLIENT}, which pip cannot fetch");
    None
}

async fn run(python: PathBuf, urls: Vec<String>) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openai_client.py");
    let run = move || Command::new(python).arg(script).args(urls).output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_official_client_is_served() {
    let Some(python) = tokio::task::spawn_blocking(python).await.unwrap() else { return };
    let tiny = Given::tiny().await;
    let scripted = Given::scripted(json!({"rules": [
        {"turn": 1, "calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
        {"tool": "get_weather", "answer": "It is cold."}]}))
    .await;
    let embedder = Some(Arc::new(tiny_embedder()) as _);
    let names = vec!["tiny".to_owned()];
    let offered = Offered { names, model: None, embedder, reranker: None, concurrent: 8, is_local: true };
    let embedding = Given::offering(offered, 8).await;
    let slow = script_offered(json!({"otherwise": "x", "latency": "1h"}), 1);
    let busy = Given::offering(slow, 0).await;
    let urls = [&tiny, &scripted, &embedding, &busy].map(|given| given.url("/v1"));
    let output = run(python, urls.to_vec()).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}\n{err}");
    let checks = SCRIPT.matches("\ndef check_").count();
    assert!(out.contains(&format!("{checks} checks")) && checks > 10, "{out}");
}
