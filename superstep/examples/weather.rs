//! An agent that calls two tools one after the other: what it asks the second follows from the first.
//!
//! `cargo run -p superstep --example weather`. The model is a script, so that the example needs none; any other
//! that calls tools takes its place.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use serde_json::json;
use superstep::{
    Json, Models, NewRun, Programs, Run, Scripted, Setup, Store, schemars::JsonSchema, validate,
};

/// Tells the weather of a city.
#[derive(serde::Deserialize, JsonSchema)]
struct GetWeather {
    /// Its name, in English.
    city: String,
}

#[derive(serde::Serialize)]
struct Weather {
    celsius: i32,
    sky: &'static str,
}

async fn get_weather(asked: GetWeather) -> Result<Weather, String> {
    println!("get_weather({})", asked.city);
    match asked.city.as_str() {
        "Oslo" => Ok(Weather { celsius: -7, sky: "snow" }),
        other => Err(format!("no weather station is in {other}")),
    }
}

/// Sets the heating of a room.
#[derive(serde::Deserialize, JsonSchema)]
struct SetTemperature {
    /// The room.
    room: String,
    /// The temperature to heat to.
    #[schemars(range(min = 5, max = 30))]
    celsius: i32,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let thermostat = Arc::new(AtomicI32::new(18));
    let heating = Arc::clone(&thermostat);

    let mut models = Models::default();
    models.insert("cloud", Arc::new(script()?));
    let mut programs = Programs::new(models);
    programs.register_tool_closure("get_weather", get_weather)?;
    programs.register_tool_closure("set_temperature", move |wanted: SetTemperature| {
        println!("set_temperature({}, {})", wanted.room, wanted.celsius);
        let before = heating.swap(wanted.celsius, Ordering::SeqCst);
        Json(json!({"room": wanted.room, "before": before}))
    })?;

    let graph = validate(&serde_json::from_value(json!({
        "models": [{"name": "cloud", "modelServerRef": {"name": "script"}}],
        "tools": [
            {"name": "get_weather", "custom": {"name": "get_weather", "idempotent": true}},
            {"name": "set_temperature", "custom": {"name": "set_temperature"}},
        ],
        "entry": ["assistant"],
        "vertices": [{
            "name": "assistant",
            "agent": {
                "model": "cloud",
                "tools": ["get_weather", "set_temperature"],
                "system": "You look after a house.",
                "template": "{{ input.text }}",
            },
        }],
    }))?)?;
    let input = json!({"text": "Look how cold it is in Oslo, and heat the kitchen if it freezes."});
    let new = NewRun::new("weather".parse()?, graph, input);
    let end = Run::create(Setup::new(programs), &Store::memory(), new)?.drive().await?;
    println!("{}", end.expect("nobody is asked anything").outputs.value());
    anyhow::ensure!(thermostat.load(Ordering::SeqCst) == 22);
    Ok(())
}

/// A model that asks for the weather, mends a mistake, and answers.
fn script() -> anyhow::Result<Scripted> {
    let set =
        |celsius| json!([{"name": "set_temperature", "arguments": {"room": "kitchen", "celsius": celsius}}]);
    Ok(Scripted::new(serde_json::from_value(json!({"rules": [
        {"turn": 1, "calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
        // 40 °C is refused by the schema, and never reaches the closure.
        {"turn": 2, "last": "snow", "calls": set(40)},
        {"turn": 3, "last": "maximum", "calls": set(22)},
        {"turn": 4, "answer": "It freezes in Oslo; the kitchen is heated to 22 °C."},
    ]}))?))
}
