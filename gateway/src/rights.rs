//! What a session may do beyond logging on: trade at all, in which instruments, for which accounts. The
//! instruments bind the market data that it may see, too.
//!
//! Rights are looked at before a request becomes a command, so they are no part of the engine's state, and a
//! replay does not ask for them: what was refused is in the journal as the answer that was given. They bind
//! new orders and replaces. Cancels and status requests work without them, so that a session whose rights
//! were taken can still take its orders back.

use ironbook_engine::{Account, InstrumentId, Symbol};

use crate::{
    config::{ConfigError, SessionConfig},
    symbols::SymbolTable,
};

/// The rights of a session.
#[derive(Clone, Debug)]
pub struct Rights {
    trade: bool,
    /// By instrument, whether it may be traded; none when all may.
    instruments: Option<Box<[bool]>>,
    /// Accounts that orders may be for; empty for all, and for orders without one.
    accounts: Box<[Account]>,
}

impl Rights {
    /// As configured.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for an account that is none. A symbol that the venue does not have is nothing
    /// that could be traded.
    pub fn new(config: &SessionConfig, symbols: &SymbolTable) -> Result<Self, ConfigError> {
        let known = config.symbols.iter().filter_map(|symbol| {
            let symbol = Symbol::try_from(symbol.as_str()).ok()?;
            Some(symbols.instrument(&symbol)?.0 as usize)
        });
        let mut instruments = Vec::new();
        for instrument in known {
            let length = instruments.len().max(instrument + 1);
            instruments.resize(length, false);
            instruments[instrument] = true;
        }
        let limited = !config.symbols.is_empty();
        Ok(Self {
            trade: config.trade,
            instruments: limited.then(|| instruments.into()),
            accounts: config.accounts()?.into(),
        })
    }

    /// Whether it may send orders at all.
    #[inline]
    pub fn may_trade(&self) -> bool {
        self.trade
    }

    /// Whether it may send orders in an instrument.
    #[inline]
    pub fn may_trade_in(&self, instrument: InstrumentId) -> bool {
        self.instruments
            .as_ref()
            .is_none_or(|may| may.get(instrument.0 as usize).copied().unwrap_or(false))
    }

    /// Whether it may send orders for an account.
    #[inline]
    pub fn may_trade_for(&self, account: &Account) -> bool {
        self.accounts.is_empty() || self.accounts.contains(account)
    }
}
