/* The interactive parts of the report's page: theme, contents, filter of the claims, sorting, large pictures, faces,
   values and whole images under the pointer, and a slider through the times of a development. The page is complete without it. Nothing is fetched, and text enters the page as text only. */
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
    shown.src = image.currentSrc;
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
    const current = () => all("img", figure).find((image) => !image.hidden) ?? figure.querySelector("img");
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
    show(narrow.matches ? 1 : 0);
  }

  /* ---- what the page knows of a picture beyond its pixels */

  const narrow = matchMedia("(max-width: 40rem)");

  function island(figure) {
    return JSON.parse(figure.querySelector('script[type="application/json"]')?.textContent ?? "{}");
  }

  /* The images of a figure in a frame, with a layer over them that takes the pointer and the arrow keys. */
  function overlay(figure, what, help, ...children) {
    const image = figure.querySelector("img");
    const layer = make("div", { class: "probe", tabindex: "0", role: "application", "aria-roledescription": what,
      "aria-label": `${figure.dataset.title}: ${image.alt} ${help}` }, ...children);
    const frame = make("div", { class: "frame" });
    const wide = figure.querySelector(".wide");
    frame.append(...wide.childNodes, layer);
    wide.append(frame);
    return layer;
  }

  const STEPS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  /* The step of an arrow key, which then does not scroll; nothing for any other key. */
  function arrow(event) {
    const step = event.ctrlKey || event.metaKey || event.altKey ? undefined : STEPS[event.key];
    if (step) event.preventDefault();
    return step;
  }

  /* Where the pointer is over an element, in shares of it. */
  function share(event, element) {
    const box = element.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  function lay(mark, { left, top, width, height }) {
    Object.assign(mark.style, { left: `${100 * left}%`, top: `${100 * top}%`, width: `${100 * width}%`, height: `${100 * height}%` });
  }

  /* ---- grids: the values at the cell under the pointer, or chosen by the arrow keys, in all maps at once */

  function probe(figure, { grids, narrow: places, interaction }) {
    const readout = make("p", { class: "readout" }, "Point at a map, or focus it and use the arrow keys.");
    const tip = make("span", { class: "tip", "aria-hidden": "true", hidden: "" });
    const marks = grids.map((grid) => make("span", { class: grid.cover ? "square" : "mark", hidden: "" }));
    const bare = make("span", { class: "bare", hidden: "" });  /* what the square of the drawing covers */
    if (interaction) bare.style.backgroundImage = `url(data:image/png;base64,${interaction.beneath})`;
    const layer = overlay(figure, "maps to explore", "Arrow keys move over the maps.", bare, ...marks, tip);
    const rank = interaction ? ranking(figure, interaction) : () => {};
    figure.querySelector(".wide").after(readout);
    let place = null;  /* which grid, row, column */
    const areas = () => grids.map((grid, i) => (narrow.matches && places ? { ...places[i], cells: grid.cells } : grid));

    function show(grid, row, column, aloud) {
      const shown = areas();
      place = { grid, row, column };
      readout.setAttribute("aria-live", aloud ? "polite" : "off");
      readout.textContent = grids.map((one) => one.cells[row]?.[column]).filter(Boolean).join(" \u00b7 ");
      shown.forEach((area, i) => {
        marks[i].hidden = area.cells[row]?.[column] === undefined;
        if (!marks[i].hidden) lay(marks[i], markBox(area, row, column));
        if (!interaction || !area.cover) return;
        lay(bare, markBox(area, ...interaction.drawn));
        bare.hidden = false;
      });
      tip.textContent = grids[grid].cells[row][column];
      const box = cellBox(shown[grid], row, column);
      const edge = narrow.matches ? 24 : 9;
      Object.assign(tip.style, { left: `${clamp(100 * (box.left + box.width / 2), edge, 100 - edge)}%`, top: `${100 * box.top}%` });
      tip.hidden = false;
      rank(row, column);
    }

    function pointed(event) {
      const [x, y] = share(event, layer);
      const shown = areas();
      const grid = shown.findIndex((area) => inside(x, area.left, area.width) && inside(y, area.top, area.height));
      if (grid < 0) { tip.hidden = true; return; }
      const { cells, left, top, width, height } = shown[grid];
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
      const step = place && arrow(event);
      if (!step) return;
      const many = event.shiftKey ? 5 : 1;
      const cells = grids[place.grid].cells;
      const row = clamp(place.row + many * step[0], 0, cells.length - 1);
      show(place.grid, row, clamp(place.column + many * step[1], 0, cells[row].length - 1), true);
    });
    narrow.addEventListener("change", () => { if (place) show(place.grid, place.row, place.column, false); });
  }

  /* The most probable classes with and without the square, as bars; at first with the square where the drawing has it. */
  function ranking(figure, { names, true: correct, uncovered, covered, drawn }) {
    const head = make("h4");
    const bars = make("ol");
    figure.querySelector(".wide").after(make("div", { class: "ranks" }, make("div", { class: "now" }, head, bars),
      make("div", {}, make("h4", {}, "Nothing covered"), make("ol", {}, ...rows(uncovered)))));

    function rows(ranks) {
      return ranks.map(([number, share]) => make("li", number === correct ? { class: "true" } : {},
        make("span", { class: "name" }, names[number] + (number === correct ? " (true)" : "")),
        make("span", { class: "bar", "aria-hidden": "true" }, make("i", { style: `width: ${share / 100}%` })),
        make("span", { class: "n" }, percent(share))));
    }

    function show(text, row, column) {
      head.textContent = text;
      bars.replaceChildren(...rows(covered[row][column]));
    }

    show("With the square as drawn in (a)", ...drawn);
    return (row, column) => show("With the square here", row, column);
  }

  /* Parts of 10,000 as a text that reads 0 or 100 for no other number. */
  function percent(share) {
    if (share < 5) return "< 0.1 %";
    return share > 9994 && share < 10000 ? "> 99.9 %" : `${(share / 100).toFixed(1)} %`;
  }

  const markBox = (area, row, column) => {
    const box = cellBox(area, row, column);
    return area.cover ? around(box, ...area.cover) : box;
  };
  const around = ({ left, top, width, height }, wide, high) =>
    ({ left: left + (width - wide) / 2, top: top + (height - high) / 2, width: wide, height: high });
  const inside = (at, start, size) => at >= start && at < start + size;
  const clamp = (number, low, high) => Math.max(low, Math.min(high, number));

  function cellBox(grid, row, column) {
    const width = grid.width / grid.cells[row].length;
    const height = grid.height / grid.cells.length;
    return { left: grid.left + column * width, top: grid.top + row * height, width, height };
  }

  /* ---- tiles: the whole image of the one under the pointer or chosen by the arrow keys; a click keeps it, Escape closes */

  function tiles(figure, { columns, maps, tiles: units, blocks: drawings, narrow: places }) {
    const marks = drawings[0][0].map(() => make("span", { class: "mark", hidden: "" }));
    const layer = overlay(figure, "tiles to explore", "Arrow keys move over the tiles, Enter keeps the image open, Escape closes it.", ...marks);
    const images = all("img", figure);
    const card = tileCard();
    figure.querySelector(".wide").after(card.element);
    if (figure === figure.parentElement.querySelector("figure:has(.card)")) {
      figure.querySelector(".wide").after(make("p", { class: "readout" }, "Point at a tile of any layer or tap it, or focus a picture and use the arrow keys: its whole image opens."));
    }
    let place = null;  /* which map, rank */
    let kept = false;
    const blocks = (face) => (!face && places && narrow.matches ? places : drawings[face]);
    const shown = () => blocks(Math.max(0, images.findIndex((image) => !image.hidden)));
    const box = (map, rank, block) => cellBox(blockGrid(block, units[map].length, columns), Math.floor(rank / columns), rank % columns);

    function show(map, rank) {
      place = { map, rank };
      marks.forEach((mark, i) => {
        const block = shown()[map][i];
        mark.hidden = !block;
        if (block) lay(mark, box(map, rank, block));
      });
      const unit = units[map][rank];
      card.show(`${figure.dataset.title}, ${maps[map]}`, `${rank + 1} of ${units[map].length}`, unit, blocks(0)[map].map((block) => [images[0], box(map, rank, block)]));
      card.element.classList.toggle("left", marks[0].getBoundingClientRect().left > innerWidth / 2);
    }

    function keep(on) {
      kept = on;
      card.close.hidden = !on;
    }

    function hide() {
      keep(false);
      card.element.hidden = true;
      for (const mark of marks) mark.hidden = true;
    }

    /* Closed from within the card: the focus goes back, and does not open it again. */
    function leave() {
      layer.focus({ preventScroll: true });
      hide();
    }

    function find(event) {
      const [x, y] = share(event, layer);
      for (const [map, places] of shown().entries()) {
        const block = places.find(([left, top, width, height]) => inside(x, left, width) && inside(y, top, height));
        if (!block) continue;
        const lines = Math.ceil(units[map].length / columns);
        const rank = columns * Math.min(lines - 1, Math.floor((y - block[1]) / block[3] * lines)) + Math.min(columns - 1, Math.floor((x - block[0]) / block[2] * columns));
        if (rank < units[map].length) return [map, rank];
      }
      return null;
    }

    /* The nearest tile in a direction; what lies to the side counts as farther. */
    function next([down, right]) {
      const centre = (map, rank) => {
        const { left, top, width, height } = box(map, rank, shown()[map][0]);
        return [(top + height / 2) * layer.clientHeight, (left + width / 2) * layer.clientWidth];
      };
      const [y, x] = centre(place.map, place.rank);
      let best = null;
      units.forEach((ranks, map) => ranks.forEach((_, rank) => {
        const [v, u] = centre(map, rank);
        const along = down * (v - y) + right * (u - x);
        const far = along + 4 * Math.abs(down ? u - x : v - y);
        if (along > 1 && (!best || far < best.far)) best = { map, rank, far };
      }));
      return best ?? place;
    }

    layer.addEventListener("pointermove", (event) => {
      if (kept || event.pointerType === "touch") return;
      const place = find(event);
      if (place) show(...place); else hide();
    });
    layer.addEventListener("click", (event) => {
      const place = find(event);
      if (!place) { hide(); return; }
      show(...place);
      keep(true);
    });
    layer.addEventListener("pointerleave", () => { if (!kept) hide(); });
    layer.addEventListener("focus", () => { if (layer.matches(":focus-visible")) show(place?.map ?? 0, place?.rank ?? 0); });
    layer.addEventListener("blur", (event) => { if (!card.element.contains(event.relatedTarget)) hide(); });
    figure.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !card.element.hidden) {
        leave();
        event.stopPropagation();
      }
    });
    layer.addEventListener("keydown", (event) => {
      const step = place && arrow(event);
      if (step) {
        const { map, rank } = next(step);
        show(map, rank);
        marks[0].scrollIntoView({ block: "nearest" });
      }
      if (place && (event.key === "Enter" || event.key === " ")) { event.preventDefault(); show(place.map, place.rank); keep(true); }
    });
    card.close.addEventListener("click", leave);
    for (const button of all(".faces button", figure)) button.addEventListener("click", hide);
  }

  const blockGrid = ([left, top, width, height], count, columns) =>
    ({ left, top, width, height, cells: Array(Math.ceil(count / columns)).fill(Array(columns)) });

  /* The card of a tile: its own pictures, enlarged, the whole image with the receptive field's box, and what it is. */
  function tileCard() {
    const views = make("div", { class: "views" });
    const text = make("p", { "aria-live": "polite" });
    const close = make("button", { type: "button", hidden: "" }, "Close");
    const element = make("div", { class: "card", role: "group", "aria-label": "The whole image", hidden: "" }, views, text, close);

    function show(title, rank, unit, crops) {
        text.replaceChildren(make("b", {}, unit.label), make("br"), `${title}, ${rank}: activation ${unit.activation}`, make("br"), make("small", {}, unit.file));
      views.replaceChildren(...crops.map(([image, box], i) => crop(image, box, crops.length > 1 && !i ? "projection" : "patch")), whole(unit));
      element.hidden = false;
    }

    return { element, close, show };
  }

  /* A box of an image, in a canvas with a text below it. */
  function crop(image, { left, top, width, height }, text) {
    const [canvas, view] = labelled(text);
    const draw = () => canvas.getContext("2d").drawImage(image, left * image.naturalWidth, top * image.naturalHeight,
      width * image.naturalWidth, height * image.naturalHeight, 0, 0, canvas.width, canvas.height);
    drawn(image, draw);
    return view;
  }

  const SIDE = 240;  /* pixels of a canvas */

  function labelled(text, more = "") {
    const canvas = make("canvas", { width: SIDE, height: SIDE, role: "img", "aria-label": text + more });
    return [canvas, make("div", {}, canvas, make("small", { "aria-hidden": "true" }, text))];
  }

  function drawn(image, draw) {
    if (image.complete && image.naturalWidth) draw();
    else image.addEventListener("load", draw, { once: true });
  }

  let sprite = null;  /* the whole images of all tiles, decoded when the first is asked for */

  function whole({ image, box: [left, top, width, height] }) {
    const [canvas, view] = labelled("whole image", ", its receptive field framed");
    if (!sprite) {
      const { src, columns, rows } = JSON.parse(document.querySelector("script.sprite").textContent);
      sprite = { picture: new Image(), columns, rows };
      sprite.picture.src = src;
    }
    const { picture, columns, rows } = sprite;
    drawn(picture, () => {
      const pen = canvas.getContext("2d");
      const [wide, high] = [picture.naturalWidth / columns, picture.naturalHeight / rows];
      pen.drawImage(picture, image % columns * wide, Math.floor(image / columns) * high, wide, high, 0, 0, SIDE, SIDE);
      for (const [colour, line] of [["#000", 6], ["#fff", 2]]) {
        Object.assign(pen, { strokeStyle: colour, lineWidth: line });
        pen.strokeRect(clamp(left * SIDE, 3, SIDE - 3), clamp(top * SIDE, 3, SIDE - 3), Math.min(width * SIDE, SIDE - 6), Math.min(height * SIDE, SIDE - 6));
      }
    });
    return view;
  }

  /* ---- frames: a slider shows one time of a development in all pictures at once, its tiles enlarged */

  function slider(pieces, figures) {
    const { labels } = island(figures[0]).interaction;
    const views = figures.map((figure) => oneTime(figure, island(figure).interaction));
    const output = make("output");
    const range = make("input", { type: "range", min: 0, max: labels.length - 1, value: labels.length - 1, step: 1, "aria-label": "Epoch" });
    const back = make("button", { type: "button", "aria-pressed": "true", on: { click: () => show(null) } }, "All epochs side by side");

    function show(time) {
      for (const view of views) view(time);
      back.setAttribute("aria-pressed", String(time === null));
      output.textContent = time === null ? "move to see one epoch at a time" : `epoch ${labels[time]}`;
      range.setAttribute("aria-valuetext", `epoch ${labels[time ?? range.value]}`);
    }

    range.addEventListener("input", () => show(Number(range.value)));
    pieces.prepend(make("div", { class: "times", role: "group", "aria-label": "Epoch shown" }, make("span", {}, "Epoch"), range, output, back));
    show(null);
  }

  /* A function that shows one time of a picture, or with null all of it. */
  function oneTime(figure, { labels, texts, first: [left, top, width, height], step, rows }) {
    const image = figure.querySelector("img");
    const across = Math.ceil(rows / 2);
    const lines = Math.ceil(rows / across);
    const gap = 6;
    const canvas = make("canvas", { width: across * (SIDE + gap) - gap, height: lines * (SIDE + gap) - gap, role: "img", hidden: "" });
    const readout = make("p", { class: "readout", hidden: "" });
    figure.querySelector(".wide").append(canvas);
    figure.querySelector(".wide").after(readout);
    return (time) => {
      image.hidden = time !== null;
      canvas.hidden = readout.hidden = time === null;
      if (time === null) return;
      readout.textContent = texts[time];
      canvas.setAttribute("aria-label", `${figure.dataset.title}: ${rows} maps at epoch ${labels[time]}, ${texts[time]}`);
      drawn(image, () => {
        const pen = canvas.getContext("2d");
        const [wide, high] = [image.naturalWidth, image.naturalHeight];
        for (let row = 0; row < rows; row += 1) {
          pen.drawImage(image, (left + time * step[0]) * wide, (top + row * step[1]) * high, width * wide, height * high,
            row % across * (SIDE + gap), Math.floor(row / across) * (SIDE + gap), SIDE, SIDE);
        }
      });
    };
  }

  /* ---- on a dark page, what is around the images of a picture is inverted as plots are: a shade with holes lies over it */

  function shade(image) {
    const night = make("span", { class: "night" });
    const inner = image.closest("picture") ?? image;
    night.style.setProperty("--least", image.style.getPropertyValue("--least") || "0");
    const over = make("span", { class: "shade" });
    const source = image.closest("picture")?.querySelector("source");
    const fit = () => { over.style.clipPath = (source && narrow.matches ? source : image).dataset.around ?? "circle(0)"; };
    narrow.addEventListener("change", fit);
    fit();
    inner.replaceWith(night);
    night.append(inner, over);
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
      const known = island(figure);
      if (known.grids?.length) probe(figure, known);
      if (known.interaction?.blocks) tiles(figure, known.interaction);
    }
    for (const pieces of all(".pieces")) {
      const developing = all("figure", pieces).filter((figure) => island(figure).interaction?.step);
      if (developing.length) slider(pieces, developing);
    }
    all("img[data-around]").forEach(shade);
    scrollers();
  });
})();
