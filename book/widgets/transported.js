// Needs parts.js: mark.
// Chapter 8: starts of the ring at T', as functions of the code z. Heights come from the library, the rest is computed here.
// The named exports are pure; tests/chapters/test_08_transported.py compares them with otprior_lite.

export function logSnr(t) {
  return -Math.log(Math.expm1(2 * t));
}

// Steps of a full run from T in `steps` even steps of log-SNR (the last one bridges to t = 0) that lie before t.
export function stepsSaved(t, steps, T) {
  const low = logSnr(T), high = 2 * Math.log(500);
  let saved = 0;
  for (let k = 0; k < steps; k++) if (low + (high - low) * k / (steps - 1) < logSnr(t) - 1e-12) saved++;
  return saved;
}

// alpha p + sigma e for two lists of [x, y].
export function noised(points, eps, t) {
  const alpha = Math.exp(-t), sigma = Math.sqrt(1 - alpha * alpha);
  return points.map(([x, y], i) => [alpha * x + sigma * eps[i][0], alpha * y + sigma * eps[i][1]]);
}

// Index of the highest plane <z, y_i> + h_i.
export function cellOf([a, b], atoms, heights) {
  let best = 0, top = -Infinity;
  atoms.forEach(([x, y], i) => {
    const score = a * x + b * y + heights[i];
    if (score > top) { top = score; best = i; }
  });
  return best;
}

// The softmax average of the atoms at temperature tau.
export function smoothImage([a, b], atoms, heights, tau) {
  const scores = atoms.map(([x, y], i) => (a * x + b * y + heights[i]) / tau), top = Math.max(...scores);
  let total = 0, mx = 0, my = 0;
  scores.forEach((s, i) => {
    const w = Math.exp(s - top);
    total += w; mx += w * atoms[i][0]; my += w * atoms[i][1];
  });
  return [mx / total, my / total];
}

// m + S^{1/2} z for S = [[a, b], [b, c]].
export function affine([x, y], mean, [a, b, c]) {
  const det = Math.sqrt(a * c - b * b), trace = Math.sqrt(a + c + 2 * det);
  return [mean[0] + ((a + det) * x + b * y) / trace, mean[1] + (b * x + (c + det) * y) / trace];
}

// The corners of every cell inside the square [-box, box]^2: the square cut by one line for each other atom.
export function cells(atoms, heights, box) {
  return atoms.map((atom, i) => {
    let polygon = [[-box, -box], [box, -box], [box, box], [-box, box]];
    for (let j = 0; j < atoms.length && polygon.length; j++) {
      if (j === i) continue;
      const nx = atoms[j][0] - atom[0], ny = atoms[j][1] - atom[1], offset = heights[i] - heights[j], kept = [];
      const side = polygon.map(([x, y]) => x * nx + y * ny - offset);
      polygon.forEach((p, k) => {
        const q = polygon[(k + 1) % polygon.length], u = side[k], v = side[(k + 1) % polygon.length];
        if (u <= 0) kept.push(p);
        if ((u < 0 && v > 0) || (v < 0 && u > 0)) kept.push([p[0] + u / (u - v) * (q[0] - p[0]), p[1] + u / (u - v) * (q[1] - p[1])]);
      });
      polygon = kept.length > 2 ? kept : [];
    }
    return polygon;
  });
}

// Where each code goes under a start.
export function images(start, frame, { points, eps, z, index, fresh }) {
  const atoms = noised(points, eps, frame.t);
  if (start === "standard") return z;
  if (start === "moment-matched") return z.map(code => affine(code, frame.mean, frame.covariance));
  if (start === "semi-discrete") return z.map(code => atoms[cellOf(code, atoms, frame.heights)]);
  if (start === "smoothed") return z.map(code => smoothImage(code, atoms, frame.heights, frame.tau));
  return noised(index.map(i => points[i]), fresh, frame.t);
}

const STARTS = [
  ["standard", "N(0, I)", "vermillion"], ["moment-matched", "moment-matched", "blue"], ["semi-discrete", "semi-discrete OT", "green"],
  ["smoothed", "smoothed OT", "orange"], ["data-initialised", "noised training point", "purple"],
];
const BOX = 3.4, STEPS = 20, T = 4;

export default {
  render({ model, el }) {
    const state = model.get("live"), { frames, numbers } = state;
    el.innerHTML = `
      <style>
        .otp-ch8 { font: 0.9rem/1.5 system-ui, sans-serif; color: var(--otp-ink); }
        .otp-ch8 .knobs, .otp-ch8 fieldset { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; align-items: center; margin: 0.3rem 0; border: 0; padding: 0; }
        .otp-ch8 legend { float: left; width: auto; font-size: inherit; padding: 0 0.6rem 0 0; margin: 0; }
        .otp-ch8 label { display: inline-flex; gap: 0.35rem; align-items: center; }
        .otp-ch8 input[type=range] { flex: 1 1 9rem; }
        .otp-ch8 .views { display: flex; flex-wrap: wrap; gap: 0.8rem; }
        .otp-ch8 .plane { flex: 1 1 17rem; max-width: 24rem; aspect-ratio: 1; }
        .otp-ch8 .bars { flex: 1 1 17rem; height: 20rem; }
        .otp-ch8 svg text { fill: var(--otp-ink); font-size: 13px; font-family: inherit; }
        .otp-ch8 p { margin: 0.4rem 0 0; line-height: 1.4; min-height: 2.8em; }
      </style>
      <div class="otp-ch8">
        <div class="knobs"><label for="ch8-t">Start at <i>T′</i></label><input id="ch8-t" type="range" min="0" step="1" aria-label="Start time T′"><output for="ch8-t"></output></div>
        <fieldset><legend>Start from</legend></fieldset>
        <div class="views"><svg class="plane" viewBox="${-BOX} ${-BOX} ${2 * BOX} ${2 * BOX}" aria-hidden="true"></svg><svg class="bars" aria-hidden="true"></svg></div>
        <p role="status"></p>
      </div>`;
    const find = selector => el.querySelector(selector);
    const slider = find("input[type=range]"), output = find("output"), plane = find(".plane"), bars = find(".bars"), status = find("p");
    slider.max = frames.length - 1;
    slider.value = Math.max(0, frames.findIndex(frame => frame.t === model.get("t")));
    for (const [value, text] of STARTS) {
      const label = document.createElement("label"), radio = document.createElement("input");
      Object.assign(radio, { type: "radio", name: "ch8-start", value, checked: value === model.get("start") });
      radio.addEventListener("change", () => { model.set("start", value); model.save_changes(); draw(); });
      label.append(radio, text);
      find("fieldset").append(label);
    }

    function draw() {
      const frame = frames[+slider.value], start = model.get("start"), hue = `var(--otp-${STARTS.find(s => s[0] === start)[2]})`;
      const saved = stepsSaved(frame.t, STEPS, T), atoms = noised(state.points, state.eps, frame.t), ends = images(start, frame, state);
      output.textContent = `${frame.t}`;
      slider.setAttribute("aria-valuetext", `T′ = ${frame.t}`);
      plane.replaceChildren();
      const flat = corners => corners.map(([x, y]) => `${x.toFixed(3)},${(-y).toFixed(3)}`).join(" ");
      if (start === "semi-discrete" || start === "smoothed") {
        for (const corners of cells(atoms, frame.heights, BOX)) mark(plane, "polygon", { points: flat(corners), fill: "none", stroke: "var(--otp-grid)", "stroke-width": 0.03 });
      }
      state.z.forEach(([x, y], i) => {
        if (start !== "standard") mark(plane, "line", { x1: x, y1: -y, x2: ends[i][0], y2: -ends[i][1], stroke: "var(--otp-muted)", "stroke-width": 0.012, opacity: 0.55 });
      });
      for (const [x, y] of atoms) mark(plane, "circle", { cx: x, cy: -y, r: 0.07, fill: "none", stroke: "var(--otp-ink)", "stroke-width": 0.02 });
      for (const [x, y] of ends) mark(plane, "circle", { cx: x, cy: -y, r: 0.05, fill: hue });

      const ring = numbers[`ring ${start} ${frame.t}`], digits = numbers[`digits ${start} ${frame.t}`];
      bars.replaceChildren();
      const width = Math.max(260, bars.clientWidth || 320), right = width - 8;
      bars.setAttribute("viewBox", `0 0 ${width} 320`);
      const rootX = v => (right - 4) * Math.sqrt(Math.max(0, Math.min(1, v))) + 4, shareX = v => (right - 4) * v + 4;
      const bar = (y, title, [value, error], xOf, low, high, marks) => {
        mark(bars, "text", { x: 4, y: y - 7 }, title);
        if (high > low) mark(bars, "rect", { x: xOf(low), y: y - 3, width: Math.max(2, xOf(high) - xOf(low)), height: 24, fill: "var(--otp-grid)" });
        mark(bars, "rect", { x: 4, y, width: Math.max(0, xOf(value) - 4), height: 18, fill: hue, "fill-opacity": 0.85 });
        mark(bars, "line", { x1: xOf(value - 2 * error), x2: xOf(value + 2 * error), y1: y + 9, y2: y + 9, stroke: "var(--otp-ink)", "stroke-width": 2 });
        for (const at of marks) mark(bars, "line", { x1: xOf(at), x2: xOf(at), y1: y - 3, y2: y + 21, stroke: "var(--otp-ink)", "stroke-width": 2, "stroke-dasharray": "3 2" });
      };
      const shown = v => v < 0 ? "below 0" : v.toFixed(3);
      const error = (y, name, found) => {
        const [middle, spread] = numbers[`${name} floor`], full = numbers[`${name} standard 4`][0];
        bar(y, `${name}: error ${shown(found[0])}`, found, rootX, 0, Math.max(0, middle + 2 * spread), [full]);
      };
      error(28, "ring", ring);
      error(90, "digits", digits);
      bar(152, `digits: memorisation share ${digits[2].toFixed(2)}`, [digits[2], digits[3]], shareX, 0, 0, [0.5]);
      bar(214, `digits: outputs unlike any other ${digits[4].toFixed(2)}`, [digits[4], digits[5]], shareX, 0, 0, [1]);
      mark(bars, "text", { x: 4, y: 262 }, "errors on a root scale from 0 to 1;");
      mark(bars, "text", { x: 4, y: 280 }, "shaded: floor; dashed: full run from N(0, I)");
      mark(bars, "text", { x: 4, y: 298 }, "shares from 0 to 1; dashed: new samples");
      status.textContent = `${saved} of the ${STEPS} steps of a full run from T = ${T} lie before T′ = ${frame.t}: they are saved, or spent on finer steps.`
        + (digits[2] > 0.9 ? " On digits nearly every output is nearer to a training digit than to any held-out one." : "");
    }
    slider.addEventListener("input", () => { model.set("t", frames[+slider.value].t); model.save_changes(); draw(); });
    const watcher = new ResizeObserver(draw);
    watcher.observe(bars);
    draw();
    return () => watcher.disconnect();
  },
};
