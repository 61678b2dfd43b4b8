// Needs parts.js: node, mark, NS.
// Particles from noise to data: along the probability flow, and straight along the optimal map.
// x = alpha x0 + sigma eps with alpha = sin(pi s/2), sigma = cos(pi s/2). With rho = alpha/sigma and w = x/sigma the flow is
//   dw/drho = E[x0 | w],   and its derivative   dW/drho = rho Cov[x0 | w] W:   no division by a small sigma anywhere.

export const LAST = 0.998;                                   // s where sigma is 0.003: points cannot be reached exactly

const dot = (a, b) => a[0] * b[0] + a[1] * b[1];
const times = (A, B) => A.map(row => [0, 1].map(j => row[0] * B[0][j] + row[1] * B[1][j]));
const apply = (A, v) => A.map(row => dot(row, v));
const inverse = ([[a, b], [c, d]]) => [[d, -b], [-c, a]].map(row => row.map(v => v / (a * d - b * c)));

// Mean and covariance of x0 given w = rho x0 + eps. law: {weights, points} or {covariance}, of mean zero.
export function posterior(law, rho, w) {
  if (law.covariance) {
    const precision = inverse(law.covariance), C = inverse(precision.map((row, i) => row.map((v, j) => v + (i === j ? rho * rho : 0))));
    return { mean: apply(C, w).map(v => rho * v), covariance: C };
  }
  const logs = law.points.map((y, k) => Math.log(law.weights[k]) + rho * dot(w, y) - rho * rho * dot(y, y) / 2);
  const top = Math.max(...logs), r = logs.map(v => Math.exp(v - top)), sum = r.reduce((a, b) => a + b, 0);
  const mean = [0, 1].map(i => law.points.reduce((total, y, k) => total + r[k] * y[i], 0) / sum);
  const covariance = [0, 1].map(i => [0, 1].map(j => law.points.reduce((total, y, k) => total + r[k] * (y[i] - mean[i]) * (y[j] - mean[j]), 0) / sum));
  return { mean, covariance };
}

// Place and Jacobian of one particle at each s of a rising list that starts at 0; Runge-Kutta steps in asinh(rho).
export function follow(law, z, list, step = 0.02) {
  const rate = (tau, state) => {
    const rho = Math.sinh(tau), { mean, covariance } = posterior(law, rho, state.slice(0, 2));
    const W = times(covariance, [state.slice(2, 4), state.slice(4, 6)]);
    return [...mean, ...W.flat().map(v => rho * v)].map(v => Math.cosh(tau) * v);
  };
  const add = (a, b, h) => a.map((v, i) => v + h * b[i]);
  let state = [...z, 1, 0, 0, 1], tau = 0;
  return list.map(s => {
    const angle = Math.PI * Math.min(s, LAST) / 2, target = Math.asinh(Math.tan(angle));
    const count = Math.max(1, Math.ceil((target - tau) / step)), h = (target - tau) / count;
    for (let i = 0; i < count && h > 0; i++, tau += h) {
      const a = rate(tau, state), b = rate(tau + h / 2, add(state, a, h / 2)), c = rate(tau + h / 2, add(state, b, h / 2)), d = rate(tau + h, add(state, c, h));
      state = state.map((v, k) => v + h / 6 * (a[k] + 2 * b[k] + 2 * c[k] + d[k]));
    }
    const sigma = Math.cos(angle), scaled = state.map(v => sigma * v);
    return { x: scaled.slice(0, 2), J: [scaled.slice(2, 4), scaled.slice(4, 6)] };
  });
}

// Degrees by which a Jacobian turns: the rotation of its polar decomposition, 0 for a symmetric positive one
export function twist(J) {
  return Math.atan2(J[1][0] - J[0][1], J[0][0] + J[1][1]) * 180 / Math.PI;
}

// The optimal map from N(0, I): to the atom with the largest <z, y> + h, or by a symmetric matrix
export function transport(law, z) {
  if (law.matrix) return apply(law.matrix, z);
  const scores = law.points.map((y, k) => dot(z, y) + law.heights[k]);
  return law.points[scores.indexOf(Math.max(...scores))];
}

export function nearest(points, x) {
  const far = points.map(y => Math.hypot(x[0] - y[0], x[1] - y[1]));
  return far.indexOf(Math.min(...far));
}

// ---- the page

const rms = values => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
const path = points => points.map(([x, y], i) => `${i ? "L" : "M"}${x.toFixed(3)},${(-y).toFixed(3)}`).join("");
export const degrees = value => value < 1e-9 ? "0°" : value < 0.01 ? "< 0.01°" : `${value.toFixed(2)}°`;

const VERDICT = {
  "three atoms": "Three atoms, not on a line: the flow twists, and some particles end at another atom than the optimal map sends them to (ringed).",
  "collinear atoms": "Atoms on a line: the paths are curved and the speeds differ, but nothing twists. Flow and optimal map have the same ends.",
  "symmetric atoms": "Four atoms, symmetric about both axes. The third cumulant is zero, and still the flow twists and sends some particles elsewhere.",
  Gaussian: "A Gaussian: all matrices commute, nothing twists, and the ends agree. The paths do not: the flow does not go straight.",
};

export default {
  render({ model, el }) {
    const laws = model.get("laws"), start = model.get("particles"), grid = Array.from({ length: 101 }, (_, k) => k / 100);
    const pick = node("select", { "aria-label": "Data law" }, ...Object.keys(laws).map(name => node("option", { value: name }, name)));
    pick.value = model.get("law");
    const trails = node("input", { type: "checkbox", "aria-label": "Show the paths" });
    trails.checked = true;
    const clock = node("input", { type: "range", min: 0, max: 100, step: 1, value: model.get("s"), "aria-label": "Time s from noise to data" }), clockValue = node("output");
    const [plane, meter] = ["plane", "meter"].map(name => document.createElementNS(NS, "svg"));
    for (const svg of [plane, meter]) svg.setAttribute("aria-hidden", "true");
    const numbers = node("dl"), verdict = node("p", { role: "status" });
    el.append(
      node("style", {}, `
        .otp-ch9 .knob { display: grid; grid-template-columns: 4rem minmax(6rem, 1fr) 3.4rem; gap: 0.6rem; align-items: center; margin: 0.15rem 0; white-space: nowrap; }
        .otp-ch9 .knob input { width: 100%; min-width: 0; }
        .otp-ch9 .picks { display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; margin-bottom: 0.4rem; align-items: center; }
        .otp-ch9 .panels { display: flex; flex-wrap: wrap; gap: 0.8rem; margin: 0.5rem 0; }
        .otp-ch9 svg { flex: 1 1 17rem; min-width: 0; width: 100%; max-width: 25rem; margin: 0 auto; aspect-ratio: 1; }
        .otp-ch9 svg.plane { border: 1px solid var(--otp-grid); }
        .otp-ch9 svg text { fill: var(--otp-ink); font-family: inherit; }
        .otp-ch9 .key { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; font-size: 0.9rem; }
        .otp-ch9 .key i { display: inline-block; width: 0.75em; height: 0.75em; margin-right: 0.35em; }
        .otp-ch9 dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.4rem, 1fr)); gap: 0.3rem 0.8rem; margin: 0.4rem 0 0; }
        .otp-ch9 dt { font-weight: 400; color: var(--otp-muted); font-size: 0.85rem; line-height: 1.3; }
        .otp-ch9 dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
        .otp-ch9 p { margin: 0.5rem 0 0; font-size: 0.93rem; min-height: 3em; }
        .otp-ch9 option { color: #1f2933; background: #ffffff; }`),
      node("div", { class: "otp-ch9" },
        node("div", { class: "picks" }, node("label", {}, "Data ", pick), node("label", {}, trails, " show the paths")),
        node("label", { class: "knob" }, node("span", {}, "time s"), clock, clockValue),
        node("div", { class: "panels" }, plane, meter),
        node("div", { class: "key" },
          node("span", {}, node("i", { style: "background: var(--otp-blue); border-radius: 50%" }), "probability flow"),
          node("span", {}, node("i", { style: "background: var(--otp-orange)" }), "optimal transport, straight"),
          node("span", {}, node("i", { style: "border: 2px solid var(--otp-vermillion); border-radius: 50%" }), "ends at another atom")),
        numbers, verdict));
    plane.setAttribute("class", "plane");

    let run = null;
    function load() {
      const law = laws[pick.value];
      const flow = start.map(z => follow(law, z, grid)), ends = start.map(z => transport(law, z));
      const away = flow.map((f, i) => law.points ? nearest(law.points, f[100].x) !== nearest(law.points, ends[i]) : false);
      const reach = 0.2 + Math.max(...flow.flat().flatMap(f => f.x.map(Math.abs)), ...start.flat().map(Math.abs));
      plane.setAttribute("viewBox", `${-reach} ${-reach} ${2 * reach} ${2 * reach}`);
      run = { law, flow, ends, away, unit: reach / 3, turned: grid.map((_, k) => flow.map(f => Math.abs(twist(f[k].J)))) };
      draw();
    }

    function drawPlane(k) {
      const s = grid[k], u = run.unit;                       // u keeps the size of the marks on the screen
      const square = ([x, y], half, fill) => mark(plane, "rect", { x: x - half * u, y: -y - half * u, width: 2 * half * u, height: 2 * half * u, fill });
      plane.replaceChildren();
      for (const y of run.law.points ?? []) square(y, 0.09, "var(--otp-ink)");
      start.forEach((z, i) => {
        const here = run.flow[i][k].x, there = z.map((v, j) => (1 - s) * v + s * run.ends[i][j]);
        if (trails.checked) {
          mark(plane, "path", { d: path([z, there]), fill: "none", stroke: "var(--otp-orange)", "stroke-width": 0.018 * u, "stroke-opacity": 0.8 });
          mark(plane, "path", { d: path(run.flow[i].slice(0, k + 1).map(f => f.x)), fill: "none", stroke: "var(--otp-blue)", "stroke-width": 0.022 * u });
        }
        square(there, 0.045, "var(--otp-orange)");
        mark(plane, "circle", { cx: here[0], cy: -here[1], r: 0.055 * u, fill: "var(--otp-blue)" });
        if (run.away[i]) mark(plane, "circle", { cx: here[0], cy: -here[1], r: 0.13 * u, fill: "none", stroke: "var(--otp-vermillion)", "stroke-width": 0.04 * u });
      });
    }

    // rms twist against s; the axis is fixed, so that laws can be compared
    function drawMeter(k) {
      const box = { x: 46, y: 30, w: 300, h: 270 }, top = 20;
      const xOf = s => box.x + s * box.w, yOf = v => box.y + box.h * (1 - Math.min(v, top) / top);
      meter.setAttribute("viewBox", "0 0 360 360");
      meter.replaceChildren();
      mark(meter, "text", { x: box.x - 36, y: 16, "font-size": 14 }, "curl meter: twist of the flow, degrees");
      for (const tick of [0, 5, 10, 15, 20]) {
        mark(meter, "line", { x1: box.x, x2: box.x + box.w, y1: yOf(tick), y2: yOf(tick), stroke: "var(--otp-grid)" });
        mark(meter, "text", { x: box.x - 7, y: yOf(tick) + 4, "text-anchor": "end", "font-size": 13 }, String(tick));
      }
      for (const tick of [0, 0.5, 1]) mark(meter, "text", { x: xOf(tick), y: box.y + box.h + 20, "text-anchor": "middle", "font-size": 13 }, String(tick));
      mark(meter, "text", { x: box.x + box.w / 2, y: box.y + box.h + 40, "text-anchor": "middle", "font-size": 13 }, "s");
      const line = values => values.map((v, i) => `${i ? "L" : "M"}${xOf(grid[i]).toFixed(1)},${yOf(v).toFixed(2)}`).join("");
      const most = run.turned.map(values => Math.max(...values)), mean = run.turned.map(rms);
      mark(meter, "path", { d: line(most), fill: "none", stroke: "var(--otp-vermillion)", "stroke-width": 1.5, "stroke-dasharray": "5 4" });
      mark(meter, "path", { d: line(mean), fill: "none", stroke: "var(--otp-blue)", "stroke-width": 2.5 });
      mark(meter, "circle", { cx: xOf(grid[k]), cy: yOf(mean[k]), r: 6, fill: "var(--otp-blue)" });
      mark(meter, "text", { x: box.x + 8, y: box.y + 36, "font-size": 13 }, "dashed: largest");
      mark(meter, "text", { x: box.x + 8, y: box.y + 18, "font-size": 13 }, "line: rms over the particles");
    }

    function draw() {
      const k = +clock.value, s = grid[k], n = start.length, square = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;
      clockValue.textContent = s.toFixed(2);
      drawPlane(k);
      drawMeter(k);
      const apart = rms(start.map((z, i) => Math.sqrt(square(run.flow[i][k].x, z.map((v, j) => (1 - s) * v + s * run.ends[i][j])))));
      numbers.replaceChildren(...[
        ["rms twist now", degrees(rms(run.turned[k]))], ["largest twist now", degrees(Math.max(...run.turned[k]))], ["flow and straight line apart", apart.toFixed(3)],
        ["at another atom", `${run.away.filter(Boolean).length} of ${n}`],
      ].map(([name, value]) => node("div", {}, node("dt", {}, name), node("dd", {}, value))));
      verdict.textContent = VERDICT[pick.value];
    }
    for (const input of [clock, trails]) input.addEventListener("input", draw);
    pick.addEventListener("change", load);
    load();
  },
};
