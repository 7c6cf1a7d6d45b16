//! Writes models of several shapes and formats with random weights, to see what they take in memory.
//!
//! `cargo run --release -p superstep-inference --features testing --example shapes -- FOLDER`
#![expect(clippy::print_stdout, reason = "the names of the files are what the program tells")]

use std::path::PathBuf;

use superstep_inference::testing::TinyModel;

/// The architecture, the format, the width, and whether the output has a matrix of its own.
const SHAPES: [(&str, &str, usize, bool); 5] = [
    ("llama", "Q8_0", 2048, false),
    ("llama", "Q4_K", 2560, false),
    ("llama", "Q4_1", 1792, true),
    ("qwen2", "F16", 1536, true),
    ("qwen3", "Q6_K", 2048, false),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args_os().nth(1).ok_or("say into which folder")?);
    std::fs::create_dir_all(&folder)?;
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
