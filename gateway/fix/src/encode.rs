//! Writing messages: fields into a buffer, header before them, checksum after.

use crate::codec::{SOH, TRAILER_LEN, checksum, checksum_text};
use crate::field::{
    DECIMAL_TEXT_MAX, Decimal, INTEGER_TEXT_MAX, MsgSeqNum, TIMESTAMP_TEXT_MAX, TimestampText,
    digits_of, write_decimal, write_u64,
};
use crate::message::MsgType;
use crate::version::{ApplVerId, Version};

/// Most bytes of a field besides the text it carries: tag of up to five digits, `=`, number or time, SOH.
pub const FIELD_MAX: usize = 5 + 1 + TIMESTAMP_TEXT_MAX + 1;

const _: () = assert!(INTEGER_TEXT_MAX <= TIMESTAMP_TEXT_MAX);
const _: () = assert!(DECIMAL_TEXT_MAX <= TIMESTAMP_TEXT_MAX);

/// Writes fields one after another into a buffer that is large enough.
///
/// Tags are given with their `=`, as `b"37="`, so that each is a constant of known length. A buffer that is
/// too small is a bug of the caller and panics.
#[derive(Debug)]
pub struct Writer<'a> {
    /// What is not written yet.
    rest: &'a mut [u8],
    /// Bytes at the start.
    room: usize,
}

impl<'a> Writer<'a> {
    /// A writer from the start of `buf`.
    #[inline]
    #[must_use]
    pub fn new(buf: &'a mut [u8]) -> Self {
        Self { room: buf.len(), rest: buf }
    }

    /// Bytes written so far.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.room - self.rest.len()
    }

    /// Whether nothing is written yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Goes on behind what was written at the start of the rest.
    #[inline]
    fn pass(&mut self, bytes: usize) {
        self.rest = &mut std::mem::take(&mut self.rest)[bytes..];
    }

    /// Constant bytes.
    #[inline]
    pub fn raw<const N: usize>(&mut self, bytes: &[u8; N]) {
        let room = std::mem::take(&mut self.rest).split_first_chunk_mut();
        let (place, rest) = room.expect("room for what is written");
        *place = *bytes;
        self.rest = rest;
    }

    /// Bytes of any length.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        let (place, rest) = std::mem::take(&mut self.rest).split_at_mut(bytes.len());
        place.copy_from_slice(bytes);
        self.rest = rest;
    }

    #[inline]
    fn end(&mut self) {
        self.raw(&[SOH]);
    }

    /// A text field; the value has no SOH inside.
    #[inline]
    pub fn text<const N: usize>(&mut self, tag: &[u8; N], value: &[u8]) {
        debug_assert!(!value.contains(&SOH), "a value never holds the separator");
        self.raw(tag);
        self.bytes(value);
        self.end();
    }

    /// A text field that is left out when there is none or it's empty.
    #[inline]
    pub fn text_if<const N: usize>(&mut self, tag: &[u8; N], value: Option<&[u8]>) {
        if let Some(value) = value
            && !value.is_empty()
        {
            self.text(tag, value);
        }
    }

    /// A field of one character.
    #[inline]
    pub fn char<const N: usize>(&mut self, tag: &[u8; N], value: u8) {
        self.raw(tag);
        self.raw(&[value, SOH]);
    }

    /// A field of an unsigned integer.
    #[inline]
    pub fn number<const N: usize>(&mut self, tag: &[u8; N], value: u64) {
        self.raw(tag);
        let written = write_u64(self.rest, value);
        self.pass(written);
        self.end();
    }

    /// A price, a quantity or an amount.
    #[inline]
    pub fn decimal<const N: usize>(&mut self, tag: &[u8; N], value: Decimal) {
        self.raw(tag);
        let written = write_decimal(self.rest, value);
        self.pass(written);
        self.end();
    }

    /// A price, a quantity or an amount that is left out when there is none.
    #[inline]
    pub fn decimal_if<const N: usize>(&mut self, tag: &[u8; N], value: Option<Decimal>) {
        if let Some(value) = value {
            self.decimal(tag, value);
        }
    }

    /// A UTCTimestamp, given in nanoseconds since the Unix epoch.
    #[inline]
    pub fn time<const N: usize>(&mut self, tag: &[u8; N], time_ns: u64, text: &mut TimestampText) {
        self.raw(tag);
        let written = text.write(self.rest, time_ns);
        self.pass(written);
        self.end();
    }
}

/// Bytes of texts together, for [`Body::len_max`].
#[inline]
pub(crate) fn text_len(texts: &[Option<&[u8]>]) -> usize {
    texts.iter().map(|text| text.map_or(0, <[u8]>::len)).sum()
}

/// The fields after the header of a message, in the order they are sent.
pub trait Body {
    /// MsgType(35)
    const MSG_TYPE: MsgType;

    /// The first version that has this type.
    const SINCE: ApplVerId = ApplVerId::Fix40;

    /// An upper bound of the bytes [`Body::write`] writes.
    fn len_max(&self) -> usize;

    /// Writes the fields as a version has them, at the earliest [`Body::SINCE`].
    fn write(&self, out: &mut Writer<'_>, text: &mut TimestampText, version: ApplVerId);

    /// Appends the fields to `out`.
    fn encode_body(&self, out: &mut Vec<u8>, text: &mut TimestampText, version: ApplVerId) {
        let start = out.len();
        out.resize(start + self.len_max(), 0);
        let mut writer = Writer::new(&mut out[start..]);
        self.write(&mut writer, text, version);
        let written = writer.len();
        out.truncate(start + written);
    }
}

/// Bytes the body length is given at first; nearly every message has 100 to 999 bytes after BodyLength(9).
const LENGTH_DIGITS: usize = 3;

/// Room in which messages are written whose bounds fit; an ExecutionReport needs 1,700 bytes at the most. Room at
/// the end of the output would be filled with zeros first for each message.
const ROOM: usize = 2_048;

/// The constant parts of every message one session sends, and the clock text of its SendingTime(52).
#[derive(Debug, Clone)]
pub struct Encoder {
    /// What typed messages are written in.
    version: ApplVerId,
    /// `8=FIX.4.4|9=`
    begin: Box<[u8]>,
    /// `49=SENDER|52=`: SenderCompID stands before SendingTime.
    sender: Box<[u8]>,
    /// `56=TARGET|`
    target: Box<[u8]>,
    /// LastMsgSeqNumProcessed(369), where the header says it.
    pub last_processed: Option<MsgSeqNum>,
    /// The text of SendingTime.
    pub time: TimestampText,
    room: Box<[u8; ROOM]>,
}

/// What makes a message a repetition: PossDupFlag(43) and OrigSendingTime(122).
#[derive(Debug, Clone, Copy)]
struct Repetition {
    orig_sending_time_ns: u64,
}

impl Encoder {
    /// Precomputes what doesn't change.
    #[must_use]
    pub fn new(version: Version, sender: &str, target: &str, time: TimestampText) -> Self {
        let boxed = |text: String| text.into_bytes().into_boxed_slice();
        Self {
            version: version.application,
            begin: boxed(format!("8={}\x019=", version.begin_string())),
            sender: boxed(format!("49={sender}\x0152=")),
            target: boxed(format!("56={target}\x01")),
            last_processed: None,
            time,
            room: Box::new([0; ROOM]),
        }
    }

    /// An upper bound of header and trailer together.
    #[must_use]
    pub fn envelope_max(&self) -> usize {
        // 9=, 35=, 34=, 43=, 52=, 122=, 369=, 10= besides the constants.
        self.begin.len() + self.sender.len() + self.target.len() + 8 * FIELD_MAX + TRAILER_LEN
    }

    /// Appends a message whose body is already written.
    pub fn message(
        &mut self,
        seq: MsgSeqNum,
        sending_time_ns: u64,
        msg_type: MsgType,
        body: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.wrap(seq, sending_time_ns, msg_type, None, body.len(), out, |writer, _| {
            writer.bytes(body);
        });
    }

    /// Appends a message, writing its body in the same pass.
    #[inline]
    pub fn typed<B: Body>(
        &mut self,
        seq: MsgSeqNum,
        sending_time_ns: u64,
        body: &B,
        out: &mut Vec<u8>,
    ) {
        let version = self.version;
        self.wrap(seq, sending_time_ns, B::MSG_TYPE, None, body.len_max(), out, |writer, text| {
            body.write(writer, text, version);
        });
    }

    /// Appends a message that was sent before: 43=Y and the SendingTime it had then as 122.
    pub fn repeated(
        &mut self,
        seq: MsgSeqNum,
        orig_sending_time_ns: u64,
        sending_time_ns: u64,
        msg_type: MsgType,
        body: &[u8],
        out: &mut Vec<u8>,
    ) {
        let repetition = Some(Repetition { orig_sending_time_ns });
        self.wrap(seq, sending_time_ns, msg_type, repetition, body.len(), out, |writer, _| {
            writer.bytes(body);
        });
    }

    /// [`Encoder::repeated`], writing the body in the same pass.
    pub fn repeated_typed<B: Body>(
        &mut self,
        seq: MsgSeqNum,
        orig_sending_time_ns: u64,
        sending_time_ns: u64,
        body: &B,
        out: &mut Vec<u8>,
    ) {
        let (version, repetition) = (self.version, Some(Repetition { orig_sending_time_ns }));
        let (msg_type, len_max) = (B::MSG_TYPE, body.len_max());
        self.wrap(seq, sending_time_ns, msg_type, repetition, len_max, out, |writer, text| {
            body.write(writer, text, version);
        });
    }

    #[inline]
    #[expect(clippy::too_many_arguments, reason = "the parts of one message, written once")]
    fn wrap(
        &mut self,
        seq: MsgSeqNum,
        sending_time_ns: u64,
        msg_type: MsgType,
        repetition: Option<Repetition>,
        body_max: usize,
        out: &mut Vec<u8>,
        write_body: impl FnOnce(&mut Writer<'_>, &mut TimestampText),
    ) {
        let start = out.len();
        let len_max = self.envelope_max() + body_max;
        let Self { begin, sender, target, last_processed, time, room, .. } = self;
        let is_long = len_max > ROOM;
        let message = if is_long {
            out.resize(start + len_max, 0);
            &mut out[start..]
        } else {
            &mut room[..]
        };
        let mut writer = Writer::new(message);
        writer.bytes(begin);
        let length_at = writer.len();
        writer.raw(b"000\x01");
        let body_at = writer.len();
        writer.text(b"35=", msg_type.text().as_ref());
        writer.number(b"34=", seq.get());
        if repetition.is_some() {
            writer.raw(b"43=Y\x01");
        }
        writer.bytes(sender);
        writer.time(b"", sending_time_ns, time);
        writer.bytes(target);
        if let Some(repetition) = repetition {
            writer.time(b"122=", repetition.orig_sending_time_ns, time);
        }
        if let Some(processed) = last_processed {
            writer.number(b"369=", processed.get());
        }
        write_body(&mut writer, time);
        let end = writer.len();
        let end = write_length(message, length_at, body_at, end);
        let sum = checksum_text(checksum(&message[..end]));
        if is_long {
            out.truncate(start + end);
        } else {
            out.extend_from_slice(&room[..end]);
        }
        out.extend_from_slice(&[b'1', b'0', b'=', sum[0], sum[1], sum[2], SOH]);
    }
}

/// Fills in BodyLength(9), moving the rest when it hasn't three digits; gives the new end of the message.
#[inline]
fn write_length(message: &mut [u8], length_at: usize, body_at: usize, end: usize) -> usize {
    let length = (end - body_at) as u64;
    if let 100..=999 = length {
        let digits = [length / 100, length / 10 % 10, length % 10].map(|digit| b'0' + digit as u8);
        message[length_at..length_at + LENGTH_DIGITS].copy_from_slice(&digits);
        return end;
    }
    let digits = digits_of(length);
    message.copy_within(length_at + LENGTH_DIGITS..end, length_at + digits);
    write_u64(&mut message[length_at..length_at + digits], length);
    end + digits - LENGTH_DIGITS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Framed, frame};
    use crate::field::Precision;

    #[test]
    fn messages_of_every_length_are_framed() {
        let time = TimestampText::new(Precision::Millis);
        let mut encoder = Encoder::new(Version::FIX44, "A", "B", time);
        let mut out = b"before".to_vec();
        for length in (0..1_100).chain([ROOM - 400, ROOM, 2 * ROOM, 12_000]) {
            let body = [b"58=", &vec![b'x'; length][..], b"\x01"].concat();
            out.truncate(6);
            encoder.message(MsgSeqNum::FIRST, 0, MsgType::LOGOUT, &body, &mut out);
            assert_eq!(frame(&out[6..]), Framed::Message { len: out.len() - 6 }, "{length}");
            assert!(out.starts_with(b"before8=FIX") && out[6..out.len() - 7].ends_with(&body));
        }
    }
}
