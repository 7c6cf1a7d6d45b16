use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use superstep_engine::{Failure, RunStatus};
use superstep_store::Store;

use super::*;
use crate::models::Models;
use crate::programs::Programs;
use crate::runner::{NewRun, Run, Setup};
use crate::tool::{Tool, ToolRequest};

/// Tells the weather.
///
/// Of a city.
#[derive(Deserialize, JsonSchema)]
struct City {
    /// Its name.
    city: String,
    /// How many days ahead.
    #[serde(default)]
    days: u8,
}

#[derive(Serialize)]
struct Weather {
    sky: String,
}

async fn call(tool: &ClosureTool, arguments: Value) -> Result<Value, Failure> {
    let request = ToolRequest { arguments, idempotency_key: String::new() };
    tool.call(request).await.map(|payload| payload.value().clone())
}

#[test]
fn the_signature_comes_from_the_struct() {
    let tool = ClosureTool::new("get_weather", |city: City| city.city).unwrap();
    let signature = tool.signature();
    assert_eq!(
        (signature.name.as_str(), signature.description.as_str()),
        ("get_weather", "Tells the weather.\n\nOf a city.")
    );
    assert_eq!(
        *signature.parameters,
        json!({
            "type": "object",
            "properties": {
                "city": {"description": "Its name.", "type": "string"},
                "days": {
                    "description": "How many days ahead.", "type": "integer", "format": "uint8",
                    "minimum": 0, "maximum": 255, "default": 0,
                },
            },
            "required": ["city"],
        })
    );
    assert!(!tool.is_idempotent());
    assert!(tool.idempotent().is_idempotent());
}

#[tokio::test]
async fn closures_of_every_form_answer() {
    fn plain(city: City) -> String {
        city.city
    }
    async fn asynchronous(city: City) -> Result<Weather, String> {
        if city.city == "Atlantis" {
            Err("it is under water".to_owned())
        } else {
            Ok(Weather { sky: city.city })
        }
    }
    #[derive(Debug, thiserror::Error)]
    #[error("the error {0}")]
    struct Own(u8);
    let share = Arc::new("shared".to_owned());
    let tools = [
        (ClosureTool::new("a", plain).unwrap(), json!("Oslo")),
        (ClosureTool::new("b", asynchronous).unwrap(), json!({"sky": "Oslo"})),
        (
            ClosureTool::new("c", |city: City| Json(Weather { sky: city.city })).unwrap(),
            json!({"sky": "Oslo"}),
        ),
        (ClosureTool::new("d", |city: City| Ok::<_, Own>(city.days)).unwrap(), json!(2)),
        (
            ClosureTool::new("e", move |_: City| {
                let share = Arc::clone(&share);
                async move {
                    tokio::task::yield_now().await;
                    json!({"x": *share})
                }
            })
            .unwrap(),
            json!({"x": "shared"}),
        ),
        (ClosureTool::new("f", |_: City| ()).unwrap(), json!(null)),
    ];
    for (tool, expected) in tools {
        let name = &tool.signature().name;
        assert_eq!(call(&tool, json!({"city": "Oslo", "days": 2})).await.unwrap(), expected, "{name}");
    }
    let failing = ClosureTool::new("b", asynchronous).unwrap();
    let failure = call(&failing, json!({"city": "Atlantis"})).await.unwrap_err();
    assert_eq!(failure, Failure::permanent("tool \"b\": it is under water"));
    let failing = ClosureTool::new("g", |city: City| Err::<(), _>(Own(city.days))).unwrap();
    let failure = call(&failing, json!({"city": "x", "days": 7})).await.unwrap_err();
    assert_eq!(failure, Failure::permanent("tool \"g\": the error 7"));
}

#[tokio::test]
async fn arguments_are_checked_before_the_call() {
    let tool = ClosureTool::new("t", |_: City| -> () { panic!("it was called") }).unwrap();
    for (arguments, reason) in [
        (json!({}), "city"),
        (json!({"city": 3}), "string"),
        (json!({"city": "x", "days": 300}), "255"),
        (json!([]), "object"),
    ] {
        let failure = call(&tool, arguments).await.unwrap_err();
        assert!(failure.message.contains(reason), "{failure}");
    }
}

#[test]
fn other_parameters_are_refused() {
    let error = ClosureTool::new("t", |_: String| ()).unwrap_err();
    assert_eq!(error, ClosureError::NoObject { name: "t".to_owned() });
    assert!(ClosureTool::new("t", |_: Vec<City>| ()).is_err());
    assert!(ClosureTool::new("t", |_: Value| ()).is_err());
}

async fn run(programs: Programs, spec: Value, input: Value) -> (RunStatus, Value) {
    let graph = superstep_graph::validate(&serde_json::from_value(spec).unwrap()).unwrap();
    let new = NewRun {
        name: "test".parse().unwrap(),
        root: "main".to_owned(),
        graphs: BTreeMap::from([("main".to_owned(), graph)]),
        input: input.into(),
        attachment: Payload::null(),
        started_at: 0,
        carried: None,
    };
    let setup = Setup {
        programs: Arc::new(programs),
        observers: Vec::new(),
        owner: "test".to_owned(),
        leave_when_paused: true,
    };
    let end = Run::create(setup, &Store::memory(), new).unwrap().drive().await.unwrap().unwrap();
    (end.status, end.outputs.value().clone())
}

#[derive(Deserialize, JsonSchema)]
struct Number {
    n: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Both {
    double: Number,
    triple: Number,
}

fn programs() -> Programs {
    let mut programs = Programs::new(Models::default());
    programs.register_closure("double", |number: Number| json!({"n": number.n * 2})).unwrap();
    programs.register_closure("triple", |number: Number| async move { json!({"n": number.n * 3}) }).unwrap();
    programs.register_closure("add", |both: Both| Json(both.double.n + both.triple.n)).unwrap();
    let checked = |number: Number| u8::try_from(number.n);
    programs.register_closure("small", checked).unwrap();
    programs
}

#[tokio::test]
async fn closures_are_vertices() {
    // The first two see the input of the run, the last one both messages by their senders.
    let spec = json!({
        "entry": ["double", "triple"],
        "vertices": [
            {"name": "double", "custom": {"name": "double"}},
            {"name": "triple", "custom": {"name": "triple"}},
            {"name": "add", "custom": {"name": "add"}, "join": {"mode": "All"}},
        ],
        "edges": [{"from": "double", "to": "add"}, {"from": "triple", "to": "add"}],
    });
    let (status, outputs) = run(programs(), spec, json!({"n": 5})).await;
    assert_eq!((status, outputs), (RunStatus::Succeeded, json!({"add": 25})));
    // An element is handed on as it is, and so is the payload of one message.
    let spec = json!({
        "entry": ["numbers", "double"],
        "vertices": [
            {"name": "numbers", "function": {"cel": "[{'n': 1}, {'n': 2}]"}},
            {"name": "each", "custom": {"name": "double"}, "forEach": {}},
            {"name": "double", "custom": {"name": "double"}},
            {"name": "chained", "custom": {"name": "triple"}},
        ],
        "edges": [{"from": "numbers", "to": "each"}, {"from": "double", "to": "chained"}],
    });
    let (status, outputs) = run(programs(), spec, json!({"n": 5})).await;
    let expected = json!({"each": [{"n": 2}, {"n": 4}], "chained": {"n": 30}});
    assert_eq!((status, outputs), (RunStatus::Succeeded, expected));
}

#[tokio::test]
async fn a_closure_that_fails_says_so() {
    for (input, expected) in [
        (json!({"n": 500}), "custom program \"small\": out of range"),
        (json!({"n": "x"}), "custom program \"small\": its input does not fit"),
    ] {
        let spec = json!({"entry": ["v"], "vertices": [{"name": "v", "custom": {"name": "small"}}]});
        let (status, _) = run(programs(), spec, input).await;
        let RunStatus::Failed { failure, .. } = status else { panic!("{status:?}") };
        assert!(failure.message.starts_with(expected), "{failure}");
    }
}
