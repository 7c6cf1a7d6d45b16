//! How large the parts of an object may be. An API server bounds the cost of its rules by them, and etcd takes
//! no object above one and a half megabytes; local runs have no such limits.

/// The most characters of a text that is not named below.
const TEXT: u64 = 1_024;
/// The most items of a list, or members of a map, that is not named below.
const ITEMS: u64 = 64;

/// What a template, or a text for a model to read, may have.
const TEMPLATE: u64 = 65_536;
/// What an expression may have.
const EXPRESSION: u64 = 16_384;
/// What a name of a resource may have.
const NAME: u64 = 253;

/// Texts by definition and field; `[]` stands for the items of a list, `{}` for the members of a map. An empty
/// definition is any.
const TEXTS: [(&str, &str, u64); 51] = [
    ("", "description", 4_096),
    ("AgentProgram", "system", TEMPLATE),
    ("AgentProgram", "template", TEMPLATE),
    ("AgentProgram", "history", EXPRESSION),
    ("CacheSpec", "key", EXPRESSION),
    ("ClaimSource", "name", NAME),
    ("CredentialRef", "name", NAME),
    ("CredentialRef", "key", NAME),
    ("DocumentSpec", "text", TEMPLATE),
    ("Documents", "cel", EXPRESSION),
    ("EdgeSpec", "when", EXPRESSION),
    ("EdgeSpec", "transform", EXPRESSION),
    ("Effects", "value", EXPRESSION),
    ("Effects", "append", EXPRESSION),
    ("Effects", "mutations", EXPRESSION),
    ("Effects", "sends", EXPRESSION),
    ("Effects", "contribute{}", EXPRESSION),
    ("EmbedProgram", "text", TEMPLATE),
    ("EmbedProgram", "texts", EXPRESSION),
    ("ForkFrom", "name", NAME),
    ("FunctionProgram", "cel", EXPRESSION),
    ("GraphRunStatus", "modelServers[]", NAME),
    ("HumanProgram", "prompt", TEMPLATE),
    ("JudgeProgram", "system", TEMPLATE),
    ("JudgeVerdict", "template", TEMPLATE),
    ("Links", "cel", EXPRESSION),
    ("ModelServerRef", "name", NAME),
    ("ObjectRef", "name", NAME),
    ("PageRankSpec", "seeds", EXPRESSION),
    ("Pairwise", "a", TEMPLATE),
    ("Pairwise", "b", TEMPLATE),
    ("Pairwise", "question", TEMPLATE),
    ("ProgramRef", "name", NAME),
    ("PromptProgram", "system", TEMPLATE),
    ("PromptProgram", "template", TEMPLATE),
    ("PromptProgram", "history", EXPRESSION),
    ("RetrieveProgram", "query", EXPRESSION),
    ("RouterProgram", "cel", EXPRESSION),
    ("RouterProgram", "payload", EXPRESSION),
    ("Rubric", "subject", TEMPLATE),
    ("ShortestPathsSpec", "from", EXPRESSION),
    ("ToolProgram", "arguments", EXPRESSION),
    ("CapabilitiesSpec", "graphs[]", NAME),
    ("CapabilitiesSpec", "custom[]", NAME),
    ("VertexSpec", "requires[]", 63),
    ("WorkersSpec", "labels[]", 63),
    ("Duration", "", 64),
    ("Quantity", "", 32),
    (CONDITION, "message", 32_768),
    (CONDITION, "reason", 1_024),
    (CONDITION, "type", 316),
];

const CONDITION: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Condition";

/// Lists and maps by definition and field.
const LISTS: [(&str, &str, u64); 17] = [
    ("AgentGraphSpec", "vertices", 5_000),
    ("AgentGraphSpec", "edges", 10_000),
    ("AgentGraphSpec", "entry", 1_000),
    ("AgentGraphSpec", "outputs", 1_000),
    ("AgentGraphSpec", "tools", 256),
    ("CapabilitiesSpec", "graphs", 256),
    ("CapabilitiesSpec", "tools", 256),
    ("Documents", "inline", 1_000),
    ("JoinSpec", "of", 1_000),
    ("Links", "inline", 10_000),
    ("McpTool", "allow", 256),
    ("PatchSpec", "mutations", 256),
    ("AgentGraphPatchStatus", "refused", 16),
    ("GraphRunStatus", "modelServers", 1_000),
    ("GraphRunStatus", "questions", 16),
    ("", "conditions", 16),
    ("", "sources", 16),
];

fn named(table: &[(&str, &str, u64)], definition: &str, field: &str) -> Option<u64> {
    let found = table.iter().find(|(of, name, _)| {
        (*of == definition || of.is_empty()) && *name == field && !(of.is_empty() && name.is_empty())
    });
    found.map(|(_, _, most)| *most)
}

/// The most characters of the text `field` of `definition`, whose own type is `kind`.
pub(super) fn text(definition: &str, field: &str, kind: &str) -> u64 {
    named(&TEXTS, definition, field).or_else(|| named(&TEXTS, kind, "")).unwrap_or(TEXT)
}

/// The most items of the list `field`, or members of the map `field`, of `definition`.
pub(super) fn items(definition: &str, field: &str) -> u64 {
    named(&LISTS, definition, field).unwrap_or(ITEMS)
}
