//! What the interface shows and what its keys do: a state machine that knows no terminal, no journal
//! and no clock.
//!
//! ```text
//! key ──▶ App ──▶ requests ──▶ desk ──▶ answers ──▶ App ──▶ draw
//! ```
//!
//! One request is under way at most. Keys that come meanwhile wait for its answer, so what is typed
//! ahead does what it would have done.

use std::collections::VecDeque;

use ironbook_incident::{
    condition::{Condition, ConditionError},
    text::grouped,
};

use super::{
    desk::{Answer, DiffPage, Page, Request, Scene},
    survey::Survey,
};

/// Keys that wait at the most; more are dropped.
const KEYS_MAX: usize = 256;
/// Characters of a line that is typed: a condition's at the most.
const PROMPT_MAX: usize = 1_000;
/// Inputs of a large step.
const LARGE_STEP: i64 = 1_000;
/// Rows of a page up or down.
const PAGE_ROWS: usize = 10;
/// What is said of work that says nothing itself.
const WORKING: &str = "Working";
/// Columns of a step to the side.
const SIDE_COLUMNS: usize = 10;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character.
    Char(char),
    Enter,
    Esc,
    Backspace,
    Up,
    Down,
    Left,
    Right,
    PageUp,
    PageDown,
    Home,
    End,
    /// Ctrl-C, which always ends the program.
    Interrupt,
}

/// What is on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// The journal from far.
    Triage,
    /// A moment.
    Moment,
    /// The life of an order.
    Order,
    /// What a client did.
    Client,
    /// How long commands took.
    Latency,
    /// Where another journal, or this program, differs.
    Diff,
}

impl Screen {
    /// All of them, by their keys from 1 on.
    pub const ALL: [Self; 6] =
        [Self::Triage, Self::Moment, Self::Order, Self::Client, Self::Latency, Self::Diff];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Triage => "Triage",
            Self::Moment => "Moment",
            Self::Order => "Order",
            Self::Client => "Client",
            Self::Latency => "Latency",
            Self::Diff => "Diff",
        }
    }
}

/// What a line is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// A place to go to.
    Place,
    /// A time to go to.
    Time,
    /// An order to show.
    Order,
    /// A client to show.
    Client,
    /// A condition to look for.
    Condition,
    /// Another journal to compare with.
    Journal,
}

/// A line that is being typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// What for.
    pub asking: Asking,
    /// So far.
    pub text: String,
}

/// Something to tell until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// What was asked for did not come, which is no fault.
    Told(String),
    /// Why there is no answer.
    Failed(String),
    /// What is wrong with a condition.
    Condition(ConditionError),
}

/// What is known of the journal before anything is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Lines of what there is, as a label and a text.
    pub lines: Vec<(&'static str, String)>,
    /// What is wrong, a line each.
    pub damage: Vec<String>,
    /// The day of times without a date, in ns since 1970.
    pub day_ns: u64,
}

/// The interface.
#[derive(Debug)]
pub struct App {
    /// The journal, for people.
    pub journal: String,
    /// What is on the screen.
    pub screen: Screen,
    /// What is known of the journal; none while it is opened.
    pub health: Option<Health>,
    /// What it looks like from far.
    pub survey: Survey,
    /// The moment.
    pub scene: Option<Box<Scene>>,
    /// The order that was asked for.
    pub order: Option<Page>,
    /// The client that was asked for.
    pub client: Option<Page>,
    /// What was compared.
    pub diff: Option<DiffPage>,
    /// The line that is being typed.
    pub prompt: Option<Prompt>,
    /// What to tell.
    pub message: Option<Message>,
    /// What `n` and `N` look for.
    pub condition: Option<String>,
    /// What is being done, and how far it is.
    pub work: Option<String>,
    /// Whether the keys are explained.
    pub help: bool,
    /// Whether it is over.
    pub is_over: bool,
    /// Columns that texts are moved to the left.
    pub side: usize,
    /// The row that is chosen on each screen.
    chosen: [usize; Screen::ALL.len()],
    /// Whether a request is under way.
    is_asking: bool,
    /// Whether another screen was chosen since it was asked: then its answer does not choose one.
    has_left: bool,
    waiting: VecDeque<Key>,
    requests: VecDeque<Request>,
    /// Whether the work is to be stopped.
    wants_stop: bool,
}

impl App {
    /// In front of a journal that is being opened, on the way to a place.
    pub fn new(journal: String, at: Option<String>) -> Self {
        let screen = if at.is_some() { Screen::Moment } else { Screen::Triage };
        Self {
            journal,
            screen,
            health: None,
            survey: Survey::default(),
            scene: None,
            order: None,
            client: None,
            diff: None,
            prompt: None,
            message: None,
            condition: None,
            work: Some("Opening the journal".to_owned()),
            help: false,
            is_over: false,
            side: 0,
            chosen: Default::default(),
            is_asking: true,
            // The first moment comes by itself.
            has_left: true,
            waiting: VecDeque::new(),
            requests: VecDeque::from([at.map_or(Request::End, Request::Go)]),
            wants_stop: false,
        }
    }

    /// A request to be answered, if there is one.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// Whether to stop what is being done; told once.
    pub fn poll_stop(&mut self) -> bool {
        std::mem::take(&mut self.wants_stop)
    }

    /// The journal is open, or was opened again.
    pub fn handle_health(&mut self, health: Health) {
        if self.health.replace(health).is_none() {
            self.work = Some(WORKING.to_owned());
        }
    }

    /// More is known of the journal from far.
    pub fn handle_survey(&mut self, survey: Survey) {
        self.survey = survey;
        self.choose(self.screen, self.chosen(self.screen));
    }

    /// How far the work is.
    pub fn handle_progress(&mut self, work: String) {
        self.work = Some(work);
    }

    /// The answer to the request that is under way.
    pub fn handle_answer(&mut self, answer: Answer) {
        self.is_asking = false;
        self.work = None;
        let screen = match answer {
            Answer::Scene(scene) => {
                self.take_scene(scene);
                Some(Screen::Moment)
            }
            Answer::Order(page) => {
                self.order = Some(page);
                self.choose(Screen::Order, 0);
                Some(Screen::Order)
            }
            Answer::Client(page) => {
                self.client = Some(page);
                self.choose(Screen::Client, 0);
                Some(Screen::Client)
            }
            Answer::Diff(page) => {
                let first = page.rows.iter().position(|row| !row.is_same);
                self.diff = Some(page);
                self.choose(Screen::Diff, first.unwrap_or(0));
                Some(Screen::Diff)
            }
            Answer::Told(text) => {
                self.message = Some(Message::Told(text));
                None
            }
            Answer::Failed(text) => {
                self.message = Some(Message::Failed(text));
                None
            }
        };
        if let Some(screen) = screen.filter(|_| !self.has_left) {
            self.show(screen);
        }
        while !self.is_asking
            && let Some(key) = self.waiting.pop_front()
        {
            self.press(key);
        }
    }

    /// The journal went on, and the moment with it. A row that was chosen stays chosen.
    pub fn handle_following(&mut self, scene: Box<Scene>) {
        let row = self.scene.as_ref().and_then(|scene| scene.rows.get(self.chosen(Screen::Moment)));
        let chosen = row.filter(|row| !row.is_here).map(|row| row.sequence);
        self.take_scene(scene);
        let rows = self.scene.iter().flat_map(|scene| &scene.rows);
        let mut sequences = rows.map(|row| Some(row.sequence));
        if let Some(at) = chosen.and_then(|_| sequences.position(|of| of == chosen)) {
            self.choose(Screen::Moment, at);
        }
    }

    fn take_scene(&mut self, scene: Box<Scene>) {
        let here = scene.rows.iter().position(|row| row.sequence == scene.view.sequence);
        self.scene = Some(scene);
        self.choose(Screen::Moment, here.unwrap_or(0));
    }

    /// A key was pressed.
    pub fn handle_key(&mut self, key: Key) {
        match key {
            Key::Interrupt => self.is_over = true,
            _ if !self.is_asking => self.press(key),
            // Nothing can be seen of a journal that was never opened.
            Key::Esc | Key::Char('q') if self.health.is_none() => self.is_over = true,
            Key::Esc => {
                self.waiting.clear();
                self.wants_stop = true;
            }
            // Nothing has to be known for these.
            Key::Char('q' | '1'..='6' | '?')
            | Key::Up
            | Key::Down
            | Key::PageUp
            | Key::PageDown
            | Key::Left
            | Key::Right
                if self.waiting.is_empty() =>
            {
                self.press(key);
            }
            _ if self.waiting.len() < KEYS_MAX => self.waiting.push_back(key),
            _ => {}
        }
    }

    fn press(&mut self, key: Key) {
        if std::mem::take(&mut self.help) {
            return;
        }
        if self.prompt.is_some() {
            return self.type_key(key);
        }
        self.message = None;
        match key {
            Key::Char(of @ '1'..='6') => {
                self.has_left = true;
                self.show(Screen::ALL[of as usize - '1' as usize]);
            }
            Key::Char(of) => self.command(of),
            Key::Home => self.ask(Request::Go("start".to_owned())),
            Key::End => self.ask(Request::End),
            Key::Enter => self.enter(),
            Key::Up | Key::Down | Key::PageUp | Key::PageDown => self.move_choice(key),
            Key::Left => self.side = self.side.saturating_sub(SIDE_COLUMNS),
            Key::Right => self.side += SIDE_COLUMNS,
            Key::Esc | Key::Backspace | Key::Interrupt => {}
        }
    }

    fn command(&mut self, key: char) {
        match key {
            ']' => self.ask(Request::Step(1)),
            '[' => self.ask(Request::Step(-1)),
            '}' => self.ask(Request::Step(LARGE_STEP)),
            '{' => self.ask(Request::Step(-LARGE_STEP)),
            'n' => self.search(false),
            'N' => self.search(true),
            'b' => {
                let text = self.condition.clone().unwrap_or_default();
                self.prompt = Some(Prompt { asking: Asking::Condition, text });
            }
            '/' => {
                let asking = match self.screen {
                    Screen::Order => Asking::Order,
                    Screen::Client => Asking::Client,
                    Screen::Diff => Asking::Journal,
                    _ => Asking::Place,
                };
                self.prompt = Some(Prompt { asking, text: String::new() });
            }
            't' => self.prompt = Some(Prompt { asking: Asking::Time, text: String::new() }),
            's' => self.ask(Request::NextBook),
            'c' => self.ask_client(),
            '?' => self.help = true,
            'q' => self.is_over = true,
            'k' => self.move_choice(Key::Up),
            'j' => self.move_choice(Key::Down),
            _ => {}
        }
    }

    /// A key for the line that is being typed.
    fn type_key(&mut self, key: Key) {
        let Some(prompt) = &mut self.prompt else { return };
        match key {
            Key::Char(of) if prompt.text.len() + of.len_utf8() <= PROMPT_MAX => {
                prompt.text.push(of);
                self.message = None;
            }
            Key::Backspace => {
                prompt.text.pop();
                self.message = None;
            }
            Key::Esc => {
                self.prompt = None;
                self.message = None;
            }
            Key::Enter => {
                let Prompt { asking, text } = prompt.clone();
                self.asked(asking, text.trim());
            }
            _ => {}
        }
    }

    /// A line was typed.
    fn asked(&mut self, asking: Asking, text: &str) {
        if asking == Asking::Condition {
            return self.set_condition(text);
        }
        self.prompt = None;
        self.message = None;
        if text.is_empty() {
            return;
        }
        self.ask(match asking {
            Asking::Order => Request::Order(text.to_owned()),
            Asking::Client => Request::Client(text.to_owned()),
            Asking::Journal => Request::Diff(Some(text.to_owned())),
            Asking::Time if !text.starts_with("time:") => Request::Go(format!("time:{text}")),
            _ => Request::Go(text.to_owned()),
        });
    }

    /// One that can't be understood stays to be corrected.
    fn set_condition(&mut self, text: &str) {
        if text.is_empty() {
            self.condition = None;
            self.prompt = None;
            self.message = Some(Message::Told("nothing is looked for any more".to_owned()));
            return;
        }
        let day_ns = self.health.as_ref().map_or(0, |health| health.day_ns);
        match Condition::parse(text, day_ns) {
            Ok(_) => {
                self.condition = Some(text.to_owned());
                self.prompt = None;
                let keys = "n goes on to where it holds, N back".to_owned();
                self.message = Some(Message::Told(keys));
            }
            Err(error) => self.message = Some(Message::Condition(error)),
        }
    }

    fn search(&mut self, back: bool) {
        match self.condition.clone() {
            Some(condition) => self.ask(Request::Search { condition, back }),
            None => {
                let text = "there is no condition yet: b asks for one".to_owned();
                self.message = Some(Message::Told(text));
            }
        }
    }

    fn ask(&mut self, request: Request) {
        self.is_asking = true;
        self.has_left = false;
        self.work = Some(WORKING.to_owned());
        self.requests.push_back(request);
    }

    fn show(&mut self, screen: Screen) {
        if screen != self.screen {
            self.side = 0;
        }
        self.screen = screen;
    }

    /// What the chosen row leads to.
    fn enter(&mut self) {
        let at = self.chosen(self.screen);
        let place = match self.screen {
            Screen::Moment => {
                let row = self.scene.as_ref().and_then(|scene| scene.rows.get(at));
                if let Some(row) = row {
                    self.ask(Request::Order(format!("seq:{}", row.sequence)));
                }
                return;
            }
            Screen::Triage => self.places().get(at).copied(),
            Screen::Order | Screen::Client => {
                let page = self.page(self.screen);
                page.and_then(|page| page.lines.get(at)).and_then(|line| line.place)
            }
            Screen::Latency => self.survey.latency.slowest.get(at).map(|slow| slow.sequence),
            Screen::Diff => match &self.diff {
                None => return self.ask(Request::Diff(None)),
                Some(page) => {
                    page.rows.get(at).and_then(|row| row.a.as_ref()).map(|of| of.sequence)
                }
            },
        };
        match place {
            Some(sequence) => self.ask(Request::Go(format!("seq:{sequence}"))),
            None => {
                let text = "this row leads nowhere".to_owned();
                self.message = Some(Message::Told(text));
            }
        }
    }

    fn ask_client(&mut self) {
        let client = match self.screen {
            Screen::Moment => {
                let row = self.scene.as_ref();
                row.and_then(|scene| scene.rows.get(self.chosen(Screen::Moment)))
                    .and_then(|row| row.client.clone())
            }
            screen => self.page(screen).map(|page| page.client.clone()),
        };
        match client {
            Some(comp_id) => self.ask(Request::Client(comp_id)),
            None => self.message = Some(Message::Told("this row is of no client".to_owned())),
        }
    }

    /// The text on a screen that shows one.
    pub fn page(&self, screen: Screen) -> Option<&Page> {
        match screen {
            Screen::Order => self.order.as_ref(),
            Screen::Client => self.client.as_ref(),
            _ => None,
        }
    }

    /// Where the rows of the triage lead: marks, then silences.
    fn places(&self) -> Vec<u64> {
        let marks = self.survey.marks.iter().map(|mark| mark.sequence);
        marks.chain(self.survey.silences.iter().map(|silence| silence.sequence)).collect()
    }

    fn rows(&self, screen: Screen) -> usize {
        match screen {
            Screen::Triage => self.places().len(),
            Screen::Moment => self.scene.as_ref().map_or(0, |scene| scene.rows.len()),
            Screen::Order | Screen::Client => self.page(screen).map_or(0, |page| page.lines.len()),
            Screen::Latency => self.survey.latency.slowest.len(),
            Screen::Diff => self.diff.as_ref().map_or(0, |page| page.rows.len()),
        }
    }

    /// The row that is chosen on a screen.
    pub fn chosen(&self, screen: Screen) -> usize {
        self.chosen[screen as usize]
    }

    fn choose(&mut self, screen: Screen, row: usize) {
        self.chosen[screen as usize] = row.min(self.rows(screen).saturating_sub(1));
    }

    fn move_choice(&mut self, key: Key) {
        let at = self.chosen(self.screen);
        let to = match key {
            Key::Up => at.saturating_sub(1),
            Key::Down => at + 1,
            Key::PageUp => at.saturating_sub(PAGE_ROWS),
            _ => at + PAGE_ROWS,
        };
        self.choose(self.screen, to);
    }

    /// The keys that matter here, for the last line.
    pub fn keys(&self) -> &'static str {
        if self.prompt.is_some() {
            return "Enter: do it   Esc: leave it";
        }
        if self.work.is_some() {
            return "Esc: stop   q: quit";
        }
        match self.screen {
            Screen::Triage | Screen::Latency => {
                "1-6 screens  ↑↓ choose  Enter go there  / search  t time  b break  ? keys  q"
            }
            Screen::Moment => {
                "[ ] step  { } 1,000  b n N break  / search  s book  Enter order  c client  ? q"
            }
            Screen::Order => {
                "1-6 screens  ↑↓←→ move  Enter go there  / order  c client  ? keys  q quit"
            }
            Screen::Client => "1-6 screens  ↑↓←→ move  Enter go there  / client  ? keys  q quit",
            Screen::Diff if self.diff.is_none() => {
                "1-6 screens  Enter this program  / another journal  ? keys  q quit"
            }
            Screen::Diff => {
                "1-6 screens  ↑↓←→ move  Enter go there (A)  / another journal  ? keys  q quit"
            }
        }
    }

    /// Where one is, in a few words.
    pub fn place(&self) -> String {
        self.scene.as_ref().map_or_else(String::new, |scene| {
            let (here, last) = (grouped(scene.view.sequence), grouped(scene.last_sequence));
            let follows = if scene.follows { ", following" } else { "" };
            format!("{here} of {last}{follows}")
        })
    }
}
