//! The relations of fields that an API server refuses, in CEL. None reads a list as a whole: whether an edge
//! leads to a vertex that is there would cost too much, and is legal besides.

use serde_json::{Value, json};

/// Words that CEL keeps for itself; a field of such a name is written between underscores.
const RESERVED: [&str; 20] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
];

/// Rules by definition: the rule, and what is told to whoever breaks it.
const RULES: [(&str, &str, &str); 14] = [
    ("PatchSpec", "self == oldSelf", "a patch is never changed: create another one"),
    (
        "RunSpec",
        "self.graphRef == oldSelf.graphRef",
        "the graph of a run cannot be changed: create another run",
    ),
    (
        "RunSpec",
        "has(self.input) == has(oldSelf.input) && (!has(self.input) || self.input == oldSelf.input)",
        "the input of a run cannot be changed: create another run",
    ),
    (
        "RunSpec",
        "has(self.parameters) == has(oldSelf.parameters) && (!has(self.parameters) || self.parameters == oldSelf.parameters)",
        "the parameters of a run cannot be changed: create another run",
    ),
    (
        "RunSpec",
        "has(self.continueFrom) == has(oldSelf.continueFrom) && (!has(self.continueFrom) || self.continueFrom == oldSelf.continueFrom)",
        "what a run continues cannot be changed: create another run",
    ),
    (
        "RunSpec",
        "has(self.forkFrom) == has(oldSelf.forkFrom) && (!has(self.forkFrom) || self.forkFrom == oldSelf.forkFrom)",
        "what a run is forked from cannot be changed: create another run",
    ),
    (
        "RunSpec",
        "!has(self.forkFrom) || !(has(self.input) || has(self.parameters) || has(self.continueFrom))",
        "a fork has the input and the parameters of its run: forkFrom stands without input, parameters and continueFrom",
    ),
    (
        "RunSpec",
        "has(self.ttlAfterFinished) == has(oldSelf.ttlAfterFinished) && (!has(self.ttlAfterFinished) || self.ttlAfterFinished == oldSelf.ttlAfterFinished)",
        "how long a run stays cannot be changed",
    ),
    (
        "RunSpec",
        "oldSelf.operatingMode != 'Cancelled' || self.operatingMode == 'Cancelled'",
        "a run that was cancelled stays cancelled",
    ),
    (
        "JoinSpec",
        "(has(self.mode) && self.mode == 'Quorum') == has(self.count)",
        "mode Quorum needs count, and no other mode has it",
    ),
    (
        "BarrierSpec",
        "(has(self.mode) && self.mode == 'Quorum') == has(self.count)",
        "mode Quorum needs count, and no other mode has it",
    ),
    ("Autoscaling", "self.minReplicas <= self.maxReplicas", "minReplicas is at most maxReplicas"),
    (
        "Autoscaling",
        "self.minReplicas == 0 || !(has(self.idleAfter) || has(self.startsWithin))",
        "idleAfter and startsWithin need minReplicas 0",
    ),
    ("Devices", "!(has(self.cpu) && has(self.gpu))", "one of cpu, gpu is given, not both"),
];

/// The rules of the definition, and that exactly one of `choices` is given, if there are any.
pub(super) fn of(definition: &str, choices: &[String]) -> Option<Value> {
    let own = RULES.iter().filter(|(of, _, _)| *of == definition);
    let mut rules: Vec<Value> =
        own.map(|(_, rule, message)| json!({"rule": rule, "message": message})).collect();
    if !choices.is_empty() {
        let given: Vec<String> = choices.iter().map(|name| format!("has(self.{})", escaped(name))).collect();
        rules.push(json!({
            "rule": format!("[{}].exists_one(given, given)", given.join(", ")),
            "message": format!("exactly one of {} is given", choices.join(", ")),
        }));
    }
    (!rules.is_empty()).then(|| rules.into())
}

fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) { format!("__{name}__") } else { name.to_owned() }
}
