//! Programs of vectors.

use super::Checking;
use crate::name::VertexName;
use crate::problem::Problem;
use crate::spec::{Chunking, DocumentSpec, Documents, EmbedProgram, RetrieveProgram, VertexSpec};

impl Checking<'_> {
    pub(super) fn embed(&mut self, embed: &EmbedProgram) {
        self.embedder(&embed.model);
        if embed.text.is_some() && embed.texts.is_some() {
            let problem = Problem::error(self.path.field("texts"), "give text or texts, not both");
            self.problems.push(problem.hint("text is one text, texts is a list of them"));
        }
    }

    pub(super) fn retrieve(&mut self, vertex: &VertexSpec, retrieve: &RetrieveProgram) {
        self.embedder(&retrieve.model);
        match &retrieve.documents {
            Some(documents) => self.documents(documents),
            None if vertex.value.is_null() => {
                let problem = Problem::warning(self.path.clone(), "there is nothing to be found");
                self.problems
                    .push(problem.hint("give documents; what an earlier run kept comes with its value"));
            }
            None => {}
        }
        if !(1..=1_000).contains(&retrieve.top) {
            self.error("top", "top lies between 1 and 1000");
        }
        if retrieve.min_score.is_some_and(|score| !(-1.0..=1.0).contains(&score)) {
            self.error("minScore", "minScore lies between -1 and 1, as a cosine does");
        }
        self.chunking(retrieve.chunk);
        self.value_is_its_own(vertex);
    }

    /// The value holds the vectors, and nobody else may write it.
    fn value_is_its_own(&mut self, vertex: &VertexSpec) {
        if vertex.effects.value.is_some() || vertex.effects.append.is_some() {
            let message = "retrieve keeps its vectors in the value of the vertex, which effects cannot write";
            self.problems.push(Problem::error(self.path.clone(), message));
        }
        if vertex.for_each.is_some() {
            let message = "retrieve is not for each element, for an element cannot write the vertex's value";
            let problem = Problem::error(self.path.clone(), message);
            self.problems.push(problem.hint("leave forEach out, and give a list of texts in query"));
        }
    }

    fn documents(&mut self, documents: &Documents) {
        let path = self.path.field("documents");
        let given = [documents.files.is_some(), documents.inline.is_some(), documents.cel.is_some()];
        if given.into_iter().filter(|is_given| *is_given).count() != 1 {
            let problem = Problem::error(path.clone(), "documents are in exactly one place");
            self.problems.push(problem.hint("give one of files, inline, cel"));
        }
        if documents.files.as_ref().is_some_and(Vec::is_empty) {
            self.problems.push(Problem::error(path.field("files"), "files names no file"));
        }
        for (index, document) in documents.inline.iter().flatten().enumerate() {
            self.document(documents.inline.as_deref().unwrap_or_default(), index, document);
        }
    }

    fn document(&mut self, all: &[DocumentSpec], index: usize, document: &DocumentSpec) {
        let Some(id) = &document.id else { return };
        let place = || self.path.field("documents").field("inline").index(index).field("id");
        let problem = if id.is_empty() {
            Problem::error(place(), "an id is not empty").hint("leave it out, and one is made of the text")
        } else if all[..index].iter().any(|other| other.id.as_ref() == Some(id)) {
            Problem::error(place(), format!("a document before has the id {id:?}"))
        } else {
            return;
        };
        self.problems.push(problem);
    }

    fn chunking(&mut self, Chunking { characters, overlap }: Chunking) {
        let path = self.path.field("chunk");
        if characters < 16 {
            self.problems
                .push(Problem::error(path.field("characters"), "a passage has 16 characters or more"));
        } else if overlap > characters / 2 {
            let message = "passages overlap by half of their characters at most";
            self.problems.push(Problem::error(path.field("overlap"), message));
        }
    }

    /// A model whose vectors can be compared: each model has a space of its own, so none stands in for it.
    fn embedder(&mut self, name: &VertexName) {
        self.model(name);
        let known = self.spec.models.iter().find(|model| model.name == *name);
        if known.is_some_and(|model| !model.fallbacks.is_empty()) {
            let message =
                format!("model {name:?} has fallbacks, whose vectors cannot be compared with its own");
            let problem = Problem::error(self.path.field("model"), message);
            self.problems.push(problem.hint("name it once more in models, without fallbacks"));
        }
    }
}
