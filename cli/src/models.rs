//! `superstep models`.

mod bar;

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use superstep_api::ModelServerSpec;
use superstep_provision::{CacheUse, FetchError, HubFile, ModelCache, ModelError, Quiet, Search, digest};
#[cfg(feature = "inference")]
use superstep_provision::{converted_folder, load_options, sentence_model, sentence_options};
#[cfg(feature = "inference")]
use superstep_runtime::{EmbedderOptions, SentenceModel};

use crate::args::Files;
use crate::args::models::{ListArgs, ModelsArgs, ModelsCommand, PullArgs, SizeArgs};
use crate::exit::{CommandError, Exit};
use crate::output::{self, OutputFormat};
use crate::{log, manifests};

pub(crate) use bar::Bar;

/// Fetches, lists or measures models.
///
/// # Errors
/// The files are wrong, or a model cannot be fetched or read.
pub(crate) fn models(args: &ModelsArgs) -> Result<Exit, CommandError> {
    let (value, format) = match &args.command {
        ModelsCommand::Pull(args) => (pull(args)?, args.output),
        ModelsCommand::List(args) => (list(args)?, args.output),
        ModelsCommand::Size(args) => (size(args)?, args.output),
    };
    output::write(&value, format, &mut io::stdout().lock())?;
    Ok(Exit::Success)
}

fn pull(args: &PullArgs) -> Result<Value, CommandError> {
    let bar = Bar::new(args.progress);
    let search = Search { downloads: &bar, cache: CacheUse::Verify };
    let mut rows = Vec::new();
    for (server, spec) in servers(&args.files)? {
        let path = search.file_of(&server, &spec)?;
        rows.push(row(&server, &path, args.output)?);
    }
    for file in &args.models {
        let path = search.fetch(file, None).map_err(ModelError::from)?;
        rows.push(row(&file.to_string(), &path, args.output)?);
    }
    Ok(Value::Array(rows))
}

fn row(name: &str, path: &Path, format: OutputFormat) -> Result<Value, ModelError> {
    let unreadable = |source| FetchError::Cache { path: path.to_owned(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    Ok(entry(name, bytes, Some(&digest(path)?), path, format))
}

fn list(args: &ListArgs) -> Result<Value, CommandError> {
    let cache = ModelCache::of(&|name| std::env::var(name).ok()).map_err(ModelError::from)?;
    let models = cache.models().map_err(ModelError::from)?;
    if models.is_empty() {
        log::say("there are no models: superstep models pull fetches them");
    }
    let rows = models.iter().map(|model| {
        let mut row = entry(&model.name, model.bytes, model.sha256.as_deref(), &model.path, args.output);
        row["complete"] = json!(model.complete);
        row
    });
    Ok(Value::Array(rows.collect()))
}

/// What identifies a model; for the eye, bytes are rounded and digests cut.
fn entry(name: &str, bytes: u64, sha256: Option<&str>, path: &Path, format: OutputFormat) -> Value {
    match format {
        OutputFormat::Json | OutputFormat::Yaml => {
            json!({"model": name, "bytes": bytes, "sha256": sha256, "path": path})
        }
        OutputFormat::Table => {
            let short = sha256.map(|sha256| sha256.chars().take(12).collect::<String>());
            json!({"model": name, "size": rounded(bytes, "B"), "sha256": short, "path": path})
        }
    }
}

/// The model servers of files that need weights.
fn servers(files: &[PathBuf]) -> Result<Vec<(String, ModelServerSpec)>, CommandError> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let resources = manifests::read(&Files { files: files.to_vec() })?.resources;
    let servers = resources.model_servers.into_iter().map(|(name, server)| (name, server.content.spec));
    Ok(servers.filter(|(_, spec)| spec.engine.candle.is_some()).collect())
}

fn size(args: &SizeArgs) -> Result<Value, CommandError> {
    let search = Search { downloads: &Quiet, cache: CacheUse::Only };
    let mut rows = Vec::new();
    for (server, spec) in servers(&args.files)? {
        let path = search.file_of(&server, &spec)?;
        rows.push(footprint(&server, &path, Some(&spec), args)?);
    }
    for name in &args.models {
        let path = match HubFile::parse(name) {
            Some(file) => search.fetch(&file, None).map_err(ModelError::from)?,
            None => PathBuf::from(name),
        };
        rows.push(footprint(name, &path, None, args)?);
    }
    Ok(Value::Array(rows))
}

#[cfg(feature = "inference")]
fn footprint(
    name: &str,
    path: &Path,
    spec: Option<&ModelServerSpec>,
    args: &SizeArgs,
) -> Result<Value, ModelError> {
    if let Some(folder) = sentence_model(path) {
        return sentences(name, folder, spec, args);
    }
    let mut options = spec.map(load_options).unwrap_or_default();
    options.context_length = args.context_length.map_or(options.context_length, |number| number as usize);
    options.max_concurrent = args.concurrency.map_or(options.max_concurrent, |number| number as usize);
    options.converted = converted_folder();
    let footprint = superstep_runtime::Footprint::read(path, &options)?;
    let formats: Vec<&str> = footprint.stored.iter().map(|format| format.name.as_str()).collect();
    let number = |value: u64, unit: &str| number(value, unit, args.output);
    let bytes = |bytes: u64| number(bytes, "B");
    Ok(json!({
        "model": name,
        "architecture": footprint.architecture,
        "parameters": number(footprint.parameters, ""),
        "formats": formats.join(" "),
        "contextLength": footprint.context_length,
        "concurrency": footprint.concurrent,
        "file": bytes(footprint.file_bytes),
        "weights": bytes(footprint.weights_bytes),
        "tiles": bytes(footprint.tiles_bytes),
        "released": bytes(footprint.released_bytes),
        "kvCache": bytes(footprint.kv_cache_bytes),
        "workspace": bytes(footprint.workspace_bytes),
        "total": bytes(footprint.total_bytes()),
        "ruleOfThumb": bytes(footprint.rule_of_thumb_bytes()),
    }))
}

/// As [`footprint`], of a sentence model or a cross-encoder, which have no cache.
#[cfg(feature = "inference")]
fn sentences(
    name: &str,
    folder: &Path,
    spec: Option<&ModelServerSpec>,
    args: &SizeArgs,
) -> Result<Value, ModelError> {
    let (mut options, batch) =
        spec.map_or_else(|| (EmbedderOptions::default(), SentenceModel::BATCH), sentence_options);
    options.max_tokens = args.context_length.map(|number| number as usize).or(options.max_tokens);
    let model = SentenceModel::load(folder, &options, batch);
    let model = model.map_err(|source| ModelError::Load { server: name.to_owned(), source })?;
    let description = model.description();
    let bytes = |bytes: u64| number(bytes, "B", args.output);
    Ok(json!({
        "model": name,
        "architecture": description.architecture,
        "dimension": description.dimension,
        "contextLength": description.max_tokens,
        "concurrency": args.concurrency.map_or(batch, |number| number as usize),
        "weights": bytes(description.bytes),
        "total": bytes(description.bytes),
    }))
}

/// A number as the format shows it.
#[cfg(feature = "inference")]
fn number(number: u64, unit: &str, format: OutputFormat) -> Value {
    match format {
        OutputFormat::Json | OutputFormat::Yaml => json!(number),
        OutputFormat::Table => json!(rounded(number, unit)),
    }
}

#[cfg(not(feature = "inference"))]
fn footprint(_: &str, _: &Path, _: Option<&ModelServerSpec>, _: &SizeArgs) -> Result<Value, ModelError> {
    Err(ModelError::NotBuilt { what: "superstep models size".to_owned() })
}

/// A number for the eye, in steps of a thousand.
fn rounded(number: u64, unit: &str) -> String {
    let steps = [(1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    match steps.into_iter().find(|(step, _)| number >= *step) {
        #[expect(clippy::cast_precision_loss, reason = "it is rounded to one digit")]
        Some((step, prefix)) => format!("{:.1} {prefix}{unit}", number as f64 / step as f64),
        None => format!("{number} {unit}").trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::rounded;

    #[test]
    fn numbers_are_rounded_for_the_eye() {
        let table =
            [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (98_362_432, "98.4 MB"), (7 << 40, "7696.6 GB")];
        for (number, expected) in table {
            assert_eq!(rounded(number, "B"), expected);
        }
        assert_eq!((rounded(12, ""), rounded(134_515_008, "")), ("12".to_owned(), "134.5 M".to_owned()));
    }
}
