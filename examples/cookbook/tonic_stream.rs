//! tonic: a stream of messages that ends with its client.
//!
//! ```sh
//! cargo run -p hangup-cookbook --bin tonic_stream -- '[::1]:50051'
//! grpcurl -plaintext -proto health.proto '[::1]:50051' grpc.health.v1.Health/Watch
//! ```
//!
//! The service is gRPC's health check, whose trait is generated already. Its producer stops when the client cancels the
//! call, and when its connection ends.

use hangup::MonitoredListener;
use hangup::http::{ProducerStream, producer};
use hangup::tonic::{Incoming, monitor};
use std::time::Duration;
use std::{env, error::Error};
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

const SERVING: HealthCheckResponse = HealthCheckResponse { status: 1 };

struct Healthy;

#[tonic::async_trait]
impl Health for Healthy {
    type WatchStream = ProducerStream<Result<HealthCheckResponse, Status>>;

    async fn check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        Ok(Response::new(SERVING))
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let monitor = monitor(&request).ok_or(Status::internal("not monitored"))?;
        let (mut producer, stream) = producer(&monitor, 1);
        println!("at work");
        tokio::spawn(async move {
            while producer.send(Ok(SERVING)).await.is_ok() {
                // The next message is far away; the client's end may be near.
                let _ = tokio::time::timeout(Duration::from_secs(60), producer.gone()).await;
            }
            println!("stopped: {}", producer.gone().await);
        });
        Ok(Response::new(stream))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = env::args().nth(1).unwrap_or("[::1]:50051".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    let service = HealthServer::new(Healthy);
    let incoming = Incoming::from(listener);
    Server::builder()
        .add_service(service)
        .serve_with_incoming(incoming)
        .await?;
    Ok(())
}
