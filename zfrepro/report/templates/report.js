/* The interactive parts of the report's page: theme, contents, filter of the claims, sorting, large pictures, faces,
   and values under the pointer. The page is complete without it. Nothing is fetched, and text enters the page as text only. */
(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  /* An element with attributes and children; `on` holds its listeners. */
  function make(tag, { on = {}, ...attributes } = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    for (const [event, listener] of Object.entries(on)) element.addEventListener(event, listener);
    element.append(...children);
    return element;
  }

  /* ---- theme: the system's, light or dark; kept where the browser lets us */

  const THEMES = ["auto", "light", "dark"];

  function kept() {
    try { return localStorage.getItem("zfrepro-theme"); } catch { return null; }
  }

  function keep(theme) {
    try { localStorage.setItem("zfrepro-theme", theme); } catch { /* a page opened from disk may have no storage */ }
  }

  function theme() {
    return THEMES.includes(root.dataset.theme) ? root.dataset.theme : THEMES[0];
  }

  function setTheme(name) {
    if (name === THEMES[0] || !THEMES.includes(name)) delete root.dataset.theme;
    else root.dataset.theme = name;
  }

  function themeButton() {
    const button = document.querySelector(".theme");
    const label = () => { button.textContent = `Theme: ${theme()}`; };
    button.addEventListener("click", () => {
      setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
      keep(theme());
      label();
    });
    button.hidden = false;
    label();
  }

  /* ---- contents: open at the side of a wide window, folded away in a narrow one; the section in view is marked */

  function contents() {
    const details = document.querySelector(".toc details");
    const wide = matchMedia("(min-width: 60rem)");
    const fit = () => { details.open = wide.matches; };
    wide.addEventListener("change", fit);
    fit();
    const fold = () => { if (!wide.matches) details.open = false; };
    details.addEventListener("click", (event) => { if (event.target.closest("a")) fold(); });
    details.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !wide.matches) {
        fold();
        details.querySelector("summary").focus();
      }
    });
    markCurrent(new Map(all("a", details).map((link) => [link.hash.slice(1), link])));
  }

  function markCurrent(links) {
    const seen = new IntersectionObserver((entries) => {
      const entered = entries.filter((entry) => entry.isIntersecting).pop();
      if (!entered) return;
      for (const link of links.values()) link.removeAttribute("aria-current");
      const link = links.get(entered.target.id);
      link.setAttribute("aria-current", "true");
      const bar = link.closest("nav");
      if (link.offsetTop < bar.scrollTop || link.offsetTop + link.offsetHeight > bar.scrollTop + bar.clientHeight) {
        bar.scrollTop = link.offsetTop - bar.clientHeight / 2;
      }
    }, { rootMargin: "-15% 0px -75% 0px" });
    for (const id of links.keys()) seen.observe(document.getElementById(id));
  }

  /* ---- claims: the counts become buttons that show one verdict, and words can be searched for */

  function claims() {
    const board = document.querySelector(".board");
    if (!board) return;
    const bar = board.querySelector(".filter");
    const search = bar.querySelector("input");
    const groups = all("details.topic", board);
    const counts = all(".count", board).map(asButton);
    let verdict = "";

    function apply() {
      const words = search.value.trim().toLowerCase();
      let shown = 0;
      for (const group of groups) {
        let here = 0;
        for (const claim of all(".claim", group)) {
          claim.hidden = (verdict !== "" && claim.dataset.verdict !== verdict) || !claim.textContent.toLowerCase().includes(words);
          here += !claim.hidden;
        }
        group.hidden = !here;
        if (verdict || words) group.open = true;
        shown += here;
      }
      for (const count of counts) count.setAttribute("aria-pressed", String(count.dataset.verdict === verdict));
      bar.querySelector("[role=status]").textContent = `${shown} of ${all(".claim", board).length} claims shown`;
    }

    function reset() {
      verdict = search.value = "";
      for (const group of groups) group.open = false;
      apply();
    }

    for (const count of counts) {
      count.addEventListener("click", () => {
        verdict = verdict === count.dataset.verdict ? "" : count.dataset.verdict;
        apply();
      });
    }
    search.addEventListener("input", apply);
    bar.querySelector("button").addEventListener("click", reset);
    addEventListener("hashchange", () => reveal(reset));
    bar.hidden = false;
    reveal(apply);
    apply();
  }

  function asButton(link) {
    const button = make("button", { type: "button", class: link.className, "data-verdict": link.dataset.verdict }, ...link.childNodes);
    link.replaceWith(button);
    return button;
  }

  /* A claim that the address names is shown even where a filter or a closed group hid it. */
  function reveal(reset) {
    const target = location.hash.startsWith("#claim-") && document.getElementById(location.hash.slice(1));
    if (!target) return;
    if (target.closest("[hidden]")) reset();
    target.closest("details.topic").open = true;
    target.scrollIntoView();
  }

  /* ---- tables: a heading sorts by its column; rows stay below the heading row that they belong to */

  const announcement = make("div", { class: "unseen", role: "status" });

  function sortable(table) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
    if (body.rows.length < 3) return;
    const original = [...body.rows];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const name = head.textContent;
      head.replaceChildren(make("button", { type: "button", class: "sort", on: { click: () => {
        const order = { ascending: "descending", descending: "" }[head.getAttribute("aria-sort")] ?? "ascending";
        for (const other of heads) other.removeAttribute("aria-sort");
        if (order) head.setAttribute("aria-sort", order);
        body.append(...(order ? sorted(original, column, order) : original));
        announcement.textContent = order ? `Sorted by ${name}, ${order}` : "Original order";
      } } }, ...head.childNodes));
    });
  }

  function sorted(rows, column, order) {
    const sections = [[]];
    for (const row of rows) {
      if (row.classList.contains("heading")) sections.push([]);
      sections.at(-1).push(row);
    }
    return sections.flatMap((section) => {
      const heading = section[0]?.classList.contains("heading") ? section.slice(0, 1) : [];
      return [...heading, ...inOrder(section.slice(heading.length), column, order)];
    });
  }

  /* Numbers by value where the column has any, else words; cells without one come last either way; equal ones stay as they were. */
  function inOrder(rows, column, order) {
    const values = rows.map((row) => value(row.cells[column]));
    const numeric = values.some((entry) => typeof entry === "number");
    const hasValue = (entry) => (numeric ? typeof entry === "number" : entry !== "");
    const sign = order === "ascending" ? 1 : -1;
    const compare = (a, b) => (numeric ? a - b : a.localeCompare(b, "en", { numeric: true }));
    return rows.map((row, i) => [row, values[i]])
      .sort(([, a], [, b]) => (hasValue(a) && hasValue(b) ? sign * compare(a, b) : hasValue(b) - hasValue(a)))
      .map(([row]) => row);
  }

  function value(cell) {
    const text = (cell?.dataset.sort ?? cell?.querySelector(".n")?.textContent ?? cell?.textContent ?? "").trim();
    const number = Number(text.replaceAll(",", "").replaceAll("\u2212", "-").replace(/^\+|\s*%$/g, ""));
    return text === "" || Number.isNaN(number) ? text : number;
  }

  /* ---- images: a button opens each of them large; Escape closes, and the focus goes back */

  let dialog = null;

  function openLarge(title, image) {
    dialog ??= makeDialog();
    dialog.setAttribute("aria-label", `${title}, large`);
    dialog.querySelector("strong").textContent = title;
    dialog.classList.toggle("plot", image.closest("figure").classList.contains("plot"));
    dialog.querySelector("p").textContent = image.alt;
    const save = dialog.querySelector(".save");
    save.href = asPng(image);
    save.download = `${title.replaceAll(/[^\p{L}\p{N}]+/gu, "-").replaceAll(/^-|-$/g, "")}.png`;
    dialog.querySelector(".saved")?.remove();
    const files = image.closest("figure").querySelector(".saved");
    if (files) save.after(files.cloneNode(true));
    const shown = dialog.querySelector("img");
    shown.src = image.src;
    shown.alt = image.alt;
    zoom(false);
    dialog.showModal();
  }

  /* The page holds WebP where it is smaller; slides and papers want PNG. */
  function asPng(image) {
    const canvas = make("canvas", { width: image.naturalWidth, height: image.naturalHeight });
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/png");
  }

  function makeDialog() {
    const larger = make("button", { type: "button", class: "zoom", on: { click: () => zoom() } }, "Zoom in");
    const close = make("button", { type: "button", autofocus: "", on: { click: () => dialog.close() } }, "Close");
    const sheet = make("div", { class: "sheet", tabindex: "0", role: "group", "aria-label": "Image" },
      make("img", { alt: "", on: { click: () => zoom() } }));
    const element = make("dialog", { class: "large" }, make("div", { class: "tools" }, make("strong"), make("a", { class: "save", download: "" }, "Save image"), larger, close), sheet, make("p"));
    document.body.append(element);
    return element;
  }

  function zoom(on = !dialog.querySelector(".sheet").classList.contains("zoomed")) {
    const sheet = dialog.querySelector(".sheet");
    const image = sheet.querySelector("img");
    sheet.classList.toggle("zoomed", on);
    image.style.width = on ? `${Math.max(image.naturalWidth, 2 * sheet.clientWidth)}px` : "";
    dialog.querySelector(".zoom").textContent = on ? "Fit" : "Zoom in";
  }

  function enlargeable(figure) {
    const title = figure.dataset.title;
    const current = () => all("img", figure).find((image) => !image.hidden);
    const button = make("button", { type: "button", class: "enlarge", "aria-label": `Enlarge: ${title}`, on: {
      click: () => openLarge(title, current()),
    } }, "Enlarge");
    figure.querySelector(".titlebar").append(button);
    for (const image of all("img", figure)) {
      image.classList.add("zoomable");
      image.addEventListener("click", () => {
        button.focus();
        button.click();
      });
    }
  }

  /* ---- faces: the images that share one frame, one shown at a time */

  function switchable(figure) {
    const frame = figure.querySelector("[data-label]");
    const others = all("details.face", figure);
    if (!others.length) return;
    const faces = [[frame.dataset.label, frame.querySelector("img")], ...others.map((face) => [face.dataset.label, face.querySelector("img")])];
    const buttons = faces.map(([label], chosen) => make("button", { type: "button", on: { click: () => show(chosen) } }, label));

    function show(chosen) {
      faces.forEach(([, image], i) => {
        image.hidden = i !== chosen;
        buttons[i].setAttribute("aria-pressed", String(i === chosen));
      });
    }

    frame.append(...faces.map(([, image]) => image));
    for (const face of others) face.remove();
    figure.querySelector(".titlebar").append(make("div", { class: "faces", role: "group", "aria-label": `${figure.dataset.title}: what is shown` }, ...buttons));
    show(0);
  }

  /* ---- grids: the values at the cell under the pointer, or chosen by the arrow keys, in all maps at once */

  function probe(figure) {
    const island = figure.querySelector('script[type="application/json"]');
    if (!island) return;
    const grids = JSON.parse(island.textContent);
    const image = figure.querySelector("img");
    const readout = make("p", { class: "readout" }, "Point at a map, or focus it and use the arrow keys.");
    const tip = make("span", { class: "tip", "aria-hidden": "true", hidden: "" });
    const marks = grids.map((grid) => make("span", { class: grid.cover ? "square" : "mark", hidden: "" }));
    const layer = make("div", { class: "probe", tabindex: "0", role: "application", "aria-roledescription": "maps to explore",
      "aria-label": `${figure.dataset.title}: ${image.alt} Arrow keys move over the maps.` }, ...marks, tip);
    const frame = make("div", { class: "frame" });
    image.replaceWith(frame);
    frame.append(image, layer);
    figure.querySelector(".wide").after(readout);
    let place = null;  /* which grid, row, column */

    function show(grid, row, column, aloud) {
      place = { grid, row, column };
      readout.setAttribute("aria-live", aloud ? "polite" : "off");
      readout.textContent = grids.map((grid) => grid.cells[row]?.[column]).filter(Boolean).join(" \u00b7 ");
      grids.forEach((grid, i) => lay(marks[i], grid, row, column));
      tip.textContent = grids[grid].cells[row][column];
      const box = cellBox(grids[grid], row, column);
      Object.assign(tip.style, { left: `${clamp(100 * (box.left + box.width / 2), 9, 91)}%`, top: `${100 * box.top}%` });
      tip.hidden = false;
    }

    function lay(mark, grid, row, column) {
      mark.hidden = grid.cells[row]?.[column] === undefined;
      if (mark.hidden) return;
      const box = cellBox(grid, row, column);
      const shown = grid.cover ? around(box, ...grid.cover) : box;
      for (const side of ["left", "top", "width", "height"]) mark.style[side] = `${100 * shown[side]}%`;
    }

    function pointed(event) {
      const box = layer.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width;
      const y = (event.clientY - box.top) / box.height;
      const grid = grids.findIndex((area) => inside(x, area.left, area.width) && inside(y, area.top, area.height));
      if (grid < 0) { tip.hidden = true; return; }
      const { cells, left, top, width, height } = grids[grid];
      const row = Math.min(cells.length - 1, Math.floor((y - top) / height * cells.length));
      show(grid, row, Math.min(cells[row].length - 1, Math.floor((x - left) / width * cells[row].length)), false);
    }

    layer.addEventListener("pointermove", pointed);
    layer.addEventListener("pointerdown", pointed);
    layer.addEventListener("pointerleave", () => { tip.hidden = true; });
    layer.addEventListener("focus", () => {
      const first = Math.min(1, grids.length - 1);
      const middle = Math.floor(grids[first].cells.length / 2);
      if (!place) show(first, middle, middle, true);
    });
    layer.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step || !place || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      const many = event.shiftKey ? 5 : 1;
      const cells = grids[place.grid].cells;
      const row = clamp(place.row + many * step[0], 0, cells.length - 1);
      show(place.grid, row, clamp(place.column + many * step[1], 0, cells[row].length - 1), true);
    });
  }

  const around = ({ left, top, width, height }, wide, high) =>
    ({ left: left + (width - wide) / 2, top: top + (height - high) / 2, width: wide, height: high });
  const inside = (at, start, size) => at >= start && at < start + size;
  const clamp = (number, low, high) => Math.max(low, Math.min(high, number));

  function cellBox(grid, row, column) {
    const width = grid.width / grid.cells[row].length;
    const height = grid.height / grid.cells.length;
    return { left: grid.left + column * width, top: grid.top + row * height, width, height };
  }

  /* ---- only what scrolls sideways can be focused by keyboard */

  function scrollers() {
    const fit = (entry) => {
      if (entry.scrollWidth > entry.clientWidth + 1) entry.tabIndex = 0;
      else entry.removeAttribute("tabindex");
    };
    const watch = new ResizeObserver((entries) => { for (const entry of entries) fit(entry.target); });
    for (const box of all(".wide")) watch.observe(box);
  }

  setTheme(kept());
  addEventListener("DOMContentLoaded", () => {
    themeButton();
    contents();
    claims();
    document.body.append(announcement);
    all("table").forEach(sortable);
    for (const figure of all(".pieces figure")) {
      switchable(figure);
      enlargeable(figure);
      probe(figure);
    }
    scrollers();
  });
})();
