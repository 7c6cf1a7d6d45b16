//! Writes models of several shapes and formats with random weights, to see what they take in memory.
//!
//! `cargo run --release -p superstep-inference --features testing --example shapes -- --folder FOLDER`
#![expect(clippy::print_stdout, reason = "the names of the files are what the program tells")]

#[path = "shared/measure.rs"]
mod measure;

use std::path::Path;

use measure::{Outcome, options};
use superstep_inference::testing::TinyModel;

/// The architecture, the format, the width, and whether the output has a matrix of its own.
const SHAPES: [(&str, &str, usize, bool); 5] = [
    ("llama", "Q8_0", 2048, false),
    ("llama", "Q4_K", 2560, false),
    ("llama", "Q4_1", 1792, true),
    ("qwen2", "F16", 1536, true),
    ("qwen3", "Q6_K", 2048, false),
];

fn main() -> Outcome<()> {
    let options = options(&["--folder"])?;
    let folder = Path::new(options.get("--folder").ok_or("--folder FOLDER is needed")?);
    std::fs::create_dir_all(folder)?;
    for (architecture, format, hidden, untied) in SHAPES {
        let path = folder.join(format!("{architecture}-{hidden}-{format}.gguf"));
        if !path.exists() {
            let (architecture, format) = (architecture.to_owned(), format.to_owned());
            let model = TinyModel {
                architecture,
                format,
                hidden,
                untied,
                context_length: 4096,
                ..TinyModel::default()
            };
            let unfinished = path.with_extension("part");
            model.write(&unfinished)?;
            std::fs::rename(&unfinished, &path)?;
        }
        println!("{}", path.display());
    }
    Ok(())
}
