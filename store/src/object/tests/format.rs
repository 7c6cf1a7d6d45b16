//! The format of objects: it stays readable byte for byte.

use futures::executor::block_on;
use object_store::ObjectStoreExt;

use super::*;
use crate::{
    frame::Draft,
    object::{
        envelope::{self, End, Writer},
        reader::object,
    },
    spill::Encoded,
};

/// A log of three objects: none, two and no records, the last of which seals it. Before each stands its length.
const GOLDEN: &[u8] = include_bytes!("../../../testdata/objects-1.bin");

fn draft(texts: &[&str], seals: bool) -> Draft {
    let (mut draft, mut encoded) = (Draft::new(), Encoded::default());
    for text in texts {
        encoded.push(&Note((*text).to_owned())).unwrap();
    }
    draft.push(&encoded.records, u32::try_from(texts.len()).unwrap());
    if seals {
        draft.seal();
    }
    draft
}

#[test]
fn objects_of_format_1_are_written_as_ever() {
    let (mut written, mut end) = (Vec::new(), End::BEGIN);
    for mut draft in [draft(&[], false), draft(&["one", "two"], false), draft(&[], true)] {
        let (object, after) = envelope::of_draft(Writer([7; 16]), Note::FORMAT, end, &mut draft);
        written.extend(u32::try_from(object.len()).unwrap().to_le_bytes());
        written.extend(object);
        end = after;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/objects-1.bin"), &written).unwrap();
    }
    assert_eq!(written, GOLDEN);
}

#[test]
fn objects_of_format_1_are_read_as_ever() {
    let (objects, mut rest) = (Arc::new(Faulty::new()), GOLDEN);
    let runs = over(&objects);
    for number in 0.. {
        let Some((length, behind)) = rest.split_first_chunk() else { break };
        let (bytes, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        let path = object(&runs.log_folder(&run()), number);
        block_on(objects.sound().put(&path, bytes.to_vec().into())).unwrap();
        rest = behind;
    }
    let contents = runs.read_only::<Note>(&run()).unwrap();
    assert_eq!((texts(&contents.records), contents.sealed), (vec!["one", "two"], true));
}
