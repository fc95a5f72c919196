//! What is written is read back with the same crate, and compared with the CSV export.

#[path = "../../incident/tests/common/mod.rs"]
mod common;

use std::{fs::File, io, path::Path};

use common::{AAPL, C1, Script, churn, index, memory_dir, random_day};
use ironbook_engine::{
    ClOrdId, OrdType, Side, TimeInForce, Timestamp,
    command::{NewOrder, OrderTerms, Origin},
};
use ironbook_gateway::random::Random;
use ironbook_incident::{
    Fault,
    export::{COLUMNS, Exported, Format, Kinds, Type, Wanted, export},
    index::Index,
    question::Span,
    text::{signed_decimal, utc},
};
use ironbook_parquet::{DECIMAL_SCALE, GROUP_ROWS};
use parquet::{
    basic::{LogicalType, TimeUnit},
    column::reader::ColumnReader,
    file::reader::{FileReader, SerializedFileReader},
    record::{Field, RowAccessor as _},
};

fn wanted(index: &Index, format: Format, redact: bool) -> Wanted<'static> {
    let span = Span { first: index.first_sequence(), last: index.last_sequence() };
    Wanted { format, span, kinds: Kinds::ALL, symbol: None, redact }
}

fn write(index: &Index, path: &Path, redact: bool) -> Exported {
    let file = File::create(path).unwrap();
    ironbook_parquet::export(index, &wanted(index, Format::Csv, redact), file).unwrap()
}

/// A value as the CSV export has it, but for the decimals of numbers.
fn text(field: &Field) -> String {
    match field {
        Field::Null => String::new(),
        Field::Long(number) => number.to_string(),
        Field::ULong(number) => number.to_string(),
        Field::Str(text) => text.clone(),
        Field::Decimal(of) => {
            assert_eq!((of.precision(), of.scale()), (38, i32::from(DECIMAL_SCALE)));
            let mantissa = i128::from_be_bytes(of.data().try_into().unwrap());
            plain(&signed_decimal(mantissa, DECIMAL_SCALE))
        }
        other => panic!("{other:?}"),
    }
}

/// A decimal without zeros at its end.
fn plain(text: &str) -> String {
    let trimmed = if text.contains('.') { text.trim_end_matches('0') } else { text };
    trimmed.trim_end_matches('.').to_owned()
}

/// Both have the same rows.
fn compare(index: &Index, path: &Path, redact: bool) {
    let mut bytes = Vec::new();
    export(index, &wanted(index, Format::Csv, redact), &mut bytes).unwrap();
    let mut csv = csv::Reader::from_reader(&bytes[..]);
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let time = reader.metadata().file_metadata().schema_descr().column(1);
    assert_eq!(time.logical_type_ref(), Some(&LogicalType::timestamp(true, TimeUnit::NANOS)));
    let by = reader.metadata().file_metadata().created_by();
    assert_eq!(by, Some(concat!("ironbook ", env!("CARGO_PKG_VERSION"))));
    let mut rows = reader.get_row_iter(None).unwrap();
    for record in csv.records() {
        let (record, row) = (record.unwrap(), rows.next().unwrap().unwrap());
        let cells: Vec<_> = row.get_column_iter().collect();
        assert_eq!(cells.len(), COLUMNS.len());
        for (((name, field), expected), column) in cells.iter().zip(&record).zip(COLUMNS) {
            assert_eq!(**name, column.0);
            let is_decimal = matches!(field, Field::Decimal(_));
            let expected = if is_decimal { plain(expected) } else { expected.to_owned() };
            let found = match field {
                // Nanoseconds are read as they are stored.
                Field::Long(time_ns) if column.1 == Type::Time => utc(*time_ns as u64),
                field => text(field),
            };
            assert_eq!(found, expected, "{name} of {record:?}");
        }
    }
    assert!(rows.next().is_none());
}

#[test]
fn it_holds_what_the_csv_export_holds() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::with_segments(&dir, 1 << 20);
    random_day(&mut day, &mut Random::new(3), 1_000);
    day.order((C1, "with,\"quotes\""), AAPL, Side::Buy, (10, 10_000));
    day.close();
    let index = index(&dir);
    let bytes = [("one", true), ("two", true), ("named", false)].map(|(name, redact)| {
        let path = place.path().join(name);
        let exported = write(&index, &path, redact);
        assert_eq!((exported.frames, exported.lines), (index.last_sequence(), exported.frames));
        compare(&index, &path, redact);
        std::fs::read(path).unwrap()
    });
    assert!(bytes[0] == bytes[1] && bytes[0] != bytes[2]);
}

/// A column of texts holds nothing else, whatever a client's names are made of.
#[test]
fn names_that_are_no_text_are_texts() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    let terms = OrderTerms {
        side: Side::Buy,
        ord_type: OrdType::Limit,
        time_in_force: TimeInForce::Day,
        price: (10_000, 2),
        order_qty: (10, 0),
    };
    let name = ClOrdId::try_from(&b"a\xff\x80"[..]).unwrap();
    let origin = Origin::new(C1, 1, Timestamp(1));
    day.command(NewOrder::new(origin, AAPL, terms, day.account, name));
    day.close();
    let index = index(&dir);
    let path = place.path().join("out");
    write(&index, &path, false);
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let at = COLUMNS.iter().position(|(name, _)| *name == "cl_ord_id").unwrap();
    let group = reader.get_row_group(0).unwrap();
    let ColumnReader::ByteArrayColumnReader(mut column) = group.get_column_reader(at).unwrap()
    else {
        panic!("a column of texts")
    };
    let (mut values, mut has) = (Vec::new(), Vec::new());
    column.read_records(usize::MAX, Some(&mut has), None, &mut values).unwrap();
    assert!(!values.is_empty());
    for value in values {
        let value = String::from_utf8(value.data().to_vec());
        assert_eq!(value.as_deref(), Ok("a\u{fffd}\u{fffd}"));
    }
}

/// Takes nothing: who read has gone.
struct Closed;

impl io::Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

#[test]
fn a_closed_pipe_is_told_as_one() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::new(&dir);
    churn(&mut day, 10);
    day.close();
    let index = index(&dir);
    match ironbook_parquet::export(&index, &wanted(&index, Format::Csv, true), Closed) {
        Err(Fault::Write(error)) => assert_eq!(error.kind(), io::ErrorKind::BrokenPipe),
        other => panic!("{other:?}"),
    }
}

#[test]
fn many_rows_are_several_groups() {
    let place = memory_dir();
    let dir = place.path().join("data");
    let mut day = Script::with_segments(&dir, 1 << 24);
    churn(&mut day, 1 + GROUP_ROWS as u64 / 6);
    day.close();
    let index = index(&dir);
    let path = place.path().join("out");
    write(&index, &path, true);
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let groups: Vec<_> = (0..reader.num_row_groups())
        .map(|group| {
            let group = reader.get_row_group(group).unwrap();
            let first = group.get_row_iter(None).unwrap().next().unwrap().unwrap();
            (first.get_long(0).unwrap() as u64, group.metadata().num_rows() as u64)
        })
        .collect();
    let rows = GROUP_ROWS as u64;
    assert_eq!(groups, [(1, rows), (rows + 1, index.last_sequence() - rows)]);
}

#[test]
fn nothing_is_a_file_too() {
    let place = memory_dir();
    let dir = place.path().join("data");
    Script::new(&dir).close();
    let index = index(&dir);
    let path = place.path().join("out");
    let none = Kinds { commands: false, events: false, sessions: false };
    let wanted = Wanted { kinds: none, ..wanted(&index, Format::Csv, true) };
    ironbook_parquet::export(&index, &wanted, File::create(&path).unwrap()).unwrap();
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    assert_eq!((reader.num_row_groups(), reader.get_row_iter(None).unwrap().count()), (0, 0));
}
