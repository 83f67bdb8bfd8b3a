//! Checks the head of a response.

use httparse::{EMPTY_HEADER, Header, Response, Status};

/// Whether `bytes` are the head of exactly one response whose body is `length` bytes long and not encoded for the transfer.
pub(super) fn announces(bytes: &[u8], length: u64) -> bool {
    let mut fields = [EMPTY_HEADER; 64];
    let mut response = Response::new(&mut fields);
    match response.parse(bytes) {
        Ok(Status::Complete(head)) if head == bytes.len() => {}
        _ => return false,
    }
    let mut lengths = named(response.headers, "content-length");
    let announced = lengths.next().map(|field| parse(field.value));
    announced == Some(Some(length))
        && lengths.next().is_none()
        && named(response.headers, "transfer-encoding")
            .next()
            .is_none()
}

fn named<'a>(fields: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a Header<'a>> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
}

fn parse(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_head_with_this_length() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n";
        assert!(announces(head.as_bytes(), 12));
        assert!(!announces(head.as_bytes(), 13));
        for (head, what) in [
            ("", "nothing"),
            ("HTTP/1.1 200 OK\r\ncontent-length: 12\r\n", "a part"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\nHTTP/1.1",
                "more than a head",
            ),
            ("HTTP/1.1 200 OK\r\n\r\n", "no length"),
            (
                "HTTP/1.1 200 OK\r\ncontent-length: 12\r\ncontent-length: 12\r\n\r\n",
                "two lengths",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                "chunks",
            ),
            (
                "HTTP/1.1 200 OK\r\ntransfer-encoding: x\r\ncontent-length: 12\r\n\r\n",
                "encoded",
            ),
            ("Content-Length: 12\r\n\r\n", "the rest of a head"),
        ] {
            assert!(!announces(head.as_bytes(), 12), "{what}");
        }
    }
}
