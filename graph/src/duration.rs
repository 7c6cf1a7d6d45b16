//! Durations as the Gateway API writes them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A duration in Gateway API form (GEP-2257): one to four pairs of a number and a unit of `h`, `m`,
/// `s`, `ms`, for example `1h30m` or `500ms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DurationSpec(Duration);

/// A text that is no duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no duration: write numbers with the units h, m, s or ms, as in 1h30m or 500ms")]
pub struct InvalidDuration(String);

impl DurationSpec {
    /// The duration, to the millisecond.
    pub fn duration(self) -> Duration {
        self.0
    }

    /// The duration in whole milliseconds.
    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for DurationSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "One to four pairs of a number and h, m, s or ms, as in 1h30m or 500ms.",
            "type": "string",
            "pattern": "^([0-9]+(h|m|s|ms)){1,4}$",
        })
    }
}

impl From<Duration> for DurationSpec {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for DurationSpec {
    type Err = InvalidDuration;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidDuration(text.to_owned());
        let mut rest = text;
        let mut millis: u64 = 0;
        let mut pairs = 0;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let unit = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
            let number: u64 = rest[..digits].parse().map_err(|_| invalid())?;
            let factor = match &rest[digits..digits + unit] {
                "h" => 3_600_000,
                "m" => 60_000,
                "s" => 1_000,
                "ms" => 1,
                _ => return Err(invalid()),
            };
            millis =
                number.checked_mul(factor).and_then(|part| millis.checked_add(part)).ok_or_else(invalid)?;
            rest = &rest[digits + unit..];
            pairs += 1;
        }
        if pairs == 0 || pairs > 4 { Err(invalid()) } else { Ok(Self(Duration::from_millis(millis))) }
    }
}

impl TryFrom<String> for DurationSpec {
    type Error = InvalidDuration;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<DurationSpec> for String {
    fn from(spec: DurationSpec) -> Self {
        spec.to_string()
    }
}

impl fmt::Display for DurationSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = self.as_millis();
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in [("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
            if millis >= size {
                write!(f, "{}{unit}", millis / size)?;
                millis %= size;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for (text, millis) in
            [("5m", 300_000), ("1h30m", 5_400_000), ("500ms", 500), ("1h2m3s4ms", 3_723_004), ("0s", 0)]
        {
            let spec: DurationSpec = text.parse().unwrap();
            assert_eq!(spec.as_millis(), millis, "{text}");
            assert_eq!(spec.to_string().parse::<DurationSpec>().unwrap(), spec);
        }
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in ["", "5", "m", "5 m", "-5m", "1.5h", "5d", "1h1h1h1h1h", "99999999999999999999h"] {
            assert!(text.parse::<DurationSpec>().is_err(), "{text}");
        }
    }
}
