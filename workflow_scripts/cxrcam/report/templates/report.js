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

// A tick a column, so that a wide table can be made narrow. The first column, the rows' heading, stays.
function makeChooser(details) {
  const table = document.getElementById(details.dataset.chooser);
  [...table.tHead.rows[0].cells].slice(1).forEach((heading, index) => {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    const label = document.createElement("label");
    label.append(box, ` ${heading.textContent}`);
    details.append(label);
    box.addEventListener("change", () => {
      for (const row of table.rows) row.cells[index + 1].hidden = !box.checked;
    });
  });
}

// Bayes: of all that are called positive, the share that is.
function predictiveValue(sensitivity, specificity, prevalence) {
  const found = sensitivity * prevalence;
  return found / (found + (1 - specificity) * (1 - prevalence));
}

function showPredictiveValues(input) {
  const draw = () => {
    for (const cell of document.querySelectorAll("[data-sensitivity]")) {
      const { sensitivity, specificity } = cell.dataset;
      const value = predictiveValue(Number(sensitivity), Number(specificity), input.valueAsNumber / 100);
      const isKnown = input.validity.valid && Number.isFinite(value);
      cell.textContent = isKnown ? value.toFixed(3) : "–";
      cell.dataset.order = isKnown ? value : -Infinity;
    }
  };
  input.addEventListener("input", draw);
  draw(); // browsers keep the number when a page is loaded again
}

function makeGallery(list) {
  const cards = [...list.children];
  const filters = [...document.querySelectorAll("select[data-cards]")];
  // A choice among several facts names the fact with its value, as in "outcome:mistake".
  const isHidden = (card, { value, dataset }) => {
    const [fact, wanted] = dataset.cards ? [dataset.cards, value] : value.split(":");
    return value !== "" && card.dataset[fact] !== wanted;
  };
  const apply = () => {
    for (const card of cards) card.hidden = filters.some((filter) => isHidden(card, filter));
    const shown = cards.filter((card) => !card.hidden).length;
    document.getElementById("cards-shown").textContent = `${shown} of ${cards.length} shown`;
  };
  for (const filter of filters) filter.addEventListener("change", apply);
  apply();

  const surestFirst = document.getElementById("surest-first");
  const sort = () => {
    const sureness = (a, b) => b.dataset.probability - a.dataset.probability;
    list.append(...(surestFirst.checked ? [...cards].sort(sureness) : cards));
  };
  if (surestFirst) {
    surestFirst.addEventListener("change", sort);
    sort(); // browsers keep the choice when a page is loaded again
  }

  // The same layer can be hidden in several places: all of them follow.
  const boxes = [...document.querySelectorAll("input[data-layer]")];
  for (const box of boxes) {
    const draw = () => {
      document.body.classList.toggle(`without-${box.dataset.layer}`, !box.checked);
      for (const other of boxes) if (other.dataset.layer === box.dataset.layer) other.checked = box.checked;
    };
    box.addEventListener("change", draw);
    draw();
  }
}

// A card as large as the screen allows, from the X-ray at its own size. Escape closes it, arrows go on.
function makeEnlarger(dialog, lists) {
  let shown;
  const show = (card) => {
    if (card === undefined) return;
    shown = card;
    const link = card.querySelector("a.enlarge");
    const figure = card.querySelector("figure").cloneNode(true);
    for (const picture of figure.querySelectorAll("img")) {
      picture.loading = "eager";
      // The large files are called as the small ones.
      picture.src = new URL(picture.getAttribute("src").split("/").pop(), link.href);
    }
    figure.querySelector("a.enlarge").replaceWith(figure.querySelector(".pair"));
    document.getElementById("large-card").replaceChildren(figure);
    if (!dialog.open) dialog.showModal();
  };
  const step = (by) => {
    const cards = [...shown.parentElement.children].filter((card) => !card.hidden);
    show(cards[cards.indexOf(shown) + by]);
  };
  for (const list of lists) {
    list.addEventListener("click", (event) => {
      const link = event.target.closest("a.enlarge");
      if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      show(link.closest("li"));
    });
  }
  dialog.addEventListener("keydown", ({ key }) => {
    if (key === "ArrowLeft") step(-1);
    if (key === "ArrowRight") step(1);
  });
  dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
  for (const button of dialog.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => step(Number(button.dataset.step)));
  }
  dialog.addEventListener("close", () => shown.querySelector("a.enlarge").focus());
}

// Without the clipboard, which browsers may refuse, the paragraph is marked, for Ctrl-C.
function makeCopier(button) {
  const text = document.getElementById(button.dataset.copy);
  button.addEventListener("click", async () => {
    getSelection().selectAllChildren(text);
    try {
      await navigator.clipboard.writeText(text.textContent);
      button.textContent = "copied";
    } catch {
      button.textContent = "marked: copy it with Ctrl-C";
    }
  });
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
document.querySelectorAll("[data-chooser]").forEach(makeChooser);
const prevalence = document.getElementById("prevalence");
if (prevalence) showPredictiveValues(prevalence);
const cards = document.getElementById("cards");
if (cards) makeGallery(cards);
const large = document.getElementById("large");
if (large) makeEnlarger(large, document.querySelectorAll(".cards"));
document.querySelectorAll("[data-copy]").forEach(makeCopier);
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
