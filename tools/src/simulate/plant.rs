//! Bugs planted at the edges of the venue, to show that the oracles would notice.

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
}

/// Reports of which one is tampered with.
const REPORTS_PER_BUG: u64 = 200;

impl Plant {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::LostSync => "lost-sync",
            Self::DropReport => "drop-report",
            Self::RepeatReport => "repeat-report",
            Self::AlterReport => "alter-report",
        }
    }

    /// What does it to messages, if it does.
    pub fn interceptor(self, mut random: Random) -> Option<Interceptor> {
        let tamper: fn(&mut Vec<u8>) = match self {
            Self::LostSync => return None,
            Self::DropReport => Vec::clear,
            Self::RepeatReport => |message: &mut Vec<u8>| message.extend_from_within(..),
            Self::AlterReport => |message: &mut Vec<u8>| alter(message),
        };
        Some(Box::new(move |message| {
            let report = message.windows(6).any(|bytes| bytes == b"\x0135=8\x01");
            if report && random.one_in(REPORTS_PER_BUG) {
                tamper(message);
            }
        }))
    }
}

/// Makes one more of LeavesQty (151), or one less of a 9.
fn alter(message: &mut [u8]) {
    let Some(at) = message.windows(5).position(|bytes| bytes == b"\x01151=") else { return };
    let digit = &mut message[at + 5];
    *digit = if *digit == b'9' { b'8' } else { *digit + 1 };
    let trailer = message.len() - 7;
    let sum = checksum_text(checksum(&message[..trailer]));
    message[trailer + 3..trailer + 6].copy_from_slice(&sum);
}
