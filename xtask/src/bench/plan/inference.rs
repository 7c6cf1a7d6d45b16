//! The series of local models, each of which says what it runs on.

use super::Programs;
use crate::bench::series::{Series, Unit};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The name of all parts together.
pub(in crate::bench) const ALL: &str = "inference";
/// What takes minutes and changes rarely, and is measured only where it is named.
pub(in crate::bench) const ONCE: [Part; 2] = [Part::Correctness, Part::Sizing];

/// A peer for tokens, and the reference for what a language model says.
pub(in crate::bench) const LLAMA_CPP: &str = "llama-cpp";
/// A peer for sentences, and the reference for their vectors.
pub(in crate::bench) const ONNX_RUNTIME: &str = "onnxruntime";
/// The texts that sentence models are given.
pub(in crate::bench) const SENTENCES: &str = "bench/texts/sentences.txt";
/// What starts a server and asks it.
pub(in crate::bench) const SERVING: &str = "bench/serving.py";

/// How many clients wait for the first text.
const CLIENTS: [(&str, &str); 3] = [("1 client", "1"), ("8 clients", "8"), ("32 clients", "32")];

/// A part of the benchmark of local models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::bench) enum Part {
    Generation,
    Loading,
    Serving,
    Sentences,
    Correctness,
    Sizing,
}

impl Part {
    const EVERY: [Self; 6] =
        [Self::Generation, Self::Loading, Self::Serving, Self::Sentences, Self::Correctness, Self::Sizing];

    /// The word for `--only`.
    pub(in crate::bench) fn word(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::Loading => "loading",
            Self::Serving => "serving",
            Self::Sentences => "sentences",
            Self::Correctness => "correctness",
            Self::Sizing => "sizing",
        }
    }

    /// Those that `only` asks for: all that are quick, without it.
    pub(in crate::bench) fn wanted(only: &[String]) -> BTreeSet<Self> {
        let is_named = |part: &Self| only.iter().any(|only| only == ALL || only == part.word());
        let is_wanted = |part: &Self| is_named(part) || (only.is_empty() && !ONCE.contains(part));
        Self::EVERY.into_iter().filter(is_wanted).collect()
    }

    /// The peers that it needs.
    pub(in crate::bench) fn peers(self) -> &'static [&'static str] {
        match self {
            Self::Generation => &[LLAMA_CPP],
            Self::Sentences => &[ONNX_RUNTIME],
            Self::Correctness => &[LLAMA_CPP, ONNX_RUNTIME],
            Self::Loading | Self::Serving | Self::Sizing => &[],
        }
    }
}

/// Programs of ours and models, as far as they could be had.
#[derive(Default)]
pub(in crate::bench) struct Tools {
    /// Examples of superstep-inference.
    pub(in crate::bench) throughput: Option<PathBuf>,
    pub(in crate::bench) loading: Option<PathBuf>,
    pub(in crate::bench) sentences: Option<PathBuf>,
    /// The command.
    pub(in crate::bench) superstep: Option<PathBuf>,
    /// A GGUF file.
    pub(in crate::bench) model: PathBuf,
    /// The folder of a sentence model.
    pub(in crate::bench) embedder: PathBuf,
    /// Where converted weights and whatever else may lie.
    pub(in crate::bench) scratch: PathBuf,
}

impl Programs {
    /// The series of a part; none of one that has no rounds.
    pub(in crate::bench) fn series_of(&self, part: Part, root: &Path) -> Vec<Series> {
        match part {
            Part::Generation => self.generation(),
            Part::Loading => self.loading(),
            Part::Serving => self.serving(root),
            Part::Sentences => self.sentences(root),
            Part::Correctness | Part::Sizing => Vec::new(),
        }
    }

    /// Tokens on one thread, from the same file.
    fn generation(&self) -> Vec<Series> {
        let model = ["--model".to_owned(), shown(&self.models.model)];
        let row = "tokens";
        // The rounds are what repeats it.
        let once = model.iter().cloned().chain(["--repeats".to_owned(), "1".to_owned()]).collect();
        let ours = Series::new(row, "superstep", Unit::Tokens, self.models.throughput.clone(), once);
        let theirs = self.venvs.python(LLAMA_CPP).map(|python| {
            let arguments = std::iter::once(self.script(LLAMA_CPP)).chain(model).collect();
            Series::new(row, LLAMA_CPP, Unit::Tokens, Some(python), arguments).patient(2)
        });
        std::iter::once(ours.patient(2)).chain(theirs).collect()
    }

    /// The first that writes converted weights comes before the one that finds them.
    fn loading(&self) -> Vec<Series> {
        let folder = shown(&self.models.scratch.join("converted"));
        let rows: [(&'static str, &[&str]); 3] = [
            ("converted in memory", &[]),
            ("converted and written", &["--converted", &folder, "--fresh", "yes"]),
            ("from the converted file", &["--converted", &folder]),
        ];
        let series = |(row, options): (&'static str, &[&str])| {
            let mut arguments = vec!["--model".to_owned(), shown(&self.models.model)];
            arguments.extend(options.iter().map(|option| (*option).to_owned()));
            Series::new(row, "superstep", Unit::Load, self.models.loading.clone(), arguments)
        };
        rows.into_iter().map(series).collect()
    }

    fn serving(&self, root: &Path) -> Vec<Series> {
        let series = |row: &'static str, unit: Unit, options: &[&str]| {
            let superstep = self.models.superstep.as_ref();
            let arguments = superstep.map(|superstep| {
                let mut arguments = vec![shown(&root.join(SERVING)), options[0].to_owned()];
                arguments.extend(["--superstep".to_owned(), shown(superstep)]);
                arguments.extend(["--model".to_owned(), shown(&self.models.model)]);
                arguments.extend(options[1..].iter().map(|option| (*option).to_owned()));
                arguments
            });
            let program = arguments.is_some().then(|| PathBuf::from("python3"));
            Series::new(row, "superstep", unit, program, arguments.unwrap_or_default()).patient(4)
        };
        let clients = CLIENTS
            .map(|(row, clients)| series(row, Unit::FirstText, &["first-tokens", "--clients", clients]));
        let together = series("20 calls", Unit::Together, &["together"]);
        clients.into_iter().chain([together]).collect()
    }

    fn sentences(&self, root: &Path) -> Vec<Series> {
        let texts = shown(&root.join(SENTENCES));
        let options = ["--model".to_owned(), shown(&self.models.embedder), "--texts".to_owned(), texts];
        let row = "sentences";
        let ours =
            Series::new(row, "superstep", Unit::Sentences, self.models.sentences.clone(), options.to_vec());
        let arguments = std::iter::once(self.script(ONNX_RUNTIME)).chain(options).collect();
        let theirs = self.venvs.python(ONNX_RUNTIME);
        vec![ours, Series::new(row, ONNX_RUNTIME, Unit::Sentences, theirs, arguments)]
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_minutes_is_measured_where_it_is_named() {
        let wanted =
            |only: &[&str]| Part::wanted(&only.iter().map(|only| (*only).to_owned()).collect::<Vec<_>>());
        assert_eq!(wanted(&[ALL]).len(), Part::EVERY.len());
        assert!(ONCE.iter().all(|part| !wanted(&[]).contains(part)));
        assert_eq!(wanted(&["sizing", "chain"]), BTreeSet::from([Part::Sizing]));
        assert_eq!(wanted(&["chain"]), BTreeSet::new());
    }
}
