//! The templates, expressions and schemas of programs.

use superstep_graph::{
    AgentProgram, FieldPath, HumanProgram, JudgeProgram, OutputFormat, ParametersSpec, Problem, Program,
    PromptProgram, Sampling, ToolSpec, VertexSpec,
};

use super::Checking;
use crate::roots::Scope;
use crate::schema::Schema;
use crate::template::Template;

impl<'a> Checking<'a> {
    pub(super) fn program(&mut self, path: &FieldPath, vertex: &'a VertexSpec, program: Program<'a>) {
        match program {
            Program::Prompt(prompt) => self.prompt(path, vertex, prompt),
            Program::Function(function) => {
                if let Some(cel) = &function.cel {
                    self.expression(path.field("cel"), vertex, cel, Scope::Vertex);
                }
            }
            Program::Router(router) => {
                if let Some(cel) = &router.cel {
                    self.expression(path.field("cel"), vertex, cel, Scope::Vertex);
                }
                if let Some(payload) = &router.payload {
                    self.expression(path.field("payload"), vertex, payload, Scope::Vertex);
                }
            }
            Program::Human(human) => self.human(path, vertex, human),
            Program::Judge(judge) => self.judge(path, vertex, judge),
            Program::Agent(agent) => self.agent(path, vertex, agent),
            Program::Tool(tool) => {
                if let Some(arguments) = &tool.arguments {
                    self.expression(path.field("arguments"), vertex, arguments, Scope::Vertex);
                }
            }
            Program::Embed(embed) => {
                self.template(path.field("text"), vertex, embed.text.as_deref());
                self.optional(path.field("texts"), vertex, embed.texts.as_deref());
            }
            Program::Retrieve(retrieve) => {
                let documents = retrieve.documents.as_ref().and_then(|documents| documents.cel.as_deref());
                self.optional(path.field("documents").field("cel"), vertex, documents);
                self.optional(path.field("query"), vertex, retrieve.query.as_deref());
            }
            Program::Algorithm(algorithm) => {
                let links = algorithm.edges.as_ref().and_then(|edges| edges.cel.as_deref());
                self.optional(path.field("edges").field("cel"), vertex, links);
                let seeds = algorithm.pagerank.as_ref().and_then(|pagerank| pagerank.seeds.as_deref());
                self.optional(path.field("pagerank").field("seeds"), vertex, seeds);
                let from = algorithm.shortest_paths.as_ref().map(|paths| paths.from.as_str());
                self.optional(path.field("shortestPaths").field("from"), vertex, from);
            }
            Program::Graph(_) | Program::Custom(_) => {}
        }
    }

    fn optional(&mut self, path: FieldPath, vertex: &'a VertexSpec, source: Option<&str>) {
        if let Some(source) = source {
            self.expression(path, vertex, source, Scope::Vertex);
        }
    }

    /// A default need not have all that is required: the rest is given.
    pub(super) fn parameters(&mut self, path: &FieldPath, parameters: &ParametersSpec) {
        let mut partial = parameters.schema.clone();
        if let Some(schema) = partial.as_object_mut() {
            schema.remove("required");
        }
        match (Schema::compile(&partial), &parameters.default) {
            (Err(error), _) => self.problems.push(Problem::error(path.field("schema"), error.to_string())),
            (Ok(_), serde_json::Value::Null) => {}
            (Ok(schema), default) => {
                if let Err(why) = schema.check(default) {
                    let message = format!("the default does not fit the schema: {why}");
                    self.problems.push(Problem::error(path.field("default"), message));
                }
            }
        }
    }

    /// The parameters that a tool declares are the schema of an object.
    pub(super) fn tool(&mut self, path: &FieldPath, tool: &ToolSpec) {
        let http = tool.http.as_ref().map(|http| ("http", &http.parameters));
        let command = tool.command.as_ref().map(|command| ("command", &command.parameters));
        for (kind, parameters) in http.into_iter().chain(command) {
            if let Some(parameters) = parameters {
                self.schema(path.field(kind).field("parameters"), parameters);
            }
        }
    }

    fn prompt(&mut self, path: &FieldPath, vertex: &'a VertexSpec, prompt: &'a PromptProgram) {
        self.template(path.field("system"), vertex, prompt.system.as_deref());
        self.history(path.field("history"), vertex, prompt.history.as_deref());
        self.template(path.field("template"), vertex, Some(&prompt.template));
        self.output(path, prompt.output.as_ref(), &prompt.sampling);
    }

    fn agent(&mut self, path: &FieldPath, vertex: &'a VertexSpec, agent: &'a AgentProgram) {
        self.template(path.field("system"), vertex, agent.system.as_deref());
        self.history(path.field("history"), vertex, agent.history.as_deref());
        self.template(path.field("template"), vertex, agent.template.as_deref());
        self.output(path, agent.output.as_ref(), &agent.sampling);
    }

    fn history(&mut self, path: FieldPath, vertex: &'a VertexSpec, source: Option<&str>) {
        if let Some(source) = source {
            self.expression(path, vertex, source, Scope::Vertex);
        }
    }

    fn human(&mut self, path: &FieldPath, vertex: &'a VertexSpec, human: &'a HumanProgram) {
        self.template(path.field("prompt"), vertex, Some(&human.prompt));
        let Some(schema) = &human.schema else { return };
        let (Ok(compiled), Some(default)) = (Schema::compile(schema), &human.default) else {
            return self.schema(path.field("schema"), schema);
        };
        if let Err(why) = compiled.check(default) {
            let message = format!("the default does not fit the schema: {why}");
            self.problems.push(Problem::error(path.field("default"), message));
        }
    }

    fn judge(&mut self, path: &FieldPath, vertex: &'a VertexSpec, judge: &'a JudgeProgram) {
        self.template(path.field("system"), vertex, judge.system.as_deref());
        if let Some(rubric) = &judge.rubric {
            self.template(path.field("rubric").field("subject"), vertex, Some(&rubric.subject));
        }
        if let Some(pairwise) = &judge.pairwise {
            let path = path.field("pairwise");
            self.template(path.field("a"), vertex, Some(&pairwise.a));
            self.template(path.field("b"), vertex, Some(&pairwise.b));
            self.template(path.field("question"), vertex, pairwise.question.as_deref());
        }
        if let Some(verdict) = &judge.verdict {
            let path = path.field("verdict");
            self.template(path.field("template"), vertex, Some(&verdict.template));
            self.schema(path.field("schema"), &verdict.schema);
        }
    }

    fn template(&mut self, path: FieldPath, vertex: &'a VertexSpec, source: Option<&str>) {
        match source.map(Template::compile_all) {
            Some(Ok(template)) => self.references(&path, vertex, template.references()),
            Some(Err(errors)) => self.uncompiled(&path, errors),
            None => {}
        }
    }

    fn output(&mut self, path: &FieldPath, output: Option<&OutputFormat>, sampling: &Sampling) {
        if let Some(output) = output {
            self.schema(path.field("output").field("schema"), &output.schema);
            if sampling.stop.iter().any(|stop| !stop.is_empty()) {
                let message =
                    "a stop text can cut the JSON that output.schema asks for; a local model refuses the two";
                let problem = Problem::warning(path.field("sampling").field("stop"), message);
                self.problems
                    .push(problem.hint("leave stop out: what has a schema ends where the JSON is complete"));
            }
        }
    }
}
