//! `superstep serve`.

use superstep_serving::{ServeArguments, ServeError};
use tokio::runtime::Runtime;

use crate::exit::{CommandError, Exit};
use crate::log::say;
use crate::report::show;

pub(crate) const EXAMPLES: &str = "\
Examples:
  superstep serve -m model.gguf
  superstep serve -m hf:OWNER/NAME/model.Q4_K_M.gguf@main --name small --context-length 8192
  superstep serve -f models.yaml --name small --listen 127.0.0.1:8000

The API is at /v1: chat completions, responses, embeddings, rankings and the list of models. What it keeps to, and
what it refuses, is in docs/serving.md. The command ends with a signal, after it has answered what was asked until then.";

/// Serves a model until a signal comes.
///
/// # Errors
/// The model cannot be served.
pub(crate) fn serve(arguments: &ServeArguments) -> Result<Exit, CommandError> {
    match Runtime::new()?.block_on(superstep_serving::serve(arguments.clone(), &say)) {
        Ok(()) => Ok(Exit::Success),
        Err(ServeError::Mistakes(mistakes)) => Err(CommandError::Mistakes { errors: show(&mistakes) }),
        Err(error) => Err(CommandError::Serve(error)),
    }
}
