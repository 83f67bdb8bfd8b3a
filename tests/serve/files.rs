//! Files: what a client gets of them.

use crate::Running;
use crate::client::Client;
use axum::Router;
use hangup::serve::ServeFolder;
use std::path::PathBuf;

/// A folder that is gone with its test.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
}

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("hangup-serve-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Self { path }
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

/// Bytes that tell where they stand.
pub(crate) fn numbered(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (number, eight) in bytes.chunks_mut(8).enumerate() {
        eight.copy_from_slice(&number.to_le_bytes()[..eight.len()]);
    }
    bytes
}

#[tokio::test]
async fn whole_files_one_after_the_other() {
    let folder = Folder::new("whole");
    let lengths = [
        0,
        1,
        4096,
        65_536,
        65_537,
        1 << 20,
        (1 << 20) + 1,
        5_000_000,
    ];
    for length in lengths {
        folder.write(&length.to_string(), numbered(length));
    }
    let router = Router::new().fallback_service(ServeFolder::open(&folder.path).unwrap());
    let server = Running::start(router, |server| server).await;
    let mut client = Client::connect(server.address).await;
    for length in lengths.into_iter().chain(lengths) {
        let response = client.get(&format!("/{length}")).await;
        assert_eq!(response.status, 200);
        assert!(response.body == numbered(length), "{length} bytes");
    }
    // Pipelined.
    let requests: String = lengths
        .iter()
        .map(|length| format!("GET /{length} HTTP/1.1\r\nHost: test\r\n\r\n"))
        .collect();
    client.send(&requests).await;
    for length in lengths {
        let response = client.response().await.unwrap();
        assert!(
            response.body == numbered(length),
            "{length} bytes, pipelined"
        );
    }
}
