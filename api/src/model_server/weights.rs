//! Where the weights of a model are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use superstep_graph::{CredentialRef, FieldPath, Problem, exactly_one};

use super::local::refuse;

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
    /// A file of this machine; on a cluster, of the image of the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<FileSource>,
    /// A file of a Hugging Face repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hugging_face: Option<HuggingFaceSource>,
    /// A file of a volume of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimSource>,
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
    /// beside it come. Engine candle needs it; the others take the whole repository without it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub file: String,
    /// A branch, tag or commit; default `main`.
    #[serde(default = "main_branch")]
    pub revision: String,
    /// The token that the repository wants. A local run reads the variable `HF_TOKEN`. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_ref: Option<CredentialRef>,
}

/// A file of a volume of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClaimSource {
    /// The `PersistentVolumeClaim`, in the same namespace.
    pub name: String,
    /// The file or the folder in it, from its root.
    pub path: String,
}

fn one_place(schema: &mut schemars::Schema) {
    exactly_one(schema, &["file", "huggingFace", "claim"]);
}

fn main_branch() -> String {
    "main".to_owned()
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

    fn check(&self, hub: &FieldPath, takes_repositories: bool, problems: &mut Vec<Problem>) {
        let example = "as in {repo: OWNER/NAME, file: model.gguf, revision: main}";
        if self.file.is_empty() {
            let whole = Self { file: "the-whole".to_owned(), ..self.clone() };
            if !takes_repositories {
                problems.push(Problem::error(hub.clone(), "field \"file\" is missing").hint(example));
            } else if let Some((field, what)) = whole.misnamed() {
                problems.push(Problem::error(hub.field(field), what).hint(example));
            }
        } else if let Some((field, what)) = self.misnamed() {
            problems.push(Problem::error(hub.field(field), what).hint(example));
        }
    }
}

impl ServedModel {
    /// What is wrong with it; `takes_repositories` where the engine loads more than one file.
    pub(super) fn check(&self, path: &FieldPath, takes_repositories: bool, problems: &mut Vec<Problem>) {
        for (index, source) in self.sources.iter().enumerate() {
            let place = path.field("sources").index(index);
            let given = [source.file.is_some(), source.hugging_face.is_some(), source.claim.is_some()];
            if given.into_iter().filter(|is_given| *is_given).count() != 1 {
                let problem = Problem::error(place.clone(), "a source is in exactly one place");
                problems.push(problem.hint("give one of file, huggingFace, claim"));
            }
            if let Some(hub) = &source.hugging_face {
                hub.check(&place.field("huggingFace"), takes_repositories, problems);
            }
        }
        let is_digest = |text: &str| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if self.sha256.as_deref().is_some_and(|text| !is_digest(text)) {
            let problem = Problem::error(path.field("sha256"), "a SHA-256 has 64 hexadecimal digits");
            problems.push(problem.hint("print it with sha256sum FILE"));
        }
    }

    /// What of it a local run does not have.
    pub(super) fn only_on_clusters(&self, path: &FieldPath, problems: &mut Vec<Problem>) {
        for (index, source) in self.sources.iter().enumerate() {
            let place = path.field("sources").index(index);
            let given = [("claim", source.claim.is_some())];
            refuse(&place, "source", &given, "file, huggingFace", problems);
        }
    }
}
