/* Tables that can be sorted, searched and filtered. Without script they are plain tables in the order of the run. */
const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

/* What a cell is sorted by: its exact key where it has one, else its text; null where nothing was measured. */
const keyOf = (cell) => {
  const text = cell.textContent.trim();
  if (text === "" || text === "–") return null;
  if (!("k" in cell.dataset)) return text;
  const number = Number(cell.dataset.k);
  return cell.dataset.k === "" || Number.isNaN(number) ? cell.dataset.k : number;
};

const inWords = new Intl.Collator("en", { numeric: true });
const compare = (one, other) =>
  typeof one === "number" && typeof other === "number" ? one - other : inWords.compare(String(one), String(other));

/* Fewer rows than this are all in sight: they are sorted, but need no search. */
const FEW = 5;

const interactive = (table) => {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows].map((element, place) => ({
    element,
    place,
    keys: [...element.cells].map(keyOf),
    text: element.textContent.toLowerCase(),
  }));
  const filters = [];

  const sort = (column, descending) => {
    const sign = descending ? -1 : 1;
    rows.sort((one, other) => {
      const [a, b] = [one.keys[column], other.keys[column]];
      if (a === null || b === null) return (a === null) - (b === null) || one.place - other.place;
      return sign * compare(a, b) || one.place - other.place;
    });
    body.replaceChildren(...rows.map((row) => row.element));
    heads.forEach((head) => head.removeAttribute("aria-sort"));
    heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  };
  heads.forEach((head, column) => {
    const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
    button.addEventListener("click", () => sort(column, head.getAttribute("aria-sort") === "ascending"));
    head.replaceChildren(button);
  });

  const search = make("input", { type: "search", autocomplete: "off", spellcheck: false });
  const count = make("output", {});
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const chosen = filters.filter(({ select }) => select.value !== "");
    let shown = 0;
    for (const row of rows) {
      const isShown =
        words.every((word) => row.text.includes(word)) &&
        chosen.every(({ select, column }) => String(row.keys[column] ?? "–") === select.value);
      row.element.hidden = !isShown;
      shown += isShown;
    }
    count.textContent = `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} ${table.dataset.noun} shown`;
    all.hidden = shown === rows.length;
  };
  const clear = () => {
    search.value = "";
    filters.forEach(({ select }) => (select.value = ""));
    show();
  };
  const all = make("button", { type: "button", textContent: "Show all" });

  const filterBy = (column) => {
    const values = new Map();
    for (const row of rows) values.set(row.keys[column] ?? "–", (values.get(row.keys[column] ?? "–") ?? 0) + 1);
    if (values.size < 2) return null;
    const options = [...values].sort(([a], [b]) => (a === "–") - (b === "–") || compare(a, b));
    const select = make("select", {}, make("option", { value: "", textContent: "any" }));
    select.append(...options.map(([value, number]) => make("option", { value, textContent: `${value} (${number})` })));
    select.addEventListener("change", show);
    filters.push({ select, column });
    return make("label", {}, heads[column].textContent, select);
  };
  const labels = heads.map((head, column) => ("f" in head.dataset ? filterBy(column) : null)).filter(Boolean);
  const tools = make("div", { className: "tools" }, make("label", {}, "Search", search), ...labels.slice(0, 2), all, count);
  if (labels.length > 2) {
    const more = make("details", {}, make("summary", { textContent: "More filters" }), make("div", {}, ...labels.slice(2)));
    tools.append(more);
  }
  search.addEventListener("input", show);
  all.addEventListener("click", () => {
    clear();
    search.focus();
  });
  if (rows.length >= FEW) table.parentElement.before(tools);
  show();

  /* A link to a row shows it, whatever was filtered. */
  addEventListener("hashchange", () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.hidden && body.contains(target)) {
      clear();
      target.scrollIntoView();
    }
  });
};
document.querySelectorAll("table[data-interactive]").forEach(interactive);
