//! How our programs are linked, where that is not the compiler's affair.

use crate::process::capture;
use std::process::Command;

/// Packs the places that are put right at each start of a program that may stand anywhere in memory. Their list is read to its
/// end, and so stays in memory; packed, it is a small part of what it is otherwise.
const PACKED: &str = "-Clink-arg=-Wl,-z,pack-relative-relocs";

/// The first version of the GNU C library that reads such a list.
const READS: (u32, u32) = (2, 36);

/// What rustc is told so that relocations are packed; nothing where the C library would not read them.
pub(crate) fn packed() -> Option<&'static str> {
    let told = capture(Command::new("getconf").arg("GNU_LIBC_VERSION")).ok()?;
    version(&told).is_some_and(|version| version >= READS).then_some(PACKED)
}

/// The version in `glibc 2.36`.
fn version(told: &str) -> Option<(u32, u32)> {
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_library_or_another_one_is_told_apart() {
        for (told, reads) in
            [("glibc 2.36\n", true), ("glibc 2.35\n", false), ("glibc 3.0.1\n", true), ("musl 1.2\n", false)]
        {
            assert_eq!(version(told).is_some_and(|version| version >= READS), reads, "{told}");
        }
    }
}
