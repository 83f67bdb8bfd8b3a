//! `--drive`: a client that reads some tokens of each server's answer, and leaves.

use crate::{Args, serve};
use anyhow::Context;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How many tokens the client reads before it leaves.
const READ: u32 = 10;

pub(crate) async fn drive(args: Args) -> anyhow::Result<()> {
    let Args { tokens, work, .. } = args;
    say!(
        "A client asks for {tokens} tokens, {work} ms of computing each. It reads {READ}, and leaves."
    );
    say!(
        "\n{:<16}{:>12}{:>12}{:>12}",
        "",
        "made",
        "for nobody",
        "computed"
    );
    for (name, naive) in [("with hangup", false), ("without", true)] {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let args = Args {
            listen,
            naive,
            ..args
        };
        let (address, mut answers) = serve(args).await?;
        leave_early(address, READ.min(tokens)).await?;
        let answer = answers.recv().await.context("the server has ended")?;
        let computed = answer.computed.as_secs_f64();
        say!(
            "{name:<16}{:>12}{:>12}{computed:>10.2} s",
            answer.made,
            answer.for_nobody
        );
    }
    Ok(())
}

/// Asks, reads so many tokens, and closes the connection.
async fn leave_early(address: SocketAddr, tokens: u32) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /tokens HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut read = 0;
    while read < tokens {
        let line = lines.next_line().await?.context("the answer ended early")?;
        read += u32::from(line.starts_with("data:"));
    }
    Ok(())
}
