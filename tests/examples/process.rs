//! Runs an example, and reads what it prints.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// For what must come: no machine is that slow.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The features that this test was built with.
const FEATURES: &[&str] = &[
    #[cfg(feature = "aws-lc-rs")]
    "aws-lc-rs",
    #[cfg(feature = "axum")]
    "axum",
    #[cfg(feature = "codec")]
    "codec",
    #[cfg(feature = "durable")]
    "durable",
    #[cfg(feature = "http")]
    "http",
    #[cfg(feature = "hyper-client")]
    "hyper-client",
    #[cfg(feature = "json")]
    "json",
    #[cfg(feature = "metrics")]
    "metrics",
    #[cfg(feature = "outbox")]
    "outbox",
    #[cfg(feature = "ring")]
    "ring",
    #[cfg(feature = "test-util")]
    "test-util",
    #[cfg(feature = "tls")]
    "tls",
    #[cfg(feature = "tls12")]
    "tls12",
    #[cfg(feature = "tonic")]
    "tonic",
    #[cfg(feature = "tracing")]
    "tracing",
];

/// The path of an example's binary, of the profile that this test was built with.
///
/// `cargo test` builds the examples; `cargo test --test examples` does not, so this sees to it that
/// they are there and of this source.
pub(crate) fn binary(example: &str) -> PathBuf {
    static PROFILE: OnceLock<PathBuf> = OnceLock::new();
    let profile = PROFILE.get_or_init(|| {
        let test = env::current_exe().unwrap();
        // target/<profile>/deps/<test>
        let profile = test.ancestors().nth(2).unwrap().to_owned();
        let mut cargo = Command::new(env!("CARGO"));
        cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.args(["build", "--quiet", "--examples", "--target-dir"]);
        cargo.arg(profile.parent().unwrap());
        // ring's build script looks at what the outer cargo says of this package, and would be built anew with all
        // above it.
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
                cargo.env_remove(&name);
            }
        }
        // With the features of this test: an example that needs others is not built.
        for feature in FEATURES {
            cargo.args(["--features", feature]);
        }
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().unwrap().success(), "{cargo:?} failed");
        profile
    });
    let binary = profile.join("examples").join(example);
    let binary = binary.with_extension(env::consts::EXE_EXTENSION);
    assert!(binary.exists(), "{} is missing", binary.display());
    binary
}

/// Checks that an example's `--help` knows `option`, and that nonsense is answered with what it was and where
/// help is.
pub(crate) fn explains(example: &str, option: &str) {
    let help = Command::new(binary(example))
        .arg("--help")
        .output()
        .unwrap();
    let text = String::from_utf8(help.stdout).unwrap();
    assert!(help.status.success() && text.contains(option), "{text}");
    refuses(example, &["--nonsense"], "--nonsense");
}

/// Checks that an example refuses these arguments, and says `why`.
pub(crate) fn refuses(example: &str, arguments: &[&str], why: &str) {
    let output = Command::new(binary(example))
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains(why) && text.contains("--help"), "{text}");
}

/// Whether the program is there; says so in the test's output if it is not.
pub(crate) fn has(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        assert!(
            env::var_os("CI").is_none(),
            "there is no {program}, and CI needs it"
        );
        println!("skipped: there is no {program} here");
    }
    found
}

/// A fresh directory for one test.
pub(crate) fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("examples-{test}"));
    match std::fs::remove_dir_all(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
        _ => {}
    }
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// A running example. Killed when dropped.
pub(crate) struct Example {
    child: Child,
    lines: Receiver<String>,
    /// What was printed before the last line that was waited for.
    seen: Vec<String>,
}

impl Example {
    /// Starts an example that serves one client, and returns its address too.
    pub(crate) fn for_one_client(example: &str, options: &[&str]) -> (Self, String) {
        let mut command = Command::new(binary(example));
        let mut example = Self::start(command.args(["--clients", "1"]).args(options));
        let line = example.line("listening on ");
        let address = line.split([' ', ';']).nth(2).unwrap().to_owned();
        (example, address)
    }

    pub(crate) fn start(command: &mut Command) -> Self {
        Self::start_with(command, Stdio::null())
    }

    /// With this as its standard input.
    pub(crate) fn start_with(command: &mut Command, input: Stdio) -> Self {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        pump(child.stdout.take().unwrap(), sender.clone());
        pump(child.stderr.take().unwrap(), sender);
        Self {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits for the next line that contains `part`.
    pub(crate) fn line(&mut self, part: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) if line.contains(part) => return line,
                Ok(line) => self.seen.push(line),
                Err(error) => panic!("no line with {part:?}: {error}; before: {:#?}", self.seen),
            }
        }
    }

    /// Asserts that nothing is printed for `time`.
    pub(crate) fn silent_for(&self, time: Duration) {
        assert_eq!(
            self.lines.recv_timeout(time),
            Err(RecvTimeoutError::Timeout)
        );
    }

    /// As Ctrl-C does.
    pub(crate) fn interrupt(&self) {
        self.signal("-INT");
    }

    /// As a service manager does.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    fn signal(&self, signal: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill").args([signal, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Waits for the end. Returns what was still printed.
    pub(crate) fn end(mut self) -> (ExitStatus, Vec<String>) {
        let deadline = Instant::now() + DEADLINE;
        let mut rest = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => rest.push(line),
                // Both of its outputs are closed.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("still running; it printed {rest:#?}"),
            }
        }
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pump(output: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines() {
            let Ok(line) = line else { return };
            if lines.send(line).is_err() {
                return;
            }
        }
    });
}

/// The number that stands before `after` in `line`: the digits with their commas.
pub(crate) fn number(line: &str, after: &str) -> u64 {
    let end = line
        .find(after)
        .unwrap_or_else(|| panic!("no {after:?} in {line:?}"));
    let number = line[..end].rsplit([' ', '(']).next().unwrap();
    number
        .replace(',', "")
        .parse()
        .unwrap_or_else(|_| panic!("no number before {after:?} in {line:?}"))
}

/// The milliseconds that stand before `after` in `line`.
pub(crate) fn milliseconds(line: &str, after: &str) -> f64 {
    let end = line
        .find(after)
        .unwrap_or_else(|| panic!("no {after:?} in {line:?}"));
    line[..end].rsplit(' ').next().unwrap().parse().unwrap()
}
