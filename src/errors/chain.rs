//! The errors inside an error.

use std::error::Error;
use std::io;
use std::sync::Arc;

/// The most errors that a walk visits. An error that is its own source must not block a sender forever.
/// Any limit above a chain's depth works, and real chains are a handful deep.
const LIMIT: usize = 64;

/// The error itself and the errors inside it, from the outside in.
///
/// `source()` alone misses some. The source of an `io::Error` is the source *of* its payload, and the
/// source of a `Box` or an `Arc` is that of the error inside. This walk visits the payload and the
/// error inside too.
#[derive(Debug)]
pub(crate) struct Chain<'a> {
    next: Option<&'a (dyn Error + 'static)>,
    left: usize,
}

impl<'a> Chain<'a> {
    pub(crate) fn new(error: &'a (dyn Error + 'static)) -> Self {
        Self {
            next: Some(error),
            left: LIMIT,
        }
    }
}

impl<'a> Iterator for Chain<'a> {
    type Item = &'a (dyn Error + 'static);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let error = self.next?;
        self.next = inside(error);
        Some(error)
    }
}

fn inside<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(error) => error.get_ref().map(|payload| payload as _),
        None => held(error).or_else(|| error.source()),
    }
}

/// The error in a `Box` or an `Arc`.
pub(super) fn held<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    if let Some(held) = error.downcast_ref::<Box<io::Error>>() {
        return Some(&**held);
    }
    if let Some(held) = error.downcast_ref::<Arc<io::Error>>() {
        return Some(&**held);
    }
    if let Some(held) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**held);
    }
    None
}
