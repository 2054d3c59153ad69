//! The fields of a form or query: names and values, in order, a name perhaps repeatedly.

use axum::extract::Request;
use axum::http::Uri;

use crate::model::Problem;

use super::super::body::read_bytes;

/// Fields of a form or query.
#[derive(Clone, Debug, Default)]
pub struct Pairs(Vec<(String, String)>);

impl Pairs {
    /// Parses `a=1&b=2`.
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// Returns the fields of a query.
    pub fn of_query(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default().as_bytes())
    }

    /// Reads the body of a form.
    ///
    /// # Errors
    /// A body that is too large or arrives too slowly.
    pub async fn of_form(request: Request) -> Result<Self, Vec<Problem>> {
        Ok(Self::parse(&read_bytes(request.into_body()).await?))
    }

    /// Returns the value of a field; empty if it is missing.
    pub fn get<'a>(&'a self, name: &'a str) -> &'a str {
        self.all(name).next().unwrap_or_default()
    }

    /// Returns all values of a field.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Returns a query with these fields, without the empty ones; an empty text if all are empty.
pub fn query<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut written = form_urlencoded::Serializer::new(String::new());
    fields.into_iter().filter(|(_, value)| !value.is_empty()).for_each(|(name, value)| {
        written.append_pair(name, value);
    });
    let written = written.finish();
    if written.is_empty() { written } else { format!("?{written}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_and_written_with_their_escapes() {
        let written = query([("q", "a&b= ü"), ("none", ""), ("page", "2")]);
        assert_eq!(written, "?q=a%26b%3D+%C3%BC&page=2");
        let read = Pairs::parse(&written.as_bytes()[1..]);
        assert_eq!((read.get("q"), read.get("page"), read.get("none")), ("a&b= ü", "2", ""));
        let repeated = Pairs::parse(b"page=a&page=b");
        assert_eq!(repeated.all("page").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(query([("none", "")]), "");
    }
}
