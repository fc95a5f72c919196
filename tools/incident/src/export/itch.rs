//! Nasdaq TotalView-ITCH 5.0: orders as they are displayed and traded, for programs that read a market.
//! Accounts, ClOrdIDs and comp ids have no place in it, so there is nothing to redact.
//!
//! A message follows its length, two bytes, as in BinaryFILE and SoupBinTCP; all numbers are big-endian.
//! Every message begins alike, and goes on as the constants below say:
//!
//! ```text
//! 0 type 1   1 stock locate 2   3 tracking number 2   5 timestamp 6
//! ```
//!
//! | ITCH | here |
//! |---|---|
//! | stock locate | InstrumentId; 0 in a System Event |
//! | tracking number | 0 |
//! | timestamp | ns since 00:00 UTC of the first frame's day, in 48 bits: 78 hours |
//! | stock | symbol, its first eight bytes; refused where two instruments would share them |
//! | order reference number | sequence of the command that gave the order its place, so `seq:N` finds it |
//! | match number | TradeId |
//! | price | four decimals, up to 200,000.0000 |
//! | shares | a whole number up to 4,294,967,295 |
//!
//! A price or a quantity that this can't express is refused: none is rounded or scaled.
//!
//! What begins amid a journal first tells of all instruments, and adds all orders that rest, in the order in
//! which they trade. What a resting order trades is an Order Executed; the aggressor is not displayed. The
//! resting order makes the price, so there is no Order Executed With Price (C), and there are no orders that
//! are not displayed, so there is no Trade (P). A replace that trades at once is a Delete, and an Add of what is
//! left. System Events say where messages start and end and nothing of market hours, of which the journal
//! knows none; there is no empty message at the end.

use std::collections::HashMap;

use ironbook_engine::{
    Command, Event, ExecType, InstrumentId, InstrumentStatus, LastLiquidity, OrderId, Side, Symbol,
    event::{Execution, StatusChanged},
};
use ironbook_journal::Frame;

use super::{Form, Out};
use crate::{
    Fault, index::Index, moment::Moment, names::Names, place::event, question::instrument,
    show::number, view::read_input,
};

/// ns of a day.
const DAY_NS: u64 = 86_400 * 1_000_000_000;
/// First ns since midnight that no timestamp can say.
const TIME_END: u64 = 1 << 48;
/// Decimals of a price.
const PRICE_SCALE: u32 = 4;
/// The highest price that the specification allows: 200,000.0000.
const PRICE_MAX: u32 = 2_000_000_000;
/// Bytes of a symbol.
const STOCK_BYTES: usize = 8;

/// System Event (S): 11 event code 1.
const SYSTEM_EVENT: usize = 12;
/// Stock Directory (R): 11 stock 8, 19 market category 1, 20 financial status 1, 21 round lot size 4,
/// 25 round lots only 1, 26 issue classification 1, 27 issue sub-type 2, 29 authenticity 1, 30 short sale
/// threshold 1, 31 IPO flag 1, 32 LULD tier 1, 33 ETP flag 1, 34 ETP leverage factor 4, 38 inverse 1.
const STOCK_DIRECTORY: usize = 39;
/// Stock Trading Action (H): 11 stock 8, 19 trading state 1, 20 reserved 1, 21 reason 4.
const TRADING_ACTION: usize = 25;
/// Add Order without MPID (A): 11 reference 8, 19 side 1, 20 shares 4, 24 stock 8, 32 price 4.
const ADD_ORDER: usize = 36;
/// Order Executed (E): 11 reference 8, 19 shares 4, 23 match number 8.
const ORDER_EXECUTED: usize = 31;
/// Order Cancel (X), of a part: 11 reference 8, 19 shares 4.
const ORDER_CANCEL: usize = 23;
/// Order Delete (D): 11 reference 8.
const ORDER_DELETE: usize = 19;
/// Order Replace (U): 11 reference 8, 19 new reference 8, 27 shares 4, 31 price 4.
const ORDER_REPLACE: usize = 35;

/// Makes messages.
pub(super) struct Itch {
    names: Names,
    /// The only instrument that is wanted.
    only: Option<InstrumentId>,
    /// Whether instruments were told of, by id from 1.
    told: Vec<bool>,
    /// Orders that are displayed.
    displayed: HashMap<OrderId, Displayed>,
    /// The input at hand.
    input: At,
    /// The order that the input at hand brings to the book, as far as its events tell.
    coming: Option<Coming>,
    midnight_ns: u64,
    /// What comes before all frames.
    opening: Out,
}

/// An order as it is displayed.
struct Displayed {
    reference: u64,
    price: i64,
    qty: i64,
}

/// An order on its way to the book: a new one, or one that gives up its place.
struct Coming {
    order_id: OrderId,
    instrument: InstrumentId,
    side: Side,
    price: i64,
    leaves_qty: i64,
}

/// Sequence and time of a frame.
#[derive(Clone, Copy)]
struct At {
    sequence: u64,
    time_ns: u64,
}

impl Itch {
    /// In front of an input.
    pub(super) fn before(
        index: &Index,
        names: Names,
        symbol: Option<&str>,
        input: u64,
    ) -> Result<Self, Fault> {
        let only = symbol.map(|symbol| instrument(names.engine(), symbol)).transpose()?;
        let time_ns = read_input(index, input)?.first().map_or(0, |entry| entry.time_ns);
        let instruments = names.engine().instruments().len();
        let mut itch = Self {
            told: vec![false; instruments],
            names,
            only,
            displayed: HashMap::new(),
            input: At { sequence: input, time_ns },
            coming: None,
            midnight_ns: time_ns / DAY_NS * DAY_NS,
            opening: Out::default(),
        };
        itch.check_stocks()?;
        let mut opening = Out::default();
        itch.system_event(b'O', &mut opening)?;
        itch.open(&Moment::before(index, input)?, &mut opening)?;
        itch.opening = opening;
        Ok(itch)
    }

    fn is_wanted(&self, instrument: InstrumentId) -> bool {
        self.only.is_none_or(|only| only == instrument)
    }

    /// Each instrument must have a locate and a stock of its own.
    fn check_stocks(&self) -> Result<(), Fault> {
        let mut stocks: HashMap<[u8; STOCK_BYTES], Symbol> = HashMap::new();
        for view in self.names.engine().instruments() {
            let (instrument, symbol) = (view.definition.instrument, view.definition.symbol);
            if !self.is_wanted(instrument) {
                continue;
            }
            if u16::try_from(instrument.0).is_err() {
                return Err(Fault::Question(format!(
                    "{symbol} is instrument {instrument}, and ITCH numbers instruments up to {}; \
                     use another format",
                    u16::MAX
                )));
            }
            if let Some(other) = stocks.insert(stock(&symbol), symbol) {
                return Err(Fault::Question(format!(
                    "{other} and {symbol} begin with the same {STOCK_BYTES} bytes, and ITCH has no \
                     more; choose one of them with --symbol, or use another format"
                )));
            }
        }
        Ok(())
    }

    /// Tells of the instruments and orders that there are.
    fn open(&mut self, moment: &Moment<'_>, out: &mut Out) -> Result<(), Fault> {
        let Some(engine) = moment.engine() else { return Ok(()) };
        for view in engine.instruments() {
            self.directory(view.definition.instrument, view.status, out)?;
        }
        for view in engine.instruments() {
            let instrument = view.definition.instrument;
            let book = engine.book(instrument).filter(|_| self.is_wanted(instrument));
            for side in Side::ALL {
                let levels = book.iter().flat_map(|book| book.levels(*side));
                for order in levels.flat_map(|level| level.orders()) {
                    let coming = Coming {
                        order_id: order.order_id,
                        instrument,
                        side: *side,
                        price: order.price,
                        leaves_qty: order.leaves_qty,
                    };
                    self.display(coming, order.priority.0, out)?;
                }
            }
        }
        Ok(())
    }

    fn system_event(&self, code: u8, out: &mut Out) -> Result<(), Fault> {
        let message = Message::<SYSTEM_EVENT>::new(b'S', InstrumentId::NONE, self.clock()?);
        message.put(11, [code]).send(out);
        Ok(())
    }

    /// Tells of an instrument, once.
    fn directory(
        &mut self,
        instrument: InstrumentId,
        status: InstrumentStatus,
        out: &mut Out,
    ) -> Result<(), Fault> {
        let known =
            self.names.engine().instrument(instrument).filter(|_| self.is_wanted(instrument));
        let Some(known) = known else { return Ok(()) };
        if std::mem::replace(&mut self.told[instrument.0 as usize - 1], true) {
            return Ok(());
        }
        let definition = known.definition;
        // A lot of less than a share is none that ITCH knows.
        let lot = whole(definition.lot, definition.qty_scale, 0).unwrap_or(1);
        Message::<STOCK_DIRECTORY>::new(b'R', instrument, self.clock()?)
            .put(11, stock(&definition.symbol))
            // Market category and financial status: not available.
            .put(19, *b"  ")
            .put(21, lot.to_be_bytes())
            .put(25, [if lot > 1 { b'Y' } else { b'N' }])
            // Other securities, without a sub-type, live.
            .put(26, *b"QZ P")
            // Short sale threshold, IPO, tier and ETP: not available; no leverage, not inverse.
            .put(30, *b"    ")
            .put(38, *b"N")
            .send(out);
        self.trading_action(instrument, status, out)
    }

    fn trading_action(
        &self,
        instrument: InstrumentId,
        status: InstrumentStatus,
        out: &mut Out,
    ) -> Result<(), Fault> {
        let known =
            self.names.engine().instrument(instrument).filter(|_| self.is_wanted(instrument));
        let Some(known) = known else { return Ok(()) };
        let state = match status {
            InstrumentStatus::Open => b'T',
            InstrumentStatus::Halted | InstrumentStatus::Closed => b'H',
        };
        Message::<TRADING_ACTION>::new(b'H', instrument, self.clock()?)
            .put(11, stock(&known.definition.symbol))
            .put(19, [state])
            .put(20, *b"     ")
            .send(out);
        Ok(())
    }

    /// What became of an order.
    fn execution(&mut self, event: &Execution, out: &mut Out) -> Result<(), Fault> {
        match (event.exec_type, event.last_liquidity) {
            (ExecType::New, _) => self.coming = Some(Coming::of(event)),
            (ExecType::Replaced, _) => self.replaced(event, out)?,
            (ExecType::Trade, LastLiquidity::Added) => {
                // The aggressor is displayed where it is one that was replaced.
                self.take_down(event.contra_order_id, event.instrument, out)?;
                self.executed(event, out)?;
            }
            (ExecType::Trade, _) => {
                if let Some(coming) = &mut self.coming {
                    coming.leaves_qty = event.leaves_qty;
                }
            }
            (ExecType::Canceled | ExecType::Expired, _) => {
                self.coming.take_if(|coming| coming.order_id == event.order_id);
                self.take_down(event.order_id, event.instrument, out)?;
            }
            (ExecType::Rejected | ExecType::OrderStatus, _) => {}
        }
        Ok(())
    }

    /// One that asks for less at the same price keeps its place, every other comes to the book again.
    fn replaced(&mut self, event: &Execution, out: &mut Out) -> Result<(), Fault> {
        let clock = self.clock()?;
        match self.displayed.get_mut(&event.order_id) {
            Some(shown) if shown.price == event.price && event.leaves_qty <= shown.qty => {
                let less = shown.qty - event.leaves_qty;
                shown.qty = event.leaves_qty;
                let reference = shown.reference;
                if less > 0 {
                    let shares = self.shares(less, event.instrument)?;
                    Message::<ORDER_CANCEL>::new(b'X', event.instrument, clock)
                        .put(11, reference.to_be_bytes())
                        .put(19, shares)
                        .send(out);
                }
            }
            _ => self.coming = Some(Coming::of(event)),
        }
        Ok(())
    }

    /// What a displayed order traded.
    fn executed(&mut self, event: &Execution, out: &mut Out) -> Result<(), Fault> {
        let clock = self.clock()?;
        let Some(shown) = self.displayed.get_mut(&event.order_id) else { return Ok(()) };
        shown.qty = event.leaves_qty;
        assert_eq!(shown.price, event.last_px, "the resting order makes the price");
        let reference = shown.reference;
        if event.leaves_qty == 0 {
            self.displayed.remove(&event.order_id);
        }
        Message::<ORDER_EXECUTED>::new(b'E', event.instrument, clock)
            .put(11, reference.to_be_bytes())
            .put(19, self.shares(event.last_qty, event.instrument)?)
            .put(23, event.trade_id.0.to_be_bytes())
            .send(out);
        Ok(())
    }

    /// Deletes an order, if it is displayed.
    fn take_down(
        &mut self,
        order_id: OrderId,
        instrument: InstrumentId,
        out: &mut Out,
    ) -> Result<(), Fault> {
        if let Some(shown) = self.displayed.remove(&order_id) {
            Message::<ORDER_DELETE>::new(b'D', instrument, self.clock()?)
                .put(11, shown.reference.to_be_bytes())
                .send(out);
        }
        Ok(())
    }

    /// The input at hand is over: an order that it brought rests with what is left of it.
    fn end_input(&mut self, out: &mut Out) -> Result<(), Fault> {
        match self.coming.take() {
            Some(coming) if coming.leaves_qty > 0 => self.display(coming, self.input.sequence, out),
            _ => Ok(()),
        }
    }

    /// Adds an order, or lets it take the place of itself.
    fn display(&mut self, order: Coming, reference: u64, out: &mut Out) -> Result<(), Fault> {
        let (clock, instrument) = (self.clock()?, order.instrument);
        let shares = self.shares(order.leaves_qty, instrument)?;
        let price = self.price(order.price, instrument)?;
        let shown = Displayed { reference, price: order.price, qty: order.leaves_qty };
        match self.displayed.insert(order.order_id, shown) {
            Some(before) => Message::<ORDER_REPLACE>::new(b'U', instrument, clock)
                .put(11, before.reference.to_be_bytes())
                .put(19, reference.to_be_bytes())
                .put(27, shares)
                .put(31, price)
                .send(out),
            None => Message::<ADD_ORDER>::new(b'A', instrument, clock)
                .put(11, reference.to_be_bytes())
                .put(19, [if order.side == Side::Buy { b'B' } else { b'S' }])
                .put(20, shares)
                .put(24, self.stock_of(instrument))
                .put(32, price)
                .send(out),
        }
        Ok(())
    }

    /// Time of the input at hand, since midnight of the first day.
    fn clock(&self) -> Result<u64, Fault> {
        let At { sequence, time_ns } = self.input;
        let since = time_ns.saturating_sub(self.midnight_ns);
        if since < TIME_END {
            return Ok(since);
        }
        Err(Fault::Question(format!(
            "sequence {sequence} is {} hours after the first midnight, and ITCH counts {} at the most; \
             write one day after the other, with --from and --to",
            since * 24 / DAY_NS,
            TIME_END * 24 / DAY_NS
        )))
    }

    fn stock_of(&self, instrument: InstrumentId) -> [u8; STOCK_BYTES] {
        let known = self.names.engine().instrument(instrument);
        known.map_or([b' '; STOCK_BYTES], |view| stock(&view.definition.symbol))
    }

    fn scales(&self, instrument: InstrumentId) -> (u8, u8) {
        let known = self.names.engine().instrument(instrument);
        known.map_or((0, 0), |view| (view.definition.price_scale, view.definition.qty_scale))
    }

    fn shares(&self, qty: i64, instrument: InstrumentId) -> Result<[u8; 4], Fault> {
        let scale = self.scales(instrument).1;
        let shares = whole(qty, scale, 0).ok_or_else(|| {
            let most = format!("whole shares up to {}", u32::MAX);
            self.refused("quantity", &number(qty, scale), &most)
        })?;
        Ok(shares.to_be_bytes())
    }

    fn price(&self, price: i64, instrument: InstrumentId) -> Result<[u8; 4], Fault> {
        let scale = self.scales(instrument).0;
        let found = whole(price, scale, PRICE_SCALE).filter(|found| *found <= PRICE_MAX);
        let found = found.ok_or_else(|| {
            let most = number(PRICE_MAX.into(), PRICE_SCALE as u8);
            let most = format!("{PRICE_SCALE} decimals up to {most}");
            self.refused("price", &number(price, scale), &most)
        })?;
        Ok(found.to_be_bytes())
    }

    fn refused(&self, what: &str, value: &str, most: &str) -> Fault {
        Fault::Question(format!(
            "sequence {}: the {what} {value} does not fit, ITCH has {most}; leave its instrument out \
             with --symbol, or use another format",
            self.input.sequence
        ))
    }
}

impl Form for Itch {
    fn begin(&mut self, out: &mut Out) -> Result<(), Fault> {
        let Out { bytes, lines } = std::mem::take(&mut self.opening);
        out.bytes.extend(bytes);
        out.lines += lines;
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>, _wanted: bool, out: &mut Out) -> Result<(), Fault> {
        if !Event::is_kind(frame.kind) {
            self.end_input(out)?;
            self.input = At { sequence: frame.sequence, time_ns: frame.time_ns };
            if Command::is_kind(frame.kind)
                && let Ok(Command::DefineInstrument(definition)) =
                    Command::decode(frame.kind, frame.payload)
            {
                self.directory(definition.instrument, InstrumentStatus::Open, out)?;
            }
            return Ok(());
        }
        match event(frame) {
            Some(Event::Execution(event)) if self.is_wanted(event.instrument) => {
                self.execution(&event, out)
            }
            Some(Event::StatusChanged(StatusChanged { instrument, status, .. })) => {
                self.trading_action(instrument, status, out)
            }
            _ => Ok(()),
        }
    }

    fn end(&mut self, out: &mut Out) -> Result<(), Fault> {
        self.end_input(out)?;
        self.system_event(b'C', out)
    }
}

impl Coming {
    fn of(event: &Execution) -> Self {
        Self {
            order_id: event.order_id,
            instrument: event.instrument,
            side: event.side,
            price: event.price,
            leaves_qty: event.leaves_qty,
        }
    }
}

/// The first bytes of a symbol, padded with spaces.
fn stock(symbol: &Symbol) -> [u8; STOCK_BYTES] {
    let mut stock = [b' '; STOCK_BYTES];
    stock.iter_mut().zip(symbol.as_bytes()).for_each(|(place, byte)| *place = *byte);
    stock
}

/// A number with other decimals; none where it is not exact, or too large.
fn whole(mantissa: i64, scale: u8, wanted: u32) -> Option<u32> {
    let scale = u32::from(scale);
    let power = |exponent: u32| 10i128.pow(exponent);
    let mantissa = i128::from(mantissa) * power(wanted.saturating_sub(scale));
    let divisor = power(scale.saturating_sub(wanted));
    (mantissa % divisor == 0).then(|| u32::try_from(mantissa / divisor).ok())?
}

/// A message of `N` bytes.
struct Message<const N: usize>([u8; N]);

impl<const N: usize> Message<N> {
    fn new(kind: u8, instrument: InstrumentId, since_midnight_ns: u64) -> Self {
        let locate = (instrument.0 as u16).to_be_bytes();
        let [_, _, time @ ..] = since_midnight_ns.to_be_bytes();
        Self([0; N]).put(0, [kind]).put(1, locate).put(5, time)
    }

    fn put<const L: usize>(mut self, at: usize, bytes: [u8; L]) -> Self {
        self.0[at..at + L].copy_from_slice(&bytes);
        self
    }

    fn send(self, out: &mut Out) {
        out.bytes.extend_from_slice(&(N as u16).to_be_bytes());
        out.bytes.extend_from_slice(&self.0);
        out.lines += 1;
    }
}
