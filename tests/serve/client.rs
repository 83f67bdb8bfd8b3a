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

#[derive(Debug, Clone, Default, PartialEq, Eq)]
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
        Self::on(stream)
    }

    pub(crate) fn on(stream: TcpStream) -> Self {
        Self {
            stream,
            rest: Vec::new(),
        }
    }

    /// A client whose system takes little that its program does not read.
    pub(crate) async fn with_small_buffer(address: SocketAddr) -> Self {
        Self::with_buffer(address, 4096).await
    }

    /// A client whose system takes so many bytes that its program does not read, or a little more.
    pub(crate) async fn with_buffer(address: SocketAddr, bytes: u32) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(bytes).unwrap();
        let stream = soon("a connection", socket.connect(address)).await.unwrap();
        Self::on(stream)
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.send_bytes(text.as_bytes()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
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

    /// The next response, or what came of it if the connection ended within it.
    pub(crate) async fn response(&mut self) -> Result<Response, Response> {
        self.response_to("GET").await
    }

    pub(crate) async fn response_to(&mut self, method: &str) -> Result<Response, Response> {
        let mut response = Response::default();
        let Some(head) = self.until_head().await else {
            return Err(response);
        };
        response.head = String::from_utf8_lossy(&head).into_owned();
        response.status = response.head[9..12].parse().unwrap();
        if response.field("transfer-encoding").is_some() {
            return self.chunks(response).await;
        }
        let length = match (method, response.status, response.field("content-length")) {
            ("HEAD", ..) | (_, 304, _) => 0,
            (_, _, Some(length)) => length.parse().unwrap(),
            (_, _, None) => panic!("no length in {:?}", response.head),
        };
        self.body(response, length).await
    }

    async fn body(&mut self, mut response: Response, length: usize) -> Result<Response, Response> {
        while self.rest.len() < length {
            if !self.fill().await {
                response.body.append(&mut self.rest);
                return Err(response);
            }
        }
        response.body.extend(self.rest.drain(..length));
        Ok(response)
    }

    /// A body in chunks (RFC 9112, section 7.1).
    async fn chunks(&mut self, mut response: Response) -> Result<Response, Response> {
        loop {
            let Some(line) = self.until(b"\r\n").await else {
                return Err(response);
            };
            let size = String::from_utf8_lossy(&line[..line.len() - 2]).into_owned();
            let size = usize::from_str_radix(&size, 16).unwrap();
            response = self.body(response, size).await?;
            if self.until(b"\r\n").await.is_none() {
                return Err(response);
            }
            if size == 0 {
                return Ok(response);
            }
        }
    }

    async fn until_head(&mut self) -> Option<Vec<u8>> {
        self.until(b"\r\n\r\n").await
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            let found = self.rest.windows(end.len()).position(|bytes| bytes == end);
            if let Some(at) = found {
                return Some(self.rest.drain(..at + end.len()).collect());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// The response to a GET of `/`, unless the server has no room for the connection.
    pub(crate) async fn get_if_admitted(&mut self) -> Option<Response> {
        let request = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n";
        self.stream.write_all(request).await.ok()?;
        self.response().await.ok()
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
