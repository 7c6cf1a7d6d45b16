//! What is particular to objects that are files of a folder.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use superstep_store::{AppendError, Position, RunName, Store, StoreError};
use tempfile::TempDir;

use crate::{
    entries::{Entry, entries, shared_folder},
    s3::race,
};

fn run() -> RunName {
    "run".parse().unwrap()
}

/// A store in a folder, and the folder of its one run.
fn begun() -> (TempDir, Store<Entry>, PathBuf) {
    let root = TempDir::new().unwrap();
    let store = shared_folder(root.path());
    drop(store.create(&run(), "").unwrap());
    let folder = root.path().join("objects/runs/run");
    (root, store, folder)
}

#[test]
fn a_folder_is_exclusive_and_passes_the_probe() {
    let (root, store, _) = begun();
    store.probe().unwrap();
    race(&format!("file://{}/objects", root.path().display()).parse().unwrap());
}

#[test]
fn no_record_names_a_blob_that_could_not_be_written() {
    let (_root, store, folder) = begun();
    fs::write(folder.join("blobs"), "in the way").unwrap();
    let (mut log, _) = store.open(&run(), "").unwrap();
    let failed = log.append(vec![Entry::wide(1, 100_000)]).wait().unwrap_err();
    assert!(matches!(failed, AppendError::Refused { .. }), "{failed:?}");
    assert_eq!(store.read_only(&run()).unwrap().records, []);
}

#[test]
fn what_a_crash_left_of_a_file_is_no_object() {
    let (root, store, folder) = begun();
    fs::write(folder.join("log/00000000000000000001#1"), "half of").unwrap();
    let (mut log, contents) = store.open(&run(), "").unwrap();
    assert_eq!(contents.records, []);
    assert_eq!(log.append(entries(0..1)).wait().unwrap(), Position(0));
    assert_eq!(store.read_only(&run()).unwrap().records, entries(0..1));
    drop(log);
    store.remove(&run()).unwrap();
    assert!(!folder.exists());
    assert_eq!(shared_folder(root.path()).names().unwrap(), []);
}

#[test]
fn a_damaged_blob_is_named_and_can_be_put_again() {
    let (_root, store, folder) = begun();
    let blobs = store.blobs(&run()).unwrap();
    let digest = blobs.put(b"payload").unwrap();
    let name = digest.to_string();
    let file = folder.join("blobs").join(&name[..2]).join(&name[2..]);
    fs::write(&file, b"pAyload").unwrap();
    let damaged = blobs.get(digest).unwrap_err();
    assert!(matches!(damaged, StoreError::CorruptBlob { .. }), "{damaged:?}");
    blobs.put(b"payload").unwrap();
    assert_eq!(&*blobs.get(digest).unwrap(), b"payload");
}

#[test]
fn a_place_that_cannot_be_a_folder_is_an_error() {
    let root = TempDir::new().unwrap();
    File::create(root.path().join("file")).unwrap();
    let place = format!("file://{}/file/objects", root.path().display()).parse().unwrap();
    assert!(matches!(Store::<Entry>::object(&place), Err(StoreError::Io { .. })));
}
