// Needs parts.js: node, mark, normalScore, NS.
// Chapter 2: a one-dimensional mixture goes through a noise schedule of the reader's choice, exactly.
// The numeric functions are named exports; tests/chapters/test_02_schedules.py compares them with the library.

// ---- schedules: { T, priorStd, preserving, alpha(t), sigma(t) }

const KNOBS = {
  ddpm_linear: { label: "DDPM linear", knob: "steps n", values: [10, 20, 35, 50, 75, 100, 150, 200, 300, 500, 1000], start: 100 },
  scaled_linear: { label: "Stable Diffusion", knob: "steps n", values: [50, 100, 200, 300, 500, 700, 1000, 1500, 2000], start: 1000 },
  cosine: { label: "cosine", knob: "steps n", values: [5, 10, 20, 50, 100, 200, 500, 1000], start: 100 },
  ou: { label: "OU process", knob: "length T", values: Array.from({ length: 40 }, (_, i) => (i + 1) / 10), start: 1 },
  vp: { label: "VP", knob: "largest β", values: Array.from({ length: 30 }, (_, i) => i + 1), start: 8 },
  sub_vp: { label: "sub-VP", knob: "largest β", values: Array.from({ length: 30 }, (_, i) => i + 1), start: 8 },
  ve: { label: "VE", knob: "largest σ", values: [0.2, 0.5, 1.5, 3, 5, 10, 20, 50], start: 5 },
  edm: { label: "EDM", knob: "largest σ", values: [0.2, 0.5, 1.5, 3, 5, 10, 20, 40, 80], start: 5 },
  flow_matching: { label: "flow matching" },
  trigonometric: { label: "trigonometric" },
};

function betas(name, n) {
  const line = (a, b) => Array.from({ length: n }, (_, i) => a + (b - a) * i / (n - 1));
  if (name === "ddpm_linear") return line(1e-4, 0.02);
  if (name === "scaled_linear") return line(Math.sqrt(0.00085), Math.sqrt(0.012)).map(root => root * root);
  const bar = k => Math.cos((k / n + 0.008) / 1.008 * Math.PI / 2) ** 2;
  return Array.from({ length: n }, (_, i) => Math.min(0.999, 1 - bar(i + 1) / bar(i)));
}

// alphaBar[k - 1] at step k. Between steps the log-SNR is linear; before step 1 sigma^2 is; before a zero last step alpha is.
function discrete(alphaBar) {
  const n = alphaBar.length;
  const lam = alphaBar.map(a => Math.log(a) - Math.log1p(-a));
  const first = 1 - alphaBar[0], zero = alphaBar[n - 1] === 0, last = Math.sqrt(alphaBar[n - 2]);
  const both = t => {
    if (t < 1) return [1 - first * t, first * t];
    if (zero && t >= n - 1) return [(last * (n - t)) ** 2, 1 - (last * (n - t)) ** 2];
    const k = Math.min(Math.floor(t), n - 1);
    const value = t === n ? lam[n - 1] : lam[k - 1] + (t - k) * (lam[k] - lam[k - 1]);
    return [1 / (1 + Math.exp(-value)), 1 / (1 + Math.exp(value))];
  };
  return { T: n, priorStd: 1, preserving: true, alpha: t => Math.sqrt(both(t)[0]), sigma: t => Math.sqrt(both(t)[1]), alphaBar };
}

function linearBeta(betaMax) {
  return t => 0.1 * t + (betaMax - 0.1) * t * t / 2;   // the integral of beta over [0, t]
}

function plainSchedule(name, p) {
  if (["ddpm_linear", "scaled_linear", "cosine"].includes(name)) {
    let product = 1;
    return discrete(betas(name, p).map(beta => (product *= 1 - beta)));
  }
  const one = () => 1, B = linearBeta(p);
  const vpAlpha = t => Math.exp(-B(t) / 2);
  return {
    ou: { T: p, priorStd: 1, preserving: true, alpha: t => Math.exp(-t), sigma: t => Math.sqrt(-Math.expm1(-2 * t)) },
    vp: { T: 1, priorStd: 1, preserving: true, alpha: vpAlpha, sigma: t => Math.sqrt(-Math.expm1(-B(t))) },
    sub_vp: { T: 1, priorStd: 1, preserving: false, alpha: vpAlpha, sigma: t => -Math.expm1(-B(t)) },
    ve: { T: 1, priorStd: p, preserving: false, alpha: one, sigma: t => 0.01 * Math.exp(Math.log(p / 0.01) * t) },
    edm: { T: p, priorStd: p, preserving: false, alpha: one, sigma: t => t },
    flow_matching: { T: 1, priorStd: 1, preserving: false, alpha: t => 1 - t, sigma: t => t },
    trigonometric: { T: 1, priorStd: 1, preserving: true, alpha: t => Math.sin(Math.PI / 2 * (1 - t)), sigma: t => Math.sin(Math.PI / 2 * t) },
  }[name];
}

function zeroTerminalSnr(s) {
  const end = s.alpha(s.T);
  if (!s.preserving || end === 0) return s;
  if (s.alphaBar) {
    const roots = s.alphaBar.map(Math.sqrt), first = roots[0], last = roots[roots.length - 1];
    return discrete(roots.map(root => ((root - last) * first / (first - last)) ** 2));   // exactly 0 at the last step
  }
  const alpha = t => (s.alpha(t) - end) / (1 - end);
  return { ...s, alpha, sigma: t => Math.sqrt(s.sigma(t) ** 2 / (1 + s.alpha(t)) / (1 - end) * (1 + alpha(t))) };
}

export function schedule(name, parameter, rescaled = false) {
  const plain = plainSchedule(name, parameter);
  return rescaled ? zeroTerminalSnr(plain) : plain;
}

// [alpha, sigma, std of the usual start] at time t
export function coefficients(name, parameter, rescaled, t) {
  const s = schedule(name, parameter, rescaled);
  return [s.alpha(t), s.sigma(t), s.priorStd === 1 ? 1 : s.sigma(t)];
}

// ---- the law of alpha x_0 + sigma eps for a mixture { weights, means, stds }

export function diffuse(law, alpha, sigma) {
  return { weights: law.weights, means: law.means.map(m => alpha * m), stds: law.stds.map(s => Math.hypot(alpha * s, sigma)) };
}

export function density(law, x) {
  return law.weights.reduce((sum, w, k) => {
    const z = (x - law.means[k]) / law.stds[k];
    return sum + w * Math.exp(-z * z / 2) / (law.stds[k] * Math.sqrt(2 * Math.PI));
  }, 0);
}

export function moments(law) {
  const mean = law.weights.reduce((sum, w, k) => sum + w * law.means[k], 0);
  const variance = law.weights.reduce((sum, w, k) => sum + w * (law.stds[k] ** 2 + (law.means[k] - mean) ** 2), 0);
  return [mean, Math.sqrt(variance)];
}

// ---- the gap to N(0, s^2): Gelbrich's part, and the exact W2

export function gelbrich(law, s) {
  const [mean, std] = moments(law);
  return Math.hypot(mean, std - s);
}

// W2^2 = integral of (x - s z(x))^2 p(x) dx: x and s z(x) have the same rank. Trapezoid rule, exponentially accurate.
export function gap(law, s) {
  const low = Math.min(...law.means.map((m, k) => m - 9 * law.stds[k]));
  const high = Math.max(...law.means.map((m, k) => m + 9 * law.stds[k]));
  const n = Math.ceil((high - low) / (Math.min(...law.stds) / 12)), h = (high - low) / n;
  let sum = 0;
  for (let i = 0; i <= n; i++) {
    const x = low + i * h, p = density(law, x);
    if (p > 1e-25) sum += (x - s * normalScore(law, x)) ** 2 * p;
  }
  return Math.sqrt(sum * h);
}

// ---- the page

export function show(value) {
  if (value === -Infinity) return "−∞";
  if (value === Infinity) return "∞";
  if (value !== 0 && Math.abs(value) < 1e-12) return "0";          // rounding error
  const size = Math.abs(value);
  const text = size === 0 ? "0" : size < 1e-3 ? size.toExponential(1).replace("e-", " · 10⁻").replace(/(\d+)$/, digits => [...digits].map(d => "⁰¹²³⁴⁵⁶⁷⁸⁹"[d]).join(""))
    : size >= 100 ? size.toFixed(0) : size >= 10 ? size.toFixed(1) : size >= 1 ? size.toFixed(2) : size.toPrecision(3);
  return value < 0 ? `−${text}` : text;
}

const plain = value => String(+value.toPrecision(3)).replace("-", "−");

const path = points => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(2)},${y.toFixed(2)}`).join("");

function axes(svg, box, xTicks, xOf, label) {
  mark(svg, "line", { x1: box.x, x2: box.x + box.w, y1: box.y + box.h, y2: box.y + box.h, stroke: "var(--otp-muted)" });
  for (const tick of xTicks) {
    mark(svg, "line", { x1: xOf(tick), x2: xOf(tick), y1: box.y + box.h, y2: box.y + box.h + 4, stroke: "var(--otp-muted)" });
    mark(svg, "text", { x: xOf(tick), y: box.y + box.h + 17, "text-anchor": "middle" }, plain(tick));
  }
  mark(svg, "text", { x: box.x + box.w / 2, y: box.y + box.h + 34, "text-anchor": "middle" }, label);
}

function drawDensities(svg, box, law, s) {
  const [mean, std] = moments(law);
  const needed = Math.max(3.4 * s, Math.abs(mean) + 3.2 * std);
  const R = [1, 2, 4, 6, 10, 20, 40, 80, 160, 320].find(r => r >= needed) ?? needed;
  const xs = Array.from({ length: 321 }, (_, i) => -R + 2 * R * i / 320);
  const prior = { weights: [1], means: [0], stds: [s] };
  const [p, q] = [law, prior].map(l => xs.map(x => density(l, x)));
  const top = 1.15 * Math.max(...p, ...q);
  const xOf = x => box.x + (x + R) / (2 * R) * box.w, yOf = y => box.y + box.h * (1 - y / top);
  const curve = values => path(xs.map((x, i) => [xOf(x), yOf(values[i])]));
  mark(svg, "path", { d: `${curve(p)}L${box.x + box.w},${box.y + box.h}L${box.x},${box.y + box.h}Z`, fill: "var(--otp-blue)", "fill-opacity": 0.3 });
  mark(svg, "path", { d: curve(p), fill: "none", stroke: "var(--otp-blue)", "stroke-width": 2 });
  mark(svg, "path", { d: curve(q), fill: "none", stroke: "var(--otp-vermillion)", "stroke-width": 2, "stroke-dasharray": "6 4" });
  axes(svg, box, [-R, -R / 2, 0, R / 2, R], xOf, "x");
  const key = (y, colour, dash, text) => {
    mark(svg, "line", { x1: box.x + 4, x2: box.x + 28, y1: y, y2: y, stroke: `var(--otp-${colour})`, "stroke-width": 2, "stroke-dasharray": dash });
    mark(svg, "text", { x: box.x + 34, y: y + 4 }, text);
  };
  key(box.y + 8, "blue", "none", "law of xₜ");
  key(box.y + 26, "vermillion", "6 4", "the prior");
}

function drawLogSnr(svg, box, s, t) {
  const low = -14, high = 10, lam = u => 2 * Math.log(s.alpha(u) / s.sigma(u));
  const xOf = u => box.x + u / s.T * box.w, yOf = l => box.y + box.h * (high - Math.max(low, Math.min(high, l))) / (high - low);
  for (const tick of [-12, -8, -4, 0, 4, 8]) {
    mark(svg, "line", { x1: box.x, x2: box.x + box.w, y1: yOf(tick), y2: yOf(tick), stroke: "var(--otp-grid)", "stroke-width": tick === 0 ? 2 : 1 });
    mark(svg, "text", { x: box.x - 6, y: yOf(tick) + 4, "text-anchor": "end" }, plain(tick));
  }
  const points = Array.from({ length: 201 }, (_, i) => s.T * Math.max(i, 0.02) / 200).filter(u => lam(u) <= high && lam(u) >= low);
  mark(svg, "path", { d: path(points.map(u => [xOf(u), yOf(lam(u))])), fill: "none", stroke: "var(--otp-ink)", "stroke-width": 2 });
  const now = lam(t), x = xOf(t), y = yOf(now);
  if (now < low) mark(svg, "path", { d: `M${x - 7},${y - 8}L${x + 7},${y - 8}L${x},${y + 4}Z`, fill: "var(--otp-blue)" });
  else mark(svg, "circle", { cx: x, cy: y, r: 6, fill: "var(--otp-blue)" });
  axes(svg, box, [0, s.T / 2, s.T], xOf, "time t");
  mark(svg, "text", { x: box.x + box.w, y: box.y + 4, "text-anchor": "end" }, "log-SNR");
}

export default {
  render({ model, el }) {
    const laws = model.get("laws");
    const select = (label, options, value) => {
      const field = node("select", { "aria-label": label }, ...options.map(([key, text]) => node("option", { value: key }, text)));
      field.value = value;
      return field;
    };
    const pick = select("Schedule", Object.entries(KNOBS).map(([key, entry]) => [key, entry.label]), model.get("schedule"));
    const data = select("Data", Object.keys(laws).map(key => [key, key]), model.get("law"));
    const zero = node("input", { type: "checkbox", "aria-label": "Rescale to zero terminal SNR" });
    const knob = node("input", { type: "range", step: 1, min: 0 }), knobText = node("span"), knobValue = node("output");
    const when = node("input", { type: "range", min: 1, max: 100, step: 1, value: 100, "aria-label": "Time t as a share of T" }), whenValue = node("output");
    const row = (...children) => node("label", { class: "knob" }, ...children);
    const knobRow = row(knobText, knob, knobValue);
    const svg = document.createElementNS(NS, "svg");
    svg.setAttribute("aria-hidden", "true");
    const numbers = node("dl"), verdict = node("p", { role: "status" });
    el.append(
      node("style", {}, `
        .otp-ch2 .knob { display: grid; grid-template-columns: 5rem minmax(6rem, 1fr) 4rem; gap: 0.6rem; align-items: center; margin: 0.15rem 0; white-space: nowrap; }
        .otp-ch2 .knob input[type=range] { width: 100%; min-width: 0; }
        .otp-ch2 .picks { display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; margin-bottom: 0.4rem; align-items: center; }
        .otp-ch2 svg { display: block; width: 100%; margin: 0.5rem 0; }
        .otp-ch2 svg text { fill: var(--otp-ink); font-size: 13px; font-family: inherit; }
        .otp-ch2 dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(6.6rem, 1fr)); gap: 0.3rem 0.8rem; margin: 0; }
        .otp-ch2 dt { font-weight: 400; color: var(--otp-muted); font-size: 0.85rem; line-height: 1.3; }
        .otp-ch2 dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
        .otp-ch2 p { margin: 0.5rem 0 0; font-size: 0.93rem; min-height: 3em; }
        .otp-ch2 option { color: #1f2933; background: #ffffff; }
        @media (max-width: 480px) { .otp-ch2 .knob { grid-template-columns: 4.6rem minmax(4rem, 1fr) 3.4rem; font-size: 0.95rem; } }`),
      node("div", { class: "otp-ch2" },
        node("div", { class: "picks" }, node("label", {}, "Schedule ", pick), node("label", {}, "Data ", data), node("label", {}, zero, " zero terminal SNR")),
        knobRow, row(node("span", {}, "time t"), when, whenValue), svg, numbers, verdict));

    const parameter = () => (KNOBS[pick.value].values ?? [1])[+knob.value];
    function chooseSchedule() {
      const entry = KNOBS[pick.value];
      knobRow.style.visibility = entry.values ? "visible" : "hidden";
      knobText.textContent = entry.knob ?? "";
      knob.setAttribute("aria-label", entry.knob ?? "no parameter");
      knob.max = (entry.values ?? [1]).length - 1;
      knob.value = entry.values ? entry.values.indexOf(entry.start) : 0;
      const plain = schedule(pick.value, parameter());
      zero.disabled = !plain.preserving || plain.alpha(plain.T) === 0;
      zero.checked &&= !zero.disabled;
    }
    function draw() {
      const s = schedule(pick.value, parameter(), zero.checked), t = when.value / 100 * s.T;
      const [alpha, sigma] = [s.alpha(t), s.sigma(t)], std = s.priorStd === 1 ? 1 : sigma;
      const law = diffuse(laws[data.value], alpha, sigma), distance = gap(law, std) / std;
      knobValue.textContent = KNOBS[pick.value].values ? parameter() : "";
      whenValue.textContent = +when.value === 100 ? "t = T" : `${when.value} % T`;
      numbers.replaceChildren(...[["α", alpha], ["σ", sigma], ["log-SNR", 2 * Math.log(alpha / sigma)], ["gap W₂ / prior std", distance], ["mean and spread alone", gelbrich(law, std) / std]]
        .map(([name, value]) => node("div", {}, node("dt", {}, name), node("dd", {}, show(value)))));
      verdict.textContent = alpha === 0 ? "No signal, no gap: the law of xₜ is the prior, exactly."
        : distance < 1e-12 ? "No gap that double precision can see."
        : `A sampler that starts here from the prior starts ${show(distance)} prior standard deviations away, in W₂.`;
      const width = Math.max(280, svg.clientWidth || 640), wide = width >= 540;
      const first = { x: 18, y: 12, w: wide ? width * 0.58 - 30 : width - 36, h: wide ? 200 : 150 };
      const second = wide ? { x: width * 0.58 + 42, y: 12, w: width * 0.42 - 60, h: 200 } : { x: 36, y: 220, w: width - 54, h: 130 };
      svg.setAttribute("viewBox", `0 0 ${width} ${second.y + second.h + 40}`);
      svg.setAttribute("height", second.y + second.h + 40);
      svg.replaceChildren();
      drawDensities(svg, first, law, std);
      drawLogSnr(svg, second, s, t);
    }
    pick.addEventListener("change", () => { chooseSchedule(); draw(); });
    for (const input of [data, zero, knob, when]) input.addEventListener("input", draw);
    chooseSchedule();
    draw();
    new ResizeObserver(draw).observe(svg);
  },
};
