//! Tests of expressions.

use super::super::definition::Definition;
use super::*;
use crate::model::Origin;
use serde_json::json;

fn evaluate(text: &str) -> Result<Value, String> {
    let origin = Origin::line(&"rtconfd.toml".into(), 3);
    let sites = json!([{"name": "Leeds", "open": true}, {"name": "York", "open": false}]);
    let input =
        |name: &str, value: Value| (name.to_owned(), Definition::Constant { value, origin: origin.clone() });
    let cells = [("phone".to_owned(), "0113".to_owned())].into();
    let expression = Expression {
        text: text.to_owned(),
        inputs: vec![
            input("open", json!(true)),
            input("sites", sites),
            input("nothing", Value::Null),
            input("long", json!("a".repeat(60_000))),
        ],
        rows: [("row".to_owned(), cells)].into(),
        origin: origin.clone(),
    };
    let at = "2026-11-26T12:00:00Z".parse().unwrap();
    let read = expression.check().and_then(|()| expression.check_names());
    let value = read.and_then(|()| expression.evaluate(at));
    value.map(|evaluated| evaluated.value.to_json()).map_err(|problem| problem.to_string())
}

#[test]
fn an_expression_builds_json_from_values_and_cells() {
    for (text, expected) in [
        ("open and row.phone == '0113'", json!(true)),
        ("'We are open.' if open else 'We are closed.'", json!("We are open.")),
        ("{'open': open, 'tags': ['a', row.phone ~ 'x']}", json!({"open": true, "tags": ["a", "0113x"]})),
        ("sites | where(open=true) | pluck('name') | join(', ')", json!("Leeds")),
        ("sites | length + 1", json!(3)),
        ("(row.phone | int) - 1", json!(112)),
        ("nothing | default('none')", json!("none")),
        ("'a-b' | split('-') | last | upper", json!("B")),
    ] {
        assert_eq!(evaluate(text), Ok(expected), "{text}");
    }
}

#[test]
fn an_error_is_reported_with_its_position_and_a_hint() {
    for (text, reported) in [
        (
            "opne",
            "rtconfd.toml:3: the expression \"opne\" uses the unknown name opne (hint: did you mean open?)",
        ),
        ("holiday", "uses the unknown name holiday (hint: name its values under with"),
        ("range(3)", "(hint: there are no functions; the filters are: default, first,"),
        ("{'a': [opne]}", "uses the unknown name opne"),
        ("opne | default('x')", "uses the unknown name opne"),
        ("sites | where(opne=true)", "an item of the list has no \"opne\""),
        ("sites | where(open=opne)", "uses the unknown name opne"),
        ("sites | where(open=row['fax'])", "a value that where compares with is undefined"),
        (
            "sites | pluck('nmae')",
            "has no \"nmae\" (in <expression>:1) (hint: correct the name, or give every item",
        ),
        ("[opne,'a'] | join(',')", "uses the unknown name opne"),
        ("[opne] | length", "uses the unknown name opne"),
        ("[opne] == [1]", "uses the unknown name opne"),
        ("[row['fax']] | length", "an item of the list is undefined"),
        ("row.phne == '0113'", "uses the unknown name row.phne (hint: did you mean row.phone?)"),
        ("row.fax | default('x')", "uses the unknown name row.fax"),
        ("row['fax']", "returns an undefined value"),
        ("1e400", "returns a number that is too large"),
        ("[-1e400]", "returns a number that is too large"),
        ("opne.x", "uses the unknown name opne.x"),
        ("open.x.y", "undefined value (in <expression>:1) (hint: name its values under with"),
        ("open and", "fails: syntax error"),
        ("open | shout", "(hint: the filters are: default, first,"),
        ("[0] * 100000000", "uses *, which is not supported"),
        ("{{ row.n }} + 1", "(hint: write row.COLUMN for a cell, without braces)"),
    ] {
        let problem = evaluate(text).unwrap_err();
        assert!(problem.contains(reported), "{text}: {problem}");
    }
}

#[test]
fn only_text_and_numbers_can_be_concatenated_into_text() {
    for (text, reported) in [
        ("'It is ' ~ open", "true cannot be part of a text"),
        ("open ~ '!'", "(hint: write the text for it, as in 'yes' if value else 'no')"),
        ("not open ~ ''", "true cannot be"),
        ("'a' ~ nothing ~ 'b'", "null cannot be"),
        ("'a' ~ (open and open) ~ 'b'", "true cannot be"),
        ("'a' ~ (1 > 2)", "false cannot be"),
        ("'a' ~ sites[0]", "an object cannot be"),
        ("'a' ~ sites[0].open == 'atrue'", "true cannot be"),
        ("'a' ~ sites[0].open if open else ''", "true cannot be"),
        ("['a' ~ open, 1]", "true cannot be"),
        ("{'a': 'b' ~ open}", "true cannot be"),
        ("'a' ~ sites", "(hint: join its items: list | join(', '))"),
        ("[open, 'a'] | join(', ')", "true cannot be"),
        ("[nothing] | join(', ')", "null cannot be"),
        ("sites | join(', ')", "an object cannot be"),
        ("nothing | replace('a', 'b')", "null cannot be"),
        ("'a' | replace('a', nothing)", "null cannot be"),
        ("open | upper", "true cannot be"),
        ("sites | lower", "a list cannot be"),
        ("open | split('u') | first", "true cannot be"),
        ("1 / 0", "(hint: avoid division by zero and numbers that are too large"),
        ("[1][::0]", "(hint: slice only text or a list"),
        ("'a' + 1", "(hint: use ~ to join values to text"),
    ] {
        let problem = evaluate(text).unwrap_err();
        assert!(problem.contains(reported), "{text}: {problem}");
    }
    for (text, expected) in [
        ("'~ ' ~ row.phone ~ \" ~\" ~ -1", json!("~ 0113 ~-1")),
        ("'a' ~ 6 / 4 ~ 'b' if open else 'c' ~ 'd'", json!("a1.5b")),
        ("'x' ~ ('yes' if open else 'no') ~ (sites | length)", json!("xyes2")),
        ("'x' ~ (nothing | default('none'))", json!("xnone")),
        ("'x' ~ nothing | default('none')", json!("xnone")),
        ("'a' ~ 'b' in ['ab']", json!(true)),
        ("{'in' ~ 1: [1 ~ '', {'x': 'y' ~ 2}]}", json!({"in1": ["1", {"x": "y2"}]})),
        ("('it\\'s ~' ~ 1)[:4]", json!("it's")),
    ] {
        assert_eq!(evaluate(text), Ok(expected), "{text}");
    }
}

#[test]
fn a_long_expression_is_truncated_in_messages() {
    let problem = evaluate(&format!("opne ~ '{}'", "a".repeat(200))).unwrap_err();
    assert!(
        problem.contains(&format!("\"opne ~ '{}…\" uses the unknown name opne", "a".repeat(112))),
        "{problem}"
    );
}

#[test]
fn expressions_that_amplify_input_are_refused_but_not_ordinary_ones_on_long_text() {
    let grows = format!("'x'{}", " | replace('x', 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx')".repeat(20));
    let joins = format!("long{}", " ~ long".repeat(500));
    let splits = format!("{}0", "(long | split('a') | length) + ".repeat(100));
    let between = "[long | split('a') | join(long), 'a'] | join('')";
    for text in [grows.as_str(), &joins, &splits, between] {
        let problem = evaluate(text).unwrap_err();
        assert!(problem.contains("(hint: simplify the expression)"), "{text}: {problem}");
    }
    let shown = format!("(long | upper | length) + {}0", "(sites | length) + ".repeat(40));
    assert_eq!(evaluate(&shown), Ok(json!(60_080)));
}
