//! The client, played: it reads some tokens of each server's answer, and leaves.

use crate::options::Generator;
use crate::serve;
use std::io::ErrorKind;
use std::net::SocketAddr;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// How many tokens the client reads before it leaves.
const READ: u32 = 10;

pub(crate) async fn drive(generator: Generator) -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "a client asks for {} tokens, reads {READ}, and leaves",
        generator.tokens
    );
    let mut rows = Vec::new();
    for naive in [false, true] {
        let generator = Generator { naive, ..generator };
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let (address, mut outcomes) = serve(listen, generator).await?;
        read(address, READ.min(generator.tokens)).await?;
        let outcome = outcomes.recv().await.ok_or("the server has ended")?;
        println!("{outcome}");
        rows.push((if naive { "naive" } else { "hangup" }, outcome));
    }
    println!(
        "\n{:<8}{:>8}{:>8}{:>12}{:>12}",
        "", "made", "taken", "for nobody", "computed"
    );
    for (name, outcome) in rows {
        println!(
            "{name:<8}{:>8}{:>8}{:>12}{:>10.2} s",
            outcome.made,
            outcome.taken,
            outcome.for_nobody,
            outcome.computed.as_secs_f64()
        );
    }
    Ok(())
}

/// Reads so many tokens of an answer, and leaves.
async fn read(address: SocketAddr, tokens: u32) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /tokens HTTP/1.1\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut lines = BufReader::new(stream).lines();
    let mut read = 0;
    while read < tokens {
        let line = lines.next_line().await?.ok_or(ErrorKind::UnexpectedEof)?;
        read += u32::from(line.starts_with("data:"));
    }
    Ok(())
}
