//! Tests of the store through its public interface and, for damage, through the files that it leaves.

#![expect(clippy::unwrap_used, reason = "what the tests share may fail them as a test may")]

mod concurrency;
mod contract;
mod damage;
mod entries;
mod failure;
mod follow;
mod format;
mod gateway;
mod merged;
mod s3;
mod shared_folder;
mod spill;
