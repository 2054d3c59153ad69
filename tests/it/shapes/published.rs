//! Hours in the formats of Google and schema.org, accepted and refused.

use serde_json::{Value, json};

use super::{GOOGLE, NOON, SCHEMA_ORG, check_problems, folder, planned, published};
use crate::support::Api;

#[test]
fn published_hours_of_google_and_schema_org_are_read() {
    let api = Api::start();
    let page = |hours: &str, json: &Value| {
        let folder = folder(
            &api,
            &format!(
                "[sources.place]\npath = \"place.json\"\n[[page]]\nagent = \"A-1\"\nenvironment = \"live\"\nhours = {{ {hours}, closed_on = [\"holidays\"] }}\nvariables = {{ hours = {{ show = \"numbered\", days = 90 }} }}\n"
            ),
        );
        folder.write("place.json", &format!("{json}\n"));
        folder
    };
    // The example of the Business Profile reference: TimeOfDay omits zero fields.
    let google = json!({"locations": [{
        "regularHours": {"periods": [
            {"openDay": "MONDAY", "openTime": {"hours": 9}, "closeDay": "MONDAY", "closeTime": {"hours": 17, "minutes": 30}},
            {"openDay": "FRIDAY", "openTime": {"hours": 22}, "closeDay": "SATURDAY", "closeTime": {"hours": 2}},
            {"openDay": "SUNDAY", "openTime": {"hours": 9}, "closeDay": "SUNDAY", "closeTime": {"hours": 24}},
        ]},
        "specialHours": {"specialHourPeriods": [
            {"startDate": {"year": 2026, "month": 12, "day": 24}, "openTime": {"hours": 9}, "endDate": {"year": 2026, "month": 12, "day": 24}, "closeTime": {"hours": 13}},
            {"startDate": {"year": 2027, "month": 1, "day": 1}, "closed": true},
        ]},
        "moreHours": [{"hoursTypeId": "DELIVERY", "periods": [{"openDay": "TUESDAY", "openTime": "11:00", "closeDay": "TUESDAY", "closeTime": "14:00"}]}],
    }]});
    let planned_hours = |hours: &str, json: &Value| planned(&page(hours, json), NOON)["hours"].clone();
    let regular = planned_hours("google = { source = \"place\", pointer = \"/locations/0\" }", &google);
    assert_eq!(
        [&regular["01_monday"], &regular["02_tuesday"], &regular["05_friday"], &regular["07_sunday"]],
        [&json!("09:00-17:30"), &json!("closed"), &json!("22:00-02:00"), &json!("09:00-00:00")]
    );
    assert_eq!(
        regular["08_special_dates"],
        json!([
            {"date": "2026-12-24", "hours": "09:00-13:00"},
            {"date": "2026-12-25", "hours": "closed", "name": "Christmas Day"},
            {"date": "2027-01-01", "hours": "closed"},
        ])
    );
    let delivery = planned_hours(
        "google = { source = \"place\", pointer = \"/locations/0\", more = \"DELIVERY\" }",
        &google,
    );
    assert_eq!((&delivery["01_monday"], &delivery["02_tuesday"]), (&json!("closed"), &json!("11:00-14:00")));

    // From schema.org's examples and Google's guidance for closed days and whole days.
    let schema_org = json!({"@type": "Store", "openingHoursSpecification": [
        {"@type": "OpeningHoursSpecification", "dayOfWeek": ["Monday", "https://schema.org/Tuesday"], "opens": "09:00", "closes": "17:00:00"},
        {"dayOfWeek": "http://schema.org/Saturday", "opens": "00:00", "closes": "23:59"},
        {"dayOfWeek": "Friday", "opens": "18:00", "closes": "02:00"},
        {"dayOfWeek": "PublicHolidays", "opens": "10:00", "closes": "12:00"},
        {"validFrom": "2026-12-30", "validThrough": "2026-12-31", "opens": "00:00", "closes": "00:00"},
    ], "specialOpeningHoursSpecification": {"validFrom": "2027-01-04", "validThrough": "2027-01-10", "dayOfWeek": "Monday", "opens": "12:00", "closes": "14:00"}});
    let read = planned_hours("schema_org = { source = \"place\" }", &schema_org);
    assert_eq!(
        [
            &read["01_monday"],
            &read["02_tuesday"],
            &read["05_friday"],
            &read["06_saturday"],
            &read["07_sunday"]
        ],
        [
            &json!("09:00-17:00"),
            &json!("09:00-17:00"),
            &json!("18:00-02:00"),
            &json!("00:00-00:00"),
            &json!("closed")
        ]
    );
    assert_eq!(
        read["08_special_dates"],
        json!([
            {"date": "2026-12-25", "hours": "10:00-12:00", "name": "Christmas Day"},
            {"date": "2026-12-30", "hours": "closed"}, {"date": "2026-12-31", "hours": "closed"},
            {"date": "2027-01-04", "hours": "12:00-14:00"},
        ])
    );
    for (hours, json, reported) in [
        ("google = { source = \"place\" }", json!({}), "a location needs \"regularHours\""),
        (
            "google = { source = \"place\", more = \"X\" }",
            json!({"moreHours": []}),
            "no moreHours of type \"X\"",
        ),
        (
            "google = { source = \"place\" }",
            json!({"regularHours": {"periods": [{"openDay": "FUNDAY", "openTime": {}, "closeDay": "MONDAY", "closeTime": {}}]}}),
            "invalid day of the week \"FUNDAY\"",
        ),
        (
            "google = { source = \"place\" }",
            json!({"regularHours": {"periods": [{"openDay": "MONDAY", "openTime": {"hours": 25}, "closeDay": "MONDAY", "closeTime": {}}]}}),
            "hours: 25 is out of range",
        ),
        ("schema_org = { source = \"place\" }", json!([]), "missing OpeningHoursSpecification"),
        (
            "schema_org = { source = \"place\" }",
            json!([{"opens": "09:00", "closes": "17:00"}]),
            "these hours have no days or dates",
        ),
        (
            "schema_org = { source = \"place\" }",
            json!([{"dayOfWeek": "Monday", "opens": "9am", "closes": "17:00"}]),
            "\"9am\" is not a time",
        ),
        ("schema_org = { source = \"place\", pointer = \"/x\" }", json!([]), "has nothing at \"/x\""),
    ] {
        let err = check_problems(&page(hours, &json), NOON);
        assert!(err.contains(reported), "{hours} {json}: {err}");
    }
}

#[test]
fn contradictory_or_empty_published_hours_are_refused_with_a_hint() {
    let api = Api::start();
    let period = |open: Value, last: &str, close: Value| json!({"openDay": "MONDAY", "openTime": open, "closeDay": last, "closeTime": close});
    let day = || period(json!({"hours": 9}), "MONDAY", json!({"hours": 17}));
    let regular = |period: Value| json!({"regularHours": {"periods": [period]}});
    let special = |period: Value| json!({"regularHours": {"periods": [day()]}, "specialHours": {"specialHourPeriods": [period]}});
    let date = |day: u32| json!({"year": 2026, "month": 12, "day": day});
    let dated = |from: &str, through: &str, opens: &str, closes: &str| json!({"validFrom": from, "validThrough": through, "opens": opens, "closes": closes});
    let on = |days: &str, mut spec: Value| {
        spec["dayOfWeek"] = json!(days);
        spec
    };
    let hours = |opens: &str, closes: &str| json!({"opens": opens, "closes": closes});
    let delivery = "google = { source = \"place\", more = \"DELIVERY\" }";
    for (format, json, reported) in [
        // Google: "The closing time must occur after the opening time". It would be six days open.
        (
            GOOGLE,
            regular(period(json!({"hours": 22}), "MONDAY", json!({"hours": 2}))),
            "set closeDay to TUESDAY",
        ),
        (
            GOOGLE,
            regular(period(json!({"hours": 9}), "MONDAY", json!({}))),
            "a period of Monday closes no later",
        ),
        (GOOGLE, regular(period(json!({}), "MONDAY", json!({}))), "a period of Monday closes no later"),
        (
            GOOGLE,
            special(json!({"startDate": date(24), "openTime": {"hours": 22}, "closeTime": {"hours": 2}})),
            "set endDate to the next date",
        ),
        (GOOGLE, special(json!({"startDate": date(24)})), "\"closed\": true"),
        (GOOGLE, special(json!({"closed": true})), "a special period needs \"startDate\""),
        // Google ignores the end of a closed period.
        (
            GOOGLE,
            special(json!({"startDate": date(24), "endDate": date(26), "closed": true})),
            "a closed special period covers only its startDate, but this one ends on 2026-12-26",
        ),
        (
            GOOGLE,
            special(json!({"startDate": date(24), "endDate": date(23), "closed": true})),
            "this one ends on 2026-12-23 (hint: write a closed period for each date",
        ),
        (GOOGLE, regular(period(Value::Null, "MONDAY", json!({}))), "openTime must be a table, not null"),
        (GOOGLE, special(json!({"startDate": "2026-12-24", "closed": true})), "a date must be a table"),
        (GOOGLE, json!({}), "a location needs \"regularHours\""),
        (GOOGLE, json!({"regularHours": {}}), "regularHours needs \"periods\""),
        (GOOGLE, json!({"regularHours": {"periods": [day()], "x": 1}}), "unknown key `x` in regularHours"),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "specialHours": {"specialHourPeriods": [], "periods": []}}),
            "unknown key `periods` in specialHours",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "specialHour": {"specialHourPeriods": []}}),
            "hint: did you mean \"specialHours\"?",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "openInfo": {"status": "CLOSED"}}),
            "invalid openInfo status \"CLOSED\"",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "openinfo": {"status": "CLOSED_PERMANENTLY"}}),
            "hint: did you mean \"openInfo\"?",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "openInfo": {"Status": "CLOSED_PERMANENTLY"}}),
            "unknown key `Status` in openInfo",
        ),
        (
            GOOGLE,
            json!({"regularHours": {"periods": [day()]}, "openInfo": {"openingDate": {"month": 3}}}),
            "a date needs \"year\"",
        ),
        (
            delivery,
            json!({"moreHours": [{"hoursTypeId": "DELIVERY", "periods": [day()]}, {"hoursTypeId": "DELIVERY", "periods": []}]}),
            "duplicate moreHours of type \"DELIVERY\"",
        ),
        (
            delivery,
            json!({"moreHours": [{"hoursTypeId": "DELIVERY", "periods": [day()], "x": 1}]}),
            "unknown key `x` in moreHours",
        ),
        (delivery, json!({"regularHours": {"periods": []}}), "a location needs \"moreHours\""),
        // schema.org
        (SCHEMA_ORG, json!([on("Monday", hours("09:00", "09:00"))]), "it opens and closes at the same time"),
        (SCHEMA_ORG, json!([on("Monday", hours("23:59", "23:59"))]), "it opens and closes at the same time"),
        (
            SCHEMA_ORG,
            json!([on("Monday", hours("09:00", "12:00")), on("Monday", hours("00:00", "00:00"))]),
            "Monday is both open and closed",
        ),
        (
            SCHEMA_ORG,
            json!([
                on("PublicHolidays", hours("00:00", "00:00")),
                on("PublicHolidays", hours("09:00", "12:00"))
            ]),
            "PublicHolidays is both open and closed",
        ),
        (
            SCHEMA_ORG,
            json!([
                on("Monday", dated("2026-12-01", "2026-12-31", "09:00", "12:00")),
                on("Monday", dated("2026-12-01", "2026-12-31", "00:00", "00:00")),
            ]),
            "Monday is both open and closed",
        ),
        (
            SCHEMA_ORG,
            json!([
                on("Monday", dated("2026-12-01", "2026-12-20", "09:00", "12:00")),
                on("Monday", dated("2026-12-10", "2026-12-31", "09:00", "13:00")),
            ]),
            "2026-12-14 has hours from two date ranges, and neither is inside the other",
        ),
        (
            SCHEMA_ORG,
            json!([
                dated("2026-12-01", "2026-12-20", "09:00", "12:00"),
                dated("2026-12-10", "2026-12-31", "00:00", "00:00"),
            ]),
            "2026-12-10 has hours from two date ranges, and neither is inside the other",
        ),
        (
            SCHEMA_ORG,
            json!([on("PublicHolidays", dated("2026-12-01", "2026-12-31", "09:00", "12:00"))]),
            "hours of PublicHolidays cannot be limited to dates",
        ),
        (
            SCHEMA_ORG,
            json!([{"validFrom": "2026-12-24", "opens": "00:00", "closes": "00:00"}]),
            "these hours have validFrom but neither validThrough nor dayOfWeek",
        ),
        (
            SCHEMA_ORG,
            json!([{"validThrough": "2026-12-24", "opens": "00:00", "closes": "00:00"}]),
            "these hours have validThrough but neither validFrom nor dayOfWeek",
        ),
        (
            SCHEMA_ORG,
            json!([on("Monday", dated("2026-12-24", "2026-12-23", "09:00", "12:00"))]),
            "these hours end on 2026-12-23, before they begin on 2026-12-24",
        ),
        (
            SCHEMA_ORG,
            json!({"openingHoursSpecification": [on("Monday", hours("09:00", "12:00"))], "specialOpeningHoursSpecifications": []}),
            "hint: did you mean \"specialOpeningHoursSpecification\"?",
        ),
        (
            SCHEMA_ORG,
            json!([on("Monday", dated("2026-12-01", "9999-12-31", "09:00", "12:00"))]),
            "leave out an end that never comes",
        ),
        // Christmas Day is a Friday.
        (
            SCHEMA_ORG,
            json!([on("Thursday", dated("2026-12-25", "2026-12-25", "00:00", "00:00"))]),
            "no day in dayOfWeek falls within 2026-12-25 to 2026-12-25",
        ),
        // The input does not say if the 26th is included, nor the local date.
        (
            SCHEMA_ORG,
            json!([dated("2026-12-24", "2026-12-26T00:00:00", "09:00", "12:00")]),
            "validThrough \"2026-12-26T00:00:00\" is not the end of a date",
        ),
        (
            SCHEMA_ORG,
            json!([dated("2026-12-23T23:00:00Z", "2026-12-26", "09:00", "12:00")]),
            "validFrom \"2026-12-23T23:00:00Z\" is not the start of a date",
        ),
        (
            SCHEMA_ORG,
            json!([dated("2026-01-01", "2027-12-31", "09:00", "12:00")]),
            "not a range of at most 400 dates",
        ),
        (SCHEMA_ORG, json!([{"dayOfWeek": [], "opens": "09:00", "closes": "12:00"}]), "dayOfWeek has no day"),
        (
            SCHEMA_ORG,
            json!([{"dayOfWeek": "Monday", "closes": "17:00"}]),
            "an OpeningHoursSpecification needs \"opens\"",
        ),
        (
            SCHEMA_ORG,
            json!([on("Monday", json!({"opens": 9, "closes": 17}))]),
            "opens must be text, not a number",
        ),
        (
            SCHEMA_ORG,
            json!([on("Monday/Tuesday", hours("09:00", "17:00"))]),
            "invalid day of the week \"Monday/Tuesday\"",
        ),
        // In New York it is 20:00 of the day before.
        (
            SCHEMA_ORG,
            json!([dated("2026-12-24T00:00:00Z", "2026-12-26", "09:00", "12:00")]),
            "validFrom \"2026-12-24T00:00:00Z\" is not the start of a date in local time",
        ),
        (
            SCHEMA_ORG,
            json!([dated("2026-12-24", "2026-12-26T23:59foo", "09:00", "12:00")]),
            "validThrough \"2026-12-26T23:59foo\" is not the end of a date",
        ),
        // Ranges with and without weekdays are the same kind.
        (
            SCHEMA_ORG,
            json!([
                dated("2026-12-01", "2026-12-15", "09:00", "12:00"),
                on("Monday", dated("2026-12-08", "2026-12-30", "00:00", "00:00")),
            ]),
            "2026-12-14 has hours from two date ranges, and neither is inside the other",
        ),
        (
            SCHEMA_ORG,
            json!([
                dated("2026-12-01", "2026-12-15", "09:00", "12:00"),
                on("Monday", dated("2026-12-01", "2026-12-15", "00:00", "00:00")),
            ]),
            "2026-12-01 to 2026-12-15 has hours with dayOfWeek and hours without",
        ),
        (
            SCHEMA_ORG,
            json!({"openingHoursSpecification": [on("Monday", hours("09:00", "12:00"))], "specialOpeningHoursSpecification": [on("Monday", hours("00:00", "00:00"))]}),
            "special hours of a weekday need both validFrom and validThrough",
        ),
        (
            SCHEMA_ORG,
            json!({"openingHoursSpecification": [on("Monday", hours("09:00", "12:00"))], "specialOpeningHoursSpecification": {"dayOfWeek": "Monday", "validFrom": "2026-12-01", "opens": "00:00", "closes": "00:00"}}),
            "special hours of a weekday need both validFrom and validThrough",
        ),
        // A location without general hours.
        (
            SCHEMA_ORG,
            json!({"@type": "Store", "specialOpeningHoursSpecification": [dated("2026-12-24", "2026-12-24", "00:00", "00:00")]}),
            "a thing needs \"openingHoursSpecification\" (hint: special hours override general ones; add those",
        ),
        (
            SCHEMA_ORG,
            json!({"@type": "Store", "openingHoursSpecifcation": [on("Monday", hours("09:00", "12:00"))]}),
            "unknown key \"openingHoursSpecifcation\" in a thing (hint: did you mean \"openingHoursSpecification\"?",
        ),
        (
            SCHEMA_ORG,
            json!({"@type": "Store", "openingHours": "Mo-Fr 09:00-17:00"}),
            "a thing needs \"openingHoursSpecification\" (hint: its openingHours are text; write them as weekly",
        ),
        (SCHEMA_ORG, json!({"@context": "https://schema.org", "@graph": []}), "pointer = \"/@graph/0\""),
        (SCHEMA_ORG, json!({"@type": "Store"}), "a thing needs \"openingHoursSpecification\""),
    ] {
        let err = check_problems(&published(&api, format, &json), NOON).replace("\n  hint: ", " (hint: ");
        assert!(err.contains(reported) && err.contains(" (hint: "), "{format} {json}: {err}");
    }
}
