//! `superstep-worker serve`: a model in a pod of its own.

use std::process::ExitCode;

use anyhow::Result;
use superstep_serving::{ServeArguments, ServeError};

pub(crate) const EXAMPLES: &str = "\
Examples:
  superstep-worker serve --file /etc/superstep/model/model.yaml --listen 0.0.0.0:8000
  superstep-worker serve --model /models/model.gguf --name small --listen 0.0.0.0:8000

The API is at /v1. /livez tells whether the process lives, /readyz whether the model has made a first token, and
/metrics how much is asked. The exit code is 2 if the arguments or the files are wrong.";

/// Serves a model until a signal comes.
///
/// # Errors
/// The model cannot be served.
pub(crate) async fn serve(arguments: ServeArguments) -> Result<ExitCode> {
    match superstep_serving::serve(arguments, &|text| tracing::info!("{text}")).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) if error.is_invalid() => {
            if let ServeError::Mistakes(mistakes) = &error {
                mistakes.iter().for_each(|mistake| tracing::error!("{mistake}"));
            }
            tracing::error!("{error}");
            Ok(ExitCode::from(2))
        }
        Err(error) => Err(error.into()),
    }
}
