//! The records of TLS 1.3, one by one: for clients that no library would be.

use crate::support::tls::connect;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::cipher::{
    AeadKey, Iv, MessageEncrypter, OutboundChunks, OutboundPlainMessage,
};
use tokio_rustls::rustls::crypto::ring::cipher_suite::TLS13_AES_256_GCM_SHA384;
use tokio_rustls::rustls::crypto::tls13::OkmBlock;
use tokio_rustls::rustls::{ContentType, KeyLog, ProtocolVersion, Tls13CipherSuite};

/// The suite that both sides prefer.
fn suite() -> &'static Tls13CipherSuite {
    TLS13_AES_256_GCM_SHA384.tls13().unwrap()
}

/// Keeps the secret of the client's application data.
#[derive(Debug, Default)]
struct Secret(Mutex<Vec<u8>>);

impl KeyLog for Secret {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        if label == "CLIENT_TRAFFIC_SECRET_0" {
            *self.0.lock().unwrap() = secret.to_vec();
        }
    }
}

/// Encrypts the client's records.
pub(crate) struct Records {
    secret: Vec<u8>,
    sent: u64,
    encrypter: Box<dyn MessageEncrypter>,
}

/// Makes a handshake. The records are then the client's own.
pub(crate) async fn client(connector: &TlsConnector, address: SocketAddr) -> (TcpStream, Records) {
    let secret = Arc::new(Secret::default());
    let mut config = (**connector.config()).clone();
    config.key_log = secret.clone();
    let stream = connect(&Arc::new(config).into(), address).await;
    let (stream, session) = stream.into_inner();
    let agreed = session.negotiated_cipher_suite().unwrap().suite();
    assert_eq!(agreed, suite().common.suite);
    let secret = secret.0.lock().unwrap().clone();
    (stream, Records::new(secret))
}

/// HKDF-Expand-Label without a context (RFC 8446, section 7.1).
fn expand(secret: &[u8], label: &str, derived: &mut [u8]) {
    let expander = suite()
        .hkdf_provider
        .expander_for_okm(&OkmBlock::new(secret));
    let label = format!("tls13 {label}");
    let length = u16::try_from(derived.len()).unwrap().to_be_bytes();
    let label_length = [u8::try_from(label.len()).unwrap()];
    let info = [&length, &label_length[..], label.as_bytes(), &[0]];
    expander.expand_slice(&info, derived).unwrap();
}

impl Records {
    fn new(secret: Vec<u8>) -> Self {
        let (mut key, mut iv) = ([0; 32], [0; 12]);
        expand(&secret, "key", &mut key);
        expand(&secret, "iv", &mut iv);
        let encrypter = suite().aead_alg.encrypter(AeadKey::from(key), Iv::new(iv));
        Self {
            secret,
            sent: 0,
            encrypter,
        }
    }

    fn record(&mut self, typ: ContentType, payload: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(payload),
        };
        let record = self.encrypter.encrypt(message, self.sent).unwrap();
        self.sent += 1;
        record.encode()
    }

    /// Application data.
    pub(crate) fn data(&mut self, data: &[u8]) -> Vec<u8> {
        self.record(ContentType::ApplicationData, data)
    }

    /// A KeyUpdate that asks for none in return (RFC 8446, section 4.6.3).
    pub(crate) fn key_update(&mut self) -> Vec<u8> {
        let record = self.record(ContentType::Handshake, &[24, 0, 0, 1, 0]);
        let mut next = vec![0; self.secret.len()];
        expand(&self.secret, "traffic upd", &mut next);
        *self = Self::new(next);
        record
    }
}
