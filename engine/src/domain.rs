//! The words of the field as types. Codes are those of FIX 4.4 volume 6, so that a byte in a
//! journal reads as the value in a message.

use std::fmt;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, TryFromBytes};

/// Defines an integer with a meaning.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($repr:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash,
            FromBytes, IntoBytes, KnownLayout, Immutable,
        )]
        #[repr(transparent)]
        pub struct $name(pub $repr);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// Number of a frame in the journal: commands and events share one sequence, from 1, without
    /// holes. ExecID (tag 17) of an event is its sequence.
    Sequence(u64)
}
number! {
    /// Nanoseconds since 1970-01-01 UTC, without leap seconds.
    Timestamp(u64)
}
number! {
    /// A FIX session (a pair of comp ids), from 1; 0 is the venue itself.
    SessionId(u32)
}
number! {
    /// An instrument, from 1; 0 stands for none or unknown.
    InstrumentId(u32)
}
number! {
    /// OrderID (tag 37): the venue's id of an order, never used twice; 0 stands for none.
    ///
    /// The low [`OrderId::SLOT_BITS`] bits are the slot that holds the order while it lives, so
    /// that a cancel finds it by an array index; the rest counts accepted orders from 1.
    OrderId(u64)
}
number! {
    /// TrdMatchID (tag 880): number of a trade, from 1, the same on both sides; 0 stands for none.
    TradeId(u64)
}

impl SessionId {
    /// The venue itself: operator actions and configuration.
    pub const VENUE: Self = Self(0);
}

impl InstrumentId {
    /// No instrument, or one that the venue does not know.
    pub const NONE: Self = Self(0);
}

impl OrderId {
    /// No order.
    pub const NONE: Self = Self(0);
    /// Bits of the slot: at most 16,777,216 live orders.
    pub const SLOT_BITS: u32 = 24;
    /// Most orders over a venue's life, as the bits above the slot have room for: 2^40 - 1. At a
    /// million a second they last for twelve days, at a thousand for 34 years.
    pub const COUNT_MAX: u64 = u64::MAX >> Self::SLOT_BITS;

    /// The id of the `count`-th accepted order, which lives in `slot`.
    #[inline]
    pub fn new(count: u64, slot: u32) -> Self {
        debug_assert!(slot < 1 << Self::SLOT_BITS && count <= Self::COUNT_MAX);
        Self(count << Self::SLOT_BITS | u64::from(slot))
    }

    /// The slot that holds the order while it lives.
    #[inline]
    pub fn slot(self) -> u32 {
        (self.0 & ((1 << Self::SLOT_BITS) - 1)) as u32
    }

    /// How many orders had been accepted with this one.
    #[inline]
    pub fn count(self) -> u64 {
        self.0 >> Self::SLOT_BITS
    }
}

/// Defines an enumeration whose codes are stored as one byte.
macro_rules! code {
    ($(#[$doc:meta])* $name:ident { $($(#[$value_doc:meta])* $value:ident = $code:expr,)+ }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            TryFromBytes, IntoBytes, KnownLayout, Immutable,
        )]
        #[repr(u8)]
        pub enum $name { $($(#[$value_doc])* $value = $code,)+ }

        impl $name {
            /// Every value, in the order of the list above.
            pub const ALL: &'static [Self] = &[$(Self::$value,)+];

            /// The stored code.
            #[inline]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value of a code.
            #[inline]
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $(code if code == $code => Some(Self::$value),)+
                    _ => None,
                }
            }
        }
    };
}

code! {
    /// Side (tag 54).
    Side {
        /// Buy.
        Buy = b'1',
        /// Sell.
        Sell = b'2',
    }
}

impl Side {
    /// The other side.
    #[inline]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
}

code! {
    /// Which sides a mass cancel covers.
    SideFilter {
        /// Both sides.
        Both = 0,
        /// Buys only.
        Buy = b'1',
        /// Sells only.
        Sell = b'2',
    }
}

impl SideFilter {
    /// Whether an order of this side is covered.
    pub const fn covers(self, side: Side) -> bool {
        matches!((self, side), (Self::Both, _) | (Self::Buy, Side::Buy) | (Self::Sell, Side::Sell))
    }
}

code! {
    /// OrdType (tag 40).
    OrdType {
        /// Trades at any price and never rests.
        Market = b'1',
        /// Trades at its limit or better; what is left may rest.
        Limit = b'2',
    }
}

code! {
    /// TimeInForce (tag 59).
    TimeInForce {
        /// Rests until the end of the trading day.
        Day = b'0',
        /// Good till cancel.
        Gtc = b'1',
        /// Immediate or cancel: what does not trade at once is canceled.
        Ioc = b'3',
        /// Fill or kill: trades whole at once or not at all.
        Fok = b'4',
    }
}

code! {
    /// ExecType (tag 150): what an execution reports.
    ExecType {
        /// Accepted.
        New = b'0',
        /// Canceled, asked for or not.
        Canceled = b'4',
        /// Price or quantity changed on request.
        Replaced = b'5',
        /// Rejected on entry.
        Rejected = b'8',
        /// Expired at the end of its time in force.
        Expired = b'C',
        /// A partial or complete fill.
        Trade = b'F',
        /// Answer to a status request; nothing happened.
        OrderStatus = b'I',
    }
}

code! {
    /// OrdStatus (tag 39).
    OrdStatus {
        /// Live, nothing traded.
        New = b'0',
        /// Live, some of it traded.
        PartiallyFilled = b'1',
        /// All of it traded.
        Filled = b'2',
        /// Canceled.
        Canceled = b'4',
        /// Rejected.
        Rejected = b'8',
        /// Expired.
        Expired = b'C',
    }
}

code! {
    /// LastLiquidityInd (tag 851): whose liquidity a trade took.
    LastLiquidity {
        /// Not a trade.
        None = 0,
        /// The order rested.
        Added = b'1',
        /// The order was the aggressor.
        Removed = b'2',
    }
}

code! {
    /// CxlRejResponseTo (tag 434): which request was refused.
    CancelRejectTo {
        /// An OrderCancelRequest.
        Cancel = b'1',
        /// An OrderCancelReplaceRequest.
        Replace = b'2',
    }
}

code! {
    /// State of an instrument. Cancels work in every state.
    InstrumentStatus {
        /// Continuous trading.
        Open = 1,
        /// Halted: new orders and replaces are rejected, orders keep their places.
        Halted = 2,
        /// Closed: as halted, until the next trading day.
        Closed = 3,
    }
}

code! {
    /// What a session may do. Cancels and status requests work in every status.
    TradingStatus {
        /// All that its limits allow.
        Open = 1,
        /// New orders and replaces are rejected.
        CancelOnly = 2,
    }
}

code! {
    /// The rule that a rejected request broke.
    RejectReason {
        /// The symbol names no instrument of this venue.
        UnknownSymbol = 1,
        /// The instrument is halted.
        InstrumentHalted = 2,
        /// The instrument is closed.
        InstrumentClosed = 3,
        /// A limit price that is zero or negative.
        PriceNotPositive = 4,
        /// A price that is not a multiple of the instrument's tick.
        PriceOffTick = 5,
        /// A price above the largest that the instrument allows.
        PriceTooHigh = 6,
        /// A quantity that is zero or negative.
        QtyNotPositive = 7,
        /// A quantity that is not a multiple of the instrument's lot.
        QtyOffLot = 8,
        /// A quantity above the largest that the instrument allows.
        QtyTooLarge = 9,
        /// The session already used this ClOrdID for an order that lives or closed lately.
        DuplicateClOrdId = 10,
        /// No such order of this session.
        UnknownOrder = 11,
        /// The order is filled, canceled or expired already.
        TooLateToCancel = 12,
        /// The request names another instrument or side than the order has.
        OrderMismatch = 13,
        /// The venue holds as many live orders as it has room for, or has accepted as many as
        /// there are OrderIDs ([`OrderId::COUNT_MAX`]); the limit says which.
        TooManyOrders = 14,
        /// A replace may not change OrdType or TimeInForce.
        ReplaceChangesType = 15,
        /// The session is not defined, or is the venue itself, which does not trade.
        UnknownSession = 16,
        /// Price × quantity of the order is above what the session's risk limits allow.
        OrderNotionalTooLarge = 17,
        /// A limit price too far on the aggressive side of the reference price.
        PriceFarFromReference = 18,
        /// The session has as many live orders as its risk limits allow.
        TooManyOpenOrders = 19,
        /// What the session's live orders come to, with this one, is above its risk limits.
        OpenNotionalTooLarge = 20,
        /// The session is tripped: what it traded in its window went above its risk limits.
        TradedNotionalTooLarge = 21,
        /// The session is tripped: what it lost in its window went above its risk limits.
        LossTooLarge = 22,
        /// The venue takes only cancels from the session.
        SessionCancelOnly = 23,
    }
}

code! {
    /// Why an order was canceled, or which rule changed it.
    ExecReason {
        /// Nothing to say: what was asked for happened.
        None = 0,
        /// Rest of an immediate-or-cancel order.
        ImmediateOrCancel = 1,
        /// A fill-or-kill order that could not be filled whole.
        FillOrKill = 2,
        /// Rest of a market order: the other side of the book is empty.
        NoLiquidity = 3,
        /// Canceled by a mass cancel.
        MassCancel = 4,
        /// A replace to a quantity that had traded already.
        ReplacedBelowCumQty = 5,
        /// Canceled because its session logged out.
        LoggedOut = 6,
        /// Canceled because its session lost its connection.
        Disconnected = 7,
        /// Canceled because the venue stopped, or died, while its session was logged on.
        VenueDown = 8,
        /// Canceled because its session is tripped.
        SessionTripped = 9,
    }
}

code! {
    /// How a session that was logged on lost its connection.
    DisconnectCause {
        /// The client logged out.
        Logout = 1,
        /// The connection broke, the client fell silent, or the venue ended the session for a fault.
        Disconnect = 2,
        /// The venue stopped or died.
        VenueDown = 3,
    }
}

impl DisconnectCause {
    /// Why an order is canceled that is canceled because of it.
    pub(crate) fn exec_reason(self) -> ExecReason {
        match self {
            Self::Logout => ExecReason::LoggedOut,
            Self::Disconnect => ExecReason::Disconnected,
            Self::VenueDown => ExecReason::VenueDown,
        }
    }
}

code! {
    /// Which orders of a session end with its connection.
    DisconnectScope {
        /// Those for the day; those that are good till canceled stay.
        Day = 1,
        /// All.
        All = 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_there_and_back() {
        for &side in Side::ALL {
            assert_eq!(Side::from_code(side.code()), Some(side));
        }
        for &reason in RejectReason::ALL {
            assert_eq!(RejectReason::from_code(reason.code()), Some(reason));
        }
        assert_eq!(Side::from_code(b'9'), None);
        assert_eq!(Side::Buy.opposite(), Side::Sell);
    }

    #[test]
    fn order_id_keeps_count_and_slot() {
        let id = OrderId::new(7, 3);
        assert_eq!((id.count(), id.slot()), (7, 3));
    }
}
