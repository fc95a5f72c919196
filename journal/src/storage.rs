//! What a journal needs of a directory, as a trait: the real one is [`FileStorage`], the one for
//! simulations and tests [`SimulatedStorage`](crate::SimulatedStorage).
//!
//! Only cold operations go through it. Appends, commits and reads touch a map that it made, and
//! nothing else.

use std::any::Any;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{Access, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;

use crate::format::SEGMENT_BYTES_MIN;
use crate::map::Map;

/// Written at a time when a segment is filled with zeros; divides every segment size.
const ZEROS_BYTES: usize = 64 * 1024;
const _: () = assert!(SEGMENT_BYTES_MIN.is_multiple_of(ZEROS_BYTES as u64));

const LOCK_NAME: &str = "LOCK";
/// [`Storage::lock_holder`] takes the lock for a moment; a writer that starts in it tries again.
const LOCK_ATTEMPTS: u32 = 5;
const LOCK_RETRY: Duration = Duration::from_millis(20);

/// Where frames are until they are durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placement {
    /// In the file, through its map: what is committed survives the process. A sync protects pages
    /// against the writer, which takes page faults then.
    #[default]
    InFile,
    /// In memory beside the file, which gets them when they are synced: what is committed and not
    /// durable dies with the process. No sync is ever in the writer's way, and one costs less. For a
    /// journal that nobody believes before it is durable.
    InMemory,
}

/// How the blocks of a new segment come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Reserved on the disk, to be written with the frames: half the writing, for a journal that is
    /// synced now and then. A sync then also records which blocks are in use.
    Reserved,
    /// Written with zeros, so that a later sync has frames to write and nothing else: for a journal
    /// that is synced all the time.
    Written,
}

impl Placement {
    /// The better kind of blocks.
    pub(crate) fn blocks(self) -> Blocks {
        match self {
            Self::InFile => Blocks::Reserved,
            Self::InMemory => Blocks::Written,
        }
    }
}

/// The exclusive right to write, held until it is dropped, or its process ends in whatever way.
pub struct Lock(#[allow(dead_code, reason = "held, not used")] Box<dyn Any + Send + Sync>);

impl Lock {
    pub(crate) fn new(holder: impl Send + Sync + 'static) -> Lock {
        Lock(Box::new(holder))
    }
}

/// Why a directory can't be locked.
#[derive(Debug)]
pub enum LockError {
    /// Another writer holds the lock.
    Held {
        /// What the holder says about itself: its process id.
        holder: String,
    },
    /// The directory or the lock's file can't be created or written.
    NotWritable(io::Error),
    /// The system refused the lock itself.
    Failed(io::Error),
}

/// A directory of files. Files are named within it; every operation stands for itself.
///
/// Nothing is durable before it is synced: bytes and length of a file by [`sync`](Self::sync) or
/// through its map, names (created, renamed, removed) by [`sync_dir`](Self::sync_dir). Errors have
/// the kinds of the file system: `NotFound`, `StorageFull`, `ReadOnlyFilesystem` and so on.
///
/// Only this crate implements it, since only this crate makes maps.
pub trait Storage: Send + Sync {
    /// What messages call the directory.
    fn dir(&self) -> &Path;

    /// Takes the exclusive right to write, and creates the directory if there is none.
    ///
    /// # Errors
    /// See [`LockError`].
    fn lock(&self) -> Result<Lock, LockError>;

    /// What the holder of the lock says about itself, if somebody has it. Changes nothing.
    fn lock_holder(&self) -> Option<String>;

    /// Refuses a directory that can't be written.
    ///
    /// # Errors
    /// Why it can't.
    fn check_writable(&self) -> io::Result<()>;

    /// The names of all files.
    ///
    /// # Errors
    /// As the system has them; so for all that follow.
    fn names(&self) -> io::Result<Vec<String>>;

    /// Bytes of a file.
    ///
    /// # Errors
    /// `NotFound` and others.
    fn file_len(&self, name: &str) -> io::Result<u64>;

    /// Reads from `offset` on until `buffer` is full or the file ends. Returns the bytes read.
    ///
    /// # Errors
    /// `NotFound` and others.
    fn read_at(&self, name: &str, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// A part may have been written then.
    fn write_all_at(&self, name: &str, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Creates a file of `bytes`, or replaces what a file of this name has.
    ///
    /// # Errors
    /// A part may have been written then.
    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<()>;

    /// Creates a file of `len` zeros, or replaces what a file of this name has. Where zeros are written, it sleeps for
    /// `pause` behind each 64 KiB, for the sake of who shares the processor.
    ///
    /// # Errors
    /// `StorageFull` when the disk has no room for all of it, and others.
    fn create_zeros(&self, name: &str, len: u64, blocks: Blocks, pause: Duration)
    -> io::Result<()>;

    /// Makes a file `len` bytes long, with zeros where it had none, and gives it its blocks.
    ///
    /// # Errors
    /// `StorageFull` when the disk has no room for all of it, and others.
    fn set_len(&self, name: &str, len: u64) -> io::Result<()>;

    /// Makes bytes and length of a file durable.
    ///
    /// # Errors
    /// What was not written then counts as written with the system: another sync is no help before
    /// the bytes are stored again.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, and removes a file that had it.
    ///
    /// # Errors
    /// Nothing is changed then.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Nothing is changed then.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names durable.
    ///
    /// # Errors
    /// Names since the last time may be durable or not.
    fn sync_dir(&self) -> io::Result<()>;

    /// Maps a file of `len` bytes for the writer.
    ///
    /// # Errors
    /// `InvalidData` when the file has another length, and others.
    fn map_writable(&self, name: &str, len: usize) -> io::Result<Map>;

    /// Memory beside a file of `len` bytes, for the writer. The file has `filled` bytes that are not
    /// zero at the most; they are in the memory, too.
    ///
    /// # Errors
    /// As for [`map_writable`](Self::map_writable).
    fn map_beside(&self, name: &str, len: usize, filled: usize) -> io::Result<Map>;

    /// Maps a file of `len` bytes for a reader.
    ///
    /// # Errors
    /// `InvalidData` when the file has another length, and others.
    fn map_read_only(&self, name: &str, len: usize) -> io::Result<Map>;

    /// Wall clock, ns since 1970.
    fn wall_clock_ns(&self) -> u64;
}

/// A directory of the file system.
#[derive(Clone, Debug)]
pub struct FileStorage {
    dir: PathBuf,
}

impl FileStorage {
    /// Nothing is opened or created by this.
    pub fn new(dir: impl Into<PathBuf>) -> FileStorage {
        FileStorage { dir: dir.into() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn open(&self, name: &str) -> io::Result<File> {
        File::open(self.path(name))
    }

    fn open_writable(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path(name))
    }

    /// The directory of this name in this one.
    pub(crate) fn subdirectory(&self, name: &str) -> FileStorage {
        FileStorage::new(self.path(name))
    }

    /// Makes a [`subdirectory`](Self::subdirectory); its name is durable on return.
    pub(crate) fn create_dir(&self, subdirectory: &FileStorage) -> io::Result<()> {
        fs::create_dir(&subdirectory.dir)?;
        self.sync_dir()
    }

    /// Moves a file to another directory of the same file system; the names are durable on return.
    pub(crate) fn move_to(&self, name: &str, other: &FileStorage) -> io::Result<()> {
        fs::rename(self.path(name), other.path(name))?;
        other.sync_dir()?;
        self.sync_dir()
    }

    /// Copies a file to another directory; the copy is durable on return.
    pub(crate) fn copy_to(&self, name: &str, other: &FileStorage) -> io::Result<()> {
        fs::copy(self.path(name), other.path(name))?;
        other.sync(name)?;
        other.sync_dir()
    }
}

impl Storage for FileStorage {
    fn dir(&self) -> &Path {
        &self.dir
    }

    fn lock(&self) -> Result<Lock, LockError> {
        create_dirs(&self.dir, &mut sync_dir_at).map_err(LockError::NotWritable)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(self.path(LOCK_NAME))
            .map_err(LockError::NotWritable)?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if attempt < LOCK_ATTEMPTS => {
                    thread::sleep(LOCK_RETRY);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held { holder: holder(&mut file) });
                }
                Err(TryLockError::Error(source)) => return Err(LockError::Failed(source)),
            }
        }
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .map_err(LockError::NotWritable)?;
        Ok(Lock::new(file))
    }

    fn lock_holder(&self) -> Option<String> {
        let mut file = self.open(LOCK_NAME).ok()?;
        let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        held.then(|| holder(&mut file))
    }

    fn check_writable(&self) -> io::Result<()> {
        Ok(rustix::fs::access(&self.dir, Access::WRITE_OK)?)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            // Names that are no text are not ours.
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn file_len(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path(name))?.len())
    }

    fn read_at(&self, name: &str, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let file = self.open(name)?;
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read_at(&mut buffer[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_all_at(&self, name: &str, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.open_writable(name)?.write_all_at(bytes, offset)
    }

    fn create(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::write(self.path(name), bytes)
    }

    fn create_zeros(
        &self,
        name: &str,
        len: u64,
        blocks: Blocks,
        pause: Duration,
    ) -> io::Result<()> {
        let mut file = File::create(self.path(name))?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len)?;
        if blocks == Blocks::Written {
            let zeros = vec![0; ZEROS_BYTES];
            for _ in 0..len / ZEROS_BYTES as u64 {
                file.write_all(&zeros)?;
                if !pause.is_zero() {
                    thread::sleep(pause);
                }
            }
        }
        Ok(())
    }

    fn set_len(&self, name: &str, len: u64) -> io::Result<()> {
        let file = self.open_writable(name)?;
        file.set_len(len)?;
        Ok(rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, len)?)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.open(name)?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        sync_dir_at(&self.dir)
    }

    fn map_writable(&self, name: &str, len: usize) -> io::Result<Map> {
        Map::writable(&self.open_writable(name)?, len)
    }

    fn map_beside(&self, name: &str, len: usize, filled: usize) -> io::Result<Map> {
        let (path, flags) = (self.path(name), OFlags::DSYNC | OFlags::WRONLY | OFlags::CLOEXEC);
        let durable = match rustix::fs::open(&path, flags | OFlags::DIRECT, Mode::empty()) {
            // A file system that has no way past its cache.
            Err(Errno::INVAL) => rustix::fs::open(&path, flags, Mode::empty()),
            opened => opened,
        };
        Map::beside(&self.open_writable(name)?, durable?.into(), len, filled)
    }

    fn map_read_only(&self, name: &str, len: usize) -> io::Result<Map> {
        Map::read_only(&self.open(name)?, len)
    }

    fn wall_clock_ns(&self) -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64)
    }
}

/// Makes the names in a directory durable.
fn sync_dir_at(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates a directory, and those above it, where there is none. Each that was made gets its name synced in the one
/// above: what is durable in a directory is of no use where that is gone.
fn create_dirs(dir: &Path, sync: &mut dyn FnMut(&Path) -> io::Result<()>) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    let above = match dir.parent() {
        None => return fs::create_dir(dir),
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
    };
    create_dirs(above, sync)?;
    match fs::create_dir(dir) {
        // Somebody else was faster.
        Err(_) if dir.is_dir() => {}
        made => made?,
    }
    sync(above)
}

/// What the lock's holder wrote into its file: a help for the reader of the message, no more.
fn holder(file: &mut File) -> String {
    let mut pid = String::new();
    let _ = file.take(20).read_to_string(&mut pid);
    if pid.is_empty() { "of unknown id".into() } else { pid }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Creates a directory; those in which a name was synced, in turn.
    fn create(dir: &Path) -> io::Result<Vec<PathBuf>> {
        let mut synced = Vec::new();
        create_dirs(dir, &mut |above| {
            synced.push(above.to_owned());
            sync_dir_at(above)
        })?;
        assert!(dir.is_dir());
        Ok(synced)
    }

    #[test]
    fn each_directory_that_is_made_gets_a_durable_name() {
        let scratch = tempfile::tempdir().unwrap();
        let above = scratch.path().to_owned();
        let (first, second, third) = (above.join("a"), above.join("a/b"), above.join("a/b/c"));
        let synced = create(&third).unwrap();
        assert_eq!(synced, [above.clone(), first, second.clone()], "from above");
        assert_eq!(create(&third).unwrap(), [""; 0].map(PathBuf::from), "it is there");
        assert_eq!(create(&above.join("a/b/d/")).unwrap(), [second]);

        // What stands in the way is no directory, and a link to one is.
        fs::write(above.join("file"), b"").unwrap();
        create(&above.join("file")).expect_err("a file");
        create(&above.join("file/e")).expect_err("a file above");
        std::os::unix::fs::symlink(&third, above.join("link")).unwrap();
        create(&above.join("link/f")).unwrap();
        assert!(third.join("f").is_dir());
    }

    #[test]
    fn a_directory_whose_name_is_not_durable_is_refused() {
        let scratch = tempfile::tempdir().unwrap();
        let refuse = &mut |_: &Path| Err(io::ErrorKind::Other.into());
        create_dirs(&scratch.path().join("a"), refuse).expect_err("not synced");
    }
}
