//! The pages that a person looks for: words, an environment, a state.

use crate::model::{Environment, PageId, Row};
use crate::pages::Page;
use crate::reconcile::{PageStatus, Status};

use super::pairs::{Pairs, query};

/// The conditions that listed pages meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Words that the page's ID or row must contain; `column=text` is a cell as a whole, and
    /// `column="two words"` too.
    pub words: String,
    /// The environment.
    pub environment: Option<Environment>,
    /// The state.
    pub state: State,
}

/// A state that pages can be listed by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Any.
    #[default]
    Any,
    /// Pages with a problem.
    Problem,
    /// Pages with an active override.
    Overridden,
}

impl State {
    /// All states, in the order of the list.
    pub const ALL: [Self; 3] = [Self::Any, Self::Problem, Self::Overridden];

    /// Returns the name in a query, and the words for it.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Any => ("", "any state"),
            Self::Problem => ("problem", "with a problem"),
            Self::Overridden => ("override", "with an override"),
        }
    }
}

impl Filter {
    /// Reads the conditions from a query or a form. Unknown values are ignored.
    pub fn of(pairs: &Pairs) -> Self {
        let state = State::ALL.into_iter().find(|state| state.names().0 == pairs.get("state"));
        Self {
            words: pairs.get("q").trim().to_owned(),
            environment: pairs.get("environment").parse().ok(),
            state: state.unwrap_or_default(),
        }
    }

    /// Returns the query of these conditions and the number of a view.
    pub fn query(&self, number: usize) -> String {
        let number = if number > 1 { number.to_string() } else { String::new() };
        query(
            self.fields()
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .chain([("page", number.as_str())]),
        )
    }

    /// Returns the conditions as fields of a form.
    pub fn fields(&self) -> [(&'static str, String); 3] {
        let environment = self.environment.map(|environment| environment.to_string()).unwrap_or_default();
        [("q", self.words.clone()), ("environment", environment), ("state", self.state.names().0.to_owned())]
    }

    /// Returns the cells that the words name, as `COLUMN=VALUE` in the letters of the rows.
    ///
    /// An override takes them along: of a page with many sites it then affects only those.
    pub fn cells(&self, pages: &[&PageStatus]) -> Vec<String> {
        let named = words(&self.words).into_iter().filter(|word| word.contains('='));
        named
            .filter_map(|word| {
                pages.iter().flat_map(|page| rows(&page.definition)).find_map(|row| cell(row, &word))
            })
            .collect()
    }

    /// Returns the pages that meet the conditions: those with a problem first, else in order.
    pub fn select<'s>(&self, status: &'s Status) -> Vec<&'s PageStatus> {
        let words = words(&self.words);
        let is_overridden = |page: &PageId| status.overrides.iter().any(|set| set.pages.contains_key(page));
        let mut found: Vec<&PageStatus> = status
            .pages
            .iter()
            .filter(|page| self.environment.is_none_or(|environment| environment == page.page.environment))
            .filter(|page| match self.state {
                State::Any => true,
                State::Problem => page.standing.problem().is_some(),
                State::Overridden => is_overridden(&page.page),
            })
            .filter(|page| words.iter().all(|word| has_word(&page.definition, word)))
            .collect();
        found.sort_by_key(|page| page.standing.problem().is_none());
        found
    }
}

/// Splits text into words in lower case; blanks between double quotes belong to a word.
fn words(text: &str) -> Vec<String> {
    let mut quoted = false;
    let parts = text.split(|c: char| {
        quoted ^= c == '"';
        c.is_whitespace() && !quoted
    });
    parts.map(|word| word.replace('"', "").to_lowercase()).filter(|word| !word.is_empty()).collect()
}

/// Returns true if the page's ID or row contains a word, given in lower case.
fn has_word(page: &Page, word: &str) -> bool {
    let has = |text: &str| text.to_lowercase().contains(word);
    if word.contains('=') {
        return rows(page).any(|row| cell(row, word).is_some());
    }
    has(&page.id.agent)
        || page.id.environment.to_string() == word
        || rows(page).any(|row| row.texts().any(|(_, text)| has(text)))
}

/// Returns the row of a page, and the rows that parts of it are made for.
fn rows(page: &Page) -> impl Iterator<Item = &Row> {
    page.row.iter().chain(page.made_for_rows().into_iter().map(|made| made.row))
}

/// Returns the cell of a row that `column=text` names, as `COLUMN=VALUE` in the row's own letters.
fn cell(row: &Row, word: &str) -> Option<String> {
    let (column, text) = word.split_once('=')?;
    let is_same = |a: &str, b: &str| a.trim().to_lowercase() == b.trim();
    let (name, found) = row.texts().find(|(name, found)| is_same(name, column) && is_same(found, text))?;
    Some(format!("{name}={}", found.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_blanks_belong_to_a_word() {
        assert_eq!(words("Leeds  region=\"North East\" \"a b\""), ["leeds", "region=north east", "a b"]);
    }

    #[test]
    fn a_filter_is_read_back_from_its_query() {
        let filter = Filter {
            words: "region=north leeds".to_owned(),
            environment: Some(Environment::Live),
            state: State::Problem,
        };
        let written = filter.query(3);
        assert_eq!(written, "?q=region%3Dnorth+leeds&environment=live&state=problem&page=3");
        assert_eq!(Filter::of(&Pairs::parse(&written.as_bytes()[1..])), filter);
        assert_eq!(Filter::default().query(1), "");
    }
}
