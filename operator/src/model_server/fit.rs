//! Whether a model fits into the memory of its devices, as far as its names tell.

use superstep_api::{ModelServerSpec, Quantity};

/// What is added to the weights for caches and buffers, in parts of a hundred.
const BESIDE: f64 = 120.0 / 100.0;
const GIBIBYTE: f64 = 1_073_741_824.0;

/// What can be told beforehand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fit {
    /// Whether it fits; none if that is not known.
    pub(super) fits: Option<bool>,
    /// Why, in one word.
    pub(super) reason: &'static str,
    /// In a sentence, with what is estimated.
    pub(super) message: String,
}

/// Whether the model fits.
pub(super) fn fit(spec: &ModelServerSpec) -> Fit {
    let unknown = |message: &str| Fit { fits: None, reason: "Unknown", message: message.to_owned() };
    let Some(gpu) = &spec.devices.gpu else {
        return unknown("only the memory of GPUs is looked at; resources limits that of the pods");
    };
    let Some(memory) = gpu.memory.as_ref().and_then(bytes) else {
        return unknown("devices.gpu.memory does not say how much memory the devices have");
    };
    let Some((billions, bits)) = size(spec) else {
        return unknown("no name of the model tells how many parameters it has");
    };
    let needed = billions * 1e9 * bits / 8.0 * BESIDE / GIBIBYTE;
    let count = f64::from(gpu.count.get());
    let there = memory * count / GIBIBYTE;
    let fits = needed <= there;
    let message = format!(
        "estimated by name: {billions} billion parameters of {bits} bits and a fifth for caches are {needed:.1} GiB, and \
         {} of {} have {there:.1} GiB{}",
        gpu.count,
        gpu.resource_name,
        if fits { "" } else { "; take larger or more devices, or weights of fewer bits" },
    );
    Fit { fits: Some(fits), reason: if fits { "Estimated" } else { "TooLarge" }, message }
}

/// How many bytes an amount is.
fn bytes(amount: &Quantity) -> Option<f64> {
    let text = amount.as_str();
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let (thousand, binary) = (1_000.0_f64, 1_024.0_f64);
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "m" => thousand.powi(-1),
        "k" => thousand,
        "M" => thousand.powi(2),
        "G" => thousand.powi(3),
        "T" => thousand.powi(4),
        "P" => thousand.powi(5),
        "Ki" => binary,
        "Mi" => binary.powi(2),
        "Gi" => binary.powi(3),
        "Ti" => binary.powi(4),
        "Pi" => binary.powi(5),
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

/// How many billions of parameters the names of a model tell of, and of how many bits each is.
fn size(spec: &ModelServerSpec) -> Option<(f64, f64)> {
    let model = spec.model.as_ref()?;
    let sources = model.sources.iter().flat_map(|source| {
        let hub = source.hugging_face.iter().flat_map(|hub| [hub.file.as_str(), hub.repo.as_str()]);
        let file = source.file.iter().map(|file| file.path.as_str());
        let claim = source.claim.iter().map(|claim| claim.path.as_str());
        hub.chain(file).chain(claim)
    });
    let names: Vec<String> = sources.chain([model.name.as_str()]).map(str::to_ascii_lowercase).collect();
    let billions = names.iter().find_map(|name| parameters(name))?;
    let bits = names.iter().find_map(|name| width(name)).unwrap_or(16.0);
    Some((billions, bits))
}

/// The billions of parameters in a name, as in `8b`, `0.5b`, `135m` or `8x7b`.
fn parameters(name: &str) -> Option<f64> {
    words(name).find_map(|word| {
        let (number, scale) = match word.strip_suffix('b') {
            Some(number) => (number, 1.0),
            None => (word.strip_suffix('m')?, 1e-3),
        };
        let (times, number) = number.split_once('x').unwrap_or(("1", number));
        let positive =
            |text: &str| text.parse::<f64>().ok().filter(|number| *number > 0.0 && number.is_finite());
        Some(positive(times)? * positive(number)? * scale)
    })
}

/// The bits of a weight in a name, as files and repositories are named after how they were packed.
fn width(name: &str) -> Option<f64> {
    const WIDTHS: [(&str, f64); 16] = [
        ("q2", 3.4),
        ("q3", 3.9),
        ("q4", 4.9),
        ("q5", 5.7),
        ("q6", 6.6),
        ("q8", 8.5),
        ("iq4", 4.5),
        ("awq", 4.5),
        ("gptq", 4.5),
        ("int4", 4.5),
        ("nf4", 4.5),
        ("int8", 8.5),
        ("fp8", 8.0),
        ("bf16", 16.0),
        ("f16", 16.0),
        ("f32", 32.0),
    ];
    words(name).find_map(|word| {
        let head = word.split('_').next().unwrap_or(word);
        WIDTHS.iter().find(|(known, _)| head == *known).map(|(_, bits)| *bits)
    })
}

/// The parts of a name; a point is part of a number.
fn words(name: &str) -> impl Iterator<Item = &str> {
    let parts = name.split(|letter: char| !letter.is_ascii_alphanumeric() && !matches!(letter, '.' | '_'));
    parts.flat_map(|part| part.split(".gguf")).flat_map(|part| {
        // `Q4_K_M.gguf` after a point, `8B` before one: a point parts where no digit follows.
        let at =
            part.find('.').filter(|at| !part[at + 1..].starts_with(|letter: char| letter.is_ascii_digit()));
        match at {
            Some(at) => vec![&part[..at], &part[at + 1..]],
            None => vec![part],
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_tell_of_sizes() {
        for (name, billions, bits) in [
            ("meta-llama/Llama-3.1-8B-Instruct", Some(8.0), None),
            ("SmolLM2-135M-Instruct.Q4_1.gguf", Some(0.135), Some(4.9)),
            ("qwen2.5-0.5b-instruct-q8_0.gguf", Some(0.5), Some(8.5)),
            ("mistralai/Mixtral-8x7B-v0.1", Some(56.0), None),
            ("TheBloke/Llama-2-70B-AWQ", Some(70.0), Some(4.5)),
            ("gpt", None, None),
        ] {
            let name = name.to_ascii_lowercase();
            assert_eq!((parameters(&name), width(&name)), (billions, bits), "{name}");
        }
    }

    #[test]
    fn what_fits_is_estimated_and_said_to_be() {
        let of = |repo: &str, memory: &str, count: u32| {
            let spec = json!({
                "model": {"name": "a", "sources": [{"huggingFace": {"repo": repo}}]},
                "engine": {"vllm": {"image": "vllm"}},
                "devices": {"gpu": {"memory": memory, "count": count}},
            });
            fit(&serde_json::from_value(spec).unwrap())
        };
        assert_eq!(of("meta-llama/Llama-3.1-8B-Instruct", "24Gi", 1).fits, Some(true));
        assert_eq!(of("meta-llama/Llama-3.1-70B-Instruct", "80Gi", 1).reason, "TooLarge");
        assert_eq!(of("meta-llama/Llama-3.1-70B-Instruct", "80Gi", 2).fits, Some(true));
        assert_eq!(of("acme/secret", "24Gi", 1).fits, None);
        let message = of("meta-llama/Llama-3.1-8B-Instruct", "24Gi", 1).message;
        assert!(
            message.contains("8 billion parameters of 16 bits") && message.contains("17.9 GiB"),
            "{message}"
        );
    }
}
