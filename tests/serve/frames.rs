//! The frames of HTTP/2, one by one: for clients that no library would be.

use crate::support::soon;
use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// A frame (RFC 9113, section 4.1).
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head, &stream.to_be_bytes()[..], payload].concat()
}

/// The head of a GET or a POST of `path` (RFC 7541, appendix A: 2 is GET, 3 is POST, 6 is http, 4 is the path, 1 the
/// authority).
pub(crate) fn head(method: &str, path: &str, stream: u32) -> Vec<u8> {
    let (method, flags) = match method {
        "GET" => (0x82, END_HEADERS | END_STREAM),
        _ => (0x83, END_HEADERS),
    };
    let mut block = vec![method, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    block.extend(path.as_bytes());
    block.extend(b"\x41\x01a");
    frame(HEADERS, flags, stream, &block)
}

pub(crate) fn window_update(stream: u32, bytes: usize) -> Vec<u8> {
    let bytes = u32::try_from(bytes).unwrap().to_be_bytes();
    frame(WINDOW_UPDATE, 0, stream, &bytes)
}

/// Reads a frame: its kind, its flags, its stream and its payload.
pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> (u8, u8, u32, Vec<u8>) {
    let mut head = [0; 9];
    soon("a frame", stream.read_exact(&mut head)).await.unwrap();
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; length as usize];
    soon("a payload", stream.read_exact(&mut payload))
        .await
        .unwrap();
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    (head[3], head[4], stream, payload)
}

/// A SETTINGS frame with these values by their identifiers (RFC 9113, section 6.5.2).
pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let value = |(id, value): &(u16, u32)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let payload: Vec<u8> = values.iter().flat_map(value).collect();
    frame(SETTINGS, 0, 0, &payload)
}
