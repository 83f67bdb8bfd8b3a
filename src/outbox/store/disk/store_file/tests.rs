//! What the layer does between a database and a disk that fails.

use super::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

/// A disk with a cache. A barrier that fails loses what is only in the cache, and marks it as written.
#[derive(Debug, Clone, Default)]
struct Cached {
    cache: Memory,
    disk: Memory,
    dirty: Arc<Mutex<Vec<(u64, usize)>>>,
    fails: Arc<AtomicBool>,
}

impl StorageBackend for Cached {
    fn size(&self) -> io::Result<u64> {
        self.cache.size()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.cache.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.dirty.lock().unwrap().push((offset, data.len()));
        self.cache.write_at(offset, data)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.disk.set_size(size)?;
        self.cache.set_size(size)
    }

    fn sync(&self) -> io::Result<()> {
        let dirty = mem::take(&mut *self.dirty.lock().unwrap());
        if self.fails.load(Ordering::Relaxed) {
            return Err(io::Error::other("a bad sector"));
        }
        for (offset, length) in dirty {
            let mut data = vec![0; length];
            self.cache.read_at(offset, &mut data)?;
            self.disk.write_at(offset, &data)?;
        }
        Ok(())
    }
}

/// redb makes a barrier when it is dropped. It was taken for the one that had failed, so nothing was written again.
#[test]
fn each_barrier_after_a_failed_one_writes_again() {
    let cached = Cached::default();
    cached.set_size(10_000).unwrap();
    let file = StoreFile::new(cached.clone(), Fsync::Each);
    file.write_at(5000, &[1; 100]).unwrap();
    cached.fails.store(true, Ordering::Relaxed);
    file.sync().unwrap_err();
    file.sync().unwrap_err();
    cached.fails.store(false, Ordering::Relaxed);
    file.sync().unwrap();
    assert_eq!(cached.disk.0.lock().unwrap()[5000..5100], [1; 100]);
}

#[test]
fn a_failed_barrier_is_known_after_a_restart() {
    let cached = Cached::default();
    cached.set_size(1_000_000).unwrap();
    let file = StoreFile::new(cached.clone(), Fsync::Each);
    let note = |file: &StoreFile| {
        let mut note = [0];
        file.read_at(BARRIER_FAILED, &mut note).unwrap();
        note == [1]
    };
    assert!(!note(&file));
    cached.fails.store(true, Ordering::Relaxed);
    file.write_at(999_900, &[1; 100]).unwrap();
    file.sync().unwrap_err();
    drop(file);

    let file = StoreFile::new(cached.clone(), Fsync::Each);
    assert!(note(&file));
    file.rewrite().unwrap_err();
    assert!(note(&file));
    cached.fails.store(false, Ordering::Relaxed);
    file.rewrite().unwrap();
    assert!(!note(&file));
    assert_eq!(cached.disk.0.lock().unwrap()[999_900..], [1; 100]);
}

impl StorageBackend for Memory {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = self.0.lock().unwrap();
        let range = bytes.get(offset as usize..offset as usize + buffer.len());
        buffer.copy_from_slice(range.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut bytes = self.0.lock().unwrap();
        let end = offset as usize + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[offset as usize..end].copy_from_slice(data);
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.lock().unwrap().resize(size as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

fn all(file: &StoreFile) -> Vec<u8> {
    let mut bytes = vec![0; file.size().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

#[test]
fn what_is_held_back_reads_as_if_it_was_written() {
    let memory = Memory::default();
    memory.write_at(0, &[1; 10_000]).unwrap();
    let file = StoreFile::new(memory.clone(), Fsync::Each);
    let plain = Memory::default();
    plain.write_at(0, &[1; 10_000]).unwrap();
    file.hold_back().unwrap();
    let change = |offset: u64, data: &[u8]| {
        file.write_at(offset, data).unwrap();
        plain.write_at(offset, data).unwrap();
        assert_eq!(all(&file), *plain.0.lock().unwrap());
    };
    let resize = |size| {
        file.set_size(size).unwrap();
        plain.set_size(size).unwrap();
        assert_eq!(all(&file), *plain.0.lock().unwrap());
    };
    change(4000, &[2; 200]);
    change(9_990, &[3; 5000]);
    resize(4_100);
    resize(30_000);
    change(20_000, &[4; 9000]);
    assert_eq!(*memory.0.lock().unwrap(), [1; 10_000]);
    file.release().unwrap();
    assert_eq!(*memory.0.lock().unwrap(), *plain.0.lock().unwrap());
}
