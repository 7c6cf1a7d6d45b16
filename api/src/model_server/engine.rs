//! What serves a model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use superstep_graph::{ExternalModel, FieldPath, Problem, exactly_one};

use super::local::refuse;

/// What serves a model: exactly one member.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(transform = one_engine)]
pub struct Engine {
    /// Superstep itself, on candle: in the process of a local run, in pods of its own on a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candle: Option<CandleEngine>,
    /// Answers written down beforehand; the runtime knows their form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scripted: Option<Value>,
    /// By a service outside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalModel>,
    /// vLLM, in pods of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vllm: Option<ContainerEngine>,
    /// Text Generation Inference, in pods of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tgi: Option<ContainerEngine>,
    /// `SGLang`, in pods of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sglang: Option<ContainerEngine>,
    /// The server of llama.cpp, in pods of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub llama_cpp: Option<ContainerEngine>,
    /// Ollama, in pods of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ollama: Option<ContainerEngine>,
}

/// Settings of candle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// A folder with `LoRA` adapters of a language model, each in a folder as PEFT writes it. Clients ask for one as
    /// MODEL:FOLDER, and it is read when they first do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub adapters: Option<String>,
}

/// An engine that is an image of somebody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ContainerEngine {
    /// The image, best with a tag or digest that does not change.
    pub image: String,
    /// Arguments after those that the operator gives: the model, where it listens, and its name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
}

fn one_engine(schema: &mut schemars::Schema) {
    exactly_one(schema, &Engine::KINDS);
}

impl Engine {
    /// The members of which exactly one is given.
    pub const KINDS: [&'static str; 8] =
        ["candle", "scripted", "external", "vllm", "tgi", "sglang", "llamaCpp", "ollama"];

    /// Those that are images of somebody else, with their names.
    fn containers(&self) -> [(&'static str, Option<&ContainerEngine>); 5] {
        [
            ("vllm", self.vllm.as_ref()),
            ("tgi", self.tgi.as_ref()),
            ("sglang", self.sglang.as_ref()),
            ("llamaCpp", self.llama_cpp.as_ref()),
            ("ollama", self.ollama.as_ref()),
        ]
    }

    /// The image of somebody else that it is, with the name of its member.
    pub fn container(&self) -> Option<(&'static str, &ContainerEngine)> {
        self.containers().into_iter().find_map(|(name, engine)| engine.map(|engine| (name, engine)))
    }

    pub(super) fn check(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        let own = [self.candle.is_some(), self.scripted.is_some(), self.external.is_some()];
        let others = self.containers().map(|(_, engine)| engine.is_some());
        if own.into_iter().chain(others).filter(|is_given| *is_given).count() != 1 {
            problems.push(
                Problem::error(path.clone(), "a model has exactly one engine")
                    .hint(format!("give one of {}", Self::KINDS.join(", "))),
            );
        }
        if let Some(candle) = &self.candle {
            candle.check(&path.field("candle"), problems);
        }
    }

    /// What of it a local run does not have.
    pub(super) fn only_on_clusters(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        let given = self.containers().map(|(name, engine)| (name, engine.is_some()));
        refuse(path, "engine", &given, "candle, scripted, external", problems);
    }
}

impl CandleEngine {
    fn check(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        if self.adapters.as_ref().is_some_and(String::is_empty) {
            problems.push(Problem::error(path.field("adapters"), "a folder has a name"));
        }
        for (name, number) in
            [("contextLength", self.context_length), ("maxConcurrentRequests", self.max_concurrent_requests)]
        {
            if number == Some(0) {
                problems.push(Problem::error(path.field(name), format!("{name} is at least 1")));
            }
        }
    }
}
