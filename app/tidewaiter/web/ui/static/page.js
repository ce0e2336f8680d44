/* Keeps the page up to date: it is fetched again every few seconds, and only differences are applied.
   Without this file everything works, too; the page is loaded again by hand. */
(() => {
  "use strict";
  const root = document.documentElement;
  const themes = ["auto", "light", "dark"];

  const remembered = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a private window stores nothing */ } };

  function applyTheme(theme) {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme;
    else delete root.dataset.theme;
  }
  applyTheme(remembered("tidewaiter-theme"));

  function makeThemeSwitch() {
    const button = document.getElementById("theme");
    const show = () => {
      const theme = root.dataset.theme || "auto";
      button.replaceChildren(Object.assign(document.createElement("span"), { className: "topic", textContent: "Colours: " }), theme);
      button.setAttribute("aria-label", `Colours: ${theme}. Press to change.`);
    };
    button.addEventListener("click", () => {
      const next = themes[(themes.indexOf(root.dataset.theme || "auto") + 1) % themes.length];
      applyTheme(next);
      remember("tidewaiter-theme", next);
      show();
    });
    button.hidden = false;
    show();
  }

  /* Elements match if they have the same name and key; a key is an id or data-key. */
  const keyOf = (node) => (node.nodeType === 1 ? node.id || node.dataset.key || "" : "");
  const isSame = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);

  function morphAttributes(old, fresh) {
    for (const { name } of [...old.attributes]) {
      if (!fresh.hasAttribute(name) && !(name === "open" && old.nodeName === "DETAILS")) old.removeAttribute(name);
    }
    for (const { name, value } of fresh.attributes) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
  }

  function morph(old, fresh) {
    if (old.nodeType !== 1) {
      if (old.nodeValue !== fresh.nodeValue) old.nodeValue = fresh.nodeValue;
      return;
    }
    if (old.isEqualNode(fresh)) return;
    morphAttributes(old, fresh);
    morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    const keyed = new Map();
    for (const child of old.childNodes) if (keyOf(child)) keyed.set(keyOf(child), child);
    let place = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const key = keyOf(child);
      let match = key ? keyed.get(key) : null;
      if (match && !isSame(match, child)) match = null;
      if (!match && !key && place && isSame(place, child)) match = place;
      if (match) {
        if (match === place) place = place.nextSibling;
        else old.insertBefore(match, place);
        morph(match, child);
      } else {
        old.insertBefore(document.importNode(child, true), place);
      }
    }
    while (place) {
      const next = place.nextSibling;
      place.remove();
      place = next;
    }
  }

  function makeLive() {
    const main = document.getElementById("main");
    const lost = document.getElementById("lost");
    const holder = document.getElementById("live");
    if (!main.dataset.live) return;
    let isLive = remembered("tidewaiter-live") !== "off";
    let timer = 0;
    let failures = 0;
    let fetching = false;

    const button = document.createElement("button");
    button.type = "button";
    button.className = "tool";
    const show = () => {
      button.textContent = !isLive ? "Paused" : holder.classList.contains("lost") ? "No reply" : "Live";
      button.setAttribute("aria-pressed", String(isLive));
      button.setAttribute("aria-label", "Keep this page up to date");
    };
    button.addEventListener("click", () => {
      isLive = !isLive;
      remember("tidewaiter-live", isLive ? "on" : "off");
      show();
      isLive ? refresh() : clearTimeout(timer);
    });
    show();
    holder.replaceChildren(button);
    holder.hidden = false;

    const isBusy = () => {
      const selection = getSelection();
      const selects = selection && !selection.isCollapsed && main.contains(selection.anchorNode);
      return selects || main.querySelector("input:checked") !== null || main.querySelector("details.ask[open]") !== null;
    };

    function plan() {
      clearTimeout(timer);
      const seconds = Number(main.dataset.live);
      if (isLive && seconds && !document.hidden) timer = setTimeout(refresh, 1000 * seconds * Math.min(5, 1 + failures));
    }

    function found() {
      failures = 0;
      holder.classList.remove("lost");
      show();
      lost.hidden = true;
    }

    function missed() {
      failures += 1;
      if (failures === 2) {
        holder.classList.add("lost");
        show();
        const since = document.createElement("time");
        since.dateTime = new Date().toISOString();
        since.dataset.form = "zoned";
        since.textContent = `${since.dateTime.slice(11, 19)} UTC`;
        const sentence = document.createElement("span");  // one child: the band spreads its children
        sentence.append("Tidewaiter has not responded since ", since, "; this page shows an older state. Trying again.");
        lost.replaceChildren(sentence);
        document.dispatchEvent(new CustomEvent("tidewaiter:fetched", { detail: document }));
        lost.hidden = false;
      }
    }

    async function refresh() {
      clearTimeout(timer);
      if (fetching) return;
      if (isBusy()) return plan();
      fetching = true;
      try {
        const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(15000) });
        if (response.redirected && new URL(response.url).pathname === "/login") return location.assign(response.url);
        if (!response.ok) throw new Error(String(response.status));
        const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
        document.dispatchEvent(new CustomEvent("tidewaiter:fetched", { detail: fresh }));
        if (isLive && !isBusy()) {
          const freshMain = fresh.getElementById("main");
          const notice = main.querySelector("[data-notice]");
          if (notice && performance.now() < 15000) freshMain.prepend(notice.cloneNode(true));
          morph(main, freshMain);
          morph(document.querySelector("footer"), fresh.querySelector("footer"));
          document.title = fresh.title;
        }
        found();
      } catch {
        missed();
      } finally {
        fetching = false;
        plan();
      }
    }

    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : isLive && refresh()));
    plan();
  }

  /* A notice is shown once: loading the page again does not repeat it. */
  function forgetNotice() {
    const here = new URL(location.href);
    if (!here.searchParams.has("done")) return;
    here.searchParams.delete("done");
    history.replaceState(null, "", here);
  }

  document.addEventListener("DOMContentLoaded", () => {
    makeThemeSwitch();
    forgetNotice();
    makeLive();
    document.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      const open = document.querySelector("details.ask[open]");
      if (open) {
        open.open = false;
        open.querySelector("summary").focus();
      }
    });
  });
})();
