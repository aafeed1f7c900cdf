"use strict";
document.documentElement.classList.add("js");

// Tables: clicking a head sorts by that column, clicking it again reverses the order.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  const key = (row, column) => {
    const text = row.cells[column].dataset.key;
    return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
  };
  const compare = (a, b) =>
    typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  const sort = (column) => {
    const head = heads[column];
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].sort((one, two) => {
      const [a, b] = [key(one, column), key(two, column)];
      if (a === null || b === null) return (a === null) - (b === null);
      return down ? compare(b, a) : compare(a, b);
    });
    table.tBodies[0].append(...rows);
  };
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    head.addEventListener("click", () => sort(column));
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(column);
    });
  });
}

// Series: a click toggles one in every chart, a double click shows it alone, or all again.
const buttons = [...document.querySelectorAll(".legend button")];
const show = (button, on) => {
  button.setAttribute("aria-pressed", String(on));
  for (const part of document.querySelectorAll(`.chart .s${button.dataset.series}`))
    part.classList.toggle("off", !on);
};
const shown = (button) => button.getAttribute("aria-pressed") === "true";
for (const button of buttons) {
  button.addEventListener("click", () => show(button, !shown(button)));
  button.addEventListener("dblclick", () => {
    const alone = buttons.every((other) => other === button || !shown(other));
    buttons.forEach((other) => show(other, alone || other === button));
  });
}

// Values: the point nearest to the pointer shows its text.
const tip = document.getElementById("tip");
const NEAR = 28;
for (const chart of document.querySelectorAll("svg.chart")) {
  let here = null;
  const spots = [...chart.querySelectorAll(".spot")].map((spot) => {
    const title = spot.querySelector("title");
    const text = title.textContent;
    title.remove();
    return { spot, text, x: spot.cx.baseVal.value, y: spot.cy.baseVal.value };
  });
  const leave = () => {
    if (here) here.spot.classList.remove("here");
    here = null;
    tip.hidden = true;
  };
  chart.addEventListener("pointerleave", leave);
  chart.addEventListener("pointermove", (event) => {
    const matrix = chart.getScreenCTM();
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    let best = null;
    let least = NEAR / matrix.a;
    for (const spot of spots) {
      const away = Math.hypot(spot.x - at.x, spot.y - at.y);
      if (away < least && !spot.spot.classList.contains("off")) [best, least] = [spot, away];
    }
    leave();
    if (!best) return;
    here = best;
    best.spot.classList.add("here");
    tip.textContent = best.text;
    tip.hidden = false;
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const above = event.clientY - tip.offsetHeight - 10;
    tip.style.left = `${Math.max(8, left)}px`;
    tip.style.top = `${above > 4 ? above : event.clientY + 18}px`;
  });
}
