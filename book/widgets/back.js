// Needs parts.js: node, mark, upperTail, NS.
// Chapter 4: one starting point, its path by the probability flow, and the fan of its paths by the reverse SDE.
// Two bumps of variance s^2 at centre +- m, OU time, the exact score. Tests compare the exported functions with the library.

const SPREAD = 6.5;                     // standard deviations of N(0, 1) that quadratures run over

export const twoBumps = (m, variance, centre) => ({ means: [centre - m, centre + m], variance });

// p_t: components at e^{-t} mu with one variance
const at = (law, t) => {
  const a = Math.exp(-t);
  return { means: law.means.map(mu => a * mu), v: a * a * law.variance - Math.expm1(-2 * t) };
};

export function density(law, x, t) {
  const { means, v } = at(law, t);
  return means.reduce((sum, mu) => sum + 0.5 * Math.exp(-((x - mu) ** 2) / (2 * v)), 0) / Math.sqrt(2 * Math.PI * v);
}

export function score(law, x, t) {
  const { means: [a, b], v } = at(law, t);
  const right = 1 / (1 + Math.exp(-(b - a) * (x - (a + b) / 2) / v));
  return (a + (b - a) * right - x) / v;
}

const velocity = (law, x, t) => -x - score(law, x, t);      // of the flow, forward in time

// The flow from T to 0 by Runge-Kutta in equal steps: steps + 1 points.
export function flowPath(law, x, T, steps = 120) {
  const h = -T / steps, path = [x];
  for (let k = 0; k < steps; k++) {
    const t = T + k * h, end = k === steps - 1 ? 0 : t + h;
    const a = velocity(law, x, t), b = velocity(law, x + h / 2 * a, t + h / 2);
    const c = velocity(law, x + h / 2 * b, t + h / 2), d = velocity(law, x + h * c, end);
    path.push(x += h / 6 * (a + 2 * b + 2 * c + d));
  }
  return path;
}

export const flowMap = (law, x, T) => flowPath(law, x, T).at(-1);

// One Euler-Maruyama step of the reverse SDE from t to t - h with the standard normal z.
export const sdeStep = (law, x, t, h, z) => x + h * (x + 2 * score(law, x, t)) + Math.sqrt(2 * h) * z;

export function normals(seed, n) {      // mulberry32 and Box-Muller
  const uniform = () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let u = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    u = (u + Math.imul(u ^ (u >>> 7), 61 | u)) ^ u;
    return (((u ^ (u >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  return Array.from({ length: n }, () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
}

export function sdePath(law, x, T, noise) {
  const h = T / noise.length, path = [x];
  noise.forEach((z, k) => path.push(x = sdeStep(law, x, T - k * h, h, z)));
  return path;
}

// The x at which p_t has the tail P(X > x) = tail (side 1) or P(X < x) = tail (side -1).
function quantile(law, t, tail, side) {
  const { means, v } = at(law, t), s = Math.sqrt(v);
  let low = Math.min(...means) - 12 * s, high = Math.max(...means) + 12 * s;
  for (let k = 0; k < 48; k++) {
    const x = (low + high) / 2;
    const beyond = means.reduce((sum, mu) => sum + 0.5 * upperTail(side * (x - mu) / s), 0);
    if ((beyond > tail) === (side > 0)) low = x; else high = x;
  }
  return (low + high) / 2;
}

// The point of p_t with the rank that x has in N(0, 1): where the right start would have been.
export const counterpart = (law, x, t) => quantile(law, t, upperTail(Math.abs(x)), x < 0 ? -1 : 1);

// E[x_0 | x_T = x]: where the SDE ends on average.
export function posteriorMean(law, x, T) {
  return (x + -Math.expm1(-2 * T) * score(law, x, T)) / Math.exp(-T);
}

// The smaller tail of p_t at x, and its side: what `quantile` takes.
function rank(law, x, t) {
  const { means, v } = at(law, t), side = x < (means[0] + means[1]) / 2 ? -1 : 1;
  return [means.reduce((sum, mu) => sum + 0.5 * upperTail(side * (x - mu) / Math.sqrt(v)), 0), side];
}

// q_0(y) of the flow from N(0, 1): both densities change by the same slope, so q_0/p_0 at y is N(0, 1)/p_T at the x that ends there.
export function flowDensity(law, y, T) {
  const x = quantile(law, T, ...rank(law, y, 0)), p = density(law, x, T);
  return p < 1e-14 ? 0 : density(law, y, 0) * Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI) / p;
}

// The SDE's law at 0 from N(0, 1): p_0(y) times E[N(0, 1)/p_T at e^{-T} y + sigma xi].
export function sdeDensity(law, y, T, nodes = 60) {
  const a = Math.exp(-T), s = Math.sqrt(-Math.expm1(-2 * T)), h = 2 * SPREAD / nodes;
  let sum = 0;
  for (let k = 0; k <= nodes; k++) {
    const xi = -SPREAD + k * h, x = a * y + s * xi;
    sum += Math.exp(-xi * xi / 2 - x * x / 2) / density(law, x, T);
  }
  return density(law, y, 0) * sum * h / (2 * Math.PI);
}

export function gamma(kind, law, T) {
  const s2 = law.variance, a2 = Math.exp(-2 * T), end = 1 - (1 - s2) * a2, m = (law.means[1] - law.means[0]) / 2;
  const ode = Math.sqrt(s2 / end) * Math.exp(m * m * (1 - a2) / (2 * s2 * end));
  return kind === "ode" ? ode : Math.exp(-T) * ode * ode;
}

// [W2 at T, W2 at 0 by the flow] from N(0, 1), by ranks: on a line the flow keeps them. Many nodes: both maps are steep between bumps.
export function carried(law, T, nodes = 800) {
  const h = 2 * SPREAD / nodes;
  let start = 0, end = 0;
  for (let k = 0; k <= nodes; k++) {
    const z = -SPREAD + k * h, mass = h * Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
    start += mass * (z - counterpart(law, z, T)) ** 2;
    end += mass * (quantile(law, 0, ...rank(law, z, T)) - counterpart(law, z, 0)) ** 2;
  }
  return [Math.sqrt(start), Math.sqrt(end)];
}

// W2 at 0 by the SDE: the running mass of q_0 from its density (trapezoid), then ranks.
export function forgotten(law, T, nodes = 500) {
  const s = Math.sqrt(law.variance), low = law.means[0] - 7 * s, high = law.means[1] + 7 * s, h = (high - low) / nodes;
  const q = Array.from({ length: nodes + 1 }, (_, k) => sdeDensity(law, low + k * h, T));
  const total = q.reduce((sum, v) => sum + v, 0);
  let below = 0, sum = 0;
  q.forEach((v, k) => {
    const middle = (below + v / 2) / total;               // half of the own cell lies below
    if (v > 1e-14) sum += v / total * (low + k * h - (middle < 0.5 ? quantile(law, 0, middle, -1) : quantile(law, 0, 1 - middle, 1))) ** 2;
    below += v;
  });
  return Math.sqrt(sum);
}

// ---- the page

const line = points => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(1)},${y.toFixed(1)}`).join("");
const show = (value, digits = 3) => value < 0.0005 ? "< 0.001" : value.toFixed(digits);
const signed = value => value.toFixed(2).replace("-", "−");
const LOW = -3.4, HIGH = 4.4, PATHS = 16, STEPS = 120;

export default {
  render({ model, el }) {
    const slider = (label, min, max, step, value) => Object.assign(node("input", { type: "range", min, max, step, "aria-label": label }), { value });
    const start = slider("Starting point x at time T", -3, 3, 0.05, model.get("start"));
    const length = slider("Length T", 0.1, 3, 0.1, model.get("T"));
    const distance = slider("Half distance m of the bumps", 0, 1.8, 0.05, model.get("m"));
    const again = node("button", { type: "button" }, "other noise");
    const outputs = [start, length, distance].map(() => node("output"));
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("aria-hidden", "true");
    const numbers = node("dl"), verdict = node("p", { role: "status" });
    const row = (text, input, output) => node("label", { class: "knob" }, node("span", {}, text), input, output);
    el.append(
      node("style", {}, `
        .otp-ch4 .knob { display: grid; grid-template-columns: 9rem minmax(5rem, 1fr) 3.2rem; gap: 0.6rem; align-items: center; margin: 0.15rem 0; }
        .otp-ch4 .knob input { width: 100%; min-width: 0; }
        .otp-ch4 svg { display: block; width: 100%; margin: 0.4rem 0; }
        .otp-ch4 svg text { fill: var(--otp-ink); font-size: 13px; font-family: inherit; }
        .otp-ch4 .grip { cursor: ns-resize; touch-action: none; }
        .otp-ch4 button { border: 1px solid var(--otp-muted); border-radius: 6px; background: none; color: var(--otp-ink); padding: 0.15rem 0.6rem; margin-top: 0.2rem; }
        .otp-ch4 .key { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; font-size: 0.88rem; margin-top: 0.3rem; }
        .otp-ch4 .key b { display: inline-block; width: 1.6em; height: 0; border-top: 3px solid; vertical-align: middle; margin-right: 0.35em; }
        .otp-ch4 dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.2rem, 1fr)); gap: 0.3rem 0.8rem; margin: 0.3rem 0 0; }
        .otp-ch4 dt { font-weight: 400; color: var(--otp-muted); font-size: 0.85rem; line-height: 1.3; }
        .otp-ch4 dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
        .otp-ch4 p { margin: 0.5rem 0 0; font-size: 0.93rem; min-height: 3em; }
        @media (max-width: 480px) { .otp-ch4 .knob { grid-template-columns: 7.4rem minmax(4rem, 1fr) 2.8rem; font-size: 0.95rem; } }`),
      node("div", { class: "otp-ch4" },
        row("start x at T", start, outputs[0]), row("length T", length, outputs[1]), row("half distance m", distance, outputs[2]), again,
        node("div", { class: "key" }, ...[["blue", "solid", "flow"], ["ink", "dashed", "flow, from the right start"], ["orange", "solid", "SDE, same start"], ["vermillion", "dashed", "N(0, 1)"]]
          .map(([colour, style, text]) => node("span", {}, node("b", { style: `border-top-color: var(--otp-${colour}); border-top-style: ${style}` }), text))),
        svg, numbers, verdict));

    let seed = model.get("seed"), whole = null, box = null;
    const yOf = x => box.y + box.h * (HIGH - x) / (HIGH - LOW);

    function sideways(left, width, curves) {        // densities along the vertical axis, growing away from the paths
      const xs = Array.from({ length: 157 }, (_, i) => LOW + (HIGH - LOW) * i / 156);
      const values = curves.map(curve => xs.map(curve.f)), top = Math.max(...values.flat());
      curves.forEach((curve, j) => {
        const xOf = v => left ? box.x - 6 - v / top * width : box.x + box.w + 6 + v / top * width;
        const points = xs.map((x, i) => [xOf(values[j][i]), yOf(x)]);
        if (curve.fill) mark(svg, "path", { d: `${line(points)}Z`, fill: "var(--otp-muted)", "fill-opacity": 0.3 });
        mark(svg, "path", { d: line(points), fill: "none", stroke: `var(--otp-${curve.colour})`, "stroke-width": curve.fill ? 1 : 2, "stroke-dasharray": curve.dash ?? "none" });
      });
    }

    function draw() {
      const x = +start.value, T = +length.value, law = twoBumps(+distance.value, model.get("variance"), model.get("centre"));
      [x, T, +distance.value].forEach((value, i) => { outputs[i].textContent = signed(value); });
      const key = `${T} ${distance.value}`;
      if (whole?.key !== key) whole = { key, w2: [...carried(law, T), forgotten(law, T)], gamma: gamma("ode", law, T), law };
      const right = counterpart(law, x, T), path = flowPath(law, x, T, STEPS), reference = flowPath(law, right, T, STEPS);
      const noise = normals(seed, PATHS * STEPS);
      const walks = Array.from({ length: PATHS }, (_, k) => sdePath(law, x, T, noise.slice(k * STEPS, (k + 1) * STEPS)));

      const width = Math.max(280, svg.clientWidth || 640), side = Math.min(90, width * 0.16);
      box = { x: side + 12, y: 20, w: width - 2 * side - 24, h: width < 480 ? 260 : 300 };
      svg.setAttribute("viewBox", `0 0 ${width} ${box.h + 64}`);
      svg.setAttribute("height", box.h + 64);
      svg.replaceChildren();
      for (const tick of [-2, 0, 2, 4]) {
        mark(svg, "line", { x1: box.x, x2: box.x + box.w, y1: yOf(tick), y2: yOf(tick), stroke: "var(--otp-grid)" });
        mark(svg, "text", { x: box.x + 4, y: yOf(tick) - 4, style: "fill: var(--otp-muted)" }, signed(tick).replace(".00", ""));
      }
      const curve = points => line(points.map((v, k) => [box.x + box.w * k / STEPS, yOf(Math.max(LOW, Math.min(HIGH, v)))]));
      for (const walk of walks) mark(svg, "path", { d: curve(walk), fill: "none", stroke: "var(--otp-orange)", "stroke-width": 1, "stroke-opacity": 0.75 });
      mark(svg, "path", { d: curve(reference), fill: "none", stroke: "var(--otp-ink)", "stroke-width": 2.2, "stroke-dasharray": "7 4" });
      mark(svg, "path", { d: curve(path), fill: "none", stroke: "var(--otp-blue)", "stroke-width": 3 });
      mark(svg, "circle", { cx: box.x, cy: yOf(right), r: 5, fill: "var(--otp-bg)", stroke: "var(--otp-ink)", "stroke-width": 2 });
      sideways(true, side, [
        { f: v => density(law, v, T), colour: "ink", fill: true },
        { f: v => Math.exp(-v * v / 2) / Math.sqrt(2 * Math.PI), colour: "vermillion", dash: "6 4" },
      ]);
      sideways(false, side, [
        { f: v => density(law, v, 0), colour: "ink", fill: true },
        { f: v => flowDensity(law, v, T), colour: "blue" },
        { f: v => sdeDensity(law, v, T), colour: "orange", dash: "5 3" },
      ]);
      const label = (px, py, text, anchor = "middle") => mark(svg, "text", { x: px, y: py, "text-anchor": anchor }, text);
      label(box.x - side / 2 - 6, 14, "p_T"); label(box.x + box.w + side / 2 + 6, 14, "p₀, q₀");
      label(box.x, box.y + box.h + 20, `t = ${signed(T)}`); label(box.x + box.w, box.y + box.h + 20, "t = 0");
      label(box.x + box.w / 2, box.y + box.h + 38, "time runs back");
      mark(svg, "circle", { class: "grip", cx: box.x, cy: yOf(x), r: 18, fill: "var(--otp-blue)", "fill-opacity": 0.15 });
      mark(svg, "circle", { class: "grip", cx: box.x, cy: yOf(x), r: 8, fill: "var(--otp-blue)" });

      const off = Math.abs(x - right), kept = Math.abs(path.at(-1) - reference.at(-1));
      const drift = Math.abs(posteriorMean(law, x, T) - posteriorMean(law, right, T));
      numbers.replaceChildren(...[
        ["your start is off by", show(off)], ["flow ends off by", show(kept)], ["SDE's mean ends off by", show(drift)],
        ["W₂ at T, all starts", show(whole.w2[0])], ["W₂ at 0, flow", show(whole.w2[1])], ["W₂ at 0, SDE", show(whole.w2[2])],
        ["bound on flow", show(whole.gamma * whole.w2[0], 2)],
      ].map(([name, value]) => node("div", {}, node("dt", {}, name), node("dd", {}, value))));
      verdict.textContent = `Over all starts the flow multiplies the error by ${(whole.w2[1] / whole.w2[0]).toFixed(2)} (proved: at most ${whole.gamma < 1000 ? whole.gamma.toFixed(2) : whole.gamma.toExponential(1).replace("e+", " · 10^")}), `
        + `the SDE by ${(whole.w2[2] / whole.w2[0]).toFixed(2)}.`;
    }

    const drag = event => {
      const area = svg.getBoundingClientRect(), y = (event.clientY - area.top) * svg.viewBox.baseVal.height / area.height;
      start.value = HIGH - (y - box.y) / box.h * (HIGH - LOW);
      draw();
    };
    svg.addEventListener("pointerdown", event => {
      if (!event.target.classList.contains("grip")) return;
      event.preventDefault();
      const stop = () => { window.removeEventListener("pointermove", drag); window.removeEventListener("pointerup", stop); window.removeEventListener("pointercancel", stop); };
      window.addEventListener("pointermove", drag);
      window.addEventListener("pointerup", stop);
      window.addEventListener("pointercancel", stop);
    });
    for (const input of [start, length, distance]) input.addEventListener("input", draw);
    again.addEventListener("click", () => { seed += 1; draw(); });
    draw();
    let last = svg.clientWidth;
    new ResizeObserver(() => { if (svg.clientWidth !== last) { last = svg.clientWidth; draw(); } }).observe(svg);
  },
};
