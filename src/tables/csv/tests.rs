//! Tests of CSV.

use super::*;

fn read(text: &str) -> Result<Rows, Problem> {
    parse(&"t.csv".into(), text, b',', Some("k"))
}

#[test]
fn every_cell_has_its_line_and_column() {
    let rows =
        read("k,a,b\r\n1,\"x\ny\",z\r\n\r\n2,\"say \"\"hi\"\"\",é,\n".trim_end_matches(",\n")).unwrap();
    let places: Vec<_> = rows
        .rows
        .iter()
        .flat_map(|row| (0..3).map(|index| row.cell_at(index)))
        .map(|cell| (cell.text, cell.origin.line, cell.origin.column))
        .collect();
    assert_eq!(
        places,
        [("1", 2, 1), ("x\ny", 2, 3), ("z", 3, 4), ("2", 5, 1), ("say \"hi\"", 5, 3), ("é", 5, 16)]
            .map(|(text, line, column)| (text.to_owned(), line, column))
    );
    assert_eq!(rows.row("2").unwrap().cell("b").unwrap().origin.to_string(), "t.csv:5, column \"b\"");
}

#[test]
fn an_unusable_file_is_refused_with_the_position_of_the_error() {
    for (text, expected) in [
        ("", "t.csv:1: the file is empty"),
        ("k,a\n", "a header and no rows"),
        ("a,b\n1,2\n", "missing key column \"k\""),
        ("k,a,a\n1,2,3\n", "t.csv:1:5: duplicate column \"a\""),
        ("k;a\n1;2\n", "set delimiter = \";\""),
        ("k,a\n1,\"cut of", "t.csv:2:3: the quote that opens here is never closed"),
        ("k,a\n1,\"x\"y\n", "text after the closing quote"),
        ("k,a\n1,x\"y\n", "a quote inside a field"),
        ("k,a\n1,\"x\"\"\n", "never closed"),
    ] {
        let problem = read(text).map(|_| ()).unwrap_err().to_string();
        assert!(problem.contains(expected), "{text:?}: {problem}");
    }
}

#[test]
fn a_bad_row_is_rejected_alone() {
    let rows = read("k,a\n1,x\n2\n,y\n3,z\n3,zz\n4,w\n").unwrap();
    let keys: Vec<_> = rows.rows.iter().filter_map(Row::key).collect();
    assert_eq!(keys, ["1", "4"]);
    let rejected: Vec<_> = rows.rejected.iter().map(|r| r.problem.to_string()).collect();
    assert!(
        rejected[0]
            .starts_with("t.csv:3: 1 field, but the header has 2 (hint: write a field for each column"),
        "{rejected:?}"
    );
    assert!(rejected[1].starts_with("t.csv:4, column \"k\": the key is empty"), "{rejected:?}");
    assert!(rejected[2].starts_with("t.csv:6: duplicate key \"3\": line 5 already has it"), "{rejected:?}");
    assert!(rows.may_hide("anything"), "the row without a key could be any");
}

#[test]
fn a_row_with_a_wrong_number_of_fields_is_reported_with_a_hint() {
    for (row, reported) in [
        (
            "1",
            "t.csv:2: 1 field, but the header has 2 (hint: write a field for each column, even if it is empty;",
        ),
        (
            "1,x,y",
            "t.csv:2: 3 fields, but the header has 2 (hint: put quotes around a field that contains the delimiter)",
        ),
    ] {
        let rows = read(&format!("k,a\n{row}\n")).unwrap();
        let problem = rows.rejected[0].problem.to_string();
        assert!(problem.starts_with(reported), "{problem}");
    }
}

#[test]
fn empty_rows_and_columns_from_spreadsheets_are_ignored() {
    for text in [
        "k,a\n1,x\n,\n2,y\n,\n",
        "k,a,,\n1,x,,\n2,y,,\n,,,\n",
        "k,a\n1,x,\n2,y,,\n",
        ",k,a\n,1,x\n,2,y\n",
        "sep=,\r\nk,a\r\n1,x\r\n2,y\r\n",
        "\"sep=;\"\nk;a\n1;x\n2;y\n",
        "SEP=\t\nk\ta\n1\tx\n2\ty\n",
    ] {
        let rows = read(text).unwrap_or_else(|problem| panic!("{text:?}: {problem}"));
        let cells: Vec<&str> = rows.rows.iter().flat_map(Row::texts).map(|(_, text)| text).collect();
        assert_eq!(cells, ["1", "x", "2", "y"], "{text:?}");
        assert!(rows.rejected.is_empty() && rows.head.columns.len() == 2, "{text:?}");
    }
    let lines: Vec<usize> =
        read("sep=,\nk,a\n1,x\n").unwrap().rows.iter().map(|row| row.origin().line).collect();
    assert_eq!(lines, [3]);
    let problem = read("k,a,\n1,x,\n2,y,z\n").map(drop).unwrap_err().to_string();
    assert!(
        problem.starts_with("t.csv:3:5: this cell is in a column without a name (t.csv:1:5)"),
        "{problem}"
    );
}

#[test]
fn a_key_is_trimmed_everywhere_it_is_used() {
    let rows = read("k,a\n Hull , x \n").unwrap();
    let row = rows.row("Hull").unwrap();
    assert_eq!(row.texts().map(|(_, text)| text).collect::<Vec<_>>(), ["Hull", " x "]);
}

#[test]
fn other_encodings_are_refused_by_name() {
    let file = "t.csv".into();
    let problem = super::super::decode(&file, b"k,a\n1,caf\xE9\n", 10).unwrap_err().to_string();
    assert!(problem.starts_with("t.csv:2:6: byte 0xE9 is not UTF-8"), "{problem}");
    assert!(problem.contains("Windows-1252"), "{problem}");
    assert!(super::super::decode(&file, b"\xFF\xFEk\0", 10).is_err());
    assert_eq!(super::super::decode(&file, b"\xEF\xBB\xBFk", 10).unwrap(), "k");
}

#[test]
fn a_table_may_have_as_many_rows_as_its_source_allows() {
    let table = format!("site\n{}", "a\n".repeat(250_000));
    let parse = |rows| {
        let layout = Layout { size: Size::of_rows(rows), ..Layout::default() };
        Csv.parse(&"t.csv".into(), &table, &layout).map(drop).map_err(|problem| problem.to_string())
    };
    assert_eq!(parse(250_000), Ok(()));
    for rows in [1, 200_000, 249_999] {
        let reported = parse(rows).unwrap_err();
        assert!(reported.contains(&format!("more than {rows} rows")), "{reported}");
        assert!(reported.contains("set max_rows of the source"), "{reported}");
    }
    assert_eq!(Size::of_rows(1_000_000).bytes, 5 * Size::default().bytes);
    assert_eq!(Size::of_rows(1), Size { rows: 1, ..Size::default() });
}
