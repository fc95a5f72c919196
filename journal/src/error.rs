//! What can go wrong: what, where, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::format::FORMAT_VERSION;
use crate::snapshot::SNAPSHOT_VERSION;

/// Why a journal can't be opened. Nothing in the directory was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another writer holds the directory's lock.
    #[error("journal {dir} is in use by process {pid}; stop it first", dir = dir.display())]
    InUse {
        /// The journal's directory.
        dir: PathBuf,
        /// What the holder wrote into `LOCK`: its process id.
        pid: String,
    },
    /// The directory can't be created or written.
    #[error(
        "journal directory {dir} can't be written: {source}; \
         check its owner, its mode and whether the file system is mounted read-only",
        dir = dir.display()
    )]
    NotWritable {
        /// The journal's directory.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The directory holds no journal.
    #[error("{dir} holds no journal (no *.seg file); check the path", dir = dir.display())]
    NoJournal {
        /// The directory that was looked at.
        dir: PathBuf,
    },
    /// No room for the first segments.
    #[error(
        "no room for {needed} bytes of segments in {dir}: {source}; \
         free space or choose a smaller segment size",
        dir = dir.display()
    )]
    DiskFull {
        /// The journal's directory.
        dir: PathBuf,
        /// Bytes that must be free.
        needed: u64,
        /// What the system said.
        source: io::Error,
    },
    /// A segment was written in another format version.
    #[error(
        "{file} has journal format version {found}, this program reads version \
         {FORMAT_VERSION}; use the program that wrote it",
        file = file.display()
    )]
    VersionMismatch {
        /// The segment.
        file: PathBuf,
        /// The version in its header.
        found: u32,
    },
    /// Damage before valid or durable frames.
    #[error(
        "journal is damaged in {file} at offset {offset}: {what}; the last good sequence is \
         {last_good_sequence}; nothing was changed; `ironbook verify {dir}` shows details, \
         `ironbook repair {dir}` what could be kept and what would be lost",
        file = file.display(), dir = dir.display()
    )]
    Corrupt {
        /// The journal's directory.
        dir: PathBuf,
        /// The segment.
        file: PathBuf,
        /// Bytes from the start of the segment.
        offset: u64,
        /// The last sequence before the damage, 0 for none.
        last_good_sequence: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// A segment between others is gone.
    #[error(
        "segment {file} is missing, frames after sequence {last_good_sequence} are lost without \
         it; put it back from a copy, or let `ironbook repair {dir}` show what could be kept",
        file = file.display(), dir = directory(file)
    )]
    MissingSegment {
        /// The segment.
        file: PathBuf,
        /// The last sequence before the gap, 0 for none.
        last_good_sequence: u64,
    },
    /// There are no frames, and a snapshot of some.
    #[error(
        "journal {dir} has no frames, but {snapshot} is good and tells of frames up to sequence {sequence}: its \
         segments (*.seg) are gone, or nothing is in them; nothing was changed; put them back from a copy, or, to \
         begin anew, use another directory or move the snapshots (*.snap) away",
        dir = dir.display(), snapshot = snapshot.display()
    )]
    FramesGone {
        /// The journal's directory.
        dir: PathBuf,
        /// The newest good snapshot.
        snapshot: PathBuf,
        /// Sequence of the last frame that it covers.
        sequence: u64,
    },
    /// The place to start from is not of this journal, or the journal ends before it.
    #[error(
        "a snapshot up to sequence {sequence} doesn't fit the journal {dir}: {what}",
        dir = dir.display()
    )]
    StartMismatch {
        /// The journal's directory.
        dir: PathBuf,
        /// Sequence of the last frame before the place.
        sequence: u64,
        /// What doesn't fit.
        what: &'static str,
    },
    /// An option outside its range.
    #[error("{what}; correct the configuration")]
    InvalidOptions {
        /// The option, its value and its range.
        what: String,
    },
    /// Anything else the system refused.
    #[error("can't {what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The journal of a segment.
fn directory(file: &Path) -> std::path::Display<'_> {
    file.parent().unwrap_or(file).display()
}

impl OpenError {
    /// For `map_err`: the system refused to do `what` with `path`.
    pub(crate) fn io(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> OpenError {
        let path = path.into();
        move |source| OpenError::Io { what, path, source }
    }
}

/// Why a reader can't go on. It stays where it is, and reports the same again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The next frame is damaged.
    #[error(
        "journal is damaged in {file} at offset {offset}: {what}; the last good sequence is \
         {last_good_sequence}; `ironbook repair {dir}` shows what could be kept",
        file = file.display(), dir = directory(file)
    )]
    Corrupt {
        /// The segment.
        file: PathBuf,
        /// Bytes from the start of the segment.
        offset: u64,
        /// The last sequence read, 0 for none.
        last_good_sequence: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// The segment was written in another format version.
    #[error(
        "{file} has journal format version {found}, this program reads version {FORMAT_VERSION}",
        file = file.display()
    )]
    VersionMismatch {
        /// The segment.
        file: PathBuf,
        /// The version in its header.
        found: u32,
    },
    /// The segment can't be opened or mapped.
    #[error("can't read {file}: {source}", file = file.display())]
    Io {
        /// The segment.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What is wrong with a snapshot.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SnapshotError {
    /// Its bytes are not those that were written.
    #[error("{file} is no good snapshot: {what}", file = file.display())]
    Damaged {
        /// The snapshot.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It was written in another format version.
    #[error(
        "{file} has snapshot format version {found}, this program reads version \
         {SNAPSHOT_VERSION}",
        file = file.display()
    )]
    VersionMismatch {
        /// The snapshot.
        file: PathBuf,
        /// The version in its header.
        found: u32,
    },
    /// The system refused.
    #[error("can't {what} {file}: {source}", file = file.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// The snapshot, or its directory.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl SnapshotError {
    /// For `map_err`: the system refused to do `what` with `file`.
    pub(crate) fn io(
        what: &'static str,
        file: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> SnapshotError {
        let file = file.into();
        move |source| SnapshotError::Io { what, file, source }
    }
}
