//! Batches as they go over the wire: encoded once, however often they are sent.

use bytes::{BufMut as _, Bytes};
use futures::Stream;
use prost::Message as _;
use superstep_proto::v1;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{IntoStreamingRequest as _, Status, Streaming};

use crate::limits::MESSAGE;

/// An encoded batch. Clones share it.
#[derive(Clone)]
pub(super) struct Encoded(Bytes);

impl Encoded {
    /// How many bytes it has, which is what it takes of the credit.
    pub(super) fn size(&self) -> i64 {
        i64::try_from(self.0.len()).unwrap_or(i64::MAX)
    }
}

impl From<&v1::Batch> for Encoded {
    fn from(batch: &v1::Batch) -> Self {
        Self(batch.encode_to_vec().into())
    }
}

impl From<&Encoded> for v1::Batch {
    fn from(Encoded(bytes): &Encoded) -> Self {
        Self::decode(bytes.clone()).expect("it was encoded from a batch")
    }
}

/// Opens the stream of [`Messages`](v1::messages_server::Messages) that takes these batches.
///
/// # Errors
/// The worker does not take them.
pub(super) async fn exchange(
    channel: Channel,
    batches: impl Stream<Item = Encoded> + Send + 'static,
) -> Result<Streaming<v1::Credit>, Status> {
    let client = Grpc::new(channel);
    let mut client = client.max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE);
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let path = PathAndQuery::from_static("/superstep.v1.Messages/Exchange");
    Ok(client.streaming(batches.into_streaming_request(), path, AsItIs).await?.into_inner())
}

/// Sends batches as they are, and reads credit.
struct AsItIs;

impl Codec for AsItIs {
    type Encode = Encoded;
    type Decode = v1::Credit;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for AsItIs {
    type Item = Encoded;
    type Error = Status;

    fn encode(&mut self, Encoded(bytes): Encoded, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(bytes);
        Ok(())
    }
}

impl Decoder for AsItIs {
    type Item = v1::Credit;
    type Error = Status;

    fn decode(&mut self, read: &mut DecodeBuf<'_>) -> Result<Option<v1::Credit>, Status> {
        let credit = v1::Credit::decode(read);
        credit.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
