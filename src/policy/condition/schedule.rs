//! `schedule: {days: [mon-fri], hours: 08:00-18:00, zone: Europe/Berlin}`: times of the week in one time zone.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Time;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::policy::truth::Truth;

/// A part of the week.
#[derive(Clone, Debug)]
pub struct Schedule {
    days: Vec<Weekday>,
    from: Time,
    /// Not in the schedule any more; before `from` when it passes midnight.
    to: Time,
    zone: TimeZone,
    written: String,
}

/// Why a schedule is refused, and what to write.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ScheduleError {
    #[error("`{0}` is not a day or a range of days; write `mon` or `mon-fri`")]
    Day(String),
    #[error("`{0}` are not hours; write `08:00-18:00`")]
    Hours(String),
    #[error("`{0}` is not a time zone; write a name such as `Europe/Berlin`, or `UTC`")]
    Zone(String),
}

impl Schedule {
    /// Read the parts as a policy writes them. Without days every day is meant, without hours the whole day, without
    /// a zone UTC.
    pub fn parse<'a>(
        days: impl IntoIterator<Item = &'a str>,
        hours: Option<&str>,
        zone: Option<&str>,
    ) -> Result<Schedule, ScheduleError> {
        let mut listed = Vec::new();
        let mut written = Vec::new();
        for text in days {
            written.push(text.to_owned());
            listed.extend(parse_days(text)?);
        }
        if listed.is_empty() {
            listed.extend(WEEK);
        }
        let (from, to) = match hours {
            Some(hours) => parse_hours(hours)?,
            None => (Time::midnight(), Time::midnight()),
        };
        let name = zone.unwrap_or("UTC");
        let zone = TimeZone::get(name).map_err(|_| ScheduleError::Zone(name.to_owned()))?;
        let written = format!("{} {} {name}", written.join(", "), hours.unwrap_or("all day"));
        Ok(Schedule { days: listed, from, to, zone, written: written.trim().to_owned() })
    }

    /// Is it such a time now? Hours that pass midnight belong to the day on which they begin.
    pub fn holds(&self, now: Timestamp) -> Truth {
        let here = now.to_zoned(self.zone.clone());
        let (today, time) = (here.weekday(), here.time());
        let yesterday = today.previous();
        let on = |day: Weekday| self.days.contains(&day);
        Truth::from(if self.from < self.to {
            on(today) && self.from <= time && time < self.to
        } else {
            on(today) && self.from <= time || on(yesterday) && time < self.to
        })
    }
}

const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

fn parse_days(text: &str) -> Result<Vec<Weekday>, ScheduleError> {
    let day = |name: &str| {
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        names.into_iter().zip(WEEK).find(|(known, _)| *known == name).map(|(_, day)| day)
    };
    let refused = || ScheduleError::Day(text.to_owned());
    match text.split_once('-') {
        None => Ok(vec![day(text).ok_or_else(refused)?]),
        Some((first, last)) => {
            let (first, last) = (day(first).ok_or_else(refused)?, day(last).ok_or_else(refused)?);
            let mut days = vec![first];
            while days.last().is_some_and(|day| *day != last) && days.len() < WEEK.len() {
                days.extend(days.last().map(|day| day.next()));
            }
            Ok(days)
        }
    }
}

fn parse_hours(text: &str) -> Result<(Time, Time), ScheduleError> {
    let refused = || ScheduleError::Hours(text.to_owned());
    let time = |text: &str| {
        let (hour, minute) = text.split_once(':')?;
        if hour.len() != 2 || minute.len() != 2 {
            return None;
        }
        match (hour.parse().ok()?, minute.parse().ok()?) {
            (24, 0) => Some(Time::midnight()),
            (hour, minute) => Time::new(hour, minute, 0, 0).ok(),
        }
    };
    let (from, to) = text.split_once('-').ok_or_else(refused)?;
    let (from, to) = (time(from.trim()).ok_or_else(refused)?, time(to.trim()).ok_or_else(refused)?);
    if from == to && from != Time::midnight() { Err(refused()) } else { Ok((from, to)) }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(days: &[&str], hours: Option<&str>, zone: Option<&str>) -> Result<Schedule, ScheduleError> {
        Schedule::parse(days.iter().copied(), hours, zone)
    }

    #[test]
    fn times_of_the_week() {
        let office = schedule(&["mon-fri"], Some("08:00-18:00"), Some("Europe/Berlin")).expect("a schedule");
        let night = schedule(&["fri", "sat"], Some("22:00-06:00"), None).expect("a schedule");
        let weekend = schedule(&["sat-sun"], None, None).expect("a schedule");
        let over = schedule(&["sun-mon"], Some("00:00-24:00"), None).expect("a schedule");
        for (schedule, now, want) in [
            // 2026-11-20 was a Friday; Berlin is one hour ahead of UTC in winter, two in summer.
            (&office, "2026-11-20T06:59:59Z", false),
            (&office, "2026-11-20T07:00:00Z", true),
            (&office, "2026-11-20T16:59:59Z", true),
            (&office, "2026-11-20T17:00:00Z", false),
            (&office, "2026-07-17T06:00:00Z", true),
            (&office, "2026-11-21T12:00:00Z", false),
            (&night, "2026-11-20T21:59:00Z", false),
            (&night, "2026-11-20T22:00:00Z", true),
            (&night, "2026-11-21T05:59:00Z", true),
            (&night, "2026-11-21T06:00:00Z", false),
            (&night, "2026-11-22T05:59:00Z", true),
            (&night, "2026-11-22T22:30:00Z", false),
            (&night, "2026-11-20T03:00:00Z", false),
            (&weekend, "2026-11-20T23:59:59Z", false),
            (&weekend, "2026-11-21T00:00:00Z", true),
            (&weekend, "2026-11-22T23:59:59Z", true),
            (&over, "2026-11-22T00:00:00Z", true),
            (&over, "2026-11-24T00:00:00Z", false),
        ] {
            let now: Timestamp = now.parse().expect("a time");
            assert_eq!(schedule.holds(now), Truth::from(want), "{schedule} {now}");
        }
    }

    #[test]
    fn mistakes_say_what_to_write() {
        let day = |text: &str| Some(ScheduleError::Day(text.into()));
        let hours = |text: &str| Some(ScheduleError::Hours(text.into()));
        assert_eq!(schedule(&["monday"], None, None).err(), day("monday"));
        assert_eq!(schedule(&["mon-"], None, None).err(), day("mon-"));
        for text in ["8-18", "08:00", "8:00-18:00", "08:00-25:00", "08:60-18:00", "08:00-08:00", ""] {
            assert_eq!(schedule(&[], Some(text), None).err(), hours(text), "{text}");
        }
        assert_eq!(schedule(&[], None, Some("Mars/Phobos")).err(), Some(ScheduleError::Zone("Mars/Phobos".into())));
    }
}
