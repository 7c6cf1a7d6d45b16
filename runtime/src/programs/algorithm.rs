//! The program `algorithm`: a graph algorithm over edges that came, or that are given.

mod findings;
mod network;

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::Value;
use superstep_algorithms::{
    Components, Execution, LabelPropagation, Layout, PageRank, ShortestPaths, Triangles, VertexProgram,
};
use superstep_engine::{Failure, Payload, View};
use superstep_graph::{Algorithm, AlgorithmProgram, Link, LinkError, PageRankSpec, VertexSpec};

use super::aside::aside;
use super::{PrepareError, expression_at};
use crate::cel::Expression;
use crate::program::{Activation, Execution as Started, Program};
use crate::roots::Bindings;
use network::{Network, Reader};

/// An algorithm, prepared.
pub(super) struct Walk(Arc<Prepared>);

struct Prepared {
    method: Method,
    links: Origin,
    undirected: bool,
    top: Option<usize>,
}

/// What is computed.
enum Method {
    PageRank { spec: PageRankSpec, seeds: Option<Expression> },
    Components,
    ShortestPaths { from: Expression },
    LabelPropagation { iterations: u64 },
    Triangles,
}

/// Where edges come from.
enum Origin {
    WhatCame,
    Written(Arc<[Link]>),
    Cel(Expression),
}

impl Walk {
    pub(super) fn prepare(vertex: &VertexSpec, program: &AlgorithmProgram) -> Result<Self, PrepareError> {
        let compile =
            |field: &str, source: &String| expression_at(vertex, &format!("algorithm.{field}"), source);
        let method = match program.algorithm() {
            None => return Err(PrepareError::NoProgram { vertex: vertex.name.clone() }),
            Some(Algorithm::PageRank(spec)) => {
                let seeds = spec.seeds.as_ref().map(|seeds| compile("pagerank.seeds", seeds)).transpose()?;
                Method::PageRank { spec: spec.clone(), seeds }
            }
            Some(Algorithm::Components) => Method::Components,
            Some(Algorithm::ShortestPaths(paths)) => {
                Method::ShortestPaths { from: compile("shortestPaths.from", &paths.from)? }
            }
            Some(Algorithm::LabelPropagation(labels)) => {
                Method::LabelPropagation { iterations: labels.iterations.into() }
            }
            Some(Algorithm::Triangles) => Method::Triangles,
        };
        let links = match program.edges.as_ref().map(|edges| (&edges.inline, &edges.cel)) {
            None => Origin::WhatCame,
            Some((_, Some(cel))) => Origin::Cel(compile("edges.cel", cel)?),
            Some((Some(inline), None)) => {
                let links = inline.iter().map(Link::read).collect::<Result<Vec<Link>, LinkError>>();
                let unread = |why| PrepareError::Links { vertex: vertex.name.clone(), why };
                Origin::Written(links.map_err(unread)?.into())
            }
            // Who reads a manifest puts what its files hold in their place.
            Some((None, None)) => {
                return Err(PrepareError::Unread { vertex: vertex.name.clone(), field: "algorithm.edges" });
            }
        };
        let top = program.top.map(|top| top as usize);
        Ok(Self(Arc::new(Prepared { method, links, undirected: program.undirected, top })))
    }
}

impl Program for Walk {
    fn start(&self, activation: Activation) -> Started {
        let prepared = Arc::clone(&self.0);
        Started::running(aside(move || prepared.walk(&activation.view)))
    }
}

impl Prepared {
    fn walk(&self, view: &View) -> Result<Payload, Failure> {
        let network = self.network(view)?;
        let mut found = match &self.method {
            Method::PageRank { spec, seeds } => {
                let mut program: PageRank =
                    PageRank::new(spec.iterations.into(), spec.damping).until(spec.tolerance);
                let seeds = seeds.as_ref().map(|seeds| seeds.evaluate(Bindings::Vertex(view))).transpose()?;
                if let Some(seeds) = seeds.map(|seeds| network::seeds(seeds.value())).transpose()?.flatten() {
                    program = program.from_seeds(&network.graph, &network.known(seeds)?);
                }
                findings::scores(&network, &run(&program, &network), self.top)
            }
            Method::Components => findings::labels(&network, &run(&Components, &network), self.top),
            Method::ShortestPaths { from } => {
                let from = from.evaluate(Bindings::Vertex(view))?;
                let wrong =
                    |why: LinkError| Failure::permanent(format!("algorithm.shortestPaths.from: {why}"));
                let source = network.id(&Link::name(from.value()).map_err(wrong)?)?;
                findings::distances(&network, &run(&ShortestPaths { source }, &network), self.top)
            }
            Method::LabelPropagation { iterations } => {
                let program = LabelPropagation { iterations: *iterations };
                findings::labels(&network, &run(&program, &network), self.top)
            }
            Method::Triangles => {
                let program = Triangles::new(&network.graph);
                findings::triangles(&network, &program, &run(&program, &network), self.top)
            }
        };
        found.insert("vertices".to_owned(), network.names.len().into());
        found.insert("edges".to_owned(), network.links.into());
        Ok(Payload::from(Value::Object(found)))
    }

    fn network(&self, view: &View) -> Result<Network, Failure> {
        let mut reader = Reader::default();
        match &self.links {
            Origin::Written(links) => reader.links.extend(links.iter().cloned()),
            Origin::Cel(cel) => {
                reader.read(cel.evaluate(Bindings::Vertex(view))?.value(), "algorithm.edges.cel")?;
            }
            Origin::WhatCame => match &view.element {
                Some(element) => reader.read(element.value(), "the element")?,
                None => {
                    for message in &view.messages {
                        reader.read(message.payload.value(), &format!("what came from {}", message.from))?;
                    }
                }
            },
        }
        Network::new(reader, self.undirected)
    }
}

fn run<P: VertexProgram>(program: &P, network: &Network) -> Vec<P::Value> {
    // Little work is done by one thread, whatever the layout.
    let layout = Layout::of(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    Execution::new(program, &network.graph, layout).run().values
}

#[cfg(test)]
mod tests;
