/* Values of charts: the pointer or the arrow keys choose a period, and its values stand below the chart.
   Without this file the browser's own tooltips and the tables tell the same. */
(() => {
  "use strict";

  function makeReadable(chart) {
    const svg = chart.querySelector("svg");
    const said = chart.parentElement.querySelector(".reading");
    const groups = () => [...svg.querySelectorAll("g[data-value]")];
    let at = groups().length - 1;

    const show = (place) => {
      const all = groups();
      at = Math.max(0, Math.min(all.length - 1, place));
      all.forEach((group, number) => group.classList.toggle("on", number === at));
      said.textContent = all[at].dataset.value;
    };

    svg.setAttribute("tabindex", "0");
    said.hidden = false;
    svg.addEventListener("pointerover", (event) => {
      const place = groups().indexOf(event.target.closest("g[data-value]"));
      if (place >= 0) show(place);
    });
    svg.addEventListener("focus", () => show(at));
    svg.addEventListener("blur", () => groups().forEach((group) => group.classList.remove("on")));
    svg.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: Infinity };
      if (!(event.key in moves)) return;
      event.preventDefault();
      show(moves[event.key]);
    });
  }

  document.addEventListener("DOMContentLoaded", () => document.querySelectorAll("[data-values]").forEach(makeReadable));
})();
