//! Models, and how they are served.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_graph::{ExternalModel, FieldPath, Prices, Problem, check_external, exactly_one};

use crate::interpolate::{Uninterpolated, interpolate};
use crate::kind::API_VERSION;
use crate::metadata::ObjectMeta;

/// A served model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelServer {
    /// `superstep.dev/v1alpha1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: String,
    /// `ModelServer`.
    #[schemars(extend("const" = "ModelServer"))]
    pub kind: String,
    /// Its name, which the `models` of a graph refer to.
    pub metadata: ObjectMeta,
    /// The model.
    pub spec: ModelServerSpec,
    /// Of the operator.
    #[serde(default, skip_serializing)]
    pub status: Value,
}

/// The `spec` of a [`ModelServer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelServerSpec {
    /// What is served; needed by engines that load weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<ServedModel>,
    /// What serves it: exactly one member.
    pub engine: Engine,
    /// Where it is computed; default the CPU.
    #[serde(default)]
    pub devices: Devices,
    /// What its tokens cost; default nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prices: Option<Prices>,
}

/// The weights of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServedModel {
    /// The name that clients send.
    pub name: String,
    /// Where the weights are; tried in this order.
    #[serde(default)]
    pub sources: Vec<ModelSource>,
    /// The SHA-256 of the file, in hexadecimal; empty or left out, any bytes are taken. Environment
    /// variables stand in it as `${NAME}`, `${NAME:-default}` and `${NAME-default}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([0-9A-Fa-f]{64})?$|\$\{"))]
    pub sha256: Option<String>,
}

/// One place of weights: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = one_place)]
pub struct ModelSource {
    /// A file of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSource>,
    /// A file of a Hugging Face repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugging_face: Option<HuggingFaceSource>,
}

/// A file of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileSource {
    /// Its path, from the working directory: a GGUF file, or the folder of a sentence model with its
    /// `model.safetensors`, `config.json` and `tokenizer.json`. Environment variables stand in it as `${NAME}`,
    /// `${NAME:-default}` and `${NAME-default}`.
    pub path: String,
}

/// A file of a Hugging Face repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HuggingFaceSource {
    /// `owner/name`.
    pub repo: String,
    /// The file in it: a GGUF file, or the `model.safetensors` of a sentence model, with which the files
    /// beside it come.
    pub file: String,
    /// A branch, tag or commit; default `main`.
    #[serde(default = "main_branch")]
    pub revision: String,
}

impl HuggingFaceSource {
    /// The first field that is no name of the hub, and what it should be: a name that led elsewhere
    /// would be a file of this machine, or of another repository.
    pub fn misnamed(&self) -> Option<(&'static str, &'static str)> {
        let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['\\', '\0']);
        let is_path = |path: &str| path.split('/').all(is_name);
        if !is_path(&self.repo) || self.repo.split('/').count() != 2 {
            Some(("repo", "a repository is OWNER/NAME"))
        } else if !is_path(&self.file) {
            Some(("file", "a file is a path inside the repository"))
        } else if !is_path(&self.revision) {
            Some(("revision", "a revision is a branch, tag or commit"))
        } else {
            None
        }
    }
}

fn one_place(schema: &mut schemars::Schema) {
    exactly_one(schema, &["file", "huggingFace"]);
}

fn one_engine(schema: &mut schemars::Schema) {
    exactly_one(schema, &["candle", "external", "scripted"]);
}

fn main_branch() -> String {
    "main".to_owned()
}

/// What serves a model: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = one_engine)]
pub struct Engine {
    /// In the process itself, on candle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candle: Option<CandleEngine>,
    /// Answers written down beforehand; the runtime knows their form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripted: Option<Value>,
    /// By a service outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalModel>,
}

/// Settings of the engine in the process itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CandleEngine {
    /// The most tokens of prompt and answer together, or of a text that is embedded; default what the model
    /// was trained for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub context_length: Option<u32>,
    /// How many prompts are decoded, or requests embedded, as one batch; the engine has a default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_concurrent_requests: Option<u32>,
}

/// Where a model is computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Devices {
    /// On the CPU, which is the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<CpuDevices>,
}

/// The CPU; it has no settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CpuDevices {}

impl ModelServerSpec {
    /// Puts the values of variables into the paths of files and into the digest; what cannot be
    /// put in is a problem, with its path from the spec.
    pub(crate) fn interpolate(&mut self, lookup: &dyn Fn(&str) -> Option<String>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let Some(model) = &mut self.model else { return problems };
        let path = FieldPath::default().field("model");
        for (index, source) in model.sources.iter_mut().enumerate() {
            if let Some(file) = &mut source.file {
                let place = path.field("sources").index(index).field("file").field("path");
                replace(&mut file.path, place, lookup, &mut problems);
            }
        }
        if let Some(digest) = &mut model.sha256 {
            replace(digest, path.field("sha256"), lookup, &mut problems);
        }
        model.sha256 =
            model.sha256.take().filter(|digest| !digest.is_empty()).map(|digest| digest.to_ascii_lowercase());
        problems
    }

    /// What is wrong with it, with paths from the spec.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let root = FieldPath::default();
        let mut problems = Vec::new();
        let engine = root.field("engine");
        self.engine.check(&engine, &mut problems);
        if let Some(candle) = self.engine.candle {
            candle.check(&engine.field("candle"), &mut problems);
            if self.model.as_ref().is_none_or(|model| model.sources.is_empty()) {
                let problem = Problem::error(
                    root.field("model").field("sources"),
                    "engine candle needs the weights of a model",
                );
                problems.push(problem.hint("give model.sources, for example - file: {path: model.gguf}"));
            }
        }
        if let Some(external) = &self.engine.external {
            let path = engine.field("external");
            check_external(&path, external, &mut problems);
            if self.model.is_some() {
                let problem = Problem::error(root.field("model"), "engine external loads no weights");
                problems.push(problem.hint("leave model out; engine.external.model names it"));
            }
            if self.prices.is_some() && external.prices.is_some() {
                let problem = Problem::error(path.field("prices"), "the prices are given twice");
                problems.push(problem.hint("leave one out, here or in spec.prices"));
            }
        }
        if let Some(model) = &self.model {
            model.check(&root.field("model"), &mut problems);
        }
        for (name, price) in self.prices.iter().flat_map(|prices| {
            [
                ("promptPerMillion", prices.prompt_per_million),
                ("completionPerMillion", prices.completion_per_million),
            ]
        }) {
            if price < 0.0 {
                problems.push(Problem::error(root.field("prices").field(name), "a price is 0 or more"));
            }
        }
        problems
    }
}

impl Engine {
    fn check(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        let members = [self.candle.is_some(), self.scripted.is_some(), self.external.is_some()];
        if members.into_iter().filter(|is_given| *is_given).count() != 1 {
            problems.push(
                Problem::error(path.clone(), "a model has exactly one engine")
                    .hint("give one of candle, scripted, external"),
            );
        }
    }
}

impl CandleEngine {
    fn check(self, path: &FieldPath, problems: &mut Vec<Problem>) {
        for (name, number) in
            [("contextLength", self.context_length), ("maxConcurrentRequests", self.max_concurrent_requests)]
        {
            if number == Some(0) {
                problems.push(Problem::error(path.field(name), format!("{name} is at least 1")));
            }
        }
    }
}

impl ServedModel {
    fn check(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        for (index, source) in self.sources.iter().enumerate() {
            if source.file.is_some() == source.hugging_face.is_some() {
                let problem =
                    Problem::error(path.field("sources").index(index), "a source is in exactly one place");
                problems.push(problem.hint("give one of file, huggingFace"));
            }
            let hub = path.field("sources").index(index).field("huggingFace");
            if let Some((field, what)) = source.hugging_face.as_ref().and_then(HuggingFaceSource::misnamed) {
                let example = "as in {repo: OWNER/NAME, file: model.gguf, revision: main}";
                problems.push(Problem::error(hub.field(field), what).hint(example));
            }
        }
        let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.sha256.as_deref().is_some_and(|text| !is_digest(text)) {
            let problem = Problem::error(path.field("sha256"), "a SHA-256 has 64 hexadecimal digits");
            problems.push(problem.hint("print it with sha256sum FILE"));
        }
    }
}

fn replace(
    text: &mut String,
    path: FieldPath,
    lookup: &dyn Fn(&str) -> Option<String>,
    problems: &mut Vec<Problem>,
) {
    match interpolate(text, lookup) {
        Ok(value) => *text = value,
        Err(error) => {
            let hint = match &error {
                Uninterpolated::Unset(name) => {
                    format!("set it, or give a default as in ${{{name}:-default}}")
                }
                Uninterpolated::Malformed(_) => {
                    "write ${NAME}, ${NAME:-default} or ${NAME-default}".to_owned()
                }
            };
            problems.push(Problem::error(path, error.to_string()).hint(hint));
        }
    }
}
