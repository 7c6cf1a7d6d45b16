//! Each vertex has one program, whose names resolve and whose numbers are in range.

mod algorithm;
mod retrieval;

use crate::name::VertexName;
use crate::problem::{FieldPath, Problem};
use crate::spec::{
    AgentProgram, FunctionProgram, GraphSpec, HumanProgram, JudgeProgram, McpTool, Program, Rubric, Sampling,
    ToolKind, ToolProgram, VertexSpec,
};

/// No more alternatives can be asked for at the place of a token.
const MOST_LOGPROBS: u8 = 20;

pub(super) fn check(spec: &GraphSpec, path: &FieldPath, vertex: &VertexSpec, problems: &mut Vec<Problem>) {
    let kinds: Vec<&str> = vertex.programs().map(|program| program.kind()).collect();
    if kinds.len() != 1 {
        let problem = if kinds.is_empty() {
            Problem::error(path.clone(), format!("vertex {:?} has no program", vertex.name))
        } else {
            Problem::error(
                path.field(kinds[1]),
                format!("vertex {:?} has {} programs", vertex.name, kinds.len()),
            )
        };
        problems.push(problem.hint(format!("give exactly one of {}", Program::KINDS.join(", "))));
    }
    let Some(program) = vertex.program() else { return };
    let mut checking = Checking { spec, path: path.field(program.kind()), problems };
    match program {
        Program::Prompt(prompt) => {
            checking.model(&prompt.model);
            checking.sampling(&prompt.sampling);
        }
        Program::Agent(agent) => checking.agent(agent),
        Program::Judge(judge) => checking.judge(judge),
        Program::Human(human) => checking.human(human),
        Program::Tool(tool) => checking.tool(tool),
        Program::Function(function) => checking.function(function),
        Program::Embed(embed) => checking.embed(embed),
        Program::Retrieve(retrieve) => checking.retrieve(vertex, retrieve),
        Program::Algorithm(algorithm) => checking.algorithm(algorithm),
        Program::Graph(graph) => {
            if !(graph.parameters.is_null() || graph.parameters.is_object()) {
                checking.error("parameters", "parameters are an object");
            }
        }
        Program::Router(router) => super::routers::form(&checking.path, router, checking.problems),
        Program::Custom(_) => {}
    }
}

struct Checking<'a> {
    spec: &'a GraphSpec,
    /// The program's.
    path: FieldPath,
    problems: &'a mut Vec<Problem>,
}

impl Checking<'_> {
    fn error(&mut self, field: &str, message: impl Into<String>) {
        self.problems.push(Problem::error(self.path.field(field), message));
    }

    fn model(&mut self, name: &VertexName) {
        let known = self.spec.models.iter().map(|model| model.name.as_str());
        if known.clone().all(|known| known != name.as_str()) {
            let problem = Problem::error(self.path.field("model"), format!("no model is named {name:?}"));
            self.problems.push(problem.nearest(name.as_str(), known));
        }
    }

    fn sampling(&mut self, sampling: &Sampling) {
        let path = self.path.field("sampling");
        for (name, value, low, high) in [
            ("temperature", sampling.temperature, 0.0, 100.0),
            ("topP", sampling.top_p, 0.0, 1.0),
            ("minP", sampling.min_p, 0.0, 1.0),
        ] {
            if value.is_some_and(|value| !(low..=high).contains(&value)) {
                let message = format!("{name} lies between {low} and {high}");
                self.problems.push(Problem::error(path.field(name), message));
            }
        }
        if sampling.top_p == Some(0.0) {
            self.problems.push(Problem::error(path.field("topP"), "topP is above 0"));
        }
        if sampling.repetition_penalty.is_some_and(|penalty| penalty <= 0.0) {
            let place = path.field("repetitionPenalty");
            self.problems.push(Problem::error(place, "repetitionPenalty is above 0"));
        }
        if sampling.logprobs.is_some_and(|count| count > MOST_LOGPROBS) {
            let message = format!("logprobs is at most {MOST_LOGPROBS}");
            self.problems.push(Problem::error(path.field("logprobs"), message));
        }
        if sampling.max_tokens == Some(0) {
            self.problems.push(Problem::error(path.field("maxTokens"), "maxTokens is at least 1"));
        }
    }

    /// That a program asks for log-probabilities which has no port for them.
    fn no_logprobs(&mut self, sampling: &Sampling) {
        if sampling.logprobs.is_some() {
            let place = self.path.field("sampling").field("logprobs");
            let problem = Problem::error(place, "only a prompt tells how likely its tokens were");
            self.problems.push(problem.hint("leave logprobs out, or ask by a prompt"));
        }
    }

    /// Whether the graph has the tool that `path` names.
    fn has_tool(&mut self, path: FieldPath, name: &VertexName) -> bool {
        let known = self.spec.tools.iter().map(|tool| tool.name.as_str());
        let is_there = known.clone().any(|known| known == name.as_str());
        if !is_there {
            let problem = Problem::error(path, format!("no tool is named {name:?}"));
            self.problems.push(problem.nearest(name.as_str(), known));
        }
        is_there
    }

    fn agent(&mut self, agent: &AgentProgram) {
        self.model(&agent.model);
        self.sampling(&agent.sampling);
        self.no_logprobs(&agent.sampling);
        for (index, name) in agent.tools.iter().enumerate() {
            let place = self.path.field("tools").index(index);
            if !self.has_tool(place.clone(), name) {
                continue;
            }
            if agent.tools[..index].contains(name) {
                self.problems.push(Problem::error(place, format!("tool {name:?} is named already")));
            } else if let Some((before, tool)) = self.offered_before(&agent.tools[..index], name) {
                let message = format!("tools {before:?} and {name:?} both offer a tool named {tool:?}");
                let problem = Problem::error(place, message);
                self.problems.push(problem.hint("give them to different agents, or allow it of one of them"));
            }
        }
        if agent.max_turns == 0 {
            self.error("maxTurns", "maxTurns is at least 1");
        }
        if agent.repeat_limit < 2 {
            self.error("repeatLimit", "repeatLimit is at least 2: the first call is no repetition");
        }
    }

    /// An entry of `tools` before `name` that offers a tool of the same name, and that tool.
    fn offered_before(&self, before: &[VertexName], name: &VertexName) -> Option<(VertexName, String)> {
        let entry = |name: &VertexName| self.spec.tools.iter().find(|tool| tool.name == *name);
        let own: Vec<&str> = entry(name)?.offers().collect();
        before.iter().find_map(|other| {
            let shared = entry(other)?.offers().find(|tool| own.contains(tool))?;
            Some((other.clone(), shared.to_owned()))
        })
    }

    fn judge(&mut self, judge: &JudgeProgram) {
        self.model(&judge.model);
        self.sampling(&judge.sampling);
        self.no_logprobs(&judge.sampling);
        match (&judge.rubric, &judge.pairwise, &judge.verdict) {
            (Some(rubric), None, None) => self.rubric(rubric),
            (None, Some(_), None) | (None, None, Some(_)) => {}
            (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                let problem = Problem::error(self.path.clone(), "a judge grades in one way");
                self.problems.push(problem.hint("give exactly one of rubric, pairwise, verdict"));
            }
        }
    }

    fn function(&mut self, function: &FunctionProgram) {
        if function.cel.is_some() == function.command.is_some() {
            let problem = Problem::error(self.path.clone(), "a function is computed in one way");
            self.problems.push(problem.hint("give exactly one of cel, command"));
        }
        let Some(command) = &function.command else { return };
        let path = self.path.field("command");
        if command.argv.first().is_none_or(String::is_empty) {
            let problem = Problem::error(path.field("argv"), "argv names no program");
            self.problems.push(problem.hint("the program comes first, then its arguments"));
        }
        if command.timeout.is_some_and(|timeout| timeout.as_millis() == 0) {
            self.problems.push(Problem::error(path.field("timeout"), "a timeout is above 0"));
        }
    }

    fn human(&mut self, human: &HumanProgram) {
        if human.timeout.is_some_and(|timeout| timeout.as_millis() == 0) {
            self.error("timeout", "a timeout is above 0");
        }
        if human.default.is_some() && human.timeout.is_none() {
            let problem = Problem::error(self.path.field("default"), "the default would never be taken");
            self.problems.push(problem.hint("say in timeout when it is"));
        }
    }

    fn rubric(&mut self, rubric: &Rubric) {
        let path = self.path.field("rubric");
        if rubric.scale.min >= rubric.scale.max {
            self.problems.push(Problem::error(path.field("scale"), "min lies below max"));
        }
        let path = path.field("criteria");
        if rubric.criteria.iter().all(|criterion| criterion.weight <= 0.0) {
            let message = "no criterion has any weight";
            self.problems.push(Problem::error(path.clone(), message).hint("give at least one"));
        }
        for (index, criterion) in rubric.criteria.iter().enumerate() {
            let place = path.index(index);
            if criterion.weight < 0.0 {
                self.problems.push(Problem::error(place.field("weight"), "a weight is 0 or more"));
            }
            let name = &criterion.name;
            if !name.is_well_formed() {
                let problem = Problem::error(place.field("name"), format!("{name:?} is no name"));
                self.problems.push(problem.hint("a name begins with a-z and goes on with a-z, 0-9 and _"));
            }
            if rubric.criteria[..index].iter().any(|other| other.name == *name) {
                self.problems.push(Problem::error(place.field("name"), format!("{name:?} is taken")));
            }
        }
    }

    fn tool(&mut self, program: &ToolProgram) {
        if !self.has_tool(self.path.field("name"), &program.name) {
            return;
        }
        let tool = self.spec.tools.iter().find(|tool| tool.name == program.name);
        match (tool.and_then(|tool| tool.kind()), &program.mcp_tool) {
            (Some(ToolKind::Mcp(server)), chosen) => self.tool_of(server, &program.name, chosen.as_deref()),
            (Some(ToolKind::Http(_) | ToolKind::Command(_) | ToolKind::Custom(_)), Some(_)) => {
                self.error("mcpTool", format!("tool {:?} is no server that offers several", program.name));
            }
            (Some(ToolKind::Http(_) | ToolKind::Command(_) | ToolKind::Custom(_)) | None, _) => {}
        }
    }

    fn tool_of(&mut self, server: &McpTool, name: &VertexName, chosen: Option<&str>) {
        let known = server.allow.iter().map(String::as_str);
        match chosen {
            Some(chosen) if !server.allow.iter().any(|allowed| allowed == chosen) => {
                let message = format!("tool {name:?} does not allow {chosen:?}");
                self.problems
                    .push(Problem::error(self.path.field("mcpTool"), message).nearest(chosen, known));
            }
            None if server.allow.len() > 1 => {
                let message = format!("tool {name:?} is a server that offers several");
                let problem = Problem::error(self.path.clone(), message);
                let names: Vec<&str> = known.collect();
                self.problems.push(problem.hint(format!("name one in mcpTool: {}", names.join(", "))));
            }
            Some(_) | None => {}
        }
    }
}
