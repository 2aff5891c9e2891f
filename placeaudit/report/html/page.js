"use strict";
(() => {
  const $ = (selector, root = document) => root.querySelector(selector);
  const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
  const runs = JSON.parse($("#figures").textContent);

  // --- what is shown is kept in the address, so that a link shows the same -------------------
  const kinds = ["severity", "rule"];
  const chips = Object.fromEntries(kinds.map((kind) => [kind, $$(`[data-${kind}].chip`)]));
  const search = $("#search");
  const views = $$("[data-timeline]");

  const pressed = (button) => button.getAttribute("aria-pressed") === "true";
  const press = (button, on) => button.setAttribute("aria-pressed", String(on));
  const currentView = (panel) => Number($$("[data-view]", panel).find(pressed)?.dataset.view ?? 0);

  function readAddress() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const kind of kinds) {
      const hidden = new Set((state.get(`hide-${kind}`) ?? "").split(","));
      for (const chip of chips[kind]) press(chip, !hidden.has(chip.dataset[kind]));
    }
    search.value = state.get("q") ?? "";
    for (const panel of views) {
      const wanted = state.get(`view-${panel.dataset.timeline}`) ?? "0";
      const buttons = $$("[data-view]", panel);
      const known = buttons.some((button) => button.dataset.view === wanted) ? wanted : "0";
      for (const button of buttons) press(button, button.dataset.view === known);
    }
  }

  function writeAddress() {
    const state = new URLSearchParams();
    for (const kind of kinds) {
      const hidden = chips[kind].filter((chip) => !pressed(chip)).map((chip) => chip.dataset[kind]);
      if (hidden.length) state.set(`hide-${kind}`, hidden.join(","));
    }
    if (search.value) state.set("q", search.value);
    for (const panel of views) {
      const view = currentView(panel);
      if (view) state.set(`view-${panel.dataset.timeline}`, view);
    }
    const text = state.toString();
    history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const on = Object.fromEntries(
      kinds.map((kind) => [kind, new Set(chips[kind].filter(pressed).map((c) => c.dataset[kind]))]),
    );
    const findings = $$(".finding");
    const count = (finding) => Number(finding.dataset.count);
    const all = findings.reduce((sum, finding) => sum + count(finding), 0);
    let shown = 0;
    for (const finding of findings) {
      const visible =
        kinds.every((kind) => on[kind].has(finding.dataset[kind])) &&
        words.every((word) => finding.dataset.text.includes(word));
      finding.hidden = !visible;
      if (visible) shown += count(finding);
    }
    $("#shown").textContent = all ? `${shown} of ${all} shown` : "";
    $("#none").hidden = shown > 0 || all === 0;
    $("#reset").hidden = shown === all;
  }

  function changed() {
    filter();
    writeAddress();
  }

  for (const chip of kinds.flatMap((kind) => chips[kind])) {
    chip.addEventListener("click", () => {
      press(chip, !pressed(chip));
      changed();
    });
  }
  search.addEventListener("input", changed);
  $("#filters").addEventListener("submit", (event) => event.preventDefault());
  $("#reset").addEventListener("click", () => {
    for (const chip of kinds.flatMap((kind) => chips[kind])) press(chip, true);
    search.value = "";
    changed();
    search.focus();
  });

  // --- tables ----------------------------------------------------------------------------------
  for (const table of $$("table.sortable")) {
    const heads = $$("th", table);
    heads.forEach((head, column) => {
      $("button", head).addEventListener("click", () => {
        const numeric = head.classList.contains("number");
        const first = numeric ? "descending" : "ascending";
        const other = numeric ? "ascending" : "descending";
        const order = head.getAttribute("aria-sort") === first ? other : first;
        for (const each of heads) each.setAttribute("aria-sort", each === head ? order : "none");
        const value = (row) =>
          numeric ? Number(row.cells[column].dataset.value) : row.cells[column].textContent;
        const sign = order === "ascending" ? 1 : -1;
        const rows = $$("tbody tr", table);
        rows.sort((a, b) => {
          const [x, y] = [value(a), value(b)];
          return sign * (numeric ? x - y : x.localeCompare(y));
        });
        $("tbody", table).append(...rows);
      });
    });
  }

  // --- charts ----------------------------------------------------------------------------------
  // A probe turns light-dark() into the colour of the scheme in force, which plotly needs.
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  function color(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  function styled(figure) {
    const data = figure.data.map((trace) => {
      const meta = trace.meta ?? {};
      const marker = { color: meta.colors ? meta.colors.map(color) : color(meta.color), line: { width: 0 } };
      if (meta.alternate) marker.opacity = trace.x.map((_, i) => (i % 2 ? 0.6 : 1));
      return { textposition: "none", ...trace, marker };
    });
    const axis = { gridcolor: color("line"), zerolinecolor: color("line"), automargin: true, ticklabelstandoff: 6 };
    const given = figure.layout;
    const layout = {
      margin: { l: 10, r: 16, t: 8, b: 36 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: color("text") },
      hoverlabel: { bgcolor: color("panel"), bordercolor: color("line"), font: { color: color("text") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: color("dim"), activecolor: color("accent") },
      legend: { orientation: "h", y: 1, yanchor: "bottom", x: 0, traceorder: "normal" },
      ...given,
    };
    for (const name of ["xaxis", "yaxis", "yaxis2"]) {
      if (name !== "yaxis2" || given.yaxis2) layout[name] = { ...axis, ...given[name] };
    }
    return { data, layout };
  }

  function figureOf(chart) {
    const figures = runs[Number(chart.dataset.run)];
    if (chart.dataset.figure !== "timeline") return figures[chart.dataset.figure];
    const panel = chart.closest("[data-timeline]");
    const view = figures.timeline[currentView(panel)];
    $("[data-note]", panel).textContent = view.note;
    return view;
  }

  const drawable = $$(".chart");

  function draw(chart) {
    if (!window.Plotly) return;
    const { data, layout } = styled(figureOf(chart));
    window.Plotly.react(chart, data, layout, {
      displaylogo: false,
      // On a narrow screen it would lie over the legend.
      displayModeBar: chart.dataset.figure === "timeline" && chart.clientWidth > 600,
      responsive: true,
      modeBarButtons: [["zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d", "toImage"]],
    });
  }

  const drawAll = () => drawable.forEach(draw);

  async function unpackPlotly() {
    const bytes = Uint8Array.from(atob($("#plotly").textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.textContent = await new Response(stream).text();
    document.head.append(script);
  }

  for (const panel of views) {
    for (const button of $$("[data-view]", panel)) {
      button.addEventListener("click", () => {
        for (const each of $$("[data-view]", panel)) press(each, each === button);
        writeAddress();
        draw($(".chart", panel));
      });
    }
  }

  // --- colours: the system's, light or dark ------------------------------------------------------
  const schemes = ["system", "light", "dark"];
  const theme = $("#theme");
  function setTheme(name) {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    theme.textContent = `Theme: ${name}`;
    theme.setAttribute("aria-label", `Colour scheme: ${name === "system" ? "as the system" : name}`);
    drawAll();
  }
  theme.addEventListener("click", () => {
    const now = document.documentElement.dataset.theme ?? "system";
    setTheme(schemes[(schemes.indexOf(now) + 1) % schemes.length]);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);

  // Printing opens what is folded, so that nothing is missing on paper.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = $$("details:not([open])");
    for (const each of opened) each.open = true;
  });
  addEventListener("afterprint", () => {
    for (const each of opened) each.open = false;
  });
  addEventListener("hashchange", () => {
    if (document.getElementById(location.hash.slice(1))) return; // a jump to a section
    readAddress();
    filter();
    drawAll();
  });

  readAddress();
  filter();
  if (drawable.length) {
    unpackPlotly()
      .then(drawAll)
      .catch((error) => {
        for (const chart of drawable) chart.textContent = `The chart could not be drawn: ${error}`;
      });
  }
})();
