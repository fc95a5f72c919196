//! Who and what a journal is about: comp ids and symbols, and pseudonyms that stand for names which
//! must not leave the house.
//!
//! | stands for | pseudonym |
//! |---|---|
//! | comp id | `C` and the session's number in the journal, the same in every output |
//! | account | `A` and a number, in the sequence of appearance in the output |
//! | ClOrdID | `O` and a number, in the sequence of appearance in the output |
//! | firm | `F` and a number, in the sequence of appearance in the output |
//! | operator | `U` and a number, in the sequence of appearance in the output |
//! | text that a client or an operator wrote, or may be quoted in | `REDACTED` |
//!
//! Names are replaced in the records, before anything is made of them, so each output has the same.
//! Of messages that are journaled as text, only values that are known to be codes or numbers stay.

use std::collections::HashMap;

use ironbook_engine::{
    Account, ClOrdId, Command, CompId, Engine, EngineLimits, Event, Sequencer, Symbol, Timestamp,
    command::DefineSession, sink::CountingSink,
};
use ironbook_fix::field::INTEGER_TEXT_MAX;
use ironbook_gateway::{session_record::SessionRecord, symbols::SymbolTable};

use crate::{
    Fault,
    index::Index,
    moment::Moment,
    request::cl_ord_ids,
    show::{Content, Entry},
};

/// What stands for text of clients.
const REDACTED: &str = "REDACTED";

/// Tags of numbers and codes, which tell nobody: sequence numbers, quantities, prices, reasons, times.
const HARMLESS_TAGS: [u32; 40] = [
    6, 7, 14, 16, 17, 31, 32, 36, 37, 38, 39, 40, 43, 44, 45, 52, 54, 59, 60, 98, 102, 103, 108,
    123, 141, 150, 151, 371, 372, 373, 380, 434, 527, 530, 531, 533, 789, 851, 1128, 1137,
];
/// Longest harmless value: a time to the nanosecond.
const HARMLESS_BYTES_MAX: usize = 27;
/// Tags of comp ids, and of the desks and places of clients.
const COMP_ID_TAGS: [u32; 10] = [49, 50, 56, 57, 115, 116, 128, 129, 142, 143];
/// Tags of ClOrdIDs: ClOrdID, OrigClOrdID, SecondaryClOrdID, BusinessRejectRefID.
const CL_ORD_ID_TAGS: [u32; 4] = [11, 41, 526, 379];
const ACCOUNT_TAG: u32 = 1;
const SYMBOL_TAG: u32 = 55;

/// Comp ids and symbols of a journal, as an output shows them.
pub struct Names {
    engine: Engine,
    limits: EngineLimits,
    symbols: SymbolTable,
    pseudonyms: Option<Pseudonyms>,
}

/// Which name stands for which. Takes about a hundred bytes of memory for each ClOrdID.
#[derive(Default)]
struct Pseudonyms {
    comp_ids: HashMap<CompId, CompId>,
    accounts: HashMap<Account, u64>,
    cl_ord_ids: HashMap<ClOrdId, u64>,
    firms: HashMap<String, u64>,
    operators: HashMap<String, u64>,
}

impl Names {
    /// All names of a journal; pseudonyms for them if it is to be redacted.
    ///
    /// # Errors
    /// [`Fault`]: the journal can't be read.
    pub fn of(index: &Index, redact: bool) -> Result<Self, Fault> {
        let end = Moment::end(index)?;
        let known = end.engine();
        // Definitions are never taken back, so those of the end hold everywhere.
        let limits = known.map_or_else(EngineLimits::default, |engine| *engine.limits());
        let mut engine =
            Engine::new(EngineLimits { orders_max: 1, closed_orders_kept: 1, ..limits });
        let mut pseudonyms = redact.then(Pseudonyms::default);
        let mut sequencer = Sequencer::default();
        let mut define = |command: Command| {
            let stamp = sequencer.stamp(Timestamp(0));
            sequencer.resume_at(engine.apply(stamp, &command, &mut CountingSink::default()));
        };
        for view in known.iter().flat_map(|engine| engine.instruments()) {
            define(view.definition.into());
        }
        for view in known.iter().flat_map(|engine| engine.sessions()) {
            let mut comp_id = view.comp_id;
            if let Some(pseudonyms) = &mut pseudonyms {
                comp_id = pseudonym('C', view.session.0.into());
                pseudonyms.comp_ids.insert(view.comp_id, comp_id);
            }
            define(DefineSession::new(view.session, comp_id).into());
        }
        let known = engine.instruments().map(|view| view.definition);
        let symbols = known.map(|known| (known.symbol, known.instrument)).collect();
        Ok(Self { engine, limits, symbols, pseudonyms })
    }

    /// An engine that knows these names, and nothing else.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The limits of the venue at the end of the journal.
    pub fn limits(&self) -> &EngineLimits {
        &self.limits
    }

    /// The symbols.
    pub fn symbols(&self) -> &SymbolTable {
        &self.symbols
    }

    /// A comp id as it is shown.
    pub fn comp_id(&self, comp_id: &str) -> String {
        let Some(pseudonyms) = &self.pseudonyms else { return comp_id.to_owned() };
        let known = CompId::try_from(comp_id).ok();
        let stands = known.and_then(|known| pseudonyms.comp_ids.get(&known));
        stands.map_or(REDACTED.to_owned(), ToString::to_string)
    }

    /// An operator and the reason, as they are shown.
    pub fn operator(&mut self, name: &str, reason: &str) -> (String, String) {
        let (mut name, mut reason) = (name.to_owned(), reason.to_owned());
        if let Some(pseudonyms) = &mut self.pseudonyms {
            pseudonyms.operator(&mut name, &mut reason);
        }
        (name, reason)
    }

    /// Whether names are replaced.
    pub fn are_redacted(&self) -> bool {
        self.pseudonyms.is_some()
    }

    /// Replaces the names in a frame, if that is asked for.
    pub fn redact(&mut self, entry: &mut Entry) {
        let Some(pseudonyms) = &mut self.pseudonyms else { return };
        match &mut entry.content {
            Content::Command(command) => pseudonyms.redact_command(command),
            Content::Event(event) => pseudonyms.redact_event(event),
            Content::Session(SessionRecord::Outbound { body, .. }) => {
                *body = pseudonyms.redact_body(body, &self.symbols);
            }
            Content::Session(SessionRecord::Throttle { firm, .. }) => pseudonyms.firm(firm),
            Content::Session(SessionRecord::Operator(record)) => {
                pseudonyms.operator(&mut record.name, &mut record.reason);
            }
            Content::Session(_) | Content::Unknown { .. } => {}
        }
    }
}

/// A letter and a number, which every kind of name has room for.
fn pseudonym<const N: usize>(letter: char, number: u64) -> ironbook_engine::text::Text<N> {
    format!("{letter}{number}").as_str().try_into().expect("room for a short name")
}

/// Replaces a name by a letter and its number among those that are known.
fn numbered(known: &mut HashMap<String, u64>, letter: char, name: &mut String) {
    let next = known.len() as u64 + 1;
    let number = *known.entry(std::mem::take(name)).or_insert(next);
    *name = format!("{letter}{number}");
}

impl Pseudonyms {
    fn cl_ord_id(&mut self, name: &mut ClOrdId) {
        const { assert!(ClOrdId::MAX > INTEGER_TEXT_MAX) };
        if !name.is_empty() {
            let next = self.cl_ord_ids.len() as u64 + 1;
            *name = pseudonym('O', *self.cl_ord_ids.entry(*name).or_insert(next));
        }
    }

    fn account(&mut self, name: &mut Account) {
        if !name.is_empty() {
            let next = self.accounts.len() as u64 + 1;
            *name = pseudonym('A', *self.accounts.entry(*name).or_insert(next));
        }
    }

    fn firm(&mut self, name: &mut String) {
        if !name.is_empty() {
            numbered(&mut self.firms, 'F', name);
        }
    }

    fn operator(&mut self, name: &mut String, reason: &mut String) {
        numbered(&mut self.operators, 'U', name);
        *reason = REDACTED.to_owned();
    }

    fn redact_command(&mut self, command: &mut Command) {
        cl_ord_ids(command).for_each(|name| self.cl_ord_id(name));
        match command {
            Command::NewOrder(order) => {
                self.account(&mut order.account);
                redacted(&mut order.unknown_symbol);
            }
            Command::QueryOrder(request) => {
                self.cl_ord_id(&mut request.ord_status_req_id);
                redacted(&mut request.unknown_symbol);
            }
            Command::DefineSession(definition) => {
                definition.comp_id = pseudonym('C', definition.session.0.into());
            }
            Command::SetTradingStatus(command) => redacted(&mut command.reason),
            Command::CancelOrder(_)
            | Command::ReplaceOrder(_)
            | Command::MassCancel(_)
            | Command::Limits(_)
            | Command::DefineInstrument(_)
            | Command::SetInstrumentStatus(_)
            | Command::CancelOnDisconnect(_)
            | Command::SetRiskLimits(_) => {}
        }
    }

    fn redact_event(&mut self, event: &mut Event) {
        match event {
            Event::Execution(event) => {
                self.cl_ord_id(&mut event.cl_ord_id);
                self.cl_ord_id(&mut event.other_id);
                self.account(&mut event.account);
            }
            Event::OrderRejected(event) => {
                self.cl_ord_id(&mut event.cl_ord_id);
                self.cl_ord_id(&mut event.ord_status_req_id);
                self.account(&mut event.account);
                redacted(&mut event.unknown_symbol);
            }
            Event::CancelRejected(event) => {
                self.cl_ord_id(&mut event.cl_ord_id);
                self.cl_ord_id(&mut event.orig_cl_ord_id);
                self.account(&mut event.account);
            }
            Event::MassCanceled(event) => self.cl_ord_id(&mut event.cl_ord_id),
            Event::TradingStatusChanged(event) => redacted(&mut event.reason),
            Event::StatusChanged(_) | Event::StateHashed(_) | Event::SessionTripped(_) => {}
        }
    }

    /// The fields of a message, those that may tell of somebody replaced. What is no field is left out.
    fn redact_body(&mut self, body: &[u8], symbols: &SymbolTable) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len());
        for field in body.split(|&byte| byte == 1) {
            let Some(equals) = field.iter().position(|&byte| byte == b'=') else { continue };
            let (tag, value) = (&field[..equals], &field[equals + 1..]);
            let tag = std::str::from_utf8(tag).ok().and_then(|tag| tag.parse::<u32>().ok());
            let Some(tag) = tag else { continue };
            out.extend_from_slice(format!("{tag}=").as_bytes());
            out.extend_from_slice(&self.redact_value(tag, value, symbols));
            out.push(1);
        }
        out
    }

    fn redact_value(&mut self, tag: u32, value: &[u8], symbols: &SymbolTable) -> Vec<u8> {
        let kept = match tag {
            tag if HARMLESS_TAGS.contains(&tag) => is_code(value).then(|| value.to_vec()),
            tag if CL_ORD_ID_TAGS.contains(&tag) => {
                ClOrdId::try_from(value).ok().map(|mut name| {
                    self.cl_ord_id(&mut name);
                    name.as_bytes().to_vec()
                })
            }
            tag if COMP_ID_TAGS.contains(&tag) => {
                let known = CompId::try_from(value).ok();
                known
                    .and_then(|known| self.comp_ids.get(&known))
                    .map(|stands| stands.as_bytes().to_vec())
            }
            ACCOUNT_TAG => Account::try_from(value).ok().map(|mut name| {
                self.account(&mut name);
                name.as_bytes().to_vec()
            }),
            SYMBOL_TAG => {
                let symbol = Symbol::try_from(value).ok();
                symbol
                    .filter(|symbol| symbols.instrument(symbol).is_some())
                    .map(|symbol| symbol.as_bytes().to_vec())
            }
            _ => None,
        };
        kept.unwrap_or_else(|| REDACTED.into())
    }
}

/// Whether a value is a number, a time, a single letter, or says that there is none.
fn is_code(value: &[u8]) -> bool {
    let numeric = value.iter().all(|byte| byte.is_ascii_digit() || b".:-".contains(byte));
    (numeric && value.len() <= HARMLESS_BYTES_MAX) || value.len() == 1 || value == b"NONE"
}

/// Replaces a text that anybody may have written.
fn redacted<const N: usize>(text: &mut ironbook_engine::Text<N>) {
    if !text.is_empty() {
        *text = REDACTED.try_into().expect("room for a short word");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_message_only_codes_stay() {
        let mut pseudonyms = Pseudonyms::default();
        let comp_id = |text: &str| CompId::try_from(text).unwrap();
        pseudonyms.comp_ids.insert(comp_id("ALPHA"), comp_id("C1"));
        let symbols = SymbolTable::from_iter([(
            Symbol::try_from("AAPL").unwrap(),
            ironbook_engine::InstrumentId(1),
        )]);
        let mut redact = |text: &str| {
            let body = pseudonyms.redact_body(text.replace('|', "\u{1}").as_bytes(), &symbols);
            String::from_utf8(body).unwrap().replace('\u{1}', "|")
        };
        assert_eq!(
            redact("45=7|371=11|372=D|379=ord-a|58=ALPHA sent ord-a|"),
            "45=7|371=11|372=D|379=O1|58=REDACTED|"
        );
        assert_eq!(
            redact("37=NONE|11=ord-b|41=ord-a|1=acct|55=AAPL|150=8|"),
            "37=NONE|11=O2|41=O1|1=A1|55=AAPL|150=8|"
        );
        // Comp ids, symbols and codes that are none, and bytes that are no field.
        assert_eq!(
            redact("49=ALPHA|56=BETA|55=ord-a|37=ord-a|96=x=|ord-a|ord=a|112=ALPHA|"),
            "49=C1|56=REDACTED|55=REDACTED|37=REDACTED|96=REDACTED|112=REDACTED|"
        );
        let long = "x".repeat(ClOrdId::MAX + 1);
        assert_eq!(redact(&format!("11={long}|45=1{long}|")), "11=REDACTED|45=REDACTED|");
    }
}
