//! What the result of a vertex depends on.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use superstep_engine::{Payload, Received, View};
use superstep_graph::{
    AgentProgram, AlgorithmProgram, EmbedProgram, FunctionProgram, JudgeProgram, Program, PromptProgram,
    RetrieveProgram, RouterProgram, ToolProgram, VertexSpec,
};

use crate::programs::{PrepareError, expression_at, template};

/// The parts of what a vertex sees that its program reads.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reads {
    /// All of it.
    Everything,
    /// These paths, each from its root.
    Paths(BTreeSet<Vec<String>>),
}

/// Collects the paths of a vertex.
struct Collect<'a> {
    vertex: &'a VertexSpec,
    paths: BTreeSet<Vec<String>>,
}

impl Reads {
    /// What the program of `vertex` reads.
    ///
    /// # Errors
    /// A template or an expression does not compile.
    pub(super) fn of(vertex: &VertexSpec) -> Result<Self, PrepareError> {
        let mut collect = Collect { vertex, paths: BTreeSet::new() };
        match vertex.program() {
            Some(Program::Prompt(prompt)) => collect.prompt(prompt)?,
            Some(Program::Agent(agent)) => collect.agent(agent)?,
            Some(Program::Judge(judge)) => collect.judge(judge)?,
            Some(Program::Tool(tool)) => collect.tool(tool)?,
            Some(Program::Router(router)) => collect.router(router)?,
            Some(Program::Embed(embed)) => collect.embed(embed)?,
            Some(Program::Retrieve(retrieve)) => collect.retrieve(retrieve)?,
            Some(Program::Algorithm(algorithm)) => collect.algorithm(algorithm)?,
            Some(Program::Function(FunctionProgram { cel: Some(cel), command: None })) => {
                collect.cel("function.cel", Some(cel))?;
            }
            Some(Program::Function(_) | Program::Custom(_) | Program::Graph(_) | Program::Human(_))
            | None => {
                return Ok(Self::Everything);
            }
        }
        Ok(Self::Paths(collect.paths))
    }

    /// What they are in `view`.
    pub(super) fn seen(&self, view: &View) -> Value {
        match self {
            Self::Everything => crate::programs::seen(view),
            Self::Paths(paths) => paths.iter().map(|path| json!([path, part(view, path)])).collect(),
        }
    }
}

impl Collect<'_> {
    fn template(&mut self, field: &str, source: Option<&String>) -> Result<(), PrepareError> {
        if let Some(source) = source {
            let template = template(self.vertex, field, source)?;
            self.paths.extend(template.references().iter().map(|reference| reference.path.clone()));
        }
        Ok(())
    }

    fn cel(&mut self, field: &str, source: Option<&String>) -> Result<(), PrepareError> {
        if let Some(source) = source {
            let expression = expression_at(self.vertex, field, source)?;
            self.paths.extend(expression.references().iter().map(|reference| reference.path.clone()));
        }
        Ok(())
    }

    /// What came, where a program says nothing else.
    fn what_came(&mut self, unless: Option<&String>) {
        if unless.is_none() {
            self.paths.extend([vec!["element".to_owned()], vec!["messages".to_owned()]]);
        }
    }

    fn prompt(&mut self, prompt: &PromptProgram) -> Result<(), PrepareError> {
        let PromptProgram { model: _, system, history, template, sampling: _, output: _ } = prompt;
        self.cel("prompt.history", history.as_ref())?;
        self.template("prompt.system", system.as_ref())?;
        self.template("prompt.template", Some(template))
    }

    fn agent(&mut self, agent: &AgentProgram) -> Result<(), PrepareError> {
        let AgentProgram {
            model: _,
            system,
            history,
            template,
            tools: _,
            max_turns: _,
            repeat_limit: _,
            tool_calling: _,
            sampling: _,
            output: _,
        } = agent;
        self.what_came(template.as_ref());
        if template.is_none() {
            self.paths.insert(vec!["input".to_owned()]);
        }
        self.cel("agent.history", history.as_ref())?;
        self.template("agent.system", system.as_ref())?;
        self.template("agent.template", template.as_ref())
    }

    fn judge(&mut self, judge: &JudgeProgram) -> Result<(), PrepareError> {
        let JudgeProgram { model: _, system, rubric, pairwise, verdict, sampling: _ } = judge;
        self.template("judge.system", system.as_ref())?;
        self.template("judge.rubric.subject", rubric.as_ref().map(|rubric| &rubric.subject))?;
        if let Some(pair) = pairwise {
            self.template("judge.pairwise.a", Some(&pair.a))?;
            self.template("judge.pairwise.b", Some(&pair.b))?;
            self.template("judge.pairwise.question", pair.question.as_ref())?;
        }
        self.template("judge.verdict.template", verdict.as_ref().map(|verdict| &verdict.template))
    }

    fn tool(&mut self, tool: &ToolProgram) -> Result<(), PrepareError> {
        let ToolProgram { name: _, mcp_tool: _, arguments } = tool;
        self.what_came(arguments.as_ref());
        self.cel("tool.arguments", arguments.as_ref())
    }

    fn router(&mut self, router: &RouterProgram) -> Result<(), PrepareError> {
        // A router that weighs costs keeps no results: what it knows of them changes.
        let RouterProgram { cel, payload, cheapest: _, fastest: _, pareto: _ } = router;
        self.what_came(payload.as_ref());
        self.cel("router.cel", cel.as_ref())?;
        self.cel("router.payload", payload.as_ref())
    }

    fn embed(&mut self, embed: &EmbedProgram) -> Result<(), PrepareError> {
        let EmbedProgram { model: _, text, texts } = embed;
        self.what_came(text.as_ref().or(texts.as_ref()));
        self.template("embed.text", text.as_ref())?;
        self.cel("embed.texts", texts.as_ref())
    }

    fn retrieve(&mut self, retrieve: &RetrieveProgram) -> Result<(), PrepareError> {
        let RetrieveProgram { model: _, documents, query, top: _, min_score: _, chunk: _ } = retrieve;
        self.paths.insert(vec!["value".to_owned()]);
        self.what_came(query.as_ref());
        self.cel("retrieve.query", query.as_ref())?;
        let cel = documents.as_ref().and_then(|documents| documents.cel.as_ref());
        self.cel("retrieve.documents.cel", cel)
    }

    fn algorithm(&mut self, algorithm: &AlgorithmProgram) -> Result<(), PrepareError> {
        let AlgorithmProgram {
            pagerank,
            components: _,
            shortest_paths,
            label_propagation: _,
            triangles: _,
            edges,
            undirected: _,
            top: _,
        } = algorithm;
        if edges.is_none() {
            self.what_came(None);
        }
        self.cel("algorithm.edges.cel", edges.as_ref().and_then(|edges| edges.cel.as_ref()))?;
        let seeds = pagerank.as_ref().and_then(|pagerank| pagerank.seeds.as_ref());
        self.cel("algorithm.pagerank.seeds", seeds)?;
        self.cel("algorithm.shortestPaths.from", shortest_paths.as_ref().map(|paths| &paths.from))
    }
}

/// The part of `view` at `path`; where the path leads nowhere, the last that there is on it, so that nothing is
/// left out that could matter.
fn part(view: &View, path: &[String]) -> Value {
    let (root, fields) = path.split_first().expect("a path has a root");
    let messages = || view.messages.iter().map(shown).collect::<Value>();
    match root.as_str() {
        "input" => walk(&view.input, fields),
        "parameters" => walk(&view.parameters, fields),
        "value" => walk(&view.value, fields),
        "element" => view.element.as_ref().map_or(Value::Null, |element| json!([walk(element, fields)])),
        "message" => match view.messages.as_slice() {
            [message] => walk(&message.payload, fields),
            _ => messages(),
        },
        "messages" => messages(),
        "from" => match fields.split_first() {
            Some((sender, fields)) => view
                .from(&sender.as_str().into())
                .map_or(Value::Null, |payload| json!([walk(payload, fields)])),
            None => json!([messages(), view.kept.iter().map(shown).collect::<Value>()]),
        },
        "aggregates" => {
            let all = || view.aggregates.iter().map(|(name, folded)| json!([name, folded.value()])).collect();
            let named = fields
                .split_first()
                .and_then(|(name, fields)| Some(walk(view.aggregates.get(&name.as_str().into())?, fields)));
            named.unwrap_or_else(all)
        }
        "superstep" => json!(view.superstep),
        // A root that is not known here must not be taken for one that does not matter.
        _ => crate::programs::seen(view),
    }
}

fn shown(message: &Received) -> Value {
    json!({"from": message.from, "port": message.port, "payload": message.payload.value()})
}

fn walk(payload: &Payload, fields: &[String]) -> Value {
    let mut value = payload.value();
    for field in fields {
        match value.as_object().and_then(|members| members.get(field)) {
            Some(member) => value = member,
            None => break,
        }
    }
    value.clone()
}
