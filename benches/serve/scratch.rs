//! A folder for the run, with the files that are served and the servers' configurations.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Bytes of the large file.
pub(crate) const GIB: u64 = 1 << 30;

/// How many small files there are beside each other.
pub(crate) const MANY: usize = 10_000;

/// Bytes of the file that is not in the page cache.
pub(crate) const COLD: usize = 64 << 20;

/// The folder. It is removed in the end.
pub(crate) struct Scratch {
    pub(crate) path: PathBuf,
}

impl Scratch {
    pub(crate) fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("hangup-bench-serve-{}", std::process::id()));
        let scratch = Self { path };
        let root = scratch.root();
        fs::create_dir_all(&root)?;
        File::create(root.join("large"))?.set_len(GIB)?;
        fs::write(root.join("small"), [7; 4096])?;
        fs::write(root.join("cold"), vec![7; COLD])?;
        File::open(root.join("cold"))?.sync_all()?;
        for number in 0..MANY {
            let folder = root.join((number % 100).to_string());
            fs::create_dir_all(&folder)?;
            fs::write(folder.join(number.to_string()), [7; 4096])?;
        }
        // Into the page cache.
        io::copy(&mut File::open(root.join("large"))?, &mut io::sink())?;
        scratch.write_certificate()?;
        Ok(scratch)
    }

    /// The folder that is served.
    pub(crate) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    /// As this crate's server reads it, and as nginx does: in DER and in PEM (RFC 7468).
    fn write_certificate(&self) -> io::Result<()> {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]);
        let made = made.map_err(io::Error::other)?;
        let key = made.signing_key.serialize_der();
        for (name, label, der) in [
            ("certificate", "CERTIFICATE", &**made.cert.der()),
            ("key", "PRIVATE KEY", &*key),
        ] {
            fs::write(self.path.join(name).with_extension("der"), der)?;
            let pem = format!(
                "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
                base64(der)
            );
            fs::write(self.path.join(name).with_extension("pem"), pem)?;
        }
        Ok(())
    }

    /// Writes a file beside the folder that is served.
    pub(crate) fn write(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        let path = self.path.join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Takes a file out of the page cache.
    pub(crate) fn evict(&self, name: &str) -> io::Result<()> {
        use rustix::fs::{Advice, fadvise};
        let file = File::open(self.root().join(name))?;
        Ok(fadvise(&file, 0, None, Advice::DontNeed)?)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(Path::new(&self.path));
    }
}

/// Lines of base64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let line = |bytes: &[u8]| {
        let group = |bytes: &[u8]| {
            let part = |at| u32::from(bytes.get(at).copied().unwrap_or(0));
            let bits = part(0) << 16 | part(1) << 8 | part(2);
            let digit = |at: usize| match at <= bytes.len() {
                true => char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]),
                false => '=',
            };
            [0, 1, 2, 3].map(digit)
        };
        bytes.chunks(3).flat_map(group).collect::<String>()
    };
    bytes.chunks(48).map(line).collect::<Vec<_>>().join("\n")
}
