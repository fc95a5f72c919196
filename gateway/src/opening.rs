//! A venue's journal opened and played back, from its newest good snapshot.
//!
//! Opening reads every frame and checks it, playing back computes every event again. Where there are threads for it,
//! what is checked is played back while that goes on.

use std::{io, sync::Arc, thread, time::Duration};

use ironbook_journal::{
    Checking, OpenError, Options, Placement, Position, Reader, Recovery, SnapshotError, Storage,
    checking, snapshot,
};

use crate::{
    config::{Acknowledge, Config},
    replay::{Counts, PlayError, Replayed, replay_on_one, replay_on_two_threads},
    retention::describe_gone,
    sessions::SessionTable,
    snapshot::Restored,
    venue::StartError,
};

/// How a journal is played back.
#[derive(Clone, Copy, Debug)]
pub enum Playback {
    /// By threads of its own while the journal is opened; the engine's on this processor if one is given, which need
    /// not be one that the caller may use.
    Beside(Option<usize>),
    /// By the caller, once it is open, as a simulation wants it.
    Behind,
}

/// A journal that was opened, and what it came to.
pub struct Opened<J> {
    /// The journal, as it was opened.
    pub journal: J,
    /// What was found in it.
    pub recovery: Recovery,
    /// Sequence of the snapshot that it was played back from, if there was a good one.
    pub snapshot: Option<u64>,
    /// Why newer snapshots were not used.
    pub refused: Vec<String>,
    /// What had been played back at that snapshot.
    pub before: Counts,
    /// What it came to.
    pub replayed: Replayed,
    /// Sequence numbers of all sessions.
    pub sessions: SessionTable,
}

impl<J, H> Opened<(J, H)> {
    /// The same with what came with the journal apart.
    pub fn split(self) -> (Opened<J>, H) {
        let Self { journal: (journal, rest), recovery, snapshot, refused, before, .. } = self;
        let (replayed, sessions) = (self.replayed, self.sessions);
        (Opened { journal, recovery, snapshot, refused, before, replayed, sessions }, rest)
    }
}

/// Opens the journal and plays it back from the newest snapshot that is good and of this journal; from its first
/// frame when there is none. `open` opens it, with threads of its own or without.
///
/// # Errors
/// [`StartError`] says what is wrong, where, and what to do. What is wrong with the bytes speaks first: what was
/// computed from those before them is of no use then.
pub fn open_journal<J>(
    config: &Config,
    storage: &Arc<dyn Storage>,
    playback: Playback,
    mut open: impl FnMut(Arc<dyn Storage>, Options) -> Result<(J, Recovery), OpenError>,
) -> Result<Opened<J>, StartError> {
    let options = journal_options(config);
    let mut refused = Vec::new();
    let mut refuse = |reason: String| {
        log::warn!("{reason}; an older snapshot is tried, or the whole journal is played back");
        refused.push(reason);
    };
    let snapshots = match snapshot::list(&**storage) {
        // Before the first start there is no directory.
        Err(SnapshotError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            Vec::new()
        }
        listed => listed?,
    };
    for &sequence in snapshots.iter().rev() {
        let restored = match crate::snapshot::read(&**storage, sequence) {
            Ok(restored) => restored,
            Err(reason) => {
                refuse(reason.to_string());
                continue;
            }
        };
        let options = Options { start: Some(restored.checkpoint), ..options.clone() };
        let opened = open_from(Some(restored), storage, playback, |checking| {
            Ok(open(storage.clone(), Options { checking, ..options })?)
        });
        match opened {
            Err(StartError::Journal(reason @ OpenError::StartMismatch { .. })) => {
                refuse(reason.to_string());
            }
            opened => {
                let opened = opened?;
                snapshot::remove_unfinished(&**storage)?;
                return Ok(Opened { refused, ..opened });
            }
        }
    }
    let opened = open_from(None, storage, playback, |checking| {
        let (journal, recovery) = open(storage.clone(), Options { checking, ..options })?;
        match describe_gone(storage.dir(), recovery.first_sequence) {
            Some(gone) => Err(StartError::Gone { dir: storage.dir().into(), gone }),
            None => Ok((journal, recovery)),
        }
    })?;
    snapshot::remove_unfinished(&**storage)?;
    Ok(Opened { refused, ..opened })
}

/// Opens the journal and plays it back from what a snapshot tells, or from its first frame.
fn open_from<J>(
    restored: Option<Restored>,
    storage: &Arc<dyn Storage>,
    playback: Playback,
    open: impl FnOnce(Option<Checking>) -> Result<(J, Recovery), StartError>,
) -> Result<Opened<J>, StartError> {
    let snapshot = restored.as_ref().map(|restored| restored.checkpoint.sequence);
    let (from, sessions) =
        restored.map_or_else(Default::default, |known| (known.replayed, known.sessions));
    let before = from.counts;
    let start = from.end.unwrap_or(Position::START);
    // What was checked is trusted.
    let trusting = |mut reader: Reader| {
        reader.set_verify(false);
        reader.seek(start);
        reader
    };
    let reader = || Ok::<_, StartError>(trusting(Reader::open_in(storage.clone())?));
    let wrong = |error| match error {
        PlayError::Read(error) => error.into(),
        PlayError::Replay(source) => StartError::Replay { dir: storage.dir().into(), source },
        PlayError::Thread(error) => error.into(),
    };
    let ((journal, recovery), (replayed, sessions)) = match playback {
        Playback::Behind => {
            let opened = open(None)?;
            let played = match opened.1.frames {
                0 => (from, sessions),
                _ => replay_on_one([reader()?, reader()?], from, sessions).map_err(wrong)?,
            };
            (opened, played)
        }
        Playback::Beside(processor) => {
            let (checking, checked) = checking();
            let play = || match checked.reader(storage.clone())? {
                None => Ok((from, sessions)),
                Some(second) => {
                    let readers = [reader()?, trusting(second)];
                    replay_on_two_threads(readers, from, sessions, None, processor).map_err(wrong)
                }
            };
            thread::scope(|scope| {
                let player =
                    thread::Builder::new().name("playback".to_owned()).spawn_scoped(scope, play)?;
                // What says how far this is goes with it, so the player ends when it fails.
                let opened = open(Some(checking));
                let played = player.join().map_err(|_| io::Error::other("playback panicked"))?;
                Ok::<_, StartError>((opened?, played?))
            })?
        }
    };
    assert_eq!(replayed.last_sequence.0, recovery.last_sequence, "played back to another place");
    let refused = Vec::new();
    Ok(Opened { journal, recovery, snapshot, refused, before, replayed, sessions })
}

/// How a venue with this configuration writes its journal.
fn journal_options(config: &Config) -> Options {
    let (placement, sync_interval) = match config.venue.acknowledge {
        Acknowledge::Durable => (Placement::InMemory, Duration::ZERO),
        Acknowledge::Written => {
            (Placement::InFile, Duration::from_millis(config.journal.sync_interval_ms))
        }
    };
    let mut build_id = [0; 32];
    let version = env!("CARGO_PKG_VERSION").as_bytes();
    build_id[..version.len()].copy_from_slice(version);
    Options {
        segment_bytes: config.journal.segment_bytes,
        prepared_ahead: config.journal.prepared_ahead,
        sync_interval,
        placement,
        build_id,
        config_hash: config_hash(config),
        start: None,
        checking: None,
    }
}

/// Tells configurations apart in segment headers: FNV-1a over the effective configuration as text.
fn config_hash(config: &Config) -> u64 {
    let text = crate::config::render(config);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
