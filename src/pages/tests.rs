//! Tables of values for hours, and of the read-back check on them.

use std::sync::Arc;

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::hours::Hours;
use crate::hours::tests::{at, hours};
use crate::model::{DriftPolicy, Missing, Origin, PageId};

use crate::pages::conditions::Conditions;
use crate::pages::definition::Clause;
use crate::pages::definition::Overridden;
use crate::pages::{Definition, Owned, Page, UntypedValue};
use crate::shapes::{self, ConsumerModel, Language, TimeFormat};

/// The way a value shows hours, in short.
type Shows = (&'static str, ConsumerModel, TimeFormat);

/// The name of a value and the way it shows hours.
type Named = (&'static str, Shows);

const fn shows(show: &'static str, consumer: ConsumerModel) -> Shows {
    (show, consumer, TimeFormat::Minutes)
}

fn showing(hours: &Arc<Hours>, (show, consumer, format): Shows) -> Definition {
    let (hours, origin) = (hours.clone(), Origin::named("test"));
    let mut show = shapes::named(show).unwrap();
    (show.with.format, show.with.consumer) = (format, consumer);
    Definition::Hours { hours, show, otherwise: UntypedValue::Json(Value::Null), origin }
}

fn page(variables: Vec<(&str, Definition)>) -> Page {
    let owned = |(name, definition): (&str, Definition)| Owned {
        variable: name.parse().unwrap(),
        definition,
        row: None,
    };
    Page {
        id: "agent/live".parse::<PageId>().unwrap(),
        key: String::new(),
        follow: None,
        on_drift: DriftPolicy::default(),
        zone: None,
        variables: variables.into_iter().map(owned).collect(),
        missing: Missing::Refuse,
        origin: Origin::named("test"),
        row: None,
    }
}

/// Returns the values of a page at a local time in London, or the first problem.
fn held(page: &Page, local: &str) -> Result<Vec<Value>, String> {
    let desired = page.desired(at(crate::zone::named("Europe/London"), local));
    let values =
        |values: crate::pages::Desired| values.values.iter().map(|value| value.value.to_json()).collect();
    desired.map(values).map_err(|problems| problems[0].to_string())
}

fn object(entries: Vec<(&str, Definition)>) -> Definition {
    let entries = entries.into_iter().map(|(key, definition)| (key.to_owned(), definition)).collect();
    Definition::Object { entries, origin: Origin::named("test") }
}

fn always(definition: Definition) -> Definition {
    let origin = Origin::named("test");
    let otherwise = Box::new(Definition::Constant { value: json!("x"), origin: origin.clone() });
    Definition::When {
        clauses: vec![Clause { conditions: Conditions::default(), definition, origin }],
        otherwise,
    }
}

#[test]
fn spoken_text_does_not_change_before_its_reported_transition() {
    for weekly in
        ["Mo-Su 08:00-24:00", "Mo-Sa 00:00-24:00", "Mo-Fr 06:00-05:00", "Fr-Sa 22:00-02:00; Mo 09:00-17:00"]
    {
        let hours = hours("Europe/London", weekly, "2026-12-25 closed");
        for code in Language::codes() {
            let mut show = shapes::named("spoken").unwrap();
            show.with.language = code.parse().unwrap();
            let said = |now| show.value(&hours, now, &Origin::named("test")).unwrap();
            let (mut now, end) = (at(hours.zone, "2026-11-26T12:00"), at(hours.zone, "2026-12-06T12:00"));
            while now < end {
                let until = show.until(&hours, now).unwrap();
                let last = until - TimeDelta::seconds(1);
                assert_eq!(said(now), said(last), "{weekly} from {now} to {until}");
                now = until;
            }
        }
    }
}

#[test]
fn consumer_models_are_found_behind_conditions_overrides_and_ahead() {
    let hours = Arc::new(hours("Europe/London", "Mo-Su 09:00-17:00", "2026-12-25 closed"));
    let regular = || showing(&hours, shows("regular_hours", ConsumerModel::OneInterval));
    let special = || showing(&hours, shows("special_hours", ConsumerModel::None));
    let overridden = |during: Definition| {
        let from = at(hours.zone, "2026-12-01T00:00");
        let computed = Definition::Constant { value: json!("x"), origin: Origin::named("test") };
        let words = "override".to_owned();
        Definition::Overridden(Box::new(Overridden { from, until: None, words, during, computed }))
    };
    let ahead = |definition| Definition::Ahead { of: Box::new(definition), by: TimeDelta::days(7) };
    let list = |item| Definition::List { items: vec![item], rows: Vec::new(), origin: Origin::named("test") };
    for (what, local, definition) in [
        ("an object", "2026-12-25T08:00", object(vec![("r", regular())])),
        ("a condition", "2026-12-25T08:00", always(object(vec![("r", regular())]))),
        ("an override", "2026-12-25T08:00", overridden(object(vec![("r", regular())]))),
        ("a week ahead", "2026-12-18T08:00", ahead(object(vec![("r", regular())]))),
        ("a list", "2026-12-25T08:00", always(list(object(vec![("r", regular())])))),
        ("all of them", "2026-12-18T08:00", overridden(ahead(always(list(always(regular())))))),
    ] {
        let problem = held(&page(vec![("x", definition)]), local).unwrap_err();
        assert!(problem.contains("would be read as open on Fri 2026-12-25 09:00"), "{what}: {problem}");
    }
    let both = || object(vec![("r", always(regular())), ("s", special())]);
    for (local, definition) in [
        ("2026-12-25T08:00", always(both())),
        ("2026-12-18T08:00", ahead(always(both()))),
        ("2026-12-18T08:00", always(object(vec![("r", regular())]))),
    ] {
        held(&page(vec![("x", definition)]), local).unwrap();
    }
}

#[test]
fn values_in_the_same_object_are_read_back_together() {
    let special_date = "2026-12-25 closed";
    let regular = shows("regular_hours", ConsumerModel::OneInterval);
    let special = shows("special_hours", ConsumerModel::None);
    let opens = shows("opens_at", ConsumerModel::OneInterval);
    let closes = shows("closes_at", ConsumerModel::OneInterval);
    let cases: &[(&str, &[Named], Option<&str>)] = &[
        ("09:00-17:00", &[("r", regular), ("s", special)], None),
        ("09:00-17:00", &[("/leeds/r", regular), ("/leeds/s", special)], None),
        (
            "09:00-17:00",
            &[("/leeds/r", regular), ("/leeds/s", special), ("/york/r", regular)],
            Some("/york/r"),
        ),
        ("09:00-17:00", &[("/sites[name=York]/r", regular), ("/sites[name=Leeds]/s", special)], Some("York")),
        ("09:00-17:00", &[("r", regular), ("/leeds/s", special)], Some("r would be read")),
        ("22:00-02:00", &[("/leeds/opens", opens), ("/leeds/closes", closes)], Some("/leeds/closes")),
        ("22:00-02:00", &[("/leeds/opens", opens), ("/york/closes", closes)], None),
    ];
    for (weekly, variables, reported) in cases {
        let hours = Arc::new(hours("Europe/London", &format!("Mo-Su {weekly}"), special_date));
        let variables = variables.iter().map(|(name, how)| (*name, showing(&hours, *how))).collect();
        let problem = held(&page(variables), "2026-12-25T01:00").err();
        let is_as_expected = match (&problem, reported) {
            (Some(problem), Some(reported)) => problem.contains(reported),
            (problem, reported) => problem.is_none() && reported.is_none(),
        };
        assert!(is_as_expected, "{weekly} {reported:?}: {problem:?}");
    }
}

#[test]
fn a_close_at_midnight_follows_the_consumer_model_or_is_refused_with_a_hint() {
    use ConsumerModel::{Intervals, OneInterval};
    let cases: &[(&str, &[Shows], Option<&str>)] = &[
        ("18:00-24:00", &[shows("numbered", Intervals)], None),
        ("18:00-24:00", &[shows("weekdays", Intervals)], None),
        ("18:00-24:00", &[shows("week", Intervals)], None),
        ("18:00-24:00", &[shows("today", Intervals)], None),
        ("18:00-24:00", &[shows("regular_hours", Intervals), shows("special_hours", Intervals)], None),
        ("18:00-24:00", &[shows("weekdays", OneInterval)], Some("use show = \"numbered\"")),
        ("18:00-24:00", &[shows("regular_hours", OneInterval)], Some("use show = \"numbered\"")),
        (
            "18:00-24:00",
            &[shows("opens_at", OneInterval), shows("closes_at", OneInterval)],
            Some("format = \"hour\""),
        ),
        (
            "18:00-24:00",
            &[
                ("opens_at", OneInterval, TimeFormat::Seconds),
                ("closes_at", OneInterval, TimeFormat::Seconds),
            ],
            Some("format = \"hour\""),
        ),
        (
            "18:00-24:00",
            &[("opens_at", OneInterval, TimeFormat::Hour), ("closes_at", OneInterval, TimeFormat::Hour)],
            None,
        ),
        (
            "18:00-24:00",
            &[shows("opens_at", ConsumerModel::None), shows("closes_at", ConsumerModel::None)],
            None,
        ),
    ];
    for (weekly, shown, reported) in cases {
        let hours = Arc::new(hours("Europe/London", &format!("Mo-Su {weekly}"), "2026-12-02 10:00-24:00"));
        let variables = ["a", "b"].into_iter().zip(*shown).map(|(name, how)| (name, showing(&hours, *how)));
        let page = page(variables.collect());
        for local in ["2026-12-01T18:30", "2026-12-02T12:00", "2026-12-03T23:59"] {
            let problem = held(&page, local).err();
            let is_as_expected = match (&problem, reported) {
                (Some(problem), Some(reported)) => problem.contains(reported),
                (problem, reported) => problem.is_none() && reported.is_none(),
            };
            assert!(is_as_expected, "{weekly} {shown:?} at {local}: {problem:?}");
        }
    }
}

/// An interval from 00:00 to 00:00 is a whole day to some agents, and empty to other agents.
#[test]
fn a_day_open_around_the_clock_is_refused_by_every_shape() {
    let hours = Arc::new(hours("Europe/London", "Mo-Su 00:00-24:00", ""));
    for how in [
        shows("numbered", ConsumerModel::Intervals),
        shows("weekdays", ConsumerModel::Intervals),
        shows("weekdays", ConsumerModel::OneInterval),
    ] {
        let problem = held(&page(vec![("a", showing(&hours, how))]), "2026-12-01T12:00").unwrap_err();
        assert!(
            problem.contains("show is_open, because no consumer model for such texts supports a day"),
            "{problem}"
        );
    }
}

#[test]
fn intervals_of_an_ordinary_day_that_touch_or_overlap_are_one() {
    for (weekly, text) in [
        ("08:00-12:00, 12:00-18:00", "08:00-18:00"),
        ("13:00-18:00, 08:00-14:00", "08:00-18:00"),
        ("08:00-12:00, 09:00-10:00, 13:00-18:00", "08:00-12:00, 13:00-18:00"),
        ("18:00-24:00, 00:00-02:00", "00:00-02:00, 18:00-24:00"),
        ("08:00-20:00, 20:00-02:00", "08:00-02:00"),
    ] {
        let hours = Arc::new(hours("Europe/London", "Mo 08:00-09:00", ""));
        let day = crate::hours::Day {
            intervals: crate::hours::parse_day(weekly).unwrap(),
            name: None,
            origin: Origin::named("test"),
        };
        let hours =
            Arc::new(Hours { weekly: std::array::from_fn(|_| Some(day.clone())).into(), ..(*hours).clone() });
        let value = |show| {
            held(&page(vec![("x", showing(&hours, shows(show, ConsumerModel::None)))]), "2026-12-01T12:00")
                .unwrap()
                .remove(0)
        };
        assert_eq!(value("weekdays")["monday"], text);
        assert_eq!(value("numbered")["01_monday"], text.replace(", ", ";").replace("24:00", "00:00"));
        let regular = value("regular_hours");
        let mondays = regular.as_array().unwrap().iter().filter(|item| item["day_of_week"] == "monday");
        let part = |item: &Value, key: &str| item[key].as_str().unwrap()[..5].to_owned();
        let mondays: Vec<String> =
            mondays.map(|item| part(item, "opening") + "-" + &part(item, "closing")).collect();
        assert_eq!(mondays.join(", "), text);
    }
}

#[test]
fn a_variant_week_lists_all_days_and_is_read_back_by_its_consumer_model() {
    let hours =
        Arc::new(hours("Europe/London", "Mo 09:00-12:00, 13:00-17:00; Fr 10:00-24:00", "2026-12-04 closed"));
    let line = |consumer| {
        held(&page(vec![("x", showing(&hours, shows("variant_week", consumer)))]), "2026-11-30T08:00")
    };
    let text = "Mon: 09:00-12:00, 13:00-17:00; Tue: Closed; Wed: Closed; Thu: Closed; Fri: 10:00-24:00; Sat: Closed; Sun: Closed";
    assert_eq!(line(ConsumerModel::None), Ok(vec![json!(text)]));
    assert_eq!(line(ConsumerModel::Intervals), Ok(vec![json!(text.replace("24:00", "00:00"))]));
    let misread = line(ConsumerModel::OneInterval).unwrap_err();
    assert!(misread.contains("x would be read as closed on Mon 2026-11-30 09:00:00"), "{misread}");
}

#[test]
fn a_special_night_stays_on_the_page_until_it_ends() {
    use ConsumerModel::Intervals;
    let hours = Arc::new(hours("Europe/London", "Mo-Su 09:00-17:00", "2026-11-27 20:00-02:00"));
    let cases: &[&[Shows]] = &[
        &[shows("numbered", Intervals)],
        &[shows("weekdays", Intervals)],
        &[shows("regular_hours", Intervals), shows("special_hours", Intervals)],
    ];
    for shown in cases {
        let variables = ["a", "b"].into_iter().zip(*shown).map(|(name, how)| (name, showing(&hours, *how)));
        held(&page(variables.collect()), "2026-11-28T00:30").unwrap();
    }
    for (show, reported) in [("week", "use show = \"numbered\""), ("today", "use show = \"numbered\"")] {
        let problem = held(&page(vec![("x", showing(&hours, shows(show, Intervals)))]), "2026-11-28T00:30")
            .unwrap_err();
        assert!(problem.contains(reported), "{problem}");
    }
}
