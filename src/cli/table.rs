//! Tables that fit a width: cells are wrapped, then columns are left out in a fixed order.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The blanks between two columns.
const GAP: usize = 3;
/// The floors of a long column, first choice first.
///
/// Each is a least width, and the length up to which words are kept whole.
const FLOORS: [(usize, usize); 4] = [(16, 24), (0, 12), (0, 8), (0, 4)];

/// A table as text.
#[derive(Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The lines, each with its line break.
    pub text: String,
    /// The columns that did not fit.
    pub left_out: Vec<String>,
}

/// Renders a table within a width.
///
/// A line is longer only if not even a few characters of each column fit.
///
/// Columns of `optional` may be left out, the first one first. No cell is cut: two different values
/// never look the same.
pub fn render<const N: usize>(
    header: [&str; N],
    optional: &[&str],
    rows: &[[String; N]],
    width: Option<usize>,
) -> Rendered {
    let columns: Vec<Column> = (0..N).map(|index| Column::new(header[index], rows, index)).collect();
    let layout = layout(&columns, optional, width.unwrap_or(usize::MAX));
    let mut text = line(&layout, &header.map(str::to_owned));
    rows.iter().for_each(|row| text += &line(&layout, row));
    let is_left_out = |index: &usize| layout.iter().all(|(shown, _)| shown != index);
    let left_out = (0..N).filter(is_left_out).map(|index| header[index].to_owned()).collect();
    Rendered { text, left_out }
}

/// The widths that a column needs, in characters.
struct Column<'h> {
    header: &'h str,
    natural: usize,
    longest_word: usize,
}

impl<'h> Column<'h> {
    fn new<const N: usize>(header: &'h str, rows: &[[String; N]], index: usize) -> Self {
        let cells = || rows.iter().map(|row| row[index].as_str()).chain([header]);
        let words = cells().flat_map(|cell| cell.split(' '));
        Self {
            header,
            natural: cells().map(UnicodeWidthStr::width).max().unwrap_or(0),
            longest_word: words.map(UnicodeWidthStr::width).max().unwrap_or(0),
        }
    }

    /// Returns its width: at most `most`, unless its floor is higher.
    fn width(&self, most: usize, (least, longest_word): (usize, usize)) -> usize {
        self.natural.min(most.max(least).max(self.longest_word.min(longest_word)))
    }
}

/// Returns the shown columns by index, each with its width.
fn layout(columns: &[Column], optional: &[&str], width: usize) -> Vec<(usize, usize)> {
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let total = |shown: &[usize], most: usize, floor: (usize, usize)| {
        let widths = shown.iter().map(|index| columns[*index].width(most, floor));
        widths.sum::<usize>() + GAP * shown.len().saturating_sub(1)
    };
    let mut optional = optional.iter();
    while total(&shown, 0, FLOORS[0]) > width
        && let Some(name) = optional.next()
    {
        shown.retain(|index| columns[*index].header != *name);
    }
    let floor = FLOORS.into_iter().find(|floor| total(&shown, 0, *floor) <= width);
    let floor = floor.unwrap_or(FLOORS[FLOORS.len() - 1]);
    let widest = columns.iter().map(|column| column.natural).max().unwrap_or(0);
    let most = (0..=widest).rev().find(|most| total(&shown, *most, floor) <= width).unwrap_or(0);
    shown.into_iter().map(|index| (index, columns[index].width(most, floor).max(1))).collect()
}

/// Returns a row, as many lines as its highest cell.
fn line<const N: usize>(layout: &[(usize, usize)], row: &[String; N]) -> String {
    let cells: Vec<Vec<String>> = layout.iter().map(|(index, width)| wrap(&row[*index], *width)).collect();
    let height = cells.iter().map(Vec::len).max().unwrap_or(0);
    let mut text = String::new();
    for at in 0..height {
        let mut line = String::new();
        for (cell, (_, width)) in cells.iter().zip(layout) {
            let part = cell.get(at).map_or("", String::as_str);
            line += part;
            line += &" ".repeat(width.saturating_sub(part.width()) + GAP);
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

/// Breaks a text at blanks, and inside words that are longer than a line.
fn wrap(text: &str, width: usize) -> Vec<String> {
    if text.width() <= width {
        return vec![text.to_owned()];
    }
    let (mut lines, mut line) = (Vec::new(), String::new());
    for (index, word) in text.split(' ').enumerate() {
        let is_first = index == 0 || line.is_empty();
        if !is_first && line.width() + 1 + word.width() <= width {
            line.push(' ');
        } else if !is_first {
            lines.push(std::mem::take(&mut line));
        }
        for c in word.chars() {
            if line.width() + c.width().unwrap_or(0) > width && !line.is_empty() {
                lines.push(std::mem::take(&mut line));
            }
            line.push(c);
        }
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [[&str; 4]; 2] = [
        ["A-1/live", "Fri 2026-11-27 09:00:00 Europe/London", "true", "hours \"desk\" are open until 17:00"],
        ["A-2/live", "Fri 2026-11-27 17:00:00 Europe/London", "false", "closed"],
    ];

    fn table(width: Option<usize>) -> Rendered {
        let rows = ROWS.map(|row| row.map(str::to_owned));
        render(["PAGE", "AT", "TO", "BECAUSE"], &["BECAUSE", "AT"], &rows, width)
    }

    #[test]
    fn a_table_without_a_width_has_a_line_for_each_row() {
        let all = table(None);
        assert_eq!(all, table(Some(92)));
        let [first, second] = ROWS;
        let expected = format!(
            "PAGE       AT                                      TO      BECAUSE\n{}   {}   true    {}\n{}   {}   false   {}\n",
            first[0], first[1], first[3], second[0], second[1], second[3]
        );
        assert_eq!(all, Rendered { text: expected, left_out: Vec::new() });
    }

    #[test]
    fn a_narrow_table_wraps_first_and_then_leaves_out_columns_in_their_order() {
        let wrapped = table(Some(60));
        assert_eq!(
            wrapped.text.lines().take(3).collect::<Vec<_>>(),
            [
                "PAGE       AT                    TO      BECAUSE",
                "A-1/live   Fri 2026-11-27        true    hours \"desk\" are",
                "           09:00:00                      open until 17:00",
            ]
        );
        for (width, left_out) in [
            (60, vec![]),
            (54, vec![]),
            (53, vec!["BECAUSE"]),
            (35, vec!["BECAUSE"]),
            (34, vec!["AT", "BECAUSE"]),
        ] {
            assert_eq!(table(Some(width)).left_out, left_out, "{width}");
        }
    }

    #[test]
    fn no_line_is_longer_than_the_width_and_no_character_is_lost() {
        let letters = |text: &str| {
            let mut letters: Vec<char> = text.chars().filter(|c| *c != ' ' && *c != '\n').collect();
            letters.sort_unstable();
            letters
        };
        for width in 11..100 {
            let table = table(Some(width));
            assert!(table.text.lines().all(|line| line.width() <= width), "{width}:\n{}", table.text);
            if table.left_out.is_empty() {
                assert_eq!(letters(&table.text), letters(&self::table(None).text), "{width}");
            }
        }
    }

    #[test]
    fn a_wide_character_counts_as_two_and_a_long_word_is_broken() {
        assert_eq!(wrap("東京 closed", 6), ["東京", "closed"]);
        assert_eq!(wrap("東京東京", 6), ["東京東", "京"]);
        assert_eq!(wrap("abcdefgh i", 3), ["abc", "def", "gh", "i"]);
        assert_eq!(wrap("", 3), [""]);
    }
}
