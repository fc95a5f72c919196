//! One writer per directory: an exclusive lock on the file `LOCK`, which names the holder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::error::OpenError;

const NAME: &str = "LOCK";

/// [`is_held`] takes the lock for a moment; a writer that starts in it tries again.
const ATTEMPTS: u32 = 5;
const RETRY: Duration = Duration::from_millis(20);

/// Held until it is dropped, or its process ends in whatever way.
pub(crate) struct Lock(#[allow(dead_code)] File);

impl Lock {
    pub fn acquire(dir: &Path) -> Result<Lock, OpenError> {
        let path = dir.join(NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| OpenError::NotWritable { dir: dir.into(), source })?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < ATTEMPTS => thread::sleep(RETRY),
                Err(TryLockError::WouldBlock) => return Err(in_use(dir, &mut file)),
                Err(TryLockError::Error(source)) => {
                    return Err(OpenError::Io { what: "lock", path, source });
                }
            }
        }
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(|source| OpenError::NotWritable { dir: dir.into(), source })?;
        Ok(Lock(file))
    }
}

/// Whether a writer has the journal open. Changes nothing.
pub(crate) fn is_held(dir: &Path) -> bool {
    let Ok(file) = File::open(dir.join(NAME)) else { return false };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The error for a lock that [`is_held`].
pub(crate) fn held(dir: &Path) -> OpenError {
    match File::open(dir.join(NAME)) {
        Ok(mut file) => in_use(dir, &mut file),
        Err(source) => OpenError::Io { what: "open", path: dir.join(NAME), source },
    }
}

fn in_use(dir: &Path, file: &mut File) -> OpenError {
    let mut pid = String::new();
    // The text is a help for the reader of the message; the lock is what refuses.
    let _ = file.take(20).read_to_string(&mut pid);
    let pid = if pid.is_empty() { "of unknown id".into() } else { pid };
    OpenError::InUse { dir: dir.into(), pid }
}
