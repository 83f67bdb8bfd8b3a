//! A backend in memory that records what is asked of it, and fails when it is told to.

use hangup::outbox::StorageBackend;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Debug, Clone)]
pub(crate) enum Step {
    Write(u64, Vec<u8>),
    Size(u64),
    Sync,
    FailedSync,
    /// The caller is at this event.
    Event(usize),
    /// The power has failed, and has left this.
    Cut(Vec<u8>),
}

/// Which calls fail, by their place among those that change or sync.
#[derive(Debug, Clone, Default)]
pub(crate) struct Failure {
    pub(crate) calls: Range<usize>,
    pub(crate) syncs_only: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Tape>>);

#[derive(Debug, Clone, Default)]
struct Tape {
    bytes: Vec<u8>,
    steps: Vec<Step>,
    calls: usize,
    failure: Failure,
}

impl Recorder {
    pub(crate) fn new(image: Vec<u8>) -> Self {
        let recorder = Self::default();
        recorder.tape().bytes = image;
        recorder
    }

    /// Another recorder with what this one has. It goes on alone.
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.tape().clone())))
    }

    /// Another recorder, after a power cut that has left this image.
    pub(crate) fn cut(&self, image: Vec<u8>) -> Self {
        let recorder = self.copy();
        let mut tape = recorder.tape();
        tape.bytes.clone_from(&image);
        tape.steps.push(Step::Cut(image));
        drop(tape);
        recorder
    }

    pub(crate) fn event(&self, event: usize) {
        self.tape().steps.push(Step::Event(event));
    }

    /// From here on these calls fail, counted from here.
    pub(crate) fn fail(&self, failure: Failure) {
        let mut tape = self.tape();
        tape.calls = 0;
        tape.failure = failure;
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.tape().steps.clone()
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.tape().bytes.clone()
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap()
    }
}

impl Tape {
    fn call(&mut self, sync: bool) -> io::Result<()> {
        if self.failure.syncs_only && !sync {
            return Ok(());
        }
        self.calls += 1;
        if self.failure.calls.contains(&(self.calls - 1)) {
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}

impl StorageBackend for Recorder {
    fn size(&self) -> io::Result<u64> {
        Ok(self.tape().bytes.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let tape = self.tape();
        let start = offset as usize;
        let range = tape.bytes.get(start..start + buffer.len());
        buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut tape = self.tape();
        tape.call(false)?;
        write(&mut tape.bytes, offset, data);
        tape.steps.push(Step::Write(offset, data.to_vec()));
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut tape = self.tape();
        tape.call(false)?;
        tape.bytes.resize(size as usize, 0);
        tape.steps.push(Step::Size(size));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut tape = self.tape();
        let synced = tape.call(true);
        let step = match synced {
            Ok(()) => Step::Sync,
            Err(_) => Step::FailedSync,
        };
        tape.steps.push(step);
        synced
    }
}

pub(crate) fn write(bytes: &mut Vec<u8>, offset: u64, data: &[u8]) {
    let start = offset as usize;
    if bytes.len() < start + data.len() {
        bytes.resize(start + data.len(), 0);
    }
    bytes[start..start + data.len()].copy_from_slice(data);
}
