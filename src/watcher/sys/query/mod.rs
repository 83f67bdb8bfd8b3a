//! What is asked of one descriptor. On Linux there is a file for each kind of descriptor.

cfg_if::cfg_if! {
    if #[cfg(all(any(target_os = "linux", target_os = "android"), not(hangup_fallback)))] {
        mod descriptor;
        mod linux;
        mod mptcp;
        mod pipe;
        mod socket;
        mod tcp;
        mod unix;
        pub(in crate::watcher) use linux::Target;
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
        #[path = "bsd.rs"]
        mod examine;
        mod ended;
        mod portable;
        pub(in crate::watcher) use portable::Target;
    } else if #[cfg(windows)] {
        #[path = "windows.rs"]
        mod examine;
        mod ended;
        mod portable;
        pub(in crate::watcher) use examine::poll_fd;
        pub(in crate::watcher) use portable::Target;
    } else {
        #[path = "poll.rs"]
        mod examine;
        mod ended;
        mod portable;
        pub(in crate::watcher) use examine::poll_fd;
        pub(in crate::watcher) use portable::Target;
    }
}
