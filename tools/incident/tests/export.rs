//! What other programs read of a journal: decoded here by what the formats say, and compared with the engine.

mod common;

use std::collections::BTreeMap;

use common::{AAPL, C1, C2, MSFT, Script, index, memory_dir, name, random_day, story};
use ironbook_engine::{
    Account, Engine, InstrumentId, InstrumentStatus, OrdType, Side, TimeInForce, Timestamp,
    command::{DefineInstrument, NewOrder, OrderTerms, Origin},
};
use ironbook_fix::codec::{Framed, MESSAGE_MAX, frame};
use ironbook_gateway::{
    random::Random,
    session_record::{Copies, SessionRecord},
};
use ironbook_incident::{
    Fault,
    export::{Exported, Format, Kinds, Wanted, export},
    index::Index,
    moment::Moment,
    question::{Span, trades},
    text::utc,
};
use ironbook_journal::{PAYLOAD_MAX, SEGMENT_BYTES_MIN};

fn write(index: &Index, format: Format, span: Span, symbol: Option<&str>) -> Vec<u8> {
    try_write(index, format, span, symbol).unwrap().0
}

fn try_write(
    index: &Index,
    format: Format,
    span: Span,
    symbol: Option<&str>,
) -> Result<(Vec<u8>, Exported), Fault> {
    let mut out = Vec::new();
    let wanted = Wanted { format, span, kinds: Kinds::ALL, symbol, redact: true };
    let exported = export(index, &wanted, &mut out)?;
    Ok((out, exported))
}

fn all(index: &Index) -> Span {
    Span { first: index.first_sequence(), last: index.last_sequence() }
}

/// A side of a book by price, in ten-thousandths: reference and shares of each order, in their order.
type Levels = BTreeMap<u32, Vec<(u64, u32)>>;

/// A stock, as its messages tell of it.
#[derive(Debug, Default, PartialEq)]
struct Stock {
    name: String,
    lot: u32,
    state: char,
    sides: [Levels; 2],
}

/// What a reader of ITCH knows.
#[derive(Default)]
struct Reader {
    stocks: BTreeMap<u16, Stock>,
    /// Where orders are: stock, side, price.
    orders: BTreeMap<u64, (u16, usize, u32)>,
    /// Price and shares, by match number.
    trades: BTreeMap<u64, (u32, u32)>,
    kinds: String,
    times: Vec<u64>,
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    bytes[at..at + N].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

impl Reader {
    fn of(mut bytes: &[u8]) -> Self {
        let mut reader = Self::default();
        while !bytes.is_empty() {
            let length = number::<2>(bytes, 0) as usize;
            reader.take(&bytes[2..2 + length]);
            bytes = &bytes[2 + length..];
        }
        reader
    }

    fn take(&mut self, message: &[u8]) {
        let (kind, locate) = (message[0] as char, number::<2>(message, 1) as u16);
        assert_eq!(number::<2>(message, 3), 0, "tracking number");
        self.kinds.push(kind);
        self.times.push(number::<6>(message, 5));
        let text = |from: usize, to: usize| String::from_utf8_lossy(&message[from..to]);
        let (reference, length) = (number::<8>(message, 11.min(message.len() - 8)), message.len());
        let word = |at: usize| number::<4>(message, at) as u32;
        match (kind, length) {
            ('S', 12) => assert!(b"OC".contains(&message[11]) && locate == 0),
            ('R', 39) => {
                let name = text(11, 19).trim_end().to_owned();
                let stock = Stock { name, lot: word(21), ..Stock::default() };
                assert_eq!(message[25] == b'Y', stock.lot > 1);
                assert_eq!(message[26], b'Q', "other securities");
                assert!(self.stocks.insert(locate, stock).is_none(), "told twice");
            }
            ('H', 25) => {
                let stock = self.stocks.get_mut(&locate).unwrap();
                assert_eq!(text(11, 19).trim_end(), stock.name);
                stock.state = message[19] as char;
            }
            ('A', 36) => {
                assert_eq!(text(24, 32).trim_end(), self.stocks[&locate].name);
                let side = b"BS".iter().position(|side| *side == message[19]).unwrap();
                self.add(reference, (locate, side, word(32)), word(20));
            }
            ('E', 31) => self.trade(reference, word(19), number::<8>(message, 23)),
            ('X', 23) => self.less(reference, word(19)),
            ('D', 19) => {
                let shares = self.queue(reference).1;
                self.less(reference, shares);
            }
            ('U', 35) => {
                let (locate, side, _) = self.orders[&reference];
                let shares = self.queue(reference).1;
                self.less(reference, shares);
                self.add(number::<8>(message, 19), (locate, side, word(31)), word(27));
            }
            other => panic!("no such message: {other:?}"),
        }
    }

    fn add(&mut self, reference: u64, place: (u16, usize, u32), shares: u32) {
        assert!(self.orders.insert(reference, place).is_none() && shares > 0, "{reference}");
        let stock = self.stocks.get_mut(&place.0).unwrap();
        stock.sides[place.1].entry(place.2).or_default().push((reference, shares));
    }

    fn queue(&mut self, reference: u64) -> (&mut Vec<(u64, u32)>, u32) {
        let (locate, side, price) = self.orders[&reference];
        let queue =
            self.stocks.get_mut(&locate).unwrap().sides[side].get_mut(&price).expect("a level");
        let shares = queue.iter().find(|order| order.0 == reference).unwrap().1;
        (queue, shares)
    }

    fn less(&mut self, reference: u64, shares: u32) {
        let (queue, before) = self.queue(reference);
        let at = queue.iter().position(|order| order.0 == reference).unwrap();
        queue[at].1 = before.checked_sub(shares).expect("no more than there is");
        if queue[at].1 == 0 {
            queue.remove(at);
            let is_empty = queue.is_empty();
            let (locate, side, price) = self.orders.remove(&reference).unwrap();
            if is_empty {
                self.stocks.get_mut(&locate).unwrap().sides[side].remove(&price);
            }
        }
    }

    fn trade(&mut self, reference: u64, shares: u32, number: u64) {
        let (_, _, price) = self.orders[&reference];
        assert!(self.trades.insert(number, (price, shares)).is_none());
        // Who trades is the first in his queue.
        assert_eq!(self.queue(reference).0[0].0, reference);
        self.less(reference, shares);
    }
}

/// The same as the engine has it. Prices of the script have two decimals.
fn stocks(engine: &Engine) -> BTreeMap<u16, Stock> {
    let stock = |instrument: InstrumentId| {
        let view = engine.instrument(instrument).unwrap();
        let side = |side: Side| {
            let levels = engine.book(instrument).unwrap().levels(side);
            let orders = |order: ironbook_engine::engine::OrderView| {
                (order.priority.0, order.leaves_qty as u32)
            };
            levels
                .map(|level| (level.price as u32 * 100, level.orders().map(orders).collect()))
                .collect()
        };
        Stock {
            name: view.definition.symbol.to_string(),
            lot: view.definition.lot as u32,
            state: if view.status == InstrumentStatus::Open { 'T' } else { 'H' },
            sides: [side(Side::Buy), side(Side::Sell)],
        }
    };
    engine
        .instruments()
        .map(|view| view.definition.instrument)
        .map(|instrument| (instrument.0 as u16, stock(instrument)))
        .collect()
}

/// Trades of a part of a journal, as the reports of both sides tell of them.
fn trades_of(index: &Index, span: Span) -> BTreeMap<u64, (u32, u32)> {
    let wanted = trades::Wanted {
        span,
        symbol: None,
        comp_id: None,
        away: None,
        only: &[],
        limit: usize::MAX,
    };
    let found = trades::trades(index, &wanted).unwrap().trades;
    let mantissa = |text: &str| text.replace('.', "").parse::<u32>().unwrap();
    found
        .iter()
        .map(|trade| (trade.trade_id.0, (mantissa(&trade.price) * 100, mantissa(&trade.qty))))
        .collect()
}

#[test]
fn a_reader_of_itch_has_the_books_of_the_engine() {
    let place = memory_dir();
    for number in 0..20 {
        let dir = place.path().join(format!("day{number}"));
        let mut random = Random::new(number);
        let mut day = Script::with_segments(&dir, 1 << 20);
        random_day(&mut day, &mut random, 1_000);
        let end = day.close();
        let index = index(&dir);
        let bytes = write(&index, Format::Itch, all(&index), None);
        let reader = Reader::of(&bytes);
        assert_eq!(reader.stocks, stocks(&end), "day {number}");
        assert_eq!(reader.trades, trades_of(&index, all(&index)), "day {number}");
        assert_eq!(reader.trades.len() as u64, end.totals().trades);
        for kind in "SRHAEXDU".chars() {
            assert!(reader.kinds.contains(kind), "day {number} has no {kind}: {}", reader.kinds);
        }
        assert!(reader.times.is_sorted());
        let first = random.between(1, index.last_sequence());
        let span = Span { first, last: random.between(first, index.last_sequence()) };
        compare_part(&index, span);
    }
}

/// What begins and ends amid a journal.
fn compare_part(index: &Index, span: Span) {
    let reader = Reader::of(&write(index, Format::Itch, span, None));
    let end = Moment::at(index, span.last).unwrap();
    let known = end.engine().map(stocks).unwrap_or_default();
    assert_eq!(reader.stocks, known, "{span:?}");
    let whole = Span { first: index.input_of(span.first).unwrap(), last: end.sequence() };
    assert_eq!(reader.trades, trades_of(index, whole), "{span:?}");
}

#[test]
fn itch_begins_and_ends_anywhere() {
    let place = memory_dir();
    let dir = place.path().join("data");
    story(&dir);
    let index = index(&dir);
    let last = index.last_sequence();
    for first in 1..=last {
        compare_part(&index, Span { first, last });
        compare_part(&index, Span { first: 1, last: first });
    }
    // One symbol alone is what it is among all.
    let both = Reader::of(&write(&index, Format::Itch, all(&index), None));
    let mut one = Reader::of(&write(&index, Format::Itch, all(&index), Some("AAPL")));
    assert_eq!(one.stocks.len(), 1);
    assert_eq!(one.stocks.remove(&1), both.stocks.into_iter().next().map(|(_, stock)| stock));
    let unknown = try_write(&index, Format::Itch, all(&index), Some("IBM"));
    assert!(matches!(unknown, Err(Fault::NotFound(_))));
}

/// A journal with an instrument of these decimals, and an order in it.
fn odd(
    dir: &std::path::Path,
    scales: (u8, u8),
    symbols: &[&str],
    (qty, price): (i64, i64),
) -> Index {
    let mut day = Script::with_segments(dir, SEGMENT_BYTES_MIN);
    for (number, symbol) in symbols.iter().enumerate() {
        let id = InstrumentId(3 + number as u32);
        let symbol = (*symbol).try_into().unwrap();
        day.command(DefineInstrument::new(id, symbol, scales.0, scales.1, 1, 1));
    }
    let terms = OrderTerms {
        side: Side::Buy,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        price: (price, scales.0),
        order_qty: (qty, scales.1),
    };
    let origin = Origin::new(C1, 1, Timestamp(1));
    day.command(NewOrder::new(origin, InstrumentId(3), terms, Account::EMPTY, name("odd")));
    day.close();
    index(dir)
}

#[test]
fn what_itch_has_no_words_for_is_refused() {
    let place = memory_dir();
    let cases: [(_, &[&str], _, _); 9] = [
        ((4, 0), &["FINE"], (7, 2_000_000_000), ""),
        ((8, 3), &["EXACT"], (7_000, 1_230_000), ""),
        ((4, 0), &["HIGH"], (7, 2_000_000_001), "sequence 8: the price 200000.0001 does not fit"),
        ((8, 0), &["FINER"], (7, 123_456), "sequence 8: the price 0.00123456 does not fit"),
        ((2, 1), &["PART"], (75, 100), "sequence 8: the quantity 7.5 does not fit"),
        ((2, 0), &["MUCH"], (1 << 32, 100), "whole shares up to 4294967295"),
        ((0, 0), &["EUR-USD-2026", "EUR-USD-2027"], (7, 1), "EUR-USD-2026 and EUR-USD-2027 begin"),
        ((2, 0), &["EUR-USD-2026"], (7, 100), ""),
        ((18, 18), &["ALL"], (MAX, MAX), "does not fit"),
    ];
    const MAX: i64 = ironbook_engine::command::TICKS_MAX;
    for (number, (scales, symbols, terms, expected)) in cases.into_iter().enumerate() {
        let index = odd(&place.path().join(format!("odd{number}")), scales, symbols, terms);
        match try_write(&index, Format::Itch, all(&index), None) {
            Ok((bytes, _)) => {
                assert_eq!(expected, "", "{symbols:?}");
                let stock = &Reader::of(&bytes).stocks[&3];
                assert_eq!(stock.name, symbols[0][..symbols[0].len().min(8)]);
            }
            Err(fault) => {
                assert!(matches!(fault, Fault::Question(_)), "{fault}");
                assert!(fault.to_string().contains(expected) && !expected.is_empty(), "{fault}");
                // Others are written.
                write(&index, Format::Itch, all(&index), Some("AAPL"));
            }
        }
    }
}

#[test]
fn itch_ends_where_its_clock_does() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    day.order((C1, "a"), AAPL, Side::Buy, (100, 10_000));
    day.wait(63 * 3_600_000_000_000);
    day.order((C1, "b"), AAPL, Side::Buy, (100, 10_000));
    day.wait(4_000_000_000_000);
    let late = day.order((C1, "c"), MSFT, Side::Buy, (10, 1_000));
    day.close();
    let index = index(&dir);
    let told = try_write(&index, Format::Itch, all(&index), None).unwrap_err().to_string();
    assert!(told.contains(&format!("sequence {late} is 78 hours after")), "{told}");
    let reader = Reader::of(&write(&index, Format::Itch, Span { first: 1, last: late - 1 }, None));
    assert!(reader.times.is_sorted() && *reader.times.last().unwrap() > 1 << 47);
    // From another day on it counts anew.
    compare_part(&index, Span { first: late - 2, last: late + 1 });
}

/// A packet: time, addresses and ports, sequence and acknowledgement, what it carries.
struct Packet<'a> {
    time_ns: u64,
    ends: [(u32, u16); 2],
    numbers: [u32; 2],
    payload: &'a [u8],
}

/// The sum of all words is all ones where a checksum is right.
fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts.concat();
    let words =
        words.chunks(2).map(|word| u16::from_be_bytes([word[0], *word.get(1).unwrap_or(&0)]));
    words.fold(0u16, |sum, word| {
        let (sum, carry) = sum.overflowing_add(word);
        sum + u16::from(carry)
    })
}

/// Reads a capture by what pcap, IPv4 and TCP say.
fn packets(bytes: &[u8]) -> Vec<Packet<'_>> {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!([word(0), word(4), word(16), word(20)], [0xa1b2_3c4d, 4 << 16 | 2, 65_535, 101]);
    let (mut at, mut packets) = (24, Vec::new());
    while at < bytes.len() {
        let (length, of) = (word(at + 8) as usize, word(at + 12) as usize);
        assert_eq!(length, of, "all of it");
        let packet = &bytes[at + 16..at + 16 + length];
        assert_eq!((packet[0], number::<2>(packet, 2)), (0x45, length as u64));
        assert_eq!((packet[9], sum(&[&packet[..20]])), (6, u16::MAX), "IP header");
        let segment = &packet[20..];
        assert_eq!((segment[12] >> 4, segment[13]), (5, 0x18));
        let pseudo = [0, 6, (segment.len() >> 8) as u8, segment.len() as u8];
        assert_eq!(sum(&[&packet[12..20], &pseudo, segment]), u16::MAX, "TCP");
        let end = |ip: usize, port: usize| {
            (number::<4>(packet, ip) as u32, number::<2>(segment, port) as u16)
        };
        packets.push(Packet {
            time_ns: u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)),
            ends: [end(12, 0), end(16, 2)],
            numbers: [number::<4>(segment, 4) as u32, number::<4>(segment, 8) as u32],
            payload: &segment[20..],
        });
        at += 16 + length;
    }
    packets
}

#[test]
fn a_capture_carries_the_messages_of_the_fix_log() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::with_segments(&dir, 1 << 20);
    // Once its values are replaced it is more than a packet has room for.
    let body = b"96=a\x01".repeat(PAYLOAD_MAX / 5 - 10);
    for (msg_type, body) in [(b"A", b"98=0\x01108=30\x01".to_vec()), (b"B", body)] {
        let msg_type = msg_type.to_vec();
        day.record(&SessionRecord::Outbound { session: C1, msg_type, body });
    }
    day.record(&SessionRecord::Role { session: C2, copies: Copies::All });
    random_day(&mut day, &mut Random::new(1), 300);
    day.close();
    let index = index(&dir);
    let wanted = |format, redact| Wanted {
        format,
        span: all(&index),
        kinds: Kinds::ALL,
        symbol: None,
        redact,
    };
    for redact in [true, false] {
        let (mut log, mut capture) = (Vec::new(), Vec::new());
        let lines = export(&index, &wanted(Format::FixLog, redact), &mut log).unwrap();
        let written = export(&index, &wanted(Format::Pcap, redact), &mut capture).unwrap();
        let packets = packets(&capture);
        assert_eq!(packets.len() as u64, written.lines);
        // The long one took one more.
        let split = u64::from(redact);
        assert_eq!((written.frames, written.lines), (lines.frames, lines.lines + split));
        compare_with_log(&packets, &String::from_utf8(log).unwrap());
    }
}

fn compare_with_log(packets: &[Packet<'_>], log: &str) {
    const VENUE: (u32, u16) = (0xc000_0201, 9_878);
    let mut next: BTreeMap<[(u32, u16); 2], u32> = BTreeMap::new();
    let mut clients: BTreeMap<(u32, u16), String> = BTreeMap::new();
    let mut left = packets.iter();
    for line in log.lines() {
        let [time, _, way, message] = line.splitn(4, ' ').collect::<Vec<_>>().try_into().unwrap();
        let message = message.replace('|', "\x01");
        let mut carried = Vec::new();
        while carried.len() < message.len() {
            let packet = left.next().expect("a packet for each line");
            assert_eq!(utc(packet.time_ns), time);
            let [from, to] = packet.ends;
            let client = if way == "<" { from } else { to };
            assert_eq!(if way == "<" { to } else { from }, VENUE);
            let tag = if way == "<" { "\x0149=" } else { "\x0156=" };
            let comp_id = message.split_once(tag).unwrap().1.split_once('\x01').unwrap().0;
            assert_eq!(clients.entry(client).or_insert_with(|| comp_id.to_owned()), comp_id);
            // Each byte has its number, and all of the other way was acknowledged.
            let expected = *next.entry([from, to]).or_insert(1);
            let acknowledged = *next.entry([to, from]).or_insert(1);
            assert_eq!(packet.numbers, [expected, acknowledged]);
            next.insert([from, to], expected + packet.payload.len() as u32);
            carried.extend_from_slice(packet.payload);
        }
        assert_eq!(carried, message.as_bytes());
        if carried.len() <= MESSAGE_MAX {
            assert_eq!(frame(&carried), Framed::Message { len: carried.len() });
        }
    }
    assert!(left.next().is_none());
    assert_eq!(clients.len(), 3);
    assert!(clients.iter().enumerate().all(|(number, ((address, port), _))| {
        (*address, *port) == (0x0a00_0001 + number as u32, 49_153 + number as u16)
    }));
}
