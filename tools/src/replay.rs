//! `ironbook replay`: rebuilds the state from a journal and proves it.

use std::path::PathBuf;

use ironbook_engine::{Engine, Sequence, Side};
use ironbook_gateway::{
    replay::{Counts, Replayed, replay_on_two_threads},
    retention::describe_gone,
    snapshot::{Restored, oldest_usable},
};
use ironbook_journal::{FileStorage, Position, Reader};
use serde_json::{Value, json};

use crate::output::{Exit, Failure, Outcome, decimal, grouped, hash, say};

/// Rebuild the state from a journal: every event is computed again and compared byte for byte.
///
/// Works on a stopped venue's journal and on a running one's; never writes. Where the first segments
/// are gone it begins at the oldest good snapshot.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Directory of the journal
    dir: PathBuf,
    /// Stop after the frame with this sequence
    #[arg(long, value_name = "SEQ")]
    until: Option<u64>,
    /// Price levels to print for each side; 0 for all
    #[arg(long, value_name = "N", default_value_t = 5)]
    depth: usize,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let (replayed, snapshot) = replay(arguments)?;
    let summary = Summary {
        snapshot,
        counts: replayed.counts,
        last_sequence: replayed.last_sequence.0,
        last_time_ns: replayed.last_time.0,
        state_hash: replayed.engine.as_ref().map_or(0, Engine::state_hash),
        books: replayed.engine.as_ref().map(|engine| books(engine, arguments.depth)),
    };
    if arguments.json {
        say!("{:#}", summary.json());
    } else {
        summary.print(arguments);
    }
    Ok(Exit::Fine)
}

/// Plays the journal back on this thread while another one checks its bytes and its sessions; tells
/// the sequence of the snapshot where it began, if that was necessary.
fn replay(arguments: &Arguments) -> Result<(Replayed, Option<u64>), Failure> {
    let until = arguments.until.map(Sequence);
    let mut reader = Reader::open(&arguments.dir)?;
    reader.set_verify(false);
    let mut checker = Reader::open(&arguments.dir)?;
    let restored = begin(arguments, reader.first_sequence())?;
    let snapshot = restored.as_ref().map(|restored| restored.checkpoint.sequence);
    let (from, sessions) =
        restored.map_or_else(Default::default, |known| (known.replayed, known.sessions));
    for reader in [&mut reader, &mut checker] {
        reader.seek(from.end.unwrap_or(Position::START));
    }
    let (replayed, _) = replay_on_two_threads([reader, checker], from, sessions, until)?;
    Ok((replayed, snapshot))
}

/// Where a journal that has not its first frames is played back from.
fn begin(arguments: &Arguments, first_sequence: u64) -> Result<Option<Restored>, Failure> {
    let Some(gone) = describe_gone(&arguments.dir, first_sequence) else { return Ok(None) };
    let until = arguments.until.map_or(Sequence(u64::MAX), Sequence);
    let storage = FileStorage::new(&arguments.dir);
    let found =
        oldest_usable(&storage, until).map_err(|error| Failure::new(Exit::Finding, error))?;
    let Some(restored) = found else {
        let oldest = oldest_usable(&storage, Sequence(u64::MAX));
        let oldest = oldest.map_err(|error| Failure::new(Exit::Finding, error))?;
        return Err(match (arguments.until, oldest) {
            (Some(until), Some(oldest)) => Failure::new(
                Exit::Usage,
                format!(
                    "{gone}; --until {until} is before the oldest good snapshot, which is of \
                     sequence {}",
                    oldest.checkpoint.sequence
                ),
            ),
            _ => Failure::new(
                Exit::Corrupt,
                format!("{gone}; there is no good snapshot to begin at"),
            ),
        });
    };
    eprintln!(
        "ironbook: {gone}\nironbook: the replay begins at the snapshot of sequence {}",
        restored.checkpoint.sequence
    );
    Ok(Some(restored))
}

/// What a replay came to.
struct Summary {
    /// Sequence of the snapshot that the replay began at.
    snapshot: Option<u64>,
    counts: Counts,
    last_sequence: u64,
    last_time_ns: u64,
    state_hash: u64,
    books: Option<Vec<BookView>>,
}

/// One instrument at the end.
struct BookView {
    symbol: String,
    status: String,
    live_orders: u64,
    /// Best first.
    bids: Vec<LevelView>,
    asks: Vec<LevelView>,
}

/// One price level.
struct LevelView {
    price: String,
    qty: String,
    orders: u64,
}

fn books(engine: &Engine, depth: usize) -> Vec<BookView> {
    let depth = if depth == 0 { usize::MAX } else { depth };
    let mut views = Vec::new();
    for instrument in engine.instruments() {
        let definition = instrument.definition;
        let Some(book) = engine.book(definition.instrument) else { continue };
        let side = |side| -> Vec<LevelView> {
            let view = |level: ironbook_engine::engine::LevelView<'_>| LevelView {
                price: decimal(level.price.unsigned_abs().into(), definition.price_scale),
                qty: decimal(level.qty(), definition.qty_scale),
                orders: u64::from(level.order_count()),
            };
            book.levels(side).take(depth).map(view).collect()
        };
        let orders =
            |side| book.levels(side).map(|level| u64::from(level.order_count())).sum::<u64>();
        views.push(BookView {
            symbol: definition.symbol.to_string(),
            status: format!("{:?}", instrument.status).to_lowercase(),
            live_orders: orders(Side::Buy) + orders(Side::Sell),
            bids: side(Side::Buy),
            asks: side(Side::Sell),
        });
    }
    views
}

impl Summary {
    fn json(&self) -> Value {
        let level = |level: &LevelView| json!([level.price, level.qty, level.orders]);
        let book = |book: &BookView| {
            json!({
                "symbol": book.symbol,
                "status": book.status,
                "live_orders": book.live_orders,
                "bids": book.bids.iter().map(level).collect::<Vec<_>>(),
                "asks": book.asks.iter().map(level).collect::<Vec<_>>(),
            })
        };
        json!({
            "snapshot_sequence": self.snapshot,
            "frames": self.counts.frames,
            "commands": self.counts.commands,
            "events": self.counts.events,
            "trades": self.counts.trades,
            "rejects": self.counts.rejects,
            "session_records": self.counts.session_records,
            "last_sequence": self.last_sequence,
            "last_time_ns": self.last_time_ns,
            "state_hash": hash(self.state_hash),
            "identical": true,
            "books": self.books.iter().flatten().map(book).collect::<Vec<_>>(),
        })
    }

    fn print(&self, arguments: &Arguments) {
        let Counts { frames, commands, events, trades, rejects, session_records } = self.counts;
        say!("Journal      {}", arguments.dir.display());
        if let Some(sequence) = self.snapshot {
            say!(
                "Snapshot     sequence {}; what came before was not computed again",
                grouped(sequence)
            );
        }
        say!("Frames       {} up to sequence {}", grouped(frames), grouped(self.last_sequence));
        say!("Commands     {}", grouped(commands));
        say!("Events       {}, each computed again and identical", grouped(events));
        say!("Trades       {}", grouped(trades));
        say!("Rejects      {}", grouped(rejects));
        say!("Sessions     {} records", grouped(session_records));
        say!("State        {}", hash(self.state_hash));
        for book in self.books.iter().flatten().filter(|book| book.live_orders > 0) {
            book.print();
        }
        let dir = arguments.dir.display();
        say!("\nNext: ironbook inspect {dir} --from {}", self.last_sequence.saturating_sub(20));
    }
}

impl BookView {
    /// The book as a table: bids left, asks right, best first.
    fn print(&self) {
        say!("\n{} ({}, {} live orders)", self.symbol, self.status, grouped(self.live_orders));
        say!(
            "  {:>6} {:>18} {:>14} | {:<14} {:<18} {:<6}",
            "orders",
            "qty",
            "bid",
            "ask",
            "qty",
            "orders"
        );
        let empty = LevelView { price: String::new(), qty: String::new(), orders: 0 };
        for row in 0..self.bids.len().max(self.asks.len()) {
            let bid = self.bids.get(row).unwrap_or(&empty);
            let ask = self.asks.get(row).unwrap_or(&empty);
            let orders = |level: &LevelView| match level.orders {
                0 => String::new(),
                orders => orders.to_string(),
            };
            say!(
                "  {:>6} {:>18} {:>14} | {:<14} {:<18} {:<6}",
                orders(bid),
                bid.qty,
                bid.price,
                ask.price,
                ask.qty,
                orders(ask)
            );
        }
    }
}
