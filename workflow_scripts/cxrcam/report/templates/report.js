// Sorting and filtering of tables, and the gallery. The page can be read without it.
"use strict";

document.documentElement.classList.add("js");

function sortKey(cell) {
  return cell.dataset.order === undefined ? cell.textContent.trim() : Number(cell.dataset.order);
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a === b ? 0 : a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

// A heading becomes a button, so that the keyboard reaches it.
function makeSortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => compare(sortKey(a.cells[column]), sortKey(b.cells[column])));
      if (descending) rows.reverse();
      table.tBodies[0].append(...rows);
    });
  });
}

function makeFilter(input) {
  const rows = [...document.getElementById(input.dataset.filter).tBodies[0].rows];
  const count = document.querySelector(`[data-count="${input.dataset.filter}"]`);
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of rows) {
      // Cells apart, so that no word arises where two of them meet.
      const text = [...row.cells].map((cell) => cell.textContent).join(" ").toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
    }
    const shown = rows.filter((row) => !row.hidden).length;
    count.textContent = `${shown} of ${rows.length} shown`;
  };
  input.addEventListener("input", apply);
  apply();
}

function makeGallery(list) {
  const cards = [...list.children];
  const filters = [...document.querySelectorAll("select[data-cards]")];
  const apply = () => {
    for (const card of cards) {
      card.hidden = filters.some(({ value, dataset }) => value !== "" && card.dataset[dataset.cards] !== value);
    }
    const shown = cards.filter((card) => !card.hidden).length;
    document.getElementById("cards-shown").textContent = `${shown} of ${cards.length} shown`;
  };
  for (const filter of filters) filter.addEventListener("change", apply);
  apply();

  for (const box of document.querySelectorAll("input[data-layer]")) {
    const draw = () => list.classList.toggle(`without-${box.dataset.layer}`, !box.checked);
    box.addEventListener("change", draw);
    draw(); // browsers keep the choice when a page is loaded again
  }
}

// A link into a closed part opens it, and the keyboard goes on from there.
function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const part = target?.closest("details");
  if (!part || part.open) return;
  part.open = true;
  target.scrollIntoView();
  if (target.hasAttribute("tabindex")) target.focus({ preventScroll: true });
}

document.querySelectorAll("table.sortable").forEach(makeSortable);
document.querySelectorAll("input[data-filter]").forEach(makeFilter);
const cards = document.getElementById("cards");
if (cards) makeGallery(cards);
window.addEventListener("hashchange", openTarget);
openTarget();

// Paper has nothing to click: what is closed opens for printing, and closes again.
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("#figures details:not([open]), #checks details:not([open])")];
  for (const part of opened) part.open = true;
});
window.addEventListener("afterprint", () => {
  for (const part of opened) part.open = false;
});
