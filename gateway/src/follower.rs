//! The follower: a second engine that does behind the core what the core has done, so that what the
//! venue promises is tested while it runs, and snapshots cost the core nothing.
//!
//! ```text
//! core ──▶ journal ──tail──▶ follower: every command applied, every event compared
//!                               │  equal: every so often a snapshot, then retention
//!                               └▶ different: an error, all instruments halted, no snapshot
//! ```
//!
//! Nobody waits for it: it sleeps between two looks, and may be far behind.

use std::{
    mem,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use ironbook_engine::{Engine, Timestamp};
use ironbook_journal::{
    DirectoryLock, DurablePosition, Frame, Position, Storage,
    snapshot::{self, Checkpoint},
};

use crate::{
    agent::Agent,
    audit::Audit,
    clock::Clock,
    replay::{Frames, PlayError, Player, Replayed, fold},
    retention::{Delivered, Retention},
    sessions::SessionTable,
    snapshot::encode,
};

/// Time between two looks at the journal when there was nothing, at the least and, when there is
/// nothing for longer, at the most.
pub const INTERVAL: Duration = Duration::from_millis(10);
/// See `INTERVAL`; also what a stop may have to wait for.
pub const INTERVAL_MAX: Duration = Duration::from_millis(50);

/// Inputs played back in one turn: a fraction of a second, even in a slow build.
const STEPS_PER_TURN: usize = 4_096;
/// A turn ends after so long where somebody wants the processor, too. A thread of the lowest priority
/// that does not end its turn by itself has it until the scheduler's next tick: whoever shares it
/// stands still for up to 4 ms. Where nobody does, each turn is twice as long as the one before, up
/// to [`TURN_NS_MAX`]; at a stop, which waits for the follower, no turn ends by time.
pub const TURN_NS: u64 = 200_000;
/// See [`TURN_NS`]: whoever comes then waits for so long, once.
pub const TURN_NS_MAX: u64 = 16 * TURN_NS;
/// Inputs played back between two looks at the clock.
pub const STEPS_PER_LOOK: usize = 16;
/// Time between two turns where there may be more: the shortest sleep that the system has, as what
/// counts is that the turn is over.
const REST: Duration = Duration::from_micros(50);
/// A rest that takes no longer was not followed by a wait for the processor, even where a wake-up
/// takes its time.
const REST_ALONE_MAX: Duration = Duration::from_millis(1);

/// Commands since the last snapshot from which on a stop is worth another: fewer are played back
/// faster than a snapshot is written.
const STOP_COMMANDS_MIN: u64 = 100_000;

/// Longest time that a stop waits for the follower to catch up. The journal is closed by then, so
/// nothing but the last snapshot depends on it.
pub const STOP_NS_MAX: u64 = 5_000_000_000;

/// Frames that keep count of sessions and the running hash as somebody takes them.
struct Followed<F> {
    frames: F,
    sessions: SessionTable,
    running_hash: u64,
    /// Frames that the group at hand still has.
    group_left: u32,
}

impl<F: Frames> Frames for Followed<F> {
    #[inline]
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        let Some(frame) = self.frames.next_frame()? else { return Ok(None) };
        fold(&mut self.sessions, &frame)?;
        self.running_hash = frame.running_hash(self.running_hash);
        if frame.group_frames > 0 {
            self.group_left = frame.group_frames;
        }
        self.group_left = self.group_left.saturating_sub(1);
        Ok(Some(frame))
    }
}

/// Where a follower begins: at the end of a group.
pub struct Start {
    /// What was played back, without the engine.
    pub replayed: Replayed,
    /// The engine's state there, or none before the first command.
    pub state: Option<Vec<u8>>,
    /// Sessions there.
    pub sessions: SessionTable,
    /// Running hash of the journal there.
    pub running_hash: u64,
    /// Commands in the snapshot that the venue started from, 0 for none.
    pub snapshot_commands: u64,
}

/// How often snapshots are written, and what of.
pub struct Settings {
    /// Commands between two snapshots; 0 for none.
    pub every_commands: u64,
    /// Holds the journal.
    pub storage: Arc<dyn Storage>,
    /// Bytes of the journal's segments.
    pub segment_bytes: u64,
    /// What becomes of old snapshots and segments.
    pub retention: Retention,
    /// How far those are who tell clients of the journal.
    pub delivered: Vec<Delivered>,
    /// Keeps others away from the directory until the last snapshot is written.
    pub lock: DirectoryLock,
}

/// A snapshot that waits until the frames it covers are durable.
struct Pending {
    checkpoint: Checkpoint,
    time_ns: u64,
    payload: Vec<u8>,
}

/// The agent that follows.
pub struct Follower<F, C> {
    player: Player<Followed<F>>,
    /// The engine's state, until the first turn.
    state: Option<Vec<u8>>,
    audit: Arc<Audit>,
    durable: DurablePosition,
    settings: Settings,
    clock: C,
    /// Commands up to the latest snapshot.
    snapshot_commands: u64,
    pending: Option<Pending>,
    /// The audit is over: something differed, or can't be read.
    ended: bool,
    /// The last turn found nothing more.
    caught_up: bool,
    /// How long the next turn may take.
    turn_ns: u64,
    /// When the stop that waits for this gives up.
    stop_until: Option<Timestamp>,
    /// How far it has followed.
    followed: Delivered,
}

impl<F: Frames, C: Clock> Follower<F, C> {
    /// Follows `frames`, which stand where `start` ends.
    pub fn new(
        start: Start,
        frames: F,
        clock: C,
        audit: Arc<Audit>,
        durable: DurablePosition,
        settings: Settings,
    ) -> Self {
        let Start { replayed, state, sessions, running_hash, snapshot_commands } = start;
        let followed = Delivered::default();
        followed.set(replayed.end.unwrap_or(Position::START));
        let frames = Followed { frames, sessions, running_hash, group_left: 0 };
        Self {
            player: Player::new(replayed, frames, None),
            state,
            audit,
            durable,
            settings,
            clock,
            snapshot_commands,
            pending: None,
            ended: false,
            caught_up: false,
            turn_ns: TURN_NS,
            stop_until: None,
            followed,
        }
    }

    /// Plays back some inputs; returns how many.
    fn follow(&mut self) -> Result<usize, PlayError> {
        let until = match self.stop_until {
            None => Timestamp(self.clock.now().0 + self.turn_ns),
            Some(_) => Timestamp(u64::MAX),
        };
        let mut steps = 0;
        while steps < STEPS_PER_TURN && self.player.step()? {
            steps += 1;
            if self.is_due(self.settings.every_commands) {
                self.prepare();
            }
            if steps.is_multiple_of(STEPS_PER_LOOK) && self.clock.now() >= until {
                break;
            }
        }
        if let Some(end) = self.player.replayed().end {
            self.followed.set(end);
        }
        Ok(steps)
    }

    /// How far it has followed the journal, at any time from now on.
    pub fn followed(&self) -> Delivered {
        self.followed.clone()
    }

    /// Whether `commands` have come since the latest snapshot, and a place for another is here.
    #[inline]
    fn is_due(&self, commands: u64) -> bool {
        let done = self.player.replayed().counts.commands;
        self.settings.every_commands > 0
            && done - self.snapshot_commands >= commands
            && self.player.frames().group_left == 0
            && self.pending.is_none()
    }

    /// Takes the state here, for a snapshot.
    fn prepare(&mut self) {
        let (replayed, frames) = (self.player.replayed(), self.player.frames());
        let (Some(engine), Some(end)) = (self.player.engine(), replayed.end) else { return };
        self.pending = Some(Pending {
            checkpoint: Checkpoint {
                sequence: replayed.last_sequence.0,
                position: end,
                running_hash: frames.running_hash,
                segment_bytes: self.settings.segment_bytes,
            },
            time_ns: replayed.last_time.0,
            payload: encode(engine, &frames.sessions, &replayed.counts),
        });
        self.snapshot_commands = replayed.counts.commands;
    }

    /// Writes the snapshot that waits, once a loss of power can't take back what it covers.
    fn write_pending(&mut self) {
        let covered = |pending: &mut Pending| pending.checkpoint.position <= self.durable.get();
        let Some(pending) = self.pending.take_if(covered) else { return };
        let Pending { checkpoint, time_ns, payload } = pending;
        match snapshot::write(&*self.settings.storage, &checkpoint, time_ns, &payload) {
            Ok(file) => {
                log::info!("snapshot {} up to sequence {}", file.display(), checkpoint.sequence);
                let Settings { storage, retention, delivered, segment_bytes, .. } = &self.settings;
                let delivered = delivered.iter().map(|known| known.get().get()).min();
                let delivered = delivered.unwrap_or_default();
                retention.apply(&**storage, delivered / segment_bytes);
            }
            Err(error) => log::error!("{error}; trading goes on, a start will take longer"),
        }
    }

    fn end(&mut self, error: &PlayError) {
        self.ended = true;
        self.pending = None;
        match error {
            PlayError::Replay(error) => self.audit.report_difference(&error.to_string()),
            other => self.audit.report_end(&other.to_string()),
        }
    }

    /// Makes the engine whose state was handed over. Here and not at the start of the venue, which
    /// it would delay.
    #[cold]
    fn restore(&mut self, state: &[u8]) {
        match Engine::read_state(state) {
            Ok(engine) => self.player.set_engine(engine),
            Err(error) => {
                self.ended = true;
                self.audit.report_difference(&format!("the state does not copy: {error}"));
            }
        }
    }

    /// Whether the last snapshot of a stopped venue is still to come.
    fn has_last_work(&mut self) -> bool {
        if self.ended || self.settings.every_commands == 0 {
            return false;
        }
        let now = self.clock.now();
        let until = *self.stop_until.get_or_insert(Timestamp(now.0 + STOP_NS_MAX));
        if !self.caught_up {
            let waits = now < until;
            if !waits {
                log::info!("the follower is behind; the next start goes on from an older snapshot");
            }
            return waits;
        }
        self.write_pending();
        if self.is_due(STOP_COMMANDS_MIN.min(self.settings.every_commands)) {
            self.prepare();
            self.write_pending();
        }
        // Frames that are not durable now, with the journal closed, never will be.
        false
    }
}

impl<F: Frames + Send, C: Clock> Agent for Follower<F, C> {
    fn do_work(&mut self) -> usize {
        if let Some(state) = mem::take(&mut self.state) {
            self.restore(&state);
        }
        if self.ended {
            return 0;
        }
        self.write_pending();
        let steps = self.follow().unwrap_or_else(|error| {
            self.end(&error);
            0
        });
        self.caught_up = steps == 0;
        steps
    }

    /// Looks rarely, also when there was work a moment ago: what it would find sooner nobody needs.
    fn park(&mut self, limit: Duration) {
        thread::sleep(limit.max(INTERVAL));
    }

    fn rest(&mut self) {
        let begun = Instant::now();
        thread::sleep(REST);
        self.turn_ns = next_turn_ns(self.turn_ns, begun.elapsed());
    }

    /// The journal wakes nobody.
    fn must_look(&self) -> bool {
        true
    }

    fn close(&mut self) -> bool {
        !self.has_last_work()
    }
}

/// How long a turn may take behind one that took up to `turn_ns` and a rest.
fn next_turn_ns(turn_ns: u64, rested: Duration) -> u64 {
    if rested <= REST_ALONE_MAX { (2 * turn_ns).min(TURN_NS_MAX) } else { TURN_NS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_grow_while_nobody_else_wants_the_processor() {
        let mut turn_ns = TURN_NS;
        let mut turns = vec![turn_ns];
        for rested in [REST, REST, REST_ALONE_MAX, REST, REST] {
            turn_ns = next_turn_ns(turn_ns, rested);
            turns.push(turn_ns);
        }
        assert_eq!(turns, [1, 2, 4, 8, 16, 16].map(|times| times * TURN_NS));
        assert_eq!(next_turn_ns(TURN_NS_MAX, REST_ALONE_MAX + REST), TURN_NS);
    }
}
