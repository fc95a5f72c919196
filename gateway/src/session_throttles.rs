//! The throttles of a session as the journal tells them, so that a data directory alone says how close a client
//! came to its bounds. The venue goes by its configuration: what is journaled is what it started with.

use ironbook_engine::SessionId;

use crate::{
    session_record::SessionRecord,
    throttle::{ThrottleAction, ThrottleScope, ThrottleTerms},
};

/// What bounds the orders of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionThrottles {
    /// Its own throttle.
    pub own: Option<ThrottleTerms>,
    /// Its firm, if it is of one.
    pub firm: Option<FirmThrottle>,
}

/// A firm, and what bounds the orders of all its sessions together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirmThrottle {
    /// Its name, 1 to [`FIRM_NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// Its throttle; none for a firm that only has a name.
    pub terms: Option<ThrottleTerms>,
}

/// Longest name of a firm, in bytes: a snapshot and a frame have room for it beside all else.
pub const FIRM_NAME_BYTES_MAX: usize = 256;

impl SessionThrottles {
    /// The records that lead from `before` to these, for a session; none where nothing differs.
    pub fn records_since(&self, before: &Self, session: SessionId) -> Vec<SessionRecord> {
        let mut records = Vec::new();
        if self.own != before.own {
            let (scope, firm) = (ThrottleScope::Session, String::new());
            records.push(SessionRecord::Throttle { session, scope, firm, terms: self.own });
        }
        if self.firm != before.firm {
            let scope = ThrottleScope::Firm;
            let (firm, terms) =
                self.firm.clone().map_or_else(Default::default, |firm| (firm.name, firm.terms));
            records.push(SessionRecord::Throttle { session, scope, firm, terms });
        }
        records
    }

    /// Takes what a record says.
    pub fn set(&mut self, scope: ThrottleScope, firm: &str, terms: Option<ThrottleTerms>) {
        match scope {
            ThrottleScope::Session => self.own = terms,
            ThrottleScope::Firm => {
                let firm = (!firm.is_empty()).then(|| firm.to_owned());
                self.firm = firm.map(|name| FirmThrottle { name, terms });
            }
        }
    }

    /// Appends them as words, for snapshots.
    ///
    /// ```text
    /// own terms (3 words), the firm's terms (3 words), bytes of the firm's name, the name in words
    /// terms: orders a second, burst, action; all 0 where there are none
    /// ```
    pub(crate) fn write(&self, mut put: impl FnMut(u64)) {
        let (name, of_firm) =
            self.firm.as_ref().map_or(("", None), |firm| (firm.name.as_str(), firm.terms));
        for terms in [self.own, of_firm] {
            terms_words(terms).into_iter().for_each(&mut put);
        }
        put(name.len() as u64);
        for chunk in name.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            put(u64::from_le_bytes(word));
        }
    }

    /// What [`write`](Self::write) wrote; none when the words are no throttles.
    pub(crate) fn read(words: &mut impl Iterator<Item = u64>) -> Option<Self> {
        let own = read_terms(words)?;
        let terms = read_terms(words)?;
        let length = usize::try_from(words.next()?).ok()?;
        if length == 0 {
            return terms.is_none().then_some(Self { own, firm: None });
        }
        if length > FIRM_NAME_BYTES_MAX {
            return None;
        }
        let mut name = Vec::new();
        for _ in 0..length.div_ceil(8) {
            name.extend(words.next()?.to_le_bytes());
        }
        let padding = name.split_off(length);
        let name = String::from_utf8(name).ok().filter(|_| padding.iter().all(|byte| *byte == 0));
        Some(Self { own, firm: Some(FirmThrottle { name: name?, terms }) })
    }
}

fn terms_words(terms: Option<ThrottleTerms>) -> [u64; 3] {
    terms.map_or([0; 3], |terms| {
        [terms.per_second.into(), terms.burst.into(), terms.action.code().into()]
    })
}

fn read_terms(words: &mut impl Iterator<Item = u64>) -> Option<Option<ThrottleTerms>> {
    let mut word = || words.next().and_then(|word| u32::try_from(word).ok());
    let (per_second, burst, action) = (word()?, word()?, word()?);
    let action = ThrottleAction::from_code(u8::try_from(action).ok()?)?;
    ThrottleTerms::journaled(per_second, burst, action)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(per_second: u32, action: ThrottleAction) -> Option<ThrottleTerms> {
        Some(ThrottleTerms { per_second, burst: 7, action })
    }

    fn all() -> [SessionThrottles; 6] {
        let of = |name: &str, terms| Some(FirmThrottle { name: name.to_owned(), terms });
        let (reject, delay) = (ThrottleAction::Reject, ThrottleAction::Delay);
        [
            SessionThrottles::default(),
            SessionThrottles { own: terms(5, reject), firm: None },
            SessionThrottles { own: terms(5, delay), firm: None },
            SessionThrottles { own: None, firm: of("ACME", None) },
            SessionThrottles { own: None, firm: of("eight by", terms(9, delay)) },
            SessionThrottles { own: terms(1, reject), firm: of("Müller & Co.", terms(9, reject)) },
        ]
    }

    #[test]
    fn records_lead_from_any_to_any() {
        for (before, after) in all().iter().flat_map(|one| all().map(|other| (one.clone(), other)))
        {
            let records = after.records_since(&before, SessionId(4));
            assert_eq!(records.is_empty(), before == after, "{before:?} {after:?}");
            let mut folded = before;
            for record in records {
                let read = SessionRecord::decode(record.kind(), &record.payload());
                assert_eq!(read.as_ref(), Some(&record));
                let Some(SessionRecord::Throttle { session, scope, firm, terms }) = read else {
                    panic!("{record:?}")
                };
                assert_eq!(session, SessionId(4));
                folded.set(scope, &firm, terms);
            }
            assert_eq!(folded, after);
        }
    }

    #[test]
    fn words_are_read_back_and_forged_ones_refused() {
        for throttles in all() {
            let mut words = Vec::new();
            throttles.write(|word| words.push(word));
            let read = |words: &[u64]| {
                let mut words = words.iter().copied();
                SessionThrottles::read(&mut words).filter(|_| words.next().is_none())
            };
            assert_eq!(read(&words), Some(throttles));
            assert_eq!(read(&words[..words.len() - 1]), None, "shorter");
            // A burst without a rate, an action that is none, and a name that is too long or padded.
            for (at, forged) in
                [(0, 0xffff_ffff), (2, 2), (3, 1 << 40), (6, 2_000), (words.len() - 1, u64::MAX)]
            {
                let mut words = words.clone();
                words[at] = forged;
                assert_eq!(read(&words), None, "word {at}");
            }
        }
    }
}
