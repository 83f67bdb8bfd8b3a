//! What is asked of one descriptor, system by system.

mod ended;

cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))] {
        mod linux;
        pub(crate) use linux::*;
    } else if #[cfg(all(
        any(
            target_vendor = "apple",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "netbsd",
            target_os = "openbsd",
        ),
        target_pointer_width = "64", // a token is a kevent's `udata`, a pointer
        not(hangup_fallback)
    ))] {
        mod bsd;
        mod portable;
        pub(crate) use bsd::*;
    } else {
        mod poll;
        mod portable;
        pub(crate) use poll::*;
    }
}
