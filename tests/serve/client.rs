//! A client of HTTP/1.1 that sees every byte.

use crate::support::soon;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// What was read beyond the last response.
    rest: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|line| line.split_once(": "));
        let (_, value) = fields.find(|(field, _)| field.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = soon("a connection", TcpStream::connect(address))
            .await
            .unwrap();
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// A client whose system takes little that its program does not read.
    pub(crate) async fn with_small_buffer(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let stream = soon("a connection", socket.connect(address)).await.unwrap();
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Sends a GET with more fields.
    pub(crate) async fn ask(&mut self, path: &str, fields: &str) {
        self.send(&format!(
            "GET {path} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"
        ))
        .await;
    }

    pub(crate) async fn get(&mut self, path: &str) -> Response {
        self.get_with(path, "").await
    }

    pub(crate) async fn get_with(&mut self, path: &str, fields: &str) -> Response {
        self.ask(path, fields).await;
        self.response().await.unwrap()
    }

    /// The next response, or what was read if the connection ended within it.
    pub(crate) async fn response(&mut self) -> Result<Response, Vec<u8>> {
        self.response_to("GET").await
    }

    pub(crate) async fn response_to(&mut self, method: &str) -> Result<Response, Vec<u8>> {
        let head = self.until_head().await?;
        let text = String::from_utf8_lossy(&head).into_owned();
        let status = text[9..12].parse().unwrap();
        let mut response = Response {
            status,
            head: text,
            body: Vec::new(),
        };
        let length: usize = match (method, status, response.field("content-length")) {
            ("HEAD", ..) | (_, 304, _) => 0,
            (_, _, Some(length)) => length.parse().unwrap(),
            (_, _, None) => panic!("no length in {:?}", response.head),
        };
        while self.rest.len() < length {
            if !self.fill().await {
                return Err([head, std::mem::take(&mut self.rest)].concat());
            }
        }
        response.body = self.rest.drain(..length).collect();
        Ok(response)
    }

    async fn until_head(&mut self) -> Result<Vec<u8>, Vec<u8>> {
        loop {
            if let Some(end) = self.rest.windows(4).position(|four| four == b"\r\n\r\n") {
                return Ok(self.rest.drain(..end + 4).collect());
            }
            if !self.fill().await {
                return Err(std::mem::take(&mut self.rest));
            }
        }
    }

    async fn fill(&mut self) -> bool {
        let read = soon("the response", self.stream.read_buf(&mut self.rest)).await;
        matches!(read, Ok(bytes) if bytes > 0)
    }

    /// Waits for the end of the connection, and gives what came before it.
    pub(crate) async fn ended(mut self) -> Vec<u8> {
        while self.fill().await {}
        self.rest
    }
}
