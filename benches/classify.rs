//! What a classification costs, in nanoseconds a call, beside `io::Error::kind`, which is the least that
//! any reading of an error costs. `cargo bench --bench classify`

use hangup::errors::{
    Call, Classifier, ErrorClass, Platform, classify, classify_call, classify_error, classify_os,
};
use std::error::Error;
use std::fmt;
use std::hint::black_box;
use std::io::{self, ErrorKind};
use std::time::Instant;

const SAMPLES: usize = 31;
const CALLS: u32 = 200_000;

#[derive(Debug)]
struct Library(io::Error);

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("library error")
    }
}

impl Error for Library {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// The median and the least of all samples, in nanoseconds a call.
fn measure<T>(body: impl Fn() -> T) -> [f64; 2] {
    let sample = || {
        let start = Instant::now();
        for _ in 0..CALLS {
            black_box(body());
        }
        start.elapsed().as_nanos() as f64 / f64::from(CALLS)
    };
    sample();
    let mut samples: Vec<f64> = (0..SAMPLES).map(|_| sample()).collect();
    samples.sort_by(f64::total_cmp);
    [samples[SAMPLES / 2], samples[0]]
}

fn row(name: &str, [median, least]: [f64; 2]) {
    println!("{name:<52} {median:>9.1} {least:>9.1}");
}

fn main() {
    println!("{:<52} {:>9} {:>9}", "ns per call", "median", "least");
    let code = if cfg!(windows) { 10054 } else { 104 };
    let reset = || io::Error::from_raw_os_error(code);

    let plain = reset();
    row(
        "io::Error::kind, an OS error",
        measure(|| black_box(&plain).kind()),
    );
    row(
        "classify, an OS error",
        measure(|| classify(black_box(&plain))),
    );
    row(
        "classify_os, its code",
        measure(|| classify_os(black_box(code), black_box(Platform::Linux))),
    );
    row(
        "classify_call, an OS error of connect",
        measure(|| classify_call(black_box(&plain), black_box(Call::Connect))),
    );
    let unknown = io::Error::from_raw_os_error(12_345);
    row(
        "classify, an unknown code",
        measure(|| classify(black_box(&unknown))),
    );
    let kind = io::Error::from(ErrorKind::WouldBlock);
    row("classify, a kind", measure(|| classify(black_box(&kind))));

    let nested = io::Error::other(reset());
    row(
        "classify, in one io::Error",
        measure(|| classify(black_box(&nested))),
    );
    let deep = io::Error::other(Library(io::Error::other(Library(reset()))));
    row(
        "classify, four deep, two of them a library's",
        measure(|| classify(black_box(&deep))),
    );
    let lookup =
        io::Error::other("failed to lookup address information: Name or service not known");
    row(
        "classify, a failed look-up",
        measure(|| classify(black_box(&lookup))),
    );
    let cut = io::Error::new(ErrorKind::UnexpectedEof, "tls handshake eof");
    row(
        "classify, TLS cut short",
        measure(|| classify(black_box(&cut))),
    );
    row(
        "classify_error, nothing known",
        measure(|| classify_error(black_box(&fmt::Error))),
    );

    let classifier = Classifier::new()
        .rule(|_: &Library| None)
        .rule(|_: &fmt::Error| ErrorClass::Tls);
    row(
        "Classifier with two rules, an OS error",
        measure(|| classifier.classify(black_box(&plain))),
    );
    row(
        "Classifier with two rules, four deep",
        measure(|| classifier.classify(black_box(&deep))),
    );

    let well_known = Classifier::well_known();
    row(
        "Classifier::well_known, an OS error",
        measure(|| well_known.classify(black_box(&plain))),
    );
    row(
        "Classifier::well_known, nothing known",
        measure(|| well_known.classify_error(black_box(&fmt::Error))),
    );
}
