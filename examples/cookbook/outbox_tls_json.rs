//! JSON messages over TLS that survive the loss of their connection.
//!
//! ```sh
//! cargo run --features json --example cookbook_outbox_tls_json -- 127.0.0.1:8443 certificate.der
//! ```
//!
//! The server answers each line with `ok` and the reading's number.

use hangup::MonitoredStream;
use hangup::outbox::{Backoff, Confirm, Json, JsonLines, Outbox, Processed};
use hangup::tls::tokio_rustls::rustls::crypto::ring::default_provider;
use hangup::tls::tokio_rustls::rustls::{ClientConfig, RootCertStore};
use hangup::tls::{self, tokio_rustls::TlsConnector};
use serde::Serialize;
use std::{env, error::Error, fs, io, sync::Arc, time::Duration};
use tokio::net::TcpStream;
use tokio_util::codec::LinesCodec;

#[derive(Serialize)]
struct Reading {
    number: u64,
    celsius: f64,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let server = arguments.next().unwrap_or("127.0.0.1:8443".into());
    let certificate = arguments.next().unwrap_or("certificate.der".into());
    let mut roots = RootCertStore::empty();
    let read = fs::read(&certificate).map_err(|error| format!("{certificate}: {error}"))?;
    roots.add(read.into())?;
    let config = ClientConfig::builder_with_provider(default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = TlsConnector::from(Arc::new(config));

    let connect = move || {
        let (tls, server) = (tls.clone(), server.clone());
        async move {
            let tcp = MonitoredStream::<TcpStream>::connect(server).await?;
            let monitor = tcp.monitor();
            let name = "localhost".try_into().map_err(io::Error::other)?;
            let stream = tls::connect(&tls, name, tcp).await?;
            println!("connected");
            tokio::spawn(async move { println!("stopped: {}", monitor.closed().await) });
            Ok(stream)
        }
    };
    let number = |reading: &Json<Reading>| reading.number;
    let reply = |line: String| Some(Processed::One(line.strip_prefix("ok ")?.parse().ok()?));
    let outbox = Outbox::builder(connect, JsonLines::new)
        .confirm(Confirm::by_peer(
            number,
            || LinesCodec::new_with_max_length(80),
            reply,
        ))
        .backoff(Backoff::exponential(
            Duration::from_millis(50),
            Duration::from_secs(5),
        )?)
        .spawn()?;
    for number in 1..=3 {
        let receipt = outbox
            .send(Json::new(Reading {
                number,
                celsius: 21.5,
            })?)
            .await?;
        receipt.await?;
        println!("confirmed {number}");
    }
    outbox.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
