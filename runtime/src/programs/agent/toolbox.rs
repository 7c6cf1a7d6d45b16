//! The tools of one agent, and the calls that its model wants made.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _, join_all, ready};
use serde_json::json;
use superstep_engine::{Failure, FailureClass, Payload};

use crate::calls::{Calls, digest};
use crate::model::ToolCall;
use crate::roots::nearest;
use crate::tool::ToolSignature;
use crate::tools::CheckedTool;

/// What a tool has answered, or what the model is told in place of that.
pub(super) type Answer = Result<Payload, String>;

/// The tools that a model may call.
pub(super) struct Toolbox(Vec<CheckedTool>);

/// How often the model wanted equal calls.
pub(super) struct Repetitions {
    limit: u32,
    /// By the digests of the calls.
    counts: BTreeMap<[u8; 16], u32>,
}

impl Repetitions {
    /// The call number `limit` of equal ones is not made.
    pub(super) fn new(limit: u32) -> Self {
        Self { limit, counts: BTreeMap::new() }
    }

    /// Counts a call; whether it is to be made.
    fn allow(&mut self, call: &ToolCall) -> Result<bool, Failure> {
        let count = self.counts.entry(digest(&json!({"name": call.name, "arguments": call.arguments})));
        let count = count.and_modify(|count| *count += 1).or_insert(1);
        if *count > self.limit {
            let message = format!("the model called tool {:?} {count} times with equal arguments", call.name);
            return Err(Failure::permanent(format!("{message} (repeatLimit {})", self.limit)));
        }
        Ok(*count < self.limit)
    }
}

impl Toolbox {
    pub(super) fn new(tools: Vec<CheckedTool>) -> Self {
        Self(tools)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn signatures(&self) -> Arc<[ToolSignature]> {
        self.0.iter().map(|tool| tool.signature().clone()).collect()
    }

    /// Whether the model can tell the tools apart.
    pub(super) fn check_names(&self) -> Result<(), Failure> {
        let mut tools: Vec<&CheckedTool> = self.0.iter().collect();
        tools.sort_by_key(|tool| tool.name());
        match tools.windows(2).find(|pair| pair[0].name() == pair[1].name()) {
            None => Ok(()),
            Some(pair) => {
                let (one, other) = (pair[0].entry(), pair[1].entry());
                let name = pair[0].name();
                let message = format!("tools {one:?} and {other:?} both offer a tool named {name:?}");
                Err(Failure::permanent(message))
            }
        }
    }

    /// Makes `calls` at the same time; their answers, in order.
    ///
    /// # Errors
    /// The model repeats itself; a call was refused, or failed in a way that may pass. The others have
    /// ended by then.
    pub(super) async fn call(
        &self,
        calls: &[ToolCall],
        way: &Calls,
        repetitions: &mut Repetitions,
    ) -> Result<Vec<Answer>, Failure> {
        let allowed: Vec<bool> =
            calls.iter().map(|call| repetitions.allow(call)).collect::<Result<_, _>>()?;
        let limit = repetitions.limit;
        let begun: Vec<_> = calls
            .iter()
            .zip(allowed)
            .map(|(call, allowed)| if allowed { self.begin(call, way) } else { told(repeated(limit)) })
            .collect();
        join_all(begun).await.into_iter().collect()
    }

    fn begin(&self, call: &ToolCall, way: &Calls) -> BoxFuture<'static, Result<Answer, Failure>> {
        let Some(tool) = self.0.iter().find(|tool| tool.name() == call.name) else {
            return told(self.unknown(&call.name));
        };
        if let Err(why) = tool.check(&call.arguments) {
            return told(why);
        }
        let made = tool.call(call.arguments.clone(), way);
        async move {
            match made.await?.0 {
                Ok(payload) => Ok(Ok(payload)),
                Err(failure) => match failure.class {
                    FailureClass::Permanent => Ok(Err(failure.message)),
                    FailureClass::Transient
                    | FailureClass::Timeout
                    | FailureClass::Incomplete
                    | FailureClass::Frame
                    | FailureClass::Limit => Err(failure),
                },
            }
        }
        .boxed()
    }

    fn unknown(&self, name: &str) -> String {
        let names: Vec<&str> = self.0.iter().map(CheckedTool::name).collect();
        let hint = nearest(name, names.iter().copied());
        let hint = hint.unwrap_or_else(|| format!("there is {}", names.join(", ")));
        format!("no tool is named {name:?} ({hint})")
    }
}

fn told(why: String) -> BoxFuture<'static, Result<Answer, Failure>> {
    ready(Ok(Err(why))).boxed()
}

fn repeated(limit: u32) -> String {
    let before = limit - 1;
    format!(
        "not called: {before} calls with these arguments were made. Use their answers, or do something else"
    )
}
