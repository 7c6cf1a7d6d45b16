//! Models of providers, and models that stand in for others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_api::ModelServer;
use superstep_graph::{ExternalModel, ModelSpec, VertexName};
use superstep_runtime::{Fallbacks, Member, Model, Models};

use super::ModelError;
use super::served::Served;

/// What a run's log keeps of models beside their servers. No secret is in it: a credential is kept by its
/// name, and read again when a run is resumed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Outside {
    /// Models of providers, by the name that graphs use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    external: BTreeMap<VertexName, ExternalModel>,
    /// Who stands in for whom.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    fallbacks: BTreeMap<VertexName, Vec<VertexName>>,
    /// Models whose fallbacks are known, though they have none.
    #[serde(skip)]
    seen: BTreeSet<VertexName>,
}

impl Outside {
    /// Adds what a graph says of `model`; `server` is what another graph calls so.
    ///
    /// # Errors
    /// Another graph says otherwise.
    pub(super) fn add(&mut self, model: &ModelSpec, server: Option<&ModelServer>) -> Result<(), ModelError> {
        let name = &model.name;
        if !self.seen.insert(name.clone()) && self.fallbacks(name) != model.fallbacks {
            return Err(ModelError::Fallbacks { name: name.clone() });
        }
        if !model.fallbacks.is_empty() {
            self.fallbacks.insert(name.clone(), model.fallbacks.clone());
        }
        let Some(external) = &model.external else { return Ok(()) };
        let first = server.map(|server| server.metadata.name.clone());
        let other = self.external.insert(name.clone(), external.clone()).filter(|other| other != external);
        match first.or_else(|| other.as_ref().map(shown)) {
            None => Ok(()),
            Some(first) => Err(ModelError::Ambiguous { name: name.clone(), first, second: shown(external) }),
        }
    }

    /// Checks that no graph before called a model of a provider as this one calls the `server`.
    ///
    /// # Errors
    /// One did.
    pub(super) fn is_no_other(&self, model: &ModelSpec, server: &str) -> Result<(), ModelError> {
        match self.external.get(&model.name) {
            None => Ok(()),
            Some(external) => Err(ModelError::Ambiguous {
                name: model.name.clone(),
                first: shown(external),
                second: server.to_owned(),
            }),
        }
    }

    /// Every model, and whether it has tool calling of its own: if all do that may answer for it. `served` says
    /// so of those that have a server.
    pub(super) fn calling_tools(&self, served: BTreeMap<VertexName, bool>) -> BTreeMap<VertexName, bool> {
        let external = self.external.iter().map(|(name, external)| (name.clone(), calls_tools(external)));
        let plain: BTreeMap<VertexName, bool> = served.into_iter().chain(external).collect();
        let all = |name: &VertexName| self.all_call_tools(name, &plain);
        plain.keys().map(|name| (name.clone(), all(name))).collect()
    }

    fn all_call_tools(&self, name: &VertexName, plain: &BTreeMap<VertexName, bool>) -> bool {
        let others = self.fallbacks(name).iter().filter(|other| plain.contains_key(*other));
        plain[name] && others.into_iter().all(|other| self.all_call_tools(other, plain))
    }

    /// What each name of a model of a provider stands for.
    pub(super) fn meanings(&self) -> impl Iterator<Item = (&VertexName, Value)> {
        self.external.iter().map(|(name, external)| (name, json!(external)))
    }

    fn fallbacks(&self, name: &VertexName) -> &[VertexName] {
        self.fallbacks.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The models of a run: `served`, those of providers, and each with those that stand in for it.
    ///
    /// # Errors
    /// A credential is not there.
    pub(super) fn load(
        &self,
        served: BTreeMap<VertexName, Served>,
        asked: &mut Asked,
    ) -> Result<Models, ModelError> {
        let mut plain = served;
        for (name, external) in &self.external {
            plain.insert(name.clone(), asked.model(name, external)?);
        }
        let mut models = Models::default();
        for (name, served) in &plain {
            if let Some(model) = self.with_fallbacks(name, &plain) {
                models.insert(name.clone(), model);
            }
            // No model stands in for one that embeds, for their vectors cannot be compared.
            if let Some(embedder) = &served.embedding {
                models.insert_embedder(name.clone(), Arc::clone(embedder));
            }
        }
        Ok(models)
    }

    /// A model and those that stand in for it, which was checked to end.
    fn with_fallbacks(
        &self,
        name: &VertexName,
        plain: &BTreeMap<VertexName, Served>,
    ) -> Option<Arc<dyn Model>> {
        let first = Arc::clone(plain.get(name)?.writing.as_ref()?);
        let others = self.fallbacks(name).iter();
        let others = others.filter_map(|other| Some((other, self.with_fallbacks(other, plain)?)));
        let others: Vec<Member> = others.map(|(other, model)| Member::new(other.clone(), model)).collect();
        if others.is_empty() {
            return Some(first);
        }
        Some(Arc::new(Fallbacks::new(Member::new(name.clone(), first), others)))
    }
}

/// Whether the model of a provider takes tools, as its document says.
pub(super) fn calls_tools(external: &ExternalModel) -> bool {
    external.calls_tools.unwrap_or(true)
}

fn shown(external: &ExternalModel) -> String {
    format!("{:?} {}", external.provider, external.model)
}

/// The providers that are asked. They are made with the first model that needs them.
#[derive(Default)]
pub(super) struct Asked {
    #[cfg(feature = "providers")]
    providers: Option<superstep_providers::Providers>,
}

impl Asked {
    /// The model of a provider, called `name` in messages.
    ///
    /// # Errors
    /// Its credential is not there.
    #[cfg(feature = "providers")]
    pub(super) fn model(
        &mut self,
        name: &VertexName,
        external: &ExternalModel,
    ) -> Result<Served, ModelError> {
        let providers = match &mut self.providers {
            Some(providers) => providers,
            none => none.insert(superstep_providers::Providers::new()?),
        };
        let variable = |name: &str| std::env::var(name).ok();
        let writing = providers.model(name, external, &variable)?;
        Ok(Served::both(writing, providers.embedder(name, external, &variable)?))
    }

    /// No model, for this build asks no providers.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "providers"))]
    #[expect(clippy::unused_self, clippy::needless_pass_by_ref_mut, reason = "as with the feature")]
    pub(super) fn model(
        &mut self,
        name: &VertexName,
        _external: &ExternalModel,
    ) -> Result<Served, ModelError> {
        Err(ModelError::NoProviders { model: name.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(outside: &mut Outside, model: Value) -> Result<(), String> {
        let model: ModelSpec = serde_json::from_value(model).unwrap();
        outside.add(&model, None).map_err(|error| error.to_string())
    }

    #[test]
    fn one_name_is_one_model_with_one_list_of_fallbacks() {
        let external = |model: &str| json!({"provider": "Ollama", "model": model});
        let mut outside = Outside::default();
        let first = json!({"name": "m", "external": external("a"), "fallbacks": ["n"]});
        assert_eq!(add(&mut outside, first.clone()), Ok(()));
        assert_eq!(add(&mut outside, first), Ok(()));
        let other = json!({"name": "m", "external": external("b"), "fallbacks": ["n"]});
        let error = add(&mut outside, other).unwrap_err();
        assert!(error.contains("both \"Ollama a\" and \"Ollama b\" model \"m\""), "{error}");
        let error = add(&mut outside, json!({"name": "m", "external": external("b")})).unwrap_err();
        assert!(error.contains("give model \"m\" different fallbacks"), "{error}");
        assert_eq!(add(&mut outside, json!({"name": "n", "modelServerRef": {"name": "s"}})), Ok(()));
        let error =
            add(&mut outside, json!({"name": "n", "modelServerRef": {"name": "s"}, "fallbacks": ["m"]}));
        assert!(error.unwrap_err().contains("different fallbacks"));
    }

    #[test]
    fn a_log_keeps_the_reference_to_a_credential() {
        let mut outside = Outside::default();
        let external =
            json!({"provider": "OpenAI", "model": "a", "credentialRef": {"name": "openai", "key": "apiKey"}});
        add(&mut outside, json!({"name": "m", "external": external, "fallbacks": ["n"]})).unwrap();
        let kept = serde_json::to_value(&outside).unwrap();
        assert_eq!(kept, json!({"external": {"m": external}, "fallbacks": {"m": ["n"]}}));
        let read: Outside = serde_json::from_value(kept).unwrap();
        assert_eq!((read.external, read.fallbacks), (outside.external, outside.fallbacks));
    }
}
