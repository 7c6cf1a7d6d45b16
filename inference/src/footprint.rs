//! How much memory a model takes, told from the header of its file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::LoadError;
use crate::gguf::Gguf;
use crate::hyperparameters::Hyperparameters;
use crate::kv::KvShape;
use crate::model::{Format, LoadOptions, formats, parameters};
use crate::tiles::Instructions;
use crate::weights::{Census, Held, count, held};

/// What a process takes that has no model: its code as far as it runs, its threads, and what they have allocated.
const PROGRAM: u64 = 20_000_000;
/// What the tokenizer, the grammar and the metadata take for a token of the vocabulary, with its merges.
const TOKEN: u64 = 600;
/// Rows of the largest pass.
const PASS: usize = 256;
/// Rows with logits beside one for each generation: those of guesses.
const GUESSED: usize = 16;

/// What a model takes in memory once it is loaded. All sizes are in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Footprint {
    /// The name that the file gives itself, if any.
    pub name: Option<String>,
    /// The architecture.
    pub architecture: String,
    /// The number of weights in the file.
    pub parameters: u64,
    /// Formats in the file.
    pub stored: Vec<Format>,
    /// Formats in memory, after the conversion to those that have fast kernels.
    pub held: Vec<Format>,
    /// Positions that one generation may fill: what was asked for, cut to what the model was made for.
    pub context_length: usize,
    /// Generations that run side by side.
    pub concurrent: usize,
    /// The file.
    pub file_bytes: u64,
    /// All weights, as held.
    pub weights_bytes: u64,
    /// The copy of the weights in tiles that the kernels of this machine make when they are first used.
    pub tiles_bytes: u64,
    /// Those of the weights that take no memory once there are tiles of them, because they lie in a file: none without
    /// [`LoadOptions::converted`].
    pub released_bytes: u64,
    /// Keys and values of all generations, when each has filled its context; before that, less.
    pub kv_cache_bytes: u64,
    /// What a process takes beside, estimated: the program, the vocabulary, and what a pass computes with.
    pub workspace_bytes: u64,
}

impl Footprint {
    /// Reads the header of the GGUF file at `path`, and no weights.
    ///
    /// Of `options`, the digest is not checked: that would read the whole file.
    ///
    /// # Errors
    /// The header cannot be read, or names an architecture or a format that is not supported.
    pub fn read(path: &Path, options: &LoadOptions) -> Result<Self, LoadError> {
        options.check()?;
        let gguf = Gguf::open(path)?;
        let sizes = Hyperparameters::from_gguf(&gguf)?;
        let context = options.context_length.min(sizes.context);
        let (mut stored, mut in_memory) = (Census::new(), Census::new());
        let (instructions, mut tiles_bytes, mut released_bytes) = (Instructions::here(), 0_u64, 0_u64);
        let untied = gguf.entry("output.weight").is_some();
        for (name, entry) in gguf.entries() {
            let (dtype, bytes) = gguf.stored(name, entry)?;
            count(&mut stored, dtype, bytes);
            // A table is looked up as it is stored, and never multiplied.
            let is_table = untied && name == "token_embd.weight";
            let table = Held { dtype, bytes, tile_bytes: 0, is_read_again: true };
            let held = if is_table { table } else { held(name, dtype, &entry.shape, instructions) };
            count(&mut in_memory, held.dtype, held.bytes);
            tiles_bytes = held.tile_bytes.saturating_add(tiles_bytes);
            if options.converted.is_some() && held.tile_bytes > 0 && !held.is_read_again {
                released_bytes = held.bytes.saturating_add(released_bytes);
            }
        }
        Ok(Self {
            name: gguf.string("general.name").ok().map(str::to_owned),
            architecture: sizes.architecture.name.to_owned(),
            parameters: parameters(&gguf),
            weights_bytes: in_memory.values().map(|(_, bytes)| bytes).sum(),
            tiles_bytes,
            released_bytes,
            workspace_bytes: workspace(&sizes, options.max_concurrent),
            stored: formats(&stored),
            held: formats(&in_memory),
            context_length: context,
            concurrent: options.max_concurrent,
            file_bytes: gguf.size(),
            kv_cache_bytes: KvShape::of(&sizes, options.max_concurrent, context).bytes(),
        })
    }

    /// The most that the process takes: weights and tiles, without the weights that are let go, the cache and the
    /// workspace.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        let held = self.weights_bytes.saturating_sub(self.released_bytes);
        let all = [held, self.tiles_bytes, self.kv_cache_bytes, self.workspace_bytes];
        all.into_iter().fold(0, u64::saturating_add)
    }

    /// What people take who have no table: the file, and 3 GB.
    #[must_use]
    pub fn rule_of_thumb_bytes(&self) -> u64 {
        self.file_bytes.saturating_add(3_000_000_000)
    }
}

fn workspace(sizes: &Hyperparameters, concurrent: usize) -> u64 {
    let product = |one: usize, other: usize| (one as u64).saturating_mul(other as u64);
    let query = sizes.heads.query.saturating_mul(sizes.heads.dim);
    // Experts work one after the other, each perhaps on all rows; theirs are gathered, and what they give is added up.
    let (hidden, wide) = match &sizes.experts {
        None => (3, sizes.feed_forward),
        Some(experts) => (5, experts.feed_forward.max(experts.shared.unwrap_or(0))),
    };
    // What a layer reads and writes: its rows, the rows of the heads, and those of gate, up and their product.
    let row = [(hidden, sizes.hidden), (3, query), (4, wide)].map(|(times, len)| product(times, len));
    let row = row.into_iter().fold(0, u64::saturating_add);
    // Logits are there as they were computed, and once more for each generation.
    let logits =
        product(2, sizes.vocabulary).saturating_mul((concurrent as u64).saturating_add(GUESSED as u64));
    let floats = row.saturating_mul(PASS as u64).saturating_add(logits);
    let vocabulary = (sizes.vocabulary as u64).saturating_mul(TOKEN);
    [PROGRAM, vocabulary].into_iter().fold(floats.saturating_mul(4), u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Model;
    use crate::testing::TinyModel;

    #[test]
    fn it_tells_what_loading_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        let formats = ["F32", "Q4_1", "Q8_0", "Q4_K", "Q6_K"];
        for format in formats {
            for (hidden, architecture, untied) in [
                (256, "llama", true),
                (512, "qwen2", false),
                (256, "qwen3", false),
                (256, "gemma2", false),
                (256, "gemma3", true),
                (256, "phi3", false),
                (256, "qwen2moe", true),
                (256, "qwen3moe", false),
            ] {
                let (format, architecture) = (format.to_owned(), architecture.to_owned());
                let scaling = (architecture == "phi3").then(|| "longrope".to_owned());
                let tiny =
                    TinyModel { format, hidden, architecture, untied, scaling, ..TinyModel::default() };
                tiny.write(&path).unwrap();
                let options =
                    LoadOptions { context_length: 100, max_concurrent: 3, ..LoadOptions::default() };
                let read = Footprint::read(&path, &options).unwrap();
                let model = Model::load(&path, &options).unwrap();
                let description = model.description();
                assert_eq!(read.held, description.held, "{tiny:?}");
                assert_eq!(read.stored, description.stored);
                assert_eq!(read.parameters, description.parameters);
                assert_eq!(read.kv_cache_bytes, model.cache().bytes(), "{tiny:?}");
            }
        }
    }

    #[test]
    fn what_lies_in_a_file_takes_no_memory_beside_its_tiles() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        for mixture in [false, true] {
            let format = "Q4_K".to_owned();
            TinyModel { format, hidden: 256, mixture, ..TinyModel::default() }.write(&path).unwrap();
            let read = |converted| {
                Footprint::read(&path, &LoadOptions { converted, ..LoadOptions::default() }).unwrap()
            };
            let (held, mapped) = (read(None), read(Some(folder.path().to_owned())));
            assert_eq!(held.released_bytes, 0);
            assert_eq!(held.total_bytes() - mapped.total_bytes(), mapped.released_bytes);
            let matrices = held.held.iter().find(|format| format.name == "Q4K").unwrap();
            let released = if mapped.tiles_bytes > 0 { matrices.bytes } else { 0 };
            assert_eq!(mapped.released_bytes, released, "all matrices are Q4_K: {mapped:?}");
        }
    }

    #[test]
    fn a_context_is_cut_and_what_is_no_model_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        TinyModel::default().write(&path).unwrap();
        let read = |context_length| {
            Footprint::read(&path, &LoadOptions { context_length, ..LoadOptions::default() })
        };
        assert_eq!(read(4096).unwrap(), read(512).unwrap());
        assert_eq!(read(512).unwrap().kv_cache_bytes, 2 * read(256).unwrap().kv_cache_bytes);
        assert!(matches!(read(0), Err(LoadError::Option { .. })));
        let other = TinyModel { format: "IQ4_NL".to_owned(), ..TinyModel::default() };
        other.write(&path).unwrap();
        assert!(matches!(read(1), Err(LoadError::Dtype { .. })));
        assert!(matches!(
            Footprint::read(folder.path(), &LoadOptions::default()),
            Err(LoadError::Read { .. })
        ));
    }
}
