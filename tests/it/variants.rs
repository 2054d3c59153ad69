//! `[[variants]]`: what `check`, `variants diff` and `variants export` say about them.

use rtconfd::simulator::{Fault, Kind};
use serde_json::{Value, json};

use crate::support::{Api, Folder};

const SETTINGS: &str = r#"
timezone = "Europe/London"
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
for_each = "sites"
agent = "P-{{ row.site }}"
environment = "live"
hours = { weekly = "{{ row.hours }}" }
variables = { is_open = { show = "is_open" } }
[[variants]]
for_each = "sites"
agent = "A-1"
name = "{{ row.site }}"
hours = { weekly = "{{ row.hours }}" }
[variants.attributes]
phone_number = { column = "phone" }
opening_hours = { show = "variant_week" }
address = "{{ row.street }}, {{ row.site }}"
floors = 2
"#;

const TABLE: &str = "site,hours,phone,street\nLeeds,Mo-Fr 09:00-17:00,+44 1,1 High St\nYork,Mo-Sa 10:00-18:00,+44 2,\"2, Low St\"\n";

fn folder(api: &Api) -> Folder {
    let folder = Folder::new(&api.url, "");
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    // A top-level key comes before the tables.
    folder.write("rtconfd.toml", &SETTINGS.replacen("[sources", &format!("{settings}\n[sources"), 1));
    folder.write("sites.csv", TABLE);
    folder
}

/// Sets variants on main, as a person does.
fn edit(api: &Api, variants: &Value) {
    api.simulator.edit_variants("A-1", &serde_json::from_value(variants.clone()).unwrap());
}

#[tokio::test]
async fn differences_are_shown_and_nothing_is_created_to_find_them() {
    let api = Api::start();
    let folder = folder(&api);
    let missing = folder.run(&["variants", "diff", "--format", "json"]).expect(2).lines();
    let kinds: Vec<&str> = missing.iter().map(|line| line["difference"].as_str().unwrap()).collect();
    assert_eq!(kinds, [&["missing attribute"; 4][..], &["missing variant"; 2]].concat());
    let week = "Mon: 09:00-17:00; Tue: 09:00-17:00; Wed: 09:00-17:00; Thu: 09:00-17:00; Fri: 09:00-17:00; \
                Sat: Closed; Sun: Closed";
    let leeds = json!({ "phone_number": "+44 1", "opening_hours": week, "address": "1 High St, Leeds",
                        "floors": "2", "note": "of others" });
    let york = json!({ "phone_number": "+44 9", "opening_hours": week.replace("09:00-17:00", "10:00-18:00")
                           .replace("Sat: Closed", "Sat: 10:00-18:00"), "address": "2, Low St, York", "floors": "2" });
    edit(&api, &json!({ "Leeds": leeds, "York": york, "Hull": { "phone_number": "+44 3" } }));
    let shown = folder.run(&["variants", "diff"]).expect(2).out;
    assert_eq!(
        shown,
        "AGENT   VARIANT   ATTRIBUTE      ON THE AGENT   IN THE SETTINGS\n\
         A-1     York      phone_number   \"+44 9\"        \"+44 2\"\n\
         A-1     Hull      (all)          present        not defined\n"
    );
    edit(&api, &json!({ "York": { "phone_number": "+44 2" } }));
    let surplus = folder.run(&["variants", "diff", "--format", "json"]).expect(0).lines();
    assert_eq!(surplus, [json!({ "agent": "A-1", "difference": "surplus variant", "variant": "Hull" })]);
    assert!(api.simulator.log().iter().all(|request| request.method == "GET"));
    let unknown = folder.run(&["variants", "diff", "--agent", "A-2"]).expect(1).err;
    assert!(unknown.contains("the settings define no valid variants of agent A-2"), "{unknown}");
}

#[tokio::test]
async fn an_export_is_a_file_that_the_import_of_the_vendor_takes() {
    let api = Api::start();
    let folder = folder(&api);
    let header = "id,name,is_default,attribute_address,attribute_floors,attribute_opening_hours,attribute_phone_number\n";
    let offline = folder.run(&["variants", "export", "--offline"]).expect(0).out;
    assert!(
        offline.starts_with(&format!("{header},Leeds,true,\"1 High St, Leeds\",2,Mon: 09:00")),
        "{offline}"
    );
    assert!(offline.contains("\n,York,false,\"2, Low St, York\",2,"), "{offline}");
    assert!(api.simulator.log().is_empty());
    edit(&api, &json!({ "York": { "phone_number": "+44 9", "note": "of others" } }));
    let known = folder.run(&["variants", "export"]).expect(0).out;
    let header = "id,name,is_default,attribute_note,attribute_phone_number,attribute_address,";
    assert!(known.starts_with(header), "{known}");
    assert!(known.contains("\nVARIANT-00000003,York,true,of others,+44 2,\"2, Low St, York\","), "{known}");
}

#[tokio::test]
async fn a_bad_block_row_or_answer_is_reported_with_its_place() {
    let api = Api::start();
    let folder = folder(&api);
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    for (find, replace, reported) in [
        ("phone_number =", "2nd =", "invalid attribute name `2nd`: agents use it as a name in Python"),
        ("phone_number =", "class =", "invalid attribute name `class`"),
        ("floors = 2", "floors = [2]", "attribute floors of \"Leeds\": the value is not a text"),
        ("column = \"phone\"", "column = \"fone\"", "did you mean \"phone\""),
        ("agent = \"A-1\"", "agent = \"A/1\"", "write the Project ID"),
        (
            "name = \"{{ row.site }}\"\nhours",
            "name = \"x\"\nhours",
            "variant \"x\" of agent A-1 is already defined",
        ),
        ("phone_number =", "__class__ =", "invalid attribute name `__class__`"),
        ("[variants.attributes]", "region = 1\n[variants.attributes]", "unknown key"),
    ] {
        assert!(settings.contains(find), "{find}");
        folder.write("rtconfd.toml", &settings.replacen(find, replace, 1));
        let checked = folder.run(&["check", "--offline"]).expect(1).err;
        assert!(checked.contains(reported), "{reported} in {checked}");
        let exported = folder.run(&["variants", "export", "--offline"]).expect(1);
        assert_eq!(exported.out, "", "{reported}");
    }
    let second = "\n[[variants]]\nagent = \"A-1\"\nname = \"Hull\"\nattributes = { phone_number = \"1\" }\n";
    folder.write("rtconfd.toml", &format!("{settings}{second}"));
    let checked = folder.run(&["check", "--offline"]).expect(1).err;
    assert!(
        checked.contains("variant \"Hull\" has no value for address, floors, opening_hours"),
        "{checked}"
    );
    folder.write("rtconfd.toml", &settings);
    // A bad row may define a variant of the agent, so that one is not called surplus.
    edit(&api, &json!({ "Leeds": { "phone_number": "1" } }));
    folder.write("sites.csv", &TABLE.replace("Mo-Fr", "Mo-Frx"));
    let failed = folder.run(&["variants", "diff"]).expect(1);
    assert!(
        failed.err.contains("sites.csv:2") && !failed.out.contains("Leeds"),
        "{} {}",
        failed.err,
        failed.out
    );
    folder.write("sites.csv", TABLE);
    let path = Some("/branches/main/variants".to_owned());
    api.simulator.inject(Fault { kind: Kind::Status { status: 404 }, method: None, path, times: None });
    let failed = folder.run(&["variants", "diff"]).expect(1).err;
    assert!(failed.contains("agent A-1: ") && failed.contains("404"), "{failed}");
}

#[tokio::test]
async fn values_and_names_that_would_surprise_are_reported() {
    let api = Api::start();
    let folder = folder(&api);
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    folder.write("rtconfd.toml", &settings.replace("floors = 2", "floors = { show = \"is_open\" }"));
    let checked = folder.run(&["check", "--offline"]).expect(0);
    let warned = "attribute floors of \"Leeds\" changes by itself within 14 days";
    assert!(checked.err.contains(warned) && checked.err.matches("by itself").count() == 1, "{}", checked.err);
    assert!(checked.out.starts_with("All is well: 2 page(s) and 2 variant(s), "), "{}", checked.out);
    folder.write("rtconfd.toml", &settings);
    edit(&api, &json!({ " LEEDS": { "phone_number": "1" } }));
    let near = "variant \" LEEDS\" of agent A-1 differs from \"Leeds\" only in blanks or case";
    for command in ["diff", "export"] {
        let reported = folder.run(&["variants", command]).expect(1).err;
        assert!(reported.contains(near), "{reported}");
    }
    let many: serde_json::Map<String, Value> = (0..48).map(|n| (format!("n{n}"), json!("x"))).collect();
    edit(&api, &json!({ "Hull": many }));
    let reported = folder.run(&["variants", "export"]).expect(1);
    assert!(
        reported.err.contains("agent A-1 would have 52 attributes, and the API takes 50"),
        "{}",
        reported.err
    );
    assert_eq!(reported.out, "");
}

/// Their values never reach a page, so their rows hold no revision.
#[tokio::test]
async fn the_daemon_does_not_read_a_source_that_only_variants_use() {
    let api = Api::start();
    let folder = folder(&api);
    let settings = std::fs::read_to_string(folder.path("rtconfd.toml")).unwrap();
    let (pages, variants) = settings.split_once("[[variants]]").unwrap();
    let variants = variants.replace("for_each = \"sites\"", "for_each = \"slow\"");
    let source = "[sources.slow]\npath = \"slow.csv\"\nkey = \"site\"\n";
    folder.write("rtconfd.toml", &format!("{pages}{source}[[variants]]{variants}"));
    let rows: String = (0..20).map(|n| format!("S{n},Mo-Fr 09:00-17:00,1,2\n")).collect();
    folder.write("slow.csv", &format!("site,hours,phone,street\n{rows}"));
    folder.run(&["apply"]).expect(0);
    folder.write("slow.csv", "site,hours,phone,street\nS1,Mo-Fr 09:00-17:00,1,2\n");
    folder.run(&["apply"]).expect(0);
    let status = folder.run(&["status", "--format", "json"]).expect(0).lines();
    assert_eq!(status.last().unwrap()["held"], Value::Null);
    let exported = folder.run(&["variants", "export", "--offline"]).expect(0).out;
    assert!(exported.contains("\n,S1,true,"), "{exported}");
}

#[tokio::test]
async fn a_pulled_table_has_the_values_of_the_agent_and_diffs_clean() {
    let api = Api::start();
    let folder = folder(&api);
    let leeds = json!({ "phone": "0113 496", "address": "1, High St\nLeeds", "hours": "Mon: Closed; …", "2nd": "x",
                        "größe": "3" });
    edit(&api, &json!({ "Leeds": leeds, "York \"Hub\"": { "phone": "=1+2" } }));
    let pull = |into: &str| folder.run(&["variants", "pull", "A-1", "--into", into]);
    let pulled = pull("pulled").expect(0);
    assert!(pulled.err.contains("attribute \"2nd\" is left out"), "{}", pulled.err);
    let table = std::fs::read_to_string(folder.path("pulled/A-1.variants.csv")).unwrap();
    assert_eq!(
        table,
        "variant,address,größe,hours,phone\nLeeds,\"1, High St\nLeeds\",3,Mon: Closed; …,0113 496\n\
         \"York \"\"Hub\"\"\",,,,=1+2\n"
    );
    let diff = folder.run(&["variants", "diff", "--config", "pulled/rtconfd.toml"]).expect(0);
    assert_eq!(diff.out, "No difference: 2 variant(s) are as the settings say.\n");
    let again = pull("pulled").expect(1).err;
    assert!(again.contains("exists, and pull overwrites nothing"), "{again}");
    let nothing = folder.run(&["variants", "pull", "A-2", "--into", "other"]).expect(1).err;
    assert!(nothing.contains("agent A-2 has no variants"), "{nothing}");
    // A name loses blanks around it, and would be another one.
    edit(&api, &json!({ " Hull ": { "phone": " 1 " } }));
    let refused = pull("blank").expect(1).err;
    assert!(refused.contains("the name \" Hull \" would be read differently"), "{refused}");
    assert!(!folder.path("blank").exists());
    edit(&api, &json!({ "Leeds": { "phone": "\u{0}" } }));
    let refused = pull("blank").expect(1).err;
    assert!(refused.contains("NUL"), "{refused}");
    assert!(api.simulator.log().iter().all(|request| request.method == "GET"));
}
