//! A stream without an end over HTTPS, and the five ways of leaving it.
//!
//! ```sh
//! cargo run --release --features tls --example tls_server
//! ```
//!
//! Connect with the commands that it prints. Leave curl with Ctrl-C, and openssl by the end of its input
//! (Ctrl-D), or kill either: each way has its own reason.

mod certificate;
mod options;

use hangup::tls::{FailedHandshake, ServerStream, TlsListener};
use hangup::{CloseReason, MonitorConfig, MonitoredListener};
use indicatif::HumanCount;
use options::{HELP, Options};
use std::error::Error;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n";

/// Longer than any head of a client that is meant well.
const LONGEST_REQUEST: usize = 16 * 1024;

/// Reads the head of the request, and what came with it.
async fn request(stream: &mut ServerStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > LONGEST_REQUEST {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}

/// Sends lines until the client leaves.
async fn send(stream: &mut ServerStream, every: Duration) -> io::Result<()> {
    request(stream).await?;
    stream.write_all(HEAD.as_bytes()).await?;
    let mut pace = tokio::time::interval(every.max(Duration::from_micros(1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ignored = [0; 1024];
    for line in 1_u64.. {
        // While nothing is sent, what the client says is read: it may be how it leaves.
        if !every.is_zero() {
            loop {
                tokio::select! {
                    _ = pace.tick() => break,
                    said = stream.read(&mut ignored) => if said? == 0 {
                        return Ok(());
                    },
                }
            }
        }
        stream
            .write_all(format!("line {line}\n").as_bytes())
            .await?;
        if !every.is_zero() {
            stream.flush().await?;
        }
    }
    Ok(())
}

async fn serve(mut stream: ServerStream, client: SocketAddr, every: Duration) -> io::Result<()> {
    let version = stream.get_ref().get_ref().1.protocol_version();
    let version = version.and_then(|version| version.as_str());
    writeln!(
        io::stdout(),
        "{client}: handshake done, {}",
        version.unwrap_or("of an unknown version")
    )?;
    let monitor = stream.monitor();
    let sent = send(&mut stream, every).await;
    // Without a reason yet it is we who end it: the request was none.
    let reason = match (monitor.close_reason(), sent) {
        (Some(reason), _) => reason,
        (None, Err(error)) => CloseReason::from(&error),
        (None, Ok(())) => CloseReason::PeerClosed,
    };
    writeln!(
        io::stdout(),
        "{client}: {} bytes accepted, {reason}",
        HumanCount(monitor.accepted())
    )
}

/// Serves as many clients as the options say, those whose handshake fails among them.
async fn listen(options: Options) -> Result<(), Box<dyn Error>> {
    // This server reads whenever it does not write, so it never waits that long to know why a client left.
    let config = MonitorConfig::new().fin_delay(Duration::from_millis(100));
    let listener = MonitoredListener::bind(options.listen)
        .await
        .map_err(|error| format!("--listen {}: {error}", options.listen))?
        .config(config);
    let address = listener.local_addr()?;
    println!("listening on {address}; try:");
    println!("  curl --insecure --no-buffer https://{address}/");
    println!(
        "  (printf 'GET / HTTP/1.1\\r\\n\\r\\n'; cat) | openssl s_client -quiet -no_ign_eof -connect {address}"
    );

    let (tell, mut failures) = unbounded_channel();
    let mut listener = TlsListener::new(listener, certificate::acceptor()?)
        .handshake_timeout(options.handshake)
        .max_handshakes(options.handshakes)
        .on_failed_handshake(move |failed| {
            // There is nobody to tell once the last client is there.
            let _ = tell.send(failed);
        });
    let mut clients = JoinSet::new();
    for _ in 0..options.clients {
        tokio::select! {
            (stream, client) = listener.accept_retrying() => {
                clients.spawn(serve(stream, client, options.every));
            }
            Some(failed) = failures.recv() => {
                let FailedHandshake { peer, error, reason, .. } = failed;
                println!("{peer}: no handshake: {error}; {reason}");
            }
        }
        while clients.try_join_next().is_some() {}
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    let (error, status) = match Options::parse(lexopt::Parser::from_env()) {
        Ok(Some(options)) => match listen(options).await {
            Ok(()) => return ExitCode::SUCCESS,
            Err(error) => (error.to_string(), 1),
        },
        Ok(None) => {
            println!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => (format!("{error}\nTry `tls_server --help`."), 2),
    };
    eprintln!("tls_server: {error}");
    ExitCode::from(status)
}
