//! Keys go in, screens come out: the interface without a terminal and without threads.
//!
//! `IRONBOOK_BLESS=1` writes what is expected.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        atomic::AtomicBool,
        mpsc::{Sender, channel},
    },
    time::Duration,
};

use ironbook_engine::{
    Event, InstrumentStatus, OrderId, Side, Timestamp, TradingStatus,
    command::{NOTIONAL_SCALE, Origin, QueryOrder, RiskLimits, SetInstrumentStatus},
};
use ironbook_gateway::{
    session_record::SessionRecord,
    stage_log::{STAGE_LOG, StageRecord, StageSecond},
    stages::Stage,
};
use ironbook_incident::index::{Index, default_dir};
use ironbook_journal::{Options, SEGMENT_BYTES_MIN};
use ratatui::{Terminal, backend::TestBackend, style::Modifier};

use super::{
    app::{App, Key, Screen},
    desk::{Answer, Control, Desk, DiffCell, Memory, Request},
    draw,
    survey::Surveyor,
    worker::{self, Place, Told},
};
use crate::script::{self, C1, C2, Script, churn, index, memory_dir, story};

/// What somebody at a terminal sees.
struct Session<'i> {
    app: App,
    desk: Desk<'i>,
}

impl<'i> Session<'i> {
    /// In front of a journal that is open and surveyed.
    fn new(index: &'i Index, at: Option<&str>) -> Self {
        let mut app = App::new("data".to_owned(), at.map(str::to_owned));
        let desk = Desk::new(index, Memory::default());
        app.handle_health(worker::health(index).unwrap());
        let mut surveyor = Surveyor::new(index).unwrap();
        while surveyor.slice(7).unwrap() {}
        app.handle_survey(surveyor.survey());
        let mut session = Self { app, desk };
        session.serve();
        session
    }

    /// Presses keys, each with what it brings about: characters, and names of others between `<>`.
    #[track_caller]
    fn press(&mut self, keys: &str) {
        for key in keys_of(keys) {
            self.app.handle_key(key);
            self.serve();
        }
    }

    fn serve(&mut self) {
        while let Some(request) = self.app.poll_request() {
            let answer =
                self.desk.answer(&request, &mut quiet(&AtomicBool::new(false), &mut |_| {}));
            self.app.handle_answer(answer);
        }
    }

    fn screen(&self) -> String {
        text(&self.app, 80, 24)
    }

    #[track_caller]
    fn expect(&self, parts: &[&str]) {
        let screen = self.screen();
        for part in parts {
            assert!(screen.contains(part), "{part:?} is not in\n{screen}");
        }
    }

    /// Compares the screen, in two sizes, with what is kept under a name.
    #[track_caller]
    fn golden(&self, name: &str) {
        for (width, height) in [(80, 24), (120, 40)] {
            compare(&format!("{name}-{width}x{height}.txt"), &text(&self.app, width, height));
        }
    }
}

fn quiet<'c>(stop: &'c AtomicBool, tell: &'c mut dyn FnMut(String)) -> Control<'c> {
    Control { stop, tell }
}

fn keys_of(text: &str) -> Vec<Key> {
    let mut keys = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let key = named.and_then(|(name, rest)| Some((key_named(name)?, rest)));
        let (key, after) = key.unwrap_or((Key::Char(first), &rest[first.len_utf8()..]));
        keys.push(key);
        rest = after;
    }
    keys
}

fn key_named(name: &str) -> Option<Key> {
    Some(match name {
        "Enter" => Key::Enter,
        "Esc" => Key::Esc,
        "Back" => Key::Backspace,
        "Up" => Key::Up,
        "Down" => Key::Down,
        "Right" => Key::Right,
        "Left" => Key::Left,
        "PgDn" => Key::PageDown,
        "PgUp" => Key::PageUp,
        "Home" => Key::Home,
        "End" => Key::End,
        _ => return None,
    })
}

fn drawn(app: &App, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw::draw(frame, app)).unwrap();
    terminal
}

fn text(app: &App, width: u16, height: u16) -> String {
    let terminal = drawn(app, width, height);
    let buffer = terminal.backend().buffer();
    let line = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| line(y).trim_end().to_owned() + "\n").collect()
}

/// The text that is shown inverted in the body: what is chosen there.
fn chosen(app: &App) -> String {
    let terminal = drawn(app, 80, 24);
    let buffer = terminal.backend().buffer();
    let is_chosen = |&(x, y): &(u16, u16)| buffer[(x, y)].modifier.contains(Modifier::REVERSED);
    let cells = (1..24).flat_map(|y| (0..80).map(move |x| (x, y))).filter(is_chosen);
    cells.map(|at| buffer[at].symbol()).collect::<String>().trim().to_owned()
}

/// Whether a text is bold where it stands.
fn is_bold_at(app: &App, part: &str) -> bool {
    let y = text(app, 80, 24).lines().position(|line| line.contains(part)).expect(part);
    let terminal = drawn(app, 80, 24);
    terminal.backend().buffer()[(0, y as u16)].modifier.contains(Modifier::BOLD)
}

#[track_caller]
fn compare(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tui").join(name);
    if std::env::var_os("IRONBOOK_BLESS").is_some() {
        fs::write(&path, found).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{}", path.display());
}

/// The day that goes wrong.
fn day() -> (tempfile::TempDir, PathBuf) {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    (place, dir)
}

#[test]
fn every_screen_of_a_day() {
    let (_place, dir) = day();
    let index = index(&dir);
    let mut session = Session::new(&index, None);
    session.golden("triage");
    session.press("2");
    session.golden("moment-end");
    session.press("/trade:1<Enter>");
    session.golden("moment-trade");
    assert!(is_bold_at(&session.app, "*     1        40     99.00"), "a level that changed");
    assert!(!is_bold_at(&session.app, "      1        30     90.00"));
    session.press("<Enter>");
    session.golden("order");
    session.press("c");
    session.golden("client");
    session.press("5");
    session.golden("latency");
    session.press("?");
    session.golden("help");
}

#[test]
fn triage_counts_what_the_gateway_refused() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.order((C1, "a"), script::AAPL, Side::Buy, (10, 10_000));
    for _ in 0..3 {
        let (msg_type, body) = (b"8".to_vec(), b"58=too many\x01".to_vec());
        day.record(&SessionRecord::Outbound { session: C1, msg_type, body });
    }
    day.close();
    let index = index(&dir);
    Session::new(&index, None).expect(&["Counts    4 messages, 3 rejects, 0 trades"]);
}

#[test]
fn triage_marks_trips_and_what_sessions_may_do() {
    const ONE: i64 = 10i64.pow(NOTIONAL_SCALE as u32);
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    let (traded_notional, window_ms) = (500 * ONE, 60_000);
    day.limit(script::C7, RiskLimits { traded_notional, window_ms, ..RiskLimits::NONE });
    day.order((C1, "s"), script::AAPL, Side::Sell, (10, 10_000));
    day.order((script::C7, "b"), script::AAPL, Side::Buy, (10, 10_000));
    day.set_trading(script::C7, TradingStatus::Open, "told off");
    day.set_trading(C2, TradingStatus::CancelOnly, "loud");
    day.close();
    let index = index(&dir);
    Session::new(&index, None).expect(&[
        "Halt Trip Kill Open",
        "3 marks,",
        "T          14 2026-03-02T14:30:00.009000000Z C7 tripped by TradedNotionalTooLar",
        "Z C7 opened: told off",
        "Z C2 suspended: loud",
    ]);
}

#[test]
fn triage_knows_names_without_the_first_segments() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    churn(&mut day, 400);
    drop(index(&dir));
    let kept = fs::read_dir(default_dir(&dir)).unwrap().map(|entry| entry.unwrap().path());
    let snapshot = kept.filter(|path| path.extension().is_some_and(|of| of == "snap")).max();
    let snapshot = snapshot.expect("a checkpoint");
    fs::copy(&snapshot, dir.join(snapshot.file_name().unwrap())).unwrap();
    script::churn_from(&mut day, 400, 400);
    day.mass_cancel(C2, "all");
    day.set_status(script::AAPL, InstrumentStatus::Halted);
    day.close();
    fs::remove_file(dir.join("0000000000.seg")).unwrap();
    fs::remove_dir_all(default_dir(&dir)).unwrap();
    let index = index(&dir);
    assert!(index.first_sequence() > 1, "some are gone");
    Session::new(&index, None).expect(&["C2 mass cancel of", "AAPL Halted"]);
}

#[test]
fn stage_times_that_a_venue_kept_are_beside_the_waits() {
    let (_place, dir) = day();
    let index = index(&dir);
    let stages = |at: u64| {
        let mut record = StageRecord {
            from_ns: script::START_NS + at * 1_000_000_000,
            length_ns: 1_000_000_000,
            first_sequence: 1,
            frames: 80,
            every: 1,
            ..StageRecord::default()
        };
        for (number, stage) in (1..).zip(Stage::ALL) {
            let ns = [1, 2, 3, 4, 5_000].map(|of| of * number * (at + 1) * 700);
            record.stages[stage as usize] = StageSecond { count: 10, ns };
        }
        record.encode()
    };
    let path = dir.join(STAGE_LOG);
    let whole = [stages(0), stages(1), stages(2)].concat();
    fs::write(&path, &whole).unwrap();
    let mut session = Session::new(&index, None);
    session.press("5");
    session.golden("latency-stages");
    // Every stage and a slow request have room in the smallest terminal.
    let names = Stage::ALL.map(Stage::name);
    session.expect(&names);
    session.expect(&["3 s ", "The slowest\n      5.0 µs"]);
    // A file that is damaged is told of, and what is before that is shown.
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let mut session = Session::new(&index, None);
    session.press("5");
    session.expect(&names);
    session.expect(&["2 s ", "The slowest\n      5.0 µs", "the record of stage times at byte"]);
}

#[test]
fn journals_are_shown_side_by_side() {
    let (place, dir) = day();
    // Another price in the order that comes third.
    let other = place.path().join("other");
    let mut another = Script::new(&other);
    let none = ironbook_gateway::session_record::Copies::None;
    another.record(&SessionRecord::Role { session: C2, copies: none });
    another.record(&SessionRecord::Outbound {
        session: C1,
        msg_type: b"A".to_vec(),
        body: b"98=0\x01108=30\x01".to_vec(),
    });
    another.order((C1, "a1"), script::AAPL, Side::Buy, (100, 10_000));
    another.order((C2, "b1"), script::AAPL, Side::Buy, (50, 10_001));
    another.close();
    let index = index(&dir);
    let mut session = Session::new(&index, Some("end"));
    session.press("6");
    session.golden("diff-none");
    session.press("<Enter>");
    session.expect(&["Differs      nowhere", "A data", "B this program"]);
    session.press("<Enter>");
    session.expect(&["this row leads nowhere"]);
    let path = other.to_str().unwrap();
    session.press(&format!("/{path}<Enter>"));
    // Where it is has another name each time.
    let shown = session.app.diff.as_mut().unwrap();
    assert_eq!(std::mem::replace(&mut shown.other, "other".to_owned()), path);
    session.golden("diff");
    assert!(chosen(&session.app).contains(" # "), "{}", chosen(&session.app));
    session.press("<Up>");
    assert!(chosen(&session.app).contains(" | "), "{}", chosen(&session.app));
    // Both sides are moved, and the frames behind are there.
    session.press("<Right>");
    assert!(!session.screen().contains("NewOrderSingle: C1"), "{}", session.screen());
    session.press("<Left><Down><Down><Down>");
    session.expect(&["A NewOrderSingle: C7 x1", "B nothing"]);
    session.press("<Enter>");
    session.expect(&["Sequence 13 "]);
    session.press("6/nowhere<Enter>");
    session.expect(&["nowhere"]);
    // What was compared before stays.
    session.expect(&["B other"]);
}

#[test]
fn what_this_program_decides_otherwise_is_shown() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.order((C1, "a1"), script::AAPL, Side::Buy, (100, 10_000));
    let lie = |event: &mut Event| {
        if let Event::Execution(event) = event {
            event.leaves_qty += 1;
        }
    };
    let status = SetInstrumentStatus::new(
        Origin::venue(Timestamp(0)),
        script::AAPL,
        InstrumentStatus::Halted,
    );
    day.command_with_lies(status.into(), lie);
    let query = QueryOrder::new(
        Origin::new(C1, 2, Timestamp(0)),
        OrderId::NONE,
        script::AAPL,
        Side::Buy,
        script::name("a1"),
    );
    day.command_with_lies(query.into(), lie);
    day.close();
    let index = index(&dir);
    let mut session = Session::new(&index, None);
    session.press("6<Enter>");
    session.expect(&["Differs      at sequence 12"]);
    let rows = &session.app.diff.as_ref().unwrap().rows;
    let row = rows.iter().find(|row| !row.is_same).unwrap();
    let says = |cell: &Option<DiffCell>| cell.as_ref().unwrap().text.clone();
    assert!(says(&row.a).contains("left 101") && says(&row.b).contains("left 100"), "{row:?}");
    assert!(chosen(&session.app).contains(" # "), "{}", chosen(&session.app));
}

#[test]
fn steps_go_on_and_back_and_say_where_it_ends() {
    let (_place, dir) = day();
    let index = index(&dir);
    let mut session = Session::new(&index, Some("seq:32"));
    session.expect(&["Sequence 32 ", "32 of 89", "C7 fat"]);
    let there = session.screen();
    session.press("]");
    session.expect(&["Sequence 37 ", "MSFT Halted"]);
    session.press("[");
    // Its input, while one of its events was asked for before.
    session.expect(&["Sequence 29 ", "=>        29"]);
    session.press("/32<Enter>");
    assert_eq!(session.screen(), there);
    session.press("{");
    session.expect(&["Sequence 1 ", "1 of 89"]);
    session.press("[");
    session.expect(&["this is the first input"]);
    session.press("}");
    session.expect(&["Sequence 88 "]);
    session.press("]");
    session.expect(&["this is the last input", "Sequence 88 "]);
    session.press("<Home>");
    session.expect(&["Sequence 1 "]);
    session.press("<End>");
    session.expect(&["Sequence 89 "]);
    // There and back, input by input: each screen again.
    session.press("<Home>}");
    let mut screens = Vec::new();
    for _ in 0..20 {
        screens.push(session.screen());
        session.press("[");
    }
    while let Some(screen) = screens.pop() {
        session.press("]");
        assert_eq!(session.screen(), screen);
    }
}

#[test]
fn places_are_found_or_the_reason_is_told() {
    let (_place, dir) = day();
    let index = index(&dir);
    let mut session = Session::new(&index, None);
    for (typed, expected) in [
        ("/seq:20<Enter>", "Sequence 20 "),
        ("/trade:2<Enter>", "trade 2"),
        ("/clordid:C7/fat<Enter>", "C7 fat"),
        ("t14:30:00.010<Enter>", "2026-03-02T14:30:00.010000000Z"),
        ("ttime:14:30:00.011<Enter>", "2026-03-02T14:30:00.011000000Z"),
        ("/seq:9999<Enter>", "there is no sequence 9999: the journal holds 1 to 89"),
        ("/x1<Enter>", "clordid:C7/x1  at sequence 13"),
        ("/nobody<Enter>", "no request has the ClOrdID nobody"),
        ("tnoon<Enter>", "no time; give 2026-03-02T14:30:00"),
        ("3/order:77<Enter>", "no order 77"),
        ("4/C9<Enter>", "no session has the comp id C9; there are C1 C2 C7"),
        ("4/C2<Enter>", "Client       C2"),
        ("3/clordid:C1/a2<Enter>", "Order        "),
    ] {
        session.press(typed);
        session.expect(&[expected]);
    }
    // A line that is left does nothing, one that is mistyped can be corrected.
    session.press("2/seq:1<Esc>");
    session.expect(&["[ ] step"]);
    session.press("/seq:3x<Back>0<Enter>");
    session.expect(&["Sequence 30 "]);
}

#[test]
fn conditions_are_looked_for_both_ways() {
    let (_place, dir) = day();
    let index = index(&dir);
    let mut session = Session::new(&index, Some("start"));
    session.press("n");
    session.expect(&["there is no condition yet"]);
    session.press("btrade.px < 0.99 * ref<Enter>");
    session.expect(&["n goes on to where it holds"]);
    session.press("n");
    session.expect(&["Break: trade.px < 0.99 * ref", "Sequence 35 "]);
    let first = session.screen();
    session.press("n");
    session.expect(&["Sequence 80 "]);
    let second = session.screen();
    session.press("n");
    session.expect(&["there is no frame after sequence", "with trade.px < 0.99 * ref"]);
    // It is where it was.
    session.expect(&["Sequence 80 "]);
    session.press("N");
    assert_eq!(session.screen(), first);
    session.press("<End>N");
    assert_eq!(session.screen(), second);
    session.press("N");
    session.press("b<Back><Back><Back>0.5<Enter>N");
    session.expect(&["there is no frame before"]);
}

#[test]
fn a_condition_that_is_wrong_is_marked_and_stays_to_be_corrected() {
    let (_place, dir) = day();
    let index = index(&dir);
    let mut session = Session::new(&index, Some("end"));
    session.press("btrade.pix < 1<Enter>");
    session.golden("condition-wrong");
    let screen = session.screen();
    let lines: Vec<_> = screen.lines().collect();
    let marked = lines.iter().position(|line| line.contains("^^^^^^^^^")).expect(&screen);
    assert_eq!(lines[marked].find('^'), lines[marked - 1].find("trade.pix"), "{screen}");
    for _ in 0.."pix < 1".len() {
        session.press("<Back>");
    }
    session.press("px > 0<Enter>");
    session.expect(&["n goes on"]);
    session.press("b");
    session.expect(&["Break where: trade.px > 0"]);
    for _ in 0.."trade.px > 0".len() {
        session.press("<Back>");
    }
    session.press("<Enter>");
    session.expect(&["nothing is looked for any more"]);
}

#[test]
fn rows_lead_to_orders_clients_and_moments() {
    let (_place, dir) = day();
    let index = index(&dir);
    let mut session = Session::new(&index, None);
    assert!(chosen(&session.app).contains("MSFT Halted"), "{}", chosen(&session.app));
    session.press("<Enter>");
    session.expect(&["MSFT Halted"]);
    session.press("c");
    session.expect(&["this row is of no client"]);
    session.press("<Enter>");
    session.expect(&["where no order was accepted or changed"]);
    // The event before it is the last one of the accident.
    session.press("<Up><Up>");
    session.press("<Enter>");
    assert_eq!(session.app.screen, Screen::Order);
    session.expect(&["of C7", "against order"]);
    session.press("<Enter>");
    session.expect(&["this row leads nowhere"]);
    for _ in 0..6 {
        session.press("<Down>");
    }
    assert!(
        chosen(&session.app).starts_with(">") && chosen(&session.app).contains("order 16777216")
    );
    session.press("<Enter>");
    // A line under a step leads to that one.
    session.expect(&["Sequence 32 "]);
    session.press("3c");
    assert_eq!(session.app.screen, Screen::Client);
    session.press("5<Down>");
    let slow = chosen(&session.app);
    session.press("<Enter>");
    assert_eq!(session.app.screen, Screen::Moment);
    let time = slow.split_whitespace().last().unwrap();
    session.expect(&[time]);
}

#[test]
fn books_of_other_symbols_are_pinned_one_after_the_other() {
    let (_place, dir) = day();
    let index = index(&dir);
    let mut session = Session::new(&index, Some("trade:1"));
    session.expect(&["AAPL (open, 3 live orders)"]);
    session.press("s");
    session.expect(&["AAPL (open, 3 live orders, stays)"]);
    session.press("s");
    session.expect(&["MSFT (open, 0 live orders, stays)", "Sequence 29 "]);
    session.press("[");
    session.expect(&["MSFT (open, 0 live orders, stays)"]);
    session.press("s");
    session.expect(&["AAPL (open, "]);
    assert!(!session.screen().contains("stays"));
}

#[test]
fn texts_that_are_too_wide_are_moved() {
    let (_place, dir) = day();
    let index = index(&dir);
    let mut session = Session::new(&index, None);
    session.press("3/fat<Enter>");
    let before = session.screen();
    session.press("<Right>");
    assert!(!session.screen().contains("Order        "), "{}", session.screen());
    session.press("<Left>");
    assert_eq!(session.screen(), before);
}

#[test]
fn a_damaged_journal_is_shown_up_to_the_damage() {
    let (_place, dir) = day();
    let path = dir.join("0000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.windows(3).position(|window| window == b"fat").unwrap();
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    let index = index(&dir);
    let mut session = Session::new(&index, None);
    session.expect(&["DAMAGED", "up to sequence 28 the journal is good", "1 to 28, none missing"]);
    assert!(!session.screen().contains("whole when it was indexed"));
    session.press("2");
    session.expect(&["28 of 28"]);
    session.press("]");
    session.expect(&["this is the last input"]);
    session.press("/trade:1<Enter>");
    session.expect(&["there is no trade 1", "fails its CRC"]);
}

#[test]
fn an_empty_journal_has_screens_too() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let options =
        Options { segment_bytes: SEGMENT_BYTES_MIN, prepared_ahead: 1, ..Options::default() };
    ironbook_journal::open(&dir, options).unwrap().0.close().unwrap();
    let index = index(&dir);
    let mut session = Session::new(&index, None);
    session.golden("empty");
    for key in ["2", "]", "[", "{", "}", "s", "c", "<Enter>", "<Down>", "3", "4", "5", "<Enter>"] {
        session.press(key);
        session.screen();
    }
    session.press("2]");
    session.expect(&["there is no sequence", "There is no moment"]);
    session.press("btrade<Enter>n");
    session.expect(&["the journal holds nothing to look through"]);
}

#[test]
fn a_terminal_that_is_too_small_says_so() {
    let app = App::new("data".to_owned(), None);
    for (width, height) in [(79, 24), (80, 23), (20, 5), (1, 1)] {
        let shown = text(&app, width, height);
        let words = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        let expected =
            format!("The terminal has {width} columns and {height} lines; 80 and 24 are needed.");
        if width >= 20 {
            assert_eq!(words, expected);
        }
    }
    assert!(!text(&app, 80, 24).contains("needed"));
}

#[test]
fn the_keys_have_room_in_the_last_line() {
    let mut app = App::new("data".to_owned(), None);
    for screen in Screen::ALL {
        app.screen = screen;
        for work in [None, Some("Working".to_owned())] {
            app.work = work;
            assert!(app.keys().chars().count() <= 80, "{}", app.keys());
            assert!(text(&app, 80, 24).ends_with(&format!("{}\n", app.keys())));
        }
    }
}

#[test]
fn keys_wait_for_answers_and_esc_stops_them() {
    let mut app = App::new("data".to_owned(), None);
    assert!(text(&app, 80, 24).contains("Opening the journal ..."));
    app.handle_progress("Indexing: 12 % of 3.0 MiB".to_owned());
    assert!(text(&app, 80, 24).contains("Indexing: 12 % of 3.0 MiB ..."));
    let (_place, dir) = day();
    let index = index(&dir);
    let mut desk = Desk::new(&index, Memory::default());
    app.handle_health(worker::health(&index).unwrap());
    assert_eq!(app.poll_request(), Some(Request::End));
    let stop = AtomicBool::new(false);
    let mut answer = |request| desk.answer(&request, &mut quiet(&stop, &mut |_| {}));
    // Typed ahead: what it would have done one after the other.
    keys_of("[[/12<Enter>").into_iter().for_each(|key| app.handle_key(key));
    assert_eq!(app.poll_request(), None);
    app.handle_answer(answer(Request::End));
    let mut asked = Vec::new();
    while let Some(request) = app.poll_request() {
        asked.push(request.clone());
        app.handle_answer(answer(request));
    }
    assert_eq!(asked, [Request::Step(-1), Request::Step(-1), Request::Go("12".to_owned())]);
    keys_of("]]]<Esc>").into_iter().for_each(|key| app.handle_key(key));
    assert!(app.poll_stop() && !app.poll_stop(), "told once");
    let request = app.poll_request().unwrap();
    app.handle_answer(answer(request));
    assert_eq!(app.poll_request(), None, "what was typed ahead is forgotten");
    // A screen can be chosen meanwhile, and stays.
    for (keys, screen) in [("]1", Screen::Triage), ("2]", Screen::Moment), ("1]", Screen::Moment)] {
        keys_of(keys).into_iter().for_each(|key| app.handle_key(key));
        let request = app.poll_request().unwrap();
        app.handle_answer(answer(request));
        assert_eq!(app.screen, screen, "{keys}");
    }
    app.handle_key(Key::Char('q'));
    assert!(app.is_over);
}

#[test]
fn nothing_is_waited_for_before_the_journal_is_open() {
    for key in [Key::Esc, Key::Char('q'), Key::Interrupt] {
        let mut app = App::new("data".to_owned(), None);
        app.handle_key(key);
        assert!(app.is_over, "{key:?}");
    }
}

#[test]
fn a_search_can_be_stopped_and_leaves_the_moment() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    churn(&mut day, 3_000);
    day.close();
    let index = index(&dir);
    for back in [false, true] {
        let mut desk = Desk::new(&index, Memory::default());
        let stop = AtomicBool::new(false);
        let at = if back { "end" } else { "start" };
        let mut heard = Vec::new();
        let mut ask = |request: &Request, ends: bool| {
            let mut tell = |work: String| {
                // Somebody presses Esc when there is something to see.
                stop.store(ends, std::sync::atomic::Ordering::Relaxed);
                heard.push(work);
            };
            let answer = desk.answer(request, &mut quiet(&stop, &mut tell));
            stop.store(false, std::sync::atomic::Ordering::Relaxed);
            format!("{answer:?}")
        };
        let before = ask(&Request::Go(at.to_owned()), false);
        let search = Request::Search { condition: "trade.px < 1".to_owned(), back };
        let answer = ask(&search, true);
        assert!(answer.contains("stopped; still at sequence"), "{answer}");
        let whole = ask(&search, false);
        assert!(whole.contains("there is no frame"), "{whole}");
        let after = ask(&Request::NextBook, false);
        assert_eq!(
            after.split("state_hash").nth(1).unwrap().split(',').next(),
            before.split("state_hash").nth(1).unwrap().split(',').next()
        );
        assert!(heard.iter().all(|work| work.starts_with("Looking at sequence")), "{heard:?}");
        assert!(heard.len() >= 3, "{heard:?}");
    }
}

#[test]
fn a_comparison_can_be_stopped() {
    let place = memory_dir();
    let [dir, other] = ["data", "other"].map(|name| place.path().join(name));
    for dir in [&dir, &other] {
        let mut day = Script::new(dir);
        churn(&mut day, 3_000);
        day.close();
    }
    let index = index(&dir);
    let mut desk = Desk::new(&index, Memory::default());
    for other in [None, Some(other.display().to_string())] {
        let request = Request::Diff(other);
        for ends in [true, false] {
            let stop = AtomicBool::new(false);
            let mut heard = 0;
            let mut tell = |work: String| {
                assert!(work.starts_with("Comparing at sequence"), "{work}");
                heard += 1;
                // Somebody presses Esc when there is something to see.
                stop.store(ends, std::sync::atomic::Ordering::Relaxed);
            };
            let answer = desk.answer(&request, &mut quiet(&stop, &mut tell));
            match (ends, &answer) {
                (true, Answer::Told(told)) => assert!(told.starts_with("stopped"), "{told}"),
                (false, Answer::Diff(page)) => assert!(page.rows.is_empty(), "{page:?}"),
                _ => panic!("{answer:?}"),
            }
            assert!(heard == 1 || !ends && heard > 1, "looked at {heard} times");
        }
    }
}

/// A worker that says nothing for so long has failed.
const WORK_MAX: Duration = Duration::from_secs(30);

/// Answers on another thread, as the program does, up to a certain one.
struct Followed {
    to_ask: Sender<Request>,
    told: std::sync::mpsc::Receiver<Told>,
    app: App,
}

impl Followed {
    /// Takes what is told until the screen is as wanted.
    #[track_caller]
    fn until(&mut self, wanted: impl Fn(&App) -> bool) {
        while !wanted(&self.app) {
            while let Some(request) = self.app.poll_request() {
                self.to_ask.send(request).unwrap();
            }
            if wanted(&self.app) {
                break;
            }
            match self.told.recv_timeout(WORK_MAX).expect("the worker goes on") {
                Told::Progress(work) => self.app.handle_progress(work),
                Told::Health(health) => self.app.handle_health(health),
                Told::Survey(survey) => self.app.handle_survey(*survey),
                Told::Answer(answer) => self.app.handle_answer(answer),
                Told::Following(scene) => self.app.handle_following(scene),
            }
        }
    }
}

#[test]
fn a_running_venue_is_followed_until_somebody_steps_back() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    churn(&mut day, 10);
    let (to_ask, asked) = channel();
    let (to_tell, told) = channel();
    let journal = Place { dir: dir.clone(), index: None, follow: true };
    std::thread::scope(|scope| {
        let worker = scope.spawn(move || {
            worker::work(&journal, &asked, &AtomicBool::new(false), &mut |what| {
                let _ = to_tell.send(what);
            })
        });
        let mut followed = Followed { to_ask, told, app: App::new("data".to_owned(), None) };
        let at = |sequence: u64| {
            move |app: &App| {
                let scene = app.scene.as_ref();
                scene.is_some_and(|scene| {
                    scene.view.entries.last().is_some_and(|last| last.sequence == sequence)
                })
            }
        };
        followed.until(at(day.next_sequence() - 1));
        day.order((C1, "more"), script::AAPL, Side::Buy, (1, 9_000));
        followed.until(at(day.next_sequence() - 1));
        assert!(text(&followed.app, 80, 24).contains("following"));
        assert_eq!(followed.app.screen, Screen::Triage, "it does not change the screen");
        let sequence = day.next_sequence() - 1;
        followed.until(|app| app.survey.last.0 == sequence);
        assert_eq!(followed.app.survey.frames, sequence, "each frame once");
        // A row that was chosen stays that one.
        keys_of("2<Up><Up>").into_iter().for_each(|key| followed.app.handle_key(key));
        let row = chosen(&followed.app);
        day.order((C1, "even"), script::AAPL, Side::Buy, (1, 9_000));
        followed.until(at(day.next_sequence() - 1));
        assert_eq!(chosen(&followed.app), row);
        followed.app.handle_key(Key::Char('['));
        followed.until(|app| app.work.is_none());
        let back = followed.app.place();
        assert!(!text(&followed.app, 80, 24).contains("following"));
        day.order((C2, "later"), script::AAPL, Side::Sell, (1, 11_000));
        // What comes now is not gone to.
        followed.app.handle_key(Key::Char('['));
        followed.until(|app| app.work.is_none());
        followed.app.handle_key(Key::Char(']'));
        followed.until(|app| app.work.is_none());
        assert_eq!(followed.app.place(), back);
        followed.app.handle_key(Key::End);
        followed.until(at(day.next_sequence() - 1));
        assert!(text(&followed.app, 80, 24).contains("following"));
        drop(followed);
        assert!(worker.join().unwrap().is_ok());
    });
    day.close();
}
