//! A request, and the status that it was answered with.

use axum::http::{Method, StatusCode, Uri};
use std::fmt;

#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) status: StatusCode,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {}",
            self.method,
            self.target,
            self.status.as_u16()
        )
    }
}
