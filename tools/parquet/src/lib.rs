//! The rows of a journal's export as a Parquet file: the columns of the CSV export, typed.
//!
//! | column | type |
//! |---|---|
//! | whole numbers | INT64, without sign but for `sequence` |
//! | `time` | TIMESTAMP in ns, UTC |
//! | prices and quantities | DECIMAL(38, 18), so that each scale of the engine is exact |
//! | texts | STRING, in dictionaries where they repeat; U+FFFD stands for bytes that are no text |
//!
//! `sequence`, `time` and `kind` are in every row, what else a frame has not is null. Pages are compressed
//! with Zstandard. The same rows give the same bytes, by the same version of the program.
//!
//! Rows are gathered by columns until there are [`GROUP_ROWS`], which takes some 30 MB of memory.
//!
//! It is a package of its own because the `parquet` crate takes longer to build than all the rest of the
//! tools together; nothing but the tools knows it.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write},
    sync::Arc,
};

use ironbook_fix::field::Decimal;
use ironbook_incident::{
    Fault,
    export::{COLUMNS, Cell, Exported, Type, Wanted, rows},
    index::Index,
};
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel},
    column::writer::ColumnWriter,
    data_type::{ByteArray, FixedLenByteArray},
    errors::ParquetError,
    file::{
        properties::{WriterProperties, WriterPropertiesPtr},
        writer::{SerializedColumnWriter, SerializedFileWriter},
    },
    schema::types::{Type as Schema, TypePtr},
};

/// Rows of a group, which is what is gathered before it is written.
pub const GROUP_ROWS: usize = 1 << 16;
/// Decimals of prices and quantities: as many as the engine has at the most.
pub const DECIMAL_SCALE: u8 = 18;
/// Digits of prices and quantities: nineteen of a mantissa and eighteen decimals are fewer.
const DECIMAL_DIGITS: i32 = 38;
/// Bytes of a number with so many digits.
const DECIMAL_BYTES: i32 = 16;
/// Columns from the first on that each row has.
const REQUIRED: usize = 3;

/// Writes the frames of a journal as a Parquet file.
///
/// # Errors
/// [`Fault::Write`] when `out` takes no more; others when the journal can't be read.
pub fn export(
    index: &Index,
    wanted: &Wanted<'_>,
    out: impl Write + Send,
) -> Result<Exported, Fault> {
    let file = SerializedFileWriter::new(out, schema(), properties()).map_err(failed)?;
    let mut table = Table { file, columns: COLUMNS.map(|(_, holds)| Column::new(holds)), rows: 0 };
    let exported = rows(index, wanted, |cells| table.take(cells))?;
    table.end()?;
    Ok(exported)
}

/// A file that takes no more is told as it is, so that a closed pipe is known as one.
fn failed(error: ParquetError) -> Fault {
    Fault::Write(match error {
        ParquetError::External(error) => {
            error.downcast().map_or_else(io::Error::other, |error| *error)
        }
        error => io::Error::other(error),
    })
}

fn properties() -> WriterPropertiesPtr {
    let program = concat!("ironbook ", env!("CARGO_PKG_VERSION")).to_owned();
    let zstd = Compression::ZSTD(ZstdLevel::default());
    Arc::new(WriterProperties::builder().set_created_by(program).set_compression(zstd).build())
}

fn schema() -> TypePtr {
    let column = |(number, (name, holds)): (usize, &(&str, Type))| {
        let has = if number < REQUIRED { Repetition::REQUIRED } else { Repetition::OPTIONAL };
        let (physical, logical) = match holds {
            // Others are ids, which use all bits.
            Type::Number if number < REQUIRED => (Physical::INT64, None),
            Type::Number => (Physical::INT64, Some(LogicalType::integer(64, false))),
            Type::Time => {
                let unit = TimeUnit::NANOS;
                (Physical::INT64, Some(LogicalType::timestamp(true, unit)))
            }
            Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Type::Decimal => {
                let of = LogicalType::decimal(i32::from(DECIMAL_SCALE), DECIMAL_DIGITS);
                (Physical::FIXED_LEN_BYTE_ARRAY, Some(of))
            }
        };
        let column = Schema::primitive_type_builder(name, physical)
            .with_repetition(has)
            .with_logical_type(logical);
        let column = match holds {
            Type::Decimal => column
                .with_length(DECIMAL_BYTES)
                .with_scale(i32::from(DECIMAL_SCALE))
                .with_precision(DECIMAL_DIGITS),
            _ => column,
        };
        Arc::new(column.build().expect("a good column"))
    };
    let columns = COLUMNS.iter().enumerate().map(column).collect();
    let schema = Schema::group_type_builder("frame").with_fields(columns).build();
    Arc::new(schema.expect("a good schema"))
}

/// A file that is being written.
struct Table<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: [Column; COLUMNS.len()],
    /// Rows that are gathered.
    rows: usize,
}

/// What is gathered of a column.
struct Column {
    values: Values,
    /// 1 for each row that has a value, 0 for each that has none.
    has: Vec<i16>,
}

enum Values {
    Numbers(Vec<i64>),
    Texts(Vec<ByteArray>),
    Decimals(Vec<FixedLenByteArray>),
}

impl<W: Write + Send> Table<W> {
    fn take(&mut self, cells: &[Cell<'_>; COLUMNS.len()]) -> Result<(), Fault> {
        self.columns.iter_mut().zip(cells).for_each(|(column, cell)| column.take(cell));
        self.rows += 1;
        if self.rows == GROUP_ROWS { self.flush().map_err(failed) } else { Ok(()) }
    }

    /// Writes what is gathered as a group.
    fn flush(&mut self) -> Result<(), ParquetError> {
        let mut group = self.file.next_row_group()?;
        for column in &mut self.columns {
            let writer = group.next_column()?.expect("as many columns as there are");
            column.write(writer)?;
        }
        group.close()?;
        self.rows = 0;
        Ok(())
    }

    fn end(mut self) -> Result<(), Fault> {
        if self.rows > 0 {
            self.flush().map_err(failed)?;
        }
        self.file.close().map_err(failed)?;
        Ok(())
    }
}

impl Column {
    fn new(holds: Type) -> Self {
        let values = match holds {
            Type::Number | Type::Time => Values::Numbers(Vec::new()),
            Type::Text => Values::Texts(Vec::new()),
            Type::Decimal => Values::Decimals(Vec::new()),
        };
        Self { values, has: Vec::new() }
    }

    fn take(&mut self, cell: &Cell<'_>) {
        match (&mut self.values, cell) {
            (_, Cell::Nothing) => return self.has.push(0),
            (Values::Numbers(values), Cell::Number(value) | Cell::Time(value)) => {
                values.push(*value as i64);
            }
            // A client's bytes may be no text, which the column is.
            (Values::Texts(values), Cell::Text(text)) => {
                values.push(String::from_utf8_lossy(text).into_owned().into_bytes().into());
            }
            (Values::Texts(values), Cell::Code(code)) => {
                values.push(format!("{code:?}").into_bytes().into());
            }
            (Values::Decimals(values), Cell::Decimal(of)) => {
                values.push(decimal(*of).to_vec().into());
            }
            (_, cell) => unreachable!("a cell of another column: {cell:?}"),
        }
        self.has.push(1);
    }

    fn write(&mut self, mut writer: SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        // A column that all rows must have takes no notice of who has it.
        let has = Some(&*self.has);
        match (&mut self.values, writer.untyped()) {
            (Values::Numbers(values), ColumnWriter::Int64ColumnWriter(writer)) => {
                writer.write_batch(values, has, None)?;
                values.clear();
            }
            (Values::Texts(values), ColumnWriter::ByteArrayColumnWriter(writer)) => {
                writer.write_batch(values, has, None)?;
                values.clear();
            }
            (Values::Decimals(values), ColumnWriter::FixedLenByteArrayColumnWriter(writer)) => {
                writer.write_batch(values, has, None)?;
                values.clear();
            }
            _ => unreachable!("the schema is made of the same columns"),
        }
        self.has.clear();
        writer.close()
    }
}

/// A number with [`DECIMAL_SCALE`] decimals, big-endian.
fn decimal(of: Decimal) -> [u8; DECIMAL_BYTES as usize] {
    let missing = DECIMAL_SCALE.saturating_sub(of.scale);
    (i128::from(of.mantissa) * 10i128.pow(missing.into())).to_be_bytes()
}
