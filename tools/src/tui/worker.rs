//! The thread that opens the index and answers, so that keys are heard while it works.

use std::{
    path::{Path, PathBuf},
    sync::{
        atomic::AtomicBool,
        mpsc::{Receiver, RecvTimeoutError, TryRecvError},
    },
    time::Duration,
};

use ironbook_gateway::retention::describe_gone;
use ironbook_incident::{
    Fault,
    index::{Index, Progress},
    text::{grouped, mib, utc},
};
use ironbook_journal::Reader;

use super::{
    app::Health,
    desk::{Answer, Control, Desk, Memory, Request, Scene},
    survey::{Survey, Surveyor},
};

/// Frames that are surveyed between two looks at requests: some milliseconds.
const SURVEY_FRAMES: u64 = 1 << 14;
/// Slices of a survey that it is told after, and after the first one.
const SURVEY_SLICES: u64 = 16;
/// How long a venue that is followed is left alone.
const FOLLOW_EVERY: Duration = Duration::from_millis(500);

/// What the thread tells.
#[derive(Debug)]
pub enum Told {
    /// How far the work is.
    Progress(String),
    /// What is known of the journal.
    Health(Health),
    /// What it looks like from far.
    Survey(Box<Survey>),
    /// An answer to the request.
    Answer(Answer),
    /// The journal went on, and the moment with it.
    Following(Box<Scene>),
}

/// The journal to be asked.
#[derive(Clone, Debug)]
pub struct Place {
    /// Its directory.
    pub dir: PathBuf,
    /// Where its index is kept, if not beside it.
    pub index: Option<PathBuf>,
    /// Whether a venue is followed.
    pub follow: bool,
}

/// Answers until there is nobody to ask.
///
/// # Errors
/// [`Fault`]: the journal can't be opened.
pub fn work(
    place: &Place,
    requests: &Receiver<Request>,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Told),
) -> Result<(), Fault> {
    let mut memory = Memory::new(place.follow);
    let mut surveyor: Option<Surveyor> = None;
    let mut first = None;
    loop {
        let index = open(place, surveyor.is_none(), tell)?;
        tell(Told::Health(health(&index)?));
        let surveyor = match &mut surveyor {
            Some(surveyor) => {
                surveyor.extend(&index);
                surveyor
            }
            none => none.insert(Surveyor::new(&index)?),
        };
        let mut desk = Desk::new(&index, memory);
        if let Some(request) = first.take() {
            answer(&mut desk, &request, stop, tell);
        } else if memory.follows {
            let mut control = Control { stop, tell: &mut |_| {} };
            if let Answer::Scene(scene) = desk.answer(&Request::End, &mut control) {
                tell(Told::Following(scene));
            }
        }
        match serve(&mut desk, surveyor, requests, stop, tell)? {
            Next::Over => return Ok(()),
            Next::Grown(request) => first = request,
        }
        memory = desk.memory;
    }
}

/// Why an index is not asked any more.
enum Next {
    /// There is nobody to ask.
    Over,
    /// The journal has grown; with a request that was not answered for that.
    Grown(Option<Request>),
}

fn serve(
    desk: &mut Desk<'_>,
    surveyor: &mut Surveyor,
    requests: &Receiver<Request>,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(Told),
) -> Result<Next, Fault> {
    let mut slices = 0;
    let mut surveying = true;
    loop {
        let request = match surveying {
            true => requests.try_recv().map_err(|error| error == TryRecvError::Empty),
            false => {
                let next = requests.recv_timeout(FOLLOW_EVERY);
                next.map_err(|error| error == RecvTimeoutError::Timeout)
            }
        };
        match request {
            Ok(Request::End) if desk.memory.follow && surveyor.has_grown() => {
                return Ok(Next::Grown(Some(Request::End)));
            }
            Ok(request) => answer(desk, &request, stop, tell),
            Err(false) => return Ok(Next::Over),
            Err(true) if surveying => {
                surveying = surveyor.slice(SURVEY_FRAMES)?;
                if !surveying || slices % SURVEY_SLICES == 0 {
                    tell(Told::Survey(Box::new(surveyor.survey())));
                }
                slices += 1;
            }
            Err(true) if desk.memory.follows && surveyor.has_grown() => {
                return Ok(Next::Grown(None));
            }
            Err(true) => {}
        }
    }
}

fn answer(desk: &mut Desk<'_>, request: &Request, stop: &AtomicBool, tell: &mut dyn FnMut(Told)) {
    let mut progress = |work| tell(Told::Progress(work));
    let answer = desk.answer(request, &mut Control { stop, tell: &mut progress });
    tell(Told::Answer(answer));
}

fn open(place: &Place, is_first: bool, tell: &mut dyn FnMut(Told)) -> Result<Index, Fault> {
    Index::open(&place.dir, place.index.as_deref(), &mut |Progress { done, total }| {
        if is_first {
            let percent = done * 100 / total.max(1);
            let text = format!("Indexing: {percent} % of {}", mib(total));
            tell(Told::Progress(text));
        }
    })
}

/// What is known of a journal by its index.
///
/// # Errors
/// The journal can't be opened any more.
pub fn health(index: &Index) -> Result<Health, Fault> {
    let reader = Reader::open(index.dir())?;
    let segments = reader.segments()?;
    let (first, last) = (index.first_sequence(), index.last_sequence());
    let mut lines = Vec::new();
    let frames = (last + 1).saturating_sub(first);
    lines.push((
        "Journal",
        format!(
            "{} frames in {} segment{} of {}",
            grouped(frames),
            segments.len(),
            if segments.len() == 1 { "" } else { "s" },
            mib(index.segment_bytes())
        ),
    ));
    if frames > 0 {
        lines.push(("Sequence", format!("{} to {}, none missing", grouped(first), grouped(last))));
        lines.push(("From", utc(index.first_time_ns())));
        lines.push(("To", utc(index.last_time_ns())));
    }
    if let Some(gone) = describe_gone(index.dir(), reader.first_sequence()) {
        lines.push(("Begins", gone));
    }
    lines.extend(index.notes().iter().map(|note| ("Note", note.clone())));
    let damage = index.damage().map(ToString::to_string).unwrap_or_default();
    let damage: Vec<_> = damage.lines().map(str::to_owned).collect();
    if damage.is_empty() {
        let text = match frames {
            0 => "nothing is written yet",
            _ => "whole when it was indexed: checksums were right, events came alike",
        };
        lines.insert(0, ("Health", text.to_owned()));
    }
    Ok(Health { lines, damage, day_ns: index.first_time_ns() })
}

/// Whether a directory holds a journal at all; asked before the terminal is taken.
///
/// # Errors
/// Why not.
pub fn check(dir: &Path) -> Result<(), Fault> {
    Reader::open(dir)?;
    Ok(())
}
