//! The status page over HTTP: what it shows, and what people do with its forms.
//!
//! `.ci/browser` does the same in a browser.

use std::time::Duration;

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};

use crate::support::{
    Api, Folder, KEY, NO_HOLD, Process, SITES, always, limit, round_the_clock, running, until,
    write_atomically,
};

/// A running daemon with its status page.
struct Desk {
    /// The first to be dropped: its last lines are in the folder.
    process: Process,
    api: Api,
    folder: Folder,
    port: u16,
}

/// A browser without scripts, perhaps signed in.
struct Browser {
    http: Client,
    base: String,
    cookie: Option<String>,
}

/// Two people: anna may do everything, bert may approve.
const TOKENS: &str = "
[[listen.tokens]]
name = \"anna\"
file = \"anna\"
rights = [\"override\", \"approve\"]
[[listen.tokens]]
name = \"bert\"
file = \"bert\"
rights = [\"approve\"]
";

impl Desk {
    async fn open(settings: &str, files: &[(&str, &str)]) -> Self {
        Self::listening("", settings, files).await
    }

    /// Starts a daemon; `listen` are further settings of its listener.
    async fn listening(listen: &str, settings: &str, files: &[(&str, &str)]) -> Self {
        let api = Api::start();
        let listen = format!("[listen]\naddress = \"127.0.0.1:0\"\n{listen}{TOKENS}");
        let folder = Folder::new(&api.url, &format!("{listen}{settings}"));
        folder.without_rate();
        for (name, content) in [("anna", "t0ken-of-anna"), ("bert", "t0ken-of-bert")].iter().chain(files) {
            folder.private(name, content);
        }
        let process = running(&folder).await;
        let port = process.port().await;
        Self { process, api, folder, port }
    }

    fn browser(&self) -> Browser {
        let http = Client::builder().no_proxy().redirect(Policy::none()).timeout(limit()).build().unwrap();
        Browser { http, base: format!("http://127.0.0.1:{}", self.port), cookie: None }
    }

    async fn signed_in(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        let (code, headers, _) = browser.post("/sign-in", &[("token", &format!("t0ken-of-{name}"))]).await;
        assert_eq!((code, headers[LOCATION].to_str().unwrap()), (StatusCode::SEE_OTHER, "/"));
        let cookie = headers[SET_COOKIE].to_str().unwrap();
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
        browser.cookie = cookie.split(';').next().map(str::to_owned);
        browser
    }

    fn overrides(&self) -> Vec<Value> {
        self.folder.run(&["override", "list", "--format", "json"]).expect(0).lines()
    }
}

impl Browser {
    async fn send(&self, request: RequestBuilder) -> (StatusCode, HeaderMap, String) {
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let answer = request.send().await.unwrap();
        (answer.status(), answer.headers().clone(), answer.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> String {
        let (code, headers, text) = self.send(self.http.get(format!("{}{path}", self.base))).await;
        assert_eq!(code, StatusCode::OK, "{path}: {text}");
        assert!(headers["content-security-policy"].to_str().unwrap().starts_with("default-src 'none';"));
        text
    }

    async fn status(&self) -> Value {
        let request = self.http.get(format!("{}/status", self.base));
        serde_json::from_str(&self.send(request).await.2).unwrap()
    }

    /// Sends a form as it is.
    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> (StatusCode, HeaderMap, String) {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        let request = self.http.post(format!("{}{path}", self.base)).body(body.join("&"));
        self.send(request).await
    }

    /// Sends a form with the text of the session, as its page has it; returns where the answer leads.
    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> String {
        let csrf = self.csrf().await;
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("csrf", csrf.as_str())]).collect();
        let (code, headers, text) = self.post(path, &fields).await;
        assert_eq!(code, StatusCode::SEE_OTHER, "{path}: {text}");
        headers[LOCATION].to_str().unwrap().to_owned()
    }

    /// Returns the text of the session, as its forms have it.
    async fn csrf(&self) -> String {
        let page = self.get("/").await;
        let after = page.split_once("name=\"csrf\" value=\"").expect("a form").1;
        after.split_once('"').unwrap().0.to_owned()
    }
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Returns the row of a page in the list.
fn row<'p>(page: &'p str, id: &str) -> &'p str {
    page.split("<tr>")
        .find(|row| row.contains(&format!(">{id} ")))
        .unwrap_or_else(|| panic!("{id} in {page}"))
}

const TWO: &str = "site,agent,hours,phone\nLeeds,A-1,Mo-Su 00:00-24:00,1\nYork,A-2,off,2\n";

#[tokio::test]
async fn the_page_shows_what_the_json_says() {
    let desk = Desk::open(SITES, &[("sites.csv", TWO)]).await;
    desk.api.until_variable("A-2", "is_open", &json!(false)).await;
    let browser = desk.browser();
    until_right(&browser).await;
    let list = browser.get("/").await;
    let status = browser.status().await;
    for page in status["pages"].as_array().unwrap() {
        let (id, state) = (page["page"].as_str().unwrap(), page["state"].as_str().unwrap());
        assert!(row(&list, id).contains(&format!(">{state}</span>")), "{id} {state} in {list}");
    }
    assert!(row(&list, "A-1/live").contains("<span class=\"open\">open</span>"), "{list}");
    assert!(row(&list, "A-2/live").contains("<span class=\"closed\">closed</span>"), "{list}");
    // A word or a cell narrows the list.
    for (query, expected) in [("leeds", true), ("phone%3D2", false), ("a-1%20live", true)] {
        let found = browser.get(&format!("/?q={query}")).await;
        assert_eq!(
            (found.contains(">A-1/live "), found.contains(">A-2/live ")),
            (expected, !expected),
            "{query}"
        );
    }
    let page = browser.get("/pages/A-1/live").await;
    for expected in ["sites.csv:2, column &quot;phone&quot;", "The next 14 days", "applied", "is_open"] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let unknown = browser.send(browser.http.get(format!("{}/pages/A-9/live", browser.base))).await;
    assert_eq!(unknown.0, StatusCode::NOT_FOUND);
}

/// Waits until every page is right.
async fn until_right(browser: &Browser) {
    let start = std::time::Instant::now();
    loop {
        let status = browser.status().await;
        if status["pages"].as_array().unwrap().iter().all(|page| page["state"] == "right") {
            return;
        }
        assert!(start.elapsed() < limit(), "timed out: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn staff_see_sites_without_internals() {
    let desk = Desk::open(SITES, &[("sites.csv", TWO)]).await;
    let page = desk.browser().get("/sites").await;
    let content = page.split_once("<main").unwrap().1.split_once("</main>").unwrap().0;
    for expected in ["Leeds", "York", ">open</span>", ">closed</span>"] {
        assert!(content.contains(expected), "{expected} in {content}");
    }
    for internal in ["A-1", "sites.csv", "is_open", "<form method=\"post\""] {
        assert!(!content.contains(internal), "{internal} in {content}");
    }
}

#[tokio::test]
async fn an_override_from_a_form_reaches_the_page_until_it_is_released() {
    let desk = Desk::open(SITES, &[("sites.csv", TWO)]).await;
    desk.api.until_variable("A-1", "is_open", &json!(true)).await;
    let anna = desk.signed_in("anna").await;
    // From the list to the form, with the pages chosen by a search.
    let csrf = anna.csrf().await;
    let (code, _, form) = anna.post("/override", &[("select", "all"), ("q", "leeds"), ("csrf", &csrf)]).await;
    assert!(code.is_success() && form.contains("Override Leeds"), "{form}");
    assert!(form.contains("name=\"id\" value=\"A-1/live\"") && !form.contains("A-2/live"), "{form}");
    let fields = [("id", "A-1/live"), ("kind", "closed"), ("until", "2h"), ("reason", "snow")];
    assert_eq!(anna.submit("/override/set", &fields).await, "/overrides");
    desk.api.until_variable("A-1", "is_open", &json!(false)).await;
    assert_eq!(desk.api.variables("A-2")["is_open"], json!(false));
    let [set] = &desk.overrides()[..] else { panic!("{:?}", desk.overrides()) };
    assert_eq!((&set["who"], &set["reason"]), (&json!("status page as anna"), &json!("snow")));
    assert_eq!(set["pages"].as_array().unwrap().len(), 1);
    assert!(anna.get("/overrides").await.contains("snow"));
    assert!(anna.get("/pages/A-1/live").await.contains("class=\"overridden\""));
    assert!(row(&anna.get("/").await, "A-1/live").contains(">closed</span>"));
    assert!(anna.get("/sites").await.contains(">closed</span>"));
    assert!(!anna.get("/sites").await.contains(">open</span>"));
    // Another end, then the release.
    let path = |action: &str, id: &Value| format!("/override/{id}/{action}");
    anna.submit(&path("extend", &set["id"]), &[("until", "released"), ("until_text", "")]).await;
    let [extended] = &desk.overrides()[..] else { panic!("{:?}", desk.overrides()) };
    assert_ne!(extended["id"], set["id"]);
    assert_eq!(extended["pages"][0]["until"], json!(null));
    assert_eq!(desk.api.variables("A-1")["is_open"], json!(false));
    anna.submit(&path("release", &extended["id"]), &[]).await;
    desk.api.until_variable("A-1", "is_open", &json!(true)).await;
    // A value, with a problem first: the form keeps what was entered.
    let csrf = anna.csrf().await;
    let wrong = [
        ("id", "A-2/live"),
        ("kind", "value"),
        ("variable", "nothing"),
        ("until", "4h"),
        ("reason", "r1"),
        ("csrf", &csrf),
    ];
    let (code, _, form) = anna.post("/override/set", &wrong).await;
    assert_eq!(code, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(form.contains("does not own nothing") && form.contains("value=\"r1\""), "{form}");
    assert!(form.contains("value=\"4h\" selected"), "{form}");
    let right = [
        ("id", "A-2/live"),
        ("kind", "value"),
        ("variable", "phone"),
        ("value", "112"),
        ("until", "released"),
        ("reason", "r"),
    ];
    anna.submit("/override/set", &right).await;
    desk.api.until_variable("A-2", "phone", &json!("112")).await;
    let history = desk.folder.run(&["override", "list", "--all"]).expect(0).out;
    assert!(history.contains("by status page as anna"), "{history}");
}

#[tokio::test]
async fn forms_without_a_session_its_text_or_the_right_change_nothing() {
    let desk = Desk::open(SITES, &[("sites.csv", TWO)]).await;
    desk.api.until_variable("A-1", "is_open", &json!(true)).await;
    let (anna, bert, nobody) = (desk.signed_in("anna").await, desk.signed_in("bert").await, desk.browser());
    let fields = |csrf: &str| {
        let fields = [("id", "A-1/live"), ("kind", "closed"), ("reason", "r"), ("csrf", csrf)];
        fields.map(|(name, value)| (name, value.to_owned()))
    };
    let (of_anna, of_bert) = (anna.csrf().await, bert.csrf().await);
    for (what, browser, csrf, expected) in [
        ("nobody", &nobody, of_anna.as_str(), StatusCode::SEE_OTHER),
        ("no text", &anna, "", StatusCode::FORBIDDEN),
        ("the text of another session", &anna, of_bert.as_str(), StatusCode::FORBIDDEN),
        ("no right", &bert, of_bert.as_str(), StatusCode::FORBIDDEN),
    ] {
        let fields = fields(csrf);
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for path in ["/override/set", "/override/1/release", "/override/1/extend", "/resync"] {
            assert_eq!(browser.post(path, &fields).await.0, expected, "{what} {path}");
        }
    }
    // A web page of another origin, and a name that resolves to this machine.
    for (name, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
        let body = fields(&of_anna).map(|(name, value)| format!("{name}={}", escaped(&value))).join("&");
        let request =
            nobody.http.post(format!("{}/override/set", nobody.base)).header(name, value).body(body);
        assert_eq!(nobody.send(request).await.0, StatusCode::FORBIDDEN, "{name}");
    }
    // A browser sends the cookie along with a request to the API, so the API ignores it.
    let body = json!({"all": true, "says": "closed", "reason": "r"}).to_string();
    let request = anna.http.post(format!("{}/overrides", anna.base)).body(body);
    assert_eq!(anna.send(request).await.0, StatusCode::FORBIDDEN);
    assert_eq!(desk.overrides(), Vec::<Value>::new());
    // Another token in the file ends the sessions of the old one.
    desk.folder.private("bert", "t0ken-of-bart");
    assert_eq!(bert.post("/held/approve", &[("csrf", &of_bert)]).await.0, StatusCode::SEE_OTHER);
    // After signing out, the cookie is worth nothing.
    anna.submit("/sign-out", &[]).await;
    assert_eq!(anna.post("/override/set", &[("csrf", &of_anna)]).await.0, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_held_revision_becomes_active_when_two_people_approve_it() {
    let settings = format!("[hold]\napprovals = 2\npages = 1\n{SITES}");
    let desk = Desk::open(&settings, &[("sites.csv", &round_the_clock(4, "off"))]).await;
    for agent in ["A-0", "A-1", "A-2", "A-3"] {
        desk.api.until_variable(agent, "is_open", &json!(false)).await;
    }
    let (anna, bert) = (desk.signed_in("anna").await, desk.signed_in("bert").await);
    write_atomically(&desk.folder.path("sites.csv"), &round_the_clock(4, "24/7"));
    let mut page = String::new();
    let start = std::time::Instant::now();
    while !page.contains("name=\"revision\"") {
        assert!(start.elapsed() < limit(), "{page}");
        page = anna.get("/held").await;
    }
    for expected in [">A-3/live<", "00:00-24:00", "closed", "4 changes"] {
        assert!(page.contains(expected), "{expected} in {page}");
    }
    let revision = page.split_once("name=\"revision\" value=\"").unwrap().1.split_once('"').unwrap().0;
    let fields = [("revision", revision)];
    assert_eq!(bert.submit("/held/reject", &fields).await, "/held");
    assert!(anna.get("/").await.contains("Rejected by status page as bert"));
    assert_eq!(anna.submit("/held/approve", &fields).await, "/held");
    assert_eq!(anna.submit("/held/approve", &fields).await, "/held", "one person counts once");
    // A program's word for whom it acts is no second person.
    for who in ["", "carla", "x as dora"] {
        let approval = json!({"revision": revision, "who": who}).to_string();
        let request = anna.http.post(format!("{}/approvals", anna.base)).bearer_auth("t0ken-of-anna");
        let answer = request.body(approval).send().await.unwrap().text().await.unwrap();
        assert_eq!(answer, "{\"missing_approvals\":1}", "{who}");
    }
    assert_eq!(desk.api.variables("A-0")["is_open"], json!(false));
    assert_eq!(bert.submit("/held/approve", &fields).await, "/");
    for agent in ["A-0", "A-1", "A-2", "A-3"] {
        desk.api.until_variable(agent, "is_open", &json!(true)).await;
    }
    assert!(anna.get("/held").await.contains("No revision is held"));
}

#[tokio::test]
async fn text_of_people_files_and_pages_is_never_markup() {
    let bad = "<script>alert(1)</script>";
    let quoted = "\"><img src=x onerror=alert(1)>";
    let sites = format!("site,agent,hours,phone\n{bad},A-1,24/7,\"{}\"\n", quoted.replace('"', "\"\""));
    let desk = Desk::open(SITES, &[("sites.csv", &sites)]).await;
    desk.api.until_variable("A-1", "phone", &json!(quoted)).await;
    let anna = desk.signed_in("anna").await;
    let fields = [
        ("id", "A-1/live"),
        ("kind", "value"),
        ("variable", "phone"),
        ("value", bad),
        ("until", "released"),
        ("reason", quoted),
    ];
    anna.submit("/override/set", &fields).await;
    desk.api.until_variable("A-1", "phone", &json!(bad)).await;
    let query = escaped(quoted);
    for path in [
        "/".to_owned(),
        "/overrides".to_owned(),
        "/pages/A-1/live".to_owned(),
        "/sites".to_owned(),
        format!("/?q={query}&environment={query}&state={query}&page={query}"),
        format!("/sites?q={query}"),
        format!("/override?id=A-1/live&where={query}&reason={query}&variable={query}&kind={query}"),
    ] {
        let page = anna.get(&path).await;
        for markup in ["<script>alert", "<img", "onerror=alert(1)>"] {
            let is_shown = page.contains(markup) && !page.contains("&lt;img src=x onerror=alert(1)&gt;");
            assert!(!is_shown, "{markup} in {path}: {page}");
        }
        assert!(!page.contains("<script>alert") && !page.contains("<img"), "{path}: {page}");
    }
}

#[tokio::test]
async fn failed_attempts_to_sign_in_are_slowed_down() {
    let desk = Desk::open(&format!("{NO_HOLD}{}", always("A-1")), &[]).await;
    let browser = desk.browser();
    for _ in 0..5 {
        assert_eq!(browser.post("/sign-in", &[("token", "guess")]).await.0, StatusCode::FORBIDDEN);
    }
    let right = browser.post("/sign-in", &[("token", "t0ken-of-anna")]).await;
    assert_eq!((right.0, right.1.contains_key(SET_COOKIE)), (StatusCode::TOO_MANY_REQUESTS, false));
    assert!(!desk.process.log().contains("t0ken-of"), "{}", desk.process.log());
}

#[tokio::test]
async fn a_browser_learns_of_changes_and_one_that_never_reads_delays_nobody() {
    let desk = Desk::open(&always("A-1"), &[]).await;
    desk.api.until_variable("A-1", "is_open", &json!(true)).await;
    let browser = desk.browser();
    until_right(&browser).await;
    let mut silent = Vec::new();
    for _ in 0..31 {
        silent.push(browser.http.get(format!("{}/events", browser.base)).send().await.unwrap());
    }
    let mut live = browser.http.get(format!("{}/events", browser.base)).send().await.unwrap();
    assert_eq!(live.headers()["content-type"], "text/event-stream");
    let first = live.chunk().await.unwrap().unwrap();
    assert!(first.starts_with(b"data: "), "{first:?}");
    let full = browser.http.get(format!("{}/events", browser.base)).send().await.unwrap();
    assert_eq!(full.status(), StatusCode::SERVICE_UNAVAILABLE);
    let set = ["override", "set", "A-1/live", "--closed", "--until-released", "--reason", "snow"];
    desk.folder.run(&set).expect(0);
    desk.api.until_variable("A-1", "is_open", &json!(false)).await;
    loop {
        let next = tokio::time::timeout(limit(), live.chunk()).await.unwrap().unwrap().unwrap();
        if next.starts_with(b"data: ") && next != first {
            break;
        }
    }
    drop(silent);
}

#[tokio::test]
async fn the_page_is_served_over_tls_with_the_newest_certificate() {
    let (old, new) = (include_str!("tls/old.pem"), include_str!("tls/new.pem"));
    let keys = (include_str!("tls/old.key"), include_str!("tls/new.key"));
    let listen = "cert_file = \"cert.pem\"\nkey_file = \"key.pem\"\n";
    let desk = Desk::listening(listen, &always("A-1"), &[("cert.pem", old), ("key.pem", keys.0)]).await;
    let trusting = |certificate: &str| {
        let root = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
        Client::builder().no_proxy().tls_certs_only([root]).pool_max_idle_per_host(0).build().unwrap()
    };
    let (by_old, by_new) = (trusting(old), trusting(new));
    let url = format!("https://localhost:{}/healthz", desk.port);
    assert_eq!(by_old.get(&url).send().await.unwrap().text().await.unwrap(), "ok\n");
    assert!(by_new.get(&url).send().await.is_err());
    // A certificate without its key is not used, and the log names the file.
    desk.folder.write("cert.pem", new);
    until("the mismatch is reported", || {
        std::net::TcpStream::connect(("127.0.0.1", desk.port)).unwrap();
        desk.process.log().contains("the certificate was not changed")
    })
    .await;
    assert_eq!(by_old.get(&url).send().await.unwrap().status(), StatusCode::OK);
    desk.folder.write("key.pem", keys.1);
    assert_eq!(by_new.get(&url).send().await.unwrap().status(), StatusCode::OK);
    assert!(by_old.get(&url).send().await.is_err());
    let sign_in = by_new.post(format!("https://localhost:{}/sign-in", desk.port)).body("token=t0ken-of-anna");
    let cookie = sign_in.send().await.unwrap();
    assert!(
        cookie.headers().get(SET_COOKIE).is_none_or(|cookie| cookie.to_str().unwrap().ends_with("; Secure"))
    );
}

/// One page that shows all sites of a table.
const MANY: &str = "
[sources.sites]
path = \"sites.csv\"
key = \"site\"
[[page]]
agent = \"MANY\"
environment = \"live\"
[page.variables.sites]
each = \"sites\"
hours = { timezone = \"Europe/London\", weekly = \"{{ row.hours }}\" }
item = { name = \"{{ row.site }}\", open = { show = \"is_open\" } }
";

#[tokio::test]
async fn an_override_of_some_sites_of_a_page_with_many_affects_and_shows_only_those() {
    let sites = "site,region,hours\nLeeds,north,24/7\nYork,northwest,24/7\nBath,south,24/7\n";
    let desk = Desk::open(MANY, &[("sites.csv", sites)]).await;
    until("the page is filled", || desk.api.variables("MANY")["sites"].is_array()).await;
    let anna = desk.signed_in("anna").await;
    let csrf = anna.csrf().await;
    let all = [("select", "all"), ("q", "Region=NORTH"), ("csrf", &csrf)];
    let (_, _, form) = anna.post("/override", &all).await;
    assert!(form.contains("name=\"where\" value=\"region=north\""), "{form}");
    let fields = [
        ("id", "MANY/live"),
        ("where", "region=north"),
        ("kind", "closed"),
        ("until", "2h"),
        ("reason", "r"),
    ];
    anna.submit("/override/set", &fields).await;
    let open = |site: usize| desk.api.variables("MANY")["sites"][site]["open"].clone();
    until("Leeds is closed", || open(0) == json!(false)).await;
    assert_eq!((open(1), open(2)), (json!(true), json!(true)));
    // The end of a row counts, too.
    let id = desk.overrides()[0]["id"].to_string();
    let earlier = desk.folder.run(&["override", "extend", &id, "--until", "1h"]).expect(1).err;
    assert!(
        earlier.contains("the new end is earlier") && earlier.contains("site=Leeds of MANY/live"),
        "{earlier}"
    );
    desk.folder.run(&["override", "extend", &id, "--until", "3h"]).expect(0);
    assert_eq!((open(0), open(1), open(2)), (json!(false), json!(true), json!(true)));
    let page = anna.get("/sites").await;
    for (site, state) in [("Leeds", "closed"), ("York", "open"), ("Bath", "open")] {
        let shown =
            page.split(&format!("<h2>{site}</h2>")).nth(1).unwrap().split("</article>").next().unwrap();
        assert!(shown.contains(&format!(">{state}</span>")), "{site}: {shown}");
    }
    assert!(anna.get("/").await.contains("2 of 3 open"));
}

#[tokio::test]
async fn a_value_that_a_person_set_is_not_shown_as_hours() {
    let desk = Desk::open(&always("A-1"), &[]).await;
    desk.api.until_variable("A-1", "is_open", &json!(true)).await;
    let browser = desk.browser();
    until_right(&browser).await;
    assert!(browser.get("/").await.contains(">open</span>"));
    let set =
        ["override", "set", "A-1/live", "--value", "is_open=false", "--until-released", "--reason", "r"];
    desk.folder.run(&set).expect(0);
    desk.api.until_variable("A-1", "is_open", &json!(false)).await;
    for view in ["/", "/sites"] {
        let shown = browser.get(view).await;
        let main = shown.split_once("<main").unwrap().1;
        assert!(!main.contains(">open</span>"), "{view}: {main}");
    }
}

#[tokio::test]
async fn commands_reject_a_revision_and_extend_an_override() {
    let desk = Desk::open(SITES, &[("sites.csv", TWO)]).await;
    desk.api.until_variable("A-1", "is_open", &json!(true)).await;
    let set =
        ["override", "set", "A-1/live", "--closed", "--until", "2h", "--reason", "snow", "--format", "json"];
    let id = desk.folder.run(&set).expect(0).lines()[0]["id"].to_string();
    let extended = desk.folder.run(&["override", "extend", &id, "--until", "4h"]).expect(0).out;
    assert!(extended.contains(&format!("It replaces override {id}.")), "{extended}");
    assert_eq!(desk.overrides().len(), 1);
    let unknown = desk.folder.run(&["override", "extend", &id, "--until", "4h"]).expect(1).err;
    assert!(unknown.contains("is not active"), "{unknown}");
    let id = desk.overrides()[0]["id"].to_string();
    let earlier = desk.folder.run(&["override", "extend", &id, "--until", "1m"]).expect(1).err;
    assert!(earlier.contains("the new end is earlier"), "{earlier}");
    // A newer override would lose its precedence.
    let open = ["override", "set", "A-1/live", "--open", "--until", "3h", "--reason", "over"];
    desk.folder.run(&open).expect(0);
    let newer = desk.folder.run(&["override", "extend", &id, "--until", "5h"]).expect(1).err;
    assert!(newer.contains("was set later on A-1/live and takes precedence"), "{newer}");
    assert_eq!(desk.overrides().len(), 2);
    let none = desk.folder.run(&["reject", "r1"]).expect(1).err;
    assert!(none.contains("no revision is held"), "{none}");
}

/// A person may paste the key into a page, and another client may leave it there.
#[tokio::test]
async fn an_api_key_on_a_page_is_neither_shown_nor_stored() {
    let reporting = SITES.replace("environment = \"live\"", "environment = \"live\"\non_drift = \"report\"");
    let sites = round_the_clock(1, "Mo-Su 00:00-24:00");
    let desk = Desk::open(&format!("{NO_HOLD}{reporting}"), &[("sites.csv", &sites)]).await;
    desk.api.until_variable("A-0", "phone", &json!("0")).await;
    desk.api.edit("A-0", &json!({"phone": KEY}));
    let anna = desk.signed_in("anna").await;
    assert_eq!(anna.submit("/resync", &[("id", "A-0/live")]).await, "/pages/A-0/live");
    let history = || desk.folder.run(&["history", "--format", "json"]).out;
    until("the drift is recorded", || history().contains("[key]")).await;
    let page = anna.get("/pages/A-0/live").await;
    assert!(page.contains("[key]"), "{page}");
    let shown = [
        page,
        anna.get("/").await,
        anna.status().await.to_string(),
        desk.folder.run(&["status", "--all"]).out,
        history(),
    ];
    for text in &shown {
        assert!(!text.contains(KEY), "{text}");
    }
    for (path, content) in desk.folder.everything() {
        let holds_key = content.windows(KEY.len()).any(|window| window == KEY.as_bytes());
        assert_eq!(holds_key, path == desk.folder.path("key"), "{}", path.display());
    }
}
