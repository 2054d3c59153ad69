//! The model of the simulated world: sites, regions, holidays, closures, messages, overrides, and
//! the pages that show them. It computes the desired value of every variable in the plainest way
//! and shares no code with the program. It stays one file, to be read as a whole against the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::time::Duration;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use fastrand::Rng;
use rtconfd::model::{Environment, PageId};
use serde_json::{Map, Value, json};

pub type At = DateTime<Utc>;

/// Zones without a clock change near any opening or closing used here.
pub const ZONES: [Tz; 5] =
    [Tz::Europe__London, Tz::America__New_York, Tz::Asia__Kathmandu, Tz::Australia__Sydney, Tz::UTC];
const DAYS: [&str; 7] = ["Mo", "Tu", "We", "Th", "Fr", "Sa", "Su"];

/// One row of `sites.csv`.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    pub zone: Tz,
    /// Minutes from midnight for each weekday, Monday first; above 1440 is past midnight.
    pub week: [Vec<(u32, u32)>; 7],
    pub phone: String,
    pub region: &'static str,
}

/// The pages that the settings define besides a live page for each site.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Has {
    /// Each site's page in pre-release, promoted from the live one.
    pub followers: bool,
    /// Pages for the sites of [`REGION`] only: their sandboxes, a week ahead, and the board of all.
    pub region: bool,
}

/// A page, by its purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Live(usize),
    Follower(usize),
    Ahead(usize),
    Board,
}

/// The desired values of a page, by owned name as for [`part`].
pub type Expected = Vec<(String, Value)>;

/// The content of all inputs at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    pub has: Has,
    pub sites: Vec<Site>,
    /// The manager of each of [`REGIONS`].
    pub managers: [String; 2],
    /// The open interval by site and date; `None` is closed.
    pub closures: BTreeMap<(usize, NaiveDate), Option<(u32, u32)>>,
    pub holidays: BTreeSet<NaiveDate>,
    pub greeting: String,
    /// A value in the settings whose drift is kept.
    pub motto: String,
}

/// An override set by a person.
#[derive(Clone, Debug, PartialEq)]
pub struct Overridden {
    pub id: i64,
    pub places: Vec<Place>,
    /// The sites it covers on the board.
    pub on_board: Vec<usize>,
    pub says: WriterEvent,
    pub from: At,
    pub until: Option<At>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum WriterEvent {
    Closed,
    Open,
    Phone(String),
}

/// The dates between which `season` has a value, on each page's own wall clock.
pub const SEASON: (&str, &str) = ("2026-12-01", "2027-01-07");

pub const REGIONS: [&str; 2] = ["NE", "NW"];
/// The region that has sandboxes and a board.
pub const REGION: &str = REGIONS[0];

/// The time after which a change is promoted from the live page.
pub const AFTER: Duration = Duration::from_secs(3 * 3600);
/// The time by which sandboxes are ahead of the clock.
const AHEAD: TimeDelta = TimeDelta::days(7);

impl Place {
    pub fn agent(self) -> String {
        match self {
            Self::Live(site) | Self::Follower(site) | Self::Ahead(site) => format!("A-{site}"),
            Self::Board => "A-board".to_owned(),
        }
    }

    pub fn environment(self) -> Environment {
        match self {
            Self::Live(_) | Self::Board => Environment::Live,
            Self::Follower(_) => Environment::PreRelease,
            Self::Ahead(_) => Environment::Sandbox,
        }
    }

    pub fn of(page: &PageId) -> Self {
        if page.agent == "A-board" {
            return Self::Board;
        }
        let site = page.agent.strip_prefix("A-").unwrap().parse().unwrap();
        match page.environment {
            Environment::Live => Self::Live(site),
            Environment::PreRelease => Self::Follower(site),
            Environment::Sandbox => Self::Ahead(site),
        }
    }

    /// Returns the array that contains our items and other items, and the field that names each.
    pub fn items(self) -> (&'static str, &'static str) {
        if self == Self::Board { ("flags", "site") } else { ("desk", "name") }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.agent(), self.environment())
    }
}

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
            region: REGIONS[number % 2],
        }
    }

    fn today(&self, at: At) -> NaiveDate {
        at.with_timezone(&self.zone).date_naive()
    }

    fn season(&self, at: At) -> &'static str {
        let is_on = date(SEASON.0) <= self.today(at) && self.today(at) < date(SEASON.1);
        if is_on { "Happy holidays!" } else { "" }
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
    pub fn any(random: &mut Rng, sites: usize, has: Has) -> Self {
        let start = date("2026-09-07");
        let holidays: Vec<NaiveDate> =
            (0..12).map(|month| start + Days::new(month * 30 + random.u64(20..30))).collect();
        Self {
            has,
            managers: ["anna", "bert"].map(str::to_owned),
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

    pub fn regions_csv(&self) -> String {
        let rows = REGIONS.iter().zip(&self.managers);
        rows.fold("region,manager\n".to_owned(), |text, (region, manager)| {
            text + &format!("{region},{manager}\n")
        })
    }

    pub fn settings(&self) -> String {
        let environments = match self.has.followers {
            true => "environment = [\"live\", \"pre-release\"]\nfollow = \"live\"\nafter = \"3h\"",
            false => "environment = \"live\"",
        };
        let hold = if self.has.followers || self.has.region { HOLD } else { "" };
        let of_region = if self.has.region { OF_REGION } else { "" };
        let settings = SETTINGS.to_owned() + hold + of_region;
        settings.replace("ENVIRONMENTS", environments).replace("HOURS", HOURS).replace("MOTTO", &self.motto)
    }

    /// Returns every page of the API, defined or not.
    pub fn places(&self) -> Vec<Place> {
        let sites = 0..self.sites.len();
        let mut places: Vec<Place> = sites.clone().map(Place::Live).collect();
        if self.has.followers {
            places.extend(sites.clone().map(Place::Follower));
        }
        if self.has.region {
            places.extend(sites.map(Place::Ahead));
            places.push(Place::Board);
        }
        places
    }

    /// Returns true if the settings define the page.
    pub fn defines(&self, place: Place) -> bool {
        match place {
            Place::Live(site) => site < self.sites.len(),
            Place::Follower(site) => self.has.followers && site < self.sites.len(),
            Place::Ahead(site) => self.has.region && self.sites[site].region == REGION,
            Place::Board => self.has.region,
        }
    }

    /// Returns true if a page is made from a row of a region.
    pub fn is_of(&self, place: Place, region: &str) -> bool {
        match place {
            Place::Live(site) | Place::Follower(site) | Place::Ahead(site) => {
                self.sites[site].region == region && self.defines(place)
            }
            Place::Board => false,
        }
    }

    pub fn messages_json(&self) -> String {
        format!("{{\"greeting\": \"{}\"}}\n", self.greeting)
    }

    /// Returns the hours of a date: from a closure, else a holiday, else the week.
    fn hours_on(&self, number: usize, date: NaiveDate) -> Vec<(u32, u32)> {
        let site = &self.sites[number];
        match self.closures.get(&(number, date)) {
            Some(open) => open.iter().copied().collect(),
            None if self.holidays.contains(&date) => Vec::new(),
            None => site.week[date.weekday().num_days_from_monday() as usize].clone(),
        }
    }

    pub fn is_open(&self, number: usize, at: At) -> bool {
        let (zone, today) = (self.sites[number].zone, self.sites[number].today(at));
        [today - Days::new(1), today].into_iter().any(|date| {
            self.hours_on(number, date)
                .into_iter()
                .any(|(from, to)| instant(zone, date, from) <= at && at < instant(zone, date, to))
        })
    }

    /// Returns the desired values of a page; `None` if it is not defined.
    pub fn expected(&self, place: Place, at: At, overrides: &[Overridden]) -> Option<Expected> {
        if !self.defines(place) {
            return None;
        }
        let values = match place {
            Place::Board => return Some(self.expected_board(at, overrides)),
            Place::Ahead(site) => self.expected_ahead(site, at, overrides),
            Place::Live(site) | Place::Follower(site) => self.expected_site(place, site, at, overrides),
        };
        Some(values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    fn expected_site(
        &self,
        place: Place,
        number: usize,
        at: At,
        overrides: &[Overridden],
    ) -> Vec<(&'static str, Value)> {
        let site = &self.sites[number];
        let meant = overrides.iter().filter(|set| set.places.contains(&place));
        let (open, phone) = overridden(meant, at);
        vec![
            ("is_open", json!(open.unwrap_or_else(|| self.is_open(number, at)))),
            ("phone", json!(phone.unwrap_or(&site.phone))),
            ("greeting", json!(self.greeting)),
            ("season", json!(site.season(at))),
            ("box.holiday", json!(self.holidays.contains(&site.today(at)))),
            ("motto", json!(self.motto)),
            ("label", json!("L")),
            ("desk.main/phone", json!(site.phone)),
        ]
    }

    /// Returns the values as they will be in a week, except overrides, which apply now.
    fn expected_ahead(&self, number: usize, at: At, overrides: &[Overridden]) -> Vec<(&'static str, Value)> {
        let (site, then) = (&self.sites[number], at + AHEAD);
        let meant = overrides.iter().filter(|set| set.places.contains(&Place::Ahead(number)));
        let (open, phone) = overridden(meant, at);
        vec![
            ("is_open", json!(open.unwrap_or_else(|| self.is_open(number, then)))),
            ("phone", json!(phone.unwrap_or(&site.phone))),
            ("season", json!(site.season(then))),
            ("box.holiday", json!(self.holidays.contains(&site.today(then)))),
            ("manager", json!(self.managers[0])),
        ]
    }

    /// Returns the sites of the region as an owned array, and a flag of each in a shared array.
    fn expected_board(&self, at: At, overrides: &[Overridden]) -> Expected {
        let is_open = |number: usize| {
            let meant = overrides.iter().filter(|set| set.on_board.contains(&number));
            overridden(meant, at).0.unwrap_or_else(|| self.is_open(number, at))
        };
        let of_region = || self.sites.iter().enumerate().filter(|(_, site)| site.region == REGION);
        let item = |(number, site): (usize, &Site)| {
            json!({
                "site": format!("s{number}"),
                "open": is_open(number),
                "phone": site.phone,
                "manager": self.managers[0],
            })
        };
        let flag = |(number, _)| (format!("flags.s{number}/open"), json!(is_open(number)));
        let sites = ("sites".to_owned(), of_region().map(item).collect());
        [sites].into_iter().chain(of_region().map(flag)).collect()
    }
}

/// Returns the opening state and the phone number set by overrides for a page or a site.
fn overridden<'s>(meant: impl Iterator<Item = &'s Overridden>, at: At) -> (Option<bool>, Option<&'s String>) {
    let (mut open, mut phone) = (None, None);
    for set in meant {
        if set.from <= at && set.until.is_none_or(|until| at < until) {
            match &set.says {
                WriterEvent::Closed => open = Some(false),
                WriterEvent::Open => open = Some(true),
                WriterEvent::Phone(text) => phone = Some(text),
            }
        }
    }
    (open, phone)
}

/// Returns the value under an owned name: a key, a key below one, or a field of an item.
pub fn part<'v>(variables: &'v Map<String, Value>, name: &str) -> Option<&'v Value> {
    match name.split_once('.') {
        None => variables.get(name),
        Some((key @ ("desk" | "flags"), path)) => {
            let (item, field) = path.split_once('/')?;
            let named = if key == "desk" { "name" } else { "site" };
            let items = variables.get(key)?.as_array()?;
            items.iter().find(|found| found[named] == json!(item))?.get(field)
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

/// The settings; everything else is in the files.
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
ENVIRONMENTS
create_items = true
on_drift = { "*" = "restore", motto = "keep", label = "report" }
hours = HOURS
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

const HOURS: &str = r#"{ timezone = "{{ row.zone }}", weekly = "{{ row.hours }}", closed_on = ["holidays"], special_from = { source = "closures", match = { site = "{{ row.site }}" } } }"#;

/// Each site is on several pages, so in a small world one closure is a large share.
const HOLD: &str = "[hold]\nclosed_percent = 100\n";

/// The settings of the pages that show the sites of one region.
const OF_REGION: &str = r#"
[sources.regions]
path = "regions.csv"
key = "region"
[[page]]
for_each = { source = "sites", where = { region = "NE" } }
agent = "{{ row.agent }}"
environment = "sandbox"
ahead = "7d"
join = { regions = "{{ row.region }}" }
hours = HOURS
[page.variables]
is_open = { show = "is_open" }
phone = { column = "phone" }
season = { when = [{ from = "2026-12-01", until = "2027-01-07", value = "Happy holidays!" }], otherwise = "" }
"/box/holiday" = { calendar = "holidays", show = "is_today" }
manager = "{{ regions.manager }}"
[[page]]
agent = "A-board"
environment = "live"
create_items = true
[page.variables.sites]
each = { source = "sites", where = { region = "NE" } }
join = { regions = "{{ row.region }}" }
hours = HOURS
item = { site = "{{ row.site }}", open = { show = "is_open" }, phone = { column = "phone" }, manager = "{{ regions.manager }}" }
[[page.each]]
source = "sites"
where = { region = "NE" }
hours = HOURS
variables = { "/flags[site={{ row.site }}]/open" = { show = "is_open" } }
"#;
