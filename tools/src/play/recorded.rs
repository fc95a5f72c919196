//! Whether the sandbox is the venue that writes the journal.

use std::collections::BTreeMap;

use ironbook_engine::{Command, CompId, SessionId};
use ironbook_gateway::{replay::PlayError, session_record::SessionRecord};
use ironbook_incident::{Fault, index::Index, names::Names, show::Content};
use ironbook_journal::{FileStorage, Reader, Storage as _};

/// MsgType (35) of a Logon.
const LOGON: &[u8] = b"A";

/// Who the sandbox is, by the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// Not the venue that writes it.
    Another,
    /// That venue.
    Recorder,
    /// It may be that venue: somebody writes the journal behind damage, where nothing can be read.
    Hidden {
        /// The process that writes it.
        writer: String,
    },
}

/// Follows the Logons of a journal behind its index.
pub struct Logons {
    reader: Reader,
    journal: FileStorage,
    comp_ids: BTreeMap<SessionId, CompId>,
    /// Whether the index ends before the journal does.
    is_damaged: bool,
    /// Whether there was something that can't be read.
    is_hidden: bool,
}

impl Logons {
    /// From now on: all that the journal holds by now is passed.
    ///
    /// # Errors
    /// [`Fault`]: the journal can't be read.
    pub fn from_now(index: &Index, names: &Names) -> Result<Self, Fault> {
        let views = names.engine().sessions();
        let mut logons = Self {
            reader: index.reader(index.end())?,
            journal: FileStorage::new(index.dir()),
            comp_ids: views.map(|view| (view.session, view.comp_id)).collect(),
            is_damaged: index.damage().is_some(),
            is_hidden: false,
        };
        logons.pass(|_| {})?;
        Ok(logons)
    }

    /// Who the sandbox is, once these comp ids are logged on to it: a venue journals its Logon before it is sent,
    /// and holds the lock of its journal while it runs.
    ///
    /// # Errors
    /// [`Fault`]: the journal can't be read.
    pub fn sandbox<'a>(
        &mut self,
        comp_ids: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<Seen, Fault> {
        let mut is_there = false;
        self.pass(|comp_id| is_there |= comp_ids.clone().any(|known| known == comp_id.as_str()))?;
        if is_there {
            return Ok(Seen::Recorder);
        }
        let writer = self.journal.lock_holder().filter(|_| self.is_hidden);
        Ok(writer.map_or(Seen::Another, |writer| Seen::Hidden { writer }))
    }

    /// Shows who has logged on in what is new in the journal.
    fn pass(&mut self, mut each: impl FnMut(&CompId)) -> Result<(), Fault> {
        loop {
            let frame = match self.reader.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(_) if self.is_damaged => {
                    self.is_hidden = true;
                    return Ok(());
                }
                Err(error) => return Err(PlayError::from(error).into()),
            };
            match Content::decode(frame.kind, frame.payload) {
                // The venue may have been started again, with more sessions.
                Content::Command(command) => {
                    if let Command::DefineSession(defined) = *command {
                        self.comp_ids.insert(defined.session, defined.comp_id);
                    }
                }
                Content::Session(SessionRecord::Outbound { session, msg_type, .. })
                    if msg_type == LOGON =>
                {
                    if let Some(comp_id) = self.comp_ids.get(&session) {
                        each(comp_id);
                    }
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::unix::fs::FileExt};

    use ironbook_engine::command::DefineSession;
    use ironbook_journal::SEGMENT_BYTES_MIN;

    use super::*;
    use crate::script::{C1, C2, Script, churn, index, memory_dir};

    fn message(session: SessionId, msg_type: &[u8]) -> SessionRecord {
        SessionRecord::Outbound { session, msg_type: msg_type.to_vec(), body: Vec::new() }
    }

    fn damage_first_segment(day: &Script) {
        let segment = File::options().write(true).open(day.dir.join("0000000000.seg")).unwrap();
        segment.write_all_at(&[0xff; 512], SEGMENT_BYTES_MIN / 2).unwrap();
    }

    #[test]
    fn only_logons_from_now_on_count() {
        let place = memory_dir();
        let mut day = Script::new(&place.path().join("data"));
        day.record(&message(C1, LOGON));
        let index = index(&day.dir);
        let names = Names::of(&index, false).unwrap();
        // Behind the index, and passed before the first look.
        day.record(&message(C1, LOGON));
        let mut logons = Logons::from_now(&index, &names).unwrap();
        let mut seen = |day: &mut Script, record: SessionRecord| {
            day.record(&record);
            logons.sandbox(["C1", "NEW"].into_iter()).unwrap()
        };
        assert_eq!(seen(&mut day, message(C1, b"0")), Seen::Another);
        assert_eq!(seen(&mut day, message(C2, LOGON)), Seen::Another);
        assert_eq!(seen(&mut day, message(C1, LOGON)), Seen::Recorder);
        assert_eq!(seen(&mut day, message(C2, LOGON)), Seen::Another);
        let new = SessionId(4);
        day.command(DefineSession::new(new, "NEW".try_into().unwrap()));
        assert_eq!(seen(&mut day, message(new, LOGON)), Seen::Recorder);
    }

    #[test]
    fn what_is_indexed_is_not_read_again() {
        let place = memory_dir();
        let mut day = Script::new(&place.path().join("data"));
        churn(&mut day, 4_000);
        let nowhere = day.dir.join("0000000000.seg").join("index");
        let index = Index::open(&day.dir, Some(&nowhere), &mut |_| {}).unwrap();
        let names = Names::of(&index, false).unwrap();
        assert!(index.end().get() > SEGMENT_BYTES_MIN, "the first segment is full");
        damage_first_segment(&day);
        let mut logons = Logons::from_now(&index, &names).unwrap();
        day.record(&message(C1, LOGON));
        assert_eq!(logons.sandbox(["C1"].into_iter()).unwrap(), Seen::Recorder);
    }

    #[test]
    fn behind_damage_there_may_be_some_while_somebody_writes() {
        let place = memory_dir();
        let mut day = Script::new(&place.path().join("data"));
        churn(&mut day, 4_000);
        damage_first_segment(&day);
        let index = index(&day.dir);
        let names = Names::of(&index, false).unwrap();
        assert!(index.damage().is_some());
        let mut logons = Logons::from_now(&index, &names).unwrap();
        day.record(&message(C1, LOGON));
        let seen = logons.sandbox(["C1"].into_iter()).unwrap();
        assert_eq!(seen, Seen::Hidden { writer: std::process::id().to_string() });
        day.close();
        assert_eq!(logons.sandbox(["C1"].into_iter()).unwrap(), Seen::Another);
    }
}
