//! An endless stream of lines over HTTPS, and how each client ended it.
//!
//! ```sh
//! cargo run --release --example tls_server
//! ```
//!
//! Connect with the commands that it prints. End curl with Ctrl-C, end openssl with Ctrl-D, or kill either:
//! each way of leaving has its own reason.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "program/print.rs"]
mod print;
#[path = "program/accept_errors.rs"]
mod accept_errors;

use anyhow::Context;
use clap::Parser;
use hangup::tls::tokio_rustls::TlsAcceptor;
use hangup::tls::tokio_rustls::rustls::{ServerConfig, crypto::ring};
use hangup::tls::{FailedHandshake, ServerStream, TlsListener};
use hangup::{CloseReason, MonitorConfig, MonitoredListener, StallPolicy};
use indicatif::HumanCount;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc::channel;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, timeout};

/// Sends lines over HTTPS until the client leaves, and prints how it left.
///
/// The certificate is made at the start, signed by nobody, and valid for localhost and 127.0.0.1.
///
/// Prints one line when a client's handshake is done, and one when its stream has closed:
///
///   closed by peer       close_notify, then FIN: the orderly end
///   truncated            FIN without close_notify: the client was killed
///   reset by peer        the client was killed with bytes of ours unread
///   TLS alert from peer  the client refused the certificate, or could not read a record
///   TLS failed           the client did not speak TLS
///   timed out            no handshake in time
#[derive(Parser, Clone, Copy)]
#[command(verbatim_doc_comment)]
struct Args {
    /// The address to listen on; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Send one line every MS milliseconds; 0 is as fast as the client reads
    #[arg(long, value_name = "MS", default_value_t = 1000)]
    every: u64,
    /// How long a handshake may take, and the head of the request after it
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..))]
    handshake: u64,
    /// How many handshakes may be under way at the same time
    #[arg(long, value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u32).range(1..))]
    handshakes: u32,
    /// End after N clients, counting those whose handshake fails. By default it runs until it is stopped
    #[arg(long, value_name = "N", default_value_t = u64::MAX, hide_default_value = true)]
    clients: u64,
}

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\nconnection: close\r\n\r\n";

/// The longest head of a request that is read.
const LONGEST_REQUEST: usize = 16 * 1024;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let config = MonitorConfig::new()
        // This server reads whenever it does not write, so it knows the reason of a FIN within this time.
        .fin_delay(Duration::from_millis(100))
        .stall(StallPolicy::new(1, Duration::from_secs(60)));
    let listener = MonitoredListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?
        .config(config)
        .on_accept_error(accept_errors::print_changes());
    let address = listener.local_addr()?;
    say!("listening on {address}; try:");
    say!("  curl --insecure --no-buffer https://{address}/");
    say!(
        "  (printf 'GET / HTTP/1.1\\r\\n\\r\\n'; cat) | openssl s_client -quiet -no_ign_eof -connect {address}"
    );

    // Bounded: under a flood some lines are missing, and memory does not grow.
    let (failure, mut failures) = channel(1024);
    let mut listener = TlsListener::new(listener, acceptor()?)
        .handshake_timeout(Duration::from_secs(args.handshake))
        .max_handshakes(args.handshakes as usize)
        .on_failed_handshake(move |failed| drop(failure.try_send(failed)));
    let mut clients = JoinSet::new();
    for _ in 0..args.clients {
        tokio::select! {
            (stream, client) = listener.accept_retrying() => {
                clients.spawn(serve(stream, client, args));
            }
            Some(failed) = failures.recv() => {
                let FailedHandshake { peer, error, reason, .. } = failed;
                say!("{peer}: no handshake: {error}; {reason}");
            }
        }
        // The set keeps a finished task until it is joined.
        while clients.try_join_next().is_some() {}
    }
    clients.join_all().await;
    Ok(())
}

/// A server's side of TLS, with a certificate that is signed by nobody.
fn acceptor() -> anyhow::Result<TlsAcceptor> {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names)?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], made.signing_key.into())?;
    Ok(Arc::new(config).into())
}

async fn serve(mut stream: ServerStream, client: SocketAddr, args: Args) {
    let version = stream.get_ref().get_ref().1.protocol_version();
    let version = version.and_then(|version| version.as_str());
    say!(
        "{client}: handshake done, {}",
        version.unwrap_or("unknown version")
    );
    let monitor = stream.monitor();
    let sent = send(&mut stream, args).await;
    // Without a reason yet it is this server that ends the stream: there was no request.
    let reason = match (monitor.close_reason(), sent) {
        (Some(reason), _) => reason,
        (None, Err(error)) => CloseReason::from(&error),
        (None, Ok(())) => CloseReason::PeerClosed,
    };
    let accepted = HumanCount(monitor.accepted());
    say!("{client}: {accepted} bytes accepted, {reason}");
}

/// Reads the head of the request, and sends lines until the client leaves.
async fn send(stream: &mut ServerStream, args: Args) -> io::Result<()> {
    timeout(Duration::from_secs(args.handshake), request(stream)).await??;
    stream.write_all(HEAD.as_bytes()).await?;
    let every = Duration::from_millis(args.every);
    let mut pace = tokio::time::interval(every.max(Duration::from_micros(1)));
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut ignored = [0; 1024];
    for line in 1_u64.. {
        // Between two lines the input is read: the way in which the client leaves may be in it.
        while !every.is_zero() {
            tokio::select! {
                _ = pace.tick() => break,
                read = stream.read(&mut ignored) => if read? == 0 {
                    return Ok(());
                },
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

async fn request(stream: &mut ServerStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > LONGEST_REQUEST {
            return Err(ErrorKind::InvalidData.into());
        }
    }
    Ok(())
}
