//! The gateway's own throttles, asked anew with the times at which it had read each request: a journal has those
//! of all requests that passed.

use std::collections::HashMap;

use ironbook_engine::{ClOrdId, Command, SessionId, Timestamp};
use ironbook_gateway::{
    session_throttles::SessionThrottles,
    throttle::{Bucket, Throttle, ThrottleScope, ThrottleTerms, Throttled},
};
use serde_json::{Value, json};

const MILLISECOND_NS: u64 = 1_000_000;

/// The buckets of sessions, and of firms by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buckets {
    sessions: HashMap<SessionId, (SessionThrottles, Throttle)>,
    /// The latest time at which the gateway had read an order, as far as is known.
    latest: Timestamp,
    firm_names: Vec<String>,
    firms: Vec<Bucket>,
}

/// An order that its session's buckets were asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked<'c> {
    pub session: SessionId,
    pub cl_ord_id: &'c ClOrdId,
    /// When the gateway had read it.
    pub received: Timestamp,
    pub outcome: Result<(), Throttled>,
}

impl Buckets {
    /// Bounds a session from here on. Its buckets, and that of its firm, are full, as at a start of a venue.
    pub fn set(&mut self, session: SessionId, throttles: SessionThrottles) {
        let bounded = throttles.firm.as_ref().and_then(|firm| Some((&firm.name, firm.terms?)));
        let firm = bounded.map(|(name, terms)| {
            let known = self.firm_names.iter().position(|known| known == name);
            let bucket = Bucket::new(terms);
            match known {
                Some(number) => {
                    self.firms[number] = bucket;
                    number
                }
                None => {
                    self.firm_names.push(name.clone());
                    self.firms.push(bucket);
                    self.firms.len() - 1
                }
            }
        });
        let throttle = Throttle::new(throttles.own, firm);
        self.sessions.insert(session, (throttles, throttle));
    }

    /// What bounds a session, if anything was said of it.
    pub fn throttles(&self, session: SessionId) -> Option<&SessionThrottles> {
        self.sessions.get(&session).map(|(throttles, _)| throttles)
    }

    /// Takes tokens for a request; none for one that needs none: only new orders and replaces do.
    pub fn admit<'c>(&mut self, command: &'c Command) -> Option<Asked<'c>> {
        let cl_ord_id = match command {
            Command::NewOrder(order) => &order.cl_ord_id,
            Command::ReplaceOrder(request) => &request.cl_ord_id,
            _ => return None,
        };
        let (session, received) = command.client().zip(command.received())?;
        let outcome = self.take(session, received)?;
        Some(Asked { session, cl_ord_id, received, outcome })
    }

    /// Takes tokens for an order that the gateway had read at a time; nothing for a session that nothing is said of.
    pub fn take(
        &mut self,
        session: SessionId,
        received: Timestamp,
    ) -> Option<Result<(), Throttled>> {
        self.latest = self.latest.max(received);
        let (_, throttle) = self.sessions.get_mut(&session)?;
        Some(throttle.admit(&mut self.firms, received))
    }

    /// The same for an order that the gateway then refused, whose answer says to the millisecond when it had read it:
    /// it was not before what is known to have been read, which fills no bucket twice.
    pub fn take_refused(
        &mut self,
        session: SessionId,
        told: Timestamp,
    ) -> Option<Result<(), Throttled>> {
        let end_of_millisecond = Timestamp(told.0 + (MILLISECOND_NS - 1));
        self.take(session, self.latest.clamp(told, end_of_millisecond))
    }

    /// A bucket of a session has refused an order, of which the journal has only the answer.
    pub fn note_refusal(&mut self, session: SessionId, scope: ThrottleScope, now: Timestamp) {
        if let Some((_, throttle)) = self.sessions.get_mut(&session) {
            throttle.note_refusal(&mut self.firms, scope, now);
        }
    }

    /// Whole tokens that a session's buckets had left when they were last asked; below zero where orders were
    /// taken that had none.
    pub fn left(&self, session: SessionId) -> impl Iterator<Item = (ThrottleScope, i64)> {
        let known = self.sessions.get(&session).into_iter();
        let bounds = known.flat_map(|(_, throttle)| throttle.bounds(&self.firms));
        bounds.map(|(scope, bucket)| (scope, bucket.tokens_left()))
    }
}

/// A throttle, for programs.
pub(crate) fn terms_json(terms: ThrottleTerms) -> Value {
    json!({
        "orders_per_second": terms.per_second,
        "orders_burst": terms.burst,
        "throttle": terms.action.name(),
    })
}
