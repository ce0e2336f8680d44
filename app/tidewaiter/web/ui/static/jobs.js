/* Keys for lists of jobs, and the selection of rows. Everything can be done without them, too. */
(() => {
  "use strict";
  const KEYS = [
    ["/", "Search jobs"],
    ["j", "Next row"],
    ["k", "Previous row"],
    ["Enter", "Open the row"],
    ["x", "Select the row, or not"],
    ["?", "This list"],
  ];
  const STORED = "tidewaiter-keys";
  const remembered = () => { try { return localStorage.getItem(STORED) !== "off"; } catch { return true; } };
  const remember = (on) => { try { localStorage.setItem(STORED, on ? "on" : "off"); } catch { /* a private window stores nothing */ } };
  const element = (name, text = "", attributes = {}) => {
    const made = document.createElement(name);
    made.textContent = text;
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };

  /* Attributes that stay when the page is refreshed are on the root, which is not part of the refresh. */
  document.documentElement.classList.add("scripts");

  function makeHelp() {
    const dialog = element("dialog", "", { id: "keys", "aria-labelledby": "keys-title" });
    const list = element("dl", "", { class: "keys" });
    for (const [key, meaning] of KEYS) {
      const row = element("div");
      const term = element("dt");
      term.append(element("kbd", key));
      row.append(term, element("dd", meaning));
      list.append(row);
    }
    const label = element("label", "", { class: "check" });
    const box = element("input", "", { type: "checkbox" });
    box.checked = remembered();
    box.addEventListener("change", () => remember(box.checked));
    label.append(box, " Use these keys");
    const close = element("button", "Close", { class: "button", type: "button" });
    close.addEventListener("click", () => dialog.close());
    dialog.append(element("h2", "Keys", { id: "keys-title" }), list, label, close);
    document.body.append(dialog);
    const button = element("button", "Keys", { class: "tool keys", type: "button", "aria-haspopup": "dialog" });
    button.addEventListener("click", () => dialog.showModal());
    document.querySelector(".tools").append(button);
    return dialog;
  }

  const rows = () => [...document.querySelectorAll("main .rows tbody tr")];
  const current = () => document.activeElement?.closest(".rows tbody tr");

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(current());
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + step, 0), all.length - 1)];
    const link = next.querySelector("th a");
    link?.focus();
    next.scrollIntoView({ block: "nearest" });
  }

  function search() {
    const field = document.querySelector("main input[name=q]");
    if (!field) return location.assign("/jobs");
    field.focus();
    field.select();
  }

  const boxes = () => [...document.querySelectorAll("main input[name=job]")];

  function showChosen() {
    const said = document.getElementById("chosen");
    if (!said) return;
    const number = boxes().filter((box) => box.checked).length;
    said.textContent = number ? `${number} selected:` : "Select jobs:";
    const whole = document.getElementById("page-all");
    if (whole) whole.checked = number > 0 && number === boxes().length;
  }

  document.addEventListener("DOMContentLoaded", () => {
    const dialog = makeHelp();
    document.addEventListener("change", (event) => {
      if (event.target.id === "page-all") for (const box of boxes()) box.checked = event.target.checked;
      if (event.target.closest("main")) showChosen();
    });
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
      const field = event.target.closest("input:not([type=checkbox]), select, textarea, [contenteditable]");
      if (field) return;
      if (event.key === "?") return dialog.showModal();
      if (!remembered()) return;
      const act = {
        "/": search,
        j: () => move(1),
        k: () => move(-1),
        x: () => current()?.querySelector("input[name=job]")?.click(),
      }[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    });
    showChosen();
  });
})();
