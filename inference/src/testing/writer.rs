//! GGUF version 3, written.

const ALIGNMENT: usize = 32;

/// Collects metadata and tensors and lays them out.
#[derive(Default)]
pub(super) struct Writer {
    metadata: Vec<u8>,
    metadata_count: u64,
    directory: Vec<u8>,
    tensor_count: u64,
    data: Vec<u8>,
}

impl Writer {
    pub(super) fn string(&mut self, key: &str, value: &str) {
        self.entry(key, 8);
        put_string(&mut self.metadata, value);
    }

    pub(super) fn integer(&mut self, key: &str, value: u32) {
        self.entry(key, 4);
        self.metadata.extend(value.to_le_bytes());
    }

    pub(super) fn float(&mut self, key: &str, value: f32) {
        self.entry(key, 6);
        self.metadata.extend(value.to_le_bytes());
    }

    pub(super) fn flag(&mut self, key: &str, value: bool) {
        self.entry(key, 7);
        self.metadata.push(value.into());
    }

    pub(super) fn floats(&mut self, key: &str, values: &[f32]) {
        self.array(key, 6, values.len());
        values.iter().for_each(|value| self.metadata.extend(value.to_le_bytes()));
    }

    pub(super) fn strings(&mut self, key: &str, values: &[String]) {
        self.array(key, 8, values.len());
        values.iter().for_each(|value| put_string(&mut self.metadata, value));
    }

    pub(super) fn integers(&mut self, key: &str, values: &[i32]) {
        self.array(key, 5, values.len());
        values.iter().for_each(|value| self.metadata.extend(value.to_le_bytes()));
    }

    /// Adds a tensor; `shape` has the rows first.
    pub(super) fn tensor(&mut self, name: &str, shape: &[usize], type_id: u32, bytes: Vec<u8>) {
        put_string(&mut self.directory, name);
        let rank = u32::try_from(shape.len()).expect("a rank");
        self.directory.extend(rank.to_le_bytes());
        for side in shape.iter().rev() {
            self.directory.extend((*side as u64).to_le_bytes());
        }
        self.directory.extend(type_id.to_le_bytes());
        self.directory.extend((self.data.len() as u64).to_le_bytes());
        self.tensor_count += 1;
        self.data.extend(bytes);
        self.data.resize(self.data.len().next_multiple_of(ALIGNMENT), 0);
    }

    pub(super) fn finish(self) -> Vec<u8> {
        let mut file = b"GGUF".to_vec();
        file.extend(3_u32.to_le_bytes());
        file.extend(self.tensor_count.to_le_bytes());
        file.extend(self.metadata_count.to_le_bytes());
        file.extend(self.metadata);
        file.extend(self.directory);
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file.extend(self.data);
        file
    }

    fn entry(&mut self, key: &str, kind: u32) {
        put_string(&mut self.metadata, key);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata_count += 1;
    }

    fn array(&mut self, key: &str, kind: u32, len: usize) {
        self.entry(key, 9);
        self.metadata.extend(kind.to_le_bytes());
        self.metadata.extend((len as u64).to_le_bytes());
    }
}

fn put_string(bytes: &mut Vec<u8>, value: &str) {
    bytes.extend((value.len() as u64).to_le_bytes());
    bytes.extend(value.as_bytes());
}
