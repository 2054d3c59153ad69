// The status page in headless Chromium, on a real daemon and simulator.
// Usage: node status-page.mjs PROGRAM; with SHOTS=FOLDER it also takes pictures of the views.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { chmodSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const program = process.argv[2];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "rtconfd-browser-"));
const LIMIT = 60_000;
const BAD = "<img src=x onerror=alert(1)>";

const freePort = () => new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
        const { port } = server.address();
        server.close(() => resolve(port));
    });
});
const write = (name, text) => {
    writeFileSync(join(folder, `${name}.new`), text);
    renameSync(join(folder, `${name}.new`), join(folder, name));
};
const until = async (what, holds) => {
    const end = Date.now() + LIMIT;
    while (!(await holds())) {
        assert(Date.now() < end, `timed out waiting until ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
};
/** The sites of the tests: open or closed round the clock, so that the time of day does not matter. */
const sites = (hours, count = 12) => "site,agent,region,hours,phone\n" + [...Array(count).keys()].map((number) => {
    const name = number === 0 ? BAD : `Site ${number}`;
    return `${name},A-${number},${number % 2 ? "north" : "south"},${hours},+44 113 ${number}\n`;
}).join("");

const [api, page] = [await freePort(), await freePort()];
const base = `http://127.0.0.1:${page}`;
write("sites.csv", sites("24/7"));
write("rtconfd.toml", `
[api]
base_url = "http://127.0.0.1:${api}"
rate = 1000
burst = 1000
[store]
path = "s.sqlite"
[hold]
pages = 2
[listen]
address = "127.0.0.1:${page}"
[[listen.tokens]]
name = "anna"
file = "token"
rights = ["override", "approve"]
[sources.sites]
path = "sites.csv"
key = "site"
[[page]]
for_each = "sites"
agent = "{{ row.agent }}"
environment = "live"
hours = { timezone = "Europe/London", weekly = "{{ row.hours }}" }
variables = { is_open = { show = "is_open" }, phone = { column = "phone" }, today = { show = "today" } }
`);
write("token", "t0ken");
chmodSync(join(folder, "token"), 0o600);
const options = { cwd: folder, env: { ...process.env, RTCONFD_API_KEY: "key" }, stdio: "ignore" };
const simulator = spawn(program, ["simulator", "--listen", `127.0.0.1:${api}`, "--api-key", "key"], options);
const daemon = spawn(program, ["run"], options);
const run = (...args) => new Promise((resolve) => spawn(program, args, options).on("exit", resolve));
const status = async () => (await fetch(`${base}/status`)).json();
const value = async (agent, name) => {
    const url = `http://127.0.0.1:${api}/v1/agents/${agent}/real-time-configs/live`;
    const answer = await (await fetch(url, { headers: { "x-api-key": "key" } })).json();
    return answer.variables?.[name];
};

const browser = await chromium.launch({
    executablePath: "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
/** Opens a browser window that records every error, violation and dialog. */
const open = async (settings) => {
    const context = await browser.newContext(settings);
    const tab = await context.newPage();
    tab.setDefaultTimeout(LIMIT);
    const errors = [];
    tab.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    tab.on("pageerror", (error) => errors.push(String(error)));
    tab.on("dialog", (dialog) => { errors.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    return { tab, errors };
};
const shot = async (tab, name) => process.env.SHOTS && tab.screenshot({ path: join(process.env.SHOTS, `${name}.png`) });
const check = async (tab, view) => {
    await tab.evaluate(axe);
    const { violations } = await tab.evaluate(() => globalThis.axe.run());
    assert.deepEqual(violations.map((found) => [found.id, found.nodes[0].html]), [], `axe-core: ${view}`);
};
const signIn = async (tab) => {
    await tab.goto(`${base}/sign-in`);
    await tab.fill("input[name=token]", "t0ken");
    await tab.click("main button");
    await tab.waitForURL(`${base}/`);
};

const tests = {
    async "the list shows what the JSON says"() {
        const { tab, errors } = await open();
        await tab.goto(base);
        const shown = await tab.$$eval("table.pages tbody tr", (rows) => rows.map((row) =>
            [row.querySelector("th .quiet").textContent.split(" ")[0], row.querySelector(".state").textContent,
                row.querySelector("[data-label=Now] span").textContent]));
        const expected = (await status()).pages.map((known) => [known.page, known.state, "open"]);
        assert.deepEqual(shown.sort(), expected.sort());
        assert.deepEqual(errors, []);
    },
    async "an override by clicking reaches the page and is gone after its end"() {
        const { tab, errors } = await open();
        await signIn(tab);
        await tab.goto(`${base}/?q=region%3Dnorth`);
        await tab.click("text=Override all 6 found");
        await tab.fill("input[name=until_text]", "4s");
        await tab.fill("input[name=reason]", BAD);
        await tab.click("text=Set the override");
        await tab.waitForURL(`${base}/overrides`);
        await shot(tab, "overrides");
        await until("the pages are closed", async () => (await value("A-1", "is_open")) === false);
        assert.equal(await value("A-2", "is_open"), true);
        await until("the override is over", async () => (await value("A-1", "is_open")) === true);
        await tab.waitForSelector("text=No override is active.");
        assert.deepEqual(errors, []);
    },
    async "the keyboard alone closes a site"() {
        const { tab, errors } = await open();
        const press = async (selector, keys) => {
            for (let steps = 0; steps < 200; steps += 1) {
                await tab.keyboard.press("Tab");
                if (await tab.evaluate((wanted) => document.activeElement.matches(wanted), selector)) return tab.keyboard.press(keys);
            }
            assert.fail(`the keyboard does not reach ${selector}`);
        };
        await tab.goto(base);
        await press("a.person", "Enter");
        await tab.waitForURL(`${base}/sign-in`);
        await press("input[name=token]", "t");
        await tab.keyboard.type("0ken");
        await tab.keyboard.press("Enter");
        await tab.waitForURL(`${base}/`);
        await press("input[name=id][value='A-3/live']", "Space");
        await tab.focus(".skip");
        await press("button[value=chosen]", "Enter");
        await tab.waitForSelector("text=Override Site 3");
        await press("input[name=reason]", "x");
        await tab.keyboard.press("Enter");
        // The first choice, the next opening, does not exist for a site that is always open.
        await tab.waitForSelector("text=has no next opening");
        await press("input[name=until_text]", "3");
        await tab.keyboard.type("h");
        await tab.keyboard.press("Enter");
        await tab.waitForURL(`${base}/overrides`);
        await until("the page is closed", async () => (await value("A-3", "is_open")) === false);
        assert.deepEqual(errors.filter((error) => !error.includes("422")), []);
    },
    async "an open view follows the daemon"() {
        const { tab, errors } = await open();
        await tab.goto(`${base}/pages/A-5/live`);
        await run("override", "set", "A-5/live", "--closed", "--until-released", "--reason", "flood");
        await tab.waitForSelector("text=flood");
        await shot(tab, "page");
        assert.deepEqual(errors, []);
    },
    async "a revision approved by clicking becomes active"() {
        const { tab, errors } = await open();
        await signIn(tab);
        write("sites.csv", sites("off"));
        await tab.waitForSelector("text=A revision is held.");
        await tab.click("text=Review it");
        await tab.waitForSelector("text=12 changes");
        await shot(tab, "held");
        await check(tab, "held");
        assert.equal(await value("A-1", "is_open"), true);
        await tab.click("main button:text-is('Approve')");
        await tab.waitForURL(`${base}/`);
        await until("the pages are closed", async () => (await value("A-11", "is_open")) === false);
        assert.deepEqual(errors, []);
    },
    async "every view is accessible in both themes and at phone width"() {
        for (const colorScheme of ["light", "dark"]) {
            for (const [width, height] of [[1280, 900], [390, 844]]) {
                const { tab, errors } = await open({ colorScheme, viewport: { width, height } });
                await signIn(tab);
                for (const view of ["", "pages/A-0/live", "overrides", "sites", "override?id=A-1/live", "held", "sign-in"]) {
                    await tab.goto(`${base}/${view}`);
                    await check(tab, `${view} ${colorScheme} ${width}`);
                    const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth);
                    assert(overflow <= 0, `${view} is ${overflow} pixels too wide at ${width}`);
                    await shot(tab, `${view.replace(/\W+/g, "-") || "pages"}-${colorScheme}-${width}`);
                }
                assert.deepEqual(errors, []);
            }
        }
    },
    async "everything is readable without scripts"() {
        const { tab } = await open({ javaScriptEnabled: false });
        await tab.goto(base);
        await tab.click("text=Site 4");
        assert((await tab.textContent("main")).includes("sites.csv:6"));
    },
    // The last test, since it ends the daemon.
    async "an open view warns of a lost connection"() {
        const { tab } = await open();
        await tab.goto(base);
        daemon.kill();
        await tab.waitForSelector("#lost:not([hidden])");
    },
};

let failed = 0;
try {
    await until("the daemon serves", async () => fetch(`${base}/readyz`).then((answer) => answer.ok, () => false));
    await until("all pages are right", async () => (await status()).pages.every((known) => known.state === "right"));
    for (const [name, test] of Object.entries(tests)) {
        try {
            await test();
            console.log(`ok: ${name}`);
        } catch (error) {
            failed += 1;
            console.error(`FAILED: ${name}\n${error.stack}`);
        }
    }
} finally {
    await browser.close();
    daemon.kill();
    simulator.kill();
    rmSync(folder, { recursive: true, force: true });
}
process.exit(failed ? 1 : 0);
