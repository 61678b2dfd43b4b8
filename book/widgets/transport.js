// Needs parts.js: node, mark, NS.
// Chapter 6: two small clouds, moved by hand, and the plan between them: exact, or Sinkhorn's for an epsilon > 0.
// The numeric functions are named exports; tests/chapters/test_06_transport.py compares them with the library.

// ---- costs between x and y, lists of [x1, x2]; power 2 is the squared distance, power 1 the distance

export function costs(x, y, power = 2) {
  return x.map(a => y.map(b => Math.hypot(a[0] - b[0], a[1] - b[1]) ** power));
}

// Potentials are determined up to a constant: give both sides the same mean.
function balance(f, g) {
  const mean = values => values.reduce((sum, v) => sum + v, 0) / values.length;
  const shift = (mean(f) - mean(g)) / 2;
  return [f.map(v => v - shift), g.map(v => v + shift)];
}

// Exact assignment by shortest augmenting paths. f_i + g_j <= C_ij, with equality on the n pairs.
export function assignment(C) {
  const n = C.length, f = Array(n + 1).fill(0), g = Array(n + 1).fill(0), owner = Array(n + 1).fill(n);
  for (let i = 0; i < n; i++) {
    const least = Array(n + 1).fill(Infinity), seen = Array(n + 1).fill(false), from = Array(n + 1).fill(n);
    let j = n;                                       // column n is the artificial one where row i enters
    owner[n] = i;
    do {
      seen[j] = true;
      const row = owner[j];
      let delta = Infinity, next = n;
      for (let k = 0; k < n; k++) {
        if (seen[k]) continue;
        const slack = C[row][k] - f[row] - g[k];
        if (slack < least[k]) { least[k] = slack; from[k] = j; }
        if (least[k] < delta) { delta = least[k]; next = k; }
      }
      for (let k = 0; k <= n; k++) {
        if (seen[k]) { f[owner[k]] += delta; g[k] -= delta; } else least[k] -= delta;
      }
      j = next;
    } while (owner[j] !== n);
    for (; j !== n; j = from[j]) owner[j] = owner[from[j]];
  }
  const order = Array(n);
  for (let j = 0; j < n; j++) order[owner[j]] = j;
  const [left, right] = balance(f.slice(0, n), g.slice(0, n));
  return { order, f: left, g: right, cost: order.reduce((sum, j, i) => sum + C[i][j], 0) / n };
}

function logSumExp(values) {
  const top = Math.max(...values);
  return top + Math.log(values.reduce((sum, v) => sum + Math.exp(v - top), 0));
}

// Sinkhorn on logarithms, uniform weights, epsilon lowered in steps. P_ij = exp((f_i + g_j - C_ij) / epsilon) / n^2.
export function sinkhorn(C, epsilon, tolerance = 1e-6, budget = 4000) {
  const n = C.length, size = Math.log(n), top = Math.max(...C.flat());
  let f = Array(n).fill(0), g = Array(n).fill(0), steps = 0, error = Infinity;
  const sweep = e => {
    g = g.map((_, j) => -e * (logSumExp(C.map((row, i) => (f[i] - row[j]) / e)) - size));
    const old = f;
    f = f.map((_, i) => -e * (logSumExp(C[i].map((c, j) => (g[j] - c) / e)) - size));
    error = 2 * old.reduce((sum, v, i) => sum + Math.abs(Math.expm1((v - f[i]) / e)), 0) / n;   // of the rows, before the update
    steps++;
  };
  for (let e = top; e > 4 * epsilon; e /= 4) for (let k = 0; k < 20; k++) sweep(e);
  do sweep(epsilon); while (error > tolerance && steps < budget);
  [f, g] = balance(f, g);
  const plan = C.map((row, i) => row.map((c, j) => Math.exp((f[i] + g[j] - c) / epsilon) / n ** 2));
  const cost = plan.reduce((sum, row, i) => sum + row.reduce((s, p, j) => s + p * C[i][j], 0), 0);
  return { plan, f, g, cost, steps, converged: error <= tolerance };
}

// The plan for any epsilon >= 0, 0 being exact.
export function solve(C, epsilon) {
  if (epsilon > 0) return sinkhorn(C, epsilon);
  const { order, f, g, cost } = assignment(C);
  return { plan: C.map((row, i) => row.map((_, j) => (order[i] === j ? 1 / C.length : 0))), f, g, cost, steps: 0, converged: true };
}

// Pairs of segments x_i -> y_order(i) that cross in their interiors
export function crossings(x, y, order) {
  const turn = (a, b, c) => (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
  const apart = (i, j) => turn(x[i], y[order[i]], x[j]) * turn(x[i], y[order[i]], y[order[j]]) < 0;
  let count = 0;
  for (let i = 0; i < x.length; i++) for (let j = 0; j < i; j++) if (apart(i, j) && apart(j, i)) count++;
  return count;
}

// Smallest distance between two travellers at the same time t
export function closest(x, y, order, t) {
  const at = x.map((a, i) => [0, 1].map(k => (1 - t) * a[k] + t * y[order[i]][k]));
  let least = Infinity;
  for (let i = 0; i < at.length; i++) for (let j = 0; j < i; j++) least = Math.min(least, Math.hypot(at[i][0] - at[j][0], at[i][1] - at[j][1]));
  return least;
}

// ---- the page

const EPSILONS = [0, ...Array.from({ length: 30 }, (_, k) => 0.02 * 1.27 ** k)];   // 0, then 0.02 ... 20

const show = (value, digits = 2) => value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "−");

export default {
  render({ model, el }) {
    const scenes = model.get("scenes"), limit = 2.2;
    const choose = (label, options) => node("select", { "aria-label": label }, ...options.map(([value, text]) => node("option", { value }, text)));
    const scene = choose("Points", Object.keys(scenes).map(name => [name, name]));
    const power = choose("Cost", [[2, "squared distance"], [1, "distance"]]);
    const listed = node("input", { type: "checkbox", "aria-label": "Show the pairing in list order" });
    const blur = node("input", { type: "range", min: 0, max: EPSILONS.length - 1, step: 1, value: 0, "aria-label": "Epsilon" }), blurValue = node("output");
    const time = node("input", { type: "range", min: 0, max: 100, step: 2, value: 40, "aria-label": "Time t of the journey" }), timeValue = node("output");
    const cloud = document.createElementNS(NS, "svg"), grid = document.createElementNS(NS, "svg");
    for (const [key, value] of Object.entries({ viewBox: `${-limit} ${-limit} ${2 * limit} ${2 * limit}`, role: "group", "aria-label": "Points that can be moved" })) cloud.setAttribute(key, value);
    grid.setAttribute("aria-hidden", "true");
    const lines = mark(cloud, "g", {}), travellers = mark(cloud, "g", {}), handles = mark(cloud, "g", {});
    const numbers = node("dl"), verdict = node("p", { role: "status" });
    const knob = (text, input, output) => node("label", { class: "knob" }, node("span", {}, text), input, output);
    el.append(
      node("style", {}, `
        .otp-ch6 .knob { display: grid; grid-template-columns: 5rem minmax(6rem, 1fr) 4rem; gap: 0.6rem; align-items: center; margin: 0.15rem 0; white-space: nowrap; }
        .otp-ch6 .knob input { width: 100%; min-width: 0; }
        .otp-ch6 .picks { display: flex; flex-wrap: wrap; gap: 0.4rem 1.2rem; margin-bottom: 0.4rem; align-items: center; }
        .otp-ch6 .panels { display: flex; flex-wrap: wrap; gap: 0.8rem; margin: 0.5rem 0; }
        .otp-ch6 svg { flex: 1 1 17rem; min-width: 0; width: 100%; max-width: 25rem; aspect-ratio: 1; margin: 0 auto; border: 1px solid var(--otp-grid); }
        .otp-ch6 svg.points { touch-action: none; }
        .otp-ch6 svg text { fill: var(--otp-ink); font-family: inherit; }
        .otp-ch6 .handle { cursor: grab; outline: none; }
        .otp-ch6 .handle .ring { fill: transparent; }
        .otp-ch6 .handle:focus-visible .ring, .otp-ch6 .handle:focus .ring { stroke: var(--otp-ink); stroke-width: 0.035; }
        .otp-ch6 dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.6rem, 1fr)); gap: 0.3rem 0.8rem; margin: 0; }
        .otp-ch6 dt { font-weight: 400; color: var(--otp-muted); font-size: 0.85rem; line-height: 1.3; }
        .otp-ch6 dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
        .otp-ch6 p { margin: 0.5rem 0 0; font-size: 0.93rem; min-height: 3em; }
        .otp-ch6 option { color: #1f2933; background: #ffffff; }`),
      node("div", { class: "otp-ch6" },
        node("div", { class: "picks" }, node("label", {}, "Points ", scene), node("label", {}, "Cost ", power), node("label", {}, listed, " show list order")),
        knob("ε", blur, blurValue), knob("time t", time, timeValue), node("div", { class: "panels" }, cloud, grid), numbers, verdict));
    cloud.setAttribute("class", "points");

    let x = [], y = [];
    const clamp = value => Math.max(-limit + 0.12, Math.min(limit - 0.12, value));
    const place = (group, index, position) => { group[index] = position.map(clamp); draw(); };

    function handle(group, index, colour, name) {
      const g = mark(handles, "g", { class: "handle", tabindex: 0, role: "button" });
      mark(g, "circle", { class: "ring", r: 0.19 });
      if (colour === "blue") mark(g, "circle", { r: 0.1, fill: "var(--otp-blue)" });
      else mark(g, "rect", { x: -0.09, y: -0.09, width: 0.18, height: 0.18, fill: "var(--otp-vermillion)" });
      mark(g, "text", { "font-size": 0.17, x: colour === "blue" ? -0.16 : 0.15, y: -0.1, "text-anchor": colour === "blue" ? "end" : "start" }, name);
      g.addEventListener("keydown", event => {
        const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
        if (!step) return;
        event.preventDefault();
        const size = event.shiftKey ? 0.02 : 0.1;
        place(group(), index, group()[index].map((v, k) => v + size * step[k]));
      });
      g.addEventListener("pointerdown", event => {
        g.setPointerCapture(event.pointerId);
        g.focus();
        const move = e => {
          const box = cloud.getBoundingClientRect();
          place(group(), index, [((e.clientX - box.left) / box.width * 2 - 1) * limit, (1 - (e.clientY - box.top) / box.height * 2) * limit]);
        };
        const stop = () => { g.removeEventListener("pointermove", move); g.removeEventListener("pointerup", stop); g.removeEventListener("pointercancel", stop); };
        g.addEventListener("pointermove", move);
        g.addEventListener("pointerup", stop);
        g.addEventListener("pointercancel", stop);
        event.preventDefault();
      });
      return { g, name };
    }

    let marks = [];
    function load() {
      const chosen = scenes[scene.value];
      x = chosen.x.map(p => [...p]);
      y = chosen.y.map(p => [...p]);
      handles.replaceChildren();
      marks = [...x.map((_, i) => handle(() => x, i, "blue", `x${i + 1}`)), ...y.map((_, j) => handle(() => y, j, "vermillion", `y${j + 1}`))];
      draw();
    }

    function drawCloud(solved, n, t) {
      lines.replaceChildren();
      travellers.replaceChildren();
      if (listed.checked) x.forEach((a, i) => mark(lines, "line", { x1: a[0], y1: -a[1], x2: y[i][0], y2: -y[i][1], stroke: "var(--otp-purple)", "stroke-width": 0.025, "stroke-dasharray": "0.08 0.07" }));
      x.forEach((a, i) => y.forEach((b, j) => {
        const share = n * solved.plan[i][j];
        if (share < 0.01) return;
        mark(lines, "line", { x1: a[0], y1: -a[1], x2: b[0], y2: -b[1], stroke: "var(--otp-muted)", "stroke-width": 0.012 + 0.03 * share, "stroke-opacity": Math.max(0.3, share) });
        mark(travellers, "circle", { cx: (1 - t) * a[0] + t * b[0], cy: -((1 - t) * a[1] + t * b[1]), r: 0.075 * Math.sqrt(share), fill: "var(--otp-green)" });
      }));
      marks.forEach(({ g, name }, k) => {
        const [a, b] = k < n ? x[k] : y[k - n];
        g.setAttribute("transform", `translate(${a} ${-b})`);
        g.setAttribute("aria-label", `${name} at ${show(a, 1)}, ${show(b, 1)}. Arrow keys move it.`);
      });
    }

    // Rows x_i with f_i, columns y_j with g_j; shade: slack C - f - g; disc: mass
    function drawGrid(C, solved, n, tight) {
      const left = 62, top = 42, side = 296, cell = side / n, big = Math.max(...C.flat()) || 1;
      grid.setAttribute("viewBox", "0 0 370 370");
      grid.replaceChildren();
      mark(grid, "text", { x: 6, y: 16, "font-size": 13 }, "f ↓   g →");
      for (let i = 0; i < n; i++) {
        mark(grid, "text", { x: left - 6, y: top + (i + 0.5) * cell + 5, "text-anchor": "end", "font-size": 13 }, `x${i + 1}  ${show(solved.f[i], 1)}`);
        mark(grid, "text", { x: left + (i + 0.5) * cell, y: top - 22, "text-anchor": "middle", "font-size": 13 }, `y${i + 1}`);
        mark(grid, "text", { x: left + (i + 0.5) * cell, y: top - 7, "text-anchor": "middle", "font-size": 13 }, show(solved.g[i], 1));
        for (let j = 0; j < n; j++) {
          const slack = C[i][j] - solved.f[i] - solved.g[j], share = n * solved.plan[i][j];
          const box = { x: left + j * cell, y: top + i * cell, width: cell - 2, height: cell - 2 };
          mark(grid, "rect", { ...box, fill: "var(--otp-orange)", "fill-opacity": Math.min(0.85, Math.max(0, slack) / big).toFixed(4), stroke: tight && slack < 1e-9 ? "var(--otp-ink)" : "var(--otp-grid)", "stroke-width": tight && slack < 1e-9 ? 2 : 1 });
          if (share > 1e-3) mark(grid, "circle", { cx: box.x + cell / 2 - 1, cy: box.y + cell / 2 - 1, r: (0.36 * cell * Math.sqrt(share)).toFixed(2), fill: "var(--otp-green)" });
        }
      }
    }

    function draw() {
      const n = x.length, epsilon = EPSILONS[+blur.value], C = costs(x, y, +power.value), t = time.value / 100;
      const solved = solve(C, epsilon), own = C.reduce((sum, row, i) => sum + row[i], 0) / n, all = C.flat().reduce((sum, c) => sum + c, 0) / n ** 2;
      const exact = assignment(C), identity = x.map((_, i) => i);
      blurValue.textContent = epsilon ? (epsilon < 1 ? epsilon.toFixed(2) : epsilon.toFixed(1)) : "0, exact";
      timeValue.textContent = t.toFixed(2);
      drawCloud(solved, n, t);
      drawGrid(C, solved, n, epsilon === 0);
      const mean = values => values.reduce((sum, v) => sum + v, 0) / n;
      numbers.replaceChildren(...[
        ["cost of the plan", show(solved.cost)], ["value of the dual", show(mean(solved.f) + mean(solved.g))],
        ["list order", show(own)], ["independent", show(all)],
        ["crossings, optimal", crossings(x, y, exact.order)], ["crossings, list order", crossings(x, y, identity)],
      ].map(([name, value]) => node("div", {}, node("dt", {}, name), node("dd", {}, String(value)))));
      const met = crossings(x, y, exact.order);
      verdict.textContent = !solved.converged ? `Not converged after ${solved.steps} steps: this is not yet the plan for ε.`
        : epsilon > 0 ? `Sinkhorn's plan after ${solved.steps} steps. Every pair carries some mass; the cost is ${show(solved.cost - exact.cost)} above the least one.`
        : own - exact.cost < 1e-9 ? (met ? "List order is optimal, and arrows cross: they pass the crossing at different times." : "List order is optimal.")
        : met && +power.value === 2 ? `Optimal, with ${met === 1 ? "a crossing" : `${met} crossings`}: the travellers pass it at different times. Move t and see.`
        : `Optimal. Discs sit on framed cells only: mass only where f + g equals the cost.`;
    }
    for (const input of [blur, time, power, listed]) input.addEventListener("input", draw);
    scene.addEventListener("change", load);
    load();
  },
};
