//! Lines on standard output and standard error.
//!
//! `println!` panics when the reader is gone, as behind `| head -1`. A server has no reason to end then, and
//! a program that computes something ends soon.

/// Prints a line on standard output. A closed one is ignored.
#[allow(unused_macros, reason = "not every example prints")]
macro_rules! say {
    ($($line:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($line)*);
    }};
}

/// Prints a line on standard error. A closed one is ignored.
#[allow(unused_macros, reason = "not every example warns")]
macro_rules! note {
    ($($line:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($line)*);
    }};
}
