// Needs parts.js: node, mark, NS.
// Chapter 13: choose a scenario and what you can pay; the ranking follows. The numbers are committed rows, seed by seed;
// means, errors, ranking and the paired t-test are computed here. The named exports are pure; a test compares them with the library.

export function mean(values) {
  return values.reduce((sum, v) => sum + v, 0) / values.length;
}

export function standardError(values) {
  const m = mean(values), n = values.length;
  return Math.sqrt(values.reduce((sum, v) => sum + (v - m) ** 2, 0) / (n - 1) / n);
}

// [mean, standard error] of the differences a - b, seed by seed.
export function paired(a, b) {
  const gaps = a.map((v, k) => v - b[k]);
  return [mean(gaps), standardError(gaps)];
}

// Two-sided at 5 %, with the critical value of Student's t for these seeds.
export function significant(a, b, critical) {
  const [value, error] = paired(a, b);
  return Math.abs(value) > critical * error;
}

// scenario: {rival: [extra calls, stores points, needs training, values]}. The rivals one may have, from the smallest mean up;
// floor: not told from the oracle; tied: not told from the first, or at the floor with it.
export function ranking(scenario, critical, calls, storing, training) {
  const truth = scenario.oracle[3];
  const list = Object.entries(scenario)
    .filter(([name, [extra, stores, trains]]) => !name.startsWith("oracle") && extra <= calls && (storing || !stores) && (training || !trains))
    .map(([name, [extra, , , values]]) => ({ name, extra, values, mean: mean(values), error: standardError(values), floor: !significant(values, truth, critical) }));
  list.sort((a, b) => a.mean - b.mean);
  const tied = (row, first) => row === first || (row.floor && first.floor) || !significant(row.values, first.values, critical);
  return list.map(row => ({ ...row, tied: tied(row, list[0]) }));
}

// Place of v on an axis that is linear below `unit` and logarithmic far above it.
export function place(v, unit) {
  return Math.asinh(v / unit);
}

export function sentence(rows) {
  if (!rows.length) return "Nothing is left: allow more.";
  const tied = rows.filter(row => row.tied).length, floor = rows.filter(row => row.floor).length;
  const first = `First: ${rows[0].name}, ${rows[0].mean.toFixed(4)} ± ${rows[0].error.toFixed(4)}.`;
  const others = tied === 1 ? rows.length === 1 ? "Nothing else is left." : "Every other one here is significantly worse." : `${tied} of ${rows.length} cannot be told apart from the first.`;
  return `${first} ${others} ${floor} of ${rows.length} cannot be told from the oracle.`;
}

const COLOURS = [
  [/^standard|^T = |zero SNR|^SDE/, "vermillion"], [/^Langevin/, "orange"], [/^moment|^mixture|^learned/, "blue"],
  [/^semi|^smoothed|^fresh/, "green"], [/^data/, "purple"],
];
const LABELS = {
  standard: "N(0, I)", "Langevin, 10 short": "Langevin, 10, timid",
  "moment-matched, all classes": "moments, all classes", "semi-discrete, all classes": "map, all classes",
};
export default {
  render({ model, el }) {
    const scenarios = model.get("scenarios"), words = model.get("words"), critical = model.get("critical"), budgets = model.get("budgets");
    const select = node("select", { id: "rivals-scene" }, ...Object.keys(scenarios).map(name => node("option", { value: name }, name)));
    select.value = model.get("scenario");
    const slider = node("input", { id: "rivals-calls", type: "range", min: 0, max: budgets.length - 1, step: 1, value: model.get("budget") });
    const output = node("output", { for: "rivals-calls" });
    const box = (text, checked) => {
      const input = node("input", { type: "checkbox" });
      input.checked = checked;
      return [input, node("label", {}, input, " ", text)];
    };
    const [storing, storingLabel] = box("may keep training points", true), [training, trainingLabel] = box("may train the network again", true);
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("role", "img");
    const about = node("p", { class: "muted" }), verdict = node("p", { role: "status" });
    el.append(
      node("style", {}, `
        .rivals { font: 0.92rem/1.45 system-ui, sans-serif; color: var(--otp-ink); }
        .rivals .line { display: flex; flex-wrap: wrap; gap: 0.3rem 1.2rem; align-items: center; margin: 0.25rem 0; }
        .rivals .line label { display: inline-flex; gap: 0.35rem; align-items: center; }
        .rivals .line input[type=range] { flex: 1 1 7rem; }
        .rivals output { min-width: 1.6rem; }
        .rivals svg { display: block; width: 100%; margin: 0.4rem 0; }
        .rivals svg text { fill: var(--otp-ink); font-size: 13px; font-family: inherit; }
        .rivals p { margin: 0.3rem 0 0; font-variant-numeric: tabular-nums; }
        .rivals .muted { color: var(--otp-muted); }
        .rivals option { color: #1f2933; background: #ffffff; }`),
      node("div", { class: "rivals" },
        node("div", { class: "line" }, node("label", {}, "Scenario ", select)),
        node("div", { class: "line" }, node("label", { for: "rivals-calls" }, "Extra network calls, at most"), slider, output),
        node("div", { class: "line" }, storingLabel, trainingLabel), about, svg, verdict));

    function draw() {
      const scenario = scenarios[select.value], rows = ranking(scenario, critical[select.value], budgets[+slider.value], storing.checked, training.checked);
      output.textContent = budgets[+slider.value];
      slider.setAttribute("aria-valuetext", `${budgets[+slider.value]} calls`);
      about.textContent = words[select.value];
      const width = Math.max(300, svg.clientWidth || 640), left = width < 480 ? 158 : 186, right = width - (width < 480 ? 12 : 60), line = 21, top = 26;
      const truth = scenario.oracle[3], low = mean(truth) - 2 * standardError(truth), high = mean(truth) + 2 * standardError(truth);
      const every = Object.entries(scenario).map(([, row]) => mean(row[3]) + 2 * standardError(row[3]));
      const unit = model.get("unit"), least = place(Math.min(low, -unit), unit), most = place(Math.max(...every), unit);
      const x = v => left + (right - left) * (Math.max(place(v, unit), least) - least) / (most - least);
      const height = top + line * Math.max(1, rows.length) + 44;
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("height", height);
      svg.replaceChildren();
      const bottom = top + line * Math.max(1, rows.length);
      mark(svg, "rect", { x: x(low), y: top - 6, width: x(high) - x(low), height: bottom - top + 8, fill: "var(--otp-grid)" });
      const far = x(low) > (left + right) / 2;
      mark(svg, "text", { x: far ? x(high) : Math.max(left, x(low)), y: 13, "text-anchor": far ? "end" : "start", style: "fill: var(--otp-muted)" }, "oracle ± 2 s.e.: the floor");
      rows.forEach((row, k) => {
        const y = top + line * k, colour = `var(--otp-${COLOURS.find(([pattern]) => pattern.test(row.name))[1]})`;
        const label = LABELS[row.name] ?? row.name;
        mark(svg, "text", { x: left - 8, y: y + 13, "text-anchor": "end", style: row.tied ? "font-weight: 600" : "" }, `${row.floor ? "○ " : ""}${label}`);
        const from = x(0), to = x(row.mean);
        mark(svg, "rect", { x: Math.min(from, to), y: y + 2, width: Math.max(1.5, Math.abs(to - from)), height: 12, fill: colour, "fill-opacity": row.tied ? 0.95 : 0.45 });
        mark(svg, "line", { x1: x(row.mean - 2 * row.error), x2: x(row.mean + 2 * row.error), y1: y + 8, y2: y + 8, stroke: "var(--otp-ink)", "stroke-width": 1.6 });
        if (width >= 480) mark(svg, "text", { x: width - 2, y: y + 13, "text-anchor": "end", style: "fill: var(--otp-muted)" }, row.extra ? `+${row.extra}` : "");
      });
      mark(svg, "line", { x1: left, x2: right, y1: bottom + 4, y2: bottom + 4, stroke: "var(--otp-muted)" });
      let last = -Infinity;
      for (const v of [0, 0.004, 0.01, 0.03, 0.1, 0.3, 1]) {
        if (place(v, unit) > most || x(v) - last < 38) continue;
        last = x(v);
        mark(svg, "line", { x1: x(v), x2: x(v), y1: bottom + 4, y2: bottom + 9, stroke: "var(--otp-muted)" });
        mark(svg, "text", { x: x(v), y: bottom + 23, "text-anchor": "middle" }, String(v));
      }
      mark(svg, "text", { x: (left + right) / 2, y: bottom + 40, "text-anchor": "middle", style: "fill: var(--otp-muted)" }, "energy distance to new data");
      svg.setAttribute("aria-label", `Bars of ${rows.length} rivals from best to worst: ${rows.map(row => `${row.name} ${row.mean.toFixed(4)}`).join(", ")}.`);
      verdict.textContent = sentence(rows);
    }
    for (const input of [select, slider, storing, training]) input.addEventListener("input", draw);
    model.on("change:theme", draw);
    draw();
    const watcher = new ResizeObserver(draw);
    watcher.observe(el);
    return () => watcher.disconnect();
  },
};
