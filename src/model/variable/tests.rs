//! Tests of places on a page.

use super::*;
use serde_json::json;

fn variable(text: &str) -> Variable {
    text.parse().unwrap()
}

#[test]
fn a_pointer_sets_its_place_and_leaves_the_neighbours() {
    let mut page =
        json!({"a": {"b": 1, "c": [1, 2]}, "d": 4, "s": [{"n": "Leeds", "h": 1, "p": 5}, {"n": 7, "h": 2}]});
    let page = page.as_object_mut().unwrap();
    let write = |page: &mut Map<String, Value>, at: &str, value: Value| {
        variable(at)
            .write(page, value, Missing::Refuse, &mut Places::default())
            .map_err(|blocked| blocked.to_string())
    };
    write(page, "/a/b", json!(9)).unwrap();
    write(page, "/a/c/1", json!(8)).unwrap();
    write(page, "/new/deep", json!(true)).unwrap();
    write(page, "/s[n=Leeds]/h", json!(3)).unwrap();
    write(page, "/s[n=7]/h", json!(4)).unwrap();
    let after = json!({
        "a": {"b": 9, "c": [1, 8]}, "d": 4, "new": {"deep": true},
        "s": [{"n": "Leeds", "h": 3, "p": 5}, {"n": 7, "h": 4}],
    });
    assert_eq!(Value::Object(page.clone()), after);
    assert_eq!(
        variable("/s[n=7]/h").pointer(page, &mut Places::default()),
        Some(vec!["s".into(), "1".into(), "h".into()])
    );
    for (at, reported) in [
        ("/d/x", "\"x\" would be set in a value that is not an object"),
        ("/a/c/7", "the array on the page has no item \"7\""),
        ("/a/c/01", "the array on the page has no item \"01\""),
        ("/a/c/+1", "the array on the page has no item \"+1\""),
        ("/s[n=York]/h", "the array on the page has no item with n = \"York\""),
        ("/d[n=York]/h", "the item with n = \"York\" would be in a value that is not an array"),
    ] {
        assert_eq!(write(page, at, json!(0)), Err(reported.to_owned()), "{at}");
    }
    for (at, reported) in [
        ("/s[n=Leeds]", "the item with n = \"Leeds\" would lose its n"),
        ("/s[n=7]/n", "the item with n = \"7\" would lose its n"),
    ] {
        assert_eq!(write(&mut page.clone(), at, json!({"h": 1})), Err(reported.to_owned()), "{at}");
    }
    write(&mut page.clone(), "/s[n=Leeds]", json!({"n": "Leeds"})).unwrap();
    page["s"][1]["n"] = json!("Leeds");
    let reported = "the array on the page has several items with n = \"Leeds\"";
    assert_eq!(write(page, "/s[n=Leeds]/h", json!(0)), Err(reported.to_owned()));
    assert_eq!(variable("/s[n=Leeds]/h").read(page), None);
}

#[test]
fn items_are_created_only_if_requested() {
    let mut page = Map::new();
    let mut places = Places::default();
    let mut write =
        |page: &mut _, at: &str| variable(at).write(page, json!("x"), Missing::Create, &mut places);
    write(&mut page, "/s[n=York]/h").unwrap();
    write(&mut page, "/s[n=York]/p").unwrap();
    write(&mut page, "/s[n=Leeds]/h").unwrap();
    let made = json!({"s": [{"n": "York", "h": "x", "p": "x"}, {"n": "Leeds", "h": "x"}]});
    assert_eq!(Value::Object(page), made);
}

#[test]
fn the_index_of_an_array_stays_correct_as_its_items_change() {
    let mut page = json!({"s": [{"n": "a"}, {"n": "b", "m": "x"}]}).as_object().unwrap().clone();
    let mut places = Places::default();
    let mut write = |page: &mut _, at: &str, value: Value| {
        variable(at).write(page, value, Missing::Create, &mut places).map_err(|blocked| blocked.to_string())
    };
    for at in ["/s[n=a]/h", "/s[n=b]/h", "/s[n=c]/h", "/s[m=x]/k", "/s[m=x]/l", "/s[n=c]/p", "/s[n=d]/h"] {
        write(&mut page, at, json!(1)).unwrap();
    }
    write(&mut page, "/s[n=a]/m", json!("x")).unwrap();
    let several = "the array on the page has several items with m = \"x\"";
    assert_eq!(write(&mut page, "/s[m=x]/o", json!(1)), Err(several.to_owned()));
    assert_eq!(write(&mut page, "/s[m=x]/o", json!(1)), Err(several.to_owned()));
    write(&mut page, "/s[n=b]", json!({"n": "b", "new": 1})).unwrap();
    write(&mut page, "/s[n=b]/n", json!("b")).unwrap();
    let lost = "the item with n = \"d\" would lose its n";
    assert_eq!(write(&mut page, "/s[n=d]/n", json!("e")), Err(lost.to_owned()));
    let after = json!({"s": [
        {"n": "a", "h": 1, "m": "x"}, {"n": "b", "new": 1}, {"n": "c", "h": 1, "p": 1}, {"n": "e", "h": 1},
    ]});
    assert_eq!(Value::Object(page), after);
}

#[test]
fn variables_print_as_written_and_detect_overlaps() {
    for text in [
        "is_open",
        "/messages/seasonal",
        "/a~1b/c~0d",
        "/site_hours[site_name=Leeds]/hours",
        "/s[n=a~1b [x]]/h[k=1]",
        "/odd/key~2a=b]",
        "odd[a=b]",
    ] {
        assert_eq!(variable(text).to_string(), text);
        assert_eq!(variable(&variable(text).to_string()), variable(text));
    }
    let overlaps = |a: &str, b: &str| variable(a).overlaps(&variable(b));
    assert!(overlaps("messages", "/messages/seasonal"));
    assert!(!overlaps("/messages/a", "/messages/b"));
    assert!(!overlaps("/s[n=a]/h", "/s[n=b]/h"));
    assert!(!overlaps("/s[n=a]/h", "/s[n=a]/p"));
    assert!(overlaps("/s[n=a]/h", "/s[m=a]/h"));
    assert!(overlaps("/s[n=a]/h", "/s/0/h"));
    assert!(overlaps("/s[n=a]/h", "s"));
    // An invalid position is a key, which an array does not have.
    assert!(!overlaps("/s[n=a]/h", "/s/00/h"));
    assert!("/".parse::<Variable>().is_err());
    assert!("/[a=b]".parse::<Variable>().is_err());
    assert!("".parse::<Variable>().is_err());
}
