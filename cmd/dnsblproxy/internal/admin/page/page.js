// Renews the parts of the page that are marked with data-renew, and reads the
// chart to whoever points at it or moves along it with the arrow keys. The
// page says everything without this script.
"use strict";
(() => {
  const every = 10_000; // ms, the pace of the server's samples
  let paused = false, busy = false, failures = 0;

  // What was looked up stands still: renewing it would ask the lists again.
  const address = () => {
    const u = new URL(location.href);
    u.searchParams.delete("q");
    u.hash = "";
    return u;
  };

  // A part in which somebody marks text, points at the chart or has the focus
  // is left alone.
  const inUse = part => {
    const selection = getSelection();
    return part.querySelector("[data-chart]:hover") || part.contains(document.activeElement) && document.activeElement.closest("input, select, a, summary, [data-chart]") ||
      selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  };

  async function renew() {
    if (paused || busy || document.hidden) return;
    busy = true;
    try {
      const answer = await fetch(address(), { credentials: "same-origin", signal: AbortSignal.timeout(every) });
      if (!answer.ok) throw new Error(answer.statusText);
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of document.querySelectorAll("[data-renew]")) {
        const next = fresh.getElementById(part.id);
        if (next && !inUse(part)) {
          const scrolled = part.querySelector(".wide")?.scrollLeft ?? 0;
          for (const open of part.querySelectorAll("details[id][open]")) {
            const again = next.querySelector("#" + open.id);
            if (again) again.open = true;
          }
          part.replaceWith(next);
          if (scrolled) next.querySelector(".wide").scrollLeft = scrolled;
        }
      }
      failures = 0;
      equip();
    } catch {
      failures++;
    } finally {
      busy = false;
      tell();
    }
  }

  // The button stands beside the version, which is renewed without it.
  const button = document.createElement("button");
  button.type = "button";
  button.className = "plain";
  button.addEventListener("click", () => { paused = !paused; tell(); renew(); });
  function tell() {
    button.textContent = paused ? "resume" : failures > 1 ? "no answer" : "pause";
    button.title = paused ? "Renew this page every ten seconds" : "This page renews itself every ten seconds";
    const status = document.getElementById("status");
    if (status && button.previousElementSibling !== status) status.after(button);
  }

  // equip gives the chart a line of text and the arrow keys.
  function equip() {
    const chart = document.querySelector("[data-chart]");
    if (!chart || chart.tabIndex === 0) return;
    chart.tabIndex = 0;
    chart.setAttribute("role", "group");
    chart.setAttribute("aria-label", "Chart; the arrow keys move along it");
    const readout = document.createElement("p");
    readout.className = "readout";
    readout.setAttribute("aria-live", "polite");
    chart.append(readout);
    const plots = [...chart.querySelectorAll(".hits")].map(g => [...g.children]);
    const rest = "Point at the chart to read it.";
    let at = -1;
    const show = i => {
      for (const rects of plots) rects[at]?.classList.remove("at");
      at = i;
      for (const rects of plots) rects[at]?.classList.add("at");
      readout.textContent = plots[0][at]?.textContent ?? rest;
    };
    show(-1);
    for (const rects of plots) {
      rects.forEach((rect, i) => rect.addEventListener("pointerenter", () => show(i)));
    }
    chart.addEventListener("pointerleave", () => show(-1));
    chart.addEventListener("keydown", e => {
      const last = plots[0].length - 1;
      const to = { ArrowLeft: at < 0 ? last : Math.max(0, at - 1), ArrowRight: at < 0 ? last : Math.min(last, at + 1), Home: 0, End: last, Escape: -1 }[e.key];
      if (to === undefined) return;
      e.preventDefault();
      show(to);
    });
  }

  equip();
  tell();
  setInterval(renew, every);
  document.addEventListener("visibilitychange", renew);
  // "/" leads to the search, as on many pages.
  document.addEventListener("keydown", e => {
    if (e.key !== "/" || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, select")) return;
    e.preventDefault();
    document.getElementById("find")?.focus();
  });
})();
