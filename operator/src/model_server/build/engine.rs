//! How each engine is told what to serve, where, and under which name.
//!
//! All of them speak the protocol of OpenAI under `/v1`. Images differ in their entry points, and releases of one image
//! do too, so that the program is named wherever it has a name of its own.

use k8s_openapi::api::core::v1::{ExecAction, Probe};
use superstep_api::{ModelServerSpec, ServedModel};

use super::Plan;
use crate::names::HTTP;
use crate::pods::probe;

/// Where a model's document lies, for our own engine.
pub(super) const DOCUMENT: &str = "/etc/superstep/model";
/// Where weights are kept that were fetched.
pub(super) const CACHE: &str = "/cache";

/// How an engine is started and asked how it is.
pub(super) struct Started {
    /// The program, if not that of the image.
    pub(super) command: Option<Vec<String>>,
    /// Its arguments.
    pub(super) args: Vec<String>,
    /// Variables of its environment.
    pub(super) environment: Vec<(&'static str, String)>,
    /// Tells when it has begun, when it is ready, and whether it lives.
    pub(super) probes: [Probe; 3],
}

/// Starts and waits, and then is what makes the model and what serves it.
const OLLAMA: &str = r#"ollama serve "$@" & server=$!
trap 'kill -TERM $server' TERM
until ollama list >/dev/null 2>&1; do sleep 1; kill -0 $server || exit 1; done
case $SOURCE in
  /*) printf 'FROM %s\n' "$SOURCE" >/tmp/Modelfile && ollama create "$NAME" -f /tmp/Modelfile ;;
  *) ollama pull "$SOURCE" && { [ "$SOURCE" = "$NAME" ] || ollama cp "$SOURCE" "$NAME"; } ;;
esac || exit 1
wait $server; wait $server"#;

/// The start of a server's engine.
pub(super) fn started(plan: &Plan<'_>) -> Started {
    let spec = plan.spec;
    let Some((engine, container)) = spec.engine.container() else { return candle(plan) };
    let model = spec.model.as_ref();
    let name = model.map_or("", |model| model.name.as_str());
    let mut started = match engine {
        "vllm" => vllm(spec, name),
        "tgi" => tgi(spec),
        "sglang" => sglang(spec, name),
        "llamaCpp" => llama_cpp(spec, name),
        _ => ollama(spec, name),
    };
    started.args.extend(container.args.iter().cloned());
    started
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|word| (*word).to_owned()).collect()
}

/// Loading takes as long as it takes to fetch the weights: up to an hour.
fn by_http(ready: &str, live: &str) -> [Probe; 3] {
    [probe(ready, "http", 5, 720), probe(ready, "http", 5, 3), probe(live, "http", 10, 6)]
}

fn candle(plan: &Plan<'_>) -> Started {
    let mut args = words(&["serve"]);
    args.push(format!("--file={DOCUMENT}/model.yaml"));
    args.push(format!("--listen=0.0.0.0:{HTTP}"));
    if plan.settings.log_json {
        args.push("--log-json".to_owned());
    }
    Started { command: None, args, environment: Vec::new(), probes: by_http("/readyz", "/livez") }
}

/// Where the weights are for an engine of somebody else: a path, or a repository and its revision.
enum Weights<'a> {
    Path(&'a str),
    Hub { repo: &'a str, file: &'a str, revision: &'a str },
}

/// The first of the sources, all of whose paths are those of the pod.
fn weights(spec: &ModelServerSpec) -> Option<Weights<'_>> {
    let source = spec.model.as_ref()?.sources.first()?;
    let hub = source.hugging_face.as_ref();
    let hub = hub.map(|hub| Weights::Hub { repo: &hub.repo, file: &hub.file, revision: &hub.revision });
    hub.or_else(|| source.file.as_ref().map(|file| Weights::Path(&file.path)))
}

/// The path or the repository.
fn place<'a>(weights: &Weights<'a>) -> &'a str {
    match weights {
        Weights::Path(path) => path,
        Weights::Hub { repo, .. } => repo,
    }
}

/// The revision of a repository, by an option of that name.
fn revision(weights: Option<&Weights<'_>>, option: &str) -> Vec<String> {
    match weights {
        Some(Weights::Hub { revision, .. }) => vec![option.to_owned(), (*revision).to_owned()],
        Some(Weights::Path(_)) | None => Vec::new(),
    }
}

fn gpus(spec: &ModelServerSpec) -> Option<u32> {
    spec.devices.gpu.as_ref().map(|gpu| gpu.count.get())
}

fn caches() -> Vec<(&'static str, String)> {
    vec![("HF_HOME", format!("{CACHE}/huggingface"))]
}

fn vllm(spec: &ModelServerSpec, name: &str) -> Started {
    let weights = weights(spec);
    let mut args = vec![weights.as_ref().map_or("", place).to_owned()];
    args.extend(words(&["--host", "0.0.0.0", "--port", "8000", "--served-model-name", name]));
    args.extend(revision(weights.as_ref(), "--revision"));
    if let Some(count) = gpus(spec) {
        args.extend(["--tensor-parallel-size".to_owned(), count.to_string()]);
    }
    let mut environment = caches();
    environment.push(("VLLM_CACHE_ROOT", format!("{CACHE}/vllm")));
    environment.push(("VLLM_NO_USAGE_STATS", "1".to_owned()));
    Started {
        command: Some(words(&["vllm", "serve"])),
        args,
        environment,
        probes: by_http("/health", "/health"),
    }
}

fn tgi(spec: &ModelServerSpec) -> Started {
    let weights = weights(spec);
    let mut args = words(&["--model-id", weights.as_ref().map_or("", place)]);
    args.extend(words(&["--hostname", "0.0.0.0", "--port", "8000"]));
    args.extend(revision(weights.as_ref(), "--revision"));
    if let Some(count) = gpus(spec) {
        args.extend(["--num-shard".to_owned(), count.to_string()]);
    }
    let mut environment = caches();
    environment.push(("HUGGINGFACE_HUB_CACHE", format!("{CACHE}/huggingface/hub")));
    environment.push(("USAGE_STATS", "off".to_owned()));
    Started { command: None, args, environment, probes: by_http("/health", "/health") }
}

fn sglang(spec: &ModelServerSpec, name: &str) -> Started {
    let weights = weights(spec);
    let mut args = words(&["--model-path", weights.as_ref().map_or("", place)]);
    args.extend(words(&["--host", "0.0.0.0", "--port", "8000", "--served-model-name", name]));
    args.push("--enable-metrics".to_owned());
    args.extend(revision(weights.as_ref(), "--revision"));
    match gpus(spec) {
        Some(count) => args.extend(["--tp-size".to_owned(), count.to_string()]),
        None => args.extend(words(&["--device", "cpu"])),
    }
    Started {
        command: Some(words(&["python3", "-m", "sglang.launch_server"])),
        args,
        environment: caches(),
        probes: by_http("/health", "/health"),
    }
}

fn llama_cpp(spec: &ModelServerSpec, name: &str) -> Started {
    let mut args = words(&["--host", "0.0.0.0", "--port", "8000", "--alias", name, "--metrics"]);
    match weights(spec) {
        Some(Weights::Path(path)) => args.extend(words(&["--model", path])),
        Some(Weights::Hub { repo, file: "", .. }) => args.extend(words(&["--hf-repo", repo])),
        Some(Weights::Hub { repo, file, .. }) => {
            args.extend(words(&["--hf-repo", repo, "--hf-file", file]));
        }
        None => {}
    }
    if gpus(spec).is_some() {
        args.extend(words(&["--n-gpu-layers", "999"]));
    }
    Started {
        command: None,
        args,
        environment: vec![("LLAMA_CACHE", format!("{CACHE}/llama.cpp"))],
        probes: by_http("/health", "/health"),
    }
}

fn ollama(spec: &ModelServerSpec, name: &str) -> Started {
    let source = match weights(spec) {
        Some(Weights::Path(path)) => path.to_owned(),
        Some(Weights::Hub { repo, file, .. }) => hub_model(repo, file),
        None => name.to_owned(),
    };
    let has_model = Probe {
        exec: Some(ExecAction { command: Some(words(&["ollama", "show", name])) }),
        period_seconds: Some(5),
        timeout_seconds: Some(5),
        ..Probe::default()
    };
    Started {
        command: Some(words(&["/bin/sh", "-c", OLLAMA, "ollama"])),
        args: Vec::new(),
        environment: vec![
            ("OLLAMA_HOST", format!("0.0.0.0:{HTTP}")),
            ("OLLAMA_MODELS", format!("{CACHE}/ollama")),
            ("SOURCE", source),
            ("NAME", name.to_owned()),
        ],
        probes: [
            Probe { failure_threshold: Some(720), ..has_model.clone() },
            Probe { failure_threshold: Some(3), ..has_model },
            probe("/api/version", "http", 10, 6),
        ],
    }
}

/// A repository of a hub as ollama names it: a file of it by how it was packed.
fn hub_model(repo: &str, file: &str) -> String {
    let packed = file.trim_end_matches(".gguf").rsplit(['-', '.']).next().unwrap_or_default();
    if packed.is_empty() { format!("hf.co/{repo}") } else { format!("hf.co/{repo}:{packed}") }
}

/// Whether the model is our own engine's.
pub(super) fn is_ours(spec: &ModelServerSpec) -> bool {
    spec.engine.candle.is_some()
}

/// The document that our own engine reads, with the paths of the pod.
pub(super) fn document(plan: &Plan<'_>, model: Option<ServedModel>) -> String {
    let manifest = serde_json::json!({
        "apiVersion": "superstep.dev/v1alpha1",
        "kind": "ModelServer",
        "metadata": {"name": plan.owner.name},
        "spec": ModelServerSpec { model, ..for_process(plan.spec) },
    });
    serde_saphyr::to_string(&manifest)
        .unwrap_or_else(|error| format!("# it cannot be written as YAML: {error}\n"))
}

/// What concerns the process alone, so that nothing else restarts it.
fn for_process(spec: &ModelServerSpec) -> ModelServerSpec {
    ModelServerSpec {
        model: None,
        engine: spec.engine.clone(),
        devices: superstep_api::Devices::default(),
        prices: None,
        replicas: 1,
        autoscaling: None,
        cache: None,
        resources: superstep_api::Resources::default(),
        scheduling: superstep_api::Scheduling::default(),
    }
}
