//! From documents to what a run needs: models fetched and loaded, tools made, programs put together.
//!
//! [`read_files`] and [`read_documents`] make a [`ResourceSet`](superstep_api::ResourceSet) of documents, with every
//! check that can be made before a run; [`write_documents`] gives documents that need no file and no variable of this
//! machine any more. [`RunPlan`] is what a new run of a graph needs; [`RunPlan::provide`] loads it. A process that
//! takes a run over from its log has [`programs_of`] of its first record, a worker, which has some of its vertices,
//! [`worker_programs_of`], and one that only looks at it [`not_loaded`]. Nothing here prints: what a download says goes to [`Downloads`].

mod causes;
mod error;
mod manifests;
mod models;
mod plan;
mod programs;
mod reachable;
mod started;
mod tools;

pub use causes::with_causes;
pub use error::ProvisionError;
pub use manifests::{Manifests, read_documents, read_files, write_documents};
pub use models::{
    CacheUse, Cached, Downloads, FetchError, HubFile, ModelCache, ModelError, ModelPlan, Quiet, Search,
    Served, digest, load_server,
};
#[cfg(feature = "inference")]
pub use models::{converted_folder, load_options, sentence_model, sentence_options};
pub use plan::{Provided, RunPlan};
pub use started::{not_loaded, plan_of, programs_of, worker_programs_of};
pub use tools::ToolsError;
