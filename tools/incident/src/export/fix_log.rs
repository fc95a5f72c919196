//! Messages to and from clients, a line each.

use ironbook_journal::Frame;

use super::{Form, Out, fix::Messages};
use crate::{Fault, text::utc};

/// Makes lines: when, the sequence, which way, the message with `|` for SOH.
pub(super) struct FixLog(pub Messages);

impl Form for FixLog {
    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Out) -> Result<(), Fault> {
        self.0.take(frame, wanted, &mut |sent| {
            let way = if sent.to_client { '>' } else { '<' };
            let place = format!("{} {} {way} ", utc(sent.time_ns), sent.sequence);
            out.bytes.extend_from_slice(place.as_bytes());
            out.bytes.extend(sent.bytes.iter().map(|&byte| if byte == 1 { b'|' } else { byte }));
            out.bytes.push(b'\n');
            out.lines += 1;
        })
    }
}
