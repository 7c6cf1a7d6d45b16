//! How long a provider wants to be left alone.

use std::time::{Duration, SystemTime};

use reqwest::header::HeaderMap;

/// The pause that headers ask for: `retry-after-ms` in milliseconds, or `retry-after` in seconds or as a
/// date (RFC 9110, section 10.2.3) after `now`.
pub(super) fn of_headers(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some(pause) = text("retry-after-ms").and_then(|millis| seconds(millis, 1e-3)) {
        return Some(pause);
    }
    let after = text("retry-after")?;
    seconds(after, 1.0).or_else(|| {
        let date = httpdate::parse_http_date(after).ok()?;
        Some(date.duration_since(now).unwrap_or_default())
    })
}

/// The pause that a message asks for with words as `try again in 1m2.5s`.
pub(super) fn of_message(message: &str) -> Option<Duration> {
    let lower = message.to_ascii_lowercase();
    let words = ["try again in ", "retry in ", "retry after "];
    let rest = words.iter().find_map(|words| Some(&lower[lower.find(words)? + words.len()..]))?;
    let word = rest.split_whitespace().next()?;
    let spaced = rest.strip_prefix(word)?.trim_start();
    let told = of_text(word.trim_end_matches(['.', ',']));
    // A number and its unit may be two words.
    told.or_else(|| seconds(word, 1.0).filter(|_| spaced.starts_with("second")))
}

/// A pause as `21s`, `3.5s`, `250ms` or `6m0s`.
pub(super) fn of_text(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let (number, tail) = rest.split_at(digits);
        let unit = tail.find(|letter: char| letter.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit);
        let factor = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            _ => return None,
        };
        total = total.checked_add(seconds(number, factor)?)?;
        rest = tail;
    }
    (!text.is_empty()).then_some(total)
}

fn seconds(number: &str, factor: f64) -> Option<Duration> {
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * factor).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_tell_it_in_three_forms() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (name, value, millis) in [
            ("retry-after", "20", Some(20_000)),
            ("retry-after", " 1.5 ", Some(1_500)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:50 GMT", Some(13_000)),
            ("retry-after", "Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("retry-after-ms", "250", Some(250)),
            ("retry-after", "-1", None),
            ("retry-after", "soon", None),
            ("retry-after", "1e300", None),
            ("x-other", "1", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(of_headers(&headers, now), millis.map(Duration::from_millis), "{name}: {value}");
        }
    }

    #[test]
    fn messages_tell_it_in_words() {
        for (message, millis) in [
            ("Rate limit reached. Please try again in 20s.", Some(20_000)),
            ("Please try again in 1m2.5s. Visit …", Some(62_500)),
            ("Please try again in 250ms.", Some(250)),
            ("Please retry in 21.3s.", Some(21_300)),
            ("retry after 7 seconds", Some(7_000)),
            ("try again in a while", None),
            ("try again later", None),
            ("", None),
        ] {
            assert_eq!(of_message(message), millis.map(Duration::from_millis), "{message}");
        }
    }
}
