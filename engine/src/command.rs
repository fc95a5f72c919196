//! What can be asked of the engine.
//!
//! Prices and quantities arrive as the client wrote them, a mantissa and a number of decimals
//! (`189.50` is mantissa 18950, scale 2): only the engine knows the instrument and judges them, so
//! that a refusal is a journaled event which names what was seen.

use zerocopy::{Immutable, IntoBytes, KnownLayout, TryFromBytes};

use crate::{
    Account, ClOrdId, CompId, InstrumentId, InstrumentStatus, OrdType, OrderId, ReasonText,
    SessionId, Side, SideFilter, Symbol, TimeInForce, Timestamp, TradingStatus,
    domain::{DisconnectCause, DisconnectScope},
    record::{DecodeError, Record, RecordBuffer, impl_record},
};

/// Most decimals of a price or quantity.
pub const SCALE_MAX: u8 = 18;

/// Who asked, in which message, and when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct Origin {
    /// The session that asked.
    pub session: SessionId,
    reserved: u32,
    /// MsgSeqNum (tag 34) of the request in its session; 0 for what came in no message.
    pub msg_seq_num: u64,
    /// When the gateway had read the request.
    pub received: Timestamp,
}

impl Origin {
    /// A request that came as a message of a session.
    pub fn new(session: SessionId, msg_seq_num: u64, received: Timestamp) -> Self {
        Self { session, reserved: 0, msg_seq_num, received }
    }

    /// A request of the venue itself.
    pub fn venue(received: Timestamp) -> Self {
        Self::new(SessionId::VENUE, 0, received)
    }
}

/// Defines a record of a fixed size; what would be padding is a field that is zero.
macro_rules! record {
    (
        $(#[$doc:meta])* $name:ident, $kind:expr, $size:expr;
        $($(#[$field_doc:meta])* $field:ident: $type:ty,)+
    ) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable,
        )]
        #[repr(C)]
        pub struct $name { $($(#[$field_doc])* pub $field: $type,)+ }
        $crate::record::impl_record!($name, $kind, $size);
    };
}
pub(crate) use record;

/// NewOrderSingle (D).
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NewOrder {
    /// Who asked.
    pub origin: Origin,
    /// Price mantissa; without meaning for a market order.
    pub price: i64,
    /// OrderQty (tag 38) mantissa.
    pub order_qty: i64,
    /// The instrument, or [`InstrumentId::NONE`] when the symbol names none.
    pub instrument: InstrumentId,
    /// Side (tag 54).
    pub side: Side,
    /// OrdType (tag 40).
    pub ord_type: OrdType,
    /// TimeInForce (tag 59).
    pub time_in_force: TimeInForce,
    /// Decimals of `price`, 0 to [`SCALE_MAX`].
    pub price_scale: u8,
    /// Decimals of `order_qty`, 0 to [`SCALE_MAX`].
    pub qty_scale: u8,
    reserved: [u8; 7],
    /// Account (tag 1), may be empty.
    pub account: Account,
    /// ClOrdID (tag 11).
    pub cl_ord_id: ClOrdId,
    /// The symbol as the client wrote it when `instrument` is none, else empty.
    pub unknown_symbol: Symbol,
}

/// What a client says of a new order, as [`NewOrder::new`] takes it.
#[derive(Clone, Copy, Debug)]
pub struct OrderTerms {
    /// Side (tag 54).
    pub side: Side,
    /// OrdType (tag 40).
    pub ord_type: OrdType,
    /// TimeInForce (tag 59).
    pub time_in_force: TimeInForce,
    /// Price (tag 44): mantissa and decimals; `(0, 0)` for a market order.
    pub price: (i64, u8),
    /// OrderQty (tag 38): mantissa and decimals.
    pub order_qty: (i64, u8),
}

impl NewOrder {
    /// A new order in a known instrument.
    pub fn new(
        origin: Origin,
        instrument: InstrumentId,
        terms: OrderTerms,
        account: Account,
        cl_ord_id: ClOrdId,
    ) -> Self {
        Self {
            origin,
            price: terms.price.0,
            order_qty: terms.order_qty.0,
            instrument,
            side: terms.side,
            ord_type: terms.ord_type,
            time_in_force: terms.time_in_force,
            price_scale: terms.price.1,
            qty_scale: terms.order_qty.1,
            reserved: [0; 7],
            account,
            cl_ord_id,
            unknown_symbol: Symbol::EMPTY,
        }
    }
}

impl_record!(NewOrder, 0x0101, 128);

record! {
    /// OrderCancelRequest (F).
    CancelOrder, 0x0102, 112;
    /// Who asked.
    origin: Origin,
    /// OrderID (tag 37), or [`OrderId::NONE`]: then `orig_cl_ord_id` names the order.
    order_id: OrderId,
    /// The instrument that the client named, or [`InstrumentId::NONE`].
    instrument: InstrumentId,
    /// Side (tag 54) that the client named.
    side: Side,
    /// Zero.
    reserved: [u8; 3],
    /// ClOrdID (tag 11) of the request itself.
    cl_ord_id: ClOrdId,
    /// OrigClOrdID (tag 41): the order's ClOrdID.
    orig_cl_ord_id: ClOrdId,
}

record! {
    /// OrderCancelReplaceRequest (G).
    ///
    /// The order keeps its place in the queue when only its quantity goes down; a new price or a
    /// larger quantity sends it to the end (CME, "Order Functionalities").
    ReplaceOrder, 0x0103, 128;
    /// Who asked.
    origin: Origin,
    /// OrderID (tag 37), or [`OrderId::NONE`]: then `orig_cl_ord_id` names the order.
    order_id: OrderId,
    /// New price, mantissa.
    price: i64,
    /// New OrderQty (tag 38), mantissa: the total, what has traded included.
    order_qty: i64,
    /// The instrument that the client named, or [`InstrumentId::NONE`].
    instrument: InstrumentId,
    /// Side (tag 54) that the client named.
    side: Side,
    /// OrdType (tag 40) that the client named; must be the order's.
    ord_type: OrdType,
    /// Decimals of `price`, 0 to [`SCALE_MAX`].
    price_scale: u8,
    /// Decimals of `order_qty`, 0 to [`SCALE_MAX`].
    qty_scale: u8,
    /// ClOrdID (tag 11) of the request, and of the order once it is replaced.
    cl_ord_id: ClOrdId,
    /// OrigClOrdID (tag 41): the order's ClOrdID until now.
    orig_cl_ord_id: ClOrdId,
}

record! {
    /// OrderMassCancelRequest (q): cancels the session's own orders.
    MassCancel, 0x0104, 72;
    /// Who asked; only his orders are canceled.
    origin: Origin,
    /// Only this instrument, or [`InstrumentId::NONE`] for all.
    instrument: InstrumentId,
    /// Only this side.
    side: SideFilter,
    /// MassCancelRequestType (tag 530) as asked, to be repeated in the answer.
    request_type: u8,
    /// Zero.
    reserved: [u8; 2],
    /// ClOrdID (tag 11) of the request; may be empty when the venue itself cancels.
    cl_ord_id: ClOrdId,
    /// Zero.
    reserved_tail: [u8; 4],
}

record! {
    /// OrderStatusRequest (H).
    QueryOrder, 0x0105, 136;
    /// Who asked.
    origin: Origin,
    /// OrderID (tag 37), or [`OrderId::NONE`]: then `cl_ord_id` names the order.
    order_id: OrderId,
    /// The instrument that the client named, or [`InstrumentId::NONE`].
    instrument: InstrumentId,
    /// Side (tag 54) that the client named.
    side: Side,
    /// Zero.
    reserved: [u8; 3],
    /// ClOrdID (tag 11) of the order.
    cl_ord_id: ClOrdId,
    /// The symbol as the client wrote it when `instrument` is none, else empty.
    unknown_symbol: Symbol,
    /// OrdStatusReqID (tag 790) of the request, to be repeated in the answer; may be empty.
    ord_status_req_id: ClOrdId,
}

record! {
    /// Cancels orders of a session that lost its connection. There is no report but that of each order.
    CancelOnDisconnect, 0x0106, 32;
    /// The session, in no message of which this came.
    origin: Origin,
    /// How it lost its connection.
    cause: DisconnectCause,
    /// Which of its orders are canceled.
    scope: DisconnectScope,
    /// Zero.
    reserved: [u8; 6],
}

record! {
    /// Makes an instrument known, once; the same definition again changes nothing.
    DefineInstrument, 0x0111, 64;
    /// Smallest price step, mantissa at `price_scale`; at least 1.
    tick: i64,
    /// Smallest quantity step, mantissa at `qty_scale`; at least 1.
    lot: i64,
    /// Largest OrderQty, mantissa at `qty_scale`; at least `lot`.
    order_qty_max: i64,
    /// Largest price, mantissa at `price_scale`; at least `tick`.
    price_max: i64,
    /// The instrument, from 1, without gaps.
    instrument: InstrumentId,
    /// Decimals in which prices are kept, 0 to [`SCALE_MAX`].
    price_scale: u8,
    /// Decimals in which quantities are kept, 0 to [`SCALE_MAX`].
    qty_scale: u8,
    /// Zero.
    reserved: [u8; 2],
    /// Symbol (tag 55).
    symbol: Symbol,
}

record! {
    /// Halts or resumes trading in an instrument.
    SetInstrumentStatus, 0x0112, 32;
    /// Who decided.
    origin: Origin,
    /// The instrument.
    instrument: InstrumentId,
    /// Its status from now on.
    status: InstrumentStatus,
    /// Zero.
    reserved: [u8; 3],
}

record! {
    /// Makes a session known, once; the same definition again changes nothing.
    DefineSession, 0x0113, 40;
    /// The session, from 1, without gaps.
    session: SessionId,
    /// Zero.
    reserved: u32,
    /// Comp id of the client.
    comp_id: CompId,
}

record! {
    /// Sets the risk limits of a session, all at once.
    ///
    /// Limits that are not [valid](RiskLimits::is_valid) change nothing. What the session traded in
    /// its window stays counted, unless the window changes; it is held against new limits with the
    /// next trade.
    SetRiskLimits, 0x0114, 80;
    /// Who decided.
    origin: Origin,
    /// From now on.
    limits: RiskLimits,
    /// The session.
    session: SessionId,
    /// Zero.
    reserved: u32,
}

record! {
    /// Opens a session for trading, or lets it cancel only; its live orders stay as they are.
    /// Opening ends a trip, and what the session traded until then no longer counts.
    SetTradingStatus, 0x0115, 64;
    /// Who decided.
    origin: Origin,
    /// The session.
    session: SessionId,
    /// Its status from now on.
    status: TradingStatus,
    /// Zero.
    reserved: [u8; 3],
    /// Why, may be empty.
    reason: ReasonText,
}

/// Decimals of notionals, whatever those of prices and quantities are.
pub const NOTIONAL_SCALE: u8 = 8;

/// What an order or a trade comes to at most, at [`NOTIONAL_SCALE`]: more counts as this. About 92
/// billion. Every limit is below it.
pub const NOTIONAL_MAX: i64 = i64::MAX;

/// Longest window of risk limits: a day.
pub const RISK_WINDOW_MS_MAX: u32 = 86_400_000;

/// Pre-trade limits of a session; each may be 0 for none.
///
/// A notional is price × quantity at [`NOTIONAL_SCALE`], rounded up. Notionals of all instruments
/// that a session trades are added up as they are, so these should be in one currency.
///
/// The reference price of an instrument is its last trade's since limits or a trading status were
/// set for the first time, without one the middle between best buy and best sell, without these
/// none, and what compares with it is not checked.
///
/// The first four are judged before an order is accepted or replaced (the controls of SEC Rule
/// 15c3-5(c)(1) and of RTS 6, article 15: value, price collar, volume). The last two are judged with
/// each trade, and trip the session: it is left with no live order and may only cancel, until
/// [`SetTradingStatus`] opens it (RTS 6, articles 12 and 15(3)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, TryFromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RiskLimits {
    /// Notional of one order: price × OrderQty. The price of a market order is the best of the
    /// other side, without one the last trade's, without that none.
    pub order_notional: i64,
    /// Sum of price × leaves of the session's live orders, the new one or new terms included. A
    /// replace that makes the sum no larger passes.
    pub open_notional: i64,
    /// Notional of the session's trades in the window, of both sides.
    pub traded_notional: i64,
    /// Loss in the window: how much worse than the reference price before the order its trades as
    /// an aggressor were, less how much better, in all no less than zero.
    pub loss: i64,
    /// Live orders, the new one included.
    pub open_orders: u32,
    /// How far a limit price may be from the reference price, a buy's above or a sell's below, in
    /// basis points (hundredths of a percent) of the reference price.
    pub price_deviation: u32,
    /// The window in milliseconds, at most [`RISK_WINDOW_MS_MAX`]. What is counted reaches back
    /// for a window, and for a 32nd of it more at most.
    pub window_ms: u32,
    /// Zero.
    pub reserved: u32,
}

const _: () = assert!(size_of::<RiskLimits>() == 48);

impl RiskLimits {
    /// No limit.
    pub const NONE: Self = Self {
        order_notional: 0,
        open_notional: 0,
        traded_notional: 0,
        loss: 0,
        open_orders: 0,
        price_deviation: 0,
        window_ms: 0,
        reserved: 0,
    };

    /// Whether the limits make sense: notionals from 0 to below [`NOTIONAL_MAX`], a window of at
    /// most [`RISK_WINDOW_MS_MAX`], and one where what happens in it is limited.
    pub fn is_valid(&self) -> bool {
        let notionals = [self.order_notional, self.open_notional, self.traded_notional, self.loss];
        let needs_window = self.traded_notional > 0 || self.loss > 0;
        notionals.iter().all(|limit| (0..NOTIONAL_MAX).contains(limit))
            && self.window_ms <= RISK_WINDOW_MS_MAX
            && (self.window_ms > 0 || !needs_window)
            && self.reserved == 0
    }
}

record! {
    /// Bounds of the engine. The first command of every journal; a later one may only grow them.
    EngineLimits, 0x0110, 32;
    /// Most live orders, 1 to 2^24.
    orders_max: u32,
    /// Most instruments.
    instruments_max: u32,
    /// Most sessions.
    sessions_max: u32,
    /// Closed orders that are remembered, so that a late cancel is told from an unknown one and a
    /// used ClOrdID is refused.
    closed_orders_kept: u32,
    /// Commands between two journaled state hashes; 0 for none.
    state_hash_interval: u32,
    /// Zero.
    reserved: u32,
    /// Version of the rules of matching; a program refuses rules that it does not know.
    rules_version: u64,
}

/// Version of the rules of matching, and of the state hash, that this engine follows.
pub const RULES_VERSION: u64 = 2;

impl EngineLimits {
    /// Most instruments or sessions that limits may allow.
    pub const PARTIES_MAX: u32 = 1 << 20;

    /// Whether an engine can be built with these limits: one to 2^24 live orders, at most 2^24
    /// remembered ones, at most [`Self::PARTIES_MAX`] instruments and sessions, and rules that
    /// this engine follows.
    pub const fn is_valid(&self) -> bool {
        self.orders_max >= 1
            && self.orders_max <= 1 << OrderId::SLOT_BITS
            && self.closed_orders_kept <= 1 << OrderId::SLOT_BITS
            && self.instruments_max <= Self::PARTIES_MAX
            && self.sessions_max <= Self::PARTIES_MAX
            && self.rules_version == RULES_VERSION
    }

    /// Whether no bound of these limits is below the same bound of `before`. The interval of state
    /// hashes is not a bound.
    pub const fn only_grow(&self, before: &Self) -> bool {
        self.orders_max >= before.orders_max
            && self.closed_orders_kept >= before.closed_orders_kept
            && self.instruments_max >= before.instruments_max
            && self.sessions_max >= before.sessions_max
    }
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self {
            orders_max: 262_144,
            instruments_max: 1_024,
            sessions_max: 1_024,
            closed_orders_kept: 16_384,
            state_hash_interval: 100_000,
            reserved: 0,
            rules_version: RULES_VERSION,
        }
    }
}

impl CancelOrder {
    /// A request to cancel the order that `order_id` or, without it, `orig_cl_ord_id` names.
    pub fn new(
        origin: Origin,
        order_id: OrderId,
        instrument: InstrumentId,
        side: Side,
        cl_ord_id: ClOrdId,
        orig_cl_ord_id: ClOrdId,
    ) -> Self {
        Self { origin, order_id, instrument, side, reserved: [0; 3], cl_ord_id, orig_cl_ord_id }
    }
}

impl ReplaceOrder {
    /// A request to change the order that `order_id` or, without it, `ids.1` names.
    ///
    /// `terms.time_in_force` is not part of a replace and is ignored; `ids` are the ClOrdID of the
    /// request and the OrigClOrdID.
    pub fn new(
        origin: Origin,
        order_id: OrderId,
        instrument: InstrumentId,
        terms: OrderTerms,
        ids: (ClOrdId, ClOrdId),
    ) -> Self {
        Self {
            origin,
            order_id,
            price: terms.price.0,
            order_qty: terms.order_qty.0,
            instrument,
            side: terms.side,
            ord_type: terms.ord_type,
            price_scale: terms.price.1,
            qty_scale: terms.order_qty.1,
            cl_ord_id: ids.0,
            orig_cl_ord_id: ids.1,
        }
    }
}

impl MassCancel {
    /// A request to cancel the session's orders that the filters cover.
    pub fn new(
        origin: Origin,
        instrument: InstrumentId,
        side: SideFilter,
        request_type: u8,
        cl_ord_id: ClOrdId,
    ) -> Self {
        Self {
            origin,
            instrument,
            side,
            request_type,
            reserved: [0; 2],
            cl_ord_id,
            reserved_tail: [0; 4],
        }
    }
}

impl CancelOnDisconnect {
    /// Cancels a session's orders at a time, for a cause.
    pub fn new(
        session: SessionId,
        now: Timestamp,
        cause: DisconnectCause,
        scope: DisconnectScope,
    ) -> Self {
        Self { origin: Origin::new(session, 0, now), cause, scope, reserved: [0; 6] }
    }
}

impl QueryOrder {
    /// A request for the state of the order that `order_id` or, without it, `cl_ord_id` names.
    pub fn new(
        origin: Origin,
        order_id: OrderId,
        instrument: InstrumentId,
        side: Side,
        cl_ord_id: ClOrdId,
    ) -> Self {
        Self {
            origin,
            order_id,
            instrument,
            side,
            reserved: [0; 3],
            cl_ord_id,
            unknown_symbol: Symbol::EMPTY,
            ord_status_req_id: ClOrdId::EMPTY,
        }
    }
}

impl DefineInstrument {
    /// An instrument whose largest price and quantity are those that its scales can express.
    pub fn new(
        instrument: InstrumentId,
        symbol: Symbol,
        price_scale: u8,
        qty_scale: u8,
        tick: i64,
        lot: i64,
    ) -> Self {
        Self {
            tick,
            lot,
            order_qty_max: MANTISSA_MAX / lot * lot,
            price_max: tick.saturating_mul(TICKS_MAX).min(MANTISSA_MAX / tick * tick),
            instrument,
            price_scale,
            qty_scale,
            reserved: [0; 2],
            symbol,
        }
    }
}

impl DefineInstrument {
    /// Whether the numbers make sense by themselves: scales of at most [`SCALE_MAX`], steps of at
    /// least one, maxima of at least a step and at most [`MANTISSA_MAX`], no more than
    /// [`TICKS_MAX`] ticks, and a symbol.
    pub fn is_valid(&self) -> bool {
        self.price_scale <= SCALE_MAX
            && self.qty_scale <= SCALE_MAX
            && self.tick >= 1
            && self.lot >= 1
            && (self.tick..=MANTISSA_MAX).contains(&self.price_max)
            && (self.lot..=MANTISSA_MAX).contains(&self.order_qty_max)
            && self.price_max / self.tick <= TICKS_MAX
            && !self.symbol.is_empty()
    }
}

/// Largest mantissa: eighteen digits.
pub const MANTISSA_MAX: i64 = 999_999_999_999_999_999;

/// Largest price in ticks, 2^36 - 1: what the index of price levels reaches in six steps.
pub const TICKS_MAX: i64 = (1 << 36) - 1;

impl SetInstrumentStatus {
    /// From now on the instrument has this status.
    pub fn new(origin: Origin, instrument: InstrumentId, status: InstrumentStatus) -> Self {
        Self { origin, instrument, status, reserved: [0; 3] }
    }
}

impl DefineSession {
    /// A session of the client with this comp id.
    pub fn new(session: SessionId, comp_id: CompId) -> Self {
        Self { session, reserved: 0, comp_id }
    }
}

impl SetRiskLimits {
    /// From now on the session has these limits.
    pub fn new(origin: Origin, session: SessionId, limits: RiskLimits) -> Self {
        Self { origin, limits, session, reserved: 0 }
    }
}

impl SetTradingStatus {
    /// From now on the session has this status.
    pub fn new(
        origin: Origin,
        session: SessionId,
        status: TradingStatus,
        reason: ReasonText,
    ) -> Self {
        Self { origin, session, status, reserved: [0; 3], reason }
    }
}

/// Defines [`Command`] over its records.
macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($record:ty),)+) => {
        /// A sequenced input of the engine.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum Command { $($name($record),)+ }

        impl Command {
            /// Kind of the record in the journal.
            #[inline]
            pub fn kind(&self) -> u16 {
                match self { $(Self::$name(_) => <$record>::KIND,)+ }
            }

            /// Bytes of the record in the journal.
            #[inline]
            pub fn payload(&self) -> &[u8] {
                match self { $(Self::$name(record) => record.payload(),)+ }
            }

            /// Name of the command for people.
            pub fn name(&self) -> &'static str {
                match self { $(Self::$name(_) => stringify!($name),)+ }
            }

            /// The command that a journaled record holds.
            ///
            /// # Errors
            /// As for [`CommandRef::decode`].
            pub fn decode(kind: u16, payload: &[u8]) -> Result<Self, DecodeError> {
                CommandRef::decode(kind, payload, &mut RecordBuffer::default()).map(Self::from)
            }
        }

        /// A command that stays where it is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(missing_docs)]
        pub enum CommandRef<'c> { $($name(&'c $record),)+ }

        impl<'c> CommandRef<'c> {
            /// The command that a journaled record holds, built in the buffer.
            ///
            /// # Errors
            /// [`DecodeError`] when no command has this kind or the payload is not one.
            #[inline]
            pub fn decode(
                kind: u16,
                payload: &[u8],
                buffer: &'c mut RecordBuffer,
            ) -> Result<Self, DecodeError> {
                match kind {
                    $(<$record>::KIND => <$record>::read_in(payload, buffer).map(Self::$name),)+
                    _ => Err(DecodeError::Kind { kind }),
                }
            }
        }

        impl<'c> From<&'c Command> for CommandRef<'c> {
            #[inline(always)]
            fn from(command: &'c Command) -> Self {
                match command { $(Command::$name(record) => Self::$name(record),)+ }
            }
        }

        impl From<CommandRef<'_>> for Command {
            fn from(command: CommandRef<'_>) -> Self {
                match command { $(CommandRef::$name(record) => Self::$name(*record),)+ }
            }
        }

        $(impl From<$record> for Command {
            #[inline]
            fn from(record: $record) -> Self { Self::$name(record) }
        })+
    };
}

commands! {
    NewOrder(NewOrder),
    CancelOrder(CancelOrder),
    ReplaceOrder(ReplaceOrder),
    MassCancel(MassCancel),
    QueryOrder(QueryOrder),
    CancelOnDisconnect(CancelOnDisconnect),
    Limits(EngineLimits),
    DefineInstrument(DefineInstrument),
    SetInstrumentStatus(SetInstrumentStatus),
    DefineSession(DefineSession),
    SetRiskLimits(SetRiskLimits),
    SetTradingStatus(SetTradingStatus),
}

impl Command {
    /// Kinds of commands: 0x0100 to 0x01ff.
    pub const fn is_kind(kind: u16) -> bool {
        kind >> 8 == 1
    }

    /// The client that asked: nobody for configuration, and for what the venue does by itself, if it is to
    /// the orders of a client.
    pub fn client(&self) -> Option<SessionId> {
        self.origin().filter(|origin| origin.msg_seq_num > 0).map(|origin| origin.session)
    }

    /// When the gateway took it from the client that asked.
    pub fn received(&self) -> Option<Timestamp> {
        self.client().and_then(|_| self.origin()).map(|origin| origin.received)
    }

    /// Who asked; configuration comes from the venue itself.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Self::NewOrder(command) => Some(&command.origin),
            Self::CancelOrder(command) => Some(&command.origin),
            Self::ReplaceOrder(command) => Some(&command.origin),
            Self::MassCancel(command) => Some(&command.origin),
            Self::QueryOrder(command) => Some(&command.origin),
            Self::CancelOnDisconnect(command) => Some(&command.origin),
            Self::SetInstrumentStatus(command) => Some(&command.origin),
            Self::SetRiskLimits(command) => Some(&command.origin),
            Self::SetTradingStatus(command) => Some(&command.origin),
            Self::Limits(_) | Self::DefineInstrument(_) | Self::DefineSession(_) => None,
        }
    }
}
