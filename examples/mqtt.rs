//! Publishes lines to an MQTT broker, through lost links and restarts of the broker.
//!
//! ```sh
//! vmstat 1 | cargo run --release --example mqtt -- --topic robots/7/load
//! ```
//!
//! The outbox does what MQTT leaves to the client: it keeps each message until its PUBACK has come, and publishes the
//! unconfirmed ones again on the next connection, in order.

#![warn(clippy::print_stdout, clippy::print_stderr)]

#[macro_use]
#[path = "program/print.rs"]
mod print;
#[path = "program/signals.rs"]
mod signals;

use anyhow::ensure;
use bytes::BytesMut;
use clap::Parser;
use hangup::outbox::{Confirm, Envelope, Link, Message, Outbox, OutboxStatus, Processed};
use rumqttc::mqttbytes::v4::{Codec, ConnAck, Connect, ConnectReturnCode, Packet, Publish};
use rumqttc::mqttbytes::{Error, QoS};
use signals::Signals;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio_util::codec::{Decoder, Encoder};

/// Publishes each line of standard input to an MQTT 3.1.1 broker, with QoS 1.
///
/// A line arrives at least once, and in order, whatever happens to the link and to the broker meanwhile. Lines wait in
/// memory until the broker confirms them: at most 16 MiB, then standard input is not read further. At the end of the
/// input, and at Ctrl-C or SIGTERM, the program waits up to 60 s for the last confirmations, or until the next signal.
/// The exit status is 0 if the broker has confirmed every line.
///
/// Standard error shows the state of the link.
#[derive(Parser, Clone)]
struct Options {
    /// The address of the broker
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883")]
    broker: String,
    /// The topic to publish to
    #[arg(long, default_value = "hangup/lines")]
    topic: String,
    /// The name of the session: one that no other client of the broker has
    #[arg(long, value_name = "ID", default_value = "hangup-lines")]
    client_id: String,
    /// How many lines may be unconfirmed at a time
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u16).range(1..))]
    in_flight: u16,
}

/// A line, and the packet identifier that it has in every attempt.
#[derive(Clone)]
struct Line {
    packet_id: u16,
    text: String,
}

impl Message for Line {
    fn size(&self) -> usize {
        self.text.len()
    }
}

/// Makes the PUBLISH packets.
struct Publisher {
    topic: String,
}

impl Encoder<Envelope<Line>> for Publisher {
    type Error = Error;

    fn encode(&mut self, envelope: Envelope<Line>, bytes: &mut BytesMut) -> Result<(), Error> {
        let Line { packet_id, text } = envelope.message;
        let mut publish = Publish::new(&self.topic, QoS::AtLeastOnce, text);
        publish.pkid = packet_id;
        publish.dup = envelope.attempt > 1;
        codec().encode(Packet::Publish(publish), bytes)
    }
}

fn codec() -> Codec {
    Codec {
        max_incoming_size: 1024,
        // The largest that MQTT has: section 2.2.3.
        max_outgoing_size: 268_435_455,
    }
}

/// Connects, and introduces the client. The outbox gets the stream behind the CONNACK.
async fn connect(broker: String, client_id: String) -> io::Result<TcpStream> {
    let mut connect = Connect::new(client_id);
    // The broker closes an earlier connection of this session before it answers (section 3.1.4), so nothing that is
    // still on its way there can arrive behind what is published again.
    connect.clean_session = false;
    // No PINGREQ: the outbox's limits end a connection whose broker is gone.
    connect.keep_alive = 0;
    let mut bytes = BytesMut::new();
    let connect = codec().encode(Packet::Connect(connect), &mut bytes);
    connect.map_err(io::Error::other)?;
    let mut stream = TcpStream::connect(broker).await?;
    stream.write_all(&bytes).await?;
    // A CONNACK has four bytes (section 3.2). What follows is for the outbox to read.
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    let answer = codec().decode(&mut BytesMut::from(&answer[..]));
    let refused = match answer.map_err(io::Error::other)? {
        Some(Packet::ConnAck(ConnAck { code, .. })) => code,
        other => return Err(io::Error::other(format!("{other:?} in place of a CONNACK"))),
    };
    let kind = match refused {
        ConnectReturnCode::Success => return Ok(stream),
        ConnectReturnCode::ServiceUnavailable => ErrorKind::ConnectionRefused,
        // Another attempt would be refused too: the outbox gives up.
        _ => ErrorKind::InvalidInput,
    };
    Err(io::Error::new(
        kind,
        format!("the broker refuses: {refused:?}"),
    ))
}

/// What the broker confirms.
fn meaning(packet: Packet) -> Option<Processed> {
    match packet {
        Packet::PubAck(ack) => Some(Processed::One(ack.pkid.into())),
        _ => None,
    }
}

/// Shows the state of the link, until the outbox has ended.
async fn show(mut states: watch::Receiver<OutboxStatus>) {
    let mut shown = None;
    while states.changed().await.is_ok() {
        let link = states.borrow_and_update().link.clone();
        if shown.as_ref() == Some(&link) {
            continue;
        }
        match &link {
            Link::Connected => note!("connected"),
            Link::Retrying { reason, .. } => note!("not connected: {reason}"),
            Link::GaveUp(why) => note!("gave up: {why}"),
            _ => {}
        }
        shown = Some(link);
    }
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(publish(options));
    // After a signal a thread still waits for standard input, and the drop of the runtime would wait for it.
    runtime.shutdown_background();
    done
}

async fn publish(options: Options) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let (topic, in_flight) = (options.topic, options.in_flight);
    let outbox = Outbox::builder_with_envelope(
        move || connect(options.broker.clone(), options.client_id.clone()),
        move || Publisher {
            topic: topic.clone(),
        },
    )
    .confirm(Confirm::by_peer(
        |line: &Line| line.packet_id.into(),
        codec,
        meaning,
    ))
    .in_flight(in_flight.into())
    .ack_timeout(Duration::from_secs(10))
    .spawn()?;
    tokio::spawn(show(outbox.subscribe()));
    tokio::select! {
        sent = send_lines(&outbox) => sent?,
        () = signals.next() => {}
    }
    let report = tokio::select! {
        report = outbox.shutdown(Duration::from_secs(60)) => report,
        () = signals.next() => outbox.shutdown(Duration::ZERO).await,
    };
    let status = outbox.status();
    say!(
        "{} lines confirmed, {} published again; {} attempts to connect",
        status.delivered,
        status.resent,
        status.connects
    );
    let left = report.undelivered().len();
    ensure!(left == 0, "{left} lines are not confirmed");
    Ok(())
}

/// Sends each line of standard input, until its end.
async fn send_lines(outbox: &Outbox<Line>) -> anyhow::Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut packet_id = 0;
    while let Some(text) = lines.next_line().await? {
        // From 1 to 65 535, and again: far more than are unconfirmed at a time.
        packet_id = packet_id % u16::MAX + 1;
        drop(outbox.send(Line { packet_id, text }).await?);
    }
    Ok(())
}
