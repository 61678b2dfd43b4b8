// Needs parts.js: node, mark, normalScore, NS.
// Chapter 3: move, stretch and split a law on the line; its gap after OU time T, in three parts, with every bound.
// The numeric functions are named exports; tests/chapters/test_03_gap.py compares them with the library.

// ---- the data: two bumps with the given mean and standard deviation

// separation in [0, 1): the part of the standard deviation that lies between the bumps. share: weight of the right bump.
export function twoBumps(mean, scale, separation, share) {
  const right = Math.sqrt((1 - share) / share), left = -Math.sqrt(share / (1 - share));
  const std = scale * Math.sqrt(1 - separation * separation);
  return { weights: [share, 1 - share], means: [mean + scale * separation * right, mean + scale * separation * left], stds: [std, std] };
}

// alpha and sigma of the Ornstein-Uhlenbeck process
export function channel(T) {
  return [Math.exp(-T), Math.sqrt(-Math.expm1(-2 * T))];
}

export function diffuse(law, alpha, sigma) {
  return { weights: law.weights, means: law.means.map(m => alpha * m), stds: law.stds.map(s => Math.hypot(alpha * s, sigma)) };
}

export function moments(law) {
  const mean = law.weights.reduce((sum, w, k) => sum + w * law.means[k], 0);
  const variance = law.weights.reduce((sum, w, k) => sum + w * (law.stds[k] ** 2 + (law.means[k] - mean) ** 2), 0);
  return [mean, Math.sqrt(variance)];
}

export function density(law, x) {
  return law.weights.reduce((sum, w, k) => {
    const z = (x - law.means[k]) / law.stds[k];
    return sum + w * Math.exp(-z * z / 2) / (law.stds[k] * Math.sqrt(2 * Math.PI));
  }, 0);
}

// ---- exact distances by the trapezoid rule, which is exponentially accurate for such integrands

function integral(law, f) {
  const low = Math.min(...law.means.map((m, k) => m - 9 * law.stds[k]));
  const high = Math.max(...law.means.map((m, k) => m + 9 * law.stds[k]));
  const n = Math.ceil((high - low) / (Math.min(...law.stds) / 10)), h = (high - low) / n;
  let sum = 0;
  for (let i = 0; i <= n; i++) {
    const x = low + i * h, p = density(law, x);
    if (p > 1e-25) sum += f(x, p) * p;
  }
  return sum * h;
}

// W2(law, N(mean, std^2)): x and mean + std z(x) have the same rank
export function distance(law, mean, std) {
  return Math.sqrt(integral(law, x => (x - mean - std * normalScore(law, x)) ** 2));
}

export function kl(law) {
  return Math.max(0, integral(law, (x, p) => Math.log(p) + x * x / 2 + Math.log(2 * Math.PI) / 2));
}

// ---- everything about the gap of a law after OU time T

// mean^2 + covariance^2 + shape^2 = w2^2. On the line shape = W2(p_T, N(m, v)) v^{-1/4}: no difference of near numbers.
export function gap(law, T) {
  const [alpha, sigma] = channel(T), p = diffuse(law, alpha, sigma);
  const [mean, std] = moments(p), [m0, s0] = moments(law), gaussian = law.means[0] === law.means[1];
  const shape = gaussian ? 0 : distance(p, mean, std) / Math.sqrt(std);
  const lower = Math.hypot(mean, std - 1), nats = kl(p);
  const zero = gaussian ? 0 : distance(law, m0, s0) / Math.sqrt(s0);
  return {
    mean: Math.abs(mean), covariance: Math.abs(std - 1), shape, w2: Math.hypot(lower, shape), lower, kl: nats,
    synchronous: Math.hypot(alpha * Math.hypot(m0, s0), 1 - sigma),
    talagrand: Math.sqrt(2 * nats),
    contraction: alpha * Math.hypot(m0, s0 - 1, zero),
  };
}

// ---- the page

const superscript = digits => [...digits].map(d => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join("");

export function show(value) {
  if (Math.abs(value) < 1e-12) return "0";          // rounding error
  if (value < 1e-3) return value.toExponential(1).replace(/e-(\d+)$/, (_, d) => ` · 10⁻${superscript(d)}`);
  return value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toPrecision(2);
}

const path = points => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)},${y.toFixed(2)}`).join("");

function drawDensities(svg, box, law) {
  const R = 5, top = 0.9, prior = { weights: [1], means: [0], stds: [1] };
  const xs = Array.from({ length: 401 }, (_, i) => -R + 2 * R * i / 400);
  const xOf = x => box.x + (x + R) / (2 * R) * box.w, yOf = y => box.y + box.h * (1 - Math.min(y, top) / top);
  const curve = l => path(xs.map(x => [xOf(x), yOf(density(l, x))]));
  mark(svg, "path", { d: `${curve(law)}L${box.x + box.w},${box.y + box.h}L${box.x},${box.y + box.h}Z`, fill: "var(--otp-blue)", "fill-opacity": 0.3 });
  mark(svg, "path", { d: curve(law), fill: "none", stroke: "var(--otp-blue)", "stroke-width": 2 });
  mark(svg, "path", { d: curve(prior), fill: "none", stroke: "var(--otp-vermillion)", "stroke-width": 2, "stroke-dasharray": "6 4" });
  mark(svg, "line", { x1: box.x, x2: box.x + box.w, y1: box.y + box.h, y2: box.y + box.h, stroke: "var(--otp-muted)" });
  for (const tick of [-4, -2, 0, 2, 4]) mark(svg, "text", { x: xOf(tick), y: box.y + box.h + 17, "text-anchor": "middle" }, String(tick).replace("-", "−"));
  [["blue", "none", "p at T"], ["vermillion", "6 4", "N(0, 1)"]].forEach(([colour, dash, text], i) => {
    const y = box.y + 8 + 18 * i;
    mark(svg, "line", { x1: box.x + 2, x2: box.x + 26, y1: y, y2: y, stroke: `var(--otp-${colour})`, "stroke-width": 2, "stroke-dasharray": dash });
    mark(svg, "text", { x: box.x + 32, y: y + 4 }, text);
  });
}

const LOW = -6, HIGH = 1;                            // decades of the axis

function drawBars(svg, box, result) {
  const left = 92, right = 66, width = box.w - left - right;
  const xOf = value => box.x + left + Math.max(0, Math.min(1, (Math.log10(value) - LOW) / (HIGH - LOW))) * width;
  const rows = [["mean", result.mean, "vermillion"], ["covariance", result.covariance, "purple"], ["shape", result.shape, "green"], ["W₂", result.w2, "ink"]];
  const step = 34, bottom = box.y + step * rows.length + 4;
  for (let decade = LOW; decade <= HIGH; decade++) {
    const x = xOf(10 ** decade);
    mark(svg, "line", { x1: x, x2: x, y1: box.y, y2: bottom, stroke: "var(--otp-grid)" });
    if ((decade - LOW) % 2 === 0) mark(svg, "text", { x, y: bottom + 17, "text-anchor": "middle" }, decade === 0 ? "1" : `10⁻${superscript(String(-decade))}`);
  }
  rows.forEach(([label, value, colour], i) => {
    const y = box.y + step * i + 8;
    mark(svg, "text", { x: box.x + left - 8, y: y + 13, "text-anchor": "end" }, label);
    if (value > 10 ** LOW) mark(svg, "rect", { x: box.x + left, y, width: Math.max(1, xOf(value) - box.x - left), height: 18, fill: `var(--otp-${colour})`, "fill-opacity": 0.75 });
    mark(svg, "text", { x: box.x + box.w, y: y + 13, "text-anchor": "end", "font-weight": 600 }, show(value));
  });
  const bounds = [["Gelbrich", result.lower, "vermillion"], ["Talagrand", result.talagrand, "orange"], ["contraction", result.contraction, "purple"], ["synchronous", result.synchronous, "green"]];
  const first = bottom + 34;
  bounds.forEach(([label, value, colour], i) => {
    const y = first + 22 * i, x = xOf(value);
    mark(svg, "text", { x: box.x + left - 8, y: y + 5, "text-anchor": "end" }, label);
    mark(svg, "line", { x1: box.x + left, x2: box.x + left + width, y1: y, y2: y, stroke: "var(--otp-grid)" });
    if (value > 10 ** LOW) mark(svg, "path", { d: i ? `M${x},${y - 7}L${x + 9},${y - 7}M${x},${y + 7}L${x + 9},${y + 7}M${x},${y - 7}L${x},${y + 7}` : `M${x},${y - 7}L${x - 9},${y - 7}M${x},${y + 7}L${x - 9},${y + 7}M${x},${y - 7}L${x},${y + 7}`, stroke: `var(--otp-${colour})`, "stroke-width": 3, fill: "none" });
    mark(svg, "text", { x: box.x + box.w, y: y + 5, "text-anchor": "end" }, show(value));
  });
  const last = first + 22 * (bounds.length - 1) + 9, x = xOf(result.w2);
  if (result.w2 > 10 ** LOW) mark(svg, "line", { x1: x, x2: x, y1: box.y + step * 3 + 8, y2: last, stroke: "var(--otp-ink)", "stroke-width": 1.5, "stroke-dasharray": "3 3" });
  return last + 8;
}

export default {
  render({ model, el }) {
    const knobs = [
      ["mean", "Mean of the data", "mean", -2, 2, 0.1], ["scale", "Standard deviation of the data", "spread", 0.2, 2.5, 0.05],
      ["separation", "How far the data are split", "split", 0, 0.99, 0.01], ["share", "Weight of the right bump", "right share", 0.05, 0.95, 0.05],
      ["T", "Length T of the forward process", "length T", 0.1, 4, 0.05],
    ];
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("aria-hidden", "true");
    const verdict = node("p", { role: "status" }), panel = node("div", { class: "knobs" });
    const fields = {};
    for (const [key, label, short, min, max, step] of knobs) {
      const input = node("input", { type: "range", min, max, step, value: model.get(key), "aria-label": label }), output = node("output");
      fields[key] = [input, output];
      panel.append(node("label", { class: "knob" }, node("span", {}, short), input, output));
      input.addEventListener("input", () => { model.set(key, +input.value); model.save_changes(); draw(); });
    }
    el.append(
      node("style", {}, `
        .otp-ch3 .knob { display: grid; grid-template-columns: 5.6rem minmax(5rem, 1fr) 3rem; gap: 0.6rem; align-items: center; margin: 0.1rem 0; white-space: nowrap; }
        .otp-ch3 .knob input { width: 100%; min-width: 0; }
        .otp-ch3 .knob output { font-variant-numeric: tabular-nums; }
        .otp-ch3 svg { display: block; width: 100%; margin: 0.5rem 0; }
        .otp-ch3 svg text { fill: var(--otp-ink); font-size: 13px; font-family: inherit; }
        .otp-ch3 p { margin: 0.4rem 0 0; font-size: 0.95rem; min-height: 3em; }
        @media (min-width: 700px) { .otp-ch3 .knobs { display: grid; grid-template-columns: 1fr 1fr; column-gap: 2rem; } }`),
      node("div", { class: "otp-ch3" }, panel, svg, verdict));

    function draw() {
      const value = key => +fields[key][0].value;
      for (const key in fields) fields[key][1].textContent = fields[key][0].value.replace("-", "−");
      const law = twoBumps(value("mean"), value("scale"), value("separation"), value("share"));
      const result = gap(law, value("T"));
      const width = Math.max(300, svg.clientWidth || 640), wide = width >= 600;
      svg.replaceChildren();
      const curves = wide ? { x: 8, y: 14, w: width * 0.4 - 20, h: 190 } : { x: 8, y: 12, w: width - 16, h: 130 };
      drawDensities(svg, curves, diffuse(law, ...channel(value("T"))));
      const bars = wide ? { x: width * 0.4 + 10, y: 8, w: width * 0.6 - 14 } : { x: 0, y: 180, w: width - 4 };
      const height = drawBars(svg, bars, result);
      svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
      svg.setAttribute("height", height);
      const parts = { mean: result.mean ** 2, covariance: result.covariance ** 2, shape: result.shape ** 2 };
      const total = result.w2 ** 2, largest = Object.keys(parts).reduce((a, b) => (parts[b] > parts[a] ? b : a));
      verdict.textContent = result.w2 < 1e-12 ? "No gap: this law is the prior."
        : `${Math.round(100 * parts[largest] / total)} % of W₂² is ${largest}. KL is ${show(result.kl)} nats. Talagrand's bound is ${show(result.talagrand / result.w2)} times the truth, the synchronous bound ${show(result.synchronous / result.w2)} times.`;
    }
    model.on("change:theme", draw);
    draw();
    new ResizeObserver(draw).observe(svg);
  },
};
