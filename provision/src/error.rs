//! Why a run cannot have what it needs.

use superstep_store::RunName;

use crate::models::ModelError;
use crate::tools::ToolsError;

/// Why a run cannot have what it needs.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// A model cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A tool cannot be used.
    #[error(transparent)]
    Tools(#[from] ToolsError),
    /// What the log of a run says of its models is not understood.
    #[error("the log of run \"{run}\" has a list of models that this version cannot read: {source}")]
    Attachment {
        /// The run.
        run: RunName,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}
