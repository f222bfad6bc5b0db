//! When a file was changed.

use core::{fmt, str::FromStr};

/// A date and a time of day (XEP-0082) to the second, in the years 1 to 9999.
///
/// ```
/// use xtls_files::FileDate;
///
/// let date: FileDate = "2015-07-26T21:46:00.25+01:00".parse()?;
/// assert_eq!(date.to_string(), "2015-07-26T20:46:00Z");
/// # Ok::<(), xtls_files::FileDateError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileDate(i64);

/// The text is no date and time of XEP-0082, or of no year from 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileDateError;

/// The first second of the year 1, in Unix time.
const FIRST: i64 = -62_135_596_800;
/// The last second of the year 9999.
const LAST: i64 = 253_402_300_799;

const DAY: i64 = 86_400;

impl FileDate {
    /// The one of so many seconds of Unix time; negative before 1970. One that is outside is moved to the first or the last year.
    #[must_use]
    pub fn from_unix(seconds: i64) -> Self {
        Self(seconds.clamp(FIRST, LAST))
    }

    /// In seconds of Unix time.
    #[must_use]
    pub fn unix(self) -> i64 {
        self.0
    }
}

impl FromStr for FileDate {
    type Err = FileDateError;

    /// XEP-0082 § 3.2: `CCYY-MM-DDThh:mm:ss[.sss]TZD`, where TZD is `Z` or `(+|-)hh:mm`. A fraction is left out.
    fn from_str(text: &str) -> Result<Self, FileDateError> {
        read(text).map(Self).ok_or(FileDateError)
    }
}

impl fmt::Display for FileDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, second) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
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
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Debug for FileDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for FileDateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is no date and time like 2015-07-26T21:46:00Z")
    }
}

impl core::error::Error for FileDateError {}

fn read(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (time, offset) = zone(time)?;
    let (time, fraction) = time.split_once('.').map_or((time, None), |(time, fraction)| (time, Some(fraction)));
    if fraction.is_some_and(|digits| digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit())) {
        return None;
    }
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_valid = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        // A leap second has no number of its own in Unix time.
        && second <= 60;
    let seconds = days(year, month, day) * DAY + hour * 3600 + minute * 60 + second.min(59) - offset;
    (is_valid && (FIRST..=LAST).contains(&seconds)).then_some(seconds)
}

/// The time, and how many seconds its zone is ahead.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(time) = text.strip_suffix('Z') {
        return Some((time, 0));
    }
    let at = text.rfind(['+', '-'])?;
    let (time, zone) = text.split_at(at);
    let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
    let ahead = hours * 3600 + minutes * 60;
    (hours < 24 && minutes < 60).then_some((time, if zone.starts_with('-') { -ahead } else { ahead }))
}

/// Numbers of so many digits, with a separator between them.
fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(separator);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        // A number in Rust may have a sign.
        *number = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from the beginning of 1970.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59Z", -1),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2026-11-28T09:38:21Z", 1_795_858_701),
            ("0001-01-01T00:00:00Z", FIRST),
            ("9999-12-31T23:59:59Z", LAST),
        ] {
            assert_eq!(text.parse(), Ok(FileDate(unix)), "{text}");
            assert_eq!(FileDate(unix).to_string(), text);
        }
        for (text, same) in [
            ("2015-07-26T21:46:00+01:00", "2015-07-26T20:46:00Z"),
            ("2015-07-26T21:46:00.123456-12:30", "2015-07-27T10:16:00Z"),
            ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z"),
        ] {
            assert_eq!(text.parse::<FileDate>().unwrap().to_string(), same);
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "2015-07-26",
            "2015-07-26T21:46:00",
            "2015-07-26 21:46:00Z",
            "2015-7-26T21:46:00Z",
            "2015-02-29T21:46:00Z",
            "1900-02-29T21:46:00Z",
            "2015-13-01T21:46:00Z",
            "2015-04-31T21:46:00Z",
            "2015-00-01T21:46:00Z",
            "2015-07-26T24:00:00Z",
            "2015-07-26T21:60:00Z",
            "2015-07-26T21:46:61Z",
            "2015-07-26T21:46:00.Z",
            "2015-07-26T21:46:00.xZ",
            "2015-07-26T21:46:00+1:00",
            "2015-07-26T21:46:00+24:00",
            "0000-12-31T23:59:59Z",
            "9999-12-31T23:59:59-00:01",
            "+015-07-26T21:46:00Z",
            "20150-07-26T21:46:00Z",
            "2015-07-26T21:46:00ZZ",
            "٢٠١٥-07-26T21:46:00Z",
        ] {
            assert_eq!(text.parse::<FileDate>(), Err(FileDateError), "{text}");
        }
        assert_eq!([FileDate::from_unix(i64::MIN), FileDate::from_unix(i64::MAX)], [FileDate(FIRST), FileDate(LAST)]);
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read(unix in FIRST..=LAST) {
            proptest::prop_assert_eq!(FileDate(unix).to_string().parse(), Ok(FileDate(unix)));
        }

        #[test]
        fn no_text_makes_it_panic(text: String, digits in "[0-9:+T.Z-]{0,30}") {
            let _ = (text.parse::<FileDate>(), digits.parse::<FileDate>());
        }
    }
}
