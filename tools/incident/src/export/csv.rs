//! Rows as comma-separated values (RFC 4180).

use std::io::Write as _;

use ironbook_fix::field::{
    DECIMAL_TEXT_MAX, Precision, TIMESTAMP_TEXT_MAX, TimestampText, write_decimal,
};
use ironbook_journal::Frame;

use super::{
    Form, Out,
    row::{COLUMNS, Cell, Rows},
};
use crate::Fault;

/// Makes lines. Times are UTC to the nanosecond; what a frame has not is empty.
pub(super) struct Csv {
    rows: Rows,
    time: TimestampText,
}

impl Csv {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows, time: TimestampText::new(Precision::Nanos) }
    }
}

impl Form for Csv {
    fn begin(&mut self, out: &mut Out) -> Result<(), Fault> {
        let names = COLUMNS.map(|(name, _)| name).join(",");
        out.bytes.extend_from_slice(names.as_bytes());
        out.bytes.push(b'\n');
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Out) -> Result<(), Fault> {
        if !wanted {
            return Ok(());
        }
        let Self { rows, time } = self;
        rows.show(frame, |cells| {
            for (number, cell) in cells.iter().enumerate() {
                if number > 0 {
                    out.bytes.push(b',');
                }
                write_cell(cell, time, &mut out.bytes);
            }
        });
        out.bytes.push(b'\n');
        out.lines += 1;
        Ok(())
    }
}

fn write_cell(cell: &Cell<'_>, time: &mut TimestampText, out: &mut Vec<u8>) {
    match cell {
        Cell::Nothing => {}
        Cell::Number(number) => drop(write!(out, "{number}")),
        Cell::Time(time_ns) => {
            let mut text = [0; TIMESTAMP_TEXT_MAX];
            let length = time.write(&mut text, *time_ns);
            // 20260302-14:30:00.000000001 as RFC 3339 has it.
            let parts = [&text[..4], b"-", &text[4..6], b"-", &text[6..8], b"T", &text[9..length]];
            parts.iter().for_each(|part| out.extend_from_slice(part));
            out.push(b'Z');
        }
        Cell::Text(text) => quote(text, out),
        Cell::Code(code) => drop(write!(out, "{code:?}")),
        Cell::Decimal(decimal) => {
            let mut text = [0; DECIMAL_TEXT_MAX];
            let length = write_decimal(&mut text, *decimal);
            out.extend_from_slice(&text[..length]);
        }
    }
}

/// Text of a client, in quotes where it has what separates cells.
fn quote(text: &[u8], out: &mut Vec<u8>) {
    if !text.iter().any(|byte| b",\"\n\r".contains(byte)) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    for &byte in text {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
