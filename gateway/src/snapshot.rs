//! What a snapshot of the venue holds: engine, sessions and counts up to a place in the journal.
//!
//! ```text
//! payload     0         4           8                  56             64         64 + sessions_len
//!             +---------+-----------+------------------+--------------+----------+--------------+
//!             | version | rules (4) | counts (six u64) | sessions_len | sessions | engine state |
//!             +---------+-----------+------------------+--------------+----------+--------------+
//! ```
//!
//! The sessions are drawn in `sessions.rs`, the state in `engine/src/engine/state.rs`, what stands
//! before the payload in `journal/src/snapshot.rs`. `rules` is the version of the matching rules: a
//! snapshot of others is not used.

use std::path::PathBuf;

use ironbook_engine::{Engine, Sequence, Sequencer, StateError, Timestamp, command::RULES_VERSION};
use ironbook_journal::{
    SnapshotError, Storage,
    snapshot::{self, Checkpoint, Snapshot, check_place},
};
use thiserror::Error;

use crate::{
    replay::{Counts, Replayed},
    sessions::SessionTable,
};

/// Version of the payload.
pub const CONTENT_VERSION: u32 = 4;
/// The oldest version that is read: one whose sessions have no throttles.
pub const CONTENT_VERSION_MIN: u32 = 3;

/// Bytes before the sessions.
const HEAD_BYTES: usize = 64;

/// Why a snapshot is not used.
#[derive(Debug, Error)]
pub enum Refused {
    /// The file is no good.
    #[error(transparent)]
    File(#[from] SnapshotError),
    /// Another program wrote it.
    #[error(
        "{file} has content version {found} with matching rules {rules}, this program reads versions {CONTENT_VERSION_MIN} to {CONTENT_VERSION} with rules {RULES_VERSION}",
        file = file.display()
    )]
    Version {
        /// The snapshot.
        file: PathBuf,
        /// Its content's version.
        found: u32,
        /// Its version of the matching rules.
        rules: u32,
    },
    /// Its bytes are as they were written, but make no venue.
    #[error("{file}: {what}", file = file.display())]
    Content {
        /// The snapshot.
        file: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// The engine's part makes no engine.
    #[error("{file}: {source}", file = file.display())]
    State {
        /// The snapshot.
        file: PathBuf,
        /// What is wrong with it.
        source: StateError,
    },
}

/// A venue as a snapshot tells it: where a replay goes on.
#[derive(Debug)]
pub struct Restored {
    /// The place in the journal behind what it tells.
    pub checkpoint: Checkpoint,
    /// State, counts and the end of what they tell of.
    pub replayed: Replayed,
    /// Sequence numbers of all sessions.
    pub sessions: SessionTable,
}

/// The payload of a snapshot.
pub fn encode(engine: &Engine, sessions: &SessionTable, counts: &Counts) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&CONTENT_VERSION.to_le_bytes());
    out.extend_from_slice(&rules(engine.limits().rules_version).to_le_bytes());
    let Counts { frames, commands, events, trades, rejects, session_records } = *counts;
    for count in [frames, commands, events, trades, rejects, session_records, 0] {
        out.extend_from_slice(&count.to_le_bytes());
    }
    sessions.write(&mut out);
    let sessions_len = (out.len() - HEAD_BYTES) as u64;
    out[HEAD_BYTES - 8..HEAD_BYTES].copy_from_slice(&sessions_len.to_le_bytes());
    engine.write_state(&mut out);
    out
}

/// Versions of the rules are small; one that is not is none of ours.
fn rules(version: u64) -> u32 {
    u32::try_from(version).unwrap_or(u32::MAX)
}

/// Checks the versions of a snapshot's payload, which says whether this program can use it.
///
/// # Errors
/// [`Refused`] names the file and what is wrong.
pub fn check_version(storage: &dyn Storage, snapshot: &Snapshot) -> Result<(), Refused> {
    let (found, ruled) = (version_at(&snapshot.payload, 0), version_at(&snapshot.payload, 4));
    if (CONTENT_VERSION_MIN..=CONTENT_VERSION).contains(&found) && ruled == rules(RULES_VERSION) {
        return Ok(());
    }
    let file = snapshot::path(storage.dir(), snapshot.checkpoint.sequence);
    Err(Refused::Version { file, found, rules: ruled })
}

/// A version that a payload begins with: its own, or behind it that of the rules; 0 where it ends before.
fn version_at(payload: &[u8], at: usize) -> u32 {
    let bytes = payload.get(at..).and_then(|rest| rest.first_chunk::<4>());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Reads the snapshot of a sequence.
///
/// # Errors
/// [`Refused`] names the file and what is wrong.
pub fn read(storage: &dyn Storage, sequence: u64) -> Result<Restored, Refused> {
    let snapshot = snapshot::read(storage, sequence)?;
    check_version(storage, &snapshot)?;
    let file = || snapshot::path(storage.dir(), sequence);
    let parts = decode(&snapshot.payload);
    let (counts, sessions, state) =
        parts.ok_or_else(|| Refused::Content { file: file(), what: "its sessions are none" })?;
    let engine =
        Engine::read_state(state).map_err(|source| Refused::State { file: file(), source })?;
    if engine.totals().commands != counts.commands {
        return Err(Refused::Content { file: file(), what: "engine and counts disagree" });
    }
    let Snapshot { checkpoint, time_ns, .. } = snapshot;
    let time = Timestamp(time_ns);
    let replayed = Replayed {
        engine: Some(engine),
        sequencer: Sequencer::new(Sequence(checkpoint.sequence + 1), time),
        counts,
        last_sequence: Sequence(checkpoint.sequence),
        last_time: time,
        end: Some(checkpoint.position),
    };
    Ok(Restored { checkpoint, replayed, sessions })
}

/// The oldest good snapshot of a journal whose first segments are gone: the one from which the most
/// can be played back. It covers no more than the frames up to `until`.
///
/// # Errors
/// When the directory can't be read. Snapshots that are not used are named in the log.
pub fn oldest_usable(
    storage: &dyn Storage,
    until: Sequence,
) -> Result<Option<Restored>, SnapshotError> {
    let sequences = snapshot::list(storage)?;
    for sequence in sequences.into_iter().filter(|&sequence| sequence <= until.0) {
        let usable =
            read(storage, sequence).map_err(|reason| reason.to_string()).and_then(|restored| {
                check_place(storage, &restored.checkpoint).map_err(|reason| reason.to_string())?;
                Ok(restored)
            });
        match usable {
            Ok(restored) => return Ok(Some(restored)),
            Err(reason) => log::warn!("{reason}; a newer snapshot is tried"),
        }
    }
    Ok(None)
}

/// Counts, sessions, and the bytes of the engine's state.
fn decode(payload: &[u8]) -> Option<(Counts, SessionTable, &[u8])> {
    let (head, rest) = payload.split_at_checked(HEAD_BYTES)?;
    let (words, _) = head[8..].as_chunks::<8>();
    let word = |index: usize| u64::from_le_bytes(words[index]);
    let counts = Counts {
        frames: word(0),
        commands: word(1),
        events: word(2),
        trades: word(3),
        rejects: word(4),
        session_records: word(5),
    };
    let (sessions, state) = rest.split_at_checked(usize::try_from(word(6)).ok()?)?;
    let has_throttles = version_at(payload, 0) > CONTENT_VERSION_MIN;
    Some((counts, SessionTable::read(sessions, has_throttles)?, state))
}

#[cfg(test)]
mod tests {
    use ironbook_engine::EngineLimits;
    use ironbook_journal::FileStorage;

    use super::*;

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            sequence: 9,
            position: ironbook_journal::Position::new(4_200),
            running_hash: 1,
            segment_bytes: 1 << 16,
        }
    }

    fn payload() -> Vec<u8> {
        let engine = Engine::new(EngineLimits { orders_max: 8, ..EngineLimits::default() });
        let counts = Counts { frames: 9, rejects: 3, ..Counts::default() };
        encode(&engine, &SessionTable::default(), &counts)
    }

    fn refused(payload: &[u8]) -> String {
        let dir = tempfile::tempdir().unwrap();
        snapshot::write(&FileStorage::new(dir.path()), &checkpoint(), 77, payload).unwrap();
        let message = read(&FileStorage::new(dir.path()), 9).unwrap_err().to_string();
        assert!(message.contains("snapshot-00000000000000000009.snap"), "{message}");
        message
    }

    #[test]
    fn reads_back_what_it_encodes() {
        let dir = tempfile::tempdir().unwrap();
        snapshot::write(&FileStorage::new(dir.path()), &checkpoint(), 77, &payload()).unwrap();
        let restored = read(&FileStorage::new(dir.path()), 9).unwrap();
        assert_eq!(restored.checkpoint, checkpoint());
        let replayed = restored.replayed;
        assert_eq!((replayed.counts.frames, replayed.counts.rejects), (9, 3));
        assert_eq!((replayed.last_sequence, replayed.last_time), (Sequence(9), Timestamp(77)));
        assert_eq!(replayed.sequencer.next(), Sequence(10));
        assert_eq!(replayed.engine.unwrap().limits().orders_max, 8);
    }

    /// A snapshot of before sessions had throttles: without sessions it is the same but for its version.
    #[test]
    fn an_older_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut payload = payload();
        for (version, is_read) in [(2, false), (3, true), (4, true), (5, false)] {
            payload[0] = version;
            snapshot::write(&FileStorage::new(dir.path()), &checkpoint(), 77, &payload).unwrap();
            let restored = read(&FileStorage::new(dir.path()), 9);
            assert_eq!(restored.is_ok(), is_read, "version {version}");
        }
    }

    #[test]
    fn what_is_no_venue_is_refused_with_its_reason() {
        let good = payload();
        let changed = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            refused(&bytes)
        };
        assert!(changed(0, 9).contains("content version 9"));
        assert!(changed(4, 99).contains("matching rules 99"));
        assert!(changed(16, 1).contains("engine and counts disagree"));
        assert!(changed(56, 0xff).contains("its sessions are none"));
        assert!(changed(HEAD_BYTES + 40, 1).contains("hash"), "the engine's own check");
        for length in [0, 5, HEAD_BYTES - 1, HEAD_BYTES + 8, good.len() - 1] {
            refused(&good[..length]);
        }
    }
}
