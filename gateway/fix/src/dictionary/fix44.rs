//! FIX 4.4 (FIX Protocol Limited, version 4.4 with errata 20030618).
//!
//! Fields and code sets: specification volume 6. Header, trailer and session messages: volume 2. Order
//! messages: volume 4. The fields of every message of an order session are listed; types of other business
//! areas are listed by name.

use super::{Codes, Dictionary, GroupDef, Kind, MessageDef, TagSet, fields, parts};
use crate::message::MsgType;

/// The tables of FIX 4.4.
pub static FIX44: Dictionary = Dictionary {
    begin_string: "FIX.4.4",
    fields: fields(956, UNUSED, KINDS, CODES),
    parts: parts(HEADER, &[93, 89, 10]),
    header_required: &[8, 9, 35, 49, 56, 34, 52],
    messages: MESSAGES,
    groups: GROUPS,
};

/// Tags below 956 that were never used or were withdrawn before 4.4.
const UNUSED: &[u16] = &[
    20, 24, 46, 47, 51, 76, 86, 92, 101, 105, 109, 125, 166, 173, 174, 175, 176, 177, 178, 179,
    180, 181, 182, 183, 184, 185, 186, 187, 204, 205, 219, 261, 314, 319, 370, 439, 440, 449, 450,
    465, 653, 685, 809, 831,
];

/// Data types other than text, for the fields of the messages below.
const KINDS: &[(Kind, &[u16])] = &[
    (
        Kind::Char,
        &[
            13, 21, 29, 39, 40, 54, 59, 63, 77, 81, 94, 150, 156, 206, 317, 385, 388, 434, 442,
            447, 468, 480, 481, 484, 497, 525, 528, 530, 531, 544, 564, 587, 589, 590, 591, 613,
            624,
        ],
    ),
    (
        Kind::Boolean,
        &[
            43, 97, 113, 114, 121, 123, 130, 141, 208, 258, 325, 377, 411, 464, 547, 570, 636, 650,
            797, 852, 912,
        ],
    ),
    (
        Kind::Int,
        &[
            98, 102, 103, 108, 157, 201, 203, 216, 226, 244, 251, 315, 323, 371, 373, 378, 380,
            423, 427, 452, 460, 462, 519, 533, 537, 538, 549, 565, 581, 582, 585, 607, 638, 660,
            661, 663, 668, 690, 694, 698, 775, 788, 803, 805, 827, 835, 836, 837, 838, 840, 841,
            842, 843, 844, 846, 847, 851, 854, 865, 871, 875, 891, 911, 919,
        ],
    ),
    (
        Kind::Count,
        &[
            // SeqNum
            7, 16, 34, 36, 45, 369, 630, 789, // Length
            9, 90, 93, 95, 212, 348, 350, 352, 354, 356, 358, 360, 362, 364, 383, 445, 618, 621,
            // NumInGroup
            33, 73, 78, 136, 146, 215, 232, 382, 384, 386, 453, 454, 457, 518, 534, 539, 555, 604,
            627, 683, 711, 768, 802, 804, 864, 870, 887,
        ],
    ),
    (
        Kind::Float,
        &[
            // Price
            6, 31, 44, 99, 132, 133, 140, 188, 190, 194, 202, 260, 270, 316, 332, 333, 426, 566,
            612, 631, 637, 640, 651, 662, 669, 697, 810, 839, 845, 867, 882, 883, // Amt
            12, 118, 119, 137, 154, 159, 237, 238, 381, 396, 397, 540, 737, 738, 741, 742, 884,
            885, 886, 890, 920, 921, 922, // Qty
            14, 32, 38, 53, 80, 84, 110, 111, 134, 135, 151, 152, 192, 210, 271, 330, 331, 387,
            424, 425, 437, 561, 562, 652, 687, 863, 879, // PriceOffset
            189, 191, 195, 218, 639, 641, // float and Percentage
            155, 211, 228, 231, 246, 253, 389, 436, 485, 520, 614, 623, 811, 850, 158, 223, 227,
            236, 245, 252, 435, 469, 516, 615, 849, 869, 898,
        ],
    ),
    (
        Kind::Timestamp,
        &[42, 52, 60, 62, 122, 126, 168, 341, 342, 367, 438, 443, 483, 515, 586, 629, 769, 779],
    ),
    (Kind::Time, &[273]),
    (
        Kind::Date,
        &[
            64, 75, 193, 224, 225, 229, 230, 240, 241, 242, 247, 248, 249, 254, 259, 272, 432, 541,
            542, 588, 611, 696, 701, 715, 739, 743, 866, 873, 874, 915, 916, 917, 956,
        ],
    ),
    (Kind::MonthYear, &[200, 313, 610, 667, 955]),
    (Kind::Currency, &[15, 120, 138, 220, 318, 479, 521, 556, 736, 918, 941, 942, 947]),
    (Kind::Country, &[421, 470, 592, 596]),
    (Kind::MultipleValue, &[18, 529]),
    (Kind::Data, &[89, 91, 96, 213, 349, 351, 353, 355, 357, 359, 361, 363, 365, 446, 619, 622]),
];

const CODES: &[(u16, Codes)] = &[
    (13, Codes::chars("123456")),
    (18, Codes::chars("0123456789ABCDEFGHIJKLMNOPQRSUVWXYZabcde")),
    (21, Codes::chars("123")),
    (22, Codes::chars("123456789ABCDEFGHIJ")),
    (29, Codes::chars("1234")),
    (39, Codes::chars("012346789ABCDE")),
    (40, Codes::chars("12346789DEGIJKLMP")),
    (54, Codes::chars("123456789ABCDEFG")),
    (59, Codes::chars("01234567")),
    (63, Codes::chars("0123456789")),
    (77, Codes::chars("OCRF")),
    (81, Codes::chars("0123456")),
    (94, Codes::chars("012")),
    (98, Codes::numbers(0, 6, &[])),
    (102, Codes::numbers(0, 6, &[99])),
    (103, Codes::numbers(0, 11, &[13, 14, 15, 99])),
    // L, triggered, came with extension pack 28 and is what venues report for stop orders.
    (150, Codes::chars("03456789ABCDEFGHIL")),
    (156, Codes::chars("MD")),
    (167, Codes::Words(SECURITY_TYPES)),
    (201, Codes::numbers(0, 1, &[])),
    (203, Codes::numbers(0, 1, &[])),
    (216, Codes::numbers(1, 4, &[])),
    (323, Codes::numbers(1, 2, &[5, 6])),
    (373, Codes::numbers(0, 17, &[99])),
    (378, Codes::numbers(0, 10, &[99])),
    // 8 and 9 are throttle codes of extension pack 116, which is offered for every version.
    (380, Codes::numbers(0, 9, &[99])),
    (385, Codes::chars("SR")),
    (388, Codes::chars("0123456")),
    (423, Codes::numbers(1, 11, &[])),
    (427, Codes::numbers(0, 2, &[])),
    (434, Codes::chars("12")),
    (442, Codes::chars("123")),
    (447, Codes::chars("BCDEFGHI123456789A")),
    (452, Codes::numbers(1, 22, &PARTY_ROLES_HIGH)),
    (460, Codes::numbers(1, 13, &[])),
    (468, Codes::chars("012")),
    (480, Codes::chars("YNMO")),
    (481, Codes::chars("YN123")),
    (484, Codes::chars("BCDEOPQS")),
    (497, Codes::chars("YN")),
    (519, Codes::numbers(1, 15, &[])),
    (528, Codes::chars("AGIPRW")),
    (529, Codes::chars("123456789A")),
    (530, Codes::chars("1234567")),
    (531, Codes::chars("01234567")),
    (532, Codes::numbers(0, 6, &[99])),
    (544, Codes::chars("123")),
    (549, Codes::numbers(1, 4, &[])),
    (581, Codes::numbers(1, 4, &[6, 7, 8])),
    (582, Codes::numbers(1, 4, &[])),
    (585, Codes::numbers(1, 8, &[])),
    (589, Codes::chars("012")),
    (590, Codes::chars("012")),
    (591, Codes::chars("01")),
    (635, Codes::chars("BCEFHILM123459")),
    (638, Codes::numbers(0, 1, &[])),
    (660, Codes::numbers(1, 5, &[99])),
    (668, Codes::numbers(1, 2, &[])),
    (690, Codes::numbers(1, 2, &[4, 5])),
    (775, Codes::numbers(0, 2, &[])),
    (788, Codes::numbers(1, 4, &[])),
    (803, Codes::numbers(1, 26, &[])),
    (827, Codes::numbers(0, 1, &[])),
    (835, Codes::numbers(0, 1, &[])),
    (836, Codes::numbers(0, 3, &[])),
    (837, Codes::numbers(0, 2, &[])),
    (838, Codes::numbers(1, 2, &[])),
    (840, Codes::numbers(1, 4, &[])),
    (841, Codes::numbers(0, 1, &[])),
    (842, Codes::numbers(0, 3, &[])),
    (843, Codes::numbers(0, 2, &[])),
    (844, Codes::numbers(1, 2, &[])),
    (846, Codes::numbers(1, 4, &[])),
    (847, Codes::numbers(1, 3, &[])),
    (851, Codes::numbers(1, 3, &[])),
    (854, Codes::numbers(0, 1, &[])),
    (865, Codes::numbers(1, 4, &[99])),
    (871, Codes::numbers(1, 22, &[99])),
    (875, Codes::numbers(1, 2, &[99])),
    (891, Codes::numbers(0, 2, &[])),
    (919, Codes::numbers(0, 3, &[])),
];

/// PartyRole(452) from 24 on; 23 was never given.
const PARTY_ROLES_HIGH: [u8; 15] = [24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38];

/// SecurityType(167), by product: agency, corporate, currency, equity, government, financing, loan, money
/// market, mortgage, municipal, other.
const SECURITY_TYPES: &[&str] = &[
    "EUSUPRA",
    "FAC",
    "FADN",
    "PEF",
    "SUPRA",
    "CORP",
    "CPP",
    "CB",
    "DUAL",
    "EUCORP",
    "XLINKD",
    "STRUCT",
    "YANK",
    "FOR",
    "CS",
    "PS",
    "WAR",
    "BRADY",
    "EUSOV",
    "TBOND",
    "TINT",
    "TIPS",
    "TCAL",
    "TPRN",
    "UST",
    "USTB",
    "TNOTE",
    "TBILL",
    "REPO",
    "FORWARD",
    "BUYSELL",
    "SECLOAN",
    "SECPLEDGE",
    "TERM",
    "RVLV",
    "RVLVTRM",
    "BRIDGE",
    "LOFC",
    "SWING",
    "DINP",
    "DEFLTED",
    "WITHDRN",
    "REPLACD",
    "MATURED",
    "AMENDED",
    "RETIRED",
    "BA",
    "BN",
    "BOX",
    "CD",
    "CL",
    "CP",
    "DN",
    "EUCD",
    "EUCP",
    "LQN",
    "MTN",
    "ONITE",
    "PN",
    "PZFJ",
    "STN",
    "TD",
    "XCN",
    "YCD",
    "ABS",
    "CMBS",
    "CMO",
    "IET",
    "MBS",
    "MIO",
    "MPO",
    "MPP",
    "MPT",
    "PFAND",
    "TBA",
    "AN",
    "COFO",
    "COFP",
    "GO",
    "MT",
    "RAN",
    "REV",
    "SPCLA",
    "SPCLO",
    "SPCLT",
    "TAN",
    "TAXA",
    "TECP",
    "TRAN",
    "VRDN",
    "MF",
    "MLEG",
    "NONE",
    "FUT",
    "OPT",
];

const HEADER: &[u16] = &[
    8, 9, 35, 49, 56, 115, 128, 90, 91, 34, 50, 142, 57, 143, 116, 144, 129, 145, 43, 97, 52, 122,
    212, 213, 347, 369, 627, 628, 629, 630,
];

const ENCODED_TEXT: &[u16] = &[58, 354, 355];

const PARTIES: &[u16] = &[453, 448, 447, 452, 802, 523, 803];

const INSTRUMENT: &[u16] = &[
    55, 65, 48, 22, 454, 455, 456, 460, 461, 167, 762, 200, 541, 201, 224, 225, 239, 226, 227, 228,
    255, 543, 470, 471, 472, 240, 202, 947, 206, 231, 223, 207, 106, 348, 349, 107, 350, 351, 691,
    667, 875, 876, 864, 865, 866, 867, 868, 873, 874,
];

/// Members of the group of underlyings; an Underlying Instrument block without its count.
const UNDERLYING: &[u16] = &[
    311, 312, 309, 305, 457, 462, 463, 310, 763, 313, 542, 315, 241, 242, 243, 244, 245, 246, 256,
    595, 592, 593, 594, 247, 316, 941, 317, 436, 435, 308, 306, 362, 363, 307, 364, 365, 877, 878,
    318, 879, 810, 882, 883, 884, 885, 886, 887,
];

/// What the groups inside an underlying hold.
const UNDERLYING_INNER: &[u16] = &[458, 459, 888, 889];

const UNDERLYING_COUNT: &[u16] = &[711];

const LEG: &[u16] = &[
    600, 601, 602, 603, 604, 607, 608, 609, 764, 610, 611, 248, 249, 250, 251, 252, 253, 257, 599,
    596, 597, 598, 254, 612, 942, 613, 614, 615, 616, 617, 618, 619, 620, 621, 622, 623, 624, 556,
    740, 739, 955, 956, 687, 690, 683, 564, 565, 539, 654, 566, 587, 588, 637,
];

/// What the groups inside a leg hold, nested parties included.
const LEG_INNER: &[u16] = &[605, 606, 688, 689, 524, 525, 538, 804, 545, 805];

const FINANCING: &[u16] = &[913, 914, 915, 918, 788, 916, 917, 919, 898];

const ORDER_QTY: &[u16] = &[38, 152, 516, 468, 469];

const STIPULATIONS: &[u16] = &[232, 233, 234];

const SPREAD_YIELD: &[u16] =
    &[218, 220, 221, 222, 662, 663, 699, 761, 235, 236, 701, 696, 697, 698];

const PEG_DISCRETION: &[u16] = &[211, 835, 836, 837, 838, 840, 388, 389, 841, 842, 843, 844, 846];

const STRATEGY: &[u16] = &[847, 848, 849];

const COMMISSION: &[u16] = &[12, 13, 479, 497];

/// What NewOrderSingle and OrderCancelReplaceRequest have in common.
const ORDER: &[u16] = &[
    11, 526, 583, 229, 75, 1, 660, 581, 589, 590, 591, 70, 78, 79, 661, 736, 467, 539, 524, 525,
    538, 804, 545, 805, 80, 63, 64, 544, 635, 21, 18, 110, 111, 100, 386, 336, 625, 54, 60, 854,
    40, 423, 44, 99, 15, 376, 377, 59, 168, 432, 126, 427, 528, 529, 582, 121, 120, 775, 193, 192,
    640, 77, 203, 210, 480, 481, 513, 494, 114,
];

const GROUPS: &[GroupDef] = &[
    GroupDef { count: 33, members: ENCODED_TEXT },
    GroupDef { count: 78, members: &[79, 661, 736, 467, 539, 80] },
    GroupDef { count: 136, members: &[137, 138, 139, 891] },
    GroupDef { count: 146, members: INSTRUMENT },
    GroupDef { count: 215, members: &[216, 217] },
    GroupDef { count: 232, members: STIPULATIONS_MEMBERS },
    GroupDef { count: 382, members: &[375, 337, 437, 438, 655] },
    GroupDef { count: 384, members: &[372, 385] },
    GroupDef { count: 386, members: &[336, 625] },
    GroupDef { count: 453, members: &[448, 447, 452, 802] },
    GroupDef { count: 454, members: &[455, 456] },
    GroupDef { count: 457, members: &[458, 459] },
    GroupDef { count: 518, members: &[519, 520, 521] },
    GroupDef { count: 534, members: &[41, 535, 536] },
    GroupDef { count: 539, members: &[524, 525, 538, 804] },
    GroupDef { count: 555, members: LEG },
    GroupDef { count: 604, members: &[605, 606] },
    GroupDef { count: 627, members: &[628, 629, 630] },
    GroupDef { count: 683, members: &[688, 689] },
    GroupDef { count: 711, members: UNDERLYING },
    GroupDef { count: 802, members: &[523, 803] },
    GroupDef { count: 804, members: &[545, 805] },
    GroupDef { count: 864, members: &[865, 866, 867, 868] },
    GroupDef { count: 870, members: &[871, 872] },
    GroupDef { count: 887, members: &[888, 889] },
];

const STIPULATIONS_MEMBERS: &[u16] = &[233, 234];

const fn message(
    msg_type: &str,
    name: &'static str,
    required: &'static [u16],
    blocks: &[&[u16]],
) -> MessageDef {
    let body = Some(TagSet::of(blocks));
    MessageDef { msg_type: MsgType::of(msg_type.as_bytes()), name, required, body }
}

const fn known(msg_type: &str, name: &'static str) -> MessageDef {
    MessageDef { msg_type: MsgType::of(msg_type.as_bytes()), name, required: &[], body: None }
}

/// All types of FIX 4.4, the busiest first.
const MESSAGES: &[MessageDef] = &[
    message(
        "D",
        "NewOrderSingle",
        &[11, 54, 60, 40],
        &[
            ORDER,
            PARTIES,
            INSTRUMENT,
            FINANCING,
            UNDERLYING_COUNT,
            UNDERLYING,
            UNDERLYING_INNER,
            ORDER_QTY,
            STIPULATIONS,
            SPREAD_YIELD,
            PEG_DISCRETION,
            STRATEGY,
            COMMISSION,
            ENCODED_TEXT,
            &[81, 140, 23, 117, 65, 106, 107],
        ],
    ),
    message(
        "F",
        "OrderCancelRequest",
        &[41, 11, 54, 60],
        &[
            &[41, 37, 11, 526, 583, 586, 1, 660, 581, 54, 60, 376],
            PARTIES,
            INSTRUMENT,
            FINANCING,
            UNDERLYING_COUNT,
            UNDERLYING,
            UNDERLYING_INNER,
            ORDER_QTY,
            ENCODED_TEXT,
            &[66],
        ],
    ),
    message(
        "G",
        "OrderCancelReplaceRequest",
        &[41, 11, 54, 60, 40],
        &[
            ORDER,
            &[37, 41, 586, 66],
            PARTIES,
            INSTRUMENT,
            FINANCING,
            UNDERLYING_COUNT,
            UNDERLYING,
            UNDERLYING_INNER,
            ORDER_QTY,
            SPREAD_YIELD,
            PEG_DISCRETION,
            STRATEGY,
            COMMISSION,
            ENCODED_TEXT,
        ],
    ),
    message(
        "8",
        "ExecutionReport",
        &[37, 17, 150, 39, 54, 151, 14, 6],
        &[
            ORDER_STATE,
            PARTIES,
            INSTRUMENT,
            FINANCING,
            UNDERLYING_COUNT,
            UNDERLYING,
            UNDERLYING_INNER,
            &[555],
            LEG,
            LEG_INNER,
            ORDER_QTY,
            STIPULATIONS,
            SPREAD_YIELD,
            PEG_DISCRETION,
            STRATEGY,
            COMMISSION,
            ENCODED_TEXT,
        ],
    ),
    message(
        "9",
        "OrderCancelReject",
        &[37, 11, 41, 39, 434],
        &[
            &[37, 198, 526, 11, 583, 41, 39, 636, 586, 66, 1, 660, 581, 229, 75, 60, 434, 102],
            ENCODED_TEXT,
        ],
    ),
    message("0", "Heartbeat", &[], &[&[112]]),
    message("1", "TestRequest", &[112], &[&[112]]),
    message("2", "ResendRequest", &[7, 16], &[&[7, 16]]),
    message("3", "Reject", &[45], &[&[45, 371, 372, 373], ENCODED_TEXT]),
    message("4", "SequenceReset", &[36], &[&[123, 36]]),
    message("5", "Logout", &[], &[ENCODED_TEXT]),
    message(
        "A",
        "Logon",
        &[98, 108],
        &[&[98, 108, 95, 96, 141, 789, 383, 384, 372, 385, 464, 553, 554]],
    ),
    message(
        "H",
        "OrderStatusRequest",
        &[11, 54],
        &[
            &[37, 11, 526, 583, 790, 1, 660, 54],
            PARTIES,
            INSTRUMENT,
            FINANCING,
            UNDERLYING_COUNT,
            UNDERLYING,
            UNDERLYING_INNER,
        ],
    ),
    message("j", "BusinessMessageReject", &[372, 380], &[&[45, 372, 379, 380], ENCODED_TEXT]),
    message(
        "q",
        "OrderMassCancelRequest",
        &[11, 530, 60],
        &[
            &[11, 526, 530, 336, 625, 54, 60],
            INSTRUMENT,
            UNDERLYING,
            UNDERLYING_INNER,
            ENCODED_TEXT,
        ],
    ),
    message(
        "r",
        "OrderMassCancelReport",
        &[37, 530, 531],
        &[
            &[11, 526, 37, 198, 530, 531, 532, 533, 534, 41, 535, 536, 336, 625, 54, 60],
            INSTRUMENT,
            UNDERLYING,
            UNDERLYING_INNER,
            ENCODED_TEXT,
        ],
    ),
    message(
        "AF",
        "OrderMassStatusRequest",
        &[584, 585],
        &[&[584, 585, 1, 660, 336, 625, 54], PARTIES, INSTRUMENT, UNDERLYING, UNDERLYING_INNER],
    ),
    message(
        "d",
        "SecurityDefinition",
        &[320, 322, 323],
        &[
            &[320, 322, 323, 15, 336, 625, 827, 561, 562, 668, 869, 870, 871, 872],
            INSTRUMENT,
            UNDERLYING_COUNT,
            UNDERLYING,
            UNDERLYING_INNER,
            &[555],
            LEG_DEFINITION,
            ENCODED_TEXT,
        ],
    ),
    message(
        "C",
        "Email",
        &[164, 94, 147, 33],
        &[
            &[164, 94, 42, 147, 356, 357, 215, 216, 217, 146, 37, 11, 33, 95, 96],
            INSTRUMENT,
            UNDERLYING_COUNT,
            UNDERLYING,
            UNDERLYING_INNER,
            &[555],
            LEG_DEFINITION,
            ENCODED_TEXT,
        ],
    ),
    known("6", "IOI"),
    known("7", "Advertisement"),
    known("B", "News"),
    known("E", "NewOrderList"),
    known("J", "AllocationInstruction"),
    known("K", "ListCancelRequest"),
    known("L", "ListExecute"),
    known("M", "ListStatusRequest"),
    known("N", "ListStatus"),
    known("P", "AllocationInstructionAck"),
    known("Q", "DontKnowTrade"),
    known("R", "QuoteRequest"),
    known("S", "Quote"),
    known("T", "SettlementInstructions"),
    known("V", "MarketDataRequest"),
    known("W", "MarketDataSnapshotFullRefresh"),
    known("X", "MarketDataIncrementalRefresh"),
    known("Y", "MarketDataRequestReject"),
    known("Z", "QuoteCancel"),
    known("a", "QuoteStatusRequest"),
    known("b", "MassQuoteAcknowledgement"),
    known("c", "SecurityDefinitionRequest"),
    known("e", "SecurityStatusRequest"),
    known("f", "SecurityStatus"),
    known("g", "TradingSessionStatusRequest"),
    known("h", "TradingSessionStatus"),
    known("i", "MassQuote"),
    known("k", "BidRequest"),
    known("l", "BidResponse"),
    known("m", "ListStrikePrice"),
    known("n", "XMLnonFIX"),
    known("o", "RegistrationInstructions"),
    known("p", "RegistrationInstructionsResponse"),
    known("s", "NewOrderCross"),
    known("t", "CrossOrderCancelReplaceRequest"),
    known("u", "CrossOrderCancelRequest"),
    known("v", "SecurityTypeRequest"),
    known("w", "SecurityTypes"),
    known("x", "SecurityListRequest"),
    known("y", "SecurityList"),
    known("z", "DerivativeSecurityListRequest"),
    known("AA", "DerivativeSecurityList"),
    known("AB", "NewOrderMultileg"),
    known("AC", "MultilegOrderCancelReplace"),
    known("AD", "TradeCaptureReportRequest"),
    known("AE", "TradeCaptureReport"),
    known("AG", "QuoteRequestReject"),
    known("AH", "RFQRequest"),
    known("AI", "QuoteStatusReport"),
    known("AJ", "QuoteResponse"),
    known("AK", "Confirmation"),
    known("AL", "PositionMaintenanceRequest"),
    known("AM", "PositionMaintenanceReport"),
    known("AN", "RequestForPositions"),
    known("AO", "RequestForPositionsAck"),
    known("AP", "PositionReport"),
    known("AQ", "TradeCaptureReportRequestAck"),
    known("AR", "TradeCaptureReportAck"),
    known("AS", "AllocationReport"),
    known("AT", "AllocationReportAck"),
    known("AU", "ConfirmationAck"),
    known("AV", "SettlementInstructionRequest"),
    known("AW", "AssignmentReport"),
    known("AX", "CollateralRequest"),
    known("AY", "CollateralAssignment"),
    known("AZ", "CollateralResponse"),
    known("BA", "CollateralReport"),
    known("BB", "CollateralInquiry"),
    known("BC", "NetworkCounterpartySystemStatusRequest"),
    known("BD", "NetworkCounterpartySystemStatusResponse"),
    known("BE", "UserRequest"),
    known("BF", "UserResponse"),
    known("BG", "CollateralInquiryAck"),
    known("BH", "ConfirmationRequest"),
];

/// The fields of an ExecutionReport that no shared block holds.
const ORDER_STATE: &[u16] = &[
    37, 198, 526, 527, 11, 583, 41, 693, 790, 584, 911, 912, 229, 75, 382, 375, 337, 437, 438, 655,
    66, 548, 551, 549, 17, 19, 150, 39, 636, 103, 378, 1, 660, 581, 589, 590, 591, 63, 64, 54, 40,
    423, 44, 99, 839, 845, 850, 15, 376, 377, 59, 168, 432, 126, 18, 528, 529, 582, 32, 652, 31,
    651, 669, 194, 195, 30, 336, 625, 29, 851, 151, 14, 6, 424, 425, 426, 427, 60, 113, 119, 120,
    155, 156, 118, 157, 158, 159, 230, 236, 237, 238, 738, 920, 921, 922, 258, 259, 260, 381, 442,
    797, 136, 137, 138, 139, 891, 775, 210, 110, 111, 77, 21, 192, 193, 483, 513, 515, 484, 485,
    494, 480, 481, 518, 519, 520, 521, 638, 639, 641, 635, 854, 847, 544, 943,
];

/// A leg of a definition, which has neither quantity nor parties.
const LEG_DEFINITION: &[u16] = &[
    600, 601, 602, 603, 604, 605, 606, 607, 608, 609, 764, 610, 611, 248, 249, 250, 251, 252, 253,
    257, 599, 596, 597, 598, 254, 612, 942, 613, 614, 615, 616, 617, 618, 619, 620, 621, 622, 623,
    624, 556, 740, 739, 955, 956,
];
