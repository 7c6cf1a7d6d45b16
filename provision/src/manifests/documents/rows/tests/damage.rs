//! Files that are cut off or damaged, or made to be read for ever.

use parquet::data_type::DataType;

use super::*;

/// What differs from a good file: its end is missing, or one byte is another one.
fn damaged(good: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let cut = (0..good.len()).map(|end| good[..end].to_vec());
    let changed = (0..good.len()).flat_map(move |at| {
        let values = [0, 1, 0x0f, 0x7f, 0x80, 0xff, good[at] ^ 1, good[at] ^ 0x10, good[at].wrapping_add(2)];
        values.into_iter().map(move |value| {
            let mut bytes = good.to_vec();
            bytes[at] = value;
            bytes
        })
    });
    cut.chain(changed)
}

/// The most memory that this process had, in bytes, where the system tells.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.map_or(0, |peak| peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024)
}

/// Reads what differs from a good file: that gives edges, or says why not, and takes no memory that the file has no use for.
fn check(path: &Path) {
    let good = std::fs::read(path).unwrap();
    assert!(edges_of(path).is_ok());
    let (mut read, mut refused) = (0, 0);
    for bytes in damaged(&good) {
        std::fs::write(path, &bytes).unwrap();
        match edges_of(path) {
            Ok(_) => read += 1,
            Err(why) => {
                assert!(why.len() > 10, "{why:?}");
                refused += 1;
            }
        }
    }
    // Text may be another text.
    assert!(read > 10 && refused > good.len(), "{read} were read, {refused} refused");
    assert!(peak() < 1 << 30, "{} bytes were taken", peak());
}

#[test]
fn damaged_files_of_edges_are_read_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.parquet");
    for compression in [Compression::UNCOMPRESSED, Compression::SNAPPY] {
        written(&path, ["from", "to", "weight"], &[0.5], compression);
        check(&path);
    }
    let path = folder.path().join("e.jsonl");
    std::fs::write(
        &path,
        "[\"a\", 1]\n{\"from\": \"b\", \"to\": \"\\u00e4\", \"weight\": 2.5e1}\n[3, \"c\", 0.5]\n",
    )
    .unwrap();
    check(&path);
}

#[test]
fn what_is_nested_without_end_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.jsonl");
    for open in ["[", "{\"from\":", "[[1, 2], "] {
        std::fs::write(&path, open.repeat(100_000)).unwrap();
        assert!(edges_of(&path).unwrap_err().starts_with("line 1: "));
    }
}

/// A file without rows, whose one group says that it has so many columns.
fn grouped(columns: u32) -> Vec<u8> {
    let mut folded = columns << 1;
    let mut number = Vec::new();
    while folded >= 0x80 {
        number.push(u8::try_from(folded & 0x7f).unwrap() | 0x80);
        folded >>= 7;
    }
    number.push(u8::try_from(folded).unwrap());
    let schema = [&[0x15, 2, 0x19, 0x1c, 0x48, 1, b'm', 0x15][..], &number[..], &[0]].concat();
    let metadata = [&schema[..], &[0x16, 0, 0x19, 0x0c, 0][..]].concat();
    let length = u32::try_from(metadata.len()).unwrap().to_le_bytes();
    [&b"PAR1"[..], &metadata[..], &length[..], b"PAR1"].concat()
}

#[test]
fn columns_that_are_not_there_take_no_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.parquet");
    std::fs::write(&path, grouped(i32::MAX.unsigned_abs())).unwrap();
    assert!(edges_of(&path).unwrap_err().contains("more columns than there are"));
}

/// A file of one column, in which each row has this value.
fn repeated<T: DataType>(path: &Path, column: &str, value: &T::T, rows: usize) {
    let schema = Arc::new(parse_message_type(&format!("message rows {{ required {column}; }}")).unwrap());
    let properties = Arc::new(WriterProperties::builder().build());
    let mut writer = SerializedFileWriter::new(File::create(path).unwrap(), schema, properties).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(&vec![value.clone(); rows], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn rows_that_take_no_room_in_the_file_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("e.parquet");
    repeated::<ByteArrayType>(
        &path,
        "binary text (UTF8)",
        &ByteArray::from(vec![b'x'; 1_000].as_slice()),
        10_000,
    );
    assert!(path.metadata().unwrap().len() < 10_000);
    assert_eq!(rows(&path).unwrap().len(), 10_000);
    for most in [100_000, 5_000_000] {
        assert!(matches!(rows_within(&path, most), Err(UnreadRows::TooMuch(told)) if told == most));
    }
}

#[test]
fn where_the_reader_panics_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d.parquet");
    repeated::<Int64Type>(&path, "int64 at (TIMESTAMP(MILLIS,true))", &i64::MAX, 1);
    assert!(documents_of(&path).unwrap_err().contains("cannot be read"));
}
