//! Limits, instruments, sessions and statuses.
//!
//! A definition that makes no sense, or that contradicts an earlier one, changes nothing: who sends
//! one can ask the engine before ([`Engine::instrument`], [`DefineInstrument::is_valid`]).

use super::{Engine, report::Out};
use crate::{
    EngineLimits,
    command::{DefineInstrument, DefineSession, SetInstrumentStatus},
    event::StatusChanged,
    hash::{mix, mix_bytes},
    instrument::Instrument,
    record::Record,
    session::Session,
    sink::EventSink,
};

impl Engine {
    /// The first command sets the limits, whatever the engine was built with; later ones may only
    /// let them grow.
    pub(super) fn set_limits(&mut self, limits: EngineLimits) {
        if !limits.is_valid() || limits == self.limits {
            return;
        }
        if self.commands == 0 {
            *self = Self { last_sequence: self.last_sequence, ..Self::new(limits) };
        } else if limits.only_grow(&self.limits) {
            self.books.grow(limits.orders_max);
            self.orders.grow(limits.orders_max);
            let (orders_max, kept_max) = (limits.orders_max, limits.closed_orders_kept);
            self.names.grow(&self.books, &self.orders, orders_max, kept_max);
            self.limits = limits;
            self.schedule_state_hash();
        }
    }

    /// Defines an instrument, open for trading, if its id is the next one and its symbol is new.
    pub(super) fn define_instrument(&mut self, definition: &DefineInstrument) {
        let known = self.instruments.len() as u32;
        let symbol = *definition.symbol.padded();
        let is_next = definition.instrument.0 == known + 1 && known < self.limits.instruments_max;
        if is_next && definition.is_valid() && !self.symbols.contains_key(&symbol) {
            let ticks_max = definition.price_max / definition.tick;
            let book = self.books.open_book(ticks_max as u64);
            let instrument = Instrument::new(*definition, book);
            self.configuration_hash =
                self.configuration_hash.wrapping_add(hash_of_instrument(&instrument));
            self.symbols.insert(symbol, definition.instrument);
            self.instruments.push(instrument);
        }
    }

    /// Defines a session if its id is the next one.
    pub(super) fn define_session(&mut self, definition: &DefineSession) {
        let known = self.sessions.len() as u32;
        if definition.session.0 == known + 1 && known < self.limits.sessions_max {
            let session = Session::new(definition.session, definition.comp_id);
            self.configuration_hash =
                self.configuration_hash.wrapping_add(hash_of_session(&session));
            self.sessions.push(session);
        }
    }

    /// Changes the status of an instrument and reports it if it was another one.
    pub(super) fn set_status<S: EventSink>(
        &mut self,
        command: &SetInstrumentStatus,
        out: &mut Out<'_, S>,
    ) {
        let at = command.instrument.0.wrapping_sub(1) as usize;
        let Some(instrument) = self.instruments.get_mut(at) else { return };
        if instrument.status == command.status {
            return;
        }
        let before = hash_of_instrument(instrument);
        instrument.status = command.status;
        self.configuration_hash = self
            .configuration_hash
            .wrapping_sub(before)
            .wrapping_add(hash_of_instrument(instrument));
        out.emit(&StatusChanged {
            instrument: command.instrument,
            status: command.status,
            reserved: [0; 3],
        });
    }
}

/// What an instrument adds to the state hash.
pub(super) fn hash_of_instrument(instrument: &Instrument) -> u64 {
    let definition = mix_bytes(4, instrument.definition.payload());
    mix(4, [definition, instrument.status.code().into()])
}

/// What a session adds to the state hash.
pub(super) fn hash_of_session(session: &Session) -> u64 {
    let comp_id = mix_bytes(5, session.comp_id.padded());
    mix(5, [session.id.0.into(), comp_id])
}
