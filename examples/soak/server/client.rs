//! A client of HTTP/1.1 that compares each byte with what it asked for.

use super::pages::{CLIENT, CONTENT, LINE, line};
use crate::waiting::within;
use anyhow::{Context, bail, ensure};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::ops::Range;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// The longest line of a head.
const LONGEST_LINE: u64 = 8 << 10;

/// One connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    number: u64,
}

/// The head of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// `None` if the body comes in chunks.
    pub(crate) length: Option<usize>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, number: u64) -> anyhow::Result<Self> {
        let stream = within("a connection", TcpStream::connect(address)).await??;
        Ok(Self {
            stream: BufReader::new(stream),
            number,
        })
    }

    pub(crate) fn socket(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        within("a write", self.stream.write_all(bytes)).await??;
        Ok(())
    }

    pub(crate) async fn shut_down(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Sends the head of a request, with more fields.
    pub(crate) async fn ask(&mut self, request: &str, fields: &str) -> anyhow::Result<()> {
        let number = self.number;
        let head =
            format!("{request} HTTP/1.1\r\nHost: soak\r\n{CLIENT}: {number}\r\n{fields}\r\n");
        self.send(head.as_bytes()).await
    }

    async fn line(&mut self) -> anyhow::Result<String> {
        let mut line = String::new();
        let mut limited = (&mut self.stream).take(LONGEST_LINE);
        within("a line", limited.read_line(&mut line)).await??;
        let line = line.strip_suffix("\r\n");
        Ok(line.context("a line without its end")?.to_owned())
    }

    pub(crate) async fn head(&mut self) -> anyhow::Result<Head> {
        let line = self.line().await.context("the status")?;
        let status = line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut head = Head {
            status: status.with_context(|| format!("the status {line:?}"))?,
            length: None,
        };
        loop {
            let line = self.line().await.context("the head")?;
            match line.split_once(": ") {
                _ if line.is_empty() => return Ok(head),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    head.length = Some(value.parse().context("the length")?);
                }
                Some(_) => {}
                None => bail!("the field {line:?}"),
            }
        }
    }

    /// Asks for a part of the file of `length`, and reads it.
    pub(crate) async fn file(&mut self, length: usize, part: Range<usize>) -> anyhow::Result<()> {
        let is_part = part.len() < length;
        let range = format!(
            "Range: bytes={}-{}\r\n",
            part.start,
            part.end.saturating_sub(1)
        );
        self.ask(
            &format!("GET /file/{length}"),
            if is_part { &range } else { "" },
        )
        .await?;
        let status = if is_part { 206 } else { 200 };
        let expected = Head {
            status,
            length: Some(part.len()),
        };
        let head = self.head().await?;
        ensure!(head == expected, "{head:?} for {part:?} of {length}");
        self.content(part).await
    }

    /// Reads this part of the content.
    pub(crate) async fn content(&mut self, part: Range<usize>) -> anyhow::Result<()> {
        let mut body = vec![0; part.len()];
        within("a body", self.stream.read_exact(&mut body)).await??;
        ensure!(body == CONTENT[part], "other bytes than the file's");
        Ok(())
    }

    /// Reads lines of the endless response, each of which comes in a chunk of its own.
    pub(crate) async fn lines(&mut self, lines: u64) -> anyhow::Result<()> {
        for number in 0..lines {
            let size = self.line().await.context("the size of a chunk")?;
            ensure!(size == format!("{LINE:X}"), "a chunk of {size}");
            let mut chunk = vec![0; LINE + 2];
            within("a chunk", self.stream.read_exact(&mut chunk)).await??;
            let expected = line(number) + "\r\n";
            ensure!(chunk == expected.as_bytes(), "another line than {number}");
        }
        Ok(())
    }

    /// Waits until the server has closed, and returns whether with a FIN. There must be nothing before it.
    pub(crate) async fn ended(&mut self) -> anyhow::Result<bool> {
        let mut rest = Vec::new();
        let read = within("the end", self.stream.read_to_end(&mut rest)).await?;
        ensure!(rest.is_empty(), "{} bytes more", rest.len());
        match read {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
