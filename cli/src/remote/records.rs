//! What is recorded of a run on a cluster.

use superstep_engine::Record;
use superstep_proto::v1;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_store::RunName;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use super::Remote;
use super::reach::runtime;
use crate::args::cluster::Trust;
use crate::exit::CommandError;

/// The version of records that this command can read.
const FORMAT: u16 = <Record as superstep_store::Record>::FORMAT;

/// All that is recorded of a run at the moment.
///
/// # Errors
/// There is no such run, nobody can be reached, or what is told is of a newer version.
pub(crate) fn records(run: &RunName, (url, trust): (&str, &Trust)) -> Result<Vec<Record>, CommandError> {
    runtime()?.block_on(async {
        let mut remote = Remote::new(url, trust)?;
        remote.learn().await;
        let request = v1::RecordsRequest { run: run.to_string() };
        // When a worker goes away in the middle, another one begins anew.
        let told = remote.ask(async |mut client: RunsClient<Channel>| {
            all(client.records(request.clone()).await?.into_inner()).await
        });
        let told = told.await?;
        Ok(superstep_wire::records_of(told, FORMAT).map_err(|source| remote.strange(source))?)
    })
}

/// A whole stream.
async fn all(mut messages: Streaming<v1::RecordsResponse>) -> Result<Vec<v1::RecordsResponse>, Status> {
    let mut all = Vec::new();
    while let Some(message) = messages.message().await? {
        all.push(message);
    }
    Ok(all)
}
