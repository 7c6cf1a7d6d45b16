use super::*;
use crate::reference::Reference;
use crate::testing::{TinyEmbedder, TinyHead};

struct Bench(tempfile::TempDir);

impl Bench {
    fn new(tiny: TinyEmbedder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let head = tiny.head.or(Some(TinyHead::RELEVANCE));
        TinyEmbedder { head, ..tiny }.write(folder.path()).unwrap();
        Self(folder)
    }

    fn load(&self) -> Reranker {
        Reranker::load(self.0.path(), &EmbedderOptions::default()).unwrap()
    }
}

fn relevance(reranker: &Reranker, query: &str, documents: &[&str]) -> Vec<Relevance> {
    let query = reranker.query(query).unwrap();
    let pairs = documents.iter().map(|document| reranker.pair(&query, document).unwrap());
    reranker.relevance(pairs.collect()).unwrap()
}

#[test]
fn what_is_no_number_is_no_relevance() {
    assert!(judged(f32::MAX).is_ok());
    for logit in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert!(matches!(judged(logit), Err(EmbedError::Backend { .. })), "{logit}");
    }
}

#[test]
fn relevance_is_what_the_reference_computes() {
    // The tokens of "red green" beside "a blue", and to which text they belong.
    let bert: (&[usize], &[usize]) = (&[2, 4, 5, 3, 7, 6, 3], &[0, 0, 0, 0, 1, 1, 1]);
    let roberta: (&[usize], &[usize]) = (&[0, 4, 5, 2, 2, 7, 6, 2], &[0; 8]);
    for (architecture, prefix, (ids, kinds)) in [
        ("bert", "bert.", bert),
        ("bert", "", bert),
        ("roberta", "roberta.", roberta),
        ("xlm-roberta", "roberta.", roberta),
    ] {
        for seed in 1..4 {
            let bench = Bench::new(TinyEmbedder { architecture, prefix, seed, ..TinyEmbedder::default() });
            let found = relevance(&bench.load(), "red green", &["a blue"])[0];
            let reference = Reference::read(bench.0.path());
            let logit = reference.of_text(&reference.rows(ids, kinds))[0];
            assert!((f64::from(found.logit) - logit).abs() < 1e-4, "{architecture}: {} {logit}", found.logit);
            assert!((found.score - 1.0 / (1.0 + (-logit).exp())).abs() < 1e-4);
        }
    }
}

#[test]
fn the_second_text_is_told_from_the_first() {
    let reranker = Bench::new(TinyEmbedder::default()).load();
    let one = relevance(&reranker, "red green", &["blue"])[0];
    let other = relevance(&reranker, "red", &["green blue"])[0];
    assert!((one.logit - other.logit).abs() > 1e-3, "{one:?} {other:?}");
}

#[test]
fn a_document_has_the_same_relevance_in_any_batch() {
    let reranker = Bench::new(TinyEmbedder::default()).load();
    let long = "blue a ".repeat(50);
    let documents: Vec<&str> =
        ["red", "", "a green blue", &long, "[SEP] red"].into_iter().cycle().take(200).collect();
    let together = relevance(&reranker, "red green", &documents);
    assert_eq!(together.len(), documents.len());
    for (document, found) in documents.iter().zip(&together).take(5) {
        let alone = relevance(&reranker, "red green", &[document])[0];
        assert!((alone.logit - found.logit).abs() < 1e-4, "{document:?}");
    }
    assert!((together[0].logit - together[2].logit).abs() > 1e-3, "other documents have another relevance");
    assert_eq!(relevance(&reranker, "red", &[]), []);
}

#[test]
fn a_document_is_cut_to_the_room_beside_the_query() {
    for (architecture, marks) in [("bert", 3), ("xlm-roberta", 4)] {
        let bench = Bench::new(TinyEmbedder { architecture, ..TinyEmbedder::default() });
        let reranker = bench.load();
        assert_eq!(reranker.description().max_tokens, 32);
        let query = reranker.query("red green").unwrap();
        let cut = "blue ".repeat(32 - marks - 2);
        let pair = |document: &str| reranker.pair(&query, document).unwrap();
        assert_eq!(pair(&cut).tokens(), 32);
        assert_eq!(pair(&format!("{cut} red red red")).tokens(), 32);
        assert_eq!(pair("").tokens(), marks + 2);
        let found = relevance(&reranker, "red green", &[&cut, &format!("{cut} red red red"), "blue"]);
        assert!((found[0].logit - found[1].logit).abs() < 1e-5, "{found:?}");
        assert!((found[0].logit - found[2].logit).abs() > 1e-4);
        // A query is read whole, or not at all.
        assert!(reranker.query(&"red ".repeat(32 - marks - 1)).is_ok());
        let error = reranker.query(&"red ".repeat(32 - marks)).err().unwrap();
        let tokens = 32 - marks;
        assert_eq!(error, EmbedError::QueryTooLong { tokens, most: tokens - 1 });
        let options = EmbedderOptions { max_tokens: Some(2), ..EmbedderOptions::default() };
        let tight = Reranker::load(bench.0.path(), &options).unwrap();
        assert_eq!(tight.query("").err().unwrap(), EmbedError::QueryTooLong { tokens: 0, most: 0 });
    }
}

#[test]
fn only_a_head_of_one_label_for_texts_ranks() {
    let labels: &[&str] = &["no", "yes"];
    for (head, is_one) in [
        (TinyHead::RELEVANCE, true),
        (TinyHead { labels, ..TinyHead::RELEVANCE }, false),
        (TinyHead { reads_tokens: true, ..TinyHead::RELEVANCE }, false),
    ] {
        let bench = Bench::new(TinyEmbedder { head: Some(head), ..TinyEmbedder::default() });
        assert_eq!(Reranker::is_in(bench.0.path()).unwrap(), is_one, "{head:?}");
        let loaded = Reranker::load(bench.0.path(), &EmbedderOptions::default());
        assert_eq!(loaded.is_ok(), is_one, "{head:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    TinyEmbedder::default().write(folder.path()).unwrap();
    assert!(!Reranker::is_in(folder.path()).unwrap(), "a sentence model has no head");
    let error = Reranker::load(folder.path(), &EmbedderOptions::default()).err().unwrap().to_string();
    assert!(error.contains("config.json") && error.contains("single label"), "{error}");
    assert!(Reranker::is_in(Path::new("absent")).is_err());
}
