//! What the simulated world knows of itself: sites, holidays, closures, messages, overrides; and what every variable should
//! be at an instant, worked out in the plainest way. Shares no code with the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use fastrand::Rng;
use serde_json::{Map, Value, json};

pub type At = DateTime<Utc>;

/// Zones whose clocks never change near an opening or closing here.
const ZONES: [Tz; 5] =
    [Tz::Europe__London, Tz::America__New_York, Tz::Asia__Kathmandu, Tz::Australia__Sydney, Tz::UTC];
const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// One row of `sites.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    pub zone: Tz,
    /// For each weekday, Monday first, minutes from midnight; past 1440 is past midnight.
    pub week: [Vec<(u32, u32)>; 7],
    pub phone: String,
    pub region: &'static str,
}

/// All that the inputs say at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    pub sites: Vec<Site>,
    /// By site and date: open in this, or closed.
    pub closures: BTreeMap<(usize, NaiveDate), Option<(u32, u32)>>,
    pub holidays: BTreeSet<NaiveDate>,
    pub greeting: String,
    /// Written in the settings; what others make of it on a page is kept.
    pub motto: String,
}

/// What a person set.
#[derive(Clone, Debug, PartialEq)]
pub struct Overruled {
    pub id: i64,
    pub sites: Vec<usize>,
    pub says: Said,
    pub from: At,
    pub until: Option<At>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    Closed,
    Open,
    Phone(String),
}

/// The instants between which `season` says something, on each page's own wall clock.
pub const SEASON: (&str, &str) = ("2026-12-01", "2027-01-07");

impl Site {
    pub fn any(random: &mut Rng, number: usize) -> Self {
        let mut week: [Vec<(u32, u32)>; 7] = Default::default();
        for (day, hours) in week.iter_mut().enumerate() {
            *hours = match random.u8(..10) {
                0 if day != 2 => Vec::new(),
                1 => vec![(9 * 60, 12 * 60 + 30), (13 * 60 + 30, 18 * 60)],
                2 => vec![(18 * 60, 24 * 60 + 30)],
                _ => vec![(random.u32(6..12) * 60, random.u32(14..23) * 60 + random.u32(0..4) * 15)],
            };
        }
        Self {
            zone: ZONES[random.usize(..ZONES.len())],
            week,
            phone: format!("0{number}"),
            region: ["NE", "NW"][number % 2],
        }
    }

    pub fn hours_text(&self) -> String {
        let days = self.week.iter().zip(DAYS).filter(|(hours, _)| !hours.is_empty());
        let day = |(hours, day): (&Vec<(u32, u32)>, &str)| {
            let texts: Vec<String> =
                hours.iter().map(|(from, to)| format!("{}-{}", clock(*from), clock(*to))).collect();
            format!("{day} {}", texts.join(", "))
        };
        days.map(day).collect::<Vec<_>>().join("; ")
    }
}

fn clock(minutes: u32) -> String {
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

impl Inputs {
    pub fn any(random: &mut Rng, sites: usize) -> Self {
        let start = date("2026-09-07");
        let holidays: Vec<NaiveDate> =
            (0..12).map(|month| start + Days::new(month * 30 + random.u64(20..30))).collect();
        Self {
            sites: (0..sites).map(|number| Site::any(random, number)).collect(),
            closures: [((0, date("2026-08-01")), None)].into(),
            holidays: holidays.into_iter().collect(),
            greeting: "hello".to_owned(),
            motto: "we care".to_owned(),
        }
    }

    pub fn sites_csv(&self) -> String {
        let mut text = "site,agent,zone,hours,phone,region\n".to_owned();
        for (number, site) in self.sites.iter().enumerate() {
            let Site { zone, phone, region, .. } = site;
            writeln!(text, "s{number},A-{number},{zone},\"{}\",{phone},{region}", site.hours_text()).unwrap();
        }
        text
    }

    pub fn closures_csv(&self) -> String {
        let mut text = "id,site,date,hours\n".to_owned();
        for (index, ((site, date), open)) in self.closures.iter().enumerate() {
            let hours =
                open.map_or("closed".to_owned(), |(from, to)| format!("{}-{}", clock(from), clock(to)));
            writeln!(text, "c{index},s{site},{date},{hours}").unwrap();
        }
        text
    }

    pub fn holidays_ics(&self) -> String {
        let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\n".to_owned();
        for date in &self.holidays {
            let day = date.format("%Y%m%d");
            write!(
                text,
                "BEGIN:VEVENT\r\nUID:{day}\r\nDTSTART;VALUE=DATE:{day}\r\nSUMMARY:Holiday\r\nEND:VEVENT\r\n"
            )
            .unwrap();
        }
        text + "END:VCALENDAR\r\n"
    }

    pub fn settings(&self) -> String {
        SETTINGS.replace("MOTTO", &self.motto)
    }

    pub fn messages_json(&self) -> String {
        format!("{{\"greeting\": \"{}\"}}\n", self.greeting)
    }

    /// The hours of a date by the inputs: a closure decides, else a holiday, else the week.
    fn hours_on(&self, number: usize, date: NaiveDate) -> Vec<(u32, u32)> {
        let site = &self.sites[number];
        match self.closures.get(&(number, date)) {
            Some(open) => open.iter().copied().collect(),
            None if self.holidays.contains(&date) => Vec::new(),
            None => site.week[date.weekday().num_days_from_monday() as usize].clone(),
        }
    }

    pub fn is_open(&self, number: usize, at: At) -> bool {
        let zone = self.sites[number].zone;
        let today = at.with_timezone(&zone).date_naive();
        [today - Days::new(1), today].into_iter().any(|date| {
            self.hours_on(number, date)
                .into_iter()
                .any(|(from, to)| instant(zone, date, from) <= at && at < instant(zone, date, to))
        })
    }

    /// What the owned variables of a site's page should be.
    pub fn expected(&self, number: usize, at: At, overrides: &[Overruled]) -> Vec<(&'static str, Value)> {
        let site = &self.sites[number];
        let (mut open, mut phone) = (self.is_open(number, at), site.phone.clone());
        for set in overrides.iter().filter(|set| set.sites.contains(&number)) {
            if set.from <= at && set.until.is_none_or(|until| at < until) {
                match &set.says {
                    Said::Closed => open = false,
                    Said::Open => open = true,
                    Said::Phone(text) => phone.clone_from(text),
                }
            }
        }
        let today = at.with_timezone(&site.zone).date_naive();
        let season = date(SEASON.0) <= today && today < date(SEASON.1);
        vec![
            ("is_open", json!(open)),
            ("phone", json!(phone)),
            ("greeting", json!(self.greeting)),
            ("season", json!(if season { "Happy holidays!" } else { "" })),
            ("box.holiday", json!(self.holidays.contains(&today))),
            ("motto", json!(self.motto)),
            ("label", json!("L")),
            ("desk.phone", json!(site.phone)),
        ]
    }
}

/// What stands on a page under a name of ours: a key, a key below one, or a field of an item of an array.
pub fn part<'v>(variables: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    match name.split_once('.') {
        None => variables.get(name),
        Some(("desk", field)) => {
            let (item, field) = field.split_once('/').unwrap_or(("main", field));
            let items = variables.get("desk")?.as_array()?;
            items.iter().find(|found| found["name"] == json!(item))?.get(field)
        }
        Some((key, below)) => variables.get(key)?.get(below),
    }
}

fn instant(zone: Tz, date: NaiveDate, minutes: u32) -> At {
    let date = date + Days::new(u64::from(minutes / 1440));
    let local = date.and_time(NaiveTime::MIN) + TimeDelta::minutes(i64::from(minutes % 1440));
    zone.from_local_datetime(&local).earliest().expect("no clock changes here").to_utc()
}

pub fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// The settings; all else is in the files.
const SETTINGS: &str = r#"
resync = "2h"
[api]
base_url = "http://127.0.0.1:9"
[store]
path = ":memory:"
[sources.sites]
path = "sites.csv"
key = "site"
[sources.closures]
path = "closures.csv"
key = "id"
[sources.messages]
path = "messages.json"
[calendars.holidays]
path = "holidays.ics"
[[page]]
for_each = "sites"
agent = "{{ row.agent }}"
environment = "live"
create_items = true
on_drift = { "*" = "restore", motto = "keep", label = "report" }
[page.hours]
timezone = "{{ row.zone }}"
weekly = "{{ row.hours }}"
closed_on = ["holidays"]
special_from = { source = "closures", match = { site = "{{ row.site }}" } }
[page.variables]
is_open = { show = "is_open" }
phone = { column = "phone" }
greeting = { source = "messages", pointer = "/greeting" }
season = { when = [{ from = "2026-12-01", until = "2027-01-07", value = "Happy holidays!" }], otherwise = "" }
motto = "MOTTO"
label = "L"
"/desk[name=main]/phone" = { column = "phone" }
"/box/holiday" = { calendar = "holidays", show = "is_today" }
"#;
