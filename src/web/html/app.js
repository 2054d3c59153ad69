// Live updates, countdowns and the warning of a lost connection. Every view works without it.
"use strict";

const body = document.body;
const begun = performance.now();

/** Returns the daemon's time in seconds; in a rehearsal it passes faster. */
const now = () => Number(body.dataset.at) / 1000
    + (performance.now() - begun) / 1000 * Number(body.dataset.speed || 1);

/** Returns a length of time in its two largest units, as the server writes it. */
const words = (seconds) => {
    const [days, hours] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24];
    const minutes = Math.floor(seconds / 60) % 60;
    if (days > 1) return `${days} days`;
    if (days === 1) return `1 day ${hours} h`;
    if (hours > 0) return `${hours} h ${minutes} min`;
    return minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
};

/** Shows the time that is left; a view whose next change has come is out of date. */
const tick = () => {
    for (const element of document.querySelectorAll(".countdown")) {
        const left = Number(element.dataset.until) - now();
        if (left <= 0 && element.textContent !== "now") setTimeout(() => refresh().catch(() => {}), 1000);
        element.textContent = left > 0 ? `in ${words(left)}` : "now";
    }
};

/** Returns true while a person fills in a form, which an update would empty. */
const isBusy = () => document.querySelector("#main input:checked:not([type=radio])") !== null
    || (document.activeElement?.closest("#main form") ?? null) !== null
    || document.querySelector("#main form.new") !== null;

/** The state that this view shows, and the newest one that the daemon reported. */
let shown = body.dataset.digest;
let latest = shown;

const refresh = async () => {
    if (isBusy()) return;
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok || isBusy()) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    shown = fresh.body.dataset.digest;
    const open = new Set([...document.querySelectorAll("#main details[open] > summary")].map((s) => s.textContent));
    document.querySelector("#main").replaceWith(document.adoptNode(fresh.querySelector("#main")));
    document.querySelector("header").replaceWith(document.adoptNode(fresh.querySelector("header")));
    document.querySelector("footer").replaceWith(document.adoptNode(fresh.querySelector("footer")));
    for (const summary of document.querySelectorAll("#main details > summary")) {
        if (open.has(summary.textContent)) summary.parentElement.open = true;
    }
    tick();
};

if (body.dataset.at) {
    setInterval(tick, 1000);
    const lost = document.querySelector("#lost");
    let timer = null;
    const follow = () => {
        const stream = new EventSource("/events");
        stream.onopen = () => {
            clearTimeout(timer);
            timer = null;
            lost.hidden = true;
        };
        stream.onmessage = (event) => {
            latest = event.data;
            if (latest !== shown) refresh().catch(() => {});
        };
        stream.onerror = () => {
            // The stream also ends now and then, and the browser connects again within some seconds.
            timer ??= setTimeout(() => { lost.hidden = false; }, 5000);
            // After a refusal it does not.
            if (stream.readyState === EventSource.CLOSED) setTimeout(follow, 10000);
        };
    };
    follow();
    const catchUp = () => { if (latest !== shown) refresh().catch(() => {}); };
    document.addEventListener("focusout", () => setTimeout(catchUp, 0));
    document.addEventListener("change", catchUp);
}
