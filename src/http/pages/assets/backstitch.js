// What the pages gain from a script: live updates, times as spans from now, dialogs, keys. Every page works without it.
"use strict";
(() => {
  const main = document.getElementById("main");
  const view = main?.dataset.view;
  // The path under which the server is mounted: every address of ours begins with it.
  const base = document.body.dataset.base ?? "";

  // Times: the server writes moments; how long ago they are is this browser's to say, and to keep saying.
  const SPANS = [[60, 1, "s"], [3600, 60, "min"], [86400, 3600, "h"], [Infinity, 86400, "d"]];
  function ago(at) {
    const seconds = Math.round((Date.now() - at) / 1000);
    const [, unit, word] = SPANS.find(([below]) => Math.abs(seconds) < below);
    const count = Math.trunc(Math.abs(seconds) / unit);
    return seconds < -1 ? `in ${count} ${word}` : `${count} ${word} ago`;
  }
  function tellTimes(within) {
    for (const time of within.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(time.dateTime));
      if (time.textContent !== text) time.textContent = text;
    }
  }
  tellTimes(document);
  setInterval(() => tellTimes(document), 5000);

  // A new picture of a view is laid over the old one, so that focus, selection, scrolling and opened details stay.
  const keyOf = (node) => node.id || (node.dataset && node.dataset.key) || "";
  const same = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);
  const drop = (node) => { const next = node.nextSibling; node.remove(); return next; };
  function lay(old, fresh) {
    if (old.nodeType !== Node.ELEMENT_NODE) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    const moment = old.nodeName === "TIME" && old.dateTime === fresh.dateTime;
    for (const { name } of [...old.attributes]) {
      const kept = (name === "open" && old.nodeName === "DETAILS") || name === "class" && old.matches("tr");
      if (!kept && !fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (name === "open" && old.nodeName === "DETAILS") continue;
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    if (moment || (old.matches("input, select, textarea") && old.closest("form"))) return;
    let here = old.firstChild;
    for (const next of [...fresh.childNodes]) {
      // Space between elements is nothing to go by.
      while (here && here.nodeType === Node.TEXT_NODE && next.nodeType !== Node.TEXT_NODE) here = drop(here);
      let found = here && same(here, next) ? here : null;
      if (!found && next.nodeType === Node.ELEMENT_NODE) {
        for (let later = here?.nextSibling; later && !found; later = later.nextSibling) {
          if (same(later, next) && (keyOf(next) || later.className === next.className)) found = later;
        }
        if (found && !keyOf(next)) while (here !== found) here = drop(here);
      }
      if (!found) { old.insertBefore(next, here); continue; }
      if (found === here) here = here.nextSibling; else old.insertBefore(found, here);
      lay(found, next);
    }
    while (here) here = drop(here);
  }

  // Live: one stream for the page's view, closed while nobody looks at it.
  const lamp = document.getElementById("live");
  if (view && lamp && "EventSource" in window) {
    let stream = null;
    let paused = false;
    const tell = (state) => { lamp.dataset.state = state; lamp.querySelector(".word").textContent = state; };
    const close = () => { stream?.close(); stream = null; };
    function open() {
      if (stream || paused || document.hidden) return;
      stream = new EventSource(base + "/live?view=" + encodeURIComponent(view));
      stream.addEventListener("open", () => tell("live"));
      stream.addEventListener("error", () => {
        tell("reconnecting");
        if (stream?.readyState === EventSource.CLOSED) { close(); setTimeout(open, 3000); }
      });
      stream.addEventListener("view", (event) => {
        tell("live");
        const fresh = new DOMParser().parseFromString(`<div id="view">${event.data}</div>`, "text/html").getElementById("view");
        lay(document.getElementById("view"), fresh);
        tellTimes(main);
      });
    }
    lamp.hidden = false;
    lamp.addEventListener("click", () => {
      paused = !paused;
      if (paused) { close(); tell("paused"); } else { tell("connecting"); open(); }
    });
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) { close(); if (!paused) tell("paused"); } else open();
    });
    window.addEventListener("pagehide", close);
    window.addEventListener("pageshow", open);
    open();
  }

  // Dialogs: a link to a form opens that form here, instead of going there.
  let dialog = null;
  function show(content, label) {
    dialog?.remove();
    dialog = document.createElement("dialog");
    dialog.setAttribute("aria-label", label);
    const shut = document.createElement("button");
    shut.type = "button"; shut.className = "close plain"; shut.textContent = "Close"; shut.autofocus = false;
    shut.addEventListener("click", () => dialog.close());
    dialog.append(shut, content);
    const back = document.activeElement;
    dialog.addEventListener("close", () => { dialog.remove(); dialog = null; back?.focus?.(); });
    document.body.append(dialog);
    dialog.showModal();
    dialog.querySelector("textarea, input:not([type=hidden]), select")?.focus();
  }
  document.addEventListener("click", async (event) => {
    const link = event.target.closest?.("a[data-dialog]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    try {
      const page = new DOMParser().parseFromString(await (await fetch(link.href)).text(), "text/html");
      const form = page.getElementById("form");
      if (!form) throw new Error("the page has no form");
      show(form, link.textContent.trim());
    } catch {
      location.href = link.href;
    }
  });
  // An empty filter field is no condition: it does not have to stand in the address.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "get") return;
    for (const field of event.target.elements) if (field.name && field.value === "") field.disabled = true;
  });
  window.addEventListener("pageshow", () => {
    for (const field of document.querySelectorAll("form[method=get] [disabled]")) field.disabled = false;
  });

  // Keys.
  const KEYS = [["/", "search"], ["j, k", "next, previous row"], ["Enter", "open the row"], ["a", "what needs attention"], ["r", "runs"],
    ["o", "overview"], ["p", "pause or resume live updates"], ["?", "this list"], ["Esc", "close"]];
  function help() {
    const table = document.createElement("table");
    table.className = "keys";
    for (const [key, what] of KEYS) {
      const row = table.insertRow();
      const cap = document.createElement("kbd");
      cap.textContent = key;
      row.insertCell().append(cap);
      row.insertCell().textContent = what;
    }
    const card = document.createElement("div");
    card.className = "card";
    const title = document.createElement("h2");
    title.textContent = "Keyboard";
    card.append(title, table);
    show(card, "Keyboard shortcuts");
  }
  const keys = document.getElementById("keys");
  if (keys) { keys.hidden = false; keys.addEventListener("click", help); }
  function move(step) {
    const rows = [...document.querySelectorAll("#view tbody tr[data-key]")];
    if (!rows.length) return;
    const at = rows.findIndex((row) => row.classList.contains("picked"));
    const next = rows[Math.min(Math.max(at + step, 0), rows.length - 1)];
    rows[at]?.classList.remove("picked");
    next.classList.add("picked");
    next.querySelector("a")?.focus();
    next.scrollIntoView({ block: "nearest" });
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog || event.target.closest("input, select, textarea")) return;
    const does = {
      "/": () => { const field = document.querySelector("[data-search]"); if (field) field.focus(); else location.href = base + "/runs"; },
      j: () => move(1), k: () => move(-1), a: () => { location.href = base + "/attention"; }, r: () => { location.href = base + "/runs"; },
      o: () => { location.href = base || "/"; }, p: () => lamp?.click(), "?": help,
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });

  // What was done stands in the address for one look only.
  const address = new URL(location.href);
  if (address.searchParams.has("done")) { address.searchParams.delete("done"); history.replaceState(null, "", address); }
})();
