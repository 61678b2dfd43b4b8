// Needs parts.js: node, mark, NS.
// Chapter 10: the error budget of one setting, read from the measured grid. Nothing is interpolated.
// The numeric functions are named exports; tests/chapters/test_10_budget.py compares them with the library.

const TERMS = [["prior", "vermillion"], ["score", "green"], ["discretisation", "blue"]];

// grid.bound[network][steps][T][start] = [prior, score, discretisation]; grid.flow and grid.sde: [mean, standard error].
export function setting(grid, network, steps, T, start, perfect) {
  const pick = (table, s) => table[network][steps][T][s];
  const terms = pick(grid.bound, start), total = terms.reduce((a, b) => a + b, 0);
  const [value, error] = pick(grid.flow, start), [best, bestError] = pick(grid.flow, perfect), [sde, sdeError] = pick(grid.sde, start);
  const largest = terms.indexOf(Math.max(...terms));
  return {
    terms, total, largest: TERMS[largest][0], share: terms[largest] / total, slack: total / value,
    flow: [value, error], sde: [sde, sdeError], perfect: [best, bestError],
    helps: value - best > 2 * Math.hypot(error, bestError),
  };
}

// A round number at or above x for the end of the axis.
export function axisEnd(x) {
  const power = 10 ** Math.floor(Math.log10(x));
  return [1, 1.5, 2, 3, 5, 10].map(k => k * power).find(end => end >= x * (1 - 1e-9));
}

export function sentence(found, start, floor) {
  const digits = v => v.toPrecision(2), part = `The largest term is the ${found.largest}'s: ${Math.round(100 * found.share)} % of the bound.`;
  const measured = found.flow[0] <= floor ? "The measured error is inside the floor." : `The bound is ${found.slack.toPrecision(2)} times the measured error.`;
  const change = start === "oracle" ? "This start is perfect already: what remains is score and steps."
    : found.helps ? `A perfect start would bring the flow from ${digits(found.flow[0])} to ${digits(found.perfect[0])}.`
    : "A perfect start would change nothing that can be seen.";
  return `${part} ${measured} ${change}`;
}

export default {
  render({ model, el }) {
    const grid = model.get("grid"), starts = model.get("starts"), floor = model.get("floor");
    const perfect = starts.indexOf("oracle");
    const slider = (label, values, at) => {
      const input = node("input", { type: "range", min: 0, max: values.length - 1, step: 1, value: at, "aria-label": label });
      const output = node("output");
      return { input, output, values, row: node("label", { class: "knob" }, node("span", {}, label), input, output) };
    };
    const network = slider("network", model.get("networks"), model.get("network"));
    const steps = slider("steps", model.get("steps"), model.get("step"));
    const T = slider("T", model.get("lengths"), model.get("length"));
    const start = node("select", { "aria-label": "Start" }, ...starts.map((name, i) => node("option", { value: i }, name)));
    start.value = model.get("start");
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("aria-hidden", "true");
    const verdict = node("p", { role: "status" });
    el.append(
      node("style", {}, `
        .otp-ch10 .knob { display: grid; grid-template-columns: 4.5rem minmax(5rem, 1fr) 9.5rem; gap: 0.6rem; align-items: center; margin: 0.15rem 0; white-space: nowrap; }
        .otp-ch10 .knob input { width: 100%; min-width: 0; }
        .otp-ch10 .pick { margin-bottom: 0.3rem; }
        .otp-ch10 svg { display: block; width: 100%; margin: 0.5rem 0; }
        .otp-ch10 svg text { fill: var(--otp-ink); font-size: 13px; font-family: inherit; }
        .otp-ch10 p { margin: 0.3rem 0 0; font-size: 0.95rem; min-height: 4.2em; }
        .otp-ch10 option { color: #1f2933; background: #ffffff; }
        @media (max-width: 480px) { .otp-ch10 .knob { grid-template-columns: 3.9rem minmax(4rem, 1fr) 8.6rem; font-size: 0.93rem; } }`),
      node("div", { class: "otp-ch10" }, node("div", { class: "pick" }, node("label", {}, "start ", start)), network.row, steps.row, T.row, svg, verdict));

    function draw() {
      const found = setting(grid, +network.input.value, +steps.input.value, +T.input.value, +start.value, perfect);
      for (const knob of [network, steps, T]) {
        knob.output.textContent = knob.values[+knob.input.value];
        knob.input.setAttribute("aria-valuetext", knob.values[+knob.input.value]);
      }
      const width = Math.max(280, svg.clientWidth || 640), left = 4, right = width - 16, end = axisEnd(1.02 * Math.max(found.total, found.sde[0]));
      const xOf = v => left + (right - left) * v / end;
      svg.setAttribute("viewBox", `0 0 ${width} 222`);
      svg.setAttribute("height", 222);
      svg.replaceChildren();
      const bar = (y, label) => mark(svg, "text", { x: left, y: y - 6 }, label);
      bar(22, `bound on W₂: ${found.total.toPrecision(3)}`);
      let from = 0;
      TERMS.forEach(([name, colour], i) => {
        const to = from + found.terms[i];
        mark(svg, "rect", { x: xOf(from), y: 22, width: Math.max(0, xOf(to) - xOf(from)), height: 26, fill: `var(--otp-${colour})` });
        from = to;
      });
      let x = left;
      TERMS.forEach(([name, colour], i) => {
        mark(svg, "rect", { x, y: 55, width: 11, height: 11, fill: `var(--otp-${colour})` });
        const text = mark(svg, "text", { x: x + 15, y: 65 }, `${name} ${found.terms[i] < 5e-4 ? "0" : found.terms[i].toPrecision(2)}`);
        x += 15 + Math.max(60, text.getComputedTextLength()) + 14;
      });
      [[`measured, flow: ${found.flow[0].toPrecision(2)}`, found.flow, 94, "ink"], [`measured, SDE: ${found.sde[0].toPrecision(2)}`, found.sde, 138, "muted"]].forEach(([label, [value, error], y, colour]) => {
        bar(y, label);
        mark(svg, "rect", { x: xOf(0), y, width: xOf(value) - xOf(0), height: 14, fill: `var(--otp-${colour})`, "fill-opacity": 0.75 });
        mark(svg, "line", { x1: xOf(Math.max(0, value - 2 * error)), x2: xOf(value + 2 * error), y1: y + 7, y2: y + 7, stroke: "var(--otp-orange)", "stroke-width": 3 });
      });
      for (const y of [91, 135]) mark(svg, "line", { x1: xOf(floor), x2: xOf(floor), y1: y, y2: y + 20, stroke: "var(--otp-purple)", "stroke-width": 3 });
      mark(svg, "text", { x: xOf(floor) + 6, y: 170, style: "fill: var(--otp-purple)" }, "| floor");
      mark(svg, "line", { x1: left, x2: right, y1: 180, y2: 180, stroke: "var(--otp-muted)" });
      for (let i = 0; i <= 4; i++) {
        const v = end * i / 4;
        mark(svg, "line", { x1: xOf(v), x2: xOf(v), y1: 180, y2: 185, stroke: "var(--otp-muted)" });
        mark(svg, "text", { x: xOf(v), y: 199, "text-anchor": i === 0 ? "start" : i === 4 ? "end" : "middle" }, String(+v.toPrecision(3)));
      }
      mark(svg, "text", { x: (left + right) / 2, y: 217, "text-anchor": "middle" }, "W₂");
      verdict.textContent = sentence(found, starts[+start.value], floor);
    }
    for (const input of [network.input, steps.input, T.input, start]) input.addEventListener("input", draw);
    draw();
    new ResizeObserver(draw).observe(svg);
  },
};
