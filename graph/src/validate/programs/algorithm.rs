//! Graph algorithms.

use super::Checking;
use crate::problem::Problem;
use crate::spec::{AlgorithmProgram, Link, Links};

impl Checking<'_> {
    pub(super) fn algorithm(&mut self, algorithm: &AlgorithmProgram) {
        if algorithm.algorithm().is_none() {
            let problem = Problem::error(self.path.clone(), "an algorithm is exactly one");
            self.problems.push(problem.hint(format!("give one of {}", AlgorithmProgram::KINDS.join(", "))));
        }
        if let Some(pagerank) = &algorithm.pagerank {
            let path = self.path.field("pagerank");
            let mut wrong = |field: &str, message: &str| {
                self.problems.push(Problem::error(path.field(field), message));
            };
            if !(0.0..=1.0).contains(&pagerank.damping) {
                wrong("damping", "damping lies between 0 and 1");
            }
            if pagerank.iterations == 0 {
                wrong("iterations", "iterations is at least 1");
            }
            if pagerank.tolerance < 0.0 {
                wrong("tolerance", "tolerance is 0 or more");
            }
        }
        if algorithm.label_propagation.is_some_and(|labels| labels.iterations == 0) {
            let place = self.path.field("labelPropagation").field("iterations");
            self.problems.push(Problem::error(place, "iterations is at least 1"));
        }
        if algorithm.top == Some(0) {
            self.error("top", "top is at least 1");
        }
        if let Some(links) = &algorithm.edges {
            self.links(links);
        }
    }

    fn links(&mut self, links: &Links) {
        let path = self.path.field("edges");
        let given = [links.files.is_some(), links.inline.is_some(), links.cel.is_some()];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            let problem = Problem::error(path.clone(), "edges are in exactly one place");
            self.problems.push(problem.hint("give one of files, inline, cel"));
        }
        if links.files.as_ref().is_some_and(Vec::is_empty) {
            self.problems.push(Problem::error(path.field("files"), "files names no file"));
        }
        for (index, link) in links.inline.iter().flatten().enumerate() {
            if let Err(why) = Link::read(link) {
                self.problems.push(Problem::error(path.field("inline").index(index), why.to_string()));
            }
        }
    }
}
