//! Points in time and lengths of it, for people.

use std::time::Duration;

use superstep_graph::DurationSpec;

/// The time so many seconds after 1970 began, in UTC as RFC 3339 writes it.
pub(crate) fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date so many days after 1970-01-01: days are counted in eras of 400 years that begin with a
/// March, so that a leap day is the last of its year (H. Hinnant, chrono-compatible date algorithms).
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Reads a length of time: as graphs write it, or as a number of days, `30d`.
///
/// # Errors
/// It is neither; the text says what would be right.
pub(crate) fn length(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok());
    if let Some(seconds) = days.and_then(|days| days.checked_mul(86_400)) {
        return Ok(Duration::from_secs(seconds));
    }
    let read = text.parse::<DurationSpec>().map(DurationSpec::duration);
    read.map_err(|_| "write numbers with the units h, m, s or ms, as in 12h, or days, as in 30d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_in_time_are_written_in_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (1_795_411_400, "2026-11-23T05:23:20Z"),
        ] {
            assert_eq!(utc(seconds), expected);
        }
    }

    #[test]
    fn lengths_of_time_are_read() {
        for (text, seconds) in [("30d", 2_592_000), ("12h", 43_200), ("1h30m", 5_400), ("0d", 0)] {
            assert_eq!(length(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "d", "5", "1w", "1d2h", "-1d", "99999999999999999999d", "999999999999999999d"] {
            assert!(length(text).is_err(), "{text}");
        }
    }
}
