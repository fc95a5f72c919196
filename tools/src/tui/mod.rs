//! `ironbook tui`: a journal on a terminal.
//!
//! `app.rs` knows what keys do, `draw/` what that looks like; neither knows a terminal or a journal.
//! `desk.rs` answers what they ask, `survey.rs` reads the whole journal, both on the thread of
//! `worker.rs`. Here the terminal is taken, and given back whatever happens.

mod app;
mod desk;
mod draw;
mod survey;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    io::{self, IsTerminal as _},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, Sender, TryRecvError, channel},
    },
    thread,
    time::Duration,
};

use ironbook_incident::Fault;
use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::output::{Exit, Failure, Outcome};
use app::{App, Key};
use desk::Request;
use worker::{Place, Told};

/// How long keys are waited for between two looks at what was told.
const TICK: Duration = Duration::from_millis(50);

/// Look at a journal on the terminal: its health and rates, any moment with its book, orders, clients,
/// latency. Steps forward and back, searches, and stops where a condition holds.
///
/// Works on a stopped venue's journal and on a running one's; never writes to it. Needs 80 columns and
/// 24 lines.
#[derive(Debug, clap::Args)]
#[command(after_long_help = keys_help())]
pub struct Arguments {
    /// Directory of the journal
    dir: PathBuf,
    /// Begin at this moment, as replay --at has them [default: the end]
    #[arg(long, value_name = "WHAT")]
    at: Option<String>,
    /// Keep the index of the journal here [default: DIR.index, beside the journal]
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Go on with a running venue while the moment is the last one
    #[arg(long)]
    follow: bool,
}

/// What the keys do, for the long help.
fn keys_help() -> String {
    let keys = draw::KEYS.iter().map(|(key, what)| format!("\n  {key:<16}{what}"));
    "Keys:".to_owned() + &keys.collect::<String>()
}

pub fn run(arguments: &Arguments) -> Outcome {
    let dir = &arguments.dir;
    worker::check(dir)?;
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        let dir = dir.display();
        let what = format!("tui needs a terminal; `ironbook replay {dir} --at end` needs none");
        return Err(Failure::new(Exit::Usage, what));
    }
    let ended = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT, SIGHUP] {
        signal_hook::flag::register(signal, ended.clone()).map_err(failed)?;
    }
    let app = App::new(dir.display().to_string(), arguments.at.clone());
    let (to_ask, asked) = channel();
    let (to_tell, told) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let place =
        Place { dir: dir.clone(), index: arguments.index.clone(), follow: arguments.follow };
    let stopped = stop.clone();
    // It is not waited for: an index that nobody waits for any more is not worth the time, and what is
    // half written of one is built anew.
    let spawned = thread::Builder::new().name("desk".to_owned()).spawn(move || {
        let result = worker::work(&place, &asked, &stopped, &mut |what| {
            let _ = to_tell.send(Ok(what));
        });
        if let Err(fault) = result {
            let _ = to_tell.send(Err(fault));
        }
    });
    spawned.map_err(failed)?;
    // From here on a panic gives the terminal back too.
    let mut terminal = ratatui::try_init().map_err(|error| {
        // It may have been taken half.
        let _ = ratatui::try_restore();
        failed(error)
    })?;
    let result = show(&mut terminal, app, &Talk { to_ask, told, stop }, &ended);
    ratatui::try_restore().map_err(failed)?;
    result
}

fn failed(error: io::Error) -> Failure {
    Failure::new(Exit::Finding, format!("the terminal or the system refuses: {error}"))
}

/// What connects the interface with the thread that answers.
struct Talk {
    to_ask: Sender<Request>,
    told: Receiver<Result<Told, Fault>>,
    stop: Arc<AtomicBool>,
}

fn show(terminal: &mut DefaultTerminal, mut app: App, talk: &Talk, ended: &AtomicBool) -> Outcome {
    // What is seen depends on what is told, on keys and on the size of the screen, and on nothing else.
    let mut has_changed = true;
    while !app.is_over && !ended.load(Ordering::Relaxed) {
        has_changed |= hear(&mut app, talk)?;
        if has_changed {
            terminal.draw(|frame| draw::draw(frame, &app)).map_err(failed)?;
        }
        has_changed = false;
        let mut wait = TICK;
        while event::poll(wait).map_err(failed)? {
            has_changed = true;
            if let Event::Key(key) = event::read().map_err(failed)?
                && let Some(key) = key_of(key)
            {
                app.handle_key(key);
            }
            wait = Duration::ZERO;
        }
        if app.poll_stop() {
            talk.stop.store(true, Ordering::Relaxed);
        }
        while let Some(request) = app.poll_request() {
            talk.stop.store(false, Ordering::Relaxed);
            // Where nobody listens any more, `hear` says so.
            let _ = talk.to_ask.send(request);
        }
    }
    Ok(Exit::Fine)
}

/// Takes what was told; whether there was something.
fn hear(app: &mut App, talk: &Talk) -> Result<bool, Failure> {
    let mut has_heard = false;
    loop {
        match talk.told.try_recv() {
            Ok(Ok(Told::Progress(work))) => app.handle_progress(work),
            Ok(Ok(Told::Health(health))) => app.handle_health(health),
            Ok(Ok(Told::Survey(survey))) => app.handle_survey(*survey),
            Ok(Ok(Told::Answer(answer))) => app.handle_answer(answer),
            Ok(Ok(Told::Following(scene))) => app.handle_following(scene),
            Ok(Err(fault)) => return Err(fault.into()),
            Err(TryRecvError::Empty) => return Ok(has_heard),
            Err(TryRecvError::Disconnected) => {
                return Err(Failure::new(Exit::Finding, "the thread that reads has stopped"));
            }
        }
        has_heard = true;
    }
}

/// What a key of the terminal is here.
fn key_of(key: KeyEvent) -> Option<Key> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    Some(match key.code {
        KeyCode::Char('c') if control => Key::Interrupt,
        KeyCode::Char(_) if control => return None,
        KeyCode::Char(of) => Key::Char(of),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        _ => return None,
    })
}
