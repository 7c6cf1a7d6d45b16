use super::*;
use crate::reference::Reference;
use crate::testing::{TinyEmbedder, TinyHead};

const MOODS: TinyHead =
    TinyHead { reads_tokens: false, labels: &["good", "bad", "both"], is_multiple: false };
const TOPICS: TinyHead = TinyHead { reads_tokens: false, labels: &["paint", "light"], is_multiple: true };
const KINDS: TinyHead =
    TinyHead { reads_tokens: true, labels: &["O", "COLOUR", "ARTICLE", "MARK"], is_multiple: false };

/// What a model is written into.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new(tiny: &TinyEmbedder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        tiny.write(folder.path()).unwrap();
        Self(folder)
    }

    fn load(&self, heads: &[(&str, &Path)]) -> Result<Encoder, LoadError> {
        Encoder::load(self.0.path(), &EmbedderOptions::default(), heads)
    }
}

/// A head without an encoder, for the tiny encoders of the seed 1.
fn head_alone(head: TinyHead) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    TinyEmbedder { head: Some(head), ..TinyEmbedder::default() }.write_head(folder.path()).unwrap();
    folder
}

fn classes(finding: &Finding) -> &[Class] {
    let Finding::Classes(classes) = finding else { panic!("{finding:?}") };
    classes
}

fn tags(finding: &Finding) -> &[Tag] {
    let Finding::Tags(tags) = finding else { panic!("{finding:?}") };
    tags
}

/// "red green" with its marks.
fn red_green(tiny: &TinyEmbedder) -> [usize; 4] {
    if tiny.architecture == "bert" { [2, 4, 5, 3] } else { [0, 4, 5, 2] }
}

#[test]
fn what_heads_say_is_what_the_reference_computes() {
    for (architecture, prefix) in
        [("bert", "bert."), ("roberta", "roberta."), ("xlm-roberta", "roberta."), ("bert", "")]
    {
        for head in [MOODS, TOPICS, KINDS] {
            let tiny = TinyEmbedder { architecture, prefix, head: Some(head), ..TinyEmbedder::default() };
            let bench = Bench::new(&tiny);
            let found = bench.load(&[]).unwrap().read(&["red green"], &[Want::Head("own")]).unwrap();
            let reference = Reference::read(bench.0.path());
            let rows = reference.rows(&red_green(&tiny), &[0; 4]);
            if head.reads_tokens {
                let logits = reference.of_tokens(&rows);
                let found = tags(&found[0][0]);
                assert_eq!(found.iter().map(|tag| tag.span.clone()).collect::<Vec<_>>(), [0..3, 4..9]);
                for (tag, logits) in found.iter().zip(&logits[1..]) {
                    let best = (0..logits.len()).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
                    let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
                    assert_eq!(&*tag.label, head.labels[best], "{tiny:?}");
                    assert!((tag.probability - logits[best].exp() / sum).abs() < 1e-4, "{tiny:?}");
                }
            } else {
                let logits = reference.of_text(&rows);
                let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
                let found = classes(&found[0][0]);
                assert_eq!(found.len(), logits.len());
                for ((class, label), logit) in found.iter().zip(head.labels).zip(logits) {
                    let share =
                        if head.is_multiple { 1.0 / (1.0 + (-logit).exp()) } else { logit.exp() / sum };
                    assert_eq!(&*class.label, *label);
                    assert!(
                        (f64::from(class.logit) - logit).abs() < 1e-4,
                        "{} {logit} {tiny:?}",
                        class.logit
                    );
                    assert!((class.probability - share).abs() < 1e-4, "{tiny:?}");
                }
            }
        }
    }
}

#[test]
fn all_heads_of_an_encoder_say_together_what_each_says_alone() {
    let bench = Bench::new(&TinyEmbedder { head: Some(MOODS), ..TinyEmbedder::default() });
    let (topics, kinds) = (head_alone(TOPICS), head_alone(KINDS));
    let encoder = bench.load(&[("topics", topics.path()), ("kinds", kinds.path())]).unwrap();
    let told: Vec<(String, Reads, usize)> =
        encoder.heads().map(|head| (head.name.to_owned(), head.reads, head.labels.len())).collect();
    let expected = [("own", Reads::Text, 3), ("topics", Reads::Text, 2), ("kinds", Reads::Tokens, 4)];
    assert_eq!(told, expected.map(|(name, reads, labels)| (name.to_owned(), reads, labels)));

    let texts = ["a red green", "", "blues", &"green ".repeat(60)];
    let wants = [Want::Head("kinds"), Want::Vector, Want::Head("own"), Want::Head("topics")];
    let together = encoder.read(&texts, &wants).unwrap();
    for (at, want) in wants.iter().enumerate() {
        let alone = encoder.read(&texts, &[*want]).unwrap();
        for (all, one) in together.iter().zip(&alone) {
            assert_eq!((all.len(), one.len()), (4, 1));
            assert_eq!(all[at], one[0], "{want:?}");
        }
    }
    // A head alone is the one of the model that it was cut out of.
    let whole = Bench::new(&TinyEmbedder { head: Some(TOPICS), ..TinyEmbedder::default() });
    let own = whole.load(&[]).unwrap().read(&texts, &[Want::Head("own")]).unwrap();
    assert!(own.iter().zip(&together).all(|(own, all)| own[0] == all[3]));
    let of_one = |finding: &Finding| classes(finding).iter().map(|class| class.probability).sum::<f64>();
    assert!((of_one(&together[0][2]) - 1.0).abs() < 1e-9);
}

#[test]
fn tags_tell_where_their_tokens_stand() {
    let bench = Bench::new(&TinyEmbedder { head: Some(KINDS), ..TinyEmbedder::default() });
    let encoder = bench.load(&[]).unwrap();
    let text = "Grün a greens";
    let found = encoder.read(&[text, ""], &[Want::Head("own")]).unwrap();
    let words: Vec<&str> = tags(&found[0][0]).iter().map(|tag| &text[tag.span.clone()]).collect();
    assert_eq!(words, ["Grün", "a", "green", "s"]);
    assert_eq!(tags(&found[1][0]), []);
    // What is not read has no tags, and the mark at the end is none.
    let long = "red ".repeat(100);
    let found = encoder.read(&[&long], &[Want::Head("own")]).unwrap();
    let read = tags(&found[0][0]);
    assert_eq!((read.len(), read.last().unwrap().span.end), (30, 30 * 4 - 1));
}

#[test]
fn what_is_too_long_is_cut_and_marks_in_a_text_are_text() {
    let bench = Bench::new(&TinyEmbedder::default());
    let encoder = bench.load(&[]).unwrap();
    let long = "red ".repeat(100);
    let marked = encoder.marker.text(&long, true).unwrap();
    assert_eq!((marked.ids.len(), marked.kinds.len(), marked.spans.len()), (32, 32, 32));
    assert_eq!((marked.ids[0], marked.ids[31]), (2, 3));
    let marked = encoder.marker.text("red [SEP] green", false).unwrap();
    assert_eq!(marked.ids.iter().filter(|id| **id == 3).count(), 1);
    // The vocabulary of the other family has its marks among the pieces of texts.
    let other = Bench::new(&TinyEmbedder { architecture: "xlm-roberta", ..TinyEmbedder::default() });
    let other = other.load(&[]).unwrap();
    let marked = other.marker.text("red </s> <pad>", true).unwrap();
    assert_eq!((marked.ids[1], marked.ids.iter().filter(|id| **id <= 2).count()), (4, 2), "{marked:?}");
    let pair = other.pair(&other.first("red </s>").unwrap(), "<s> blue").unwrap();
    assert_eq!(pair.ids.iter().filter(|id| **id <= 2).count(), 4, "{pair:?}");
    let options = EmbedderOptions { max_tokens: Some(8), ..EmbedderOptions::default() };
    let short = Encoder::load(bench.0.path(), &options, &[]).unwrap();
    assert_eq!(short.marker.text(&long, false).unwrap().ids.len(), 8);
    let options = EmbedderOptions { max_tokens: Some(1), ..EmbedderOptions::default() };
    assert!(matches!(Encoder::load(bench.0.path(), &options, &[]), Err(LoadError::Option { .. })));
}

#[test]
fn a_window_ends_with_the_positions_behind_the_padding() {
    let tiny = TinyEmbedder { architecture: "xlm-roberta", ..TinyEmbedder::default() };
    let bench = Bench::new(&tiny);
    std::fs::remove_file(bench.0.path().join("sentence_bert_config.json")).unwrap();
    let encoder = bench.load(&[]).unwrap();
    assert_eq!(encoder.description().max_tokens, 38, "of 40 positions two are before the first");
    assert_eq!(encoder.description().architecture, "xlm-roberta");
    let long = "red ".repeat(100);
    assert_eq!(encoder.read(&[&long], &[Want::Vector]).unwrap().len(), 1);
    let bench = Bench::new(&TinyEmbedder::default());
    std::fs::remove_file(bench.0.path().join("sentence_bert_config.json")).unwrap();
    assert_eq!(bench.load(&[]).unwrap().description().max_tokens, 40);
}

#[test]
fn a_head_for_another_encoder_is_refused() {
    let bench = Bench::new(&TinyEmbedder::default());
    let refusal = |tiny: TinyEmbedder| {
        let other = Bench::new(&tiny);
        bench.load(&[("other", other.0.path())]).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let head = Some(MOODS);
    let same = TinyEmbedder { head, ..TinyEmbedder::default() };
    assert_eq!(refusal(same), "", "a file may have the encoder, too");
    assert_eq!(refusal(TinyEmbedder { prefix: "bert.", ..same }), "");
    for (other, part) in [
        (TinyEmbedder { seed: 2, ..same }, "for another encoder"),
        (TinyEmbedder { seed: 2, prefix: "bert.", ..same }, "for another encoder"),
        (TinyEmbedder { format: "F16", ..same }, "for another encoder"),
        (TinyEmbedder { architecture: "roberta", ..same }, "a head for roberta"),
        (TinyEmbedder { head: None, ..same }, "without a head"),
    ] {
        let error = refusal(other);
        assert!(error.contains(part) && error.contains("model file"), "{part} in {error:?}");
    }
    let error = bench.load(&[]).unwrap().read(&["red"], &[Want::Head("own")]).unwrap_err();
    assert_eq!(error, EmbedError::UnknownHead { head: "own".to_owned() });
}

#[test]
fn labels_count_from_nought_and_have_their_tensors() {
    let tiny = TinyEmbedder { head: Some(MOODS), ..TinyEmbedder::default() };
    for (from, to, part) in [
        ("\"0\":\"good\"", "\"7\":\"good\"", "id2label"),
        ("\"2\":\"both\"", "\"2\":\"both\",\"3\":\"none\"", "classifier.weight"),
        ("\"id2label\"", "\"labels\"", "classifier.weight"),
        ("BertForSequence", "BertForToken", ""),
    ] {
        let bench = Bench::new(&tiny);
        let path = bench.0.path().join("config.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
        let error = bench.load(&[]).err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(error.is_empty(), part.is_empty(), "{error}");
        assert!(error.contains(part), "{part} in {error}");
    }
}
