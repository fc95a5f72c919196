//! The engine behind the C interface of the public matching engine benchmark
//! (github.com/flash1-dev/matching-engine-benchmark, `api/matching_engine_api.h`).
//!
//! ```text
//! RUSTFLAGS="-C target-cpu=native" cargo build --release -p ironbook-benches --example matching_engine_abi
//! scripts/run_challenge.py --engine target/release/examples/libmatching_engine_abi.so
//! ```
//!
//! The benchmark has every engine built for the processor that it runs on.
//!
//! `IRONBOOK_ABI` chooses what is measured:
//!
//! | value | what is inside |
//! |---|---|
//! | `book` (default) | the book as the engine uses it for prices below [`TICKS_BOUND`], order ids looked up in its index, reports |
//! | `queued` | the same over the harness's own queue, as engines have it that bring none |
//! | `anywhere` | as `book`, for prices anywhere: levels in a trie instead of an array |
//! | `engine` | the whole engine: ClOrdIDs, sessions, state hash, complete execution reports; and a look-up more for each cancel and replace, because a request of FIX names its side and its total quantity, a message of the interface does not |
//! | `null` | no book: each message is acknowledged. What the hand-off costs. Not valid |
//! | `floor` | `null` over the harness's own queue: its floor. Not valid |
//!
//! But for `queued` and `floor`, reports travel over [`ironbook_benches::report_ring`]. Messages are
//! taken one after the other, and none is looked at before its turn.
#![allow(unsafe_code, missing_docs, reason = "a C interface, documented in its header")]

use std::{
    ffi::c_void,
    ptr,
    sync::atomic::{AtomicPtr, Ordering},
};

use ironbook_benches::{
    book::{Action, Desk, Outcome, Request, SlotIndex},
    report_ring::{self, Consumer, Producer, Pusher, ReportRing},
    workload,
};
use ironbook_engine::{
    Account, ClOrdId, Command, Engine, Event, EventRecord, ExecType, InstrumentId, OrdType,
    OrderId, Sequencer, SessionId, Side, Stamp, TimeInForce, Timestamp,
    book::BookId,
    command::{CancelOrder, NewOrder, OrderTerms, Origin, ReplaceOrder, TICKS_MAX},
    event::Execution,
    sink::EventSink,
};

#[repr(C)]
#[derive(Clone, Copy)]
pub struct NewOrderMessage {
    order_id: u64,
    sequence_number: u64,
    price_ticks: i64,
    quantity: u32,
    side: u8,
    ioc: u8,
    reserved: [u8; 2],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct CancelMessage {
    order_id: u64,
    sequence_number: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct ModifyMessage {
    order_id: u64,
    sequence_number: u64,
    new_price_ticks: i64,
    new_quantity: u32,
    side: u8,
    reserved: [u8; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub union Payload {
    new: NewOrderMessage,
    cancel: CancelMessage,
    modify: ModifyMessage,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Message {
    kind: u8,
    reserved: [u8; 7],
    payload: Payload,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Report {
    kind: u8,
    side: u8,
    reserved: [u8; 6],
    sequence_number: u64,
    order_id: u64,
    price_ticks: i64,
    quantity: u32,
    reserved_2: u32,
    maker_order_id: u64,
    taker_order_id: u64,
    reserved_3: u64,
}

#[repr(C)]
pub struct Transport {
    create: unsafe extern "C" fn(u32) -> *mut c_void,
    push: unsafe extern "C" fn(*mut c_void, *const Report) -> i32,
    drain: unsafe extern "C" fn(*mut c_void, *mut Report, u32) -> u32,
    flush: unsafe extern "C" fn(*mut c_void),
    destroy: unsafe extern "C" fn(*mut c_void),
}

const _: () = assert!(size_of::<Message>() == 40 && size_of::<Report>() == 64);

const ORDER_ACK: u8 = 0;
const TRADE: u8 = 1;
const CANCEL_ACK: u8 = 2;
const MODIFY_ACK: u8 = 3;
const CANCEL_REJECT: u8 = 4;
const MODIFY_REJECT: u8 = 5;
/// Bits of a kind in the code of a report; the side stands above them.
const KIND_BITS: u32 = 3;

/// Both ends of the ring, each used by its own thread.
struct Queue {
    ring: ReportRing,
    producer: Producer,
    consumer: Consumer,
}

/// Live orders and order ids that there is room for; the workload has two million of the latter.
const ORDERS_MAX: u32 = 1 << 20;
const IDS_MAX: usize = 1 << 22;
/// Prices of the workload and of the conformance cases are below this many ticks, as the
/// benchmark's own baseline `quantcup` has it too; an order at a higher price ends the process.
const TICKS_BOUND: u64 = 1 << 18;

/// What is measured, and where its reports go.
#[allow(clippy::large_enum_variant, reason = "there is one in the process")]
enum State {
    Book(Desk<SlotIndex>, RingEnd),
    Engine(EngineMatcher, RingEnd),
    Null(Acknowledging, RingEnd),
    Floor(Acknowledging, HarnessQueue),
    Queued(Desk<SlotIndex>, HarnessQueue),
}

/// The one engine of the process: the interface has no handle for it.
static STATE: AtomicPtr<State> = AtomicPtr::new(ptr::null_mut());

/// The state, for one call.
///
/// # Safety
/// Between engine_init and engine_shutdown, one thread calls, one call at a time.
unsafe fn state<'a>() -> &'a mut State {
    // SAFETY: set by engine_init, and freed by engine_shutdown.
    unsafe { &mut *STATE.load(Ordering::Relaxed) }
}

/// What the matching thread works on: what matches, and where its reports go. Compiled for each pair
/// of them.
macro_rules! with_state {
    (|$matcher:ident, $out:ident| $work:expr) => {
        // SAFETY: called by what the harness calls, one after the other.
        match unsafe { state() } {
            State::Book($matcher, end) => {
                let $out = &mut end.pusher();
                $work
            }
            State::Engine($matcher, end) => {
                let $out = &mut end.pusher();
                $work
            }
            State::Null($matcher, end) => {
                let $out = &mut end.pusher();
                $work
            }
            State::Floor($matcher, $out) => $work,
            State::Queued($matcher, $out) => $work,
        }
    };
}

/// The matching thread's end of the ring.
struct RingEnd(*mut Queue);

impl RingEnd {
    #[inline(always)]
    fn pusher(&mut self) -> Pusher<'_> {
        // SAFETY: made by `create`. The ring is shared with the drain, the producer is this thread's
        // alone.
        unsafe { (*self.0).producer.pusher(&(*self.0).ring) }
    }
}

/// The harness's own queue, which shows each report at once.
struct HarnessQueue {
    push: unsafe extern "C" fn(*mut c_void, *const Report) -> i32,
    sink: *mut c_void,
}

/// Where reports go. At the latest when it goes itself, the drain sees them.
trait Out {
    /// Waits for the drain when there is no room.
    fn push(&mut self, report: report_ring::Report);

    #[inline(always)]
    fn report(&mut self, kind: u8, side: Side, sequence: u64, order: u64, ticks: u64, qty: u32) {
        let code = kind | side_code(side) << KIND_BITS;
        self.push(report_ring::Report { code, qty, sequence, order, ticks, maker: None });
    }

    #[inline(always)]
    fn trade(&mut self, sequence: u64, taker: u64, maker: u64, ticks: u64, qty: u32) {
        let (code, order, maker) = (TRADE, taker, Some(maker));
        self.push(report_ring::Report { code, qty, sequence, order, ticks, maker });
    }
}

impl Out for Pusher<'_> {
    #[inline(always)]
    fn push(&mut self, report: report_ring::Report) {
        Pusher::push(self, report);
    }
}

impl Out for HarnessQueue {
    #[inline(always)]
    fn push(&mut self, report: report_ring::Report) {
        let report = Report::from(report);
        // SAFETY: the harness's own function, with its queue and a report of its type.
        while unsafe { (self.push)(self.sink, &report) } == 0 {
            std::hint::spin_loop();
        }
    }
}

#[inline(always)]
fn side_code(side: Side) -> u8 {
    u8::from(side == Side::Sell)
}

#[inline(always)]
fn side_of(code: u8) -> Side {
    if code == 0 { Side::Buy } else { Side::Sell }
}

/// What answers messages.
trait Matcher {
    fn on_new_order(&mut self, message: &NewOrderMessage, out: &mut impl Out);
    fn on_cancel(&mut self, message: &CancelMessage, out: &mut impl Out);
    fn on_modify(&mut self, message: &ModifyMessage, out: &mut impl Out);
}

impl Matcher for Desk<SlotIndex> {
    #[inline(always)]
    fn on_new_order(&mut self, message: &NewOrderMessage, out: &mut impl Out) {
        let NewOrderMessage { order_id, sequence_number, quantity, .. } = *message;
        let (ticks, side) = (message.price_ticks as u64, side_of(message.side));
        out.report(ORDER_ACK, side, sequence_number, order_id, ticks, quantity);
        let rests = message.ioc == 0;
        let action = if rests { Action::New } else { Action::Ioc };
        let request =
            Request { order: order_id, ticks, qty: quantity, instrument: 0, action, side };
        let outcome = self.enter(BookId(0), &request, rests, |fill| {
            let qty = fill.qty as u32;
            out.trade(sequence_number, order_id, fill.maker_id, fill.ticks, qty);
        });
        if outcome != (Outcome::Done { unfilled: 0 }) {
            out.report(CANCEL_ACK, side, sequence_number, order_id, ticks, 0);
        }
    }

    #[inline(always)]
    fn on_cancel(&mut self, message: &CancelMessage, out: &mut impl Out) {
        let CancelMessage { order_id, sequence_number } = *message;
        match self.cancel(BookId(0), order_id) {
            Some(order) => {
                out.report(CANCEL_ACK, order.side, sequence_number, order_id, order.ticks, 0);
            }
            None => out.report(CANCEL_REJECT, Side::Buy, sequence_number, order_id, 0, 0),
        }
    }

    #[inline(always)]
    fn on_modify(&mut self, message: &ModifyMessage, out: &mut impl Out) {
        let ModifyMessage { order_id, sequence_number, new_quantity, .. } = *message;
        let (ticks, side) = (message.new_price_ticks as u64, side_of(message.side));
        let request = Request {
            order: order_id,
            ticks,
            qty: new_quantity,
            instrument: 0,
            action: Action::Replace,
            side,
        };
        let outcome = self.replace(BookId(0), &request, |fill| {
            let qty = fill.qty as u32;
            out.trade(sequence_number, order_id, fill.maker_id, fill.ticks, qty);
        });
        if outcome == Outcome::Gone {
            return out.report(MODIFY_REJECT, side, sequence_number, order_id, 0, 0);
        }
        out.report(MODIFY_ACK, side, sequence_number, order_id, ticks, new_quantity);
    }
}

/// No book: each message is acknowledged.
struct Acknowledging;

impl Matcher for Acknowledging {
    #[inline(always)]
    fn on_new_order(&mut self, message: &NewOrderMessage, out: &mut impl Out) {
        let NewOrderMessage { order_id, sequence_number, quantity, .. } = *message;
        let (ticks, side) = (message.price_ticks as u64, side_of(message.side));
        out.report(ORDER_ACK, side, sequence_number, order_id, ticks, quantity);
    }

    #[inline(always)]
    fn on_cancel(&mut self, message: &CancelMessage, out: &mut impl Out) {
        out.report(CANCEL_ACK, Side::Buy, message.sequence_number, message.order_id, 0, 0);
    }

    #[inline(always)]
    fn on_modify(&mut self, message: &ModifyMessage, out: &mut impl Out) {
        let ModifyMessage { order_id, sequence_number, new_quantity, .. } = *message;
        let (ticks, side) = (message.new_price_ticks as u64, side_of(message.side));
        out.report(MODIFY_ACK, side, sequence_number, order_id, ticks, new_quantity);
    }
}

/// The whole engine: every order has a ClOrdID, cancels and replaces name it.
struct EngineMatcher {
    engine: Engine,
    sequencer: Sequencer,
    /// How often each order was modified, at most 255 times: a replace gives it another ClOrdID.
    versions: Vec<u8>,
    /// Times that an id was used before, at most 255: an id that comes again is another order.
    uses: Vec<u8>,
}

impl EngineMatcher {
    fn new() -> Self {
        let mut sequencer = Sequencer::default();
        let mut engine = Engine::new(ironbook_engine::EngineLimits::default());
        let mut sink = ironbook_engine::sink::CountingSink::default();
        for command in workload::preparation(1) {
            let stamp = sequencer.stamp(Timestamp(1));
            sequencer.resume_at(engine.apply(stamp, &command, &mut sink));
        }
        let ids = IDS_MAX + 1;
        Self { engine, sequencer, versions: vec![0; ids], uses: vec![0; ids] }
    }

    /// The ClOrdID of an order: its id, which use of the id it is, and how often it was modified.
    #[inline(always)]
    fn name(&self, order: u64, version: u8) -> ClOrdId {
        let mut text = *b"0000000000-00-00";
        let mut rest = order;
        for digit in text[..10].iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let uses = self.uses.get(order as usize).copied().unwrap_or(0);
        (text[11], text[12]) = (b'A' + (uses >> 4), b'A' + (uses & 15));
        (text[14], text[15]) = (b'A' + (version >> 4), b'A' + (version & 15));
        text.as_slice().try_into().unwrap_or_default()
    }

    fn version(&self, order: u64) -> u8 {
        self.versions.get(order as usize).copied().unwrap_or(0)
    }

    #[inline(always)]
    fn apply(&mut self, command: &Command, order: u64, number: u64, out: &mut impl Out) {
        let stamp = self.sequencer.stamp(Timestamp(number));
        let mut sink = ReportSink { out, number, order };
        self.sequencer.resume_at(self.engine.apply(stamp, command, &mut sink));
    }
}

impl Matcher for EngineMatcher {
    fn on_new_order(&mut self, message: &NewOrderMessage, out: &mut impl Out) {
        let order = message.order_id;
        let uses = &mut self.uses[order as usize];
        *uses = uses.checked_add(1).expect("an id is used 255 times at most");
        self.versions[order as usize] = 0;
        let time_in_force = if message.ioc == 0 { TimeInForce::Day } else { TimeInForce::Ioc };
        let terms = OrderTerms {
            side: side_of(message.side),
            ord_type: OrdType::Limit,
            time_in_force,
            price: (message.price_ticks, workload::SCALES.0),
            order_qty: (message.quantity.into(), workload::SCALES.1),
        };
        let account = account(order);
        let name = self.name(order, 0);
        let new =
            NewOrder::new(origin(message.sequence_number), InstrumentId(1), terms, account, name);
        self.apply(&new.into(), order, message.sequence_number, out);
    }

    fn on_cancel(&mut self, message: &CancelMessage, out: &mut impl Out) {
        let order = message.order_id;
        let name = self.name(order, self.version(order));
        // The interface names no side; the engine's requests do.
        let side = match self.engine.order_named(SessionId(1), &name) {
            Some(order) => order.side,
            None => Side::Buy,
        };
        let cancel = CancelOrder::new(
            origin(message.sequence_number),
            OrderId::NONE,
            InstrumentId(1),
            side,
            ClOrdId::EMPTY,
            name,
        );
        self.apply(&cancel.into(), order, message.sequence_number, out);
    }

    fn on_modify(&mut self, message: &ModifyMessage, out: &mut impl Out) {
        let order = message.order_id;
        let version = self.version(order);
        let (old, new) = (self.name(order, version), self.name(order, version.wrapping_add(1)));
        let traded = self.engine.order_named(SessionId(1), &old).map_or(0, |order| order.cum_qty);
        let terms = OrderTerms {
            side: side_of(message.side),
            ord_type: OrdType::Limit,
            time_in_force: TimeInForce::Day,
            price: (message.new_price_ticks, workload::SCALES.0),
            // The interface says what is to be left, FIX the total with what has traded.
            order_qty: (i64::from(message.new_quantity) + traded, workload::SCALES.1),
        };
        let origin = origin(message.sequence_number);
        let replace = ReplaceOrder::new(origin, OrderId::NONE, InstrumentId(1), terms, (new, old));
        self.apply(&replace.into(), order, message.sequence_number, out);
        if let Some(version) = self.versions.get_mut(order as usize) {
            *version = version.wrapping_add(1);
        }
    }
}

fn origin(number: u64) -> Origin {
    Origin::new(SessionId(1), number, Timestamp(number))
}

/// The order's id as its account, where reports show it to the sink.
#[inline(always)]
fn account(order: u64) -> Account {
    let mut text = [0; 8];
    for (at, digit) in text.iter_mut().enumerate() {
        *digit = b'@' + (order >> (4 * at) & 15) as u8;
    }
    text.as_slice().try_into().unwrap_or_default()
}

/// Makes the benchmark's reports of the engine's events.
struct ReportSink<'a, O> {
    out: &'a mut O,
    number: u64,
    order: u64,
}

impl<O: Out> EventSink for ReportSink<'_, O> {
    #[inline(always)]
    fn emit<E: EventRecord + Into<Event>>(&mut self, _: Stamp, event: &E) {
        match (*event).into() {
            Event::Execution(report) => self.execution(&report),
            Event::CancelRejected(reject) => {
                let kind = match reject.response_to {
                    ironbook_engine::CancelRejectTo::Cancel => CANCEL_REJECT,
                    ironbook_engine::CancelRejectTo::Replace => MODIFY_REJECT,
                };
                self.out.report(kind, Side::Buy, self.number, self.order, 0, 0);
            }
            other => assert!(matches!(other, Event::StateHashed(_)), "unexpected {other:?}"),
        }
    }
}

impl<O: Out> ReportSink<'_, O> {
    #[inline(always)]
    fn execution(&mut self, report: &Execution) {
        let (number, side) = (self.number, report.side);
        let ticks = report.price as u64;
        let order_qty = (report.order_qty - report.cum_qty) as u32;
        match report.exec_type {
            ExecType::New => {
                self.out.report(ORDER_ACK, side, number, self.order, ticks, order_qty);
            }
            ExecType::Replaced => {
                self.out.report(MODIFY_ACK, side, number, self.order, ticks, order_qty);
            }
            ExecType::Canceled => {
                self.out.report(CANCEL_ACK, side, number, self.order, ticks, 0);
            }
            // The aggressor's report comes behind its maker's and needs no other.
            ExecType::Trade if report.last_liquidity == ironbook_engine::LastLiquidity::Added => {
                let maker = report.account.padded();
                let maker = (0..8).fold(0, |id, at| id | u64::from(maker[at] - b'@') << (4 * at));
                let (ticks, qty) = (report.last_px as u64, report.last_qty as u32);
                self.out.trade(number, self.order, maker, ticks, qty);
            }
            _ => {}
        }
    }
}

/// A book for prices up to `ticks_max`.
fn book(ticks_max: u64) -> Desk<SlotIndex> {
    Desk::new(1, ticks_max, ORDERS_MAX, SlotIndex::new(ORDERS_MAX))
}

/// Whether reports go over the harness's own queue.
fn is_over_their_queue() -> bool {
    matches!(std::env::var("IRONBOOK_ABI").as_deref(), Ok("floor" | "queued"))
}

#[unsafe(no_mangle)]
extern "C" fn engine_init(_nonce: u64, transport: *const Transport, sink: *mut c_void) {
    let end = RingEnd(sink.cast());
    let their_queue = || {
        // SAFETY: the harness gives its own transport where it got none.
        let push = unsafe { (*transport).push };
        HarnessQueue { push, sink }
    };
    let state = match std::env::var("IRONBOOK_ABI").as_deref() {
        Ok("book") | Err(_) => State::Book(book(TICKS_BOUND - 1), end),
        Ok("anywhere") => State::Book(book(TICKS_MAX as u64), end),
        Ok("engine") => State::Engine(EngineMatcher::new(), end),
        Ok("null") => State::Null(Acknowledging, end),
        Ok("floor") => State::Floor(Acknowledging, their_queue()),
        Ok("queued") => State::Queued(book(TICKS_BOUND - 1), their_queue()),
        Ok(other) => {
            panic!("IRONBOOK_ABI is `{other}`: book, queued, anywhere, engine, null or floor")
        }
    };
    STATE.store(Box::into_raw(Box::new(state)), Ordering::Release);
}

#[unsafe(no_mangle)]
extern "C" fn engine_shutdown() {
    let state = STATE.swap(ptr::null_mut(), Ordering::AcqRel);
    // SAFETY: made by engine_init from a box, and nobody has it any more.
    drop(unsafe { Box::from_raw(state) });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn engine_on_new_order(message: *const NewOrderMessage) {
    // SAFETY: the harness gives a message of this type.
    let message = unsafe { &*message };
    with_state!(|matcher, out| matcher.on_new_order(message, out));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn engine_on_cancel(message: *const CancelMessage) {
    // SAFETY: as above.
    let message = unsafe { &*message };
    with_state!(|matcher, out| matcher.on_cancel(message, out));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn engine_on_modify(message: *const ModifyMessage) {
    // SAFETY: as above.
    let message = unsafe { &*message };
    with_state!(|matcher, out| matcher.on_modify(message, out));
}

#[unsafe(no_mangle)]
unsafe extern "C" fn engine_on_batch(messages: *const Message, count: u32) {
    // SAFETY: the harness gives so many messages.
    let messages = unsafe { std::slice::from_raw_parts(messages, count as usize) };
    with_state!(|matcher, out| on_batch(matcher, messages, out));
}

#[inline(always)]
fn on_batch(matcher: &mut impl Matcher, messages: &[Message], out: &mut impl Out) {
    for message in messages {
        // SAFETY: the kind says which message it is.
        unsafe {
            match message.kind {
                0 => matcher.on_new_order(&message.payload.new, out),
                1 => matcher.on_cancel(&message.payload.cancel, out),
                _ => matcher.on_modify(&message.payload.modify, out),
            }
        }
    }
}

/// Nothing is held back between calls.
#[unsafe(no_mangle)]
extern "C" fn engine_flush() {}

fn best(side: Side) -> Option<i64> {
    // SAFETY: as above.
    match unsafe { state() } {
        State::Book(desk, _) | State::Queued(desk, _) => {
            desk.books().best(BookId(0), side).map(|ticks| ticks as i64)
        }
        State::Engine(matcher, _) => {
            let book = matcher.engine.book(InstrumentId(1))?;
            book.best(side).map(|level| level.price)
        }
        State::Null(..) | State::Floor(..) => None,
    }
}

#[unsafe(no_mangle)]
extern "C" fn engine_query_best_bid() -> i64 {
    best(Side::Buy).unwrap_or(i64::MIN)
}

#[unsafe(no_mangle)]
extern "C" fn engine_query_best_ask() -> i64 {
    best(Side::Sell).unwrap_or(i64::MAX)
}

#[unsafe(no_mangle)]
extern "C" fn engine_query_depth_at(ticks: i64, side: u8) -> u64 {
    let side = side_of(side);
    // SAFETY: as above.
    match unsafe { state() } {
        State::Book(desk, _) | State::Queued(desk, _) => {
            desk.books().qty_at(BookId(0), side, ticks as u64) as u64
        }
        State::Engine(matcher, _) => {
            let book = matcher.engine.book(InstrumentId(1)).expect("defined at the start");
            book.qty_at(side, ticks) as u64
        }
        State::Null(..) | State::Floor(..) => 0,
    }
}

#[unsafe(no_mangle)]
extern "C" fn engine_get_transport() -> *const Transport {
    static TRANSPORT: Transport = Transport { create, push, drain, flush, destroy };
    if is_over_their_queue() { ptr::null() } else { &TRANSPORT }
}

unsafe extern "C" fn create(capacity: u32) -> *mut c_void {
    let ring = ReportRing::new(capacity as usize);
    let producer = Producer::new(&ring);
    let queue = Queue { ring, producer, consumer: Consumer::default() };
    Box::into_raw(Box::new(queue)).cast()
}

/// The engine pushes by itself.
unsafe extern "C" fn push(_: *mut c_void, _: *const Report) -> i32 {
    0
}

unsafe extern "C" fn drain(queue: *mut c_void, out: *mut Report, max: u32) -> u32 {
    let queue: *mut Queue = queue.cast();
    // SAFETY: made by `create`; the draining thread alone uses the consumer, and `out` has room for
    // so many reports.
    let (ring, consumer, out) = unsafe {
        let out = std::slice::from_raw_parts_mut(out, max as usize);
        (&(*queue).ring, &mut (*queue).consumer, out)
    };
    let mut count = 0;
    consumer.drain(ring, |report| {
        let Some(place) = out.get_mut(count) else { return false };
        *place = report.into();
        count += 1;
        true
    });
    count as u32
}

impl From<report_ring::Report> for Report {
    #[inline(always)]
    fn from(report: report_ring::Report) -> Self {
        Self {
            kind: report.code & ((1 << KIND_BITS) - 1),
            side: report.code >> KIND_BITS,
            reserved: [0; 6],
            sequence_number: report.sequence,
            order_id: report.order,
            price_ticks: report.ticks as i64,
            quantity: report.qty,
            reserved_2: 0,
            maker_order_id: report.maker.unwrap_or(0),
            taker_order_id: report.order,
            reserved_3: 0,
        }
    }
}

/// Each call of the engine shows what it pushed.
unsafe extern "C" fn flush(_: *mut c_void) {}

unsafe extern "C" fn destroy(queue: *mut c_void) {
    // SAFETY: made by `create` from a box, and nobody uses it any more.
    drop(unsafe { Box::from_raw(queue.cast::<Queue>()) });
}
