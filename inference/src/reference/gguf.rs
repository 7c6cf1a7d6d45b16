//! A GGUF file that the tests have written, read without any code of this crate.

use std::collections::HashMap;

/// Tensors by name: shapes with the rows first, and numbers.
pub(super) type Tensors = HashMap<String, (Vec<usize>, Vec<f64>)>;

/// What stands under a key of the metadata.
pub(super) enum Value {
    Number(f64),
    Text(String),
    Other,
}

/// The bytes of a file from a place on.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        self.at += N;
        self.bytes[self.at - N..self.at].try_into().unwrap()
    }

    fn long(&mut self) -> usize {
        usize::try_from(u64::from_le_bytes(self.take())).unwrap()
    }

    fn int(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn text(&mut self) -> String {
        let len = self.long();
        self.at += len;
        String::from_utf8(self.bytes[self.at - len..self.at].to_vec()).unwrap()
    }

    fn value(&mut self, kind: u32) -> Value {
        match kind {
            4 => Value::Number(self.int().into()),
            5 => Value::Number(i32::from_le_bytes(self.take()).into()),
            6 => Value::Number(f32::from_le_bytes(self.take()).into()),
            7 => Value::Number(u8::from_le_bytes(self.take()).into()),
            8 => Value::Text(self.text()),
            9 => {
                let (kind, len) = (self.int(), self.long());
                for _ in 0..len {
                    self.value(kind);
                }
                Value::Other
            }
            _ => panic!("value type {kind}"),
        }
    }
}

/// Metadata and tensors of a file, all of which are `F32`.
pub(super) fn read(bytes: &[u8]) -> (HashMap<String, Value>, Tensors) {
    let mut cursor = Cursor { bytes, at: 8 };
    let (tensors, entries) = (cursor.long(), cursor.long());
    let mut metadata = HashMap::new();
    for _ in 0..entries {
        let (key, kind) = (cursor.text(), cursor.int());
        metadata.insert(key, cursor.value(kind));
    }
    let mut places = Vec::new();
    for _ in 0..tensors {
        let (name, rank) = (cursor.text(), cursor.int());
        let mut shape: Vec<usize> = (0..rank).map(|_| cursor.long()).collect();
        shape.reverse();
        assert_eq!(cursor.int(), 0, "{name} is not of floats");
        places.push((name, shape, cursor.long()));
    }
    let start = cursor.at.next_multiple_of(32);
    let tensor = |(name, shape, at): (String, Vec<usize>, usize)| {
        let bytes = bytes[start + at..].chunks_exact(4).take(shape.iter().product());
        let floats = bytes.map(|bytes| f64::from(f32::from_le_bytes(bytes.try_into().unwrap())));
        (name, (shape, floats.collect()))
    };
    (metadata, places.into_iter().map(tensor).collect())
}
