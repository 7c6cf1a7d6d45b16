//! The metrics of a server, in the text format of Prometheus.
//!
//! Queue, running and the use of the cache have the names that an endpoint picker of the Gateway API Inference
//! Extension asks for where nobody says otherwise; they are vLLM's.

use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use superstep_runtime::ModelWork;

use crate::counts::{BOUNDS, Counts, Times};
use crate::gate::Gate;

/// The type of what [`write`] gives.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What is offered, and by how many it is used.
pub(crate) struct Use<'a> {
    pub(crate) model: &'a str,
    pub(crate) gate: &'a Gate,
    /// Whether the model keeps a cache of so many contexts as there are places.
    pub(crate) has_cache: bool,
    /// What it has done, if it counts that.
    pub(crate) work: Option<ModelWork>,
    /// The adapters that requests have at this time, if the model has adapters.
    pub(crate) adapters: Option<Vec<String>>,
}

/// The metrics as a text. Nothing is offered while the model is loaded.
pub(crate) fn write(counts: &Counts, offered: Option<Use<'_>>) -> String {
    let mut text = String::new();
    written(&mut text, counts, offered).expect("a text takes more text");
    text
}

#[expect(clippy::cast_precision_loss, reason = "no server has as many places")]
fn written(text: &mut String, counts: &Counts, offered: Option<Use<'_>>) -> fmt::Result {
    if let Some(Use { model, gate, has_cache, work, adapters }) = offered {
        let label = format!("{{model_name=\"{}\"}}", escaped(model));
        let (waiting, running) = (gate.waiting(), gate.running());
        gauge(text, "vllm:num_requests_waiting", "Requests that wait for a place.", &label, waiting as f64)?;
        gauge(text, "vllm:num_requests_running", "Requests that are worked on.", &label, running as f64)?;
        if has_cache {
            let share = running as f64 / gate.places() as f64;
            let help = "Share of the cache of keys and values that is given to requests.";
            gauge(text, "vllm:kv_cache_usage_perc", help, &label, share)?;
        }
        if let Some(used) = adapters {
            adapters_in_use(text, &used, gate.places())?;
        }
        for (name, help, number) in work.iter().flat_map(counted) {
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name}{label} {number}")?;
        }
    }
    for (name, help, count) in [
        ("answered_total", "Requests that were answered, or whose stream has begun.", &counts.answered),
        ("refused_total", "Requests that were refused, or failed.", &counts.refused),
        ("turned_away_total", "Requests that found the queue full.", &counts.turned_away),
        ("joined_total", "Requests that came again and got the answer of the first.", &counts.joined),
        ("abandoned_total", "Answers that ended early: nobody listened.", &counts.abandoned),
        ("generations_total", "Answers that the model was asked for.", &counts.generations),
        ("prompt_tokens_total", "Tokens read.", &counts.prompt_tokens),
        ("completion_tokens_total", "Tokens written.", &counts.completion_tokens),
    ] {
        writeln!(text, "# HELP superstep_serving_{name} {help}")?;
        writeln!(text, "# TYPE superstep_serving_{name} counter")?;
        writeln!(text, "superstep_serving_{name} {}", count.value())?;
    }
    let help = "From being let in to the first text.";
    times(text, "superstep_serving_first_text_seconds", help, &counts.first_text)?;
    let help = "From being let in to the end of the answer.";
    times(text, "superstep_serving_answer_seconds", help, &counts.whole_answer)
}

/// The adapters that requests have. A request in the queue is not known to have one, so none is said to wait; as many as
/// there are places may run at a time. The value is when it was told, by which the latest of several is found.
fn adapters_in_use(text: &mut String, used: &[String], most: usize) -> fmt::Result {
    let used = escaped(&used.join(","));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let label =
        format!("{{max_lora=\"{most}\",running_lora_adapters=\"{used}\",waiting_lora_adapters=\"\"}}");
    gauge(text, "vllm:lora_requests_info", "Adapters that requests have.", &label, now)
}

/// What a model of this process has done.
fn counted(work: &ModelWork) -> [(&'static str, &'static str, u64); 5] {
    [
        ("vllm:prefix_cache_queries_total", "Tokens of prompts.", work.prompt_tokens),
        ("vllm:prefix_cache_hits_total", "Tokens of prompts that had been read before.", work.reused_tokens),
        ("vllm:spec_decode_num_draft_tokens_total", "Tokens that were guessed.", work.guessed_tokens),
        ("vllm:spec_decode_num_accepted_tokens_total", "Guesses that were right.", work.accepted_tokens),
        ("superstep_serving_passes_total", "Passes through the network.", work.passes),
    ]
}

fn gauge(text: &mut String, name: &str, help: &str, label: &str, value: f64) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{label} {value}")
}

#[expect(clippy::cast_precision_loss, reason = "a sum of times is shown to some digits")]
fn times(text: &mut String, name: &str, help: &str, times: &Times) -> fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram")?;
    let mut all = 0;
    for (place, count) in times.within.iter().enumerate() {
        all += count.value();
        match BOUNDS.get(place) {
            Some(bound) => writeln!(text, "{name}_bucket{{le=\"{bound}\"}} {all}")?,
            None => writeln!(text, "{name}_bucket{{le=\"+Inf\"}} {all}")?,
        }
    }
    writeln!(text, "{name}_sum {}", times.micros.value() as f64 / 1e6)?;
    writeln!(text, "{name}_count {all}")
}

fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
