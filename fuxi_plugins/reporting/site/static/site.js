// Sorting, filtering, links to what is shown, finding, copying and the colour scheme. Without this script the pages are
// complete and in the order of the ranks.
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

function nextOrder(header) {
  const before = header.getAttribute("aria-sort");
  const best = header.dataset.best ?? (header.classList.contains("number") ? "descending" : "ascending");
  return before === "none" ? best : before === "ascending" ? "descending" : "ascending";
}

function sortable(table) {
  return [...table.tHead.querySelectorAll("th[aria-sort]")];
}

function sortBy(table, header, order) {
  const column = Number(header.dataset.column ?? header.cellIndex); // a head of two rows counts its columns itself
  for (const other of sortable(table)) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", order);
  const sign = order === "ascending" ? 1 : -1;
  const body = table.tBodies[0];
  const rows = [...body.rows].filter((row) => !("fixed" in row.dataset));
  const keyed = rows.map((row) => [cellValue(row, column), row]);
  keyed.sort(([a], [b]) => (a === null || b === null ? (a === null) - (b === null) : sign * compare(a, b)));
  body.append(...keyed.map(([, row]) => row));
}

// What is sorted and filtered stands behind the # of the address, so that a link shows the same.
function remembered() {
  const hash = location.hash.slice(1);
  return new URLSearchParams(hash.includes("=") ? hash : ""); // else it names a section
}

function remember(changes) {
  const state = remembered();
  for (const [key, value] of Object.entries(changes)) value ? state.set(key, value) : state.delete(key);
  const text = state.toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

function columnName(header) {
  return header.dataset.key ?? header.textContent.trim();
}

for (const table of document.querySelectorAll("table.sortable")) {
  for (const button of table.querySelectorAll("thead button")) {
    button.addEventListener("click", () => {
      const header = button.closest("th");
      sortBy(table, header, nextOrder(header));
      if (table.id) remember({ sort: columnName(header), order: header.getAttribute("aria-sort") });
    });
  }
}

function filter(form) {
  const table = document.getElementById(form.dataset.filters);
  const names = form.elements.text.value.toLowerCase().split(",").map((name) => name.trim()).filter(Boolean);
  const settings = form.elements.settings ? form.elements.settings.value : "";
  const first = form.elements.first.checked;
  let shown = 0;
  let all = 0;
  for (const row of table.tBodies[0].rows) {
    if (!("name" in row.dataset)) continue;
    const fits =
      (names.length === 0 || names.some((name) => row.dataset.name.toLowerCase().includes(name))) &&
      (settings === "" || row.dataset.settings === settings) &&
      (!first || row.dataset.first === "true");
    row.hidden = !fits;
    all += 1;
    shown += fits;
  }
  form.querySelector("output").textContent = shown === all ? "" : `${shown} of ${all} rows`;
}

for (const form of document.querySelectorAll("form.filters")) {
  form.addEventListener("input", () => {
    filter(form);
    const { text, settings, first } = form.elements;
    remember({ text: text.value.trim(), settings: settings?.value, first: first.checked ? "1" : "" });
  });
  form.addEventListener("submit", (event) => event.preventDefault());
}

function restore() {
  const state = remembered();
  for (const form of document.querySelectorAll("form.filters")) {
    form.elements.text.value = state.get("text") ?? "";
    if (form.elements.settings) form.elements.settings.value = state.get("settings") ?? "";
    form.elements.first.checked = state.get("first") === "1";
    filter(form);
    const table = document.getElementById(form.dataset.filters);
    const header = sortable(table).find((one) => columnName(one) === state.get("sort"));
    if (header) sortBy(table, header, state.get("order") === "ascending" ? "ascending" : "descending");
  }
}

restore();
addEventListener("hashchange", restore);

const MOST_FOUND = 12;

function found(text) {
  // Models before their variants, then the nearest to what was typed.
  const key = ([name, , kind]) => [kind === "variant", !name.toLowerCase().startsWith(text), name.length];
  const order = (a, b) => key(a).map((part, place) => part - key(b)[place]).find((part) => part) ?? 0;
  return siteIndex.filter(([name]) => name.toLowerCase().includes(text)).sort(order).slice(0, MOST_FOUND);
}

function find(form) {
  const list = form.querySelector("ul");
  const text = form.elements.find.value.trim().toLowerCase();
  list.replaceChildren(
    ...(text ? found(text) : []).map(([name, page, kind]) => {
      const link = document.createElement("a");
      link.href = document.body.dataset.root + page;
      link.textContent = `${name} `;
      const what = document.createElement("span");
      what.className = "muted";
      what.textContent = kind;
      link.append(what);
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
  list.hidden = list.children.length === 0;
}

const finder = document.querySelector("form.find");
finder.hidden = false;
finder.addEventListener("input", () => find(finder));
finder.addEventListener("submit", (event) => {
  event.preventDefault();
  finder.querySelector("a")?.click(); // the first of what was found
});
finder.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  finder.reset();
  find(finder);
});

for (const button of document.querySelectorAll("details.copy button")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const code = button.parentNode.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
      button.textContent = "Copied";
    } catch {
      getSelection().selectAllChildren(code); // a page opened from disk may not write to the clipboard
      button.textContent = "Selected: press Ctrl+C";
    }
  });
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
