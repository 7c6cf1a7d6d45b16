//! Writing results.

use std::collections::BTreeSet;
use std::io::{self, Write};

use clap::ValueEnum;
use serde_json::Value;

/// How a result is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputFormat {
    /// JSON, indented.
    Json,
    /// YAML.
    Yaml,
    /// Rows for the eye.
    Table,
}

/// Writes the outputs of a run to stdout. Whoever closes stdout early has what he wanted of them, and is still
/// to hear by the exit code how the run ended.
///
/// # Errors
/// Stdout cannot be written to for another reason.
pub(crate) fn result(outputs: &Value, format: OutputFormat) -> io::Result<()> {
    match write(outputs, format, &mut io::stdout().lock()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

/// Writes `value`, and a line break at its end.
///
/// # Errors
/// `out` cannot be written to.
pub(crate) fn write(value: &Value, format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
    // Stdout is written to line by line by itself.
    let mut buffered = io::BufWriter::with_capacity(1 << 16, out);
    write_all(value, format, &mut buffered)?;
    buffered.flush()
}

fn write_all(value: &Value, format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
    match format {
        OutputFormat::Json => {
            serde_json::to_writer_pretty(&mut *out, value)?;
            writeln!(out)
        }
        OutputFormat::Yaml => {
            let text = serde_saphyr::to_string(value).map_err(io::Error::other)?;
            writeln!(out, "{}", text.trim_end_matches('\n'))
        }
        OutputFormat::Table => rows(&table(value), out),
    }
}

/// A list of objects has a row for each and a column for each member, an empty one nothing; anything else has a row for
/// each scalar, with its path.
fn table(value: &Value) -> Vec<Vec<String>> {
    match value {
        Value::Array(items) if items.is_empty() => Vec::new(),
        Value::Array(items) if items.iter().all(Value::is_object) => {
            let members = items.iter().filter_map(Value::as_object);
            let mut known = BTreeSet::new();
            let columns: Vec<&String> =
                members.flat_map(serde_json::Map::keys).filter(|name| known.insert(*name)).collect();
            let head = columns.iter().map(|name| name.to_uppercase()).collect();
            let row = |item: &Value| {
                columns.iter().map(|name| item.get(name.as_str()).map(cell).unwrap_or_default()).collect()
            };
            std::iter::once(head).chain(items.iter().map(row)).collect()
        }
        Value::Array(_)
        | Value::Object(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            let mut rows = Vec::new();
            flatten("", value, &mut rows);
            rows
        }
    }
}

fn flatten(path: &str, value: &Value, rows: &mut Vec<Vec<String>>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, member, rows);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{path}[{index}]"), item, rows);
            }
        }
        Value::Object(_)
        | Value::Array(_)
        | Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_) => {
            rows.push(vec![path.to_owned(), cell(value)]);
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Columns of equal width; a cell of several lines goes on below itself.
fn rows(rows: &[Vec<String>], out: &mut dyn Write) -> io::Result<()> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |cell: &String| cell.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(width).max().unwrap_or_default())
        .collect();
    for row in rows {
        let height = row.iter().map(|cell| cell.lines().count()).max().unwrap_or_default().max(1);
        for line in 0..height {
            let mut text = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let part = cell.lines().nth(line).unwrap_or_default();
                text.push_str(&format!("{part:<width$}  "));
            }
            writeln!(out, "{}", text.trim_end())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use serde_json::json;

    use super::*;

    fn check(value: &Value, format: OutputFormat, expected: Expect) {
        let mut out = Vec::new();
        write(value, format, &mut out).unwrap();
        expected.assert_eq(&String::from_utf8(out).unwrap());
    }

    #[test]
    fn a_result_is_written_in_each_format() {
        let value =
            json!({"archive": {"kind": "bug", "reply": "Dear A,\nbye"}, "grades": [1, null], "none": {}});
        check(
            &value,
            OutputFormat::Json,
            expect![[r#"
            {
              "archive": {
                "kind": "bug",
                "reply": "Dear A,\nbye"
              },
              "grades": [
                1,
                null
              ],
              "none": {}
            }
        "#]],
        );
        check(
            &value,
            OutputFormat::Yaml,
            expect![[r#"
            archive:
              kind: bug
              reply: |-
                Dear A,
                bye
            grades:
            - 1
            - null
            none: {}
        "#]],
        );
        check(
            &value,
            OutputFormat::Table,
            expect![[r#"
            archive.kind   bug
            archive.reply  Dear A,
                           bye
            grades[0]      1
            grades[1]      -
            none           {}
        "#]],
        );
    }

    #[test]
    fn an_empty_list_has_no_row() {
        check(&json!([]), OutputFormat::Table, expect![""]);
        check(&json!({"list": []}), OutputFormat::Table, expect!["list  []\n"]);
    }

    #[test]
    fn a_list_of_objects_has_columns() {
        let runs = json!([{"run": "a-1", "phase": "Succeeded"}, {"run": "b-12", "tokens": 5}]);
        check(
            &runs,
            OutputFormat::Table,
            expect![[r#"
            RUN   PHASE      TOKENS
            a-1   Succeeded
            b-12             5
        "#]],
        );
    }
}
