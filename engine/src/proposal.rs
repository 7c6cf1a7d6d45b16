//! Changes that wait for somebody's approval: the result of an activation, kept as a question.
//!
//! The question has all of the result, so that nothing of it takes effect before it is decided on, and nothing is done
//! again: what was proposed in what is asked, where people see it, and the rest in the state.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use superstep_graph::{Denied, Governance, Mutation, MutationPolicy};

use crate::payload::Payload;
use crate::program::{Outcome, ProgramResult, Question};

/// The member of a question that has what is proposed.
const PROPOSAL: &str = "proposal";

/// What a vertex would change of its graph, and somebody is to decide on: the `ask` of its question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    /// The changes. They are approved or denied together.
    #[serde(rename = "proposal")]
    pub mutations: Vec<Mutation>,
}

impl Proposal {
    /// What is proposed, if `question` is a proposal.
    pub fn of(question: &Question) -> Option<Self> {
        question.ask.value().get(PROPOSAL)?;
        Self::deserialize(question.ask.value()).ok()
    }

    /// The question that a result becomes whose mutations wait for a decision.
    pub fn question(result: &ProgramResult) -> Question {
        let rest = ProgramResult { mutations: Vec::new(), ..result.clone() };
        let state = serde_json::to_value(rest).expect("a result has string keys only");
        Question { ask: json!({ PROPOSAL: result.mutations }).into(), state: Some(state.into()) }
    }

    /// The outcome of a program that was executed again, in the form in which `recorded` has it: as the proposal that
    /// was made of its result, if one was.
    #[must_use]
    pub fn as_recorded(outcome: Outcome, recorded: &Outcome) -> Outcome {
        match (outcome, recorded) {
            (Outcome::Done(result), Outcome::Suspended(question)) if Self::of(question).is_some() => {
                Outcome::Suspended(Self::question(&result))
            }
            (outcome, _) => outcome,
        }
    }

    /// Whether `policy` lets somebody decide on what `result` asks for. What it refuses anyway, nobody is asked about.
    pub(crate) fn is_due(policy: &MutationPolicy, result: &ProgramResult) -> bool {
        policy.governance == Governance::Propose
            && result.mutations.iter().any(|mutation| policy.allow.contains(&mutation.kind()))
    }

    /// The result that a decision makes of a proposal; none if `question` is none.
    pub(crate) fn decided(question: &Question, answer: &Payload) -> Option<ProgramResult> {
        let Self { mutations } = Self::of(question)?;
        let rest = ProgramResult::deserialize(question.state.as_ref()?.value()).ok()?;
        // Whoever says nothing that is understood has approved nothing.
        let decision = Decision::of(answer).unwrap_or(Decision { approved: false, why: None });
        let denied = |mutation| {
            let why = decision.why.clone();
            Mutation::Denied(Box::new(Denied { mutation, why }))
        };
        let mutations =
            if decision.approved { mutations } else { mutations.into_iter().map(denied).collect() };
        Some(ProgramResult { mutations, ..rest })
    }
}

/// What somebody says of a proposal: the answer to its question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Decision {
    /// Whether it is to be done.
    pub approved: bool,
    /// Why, in his words; those of a denial are told with what it refuses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Decision {
    /// The decision that an answer says.
    ///
    /// # Errors
    /// It says none.
    pub fn of(answer: &Payload) -> Result<Self, serde_json::Error> {
        Self::deserialize(answer.value())
    }
}

impl From<Decision> for Payload {
    fn from(decision: Decision) -> Self {
        let mut value = json!({"approved": decision.approved});
        if let Some(why) = decision.why {
            value["why"] = Value::from(why);
        }
        Self::from(value)
    }
}

#[cfg(test)]
mod tests {
    use superstep_graph::{MutationKind, Port};

    use super::*;
    use crate::program::{Emission, ValueChange};

    fn result() -> ProgramResult {
        let mutations = json!([{"removeVertex": {"name": "b"}}, {"addEdge": {"from": "a", "to": "c"}}]);
        ProgramResult {
            emissions: vec![Emission { port: Port::from("left"), payload: json!([1, 2.5]).into() }],
            value: ValueChange::Append(json!("item").into()),
            mutations: serde_json::from_value(mutations).unwrap(),
            contributions: vec![("votes".into(), json!(1).into())],
            ..ProgramResult::default()
        }
    }

    fn decided(answer: Value) -> ProgramResult {
        Proposal::decided(&Proposal::question(&result()), &answer.into()).unwrap()
    }

    #[test]
    fn an_approved_result_is_the_one_that_was_given() {
        let question = Proposal::question(&result());
        assert_eq!(Proposal::of(&question).unwrap().mutations, result().mutations);
        assert_eq!(decided(json!({"approved": true})), result());
    }

    #[test]
    fn what_is_not_approved_changes_nothing_and_sends_what_it_would_have_sent() {
        for (answer, why) in [
            (json!({"approved": false}), None),
            (json!({"approved": false, "why": "too dear"}), Some("too dear")),
            (json!("go on"), None),
            (json!({"approved": "true"}), None),
            (json!(null), None),
        ] {
            let denied = decided(answer);
            for (mutation, asked) in denied.mutations.iter().zip(&result().mutations) {
                let Mutation::Denied(told) = mutation else { panic!("{mutation:?} was not denied") };
                assert_eq!((&told.mutation, told.why.as_deref()), (asked, why));
            }
            assert_eq!(denied.mutations.len(), 2);
            assert_eq!(ProgramResult { mutations: result().mutations, ..denied }, result());
        }
    }

    #[test]
    fn nobody_is_asked_about_what_is_refused_anyway() {
        let policy = |governance, allow: &[MutationKind]| MutationPolicy {
            governance,
            allow: allow.to_vec(),
            ..MutationPolicy::default()
        };
        for (policy, due) in [
            (policy(Governance::Propose, &[MutationKind::AddEdge]), true),
            (policy(Governance::Propose, &[MutationKind::Set]), false),
            (policy(Governance::Propose, &[]), false),
            (policy(Governance::Local, &[MutationKind::AddEdge]), false),
            (policy(Governance::Deny, &[MutationKind::AddEdge]), false),
        ] {
            assert_eq!(Proposal::is_due(&policy, &result()), due, "{policy:?}");
            assert!(!Proposal::is_due(&policy, &ProgramResult::output(Payload::null())));
        }
    }

    #[test]
    fn other_questions_are_no_proposals() {
        for ask in [json!("approve?"), json!({"prompt": "x"}), json!({"proposal": 1}), json!(null)] {
            let question = Question { ask: ask.into(), state: Some(Payload::null()) };
            assert_eq!(Proposal::of(&question), None);
            assert_eq!(Proposal::decided(&question, &json!({"approved": true}).into()), None);
        }
    }
}
