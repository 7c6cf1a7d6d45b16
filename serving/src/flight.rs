//! The work on one request, as those who listen see it.

use superstep_engine::Failure;
use superstep_runtime::ModelAnswer;

/// How far the work on a request has come.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// The answers, of which a client may want several.
    pub(crate) choices: Vec<Choice>,
}

/// One answer as it is written.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Its text so far.
    pub(crate) text: String,
    /// How it ended, once it has.
    pub(crate) ended: Option<Result<ModelAnswer, Failure>>,
}

impl Progress {
    pub(crate) fn new(choices: usize) -> Self {
        Self { choices: (0..choices).map(|_| Choice::default()).collect() }
    }

    /// Whether anything was written, or failed.
    pub(crate) fn has_begun(&self) -> bool {
        self.choices.iter().any(|choice| !choice.text.is_empty() || choice.ended.is_some())
    }

    /// Whether nothing more comes: all answers are there, or one has failed.
    pub(crate) fn is_over(&self) -> bool {
        self.failure().is_some() || self.choices.iter().all(|choice| choice.ended.is_some())
    }

    /// The answer to a request for one, once it has ended well.
    pub(crate) fn answer(&self) -> Option<&ModelAnswer> {
        self.choices.first()?.ended.as_ref()?.as_ref().ok()
    }

    /// What failed first, in the order of the answers.
    pub(crate) fn failure(&self) -> Option<&Failure> {
        self.choices.iter().find_map(|choice| choice.ended.as_ref()?.as_ref().err())
    }

    /// About the bytes that it takes to keep it.
    pub(crate) fn bytes(&self) -> usize {
        let kept = |choice: &Choice| match &choice.ended {
            Some(Ok(answer)) => {
                let calls: usize =
                    answer.tool_calls.iter().map(|call| call.arguments.to_string().len()).sum();
                let told = answer.logprobs.iter().flatten().map(|told| 64 + 48 * told.top.len());
                let reasoning = answer.reasoning.as_ref().map_or(0, String::len);
                answer.text.len() + reasoning + calls + told.sum::<usize>()
            }
            Some(Err(_)) | None => 0,
        };
        self.choices.iter().map(|choice| 256 + choice.text.len() + kept(choice)).sum()
    }
}
