//! How text is cut before BPE, by the name that the model file gives.

use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{SplitDelimiterBehavior, Tokenizer as Encoder};

/// The words, numbers of up to three digits, runs of symbols and spaces of the Llama 3 vocabulary.
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As Llama 3, but every digit stands alone.
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Words with a capital in front or small letters behind, numbers of up to three digits, runs of symbols and spaces of the
/// vocabulary of GPT-4o.
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
/// As GPT-4o, but every digit stands alone, and no endings.
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Where the text is cut.
#[derive(Debug, Clone, Copy)]
enum Cut {
    /// The rule of GPT-2.
    Gpt2,
    /// Every digit alone, then the rule of GPT-2.
    DigitsThenGpt2,
    /// The matches of a pattern.
    Pattern(&'static str),
}

/// One row of the table of known pre-tokenizers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pipeline {
    names: &'static [&'static str],
    cut: Cut,
    composes_unicode: bool,
    /// A word that is an entry of the vocabulary is that token, whatever the merges say.
    pub(super) ignores_merges: bool,
    /// What holds where the file does not say.
    pub(super) adds_bos: bool,
}

const TABLE: [Pipeline; 7] = [
    Pipeline {
        names: &["gpt-2", "gpt2"],
        cut: Cut::Gpt2,
        composes_unicode: false,
        ignores_merges: false,
        adds_bos: false,
    },
    Pipeline {
        names: &["smollm", "starcoder"],
        cut: Cut::DigitsThenGpt2,
        composes_unicode: false,
        ignores_merges: false,
        adds_bos: false,
    },
    Pipeline {
        names: &["llama-bpe", "llama3", "llama-v3"],
        cut: Cut::Pattern(LLAMA3),
        composes_unicode: false,
        ignores_merges: true,
        adds_bos: true,
    },
    Pipeline {
        names: &["qwen2", "deepseek-r1-qwen"],
        cut: Cut::Pattern(QWEN2),
        composes_unicode: true,
        ignores_merges: false,
        adds_bos: false,
    },
    // Of Phi-4.
    Pipeline {
        names: &["dbrx", "smaug-bpe"],
        cut: Cut::Pattern(LLAMA3),
        composes_unicode: false,
        ignores_merges: false,
        adds_bos: false,
    },
    // Of Phi-4-mini, too.
    Pipeline {
        names: &["gpt-4o"],
        cut: Cut::Pattern(GPT4O),
        composes_unicode: false,
        ignores_merges: false,
        adds_bos: false,
    },
    // Of Mistral Nemo and those behind it.
    Pipeline {
        names: &["tekken"],
        cut: Cut::Pattern(TEKKEN),
        composes_unicode: false,
        ignores_merges: true,
        adds_bos: true,
    },
];

impl Pipeline {
    pub(super) fn named(name: &str) -> Option<Self> {
        TABLE.into_iter().find(|pipeline| pipeline.names.contains(&name))
    }

    pub(super) fn names() -> Vec<&'static str> {
        TABLE.iter().flat_map(|pipeline| pipeline.names.iter().copied()).collect()
    }

    pub(super) fn install(&self, encoder: &mut Encoder) -> tokenizers::Result<()> {
        if self.composes_unicode {
            encoder.with_normalizer(Some(NFC))?;
        }
        let pre: PreTokenizerWrapper = match self.cut {
            Cut::Gpt2 => ByteLevel::new(false, true, true).into(),
            Cut::DigitsThenGpt2 => {
                Sequence::new(vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()]).into()
            }
            Cut::Pattern(pattern) => {
                let split = Split::new(
                    SplitPattern::Regex(pattern.to_owned()),
                    SplitDelimiterBehavior::Isolated,
                    false,
                )?;
                Sequence::new(vec![split.into(), ByteLevel::new(false, true, false).into()]).into()
            }
        };
        encoder.with_pre_tokenizer(Some(pre));
        Ok(())
    }
}
