use serde_json::Value;

use super::*;
use crate::testing::TinyModel;

fn read(tiny: &TinyModel) -> Result<Tokenizer, LoadError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny.write(&path).unwrap();
    Tokenizer::from_gguf(&Gguf::open(&path).unwrap())
}

fn of_pieces(architecture: &str, prefixes_space: bool) -> TinyModel {
    TinyModel {
        architecture: architecture.to_owned(),
        pre: "default".to_owned(),
        pieces: Some(prefixes_space),
        ..TinyModel::default()
    }
}

#[test]
fn pieces_are_those_of_llama_cpp() {
    let told: Value = serde_json::from_str(include_str!("../../testdata/families.json")).unwrap();
    let cases = told["splits"].as_array().unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        let prefixes_space = case["prefixesSpace"].as_bool().unwrap();
        let tokenizer = read(&of_pieces(case["architecture"].as_str().unwrap(), prefixes_space)).unwrap();
        let texts = told["texts"].as_array().unwrap();
        for (text, tokens) in texts.iter().zip(case["tokens"].as_array().unwrap()) {
            let text = text.as_str().unwrap();
            let tokens: Vec<u64> =
                tokens.as_array().unwrap().iter().map(|token| token.as_u64().unwrap()).collect();
            let found: Vec<u64> = tokenizer.encode(text).unwrap().into_iter().map(u64::from).collect();
            assert_eq!(found, tokens, "{text:?} in {case}");
        }
    }
}

#[test]
fn what_was_split_is_written_back_and_the_space_in_front_of_an_answer_is_not() {
    for prefixes_space in [false, true] {
        let tokenizer = read(&of_pieces("gemma3", prefixes_space)).unwrap();
        let text = "the hand, ü 中 🦀\n\nand\t  then";
        let ids = tokenizer.encode(text).unwrap();
        let mut bytes = tokenizer.first_bytes(ids[0]).to_vec();
        bytes.extend(ids[1..].iter().flat_map(|id| tokenizer.bytes(*id)));
        let inside = String::from_utf8(bytes).unwrap();
        // Behind what is matched whole a text begins anew, with its own space in front.
        let expected = if prefixes_space { "the hand, ü 中 🦀\n\n and\t   then" } else { text };
        assert_eq!(inside, expected);
        assert_eq!(tokenizer.encode_prompt("<s>the", &Shadow::default()).unwrap()[0], 1);
        assert_eq!(tokenizer.encode_prompt("the", &Shadow::default()).unwrap()[0], 1);
    }
}

#[test]
fn white_space_behind_control_tokens_is_left_out_by_phi3_alone() {
    let text = "<|user|>\nthe<|end|>\n<|assistant|>\n";
    for (architecture, is_left_out) in [("phi3", true), ("gemma2", false)] {
        let tokenizer = read(&of_pieces(architecture, true)).unwrap();
        let ids = tokenizer.encode(text).unwrap();
        let bytes: Vec<u8> = ids.iter().flat_map(|id| tokenizer.bytes(*id)).copied().collect();
        assert_eq!(!bytes.contains(&b'\n'), is_left_out, "{architecture}");
    }
    let tokenizer = read(&of_pieces("phi3", true)).unwrap();
    assert!(tokenizer.is_end(tokenizer.encode("<|end|>").unwrap()[0]));
    let kept = tokenizer.encode("<s>\nthe").unwrap();
    assert!(kept.iter().any(|id| tokenizer.bytes(*id) == b"\n"));
}

#[test]
fn what_is_not_known_of_a_tokenizer_is_refused_by_name() {
    let error = |tiny: TinyModel| read(&tiny).err().expect("it is refused").to_string();
    let of_pieces = TinyModel { pre: "whale".to_owned(), ..of_pieces("gemma2", true) };
    assert!(error(of_pieces).contains("pre \"whale\"; supported: default"));
    let of_bytes = TinyModel { pre: "default".to_owned(), ..TinyModel::default() };
    assert!(error(of_bytes).contains("pre \"default\"; supported: gpt-2"));
}

#[test]
fn pipelines_cut_as_their_vocabularies_were_trained() {
    // What each makes of the text, with a bar where it is cut.
    let table = [
        ("gpt-4o", "The|Case| | isn't| |123|4|!\n"),
        ("tekken", "The|Case| | isn|'t| |1|2|3|4|!\n"),
        ("dbrx", "TheCase| | isn|'t| |123|4|!\n"),
        ("qwen2", "TheCase| | isn|'t| |1|2|3|4|!\n"),
    ];
    for (pre, expected) in table {
        let mut encoder = Encoder::new(tokenizers::models::bpe::BPE::default());
        Pipeline::named(pre).unwrap().install(&mut encoder).unwrap();
        let text = expected.replace('|', "");
        let mut pieces = tokenizers::PreTokenizedString::from(text.as_str());
        let pre_tokenizer = encoder.get_pre_tokenizer().unwrap();
        tokenizers::PreTokenizer::pre_tokenize(pre_tokenizer, &mut pieces).unwrap();
        let splits = pieces.get_splits(tokenizers::OffsetReferential::Original, tokenizers::OffsetType::Byte);
        let cut: Vec<&str> = splits.iter().map(|(_, (start, end), _)| &text[*start..*end]).collect();
        assert_eq!(cut.join("|"), expected, "{pre}");
    }
}

#[test]
fn a_prompt_that_no_context_holds_is_refused_before_it_is_split() {
    for tiny in [TinyModel::default(), of_pieces("gemma3", true)] {
        let mut tokenizer = read(&tiny).unwrap();
        let long = "the ".repeat(1000);
        let prompt =
            |tokenizer: &Tokenizer, text: &str| tokenizer.encode_prompt(text, &Shadow::default()).map(drop);
        assert_eq!(prompt(&tokenizer, &long), Ok(()));
        tokenizer.hold_to(4);
        assert_eq!(prompt(&tokenizer, "the the the the"), Ok(()));
        assert!(tokenizer.encode(&long).is_ok(), "what is no prompt may be long");
        let refused = prompt(&tokenizer, &long).unwrap_err();
        assert!(matches!(refused, GenerateError::TextTooLong { bytes: 4000, .. }), "{refused}");
    }
}
