//! The only place that reads the clocks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use xtls::tls::UnixTime;

/// The monotonic clock.
#[allow(clippy::disallowed_methods, reason = "the command is where time enters")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The time of day; 1970 if the clock stands before that.
#[allow(clippy::disallowed_methods, reason = "the command is where time enters")]
pub(crate) fn unix() -> UnixTime {
    UnixTime::since_unix_epoch(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// A time of day as RFC 3339 writes it, in UTC.
pub(crate) fn date(time: UnixTime) -> String {
    rfc3339(i64::try_from(time.as_secs()).unwrap_or(i64::MAX))
}

/// Seconds since the Unix epoch as RFC 3339 writes them, in UTC.
pub(crate) fn rfc3339(unix_seconds: i64) -> String {
    let (days, second) = (unix_seconds.div_euclid(86_400), unix_seconds.rem_euclid(86_400));
    // Years begin in March here, so that a leap day is the last day of its year.
    let from_march = days + 719_468;
    let (era, day_of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The time of day as RFC 3339 writes it, with milliseconds, in UTC.
pub(crate) fn timestamp() -> String {
    #[allow(clippy::disallowed_methods, reason = "the command is where time enters")]
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    with_milliseconds(&rfc3339(i64::try_from(since.as_secs()).unwrap_or(i64::MAX)), since.subsec_millis())
}

fn with_milliseconds(date: &str, milliseconds: u32) -> String {
    format!("{}.{milliseconds:03}Z", date.trim_end_matches('Z'))
}

/// The time of day where the user is: hours and minutes.
pub(crate) fn local_time() -> String {
    #[allow(clippy::disallowed_methods, reason = "the command is where time enters")]
    let now = chrono::Local::now();
    now.format("%H:%M").to_string()
}

/// The time of day there of a time that RFC 3339 writes.
pub(crate) fn local_time_of(rfc3339: &str) -> String {
    chrono::DateTime::parse_from_rfc3339(rfc3339)
        .map_or_else(|_| rfc3339.to_owned(), |time| time.with_timezone(&chrono::Local).format("%H:%M").to_string())
}

/// Sleeps until then, or for ever.
pub(crate) async fn sleep_until(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_gregorian_calendar() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (-1, "1969-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
        }
    }

    #[test]
    fn a_timestamp_has_milliseconds_in_three_digits() {
        assert_eq!(with_milliseconds("1970-01-01T00:00:00Z", 7), "1970-01-01T00:00:00.007Z");
        assert_eq!(timestamp().len(), "1970-01-01T00:00:00.007Z".len());
    }
}
