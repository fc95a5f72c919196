//! Bugs planted at the edges of the venue, to show that the oracles would notice.

use clap::ValueEnum as _;
use ironbook_fix::codec::{checksum, checksum_text};
use ironbook_gateway::{random::Random, simulated_network::Interceptor};

/// A bug in what the venue stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Plant {
    /// The disk says that it has synced, and has not
    LostSync,
    /// Now and then the network loses a whole report
    DropReport,
    /// Now and then the network delivers a report twice
    RepeatReport,
    /// Now and then a digit of a report changes, and its checksum with it
    AlterReport,
    /// Now and then an operator is told that something is done, and nobody has heard of it
    FalseAnswer,
    /// The venue does not know of risk limits, throttles and cancel on disconnect
    LooseBounds,
    /// A start opens sessions that were suspended or tripped
    OpeningStart,
    /// Operators are answered before the disk has what they asked for
    HastyAnswer,
}

/// Reports of which one is tampered with.
const REPORTS_PER_BUG: u64 = 200;

impl Plant {
    /// Its name on the command line.
    pub fn name(self) -> String {
        let value = self.to_possible_value().expect("no plant is hidden");
        value.get_name().to_owned()
    }

    /// What does it to messages, if it does.
    pub fn interceptor(self, mut random: Random) -> Option<Interceptor> {
        let tamper: fn(&mut Vec<u8>, &mut Random) = match self {
            Self::LostSync
            | Self::FalseAnswer
            | Self::LooseBounds
            | Self::OpeningStart
            | Self::HastyAnswer => return None,
            Self::DropReport => |message, _| message.clear(),
            Self::RepeatReport => |message, _| message.extend_from_within(..),
            Self::AlterReport => |message, random| {
                let field: &[u8] = random.choose::<&[u8]>(&ALTERED);
                alter(message, field);
            },
        };
        Some(Box::new(move |message| {
            let report = message.windows(6).any(|bytes| bytes == b"\x0135=8\x01");
            if report && random.one_in(REPORTS_PER_BUG) {
                tamper(message, &mut random);
            }
        }))
    }
}

/// What is altered in a report: LeavesQty (151), which all have, or LastPx (31), which trades have.
const ALTERED: [&[u8]; 2] = [b"\x01151=", b"\x0131="];

/// Makes one more of the first digit of a field, or one less of a 9.
fn alter(message: &mut [u8], field: &[u8]) {
    let Some(at) = message.windows(field.len()).position(|bytes| bytes == field) else { return };
    let digit = &mut message[at + field.len()];
    *digit = if *digit == b'9' { b'8' } else { *digit + 1 };
    let trailer = message.len() - 7;
    let sum = checksum_text(checksum(&message[..trailer]));
    message[trailer + 3..trailer + 6].copy_from_slice(&sum);
}
