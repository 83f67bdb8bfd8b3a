//! tokio-postgres: a long query that tells at once when, and why, its server is gone.
//!
//! ```sh
//! cargo run -p hangup-cookbook --bin tokio_postgres -- 127.0.0.1:5432 "user=postgres" "SELECT pg_sleep(3600)"
//! ```
//!
//! The client's own error says that the connection is closed. The monitor says by what.

use hangup::{Monitor, MonitorConfig, MonitoredStream};
use std::env;
use std::error::Error;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_postgres::error::{DbError, Severity};
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

/// A connection, and the monitor of its stream.
async fn connect(server: &str, config: &Config) -> Result<(Client, Monitor), Box<dyn Error>> {
    // A server that loses power sends nothing: the system's timers detect it.
    let watch = MonitorConfig::new().dead_peer_timeout(Duration::from_secs(30));
    let tcp = TcpStream::connect(server).await?;
    let stream = MonitoredStream::with_config(tcp, &watch)?;
    let monitor = stream.monitor();
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    Ok((client, monitor))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let server = arguments.next().unwrap_or("127.0.0.1:5432".into());
    let config = arguments.next().unwrap_or("user=postgres".into()).parse()?;
    let query = arguments.next().unwrap_or("SELECT pg_sleep(3600)".into());
    loop {
        let (client, monitor) = connect(&server, &config).await?;
        println!("connected");
        match client.simple_query(&query).await {
            Ok(answer) => {
                let rows = answer.iter();
                let rows = rows.filter(|part| matches!(part, SimpleQueryMessage::Row(_)));
                println!("{} rows", rows.count());
                return Ok(());
            }
            Err(error) => {
                let severity = error.as_db_error().map(DbError::parsed_severity);
                if severity == Some(Some(Severity::Error)) {
                    // The server refuses the query, and stays. FATAL and PANIC end the session.
                    return Err(error.into());
                }
                println!(
                    "stopped: {}; the client says: {error}",
                    monitor.closed().await
                );
            }
        }
    }
}
