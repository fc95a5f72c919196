//! Messages to and from clients as packets: what a capture at the venue's port would show, as far as the
//! journal tells. A packet is an IPv4 header, a TCP header and bytes of a message; there is no frame of a
//! network below (link type RAW).
//!
//! ```text
//! venue    192.0.2.1, port 9878
//! clients  10.0.0.0 + session, port 49,152 + session mod 16,384
//! ```
//!
//! Each session is one connection, whatever it lost on the way, that was there before the first packet: no
//! connection is opened or closed. Each end has acknowledged all that came before.

use std::collections::HashMap;

use ironbook_engine::{EngineLimits, SessionId};
use ironbook_journal::Frame;

use super::{
    Form, Out,
    fix::{Messages, Sent},
};
use crate::Fault;

/// First word of a file whose times are in nanoseconds, in the byte order of the file.
const MAGIC: u32 = 0xa1b2_3c4d;
/// Version of the format.
const VERSION: [u16; 2] = [2, 4];
/// Most bytes of a packet: all that IPv4 allows.
const PACKET_MAX: u32 = u16::MAX as u32;
/// Packets begin with an IP header.
const LINK_TYPE_RAW: u32 = 101;

/// Bytes of an IPv4 header, and of a TCP header, without options.
const HEADER: usize = 20;
/// Most bytes of a message in one packet.
const SEGMENT_MAX: usize = PACKET_MAX as usize - 2 * HEADER;
/// TCP among the protocols over IP.
const PROTOCOL_TCP: u8 = 6;
/// How many hops a packet may go.
const TTL: u8 = 64;
/// PSH and ACK.
const FLAGS: u8 = 0x18;
/// Bytes that an end is ready to take: as many as can be said.
const WINDOW: u16 = u16::MAX;
/// The first byte of a connection that has been sent, and the same of the other way.
const SEQUENCE_FIRST: u32 = 1;

/// Address of the venue: of those that are for documentation.
const VENUE_ADDRESS: u32 = u32::from_be_bytes([192, 0, 2, 1]);
/// Port of the venue: that of its configuration where nothing is said.
const VENUE_PORT: u16 = 9_878;
/// Address of session 0, which is none.
const CLIENT_ADDRESS: u32 = u32::from_be_bytes([10, 0, 0, 0]);
/// First of the ports that clients have.
const CLIENT_PORT: u16 = 49_152;
/// Ports that clients have.
const CLIENT_PORTS: u32 = 16_384;

// Sessions are told apart by their addresses.
const _: () = assert!(EngineLimits::PARTIES_MAX < 1 << 24);

/// Makes packets.
pub(super) struct Pcap {
    messages: Messages,
    /// The next byte of each session to the venue, and to the client.
    next: HashMap<SessionId, [u32; 2]>,
}

impl Pcap {
    pub(super) fn new(messages: Messages) -> Self {
        Self { messages, next: HashMap::new() }
    }
}

impl Form for Pcap {
    /// ```text
    /// 0 magic u32   4 version 2 x u16   8 zone i32   12 accuracy u32   16 packet max u32   20 link type u32
    /// ```
    fn begin(&mut self, out: &mut Out) -> Result<(), Fault> {
        out.bytes.extend_from_slice(&MAGIC.to_le_bytes());
        VERSION.iter().for_each(|part| out.bytes.extend_from_slice(&part.to_le_bytes()));
        for word in [0, 0, PACKET_MAX, LINK_TYPE_RAW] {
            out.bytes.extend_from_slice(&word.to_le_bytes());
        }
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>, wanted: bool, out: &mut Out) -> Result<(), Fault> {
        let Self { messages, next } = self;
        messages.take(frame, wanted, &mut |sent| {
            let next = next.entry(sent.session).or_insert([SEQUENCE_FIRST; 2]);
            for segment in sent.bytes.chunks(SEGMENT_MAX) {
                packet(sent, segment, next, out);
                out.lines += 1;
            }
        })
    }
}

/// ```text
/// 0 seconds u32   4 nanoseconds u32   8 bytes kept u32   12 bytes u32   16 the packet
/// ```
fn packet(sent: &Sent<'_>, segment: &[u8], next: &mut [u32; 2], out: &mut Out) {
    const NS: u64 = 1_000_000_000;
    let client = sent.session.0;
    let client = (CLIENT_ADDRESS + client, CLIENT_PORT + (client % CLIENT_PORTS) as u16);
    let venue = (VENUE_ADDRESS, VENUE_PORT);
    let (from, to) = if sent.to_client { (venue, client) } else { (client, venue) };
    let way = usize::from(sent.to_client);
    let ip = ip_header(from.0, to.0, HEADER + segment.len());
    let tcp = tcp_header(from, to, [next[way], next[1 - way]], segment);
    next[way] = next[way].wrapping_add(segment.len() as u32);
    let length = (2 * HEADER + segment.len()) as u32;
    for word in [(sent.time_ns / NS) as u32, (sent.time_ns % NS) as u32, length, length] {
        out.bytes.extend_from_slice(&word.to_le_bytes());
    }
    [&ip[..], &tcp, segment].iter().for_each(|part| out.bytes.extend_from_slice(part));
}

/// ```text
/// 0 version, words of header   1 service   2 length u16   4 id u16   6 flags, offset u16 (do not fragment)
/// 8 hops   9 protocol   10 checksum u16   12 from u32   16 to u32
/// ```
fn ip_header(from: u32, to: u32, payload: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&((HEADER + payload) as u16).to_be_bytes());
    header[6] = 0x40;
    (header[8], header[9]) = (TTL, PROTOCOL_TCP);
    header[12..16].copy_from_slice(&from.to_be_bytes());
    header[16..20].copy_from_slice(&to.to_be_bytes());
    let sum = checksum(&[&header]);
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

/// ```text
/// 0 port from u16   2 port to u16   4 sequence u32   8 acknowledged u32   12 words of header, flags
/// 14 window u16   16 checksum u16   18 urgent u16
/// ```
/// The checksum covers addresses, protocol and length too.
fn tcp_header(
    from: (u32, u16),
    to: (u32, u16),
    [sequence, acknowledged]: [u32; 2],
    segment: &[u8],
) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..2].copy_from_slice(&from.1.to_be_bytes());
    header[2..4].copy_from_slice(&to.1.to_be_bytes());
    header[4..8].copy_from_slice(&sequence.to_be_bytes());
    header[8..12].copy_from_slice(&acknowledged.to_be_bytes());
    (header[12], header[13]) = (0x50, FLAGS);
    header[14..16].copy_from_slice(&WINDOW.to_be_bytes());
    let length = ((HEADER + segment.len()) as u16).to_be_bytes();
    let addresses = [from.0.to_be_bytes(), to.0.to_be_bytes()];
    let pseudo = [0, PROTOCOL_TCP, length[0], length[1]];
    let sum = checksum(&[&addresses[0], &addresses[1], &pseudo, &header, segment]);
    header[16..18].copy_from_slice(&sum.to_be_bytes());
    header
}

/// The ones' complement of the ones' complement sum of all words; parts but the last have an even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for word in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
    }
    while sum > u64::from(u16::MAX) {
        sum = (sum & u64::from(u16::MAX)) + (sum >> 16);
    }
    !(sum as u16)
}
