"use strict";
// Without this script every page works; with it, pages follow what happens, countdowns count, and ids can be copied.
(() => {
  const LEAST_PAUSE_MS = 700;
  const state = document.getElementById("live-state");

  // A page that a form led to has an address of its own: there it can be fetched again, and loaded again without a question.
  if (document.body.dataset.self) history.replaceState(null, "", document.body.dataset.self);

  // -- following: the server says that something is new, the page fetches itself and takes over what differs

  const live = () => document.querySelectorAll("[data-live]");
  let stream = null;
  let isBusy = false;
  let isWanted = false;
  let pauseMs = LEAST_PAUSE_MS;

  function takeOver(fresh) {
    for (const old of live()) {
      const next = fresh.getElementById(old.id);
      if (!next || old.outerHTML === next.outerHTML || old.contains(typingIn())) continue;
      const focused = old.contains(document.activeElement) ? addressOf(document.activeElement, old) : null;
      const opened = [...old.querySelectorAll("details")].map((details) => details.open);
      old.className = next.className;
      old.replaceChildren(...next.childNodes);
      old.querySelectorAll("details").forEach((details, index) => { details.open = opened[index] ?? false; });
      if (focused) old.querySelectorAll(focused.kind)[focused.index]?.focus({ preventScroll: true });
    }
    tick();
    offerCopies();
  }

  function typingIn() {
    const focused = document.activeElement;
    return focused && focused.matches("input, select, textarea") ? focused : null;
  }

  function addressOf(element, within) {
    const kind = element.localName;
    return { kind, index: [...within.querySelectorAll(kind)].indexOf(element) };
  }

  async function refresh() {
    if (isBusy) { isWanted = true; return; }
    isBusy = true;
    const began = performance.now();
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.redirected) { location.reload(); return; }
      if (answer.ok) takeOver(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch {
      // The stream tells of a server that is gone, and of its return.
    }
    // A page that is costly to make is made less often.
    pauseMs = Math.max(LEAST_PAUSE_MS, 5 * (performance.now() - began));
    setTimeout(() => {
      isBusy = false;
      if (isWanted) { isWanted = false; refresh(); }
    }, pauseMs);
  }

  function follow() {
    if (stream || !live().length || document.hidden) return;
    stream = new EventSource("/events");
    stream.addEventListener("open", () => say("Live"));
    stream.addEventListener("change", refresh);
    stream.addEventListener("error", () => {
      say("Not connected; trying again");
      if (stream && stream.readyState === EventSource.CLOSED) { leave(); setTimeout(follow, 5000); }
    });
  }

  function leave() {
    stream?.close();
    stream = null;
  }

  function say(words) {
    if (state.textContent !== words) state.textContent = words;
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : follow()));
  addEventListener("pagehide", leave);

  // -- countdowns, in the words that the server uses

  const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  function inWords(seconds) {
    let rest = Math.round(seconds);
    const parts = [];
    for (const [unit, size] of UNITS) {
      const value = Math.floor(rest / size);
      rest -= value * size;
      if (value) parts.push(`${value} ${unit}`);
    }
    return parts.slice(0, 2).join(" ") || "0 s";
  }

  function tick() {
    for (const time of document.querySelectorAll("time[data-relative]")) {
      const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
      time.textContent = Math.abs(seconds) < 1 ? "now" : seconds > 0 ? `in ${inWords(seconds)}` : `${inWords(-seconds)} ago`;
    }
  }

  // -- copying

  function offerCopies() {
    for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      // No clipboard outside of secure contexts: select it, so that one key copies it.
      if (source.select) source.select();
      else getSelection().selectAllChildren(source);
      button.textContent = "Selected";
    }
    setTimeout(() => { button.textContent = "Copy"; }, 2000);
  });

  // A picture that cannot be made leaves no broken frame.
  for (const picture of document.querySelectorAll(".thumbnail img")) {
    const missing = () => { picture.parentElement.classList.add("no-picture"); picture.alt = "No picture"; };
    picture.addEventListener("error", missing);
    if (picture.complete && !picture.naturalWidth && !picture.loading) missing();
  }

  offerCopies();
  tick();
  setInterval(tick, 1000);
  follow();
})();
