//! A moment: the state behind an input of the journal, and how to go from one to another.

use ironbook_engine::{Engine, Event, Sequence};
use ironbook_gateway::{
    replay::{Frames, PlayError, Player, Replayed, fold},
    sessions::SessionTable,
    snapshot::Restored,
};
use ironbook_journal::{Frame, Position, Reader};

use crate::{
    Fault,
    index::Index,
    show::{Content, Entry},
};

/// How far before where [`Moment::back`] went the state is kept, in frames: so many steps back are
/// fast.
const NEAR_FRAMES: u64 = 8_192;

/// The state behind an input, which is a command with its events or a record of a session.
pub struct Moment<'i> {
    index: &'i Index,
    player: Player<Recorder>,
    cost: Cost,
    /// Whether it is behind an input that was stepped over, and not before one.
    stepped: bool,
    /// A state before this one, for steps back.
    near: Option<Saved>,
}

/// What it took to be here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Sequence of the checkpoint that was restored last; none where there is none, and the journal
    /// is played back from its first frame.
    pub checkpoint: Option<u64>,
    /// Inputs played back since then.
    pub inputs: u64,
}

/// Looks at moments as they pass, for [`Moment::run_until`].
pub trait Watch {
    /// The moments that follow come one after the other, from this one on.
    fn begin(&mut self, moment: &Moment<'_>);

    /// The first frame of the input behind which the moment is that is looked for, if there is one.
    fn look(&mut self, moment: &Moment<'_>) -> Option<u64>;
}

/// A state kept in memory.
struct Saved {
    replayed: Replayed,
    state: Vec<u8>,
    sessions: SessionTable,
}

impl<'i> Moment<'i> {
    /// The moment before an input, given by its sequence: behind the one before it.
    ///
    /// # Errors
    /// [`Fault`]: there is no way there, or no such input.
    pub fn before(index: &'i Index, input: u64) -> Result<Self, Fault> {
        let mut moment = Self::restored(index, input.saturating_sub(1))?;
        moment.play_to(input, None)?;
        moment.stepped = false;
        Ok(moment)
    }

    /// The moment behind the input that is, or has brought about, a frame.
    ///
    /// # Errors
    /// [`Fault`]: there is no way there, or no such frame.
    pub fn at(index: &'i Index, sequence: u64) -> Result<Self, Fault> {
        let mut moment = Self::before(index, index.input_of(sequence)?)?;
        moment.step()?;
        Ok(moment)
    }

    /// The moment behind the last input, before what may come.
    ///
    /// # Errors
    /// As for [`Moment::before`].
    pub fn end(index: &'i Index) -> Result<Self, Fault> {
        Self::before(index, index.last_sequence() + 1)
    }

    fn restored(index: &'i Index, at_most: u64) -> Result<Self, Fault> {
        let (from, sessions, checkpoint) = match index.restore(at_most)? {
            Some(Restored { checkpoint, replayed, sessions }) => {
                (replayed, sessions, Some(checkpoint.sequence))
            }
            None => (Replayed::default(), SessionTable::default(), None),
        };
        let cost = Cost { checkpoint, inputs: 0 };
        Ok(Self { index, player: player(index, from, sessions)?, cost, stepped: false, near: None })
    }

    /// Steps up to before an input; keeps the state `near` frames before it, if that is asked for.
    fn play_to(&mut self, input: u64, near: Option<u64>) -> Result<(), Fault> {
        let mut near = near.map(|frames| input.saturating_sub(frames));
        while self.sequence() + 1 < input {
            if near.take_if(|near| *near <= self.sequence()).is_some() {
                self.near = self.save();
            }
            if !self.step()? {
                return Err(Fault::NotFound(format!(
                    "the journal ends at sequence {}, before sequence {input}",
                    self.sequence()
                )));
            }
        }
        Ok(())
    }

    /// Goes behind the next input; false when this is the last one.
    ///
    /// # Errors
    /// [`Fault::Play`]: the journal is damaged, or differs, in what is between.
    pub fn step(&mut self) -> Result<bool, Fault> {
        let stepped = self.player.step()?;
        self.cost.inputs += u64::from(stepped);
        self.stepped |= stepped;
        Ok(stepped)
    }

    /// Goes to before an input that is not behind this moment: step by step, or from a checkpoint where
    /// there is one on the way.
    ///
    /// # Errors
    /// As for [`Moment::before`].
    pub fn go_on_before(&mut self, input: u64) -> Result<(), Fault> {
        let newest = self.index.checkpoints().filter(|&at| at < input).max();
        if newest.is_some_and(|newest| newest > self.sequence()) || input <= self.sequence() {
            *self = Self::restored(self.index, input.saturating_sub(1))?;
        }
        self.play_to(input, None)?;
        self.stepped = false;
        Ok(())
    }

    /// Goes behind the input before this one; false when this is the first one.
    ///
    /// # Errors
    /// As for [`Moment::before`].
    pub fn back(&mut self) -> Result<bool, Fault> {
        let at = match self.noted().first() {
            Some(input) => input.sequence,
            None => self.index.input_of(self.sequence())?,
        };
        if at <= self.index.first_sequence() {
            return Ok(false);
        }
        self.go(self.index.input_of(at - 1)?)?;
        Ok(true)
    }

    /// Goes behind an input, given by its sequence.
    ///
    /// # Errors
    /// As for [`Moment::before`].
    pub fn go(&mut self, input: u64) -> Result<(), Fault> {
        let is_near = |saved: &&Saved| {
            let at = saved.replayed.last_sequence.0;
            at < input && input - at <= 2 * NEAR_FRAMES
        };
        if let Some(saved) = self.near.as_ref().filter(is_near) {
            self.player = saved.player(self.index)?;
            self.cost.inputs = 0;
            self.play_to(input, None)?;
        } else {
            *self = Self::restored(self.index, input.saturating_sub(1))?;
            self.play_to(input, Some(NEAR_FRAMES))?;
        }
        self.step()?;
        Ok(())
    }

    /// Goes on to the first moment behind this one at which `watch` finds something, and gives the
    /// frame; none, and the last moment, where it finds nothing.
    ///
    /// # Errors
    /// As for [`Moment::step`].
    pub fn run_until(&mut self, watch: &mut impl Watch) -> Result<Option<u64>, Fault> {
        watch.begin(self);
        while self.step()? {
            if let Some(found) = watch.look(self) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Goes back to the last moment before this one at which `watch` finds something, and gives the
    /// frame; none, and the moment as it was, where it finds nothing.
    ///
    /// From one checkpoint to the next it looks at all of what is between, newest first.
    ///
    /// # Errors
    /// As for [`Moment::before`].
    pub fn run_back_until(&mut self, watch: &mut impl Watch) -> Result<Option<u64>, Fault> {
        let mut until = self.input_sequence();
        while until > self.index.first_sequence() {
            // At least one input lies between.
            let mut moment = Self::restored(self.index, until - 2)?;
            let from = moment.sequence();
            watch.begin(&moment);
            let mut last = None;
            while moment.sequence() + 1 < until && moment.step()? {
                if let Some(found) = watch.look(&moment) {
                    last = Some((moment.input_sequence(), found));
                }
            }
            if let Some((input, found)) = last {
                self.go(input)?;
                return Ok(Some(found));
            }
            if from < self.index.first_sequence() {
                break;
            }
            until = from + 1;
        }
        Ok(None)
    }

    fn save(&self) -> Option<Saved> {
        let mut state = Vec::new();
        self.player.engine()?.write_state(&mut state);
        let sessions = self.player.frames().sessions.clone();
        Some(Saved { replayed: self.player.replayed().without_engine(), state, sessions })
    }

    /// The index that it goes by.
    pub fn index(&self) -> &'i Index {
        self.index
    }

    /// The engine here; none before the first command.
    pub fn engine(&self) -> Option<&Engine> {
        self.player.engine()
    }

    /// The engine alone, to go on otherwise; none before the first command.
    pub fn into_engine(self) -> Option<Engine> {
        self.player.into_replayed().engine
    }

    /// The sequence numbers of all sessions here.
    pub fn sessions(&self) -> &SessionTable {
        &self.player.frames().sessions
    }

    /// Sequence of the last frame before this moment.
    pub fn sequence(&self) -> u64 {
        self.player.replayed().last_sequence.0
    }

    /// Time of that frame.
    pub fn time_ns(&self) -> u64 {
        self.player.replayed().last_time.0
    }

    /// Where that frame ends.
    pub fn position(&self) -> Position {
        self.player.replayed().end.unwrap_or(Position::START)
    }

    /// Sequence of the input behind which this is.
    pub fn input_sequence(&self) -> u64 {
        match self.noted().first() {
            Some(input) => input.sequence,
            None => self.sequence() + 1,
        }
    }

    /// The input behind which this is, as it stands in the journal, and its events; nothing at a moment
    /// that was not stepped to.
    pub fn noted(&self) -> &[Noted] {
        if self.stepped { &self.player.frames().noted } else { &[] }
    }

    /// Bytes of a frame of [`Moment::noted`].
    pub fn payload(&self, noted: &Noted) -> &[u8] {
        &self.player.frames().bytes[noted.from..noted.to]
    }

    /// The same, decoded.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry> {
        self.noted().iter().map(|noted| Entry {
            sequence: noted.sequence,
            time_ns: noted.time_ns,
            content: Content::decode(noted.kind, self.payload(noted)),
        })
    }

    /// What it took to be here.
    pub fn cost(&self) -> Cost {
        self.cost
    }
}

impl Saved {
    fn player(&self, index: &Index) -> Result<Player<Recorder>, Fault> {
        let engine = Engine::read_state(&self.state).expect("a state that was written");
        let from = Replayed { engine: Some(engine), ..self.replayed.without_engine() };
        player(index, from, self.sessions.clone())
    }
}

fn player(
    index: &Index,
    from: Replayed,
    sessions: SessionTable,
) -> Result<Player<Recorder>, Fault> {
    let reader = index.reader(from.end.unwrap_or(Position::START))?;
    let frames = Recorder { reader, sessions, noted: Vec::new(), bytes: Vec::new() };
    Ok(Player::new(from, frames, Some(Sequence(index.last_sequence()))))
}

/// A frame that was played back; its bytes are kept until the next input.
#[derive(Clone, Copy, Debug)]
pub struct Noted {
    /// Its sequence.
    pub sequence: u64,
    /// Its time in ns since 1970.
    pub time_ns: u64,
    /// Its kind.
    pub kind: u16,
    /// Where it begins.
    pub position: Position,
    from: usize,
    to: usize,
}

/// Frames that keep count of sessions, and keep the last input with its events.
struct Recorder {
    reader: Reader,
    sessions: SessionTable,
    noted: Vec<Noted>,
    bytes: Vec<u8>,
}

impl Frames for Recorder {
    #[inline]
    fn next_frame(&mut self) -> Result<Option<Frame<'_>>, PlayError> {
        let Some(frame) = self.reader.next()? else { return Ok(None) };
        fold(&mut self.sessions, &frame)?;
        if !Event::is_kind(frame.kind) {
            self.noted.clear();
            self.bytes.clear();
        }
        let from = self.bytes.len();
        self.bytes.extend_from_slice(frame.payload);
        self.noted.push(Noted {
            sequence: frame.sequence,
            time_ns: frame.time_ns,
            kind: frame.kind,
            position: frame.position,
            from,
            to: self.bytes.len(),
        });
        Ok(Some(frame))
    }
}
