//! Resources that belong together, checked against each other.

mod choice;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use superstep_graph::{FieldPath, Limits, Problem, Problems, Severity, ValidatedGraph, validate};

use crate::agent_graph::AgentGraph;
use crate::diagnostic::{Diagnostic, did_you_mean, nearest};
use crate::document::{Document, documents};
use crate::kind::{API_VERSION, GROUP, Kind};
use crate::metadata::ObjectMeta;
use crate::model_server::ModelServer;
use crate::node::Node;
use crate::patch::AgentGraphPatch;
use crate::read::read;
use crate::source::{Place, Source};

pub use choice::NoGraph;

/// A resource and the text that it was read from.
#[derive(Clone, Debug)]
pub struct Resource<T> {
    /// What it says.
    pub content: T,
    origin: Document,
}

/// A graph with its document.
#[derive(Clone, Debug)]
pub struct CheckedGraph {
    /// The document as written.
    pub document: AgentGraph,
    /// The graph made from it.
    pub graph: ValidatedGraph,
}

/// Resources by name. Namespaces do not tell resources apart: one run has one of each name.
#[derive(Clone, Debug, Default)]
pub struct ResourceSet {
    /// The graphs.
    pub graphs: BTreeMap<String, Resource<CheckedGraph>>,
    /// The models.
    pub model_servers: BTreeMap<String, Resource<ModelServer>>,
    /// The changes.
    pub patches: BTreeMap<String, Resource<AgentGraphPatch>>,
}

/// What came of reading texts.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The resources without a mistake of their own.
    pub resources: ResourceSet,
    /// The graphs that were read, and do not hold together.
    pub broken: Vec<Resource<AgentGraph>>,
    /// All mistakes and doubts, in the order of the texts.
    pub diagnostics: Vec<Diagnostic>,
}

impl<T> Resource<T> {
    /// The problem, whose path begins at the spec of this resource, at its place in the text.
    pub fn diagnose(&self, problem: &Problem) -> Diagnostic {
        in_spec(&self.origin, problem)
    }

    /// As [`diagnose`](Self::diagnose), of several. What may only follow from a word that was made up, where one could
    /// not be read, is left out.
    pub fn diagnose_all(&self, problems: &[Problem]) -> Vec<Diagnostic> {
        in_spec_all(&self.origin, problems)
    }

    /// The text that it was read from.
    pub fn source(&self) -> &Arc<Source> {
        &self.origin.source
    }

    /// The part of this resource at `path`, which begins at the spec, read as a document whose form
    /// this crate does not know.
    ///
    /// # Errors
    /// Every mistake in it; none are there if the resource has no such part.
    pub fn part<U: DeserializeOwned>(&self, path: &FieldPath) -> Result<U, Vec<Diagnostic>> {
        let mut mistakes = Vec::new();
        let Some(part) = self.origin.part(&below_spec(path)) else { return Err(mistakes) };
        let reading = read(&part, &mut mistakes);
        reading.value.filter(|_| mistakes.is_empty()).ok_or(mistakes)
    }
}

/// Reads a text that is one document of YAML or JSON, of a form that this crate does not know.
///
/// # Errors
/// Every mistake in it.
pub fn read_document<T: DeserializeOwned>(source: &Arc<Source>) -> Result<T, Vec<Diagnostic>> {
    let mut mistakes = Vec::new();
    let found = documents(source, &mut mistakes);
    let [document] = found.as_slice() else {
        if mistakes.is_empty() {
            let place = Place::new(source, 0..0);
            mistakes.push(Diagnostic::error(place, format!("one document is expected, not {}", found.len())));
        }
        return Err(mistakes);
    };
    let reading = read(document, &mut mistakes);
    reading.value.filter(|_| mistakes.is_empty()).ok_or(mistakes)
}

impl Loaded {
    /// Whether something is wrong, and not only doubtful.
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads the resources in `sources` and checks them. Documents of other API groups are passed over;
/// in a folder, so is whatever is no resource. `lookup` gives the values of environment variables.
pub fn load(sources: &[Arc<Source>], lookup: &dyn Fn(&str) -> Option<String>) -> Loaded {
    let mut loader = Loader { lookup, names: BTreeMap::new(), loaded: Loaded::default() };
    for source in sources {
        let mut mistakes = Vec::new();
        let found = documents(source, &mut mistakes);
        if source.named || source.text.contains(GROUP) {
            loader.loaded.diagnostics.append(&mut mistakes);
        }
        for document in found {
            loader.document(document);
        }
    }
    loader.references();
    loader.unheeded();
    let order = |diagnostic: &Diagnostic| {
        let place = diagnostic.place.as_ref();
        place.map(|place| {
            (sources.iter().position(|source| Arc::ptr_eq(source, &place.source)), place.span.start)
        })
    };
    loader.loaded.diagnostics.sort_by_key(order);
    loader.loaded
}

struct Loader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// Every resource that a text defines, a broken one too, so that what refers to it is right.
    names: BTreeMap<(Kind, String), Place>,
    loaded: Loaded,
}

impl Loader<'_> {
    fn document(&mut self, document: Document) {
        let kind = match kind_of(&document) {
            Ok(Some(kind)) => kind,
            Ok(None) => return,
            Err(diagnostics) => return self.loaded.diagnostics.extend(diagnostics),
        };
        if !self.is_new(kind, &document) {
            return;
        }
        match kind {
            Kind::AgentGraph => self.graph(document),
            Kind::ModelServer => self.model_server(document),
            Kind::AgentGraphPatch => self.patch(document),
        }
    }

    /// Notes the name of the resource; one that is taken is reported.
    fn is_new(&mut self, kind: Kind, document: &Document) -> bool {
        let path = FieldPath::default().field("metadata").field("name");
        let metadata = document.root.member("metadata").map(|member| &member.value);
        let Some(name) =
            metadata.and_then(|metadata| metadata.member("name")).and_then(|member| member.value.text())
        else {
            return true;
        };
        let place = document.locate(&path);
        if let Some(first) = self.names.get(&(kind, name.to_owned())) {
            let diagnostic = Diagnostic::error(place, format!("{kind:?} {name:?} is defined twice"));
            self.loaded.diagnostics.push(diagnostic.hint(format!("the first stands at {first}")));
            return false;
        }
        self.names.insert((kind, name.to_owned()), place);
        true
    }

    /// Reads the document; nothing comes of it if a mistake leaves open what was meant.
    fn read<T: DeserializeOwned>(
        &mut self,
        document: &mut Document,
        metadata: fn(&T) -> &ObjectMeta,
    ) -> Option<T> {
        let reading = read::<T>(document, &mut self.loaded.diagnostics);
        document.made_up = reading.made_up;
        let value = reading.value.filter(|_| reading.whole)?;
        for problem in metadata(&value).problems() {
            self.loaded.diagnostics.push(document.diagnose(&problem.path, &problem));
        }
        Some(value)
    }

    /// Reports problems whose paths begin at the spec; false if one is an error.
    fn report(&mut self, document: &Document, problems: &[Problem]) -> bool {
        self.loaded.diagnostics.extend(in_spec_all(document, problems));
        problems.iter().all(|problem| problem.severity == Severity::Warning)
    }

    fn graph(&mut self, mut origin: Document) {
        let Some(document) = self.read::<AgentGraph>(&mut origin, |graph| &graph.metadata) else { return };
        let has_workers = self.report(&origin, &document.spec.workers.problems());
        match validate(&document.spec.graph) {
            Ok(graph) if has_workers => {
                self.report(&origin, graph.warnings());
                let name = document.metadata.name.clone();
                self.loaded
                    .resources
                    .graphs
                    .insert(name, Resource { content: CheckedGraph { document, graph }, origin });
            }
            Ok(_) => self.loaded.broken.push(Resource { content: document, origin }),
            Err(Problems(problems)) => {
                self.report(&origin, &problems);
                self.loaded.broken.push(Resource { content: document, origin });
            }
        }
    }

    fn model_server(&mut self, mut origin: Document) {
        let Some(mut document) = self.read::<ModelServer>(&mut origin, |server| &server.metadata) else {
            return;
        };
        let mut problems = document.spec.interpolate(self.lookup);
        let taken: Vec<FieldPath> = problems.iter().map(|problem| problem.path.clone()).collect();
        problems
            .extend(document.spec.problems().into_iter().filter(|problem| !taken.contains(&problem.path)));
        problems.extend(document.spec.only_on_clusters());
        if self.report(&origin, &problems) {
            let name = document.metadata.name.clone();
            self.loaded.resources.model_servers.insert(name, Resource { content: document, origin });
        }
    }

    fn patch(&mut self, mut origin: Document) {
        let Some(document) = self.read::<AgentGraphPatch>(&mut origin, |patch| &patch.metadata) else {
            return;
        };
        if self.report(&origin, &document.spec.problems()) {
            let name = document.metadata.name.clone();
            self.loaded.resources.patches.insert(name, Resource { content: document, origin });
        }
    }

    /// Reports limits of graphs that hold only when these are run by themselves, where another one of the set
    /// has them inside.
    fn unheeded(&mut self) {
        let graphs = &self.loaded.resources.graphs;
        let vertices = graphs.values().flat_map(|graph| &graph.content.document.spec.graph.vertices);
        let inside: BTreeSet<&str> =
            vertices.filter_map(|vertex| Some(vertex.graph.as_ref()?.reference.name.as_str())).collect();
        let mut doubts = Vec::new();
        for graph in inside.into_iter().filter_map(|name| graphs.get(name)) {
            let (own, usual) = (&graph.content.document.spec.graph.limits, Limits::default());
            let path = FieldPath::default().field("limits");
            let differs = [
                ("activations", own.activations != usual.activations),
                ("duration", own.duration != usual.duration),
                ("depth", own.depth != usual.depth),
                ("mutations", own.mutations != usual.mutations),
            ];
            for (field, _) in differs.into_iter().filter(|(_, differs)| *differs) {
                let message = "in a sub-graph, this limit is that of the graph of the run";
                let problem = Problem::warning(path.field(field), message);
                doubts.push(graph.diagnose(&problem.hint("inside, supersteps, calls, tokens and cost hold")));
            }
        }
        self.loaded.diagnostics.extend(doubts);
    }

    /// Reports names of resources that are not in the set.
    fn references(&mut self) {
        let mut missing = Vec::new();
        let whole =
            self.loaded.resources.graphs.values().map(|graph| (&graph.content.document, &graph.origin));
        let broken = self.loaded.broken.iter().map(|graph| (&graph.content, &graph.origin));
        for (graph, origin) in whole.chain(broken) {
            for (path, kind, name) in references(graph) {
                if !self.names.contains_key(&(kind, name.clone())) {
                    let problem = Problem::error(path, format!("no {kind:?} is named {name:?}"));
                    let known =
                        self.names.keys().filter(|(known, _)| *known == kind).map(|(_, name)| name.as_str());
                    let none = format!("add the file that defines it with -f, or define it: kind: {kind:?}");
                    let hint = did_you_mean(&name, known).unwrap_or(none);
                    missing.push(in_spec(origin, &problem.hint(hint)));
                }
            }
        }
        self.loaded.diagnostics.extend(missing);
    }
}

/// Every resource that a graph names, with the path of the name from the spec.
fn references(graph: &AgentGraph) -> Vec<(FieldPath, Kind, String)> {
    let root = FieldPath::default();
    let models = graph.spec.graph.models.iter().enumerate().filter_map(|(index, model)| {
        let path = root.field("models").index(index).field("modelServerRef").field("name");
        Some((path, Kind::ModelServer, model.model_server_ref.as_ref()?.name.clone()))
    });
    let vertices = graph.spec.graph.vertices.iter().enumerate().flat_map(|(index, vertex)| {
        let path = root.field("vertices").index(index);
        let program = vertex.graph.iter().map({
            let path = path.field("graph").field("ref").field("name");
            move |program| (path.clone(), Kind::AgentGraph, program.reference.name.clone())
        });
        let capabilities = path.field("capabilities").field("graphs");
        let handed_on = vertex.capabilities.graphs.iter().enumerate();
        program.chain(
            handed_on
                .map(move |(position, name)| (capabilities.index(position), Kind::AgentGraph, name.clone())),
        )
    });
    models.chain(vertices).collect()
}

fn in_spec(document: &Document, problem: &Problem) -> Diagnostic {
    document.diagnose(&below_spec(&problem.path), problem)
}

fn in_spec_all(document: &Document, problems: &[Problem]) -> Vec<Diagnostic> {
    let certain = problems.iter().filter(|problem| !document.is_doubtful(&below_spec(&problem.path)));
    certain.map(|problem| in_spec(document, problem)).collect()
}

fn below_spec(path: &FieldPath) -> FieldPath {
    let mut whole = FieldPath::default().field("spec");
    whole.0.extend(path.0.iter().cloned());
    whole
}

/// The kind of a document; none if it is not for us.
fn kind_of(document: &Document) -> Result<Option<Kind>, Vec<Diagnostic>> {
    let root: &Node = &document.root;
    let text = |field: &str| root.member(field).and_then(|member| member.value.text());
    let place = |field: &str| document.locate(&FieldPath::default().field(field));
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        if !document.source.named {
            return Ok(None);
        }
        let missing = ["apiVersion", "kind"].into_iter().filter(|field| text(field).is_none());
        let hint = "a resource begins with apiVersion: superstep.dev/v1alpha1 and its kind";
        let report = |field| {
            Diagnostic::error(place(field), format!("field {field:?} is missing")).hint(hint.to_owned())
        };
        return Err(missing.map(report).collect());
    };
    let names = || Kind::ALL.iter().map(|kind| kind.name());
    let group = version.split('/').next().unwrap_or(version);
    let is_ours = nearest(group, [GROUP]).is_some() || nearest(kind, names()).is_some();
    let known = Kind::named(kind);
    match known {
        _ if !is_ours => Ok(None),
        Some(kind) if version == API_VERSION => Ok(Some(kind)),
        Some(_) => {
            let diagnostic =
                Diagnostic::error(place("apiVersion"), format!("apiVersion {version:?} is not known"));
            Err(vec![diagnostic.hint(format!("this version reads {API_VERSION}"))])
        }
        None => {
            let all = || format!("a local run reads {}", names().collect::<Vec<_>>().join(", "));
            let hint = did_you_mean(kind, names()).unwrap_or_else(all);
            Err(vec![Diagnostic::error(place("kind"), format!("kind {kind:?} is not known")).hint(hint)])
        }
    }
}

#[cfg(test)]
mod tests;
