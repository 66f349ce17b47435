"use strict";
(() => {
  /* Search, sort and filter of the tables. Without scripts the page shows every row. */
  const spanish = document.documentElement.lang === "es";
  const words = document.body.dataset;
  const collator = new Intl.Collator(document.documentElement.lang, { numeric: true, sensitivity: "base" });
  const plain = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  const amount = (text) => {
    const digits = spanish ? text.replace(/\./g, "").replace(",", ".") : text.replace(/,/g, "");
    const found = digits.replace("\u2212", "-").match(/[-+]?\d+(\.\d+)?/);
    return found ? Number(found[0]) : -Infinity;
  };
  let everywhere = "";

  const prepared = Array.from(document.querySelectorAll("table.grid"), (table) => {
    const body = table.tBodies[0];
    const heads = Array.from(table.tHead.rows[0].cells);
    const rows = Array.from(body.rows, (row) => ({ row, text: plain(row.textContent) }));
    const state = { query: "", picked: new Map() };
    const count = document.createElement("span");

    const show = () => {
      let shown = 0;
      for (const { row, text } of rows) {
        const fits = text.includes(state.query) && text.includes(everywhere) &&
          Array.from(state.picked).every(([column, value]) => !value || row.cells[column].textContent === value);
        row.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      count.textContent = shown === rows.length ? "" : shown + " / " + rows.length;
    };

    const sort = (column) => {
      const head = heads[column];
      const numeric = head.classList.contains("n");
      const down = head.getAttribute("aria-sort") ? head.getAttribute("aria-sort") === "ascending" : numeric;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const key = (row) => row.cells[column].textContent;
      const order = numeric ? (a, b) => amount(key(a.row)) - amount(key(b.row))
        : (a, b) => collator.compare(key(a.row), key(b.row));
      rows.sort((a, b) => (down ? -order(a, b) : order(a, b)));
      rows.forEach(({ row }) => body.append(row));
    };

    heads.forEach((head, column) => {
      head.tabIndex = 0;
      head.classList.add("sortable");
      head.addEventListener("click", () => sort(column));
      head.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); sort(column); }
      });
    });

    if (rows.length >= 8) {
      const tools = document.createElement("div");
      tools.className = "tools";
      const search = document.createElement("input");
      search.type = "search";
      search.placeholder = words.search;
      search.setAttribute("aria-label", words.search);
      search.addEventListener("input", () => { state.query = plain(search.value); show(); });
      tools.append(search);
      heads.forEach((head, column) => {
        if (!head.classList.contains("f")) { return; }
        const values = Array.from(new Set(rows.map(({ row }) => row.cells[column].textContent))).filter(Boolean);
        if (values.length < 2) { return; }
        const select = document.createElement("select");
        select.setAttribute("aria-label", head.textContent);
        select.append(new Option(head.textContent + ": " + words.all, ""));
        values.sort(collator.compare).forEach((value) => select.append(new Option(value, value)));
        select.addEventListener("change", () => { state.picked.set(column, select.value); show(); });
        tools.append(select);
      });
      tools.append(count);
      table.parentNode.before(tools);
    }
    return show;
  });

  const find = document.getElementById("find");
  find.hidden = false;
  find.addEventListener("input", () => {
    everywhere = plain(find.value);
    prepared.forEach((show) => show());
    document.querySelectorAll(".store").forEach((card) => {
      card.hidden = !plain(card.textContent).includes(everywhere);
    });
  });
})();
