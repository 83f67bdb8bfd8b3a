//! One task reads requests while another one writes, over the two halves of one stream.
//!
//! ```sh
//! cargo run --example cookbook_split_halves
//! nc 127.0.0.1 7000
//! ```
//!
//! Both halves share one monitor. The drop of the write half shuts the connection down, as tokio's does.

use hangup::{MonitoredListener, MonitoredStream};
use std::time::Duration;
use std::{env, io};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

#[tokio::main]
async fn main() -> io::Result<()> {
    let address = env::args().nth(1).unwrap_or("127.0.0.1:7000".into());
    let listener = MonitoredListener::bind(address).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, client) = listener.accept_retrying().await;
        tokio::spawn(async move {
            let monitor = stream.monitor();
            // The client's FIN ends both halves, also while the reader is slow.
            if let Err(reason) = monitor.run_until_closed(answer(stream)).await {
                println!("{client}: stopped: {reason}");
            }
        });
    }
}

async fn answer(stream: MonitoredStream<TcpStream>) {
    let (read, mut write) = stream.into_split();
    let monitor = write.monitor();
    let (queue, mut answers) = mpsc::channel::<String>(16);
    let writer = tokio::spawn(async move {
        write.write_all(b"ready\n").await?;
        while let Some(answer) = answers.recv().await {
            write.write_all(answer.as_bytes()).await?;
        }
        io::Result::Ok(())
    });
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        // In the place of the work for a request.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let _ = queue.send(format!("{line}: done\n")).await;
    }
    drop(queue);
    let _ = writer.await;
    monitor.closed().await;
}
