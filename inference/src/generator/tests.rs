use super::*;
use crate::model::LoadOptions;
use crate::request::{ChatMessage, Finish, Role, Sampling};
use crate::testing::TinyModel;

fn tiny(model: &TinyModel, slots: usize) -> Generator {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    model.write(&path).unwrap();
    let options = LoadOptions { max_concurrent: slots, ..LoadOptions::default() };
    Generator::start(Model::load(&path, &options).unwrap()).unwrap()
}

fn request(text: &str, sampling: Sampling) -> Request {
    Request { messages: vec![ChatMessage::new(Role::User, text)], sampling, ..Request::default() }
}

fn warm(seed: u64, max_tokens: usize) -> Sampling {
    Sampling { temperature: 1.0, seed, max_tokens, ..Sampling::default() }
}

fn text(generator: &Generator, request: &Request) -> Completion {
    generator.submit(request.clone()).unwrap().completion_blocking().unwrap()
}

#[test]
fn same_seed_gives_the_same_output() {
    let generator = tiny(&TinyModel::default(), 2);
    let first = text(&generator, &request("hello", warm(3, 32)));
    assert_eq!(first, text(&generator, &request("hello", warm(3, 32))));
    assert_eq!(first, text(&tiny(&TinyModel::default(), 1), &request("hello", warm(3, 32))));
    assert_ne!(first.text, text(&generator, &request("hello", warm(4, 32))).text);
}

#[test]
fn every_family_writes_in_a_batch_and_under_a_schema_what_it_writes_alone() {
    let schema = serde_json::json!({"type": "object", "required": ["the"], "additionalProperties": false,
        "properties": {"the": {"type": "string", "maxLength": 6}}});
    for (architecture, pieces) in [
        ("gemma2", Some(false)),
        ("gemma3", Some(false)),
        ("phi3", Some(true)),
        ("qwen2moe", None),
        ("qwen3moe", None),
    ] {
        let pre = if pieces.is_some() { "default" } else { "qwen2" };
        let (architecture, pre) = (architecture.to_owned(), pre.to_owned());
        let model = TinyModel { architecture, pre, pieces, ..TinyModel::default() };
        let requests: Vec<Request> = (0..4)
            .map(|index| Request {
                schema: (index % 2 == 1).then(|| schema.clone()),
                ..request(&"the hand and ".repeat(1 + index), warm(index as u64, 40))
            })
            .collect();
        let alone: Vec<_> = requests.iter().map(|request| text(&tiny(&model, 1), request)).collect();
        let generator = tiny(&model, 3);
        let streams: Vec<_> =
            requests.iter().map(|request| generator.submit(request.clone()).unwrap()).collect();
        for ((stream, alone), request) in streams.into_iter().zip(alone).zip(&requests) {
            assert_eq!(stream.completion_blocking().unwrap(), alone, "{model:?}");
            if request.schema.is_some() {
                let value: serde_json::Value = serde_json::from_str(&alone.text).unwrap();
                assert!(value["the"].is_string(), "{value}");
            }
        }
    }
}

#[test]
fn a_batch_gives_what_each_request_gives_alone() {
    for format in ["Q8_0", "Q4_1", "F16"] {
        let model = TinyModel { format: format.to_owned(), ..TinyModel::default() };
        let requests: Vec<_> = (0..7)
            .map(|index| request(&"words of the prompt ".repeat(1 + 3 * index), warm(index as u64, 24)))
            .collect();
        let alone: Vec<_> = requests.iter().map(|request| text(&tiny(&model, 1), request)).collect();
        let generator = tiny(&model, 4);
        let streams: Vec<_> =
            requests.iter().map(|request| generator.submit(request.clone()).unwrap()).collect();
        for (stream, alone) in streams.into_iter().zip(alone) {
            assert_eq!(stream.completion_blocking().unwrap(), alone, "{format}");
        }
    }
}

#[test]
fn a_prompt_longer_than_one_step_is_read_in_parts() {
    let generator = tiny(&TinyModel { context_length: 2048, ..TinyModel::default() }, 3);
    let long = request(&"abcdefg ".repeat(150), warm(1, 8));
    assert!(generator.count_prompt_tokens(&long).unwrap() > 1000);
    let first = text(&generator, &long);
    // The second run finds the prompt in the cache of the slot.
    assert_eq!(first, text(&generator, &long));
}

#[test]
fn tokens_add_up_to_the_completion() {
    let generator = tiny(&TinyModel::default(), 1);
    let sampling = Sampling { logprobs: Some(3), stop: vec!["e".to_owned()], ..warm(5, 200) };
    let mut stream = generator.submit(request("hello", sampling)).unwrap();
    let (mut streamed, mut logprobs) = (String::new(), Vec::new());
    while let Some(event) = stream.next_blocking() {
        match event {
            Event::Token { text, logprob } => {
                streamed.push_str(&text);
                logprobs.extend(logprob);
            }
            Event::Done(completion) => {
                assert_eq!(completion.text, streamed);
                assert!(!streamed.contains('e'));
                assert_eq!(completion.finish, Finish::Stop);
                assert_eq!(completion.logprobs, logprobs);
                let ended = completion.usage.completion_tokens - logprobs.len();
                assert!(ended <= 1, "only the end of the turn has no text");
            }
            Event::Failed(error) => panic!("{error}"),
        }
    }
    for logprob in logprobs {
        assert_eq!(logprob.top.len(), 3);
        assert!(logprob.logprob <= logprob.top[0].1 && logprob.top[0].1 <= 0.0);
    }
    assert_eq!(stream.next_blocking(), None);
}

#[test]
fn a_dropped_stream_frees_its_slot() {
    let generator = tiny(&TinyModel { context_length: 512, ..TinyModel::default() }, 1);
    for seed in 0..4 {
        let mut stream = generator.submit(request("long", warm(seed, 400))).unwrap();
        stream.next_blocking();
        drop(stream);
    }
    assert_eq!(text(&generator, &request("short", warm(1, 4))).usage.completion_tokens, 4);
}

#[test]
fn the_end_of_the_context_ends_the_output() {
    let generator = tiny(&TinyModel { context_length: 48, ..TinyModel::default() }, 1);
    let done = text(&generator, &request("hi", warm(9, 400)));
    let Completion { finish: Finish::Length, usage, .. } = done else { panic!("{done:?}") };
    assert_eq!(usage.prompt_tokens + usage.completion_tokens, 48);
    let refused = generator.submit(request(&"x".repeat(60), warm(1, 4))).unwrap_err();
    assert!(matches!(refused, GenerateError::PromptTooLong { context: 48, .. }));
}

#[test]
fn what_is_thought_is_no_part_of_the_answer() {
    let chat = TinyModel::default().template.unwrap();
    let thinking = |end: &str| {
        let template = Some(format!("{chat}{{# </think> #}}{end}"));
        tiny(&TinyModel { template, ..TinyModel::default() }, 1)
    };
    // A tiny model does not find the end of its thoughts, which the prompt has begun.
    let generator = thinking("<think>\n");
    let sampling = Sampling { logprobs: Some(1), ..warm(5, 24) };
    let done = text(&generator, &request("hello <think>", sampling.clone()));
    let reasoning = done.reasoning.as_ref().unwrap();
    assert!(done.text.is_empty() && !reasoning.is_empty() && done.logprobs.is_empty(), "{done:?}");
    assert!(done.usage.reasoning_tokens + 1 >= done.usage.completion_tokens, "{done:?}");
    let schema = Some(serde_json::json!({"enum": ["red", "green"]}));
    let held = text(&generator, &Request { schema, ..request("hello", warm(5, 24)) });
    assert!(held.reasoning.is_none() && held.text.contains("re"), "{held:?}");
    // What a message ends with opens no thoughts.
    for end in ["", "<think>\n\n</think>\n\n"] {
        let done = text(&thinking(end), &request("hello <think>", sampling.clone()));
        assert!(done.reasoning.is_none() && !done.text.is_empty() && !done.logprobs.is_empty(), "{done:?}");
    }
}

#[test]
fn requests_that_cannot_run_are_refused_at_once() {
    let generator = tiny(&TinyModel::default(), 1);
    let schema = Some(serde_json::json!({"type": "string"}));
    let stop = Sampling { stop: vec!["x".to_owned()], ..Sampling::default() };
    let table = [
        (request("a", Sampling { temperature: -1.0, ..Sampling::default() }), "temperature"),
        (request("a", Sampling { top_p: 0.0, ..Sampling::default() }), "topP"),
        (request("a", Sampling { max_tokens: 0, ..Sampling::default() }), "maxTokens"),
        (Request { schema, ..request("a", stop) }, "stop strings"),
        (Request { messages: Vec::new(), ..request("", Sampling::default()) }, "no messages"),
    ];
    for (request, part) in table {
        let error = generator.submit(request).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let bare = tiny(&TinyModel { template: None, ..TinyModel::default() }, 1);
    let refused = bare.submit(request("a", Sampling::default())).unwrap_err();
    assert_eq!(refused, GenerateError::Chat(crate::ChatError::NoTemplate));
}

#[test]
fn a_prompt_of_nothing_is_refused_and_harms_no_other() {
    let template = Some("{% for m in messages %}{{ m.content }}{% endfor %}".to_owned());
    let generator = tiny(&TinyModel { template, ..TinyModel::default() }, 2);
    let refused = generator.submit(request("", Sampling::default())).unwrap_err();
    assert_eq!(refused, GenerateError::Chat(crate::ChatError::EmptyPrompt));
    assert_eq!(text(&generator, &request("a", warm(1, 4))).usage.prompt_tokens, 1);
}

#[test]
fn the_real_model_knows_the_capital_of_france() {
    let Some(path) = crate::testing::present_model("SmolLM2-135M-Instruct.Q4_1.gguf") else { return };
    let digest = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
    let options = LoadOptions { sha256: Some(digest.to_owned()), ..LoadOptions::default() };
    let model = Model::load(&path, &options).unwrap();
    let table: [(&str, &[u32]); 4] = [
        ("<|im_start|>user\n", &[1, 4093, 198]),
        ("2026", &[34, 32, 34, 38]),
        ("", &[]),
        ("the the", &[1195, 260]),
    ];
    for (text, tokens) in table {
        assert_eq!(model.tokenize(text).unwrap(), tokens, "{text:?}");
    }
    let generator = Generator::start(model).unwrap();
    let done = text(&generator, &request("What is the capital of France?", Sampling::default()));
    assert!(done.text.contains("Paris") && done.finish == Finish::Stop, "{done:?}");
    let schema = serde_json::json!({
        "type": "object",
        "required": ["grade"],
        "properties": {"grade": {"type": "integer", "minimum": 1, "maximum": 5}},
    });
    let graded =
        Request { schema: Some(schema), ..request("Grade this from 1 to 5: good", Sampling::default()) };
    let value: serde_json::Value = serde_json::from_str(&text(&generator, &graded).text).unwrap();
    assert!((1..=5).contains(&value["grade"].as_i64().unwrap()));
}
