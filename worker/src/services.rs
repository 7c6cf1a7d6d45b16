//! The services of a worker, each behind its gate.

use superstep_proto::v1::coordination_server::CoordinationServer;
use superstep_proto::v1::messages_server::MessagesServer;
use superstep_proto::v1::runs_server::RunsServer;
use superstep_transport::{Gate, Listener, Security, accept};
use tokio::task::JoinHandle;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Server;

use crate::leader::{Attendance, AttendanceService};
use crate::limits::{
    CONNECTION_WINDOW, KEEPALIVE, KEEPALIVE_ANSWER, MESSAGE, REQUESTS, STREAM_WINDOW, STREAMS,
};
use crate::peer::{Exchange, Peer};
use crate::runs::RunsService;

/// Serves what comes to a listener, until the task is aborted.
///
/// # Errors
/// The services cannot describe themselves.
pub(crate) fn serve(
    listener: Listener,
    security: &Security,
    attendance: Attendance,
    peer: Peer,
    runs: RunsService,
) -> Result<JoinHandle<()>, tonic_reflection::server::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(superstep_proto::DESCRIPTOR)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let attendance = AttendanceService::new(attendance, Gate::for_workers(security));
    let coordination = CoordinationServer::new(attendance)
        .max_decoding_message_size(MESSAGE)
        .max_encoding_message_size(MESSAGE);
    let messages = MessagesServer::new(Exchange::new(peer))
        .max_decoding_message_size(MESSAGE)
        .max_encoding_message_size(MESSAGE);
    let runs = RunsServer::new(runs).max_decoding_message_size(MESSAGE).max_encoding_message_size(MESSAGE);
    let (workers, everybody) = (Gate::for_workers(security), Gate::for_workers_and_clients(security));
    let server = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_ANSWER))
        .max_concurrent_streams(STREAMS)
        .initial_stream_window_size(Some(STREAM_WINDOW))
        .initial_connection_window_size(Some(CONNECTION_WINDOW))
        .concurrency_limit_per_connection(REQUESTS)
        .add_service(InterceptedService::new(health_service, everybody.clone()))
        .add_service(InterceptedService::new(reflection, everybody.clone()))
        .add_service(InterceptedService::new(coordination, workers.clone()))
        .add_service(InterceptedService::new(messages, workers))
        .add_service(InterceptedService::new(runs, everybody));
    let connections = accept(listener, security.clone());
    Ok(tokio::spawn(async move {
        health.set_serving::<RunsServer<RunsService>>().await;
        if let Err(error) = server.serve_with_incoming(connections).await {
            tracing::error!(%error, "the services have stopped");
        }
    }))
}
