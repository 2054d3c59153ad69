//! Schemas that cost too much: references, patterns, and checks that never end.

use std::io::ErrorKind;
use std::net::TcpListener;
use std::sync::Arc;

use rtconfd::schema::check;
use serde_json::{Map, Value, json};

use super::{Failures, compiled, ends};
use crate::support::{Api, Driving, Folder, at, until};

/// Returns definitions that each refer to the next one twice.
fn doubling(count: usize, twice: impl Fn(Value) -> Value) -> Map<String, Value> {
    let next = |index: usize| json!({"$ref": format!("#/definitions/d{}", index + 1)});
    let mut definitions: Map<String, Value> =
        (0..count).map(|index| (format!("d{index}"), twice(next(index)))).collect();
    definitions.insert(format!("d{count}"), json!({"type": "integer"}));
    definitions
}

#[test]
fn a_schema_that_costs_too_much_is_refused_before_it_is_compiled() {
    let refer = |definitions: Map<String, Value>| json!({"definitions": definitions, "properties": {"x": {"$ref": "#/definitions/d0"}}});
    let chain = |length: usize| {
        let next = |index: usize| json!({"allOf": [{"$ref": format!("#/definitions/d{}", index + 1)}]});
        let mut links: Map<String, Value> =
            (0..length).map(|index| (format!("d{index}"), next(index))).collect();
        links.insert(format!("d{length}"), json!(true));
        refer(links)
    };
    let patterns: Map<String, Value> =
        (0..101).map(|index| (format!("p{index}"), json!({"pattern": format!("^{index}$")}))).collect();
    let cases = [
        (refer(doubling(31, |next| json!({"allOf": [next, next]}))), "multiply"),
        (refer(doubling(31, |next| json!({"anyOf": [next, {"not": next}]}))), "multiply"),
        (refer(doubling(31, |next| json!({"dependencies": {"a": next, "b": next}}))), "multiply"),
        (chain(5_000), "lead through"),
        (json!({"$ref": "#"}), "form a cycle"),
        (json!({"properties": {"x": {"allOf": [{"$ref": "#/properties/x"}]}}}), "form a cycle"),
        (json!({"enum": vec![0; 60_000]}), "60002 values"),
        (json!({"description": "x".repeat(2 << 20)}), "bytes of text"),
        (json!({"properties": patterns}), "101 different patterns"),
        (json!({"properties": {"a": {"$id": "b.json", "$ref": "c.json"}}}), "is not in it"),
        (json!({"$ref": "#/definitions/none"}), "is not in it"),
        (json!({"properties": {"x": {"pattern": "(a{1000}){1000}"}}}), "cannot be used"),
    ];
    let mut wrong = Failures::default();
    for (schema, expected) in cases {
        let reported = compiled(&schema).map_or_else(|reported| reported, |_| "taken".to_owned());
        let is_right = reported.contains(expected) && reported.contains("hint:") && reported.len() < 1_000;
        wrong.expect(is_right, format!("{expected}: {reported}"));
    }
}

#[test]
fn a_recursive_schema_is_accepted() {
    let tree = json!({"properties": {"children": {"items": {"$ref": "#"}}}, "required": ["name"]});
    let tree = compiled(&tree).unwrap();
    assert!(tree.takes(&json!({"name": "a", "children": [{"name": "b"}]})));
    assert!(!tree.takes(&json!({"name": "a", "children": [{"name": "b", "children": [{}]}]})));
    let chained = |length: usize| {
        let next = |index: usize| json!({"allOf": [{"$ref": format!("#/definitions/d{}", index + 1)}]});
        let mut links: Map<String, Value> =
            (0..length).map(|index| (format!("d{index}"), next(index))).collect();
        links.insert(format!("d{length}"), json!({"type": "integer"}));
        json!({"definitions": links, "properties": {"x": {"$ref": "#/definitions/d0"}}})
    };
    // The maximum length, on the stack of a thread.
    let long = compiled(&chained(245)).unwrap();
    let (good, bad) = ends("a chain", move || (long.takes(&json!({"x": 1})), long.takes(&json!({"x": "1"}))));
    assert!(good && !bad);
    let named = json!({"$id": "https://x.example/s.json", "definitions": {"a b": {"type": "integer"}},
        "properties": {"x": {"$ref": "https://x.example/s.json#/definitions/a%20b"}}});
    assert!(!compiled(&named).unwrap().takes(&json!({"x": "text"})));
}

#[test]
fn a_page_that_multiplies_the_cost_of_a_schema_is_refused() {
    // Each level of the page doubles the work; the schema alone is small and legal.
    let again = json!({"properties": {"x": {"$ref": "#/definitions/a"}}});
    let schema = json!({"definitions": {"a": {"allOf": [again, again, again]}}, "$ref": "#/definitions/a"});
    let schema = Arc::new(compiled(&schema).unwrap());
    let nested = |depth: usize| (0..depth).fold(json!(1), |inner, _| json!({"x": inner}));
    assert!(schema.takes(&nested(5)));
    let page = nested(60);
    let reported = ends("a page", move || {
        assert!(!schema.takes(&page));
        let variables = page.as_object().unwrap().clone();
        let page = Arc::new(rtconfd::model::RemotePage { variables, ..Default::default() });
        let desired = rtconfd::pages::Desired {
            page: "A-1/live".parse().unwrap(),
            values: Vec::new(),
            until: None,
            missing: Default::default(),
        };
        check(&desired, &page, &schema).unwrap_err()[0].to_string()
    });
    assert!(
        reported.contains("too large to check against its schema")
            && reported.contains("at most 500000 steps"),
        "{reported}"
    );
}

#[test]
fn a_schema_opens_no_connection_and_no_file() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let host = listener.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    // Opening a pipe without a writer blocks forever.
    let pipe = folder.path().join("schema.json");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for reference in [
        format!("http://{host}/s.json"),
        format!("http://{host}/s.json#/definitions/a"),
        format!("//{host}/s.json"),
        format!("file://{}", pipe.display()),
        pipe.display().to_string(),
        "schema.json".to_owned(),
    ] {
        for schema in [
            json!({"$ref": reference}),
            json!({"properties": {"x": {"allOf": [{"$ref": reference}]}}}),
            json!({"definitions": {"unused": {"$ref": reference}}}),
        ] {
            let reported = compiled(&schema).map(|_| ()).unwrap_err();
            assert!(reported.contains("which is not in it"), "{reported}");
        }
        // `$id` and `$schema` cause no fetch either.
        let _ =
            compiled(&json!({"$schema": reference, "$id": reference, "properties": {"x": {"$ref": "#"}}}));
    }
    assert_eq!(
        listener.accept().unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "the schema opened a connection"
    );
}

#[test]
fn no_pattern_backtracks_without_bound() {
    let harmless = "a".repeat(20_000) + "!";
    for pattern in ["^(a+)+$", "^(a|a)*$", "^(?!x)(a+)+$", "^(?=(a+)+$).*$", "(a*)*b", "^(?!x)(a|aa)+$"] {
        let schema = compiled(&json!({"properties": {"x": {"pattern": pattern}}})).unwrap();
        let page = json!({"x": harmless});
        assert!(!ends(pattern, move || schema.takes(&page)), "{pattern}");
    }
}

/// A schema that needs endless work delays only its own page.
#[tokio::test]
async fn a_schema_check_that_never_ends_delays_no_other_page() {
    let api = Api::start();
    api.edit("A-1", &json!({"theirs": "a1".repeat(750_000)}));
    api.schema("A-1", &json!({"additionalProperties": {"pattern": "(?=.*[0-9])(?=.*[a-z]).{8,}x"}}));
    let folder = Folder::new(&api.url, crate::support::SITES);
    folder.without_rate();
    let rows = (1..=20).map(|n| format!("s{n},A-{n},Mo-Fr 09:00-17:00,{n}\n"));
    folder.write("sites.csv", &format!("site,agent,hours,phone\n{}", rows.collect::<String>()));
    let clock = rtconfd::clock::ManualClock::new(at("2026-11-26T12:00:00Z"));
    let driving = Driving::start(&folder, &clock, rtconfd::reconcile::Mode::Daemon).await;
    for number in 2..=20 {
        api.until_variable(&format!("A-{number}"), "is_open", &json!(true)).await;
    }
    until("the problem of the page is stored", || {
        let pages = folder.stored().pages().unwrap();
        let problem = pages.get(&"A-1/live".parse().unwrap()).and_then(|page| page.problem.clone());
        problem.is_some_and(|(text, _)| text.contains("too large to check against its schema"))
    })
    .await;
    driving.stop().await;
}
