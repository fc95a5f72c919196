//! A venue that starts from a snapshot is the one that starts from its whole journal; and what
//! becomes of old snapshots and segments.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{FixClient, TestVenue, cancel, limit, replace, wait_for};
use ironbook_engine::Sequence;
use ironbook_gateway::{
    config::{Config, OldSegments},
    replay::{play_from, read_sessions},
    snapshot::oldest_usable,
    venue::{StartError, Started, Venue},
};
use ironbook_journal::{Options, Reader, open, segment_files, snapshot};

/// Snapshots often, and soon durable.
fn often(config: &mut Config) {
    config.snapshot.every_commands = 40;
    config.journal.sync_interval_ms = 5;
}

/// The smallest segments, so that there are many.
fn tiny_segments(config: &mut Config) {
    often(config);
    config.journal.segment_bytes = 1 << 16;
}

fn snapshots(venue: &TestVenue) -> Vec<u64> {
    snapshot::list(&venue.storage()).unwrap()
}

/// Orders, trades, replaces, cancels and rejects; the book is not empty behind them.
fn trade(client: &mut FixClient, name: &str, rounds: usize) {
    for round in 0..rounds {
        let id = |what: &str| format!("{name}{what}{round}");
        client.rest(&id("s"), "AAPL", "2", "100", "189.50");
        client.send("D", &limit(&id("b"), "AAPL", "1", "40", "190.00"));
        client.expect(&format!("35=8|150=0|11={}", id("b")));
        client.expect(&format!("35=8|150=F|39=1|851=1|11={}", id("s")));
        client.expect(&format!("35=8|150=F|39=2|851=2|11={}", id("b")));
        client.send("G", &replace(&id("r"), &id("s"), ("AAPL", "2"), "90", "189.60"));
        client.expect("35=8|150=5");
        client.send("F", &cancel(&id("c"), &id("r"), "AAPL", "2"));
        client.expect("35=8|150=4");
        client.send("F", &cancel(&id("x"), "nobody", "AAPL", "2"));
        client.expect("35=9|102=1");
        client.rest(&id("k"), "AAPL", "1", "7", "100.00");
        client.ping();
    }
}

/// What a session gets when it logs on and asks for all messages again: content and original times.
fn transcript(venue: &Venue, comp_id: &str, numbers: (u64, u64)) -> Vec<(String, Option<String>)> {
    let (mut client, answer) = FixClient::resume(venue.address(), comp_id, numbers);
    let last = answer.seq();
    assert_eq!(last, numbers.1, "the next number, as if nothing had happened");
    client.send("2", "7=1|16=0");
    let (mut got, mut next) = (Vec::new(), 1);
    while next <= last {
        let message = client.receive().expect("the session goes on");
        assert_eq!(message.seq(), next, "{message:?}");
        // A gap fill is made anew each time.
        let is_fill = message.kind() == "4";
        next = if is_fill { message.number(36) } else { next + 1 };
        let time = message.get(122).filter(|_| !is_fill);
        got.push((message.content(), time.map(str::to_owned)));
    }
    got
}

/// A venue that traded, was stopped, and the numbers of A and of the drop copy.
fn traded(rounds: usize) -> (TestVenue, [(u64, u64); 2]) {
    let mut venue = TestVenue::start_with(often);
    let mut copy = venue.client("COPY");
    let mut a = venue.client("A");
    trade(&mut a, "a", rounds);
    let numbers = a.numbers();
    drop(a);
    wait_for("the drop copy has everything", || {
        copy.next_in += copy.pending().len() as u64;
        copy.next_in >= numbers.1 - rounds as u64
    });
    let copies = copy.numbers();
    drop(copy);
    venue.stop();
    (venue, [numbers, copies])
}

fn copy_dir(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if wanted(entry.file_name().to_str().unwrap()) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// The venue of a directory, started by itself.
fn start_at(venue: &TestVenue, dir: PathBuf) -> Result<Venue, StartError> {
    let mut config = venue.config.clone();
    config.venue.data_dir = dir;
    Venue::start(&config)
}

#[test]
fn a_start_from_a_snapshot_equals_one_from_the_first_frame() {
    let (venue, [a, copies]) = traded(20);
    let newest = *snapshots(&venue).last().expect("a snapshot");
    let whole = venue.scratch().join("whole");
    copy_dir(&venue.journal(), &whole, |name| !name.ends_with(".snap"));

    let from_snapshot = start_at(&venue, venue.journal()).unwrap();
    let from_start = start_at(&venue, whole.clone()).unwrap();
    let (left, right) = (from_snapshot.started(), from_start.started());
    assert_eq!((left.snapshot, right.snapshot), (Some(newest), None));
    assert_eq!(left.snapshots_refused, [""; 0]);
    assert_eq!(left.state_hash, right.state_hash);
    assert_eq!(left.counts, right.counts);
    assert_eq!(left.live_orders, 20);
    assert!(left.replayed_frames < right.replayed_frames);
    assert_eq!(right.replayed_frames, right.counts.frames);

    for (comp_id, numbers) in [("A", a), ("COPY", copies)] {
        let left = transcript(&from_snapshot, comp_id, numbers);
        assert!(left.iter().filter(|(message, _)| message.contains("|35=8|")).count() > 100);
        let right = transcript(&from_start, comp_id, numbers);
        let differs = left.iter().zip(&right).find(|(left, right)| left != right);
        assert!(differs.is_none() && left.len() == right.len(), "{comp_id}: {differs:?}");
    }
    for venue in [from_snapshot, from_start] {
        assert_eq!(venue.audit_status(), None);
        venue.stop().expect("it ends in order").sync.expect("it is synced");
    }
    common::replay(&venue.journal());
    common::replay(&whole);
}

#[test]
fn a_bad_snapshot_is_passed_over_for_the_one_before() {
    let (venue, [numbers, _]) = traded(20);
    let known = snapshots(&venue);
    assert_eq!(known.len(), 2, "as many as are kept");
    let newest = snapshot::path(&venue.journal(), known[1]);
    let good = fs::read(&newest).unwrap();
    let name = newest.file_name().unwrap().to_str().unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 4;
    let whole = start_at(&venue, venue.journal()).unwrap();
    let state_hash = whole.started().state_hash;
    whole.stop().unwrap();
    for (bytes, reason) in [
        (&flipped[..], "payload fails its CRC"),
        (&good[..good.len() - 9], "bytes are missing"),
        (&good[..10], "cut short"),
    ] {
        fs::write(&newest, bytes).unwrap();
        let copied = venue.scratch().join(format!("copy{}", bytes.len()));
        copy_dir(&venue.journal(), &copied, |_| true);
        let started = start_at(&venue, copied.clone()).unwrap();
        let refused = &started.started().snapshots_refused;
        assert!(refused.len() == 1 && refused[0].contains(name), "{refused:?}");
        assert!(refused[0].contains(reason), "{refused:?}");
        assert_eq!(started.started().snapshot, Some(known[0]));
        assert_eq!(started.started().state_hash, state_hash);
        transcript(&started, "A", numbers);
        started.stop().unwrap();
    }
    // Without any that is good, everything is played back.
    fs::write(snapshot::path(&venue.journal(), known[0]), b"nothing").unwrap();
    let started = start_at(&venue, venue.journal()).unwrap();
    assert_eq!(started.started().snapshot, None);
    assert_eq!(started.started().snapshots_refused.len(), 2);
    assert_eq!(started.started().state_hash, state_hash);
    started.stop().unwrap();
}

#[test]
fn a_snapshot_of_another_journal_is_not_used() {
    let (venue, _) = traded(20);
    let (other, _) = traded(40);
    let known = snapshots(&venue);
    let foreign = *snapshots(&other).last().unwrap();
    assert!(foreign > known[1], "the newest by its name");
    let file = snapshot::path(&other.journal(), foreign);
    fs::copy(&file, venue.journal().join(file.file_name().unwrap())).unwrap();
    let started = start_at(&venue, venue.journal()).unwrap();
    assert_eq!(started.started().snapshot, known.last().copied());
    let refused = &started.started().snapshots_refused;
    assert!(refused.len() == 1 && refused[0].contains("doesn't fit the journal"), "{refused:?}");
    started.stop().unwrap();
}

#[test]
fn a_snapshot_beyond_the_end_is_not_used() {
    let mut venue = TestVenue::start_with(often);
    let mut a = venue.client("A");
    trade(&mut a, "a", 10);
    // What the disk would have after a loss of power, while the snapshot came later.
    let early = venue.scratch().join("early");
    copy_dir(&venue.journal(), &early, |name| name == "0000000000.seg");
    trade(&mut a, "b", 20);
    drop(a);
    venue.stop();
    let newest = snapshot::path(&venue.journal(), *snapshots(&venue).last().unwrap());
    fs::copy(&newest, early.join(newest.file_name().unwrap())).unwrap();
    let started = start_at(&venue, early.clone()).unwrap();
    let Started { snapshot, snapshots_refused: refused, live_orders, .. } = started.started();
    assert_eq!((*snapshot, *live_orders), (None, 10));
    assert!(refused.len() == 1 && refused[0].contains("no good frames lead to it"), "{refused:?}");
    started.stop().unwrap();
    common::replay(&early);
}

/// Names and bytes of all files of a directory but the lock, which has who looked last.
fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let named = files.map(|file| (file.file_name().into_string().unwrap(), file.path()));
    let mut contents: Vec<_> = named
        .filter(|(name, _)| name != "LOCK")
        .map(|(name, path)| (name, fs::read(path).unwrap()))
        .collect();
    contents.sort();
    contents
}

#[test]
fn a_venue_whose_frames_are_gone_does_not_begin_anew_beside_its_snapshots() {
    let mut venue = TestVenue::start_with(tiny_segments);
    let mut a = venue.client("A");
    trade(&mut a, "a", 40);
    drop(a);
    let ended = venue.stop();
    let newest = *snapshots(&venue).last().expect("a snapshot");
    let segments = segment_files(&venue.storage()).unwrap();
    assert!(segments.len() > 2, "several are lost");
    let whole = venue.scratch().join("whole");
    copy_dir(&venue.journal(), &whole, |_| true);
    // What a program leaves that began a journal and was killed before it had a frame.
    let begun = venue.scratch().join("begun");
    let options = Options { segment_bytes: 1 << 16, ..Options::default() };
    open(&begun, options).unwrap().0.close().unwrap();
    let begun = fs::read(begun.join("0000000000.seg")).unwrap();

    type Left<'a> = &'a dyn Fn(usize) -> Option<Vec<u8>>;
    let all: [(&str, Left<'_>); 4] = [
        ("removed", &|_| None),
        ("zeroed", &|_| Some(vec![0; 1 << 16])),
        ("emptied", &|_| Some(Vec::new())),
        ("begun", &|index| (index == 0).then(|| begun.clone())),
    ];
    for (case, bytes) in all {
        for (index, (_, name)) in segments.iter().enumerate() {
            let file = venue.journal().join(name);
            let _ = fs::remove_file(&file);
            bytes(index).iter().for_each(|bytes| fs::write(&file, bytes).unwrap());
        }
        let before = contents(&venue.journal());
        let error = start_at(&venue, venue.journal()).err().expect(case).to_string();
        let snapshot = snapshot::path(&venue.journal(), newest);
        for expected in [
            &format!("journal {} has no frames", venue.journal().display()),
            &format!("{} is good and tells of frames up to sequence {newest}", snapshot.display()),
            "nothing was changed; put them back from a copy",
            "use another directory or move the snapshots (*.snap) away",
        ] {
            assert!(error.contains(expected), "{case}: {expected:?} is missing in {error}");
        }
        assert!(contents(&venue.journal()) == before, "{case}: nothing is changed");
    }

    // As it says: segments put back from a copy, or snapshots that are away; a damaged one proves nothing.
    for (_, name) in &segments {
        fs::copy(whole.join(name), venue.journal().join(name)).unwrap();
    }
    let started = start_at(&venue, venue.journal()).unwrap();
    assert_eq!(started.started().state_hash, ended.state_hash);
    started.stop().unwrap();
    let anew = venue.scratch().join("anew");
    copy_dir(&venue.journal(), &anew, |name| name.ends_with(".snap"));
    for entry in fs::read_dir(&anew).unwrap() {
        fs::write(entry.unwrap().path(), b"IRONSNAP").unwrap();
    }
    let started = start_at(&venue, anew).unwrap();
    assert_eq!((started.started().snapshot, started.started().counts.frames), (None, 0));
    started.stop().unwrap();
}

#[test]
fn a_venue_restarted_three_times_goes_on_each_time() {
    let mut venue = TestVenue::start_with(often);
    let mut numbers = (1, 1);
    let mut used = Vec::new();
    for round in 0..4 {
        let (mut a, answer) = venue.resume("A", numbers);
        assert_eq!(answer.seq(), numbers.1);
        trade(&mut a, &format!("r{round}-"), 10);
        numbers = a.numbers();
        drop(a);
        let ended = venue.stop();
        // Every event again from the first frame, and the same state.
        let replayed = common::replay(&venue.journal());
        assert_eq!(replayed.engine.unwrap().state_hash(), ended.state_hash);
        assert_eq!(ironbook_journal::verify(&venue.journal()).unwrap().findings, []);
        venue.restart();
        let started = venue.venue().started();
        assert_eq!(started.state_hash, ended.state_hash);
        assert_eq!(started.snapshots_refused, [""; 0]);
        used.push(started.snapshot.expect("a snapshot"));
        assert_eq!(venue.venue().audit_status(), None);
    }
    assert!(used.is_sorted() && used[0] < used[3], "{used:?}");
    assert_eq!(snapshots(&venue).len(), 2, "as many as are kept");
}

#[test]
fn no_snapshot_is_written_when_none_is_asked_for() {
    let mut venue = TestVenue::start_with(|config| {
        often(config);
        config.snapshot.every_commands = 0;
    });
    let mut a = venue.client("A");
    trade(&mut a, "a", 5);
    drop(a);
    venue.stop();
    assert_eq!(snapshots(&venue), [0; 0]);
}

/// Trades until the first segments are gone, while the client stays.
fn trade_until_gone(venue: &TestVenue, client: &mut FixClient) {
    for round in 0.. {
        trade(client, &format!("g{round}-"), 20);
        let first = segment_files(&venue.storage()).unwrap()[0].0;
        if first >= 3 {
            return;
        }
        assert!(round < 200, "segments go at some time");
    }
}

/// Asks for everything again; gives the last number filled, and how many messages came.
fn gap_and_messages(client: &mut FixClient, last: u64) -> (u64, usize) {
    client.send("2", "7=1|16=0");
    let (mut next, mut filled, mut messages) = (1, 0, 0);
    while next <= last {
        let message = client.receive().expect("the session goes on");
        assert_eq!(message.seq(), next, "{message:?}");
        if message.kind() == "4" {
            if next == 1 {
                filled = message.number(36) - 1;
            }
            next = message.number(36);
        } else {
            (next, messages) = (next + 1, messages + 1);
        }
    }
    assert_eq!(next, last + 1);
    (filled, messages)
}

#[test]
fn messages_whose_segments_are_gone_become_a_gap() {
    let mut venue = TestVenue::start_with(|config| {
        tiny_segments(config);
        config.journal.old_segments = OldSegments::Remove;
    });
    let mut a = venue.client("A");
    trade_until_gone(&venue, &mut a);
    let last = a.next_in - 1;
    let (filled, messages) = gap_and_messages(&mut a, last);
    assert!(filled > 100 && messages > 0, "{filled} filled, {messages} sent again");
    a.ping();
    let numbers = a.numbers();
    drop(a);
    let ended = venue.stop();
    // Nothing that a kept snapshot needs is gone.
    let first = segment_files(&venue.storage()).unwrap()[0].0;
    for sequence in snapshots(&venue) {
        let snapshot = snapshot::read(&venue.storage(), sequence).unwrap();
        assert!(snapshot.checkpoint.segment() >= first);
    }
    venue.restart();
    assert_eq!(venue.venue().started().state_hash, ended.state_hash);
    let (mut a, answer) = venue.resume("A", numbers);
    let (filled_now, messages) = gap_and_messages(&mut a, answer.seq());
    assert!(filled_now >= filled && messages > 0, "{filled_now} filled, {messages} sent again");
    // A range that is gone as a whole is one gap.
    a.send("2", "7=3|16=9");
    let fill = a.receive().unwrap();
    assert!(fill.matches("35=4|34=3|36=10|123=Y"), "{fill:?}");
    a.ping();
    drop(a);
    let ended = venue.stop();

    // What plays back without the first frames is the same.
    let restored = oldest_usable(&venue.storage(), Sequence(u64::MAX)).unwrap().unwrap();
    let mut reader = Reader::open(&venue.journal()).unwrap();
    assert!(reader.first_sequence() > 1);
    reader.seek(restored.checkpoint.position);
    let replayed = play_from(restored.replayed, &mut reader, None).unwrap();
    assert_eq!(replayed.engine.unwrap().state_hash(), ended.state_hash);
    assert_eq!(replayed.last_sequence.0, ended.last_sequence);
    let report = ironbook_journal::verify(&venue.journal()).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.last_sequence, ended.last_sequence);

    // Without a good snapshot there is no way back, and that is said.
    for sequence in snapshots(&venue) {
        snapshot::remove(&venue.storage(), sequence).unwrap();
    }
    let error = start_at(&venue, venue.journal()).err().expect("it does not start").to_string();
    assert!(error.contains("frames 1 to") && error.contains("no good snapshot"), "{error}");
}

#[test]
fn packed_segments_are_what_they_were() {
    let mut venue = TestVenue::start_with(|config| {
        tiny_segments(config);
        config.journal.old_segments = OldSegments::Compress;
    });
    let mut a = venue.client("A");
    trade_until_gone(&venue, &mut a);
    drop(a);
    let ended = venue.stop();
    let dir = venue.journal();
    let packed: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".seg.zst"))
        .collect();
    assert!(packed.len() >= 3, "{packed:?}");
    for file in &packed {
        let segment = file.with_extension("");
        assert!(!segment.exists(), "the original is gone");
        fs::write(&segment, zstd::decode_all(fs::File::open(file).unwrap()).unwrap()).unwrap();
    }
    // Every byte from the first frame on.
    assert_eq!(ironbook_journal::verify(&dir).unwrap().findings, []);
    let replayed = common::replay(&dir);
    assert_eq!(replayed.engine.unwrap().state_hash(), ended.state_hash);
}

#[test]
fn sessions_read_from_a_snapshot_are_those_of_the_whole_journal() {
    let (venue, _) = traded(20);
    let restored = oldest_usable(&venue.storage(), Sequence(u64::MAX)).unwrap().unwrap();
    let mut reader = Reader::open(&venue.journal()).unwrap();
    let whole = read_sessions(&mut reader, Default::default(), None).unwrap();
    reader.seek(restored.checkpoint.position);
    assert_eq!(read_sessions(&mut reader, restored.sessions, None).unwrap(), whole);
}
