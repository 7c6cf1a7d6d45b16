//! Connections to other workers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use superstep_proto::v1::coordination_client::CoordinationClient;
use superstep_proto::v1::runs_client::RunsClient;
use superstep_transport::{AddressError, Security, channel};
use tonic::transport::Channel;

use crate::limits::MESSAGE;

/// Connections by address, each made when it is wanted first. Clones share them.
#[derive(Clone)]
pub struct Channels {
    security: Security,
    open: Arc<Mutex<HashMap<String, Channel>>>,
}

impl Channels {
    /// None yet.
    #[must_use]
    pub fn new(security: Security) -> Self {
        Self { security, open: Arc::default() }
    }

    /// A connection to `address`, which is made when it is used and made anew when it was lost.
    ///
    /// # Errors
    /// The address is none, or does not fit the security.
    pub fn to(&self, address: &str) -> Result<Channel, AddressError> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(channel) = open.get(address) {
            return Ok(channel.clone());
        }
        let channel = channel(address, &self.security, None)?;
        open.insert(address.to_owned(), channel.clone());
        Ok(channel)
    }

    /// Where a leader is attended to.
    ///
    /// # Errors
    /// The address is none, or does not fit the security.
    pub fn coordination(&self, address: &str) -> Result<CoordinationClient<Channel>, AddressError> {
        let client = CoordinationClient::new(self.to(address)?);
        Ok(client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE))
    }

    /// Where runs are asked about.
    ///
    /// # Errors
    /// The address is none, or does not fit the security.
    pub fn runs(&self, address: &str) -> Result<RunsClient<Channel>, AddressError> {
        let client = RunsClient::new(self.to(address)?);
        Ok(client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE))
    }
}
