//! Limits of requests to the Agents API and of its answers.

use std::time::Duration;

use super::section::{Row, Section, bytes, count, time};

limits! {
    "API and rate"

    const RATE: u32 = 10;
    "requests per second" => count(RATE), "requests wait", "[`api.rate`](settings.md#api)";

    const BURST: u32 = 20;
    "requests at once after a pause" => count(BURST), "requests wait", "`api.burst`";

    const CONCURRENCY: usize = 32;
    "pages processed at once" => count(CONCURRENCY), "pages wait, most urgent first", "`api.concurrency`";

    const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
    "connecting" => time(CONNECT_TIMEOUT), "the request failed", "`api.connect_timeout`";

    const READ_TIMEOUT: Duration = Duration::from_secs(10);
    "between two pieces of an answer" => time(READ_TIMEOUT), "the outcome is looked up", "`api.read_timeout`";

    const TOTAL_TIMEOUT: Duration = Duration::from_secs(20);
    "whole request" => time(TOTAL_TIMEOUT), "the outcome is looked up", "`api.total_timeout`";

    const RESYNC: Duration = Duration::from_secs(300);
    "time between two fetches of a page at rest" => time(RESYNC), "", "`resync`";

    const RETRY_SHARE: u32 = 10;
    "retries" => format!("1/{RETRY_SHARE} of `api.rate`"), "retries wait; first attempts do not";

    const FIRST_RETRY_WAIT: Duration = Duration::from_secs(1);
    /// The longest is the most that one bad answer costs.
    const LONGEST_RETRY_WAIT: Duration = Duration::from_secs(60);
    "wait before a retry" =>
        format!(
            "random, below {} at first, doubled each time, at most {}",
            time(FIRST_RETRY_WAIT), time(LONGEST_RETRY_WAIT),
        ),
        "";

    /// The page then counts as stuck.
    const STUCK_AFTER: u32 = 3;
    "refusals of one change in a row" => count(STUCK_AFTER),
        "not sent again until the value, the page or the settings change";

    /// One request after it does no harm, but a pause of a day would mean a day of wrong hours.
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);
    "pause that the API asks for (429)" => time(LONGEST_PAUSE),
        "a longer pause is shortened, then one request tries";

    const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(30);
    "pause after a 429 with an invalid `Retry-After`" => time(DEFAULT_RETRY_AFTER), "";

    const FIRST_BREAKER_PAUSE: Duration = Duration::from_secs(5);
    const LONGEST_BREAKER_PAUSE: Duration = Duration::from_secs(30);
    /// A few broken agents must not stop the rest.
    const FAILING_AGENTS: usize = 3;
    /// If some requests succeed in between, the API is up.
    const FAILURE_STREAK: usize = 5;
    const FAILURE_STREAK_LENGTH: Duration = Duration::from_secs(2);
    "pause when half of the agents fail" =>
        format!("{}, growing to {}", time(FIRST_BREAKER_PAUSE), time(LONGEST_BREAKER_PAUSE)),
        format!(
            "one request tries after it; only with at least {FAILING_AGENTS} failing agents, and \
             {FAILURE_STREAK} failures in a row over {}",
            time(FAILURE_STREAK_LENGTH),
        );

    const MAX_ANSWER_BYTES: usize = 8 << 20;
    "size of an answer" => bytes(MAX_ANSWER_BYTES), "the answer is invalid";

    const MAX_ANSWER_VALUES: usize = 250_000;
    "values in an answer, keys included" => count(MAX_ANSWER_VALUES), "the answer is invalid";

    const MAX_ANSWER_DEPTH: usize = 100;
    "depth of an answer" => format!("{MAX_ANSWER_DEPTH} levels"), "the answer is invalid";

    const MAX_PAGES: usize = 100;
    "pages in one list" => count(MAX_PAGES), "the answer is invalid";

    const MAX_AGENTS: usize = 10_000;
    "agents in one list" => count(MAX_AGENTS), "the answer is invalid";

    const MAX_ERROR_TEXT: usize = 400;
    "text of an API error that is kept" => format!("{MAX_ERROR_TEXT} characters"), "cut off";

    const MAX_CORRELATION_ID: usize = 128;
    "correlation id" => format!("{MAX_CORRELATION_ID} characters"), "cut off";

    const LAST_CALLS: Duration = Duration::from_secs(2);
    "requests in progress when the program ends" => time(LAST_CALLS),
        "the outcome is looked up at the next start";
}
