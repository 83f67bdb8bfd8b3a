//! `tail -f` for any number of TCP clients.
//!
//! ```sh
//! cargo run --example cookbook_log_tail -- /var/log/syslog 127.0.0.1:7000
//! nc 127.0.0.1 7000
//! ```
//!
//! A quiet log writes nothing, so no write can fail: the monitor ends the task.

use hangup::{MonitoredListener, MonitoredStream};
use std::time::Duration;
use std::{env, io};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> io::Result<()> {
    let mut arguments = env::args().skip(1);
    let log = arguments.next().unwrap_or("/var/log/syslog".into());
    let address = arguments.next().unwrap_or("127.0.0.1:7000".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, client) = listener.accept_retrying().await;
        let log = log.clone();
        tokio::spawn(async move {
            let monitor = stream.monitor();
            // Ends with the client, with the file's error, and in no other way.
            if let Err(end) = monitor.run_io(tail(&log, stream)).await {
                println!(
                    "{client}: stopped: {end}, {} bytes sent",
                    monitor.accepted()
                );
            }
        });
    }
}

/// Sends what is appended to the file from now on.
async fn tail(log: &str, mut stream: MonitoredStream<TcpStream>) -> io::Result<()> {
    let mut file = File::open(log).await?;
    file.seek(io::SeekFrom::End(0)).await?;
    stream.write_all(b"following the log\n").await?;
    let mut block = vec![0; 16384];
    loop {
        match file.read(&mut block).await? {
            0 => tokio::time::sleep(Duration::from_millis(250)).await,
            read => stream.write_all(&block[..read]).await?,
        }
    }
}
