/* Times as the reader wants them: relative, in UTC, or in the time zone of the browser. The choice is kept in the
   browser. Without this file times are relative or in UTC, as the server writes them.

   data-form of a <time> says what it is: "ago" is relative unless another way is chosen, "clock" is the time of day,
   with the date where the day is not today, "full" has date and time, "zoned" names its zone, and "reader" is a time
   in the reader's zone. What is today depends on the clock of the server (data-now). */
(() => {
  "use strict";
  const ways = ["relative", "utc", "local"];
  const names = { relative: "relative", utc: "UTC", local: "local" };
  const key = "tidewaiter-times";

  const remembered = () => { try { return localStorage.getItem(key); } catch { return null; } };
  const remember = (way) => { try { localStorage.setItem(key, way); } catch { /* a private window stores nothing */ } };
  let way = ways.includes(remembered()) ? remembered() : "relative";

  const two = (number) => String(number).padStart(2, "0");

  /* A moment whose UTC parts are those of the chosen zone. */
  const shifted = (date, local) => (local ? new Date(date.getTime() - 60000 * date.getTimezoneOffset()) : date);
  const dayOf = (date) => date.toISOString().slice(0, 10);
  const clockOf = (date) => date.toISOString().slice(11, 19);

  function zoneOf(date, local) {
    const minutes = local ? -date.getTimezoneOffset() : 0;
    if (minutes === 0) return "UTC";
    const size = Math.abs(minutes);
    return `UTC${minutes < 0 ? "-" : "+"}${two(Math.floor(size / 60))}:${two(size % 60)}`;
  }

  function textOf(form, date, now) {
    const local = way === "local" || (form === "reader" && way === "relative");
    const at = shifted(date, local);
    if (form === "reader") return `${dayOf(at)} ${clockOf(at).slice(0, 5)} ${zoneOf(date, local)}`;
    if (form === "zoned") return `${clockOf(at)} ${zoneOf(date, local)}`;
    if (form === "full") return `${dayOf(at)} ${clockOf(at)} ${zoneOf(date, local)}`;
    return dayOf(at) === dayOf(shifted(now, local)) ? clockOf(at) : `${dayOf(at)} ${clockOf(at).slice(0, 5)}`;
  }

  function convert(root) {
    const main = root.querySelector("main");
    const now = main && main.dataset.now ? new Date(main.dataset.now) : new Date();
    for (const time of root.querySelectorAll("time[data-form]")) {
      time.dataset.written ??= time.textContent; // to which "relative" returns
      const date = new Date(time.dateTime);
      if (Number.isNaN(date.getTime())) continue;
      const kept = way === "relative" && time.dataset.form !== "reader";
      const text = kept ? time.dataset.written : textOf(time.dataset.form, date, now);
      if (time.textContent !== text) time.textContent = text;
      const ticks = time.dataset.form === "reader" && time.closest(".ticks");
      if (ticks) time.parentElement.hidden = ticks.firstElementChild.textContent.includes(text.slice(0, 16)); // the same zone
    }
  }

  function makeSwitch() {
    const button = document.getElementById("times");
    const show = () => {
      button.replaceChildren(Object.assign(document.createElement("span"), { className: "topic", textContent: "Times: " }), names[way]);
      button.setAttribute("aria-label", `Times: ${names[way]}. Press to change.`);
    };
    button.addEventListener("click", () => {
      way = ways[(ways.indexOf(way) + 1) % ways.length];
      remember(way);
      show();
      convert(document);
    });
    button.hidden = false;
    show();
  }

  /* page.js tells of each document that it has fetched, before it is shown, and after. */
  document.addEventListener("tidewaiter:fetched", (event) => convert(event.detail));
  document.addEventListener("DOMContentLoaded", () => {
    makeSwitch();
    convert(document);
  });
})();
