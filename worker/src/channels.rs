//! Connections to other workers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use superstep_proto::v1::coordination_client::CoordinationClient;
use superstep_proto::v1::messages_client::MessagesClient;
use superstep_proto::v1::runs_client::RunsClient;
use tonic::transport::{Channel, Endpoint};

use crate::limits::{CONNECT, KEEPALIVE, KEEPALIVE_ANSWER, MESSAGE};

/// A connection cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot reach {address}")]
pub struct ChannelError {
    /// Where.
    pub address: String,
    /// Why.
    pub source: tonic::transport::Error,
}

/// Connections by address, each made when it is wanted first. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Channels {
    open: Arc<Mutex<HashMap<String, Channel>>>,
}

impl Channels {
    /// A connection to `address`, which is made when it is used and made anew when it was lost.
    ///
    /// # Errors
    /// The address is none.
    pub fn to(&self, address: &str) -> Result<Channel, ChannelError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = open.get(address) {
            return Ok(channel.clone());
        }
        let channel = endpoint(address)?.connect_lazy();
        open.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Where a leader is attended to.
    ///
    /// # Errors
    /// The address is none.
    pub fn coordination(&self, address: &str) -> Result<CoordinationClient<Channel>, ChannelError> {
        let client = CoordinationClient::new(self.to(address)?);
        Ok(client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE))
    }

    /// Where a worker takes messages.
    ///
    /// # Errors
    /// The address is none.
    pub fn messages(&self, address: &str) -> Result<MessagesClient<Channel>, ChannelError> {
        let client = MessagesClient::new(self.to(address)?);
        Ok(client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE))
    }

    /// Where runs are asked about.
    ///
    /// # Errors
    /// The address is none.
    pub fn runs(&self, address: &str) -> Result<RunsClient<Channel>, ChannelError> {
        let client = RunsClient::new(self.to(address)?);
        Ok(client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE))
    }
}

fn endpoint(address: &str) -> Result<Endpoint, ChannelError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|source| ChannelError { address: address.to_owned(), source })?;
    Ok(endpoint
        .connect_timeout(CONNECT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE_ANSWER)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true))
}
