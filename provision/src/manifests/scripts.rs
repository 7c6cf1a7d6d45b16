//! The answers of scripted models: in their manifest, or in a file beside it.

use std::sync::Arc;

use serde_json::Value;
use superstep_api::{Diagnostic, ModelServer, Resource, ResourceSet, Source, read_document};
use superstep_graph::{FieldPath, Problem};
use superstep_runtime::ScriptedModel;

use super::beside::Beside;

/// Reads every script, for its mistakes, and puts those that lie in files of their own into the models that
/// name them.
pub(super) fn take_in(resources: &mut ResourceSet, beside: Beside, diagnostics: &mut Vec<Diagnostic>) {
    for server in resources.model_servers.values_mut() {
        let Some(script) = &server.content.spec.engine.scripted else { continue };
        let read = match script.get("file") {
            None => server.part::<ScriptedModel>(&path()),
            Some(file) => in_file(server, script, file, beside),
        };
        let script = read.and_then(|script| {
            let problems = script.problems();
            if problems.is_empty() { Ok(script) } else { Err(in_script(server, problems)) }
        });
        match script {
            Ok(script) => {
                let value = serde_json::to_value(script).expect("a script has text keys only");
                server.content.spec.engine.scripted = Some(value);
            }
            Err(mistakes) => diagnostics.extend(mistakes),
        }
    }
}

fn path() -> FieldPath {
    FieldPath::default().field("engine").field("scripted")
}

/// What is wrong with a script, at its place in the manifest; at the name of its file, if it lies in one.
fn in_script(server: &Resource<ModelServer>, problems: Vec<Problem>) -> Vec<Diagnostic> {
    let diagnose = |mut problem: Problem| {
        let mut whole = path();
        whole.0.append(&mut problem.path.0);
        server.diagnose(&Problem { path: whole, ..problem })
    };
    problems.into_iter().map(diagnose).collect()
}

fn in_file(
    server: &Resource<ModelServer>,
    script: &Value,
    file: &Value,
    beside: Beside,
) -> Result<ScriptedModel, Vec<Diagnostic>> {
    let wrong = |message: String| vec![server.diagnose(&Problem::error(path().field("file"), message))];
    let alone = script.as_object().is_some_and(|members| members.len() == 1);
    let (true, Some(name)) = (alone, file.as_str()) else {
        return Err(wrong("file is the name of a file, and stands alone".to_owned()));
    };
    let place = beside.file(&server.source().name, name).map_err(|error| wrong(error.to_string()))?;
    let text = std::fs::read_to_string(&place)
        .map_err(|error| wrong(format!("cannot read {}: {error}", place.display())))?;
    read_document(&Arc::new(Source { name: place.display().to_string(), text, named: true }))
}
