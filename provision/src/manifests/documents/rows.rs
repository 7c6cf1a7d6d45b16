//! Rows of Parquet files, as JSON.

mod claims;

use std::any::Any;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::record::{Field, Row};
use serde_json::Value;

use self::claims::{Untrue, check_pages, check_schema};

/// The bytes that the rows of a file may take: a few dozen for each value, and its text.
const MOST_BYTES: u64 = 4 << 30;
/// What a value takes beside its text.
const VALUE_BYTES: u64 = 64;

/// Why a Parquet file cannot be taken in.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnreadRows {
    /// The file cannot be opened.
    #[error(transparent)]
    Open(#[from] io::Error),
    /// It is damaged, or compressed or encoded in a way that this build does not read.
    #[error("{0}")]
    Parquet(#[from] ParquetError),
    /// What it says of itself is not so, and would take memory that nothing needs.
    #[error("the Parquet file is damaged, or not for this build: {0}")]
    Untrue(#[from] Untrue),
    /// Its reader panicked.
    #[error("the Parquet file is damaged, or holds what cannot be read: {0}")]
    Panicked(String),
    /// Its rows take more memory than they may.
    #[error("its rows take more than {0} bytes")]
    TooMuch(u64),
    /// JSON, which takes in what is read, has no such number.
    #[error("row {row}: column {column:?} has {number}, which is no number of JSON")]
    Number {
        /// Which row, from 1.
        row: usize,
        /// The column.
        column: String,
        /// The number.
        number: f64,
    },
}

/// A row: its columns, in their order, by name.
pub(super) type Columns = Vec<(String, Value)>;

/// The rows of a file, in order.
///
/// # Errors
/// The file cannot be read to its end, or holds a number that JSON does not have, or more than fits.
pub(super) fn rows(path: &Path) -> Result<Vec<Columns>, UnreadRows> {
    rows_within(path, MOST_BYTES)
}

fn rows_within(path: &Path, most: u64) -> Result<Vec<Columns>, UnreadRows> {
    // Of what files can say of themselves the reader of another crate asserts much, and its claims were looked at only as far
    // as they ask for memory.
    let read = catch_unwind(AssertUnwindSafe(|| read(path, most)));
    read.unwrap_or_else(|panic| Err(UnreadRows::Panicked(message(&*panic))))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let fixed = || panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    panic.downcast_ref::<String>().cloned().or_else(fixed).unwrap_or_default()
}

fn read(path: &Path, most: u64) -> Result<Vec<Columns>, UnreadRows> {
    let file = std::fs::read(path)?;
    check_schema(&file)?;
    let reader = SerializedFileReader::new(File::open(path)?)?;
    let values = check_pages(&file, reader.metadata())?;
    drop(file);
    // A list may repeat nothing without end, and take no bytes.
    if values.saturating_mul(VALUE_BYTES) > most {
        return Err(UnreadRows::TooMuch(most));
    }
    let (mut rows, mut taken) = (Vec::new(), 0);
    for row in reader.get_row_iter(None)? {
        let columns = columns(rows.len() + 1, &row?)?;
        taken += columns.iter().map(|(name, value)| name.len() as u64 + weight(value)).sum::<u64>();
        if taken > most {
            return Err(UnreadRows::TooMuch(most));
        }
        rows.push(columns);
    }
    Ok(rows)
}

/// The bytes that a value takes, roughly.
fn weight(value: &Value) -> u64 {
    VALUE_BYTES
        + match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len() as u64,
            Value::Array(items) => items.iter().map(weight).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| name.len() as u64 + weight(value)).sum()
            }
        }
}

fn columns(row_number: usize, row: &Row) -> Result<Columns, UnreadRows> {
    let mut columns = Columns::new();
    for (column, field) in row.get_column_iter() {
        if let Some(number) = double(field).filter(|double| !double.is_finite()) {
            return Err(UnreadRows::Number { row: row_number, column: column.clone(), number });
        }
        let value = text(field).map_or_else(|| field.to_json_value(), Value::from);
        columns.push((column.clone(), value));
    }
    Ok(columns)
}

fn double(field: &Field) -> Option<f64> {
    if let Field::Double(double) = field {
        return Some(*double);
    }
    if let Field::Float(float) = field { Some(f64::from(*float)) } else { None }
}

/// The text of a field that its writer did not call one.
fn text(field: &Field) -> Option<&str> {
    if let Field::Bytes(bytes) = field { std::str::from_utf8(bytes.data()).ok() } else { None }
}

/// The row of a file of edges as an edge: its columns `from`, `to` and `weight`, and no others; where it has no such
/// columns, the two or three that it has in their order.
pub(super) fn edge(row: Columns) -> Value {
    let by_name = row.iter().any(|(name, _)| ["from", "to"].contains(&name.as_str()));
    if by_name {
        let is_of_edge = |name: &String| ["from", "to", "weight"].contains(&name.as_str());
        return object(row.into_iter().filter(|(name, _)| is_of_edge(name)).collect());
    }
    row.into_iter().map(|(_, value)| value).collect()
}

/// The row as an object, without what is null.
pub(super) fn object(row: Columns) -> Value {
    Value::Object(row.into_iter().filter(|(_, value)| !value.is_null()).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;
    use serde_json::json;

    use super::*;
    use crate::manifests::documents::{documents_of, edges_of};

    mod damage;

    /// A file of edges with these columns, of which the third is null in the second row.
    fn written(path: &Path, columns: [&str; 3], weights: &[f64], compression: Compression) {
        let [from, to, weight] = columns;
        let schema = format!(
            "message edges {{ required binary {from} (UTF8); required int64 {to}; optional double {weight}; }}"
        );
        let schema = Arc::new(parse_message_type(&schema).unwrap());
        let properties = Arc::new(WriterProperties::builder().set_compression(compression).build());
        let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
        let mut group = writer.next_row_group().unwrap();
        let names = [ByteArray::from("a"), ByteArray::from("b")];
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&names, None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&[1, 2], None, None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<DoubleType>().write_batch(weights, Some(&[1, 0]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn edges_are_read_by_the_names_of_their_columns_or_by_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.parquet");
        for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
            written(&path, ["from", "to", "weight"], &[0.5], compression);
            let by_name = json!([{"from": "a", "to": 1, "weight": 0.5}, {"from": "b", "to": 2}]);
            assert_eq!(edges_of(&path).map(Value::from), Ok(by_name));
            written(&path, ["src", "dst", "cost"], &[0.5], compression);
            assert_eq!(edges_of(&path).map(Value::from), Ok(json!([["a", 1, 0.5], ["b", 2, null]])));
            written(&path, ["from", "to", "seen"], &[0.5], compression);
            let others = json!([{"from": "a", "to": 1}, {"from": "b", "to": 2}]);
            assert_eq!(edges_of(&path).map(Value::from), Ok(others));
        }
    }

    #[test]
    fn documents_are_read_with_the_other_columns_as_metadata() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("d.parquet");
        written(&path, ["text", "page", "score"], &[0.5], Compression::SNAPPY);
        let documents = documents_of(&path).map(|documents| json!(documents));
        let expected = json!([
            {"id": "d.parquet:1", "text": "a", "metadata": {"page": 1, "score": 0.5}},
            {"id": "d.parquet:2", "text": "b", "metadata": {"page": 2}},
        ]);
        assert_eq!(documents, Ok(expected));
    }

    #[test]
    fn what_cannot_be_taken_in_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.parquet");
        written(&path, ["from", "to", "weight"], &[f64::NAN], Compression::UNCOMPRESSED);
        assert!(edges_of(&path).unwrap_err().contains("row 1: column \"weight\" has NaN"));
        written(&path, ["from", "to", "weight"], &[-1.0], Compression::UNCOMPRESSED);
        assert!(edges_of(&path).unwrap_err().contains("row 1: a weight"));
        std::fs::write(&path, "PAR1 and no more").unwrap();
        assert!(documents_of(&path).unwrap_err().contains("arquet"));
        assert!(edges_of(Path::new("absent.parquet")).is_err());
    }
}
