//! Numbers and names that are kept from being used again.

use super::breaks::Break;
use prost_types::{DescriptorProto, EnumDescriptorProto};

/// What a message or an enum reserves.
pub(super) struct Reserved<'a> {
    /// First and last number of each range, sorted.
    ranges: Vec<(i32, i32)>,
    names: &'a [String],
}

impl<'a> Reserved<'a> {
    pub(super) fn of_message(message: &'a DescriptorProto) -> Self {
        // The descriptor says one past the last number here, and the last one in an enum.
        let ranges = message.reserved_range.iter().map(|range| (range.start(), range.end() - 1));
        Self::new(ranges, &message.reserved_name)
    }

    pub(super) fn of_enum(of: &'a EnumDescriptorProto) -> Self {
        Self::new(of.reserved_range.iter().map(|range| (range.start(), range.end())), &of.reserved_name)
    }

    fn new(ranges: impl Iterator<Item = (i32, i32)>, names: &'a [String]) -> Self {
        let mut ranges: Vec<(i32, i32)> = ranges.collect();
        ranges.sort_unstable();
        Self { ranges, names }
    }

    /// A member that is not there any more: it breaks unless its number and its name are reserved.
    pub(super) fn removed(&self, subject: &str, number: i32, name: &str) -> Option<Break> {
        let missing = match (self.covers(number, number), self.has(name)) {
            (true, true) => return None,
            (true, false) => "its name is not reserved",
            (false, true) => "its number is not reserved",
            (false, false) => "neither its number nor its name is reserved",
        };
        Some(Break::new(subject, format!("was removed, and {missing}")))
    }

    /// What of this is not reserved in `new`: somebody may still send it.
    pub(super) fn released(&self, subject: &str, new: &Self) -> Vec<Break> {
        let ranges = self.ranges.iter().filter(|(first, last)| !new.covers(*first, *last));
        let numbers = ranges.map(|(first, last)| {
            if first == last {
                format!("number {first} is not reserved any more")
            } else {
                format!("numbers {first} to {last} are not all reserved any more")
            }
        });
        let names = self.names.iter().filter(|name| !new.has(name));
        let names = names.map(|name| format!("name {name} is not reserved any more"));
        numbers.chain(names).map(|what| Break::new(subject, what)).collect()
    }

    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|reserved| reserved == name)
    }

    /// Whether all numbers from the first to the last one are reserved, by one range or by several.
    fn covers(&self, first: i32, last: i32) -> bool {
        let mut open = i64::from(first);
        for (from, to) in &self.ranges {
            if i64::from(*from) <= open {
                open = open.max(i64::from(*to) + 1);
            }
        }
        open > i64::from(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_adjoin_cover_what_lies_across_them() {
        let reserved = Reserved::new([(8, i32::MAX), (1, 3), (4, 6)].into_iter(), &[]);
        for (first, last) in [(1, 6), (2, 5), (3, 4), (8, 8), (9, i32::MAX)] {
            assert!(reserved.covers(first, last), "{first} to {last}");
        }
        for (first, last) in [(0, 1), (6, 8), (7, 7), (1, 9), (-1, 3)] {
            assert!(!reserved.covers(first, last), "{first} to {last}");
        }
    }
}
