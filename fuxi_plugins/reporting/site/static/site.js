// Sorting, filtering and the colour scheme. Without this script the pages are complete and in the order of the ranks.
"use strict";

function cellValue(row, column) {
  const cell = row.cells[column];
  if (!cell || cell.colSpan > 1) return null; // why a model has no numbers
  const text = cell.dataset.value ?? cell.textContent.trim();
  const number = Number(text.replace(/[,\s]/g, ""));
  if (text === "" || text === "–") return null; // null sorts last, whichever way
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortBy(table, header) {
  const headers = [...header.parentNode.cells];
  const column = headers.indexOf(header);
  const before = header.getAttribute("aria-sort");
  const usual = header.classList.contains("number") && column !== 0 ? "descending" : "ascending";
  const best = header.dataset.best ?? usual; // of a metric its direction
  const order = before === "none" ? best : before === "ascending" ? "descending" : "ascending";
  for (const other of headers) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = [...body.rows].filter((row) => !("fixed" in row.dataset));
  const keyed = rows.map((row) => [cellValue(row, column), row]);
  keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
  body.append(...keyed.map(([, row]) => row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const button of table.querySelectorAll("thead button")) {
    button.addEventListener("click", () => sortBy(table, button.closest("th")));
  }
}

function filter(form) {
  const table = document.getElementById(form.dataset.filters);
  const text = form.elements.text.value.trim().toLowerCase();
  const settings = form.elements.settings ? form.elements.settings.value : "";
  const first = form.elements.first.checked;
  let shown = 0;
  let all = 0;
  for (const row of table.tBodies[0].rows) {
    if (!("name" in row.dataset)) continue;
    const fits =
      row.dataset.name.toLowerCase().includes(text) &&
      (settings === "" || row.dataset.settings === settings) &&
      (!first || row.dataset.first === "true");
    row.hidden = !fits;
    all += 1;
    shown += fits;
  }
  form.querySelector("output").textContent = shown === all ? "" : `${shown} of ${all} rows`;
}

for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("input", () => filter(form));
  form.addEventListener("submit", (event) => event.preventDefault());
  form.reset();
}

const theme = document.querySelector(".theme");
const dark = matchMedia("(prefers-color-scheme: dark)");

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

function name() {
  theme.textContent = isDark() ? "Light" : "Dark";
  theme.setAttribute("aria-label", `Use ${isDark() ? "light" : "dark"} colours`);
}

function stored(value) {
  try {
    if (value) localStorage.setItem("theme", value);
    return localStorage.getItem("theme");
  } catch {
    return null; // a page opened from disk may have no storage
  }
}

if (stored()) document.documentElement.dataset.theme = stored();
theme.hidden = false;
name();
theme.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  stored(document.documentElement.dataset.theme);
  name();
});
