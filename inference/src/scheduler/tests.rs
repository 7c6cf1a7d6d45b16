use std::slice;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::generator::Generator;
use crate::model::{LoadOptions, Model};
use crate::request::{ChatMessage, Completion, Finish, Request, Role, Sampling};
use crate::testing::{TinyAdapter, TinyModel};
use crate::work::Work;

fn tiny(options: LoadOptions) -> Generator {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    TinyModel { context_length: 2048, ..TinyModel::default() }.write(&path).unwrap();
    Generator::start(Model::load(&path, &options).unwrap()).unwrap()
}

fn guessing(guesses: usize) -> Generator {
    tiny(LoadOptions { guesses, max_concurrent: 4, ..LoadOptions::default() })
}

fn greedy(text: &str, max_tokens: usize) -> Request {
    let sampling = Sampling { max_tokens, logprobs: Some(2), ..Sampling::default() };
    Request { messages: vec![ChatMessage::new(Role::User, text)], sampling, ..Request::default() }
}

fn all(generator: &Generator, requests: &[Request]) -> Vec<Completion> {
    let streams: Vec<_> = requests.iter().map(|request| generator.submit(request.clone()).unwrap()).collect();
    streams.into_iter().map(|stream| stream.completion_blocking().unwrap()).collect()
}

/// Requests whose outputs repeat themselves or the prompt, free and held to schemas, some of them cut short.
fn repetitive() -> Vec<Request> {
    let list = json!({"type": "array", "items": {"const": "red and green"}, "minItems": 12, "maxItems": 12});
    let open = json!({"type": "array", "items": {"enum": ["red", "green"]}});
    let mut requests = vec![
        greedy(&"red and green and ".repeat(8), 150),
        greedy("hello", 300),
        greedy("the the the the", 40),
        Request { schema: Some(list), ..greedy("list", 400) },
        // It would go on for ever, and is closed early.
        Request { schema: Some(open), ..greedy("[\"red\",\"red\",\"red\",\"red\",", 60) },
    ];
    let mut penalised = greedy("hello", 100);
    penalised.sampling.frequency_penalty = 0.3;
    penalised.sampling.repetition_penalty = 1.1;
    penalised.sampling.stop = vec!["e".to_owned()];
    requests.push(penalised);
    requests
}

#[test]
fn guesses_save_passes_and_change_no_output() {
    let requests = repetitive();
    let plain = guessing(0);
    let expected: Vec<_> =
        requests.iter().flat_map(|request| all(&plain, slice::from_ref(request))).collect();
    assert_eq!(plain.work().guessed_tokens, 0);
    let passes = plain.work().passes;
    for guesses in [1, 3, 7, 40] {
        let generator = guessing(guesses);
        let found: Vec<_> =
            requests.iter().flat_map(|request| all(&generator, slice::from_ref(request))).collect();
        assert_eq!(found, expected, "{guesses}");
        let work = generator.work();
        assert!(work.accepted_tokens > 20 && work.accepted_tokens <= work.guessed_tokens, "{work:?}");
        // A token that was guessed needs no pass of its own.
        assert_eq!(work.passes, passes - work.accepted_tokens, "{work:?}");
        assert_eq!(work.chosen_tokens, plain.work().chosen_tokens);
    }
}

#[test]
fn guesses_of_a_batch_change_no_output() {
    let requests: Vec<_> = repetitive().into_iter().cycle().take(18).collect();
    let expected = all(&guessing(0), &requests);
    let generator = guessing(7);
    assert_eq!(all(&generator, &requests), expected);
    assert!(generator.work().accepted_tokens > 20, "{:?}", generator.work());
}

#[test]
fn what_is_drawn_is_not_guessed() {
    let generator = guessing(7);
    let mut request = greedy(&"red and green and ".repeat(8), 100);
    request.sampling.temperature = 0.7;
    all(&generator, &[request]);
    assert_eq!(generator.work().guessed_tokens, 0);
}

#[test]
fn a_guess_does_not_go_past_the_limit_or_the_context() {
    let generator = tiny(LoadOptions { context_length: 128, ..LoadOptions::default() });
    let list = json!({"type": "array", "items": {"const": "ab"}, "minItems": 2});
    for max_tokens in (30..60).chain([1000]) {
        let request = Request { schema: Some(list.clone()), ..greedy("go", max_tokens) };
        let done = all(&generator, &[request]).remove(0);
        let written = done.usage.completion_tokens;
        assert!(written <= max_tokens && done.usage.prompt_tokens + written <= 128, "{done:?}");
    }
}

/// A long beginning, and requests that have it in common.
fn alike(count: usize) -> Vec<Request> {
    let system = "You answer in one word, whatever you are asked, and never in two. ".repeat(9);
    let ask = |index: usize| Request {
        messages: vec![
            ChatMessage::new(Role::System, system.as_str()),
            ChatMessage::new(Role::User, format!("{index}. What is it?")),
        ],
        ..greedy("", 12)
    };
    (0..count).map(ask).collect()
}

fn reused(before: Work, after: Work) -> u64 {
    after.reused_tokens - before.reused_tokens
}

#[test]
fn of_requests_that_begin_alike_and_come_together_one_reads_for_all() {
    let requests = alike(7);
    let alone: Vec<_> =
        requests.iter().flat_map(|request| all(&guessing(0), slice::from_ref(request))).collect();
    let generator = guessing(0);
    let length = generator.count_prompt_tokens(&requests[0]).unwrap() as u64;
    assert!(length > 500);
    assert_eq!(all(&generator, &requests), alone);
    // Each but the first had to read its own question alone.
    let work = generator.work();
    assert!(work.prompt_tokens - work.reused_tokens < length + 6 * 64, "{work:?}");
}

#[test]
fn a_request_goes_on_from_what_a_running_one_has_read() {
    let generator = guessing(0);
    let requests = alike(2);
    let mut long = requests[0].clone();
    long.sampling.max_tokens = 1000;
    long.schema = Some(json!({"type": "array", "items": {"const": "ab"}, "minItems": 100}));
    let mut running = generator.submit(long).unwrap();
    running.next_blocking();
    let before = generator.work();
    let found = all(&generator, &requests[1..]);
    assert!(reused(before, generator.work()) > 500);
    drop(running);
    assert_eq!(found, all(&guessing(0), &requests[1..]));
}

#[test]
fn a_conversation_keeps_its_slot_while_there_are_others() {
    let generator = guessing(0);
    let mut long = greedy(&"a conversation of many words ".repeat(20), 4);
    let answer = all(&generator, &[long.clone()]).remove(0);
    for index in 0..3 {
        all(&generator, &[greedy(&format!("{index} {index} ").repeat(30), 4)]);
    }
    long.messages.push(ChatMessage::new(Role::Assistant, answer.text));
    long.messages.push(ChatMessage::new(Role::User, "and so on"));
    let before = generator.work();
    all(&generator, &[long.clone()]);
    assert!(reused(before, generator.work()) > 500, "{:?}", generator.work());
    // Of more than there are slots, the one that was asked least lately makes room.
    for index in 0..4 {
        all(&generator, &[greedy(&format!("other {index} {index} ").repeat(30), 4)]);
    }
    let before = generator.work();
    all(&generator, &[long]);
    assert!(reused(before, generator.work()) < 64, "{:?}", generator.work());
}

#[test]
fn a_cancelled_reader_leaves_its_followers_to_read_themselves() {
    let requests = alike(3);
    let expected = all(&guessing(0), &requests[1..]);
    let generator = tiny(LoadOptions { max_concurrent: 3, ..LoadOptions::default() });
    for _ in 0..8 {
        let first = generator.submit(requests[0].clone()).unwrap();
        let others: Vec<_> =
            requests[1..].iter().map(|request| generator.submit(request.clone()).unwrap()).collect();
        drop(first);
        let found: Vec<_> = others.into_iter().map(|stream| stream.completion_blocking().unwrap()).collect();
        assert_eq!(found, expected);
    }
}

fn with_adapters() -> (tempfile::TempDir, Generator) {
    let folder = tempfile::tempdir().unwrap();
    for seed in [1, 2] {
        let adapter = TinyAdapter { seed, alpha: 16.0, ..TinyAdapter::default() };
        adapter.write(&folder.path().join(format!("style-{seed}"))).unwrap();
    }
    let adapters = Some(folder.path().to_owned());
    (folder, tiny(LoadOptions { adapters, max_concurrent: 4, ..LoadOptions::default() }))
}

fn adapted(mut request: Request, adapter: Option<&str>) -> Request {
    request.adapter = adapter.map(str::to_owned);
    request
}

#[test]
fn one_batch_serves_several_adapters() {
    let (_folder, generator) = with_adapters();
    let names = [None, Some("style-1"), Some("style-2"), Some("style-1"), None, Some("style-2")];
    let requests: Vec<_> =
        names.iter().zip(alike(6)).map(|(name, request)| adapted(request, *name)).collect();
    let alone: Vec<_> = requests
        .iter()
        .flat_map(|request| {
            let (_folder, generator) = with_adapters();
            all(&generator, slice::from_ref(request))
        })
        .collect();
    assert_eq!(all(&generator, &requests), alone);
    // The same question, answered by three.
    let same = names[..3].iter().map(|name| adapted(greedy("hello", 24), *name));
    let answers = all(&generator, &same.collect::<Vec<_>>());
    assert!(answers[0].logprobs != answers[1].logprobs && answers[1].logprobs != answers[2].logprobs);
    assert_ne!(answers[0].logprobs, answers[2].logprobs);
}

#[test]
fn what_was_read_with_one_adapter_is_not_taken_for_another() {
    let (_folder, generator) = with_adapters();
    let request = alike(1).remove(0);
    all(&generator, slice::from_ref(&request));
    for (name, has_read) in [(Some("style-1"), false), (Some("style-1"), true), (None, true)] {
        let before = generator.work();
        all(&generator, &[adapted(request.clone(), name)]);
        assert_eq!(reused(before, generator.work()) > 500, has_read, "{name:?}");
    }
}

#[test]
fn adapters_come_and_go_while_the_model_runs() {
    let generator = guessing(0);
    let folder = tempfile::tempdir().unwrap();
    let request = adapted(greedy("hello", 16), Some("late"));
    let unknown = crate::GenerateError::UnknownAdapter { adapter: "late".to_owned() };
    assert_eq!(generator.submit(request.clone()).unwrap_err(), unknown);
    let load = |seed: u64| {
        TinyAdapter { seed, ..TinyAdapter::default() }.write(folder.path()).unwrap();
        generator.load_adapter("late", folder.path()).unwrap();
        all(&generator, slice::from_ref(&request)).remove(0)
    };
    let first = load(1);
    assert_eq!(generator.adapters(), ["late"]);
    let mut long = adapted(greedy("on and on", 1500), Some("late"));
    long.schema = Some(json!({"type": "array", "items": {"const": "ab"}, "minItems": 100}));
    let since = Instant::now();
    loop {
        let mut running = generator.submit(long.clone()).unwrap();
        running.next_blocking();
        let in_use = generator.adapters_in_use();
        drop(running);
        if in_use == ["late"] {
            break;
        }
        // On a busy machine all may have been written before anybody looked.
        assert!(in_use.is_empty() && since.elapsed() < Duration::from_secs(60), "{in_use:?}");
    }
    while !generator.adapters_in_use().is_empty() {
        assert!(since.elapsed() < Duration::from_secs(120), "it is still in use");
        std::thread::yield_now();
    }
    // Another one of the name is not the first, whatever is in the cache.
    assert_ne!(load(2).logprobs, first.logprobs);
    assert_eq!(load(1), first);
    assert!(generator.unload_adapter("late") && !generator.unload_adapter("late"));
    assert_eq!(generator.submit(request.clone()).unwrap_err(), unknown);
}

#[test]
fn adapters_of_a_folder_are_found_by_plain_names_alone() {
    let (folder, generator) = with_adapters();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    assert_eq!(generator.adapters(), ["style-1", "style-2"]);
    TinyAdapter { modules: Vec::new(), ..TinyAdapter::default() }.write(&folder.path().join("bad")).unwrap();
    let up = folder.path().file_name().unwrap().to_str().unwrap();
    let ways = [
        "empty",
        "absent",
        "",
        ".",
        "..",
        "style-1/",
        "./style-1",
        "../style-1",
        "a/../style-1",
        "style-1/.",
    ];
    let leads_back = format!("../{up}/style-1");
    for name in ways.into_iter().chain([leads_back.as_str()]) {
        assert!(!generator.has_adapter(name), "{name:?}");
        let refused = generator.submit(adapted(greedy("a", 4), Some(name))).unwrap_err();
        assert!(matches!(refused, crate::GenerateError::UnknownAdapter { .. }), "{name:?}");
    }
    let refused = generator.submit(adapted(greedy("a", 4), Some("bad"))).unwrap_err();
    assert!(refused.to_string().contains("changes nothing"), "{refused}");
    let done = all(&generator, &[adapted(greedy("a", 4), Some("style-1"))]).remove(0);
    assert!(done.finish == Finish::Length || done.usage.completion_tokens <= 4);
}
