//! Lists of securities that a session is to be sent, message by message.

use std::{collections::VecDeque, ops::Range};

use ironbook_fix::reference::{
    ListScope, SECURITIES_MAX, Security, SecurityList, SecurityListRequest,
};

/// Lists that one session may wait for.
const LISTS_MAX: usize = 4;

/// SecurityRequestResult (560).
const VALID: u8 = 0;
/// It asks for something that is not supported here.
const NOT_SUPPORTED: u8 = 1;
/// There is no such instrument.
const NONE_FOUND: u8 = 2;
/// Temporarily unavailable: the session waits for as many lists as it may.
const UNAVAILABLE: u8 = 4;

/// Lists that a session waits for.
#[derive(Debug, Default)]
pub struct SecurityLists(VecDeque<ListAhead>);

/// A list of securities, or what is left of it to send.
#[derive(Clone, Debug)]
struct ListAhead {
    req_id: Vec<u8>,
    response_id: Vec<u8>,
    /// Securities of the list, by place.
    places: Range<usize>,
    /// The next one to send.
    next: usize,
}

impl SecurityLists {
    /// Takes a request; `count` is how many instruments there are, `find` tells the place of one.
    ///
    /// # Errors
    /// The answer, where it is no list.
    pub fn ask<'a>(
        &mut self,
        request: &SecurityListRequest<'a>,
        response_id: &'a [u8],
        count: usize,
        find: impl Fn(&'a [u8]) -> Option<usize>,
    ) -> Result<(), SecurityList<'a>> {
        let places = match request.scope {
            Some(ListScope::All) => Ok(0..count),
            Some(ListScope::Symbol(symbol)) => {
                find(symbol).map(|place| place..place + 1).ok_or(NONE_FOUND)
            }
            None => Err(NOT_SUPPORTED),
        };
        match places {
            Ok(places) if self.0.len() < LISTS_MAX => {
                let (req_id, response_id) = (request.req_id.to_vec(), response_id.to_vec());
                let next = places.start;
                self.0.push_back(ListAhead { req_id, response_id, places, next });
                Ok(())
            }
            refused => Err(SecurityList {
                req_id: request.req_id,
                response_id,
                result: refused.err().unwrap_or(UNAVAILABLE),
                total: 0,
                last: true,
                securities: Vec::new(),
            }),
        }
    }

    /// Whether nothing is to be sent.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Nobody waits any more.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Sends the next message, if there is one; `security` tells of the instrument at a place.
    pub fn send_next<'a>(
        &mut self,
        security: impl Fn(usize) -> Security<'a>,
        send: impl FnOnce(&SecurityList<'_>),
    ) {
        let Some(list) = self.0.front_mut() else { return };
        let end = list.places.end.min(list.next + SECURITIES_MAX);
        send(&SecurityList {
            req_id: &list.req_id,
            response_id: &list.response_id,
            result: VALID,
            total: list.places.len() as u64,
            last: end == list.places.end,
            securities: (list.next..end).map(security).collect(),
        });
        list.next = end;
        if end == list.places.end {
            self.0.pop_front();
        }
    }
}
