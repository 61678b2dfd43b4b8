// Chapter 7: Voronoi cells become Laguerre cells of equal Gaussian mass.
// Masses are exact up to a Gauss-Legendre rule; heights come from a damped Newton method, as in otprior_lite.
// The named exports are pure; a test compares them with the library.

const BOX = 7; // mass outside [-7, 7]^2 is below 1e-11
const NODES = [0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363];
const WEIGHTS = [0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763];

// The cell of site i cut by the box: corners [x, y, j], j the neighbour across the side that starts there (-1: the box).
export function cell(sites, heights, i, box = BOX) {
  let polygon = [[-box, -box, -1], [box, -box, -1], [box, box, -1], [-box, box, -1]];
  for (let j = 0; j < sites.length && polygon.length; j++) {
    if (j === i) continue;
    const nx = sites[j][0] - sites[i][0], ny = sites[j][1] - sites[i][1], offset = heights[i] - heights[j];
    const side = polygon.map(([x, y]) => nx * x + ny * y - offset), next = [];
    for (let k = 0; k < polygon.length; k++) {
      const a = polygon[k], b = polygon[(k + 1) % polygon.length], u = side[k], v = side[(k + 1) % polygon.length];
      const cut = () => { const t = u / (u - v); return [a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1])]; };
      if (u <= 0) next.push(a);
      if (u <= 0 && v > 0) { if (u < 0) next.push([...cut(), j]); else next[next.length - 1] = [a[0], a[1], j]; }
      else if (u > 0 && v < 0) next.push([...cut(), a[2]]);
    }
    polygon = next;
  }
  return polygon.length > 2 ? polygon : [];
}

// Integral of f(x, y) along a segment with respect to its length, in pieces of at most 1.
function along(a, b, f) {
  const length = Math.hypot(b[0] - a[0], b[1] - a[1]), pieces = Math.max(1, Math.ceil(length));
  let total = 0;
  for (let p = 0; p < pieces; p++) {
    for (let k = 0; k < 4; k++) {
      for (const sign of [-1, 1]) {
        const t = (p + 0.5 + (sign * NODES[k]) / 2) / pieces;
        total += WEIGHTS[k] * f(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]));
      }
    }
  }
  return (total * length) / (2 * pieces);
}

// Gaussian mass of a polygon: (1/2pi) times the integral of (1 - exp(-r^2/2)) d(angle) around it.
export function polygonMass(polygon) {
  let mass = 0;
  for (let k = 0; k < polygon.length; k++) {
    const a = polygon[k], b = polygon[(k + 1) % polygon.length], length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    if (length < 1e-14) continue;
    const p = (a[0] * b[1] - a[1] * b[0]) / length;
    mass += p * along(a, b, (x, y) => { const r2 = x * x + y * y; return r2 < 1e-10 ? 0.5 : -Math.expm1(-r2 / 2) / r2; });
  }
  return mass / (2 * Math.PI);
}

export function masses(sites, heights) {
  return sites.map((_, i) => polygonMass(cell(sites, heights, i)));
}

// -dw_i/dh_j: Gaussian length of the common side over the distance of the sites, as a full matrix.
export function conductances(sites, heights) {
  const density = (x, y) => Math.exp(-(x * x + y * y) / 2) / (2 * Math.PI);
  const matrix = sites.map(() => new Array(sites.length).fill(0));
  sites.forEach((site, i) => {
    const polygon = cell(sites, heights, i);
    polygon.forEach((corner, k) => {
      const j = corner[2];
      if (j < 0) return;
      const gap = Math.hypot(sites[j][0] - site[0], sites[j][1] - site[1]);
      matrix[i][j] += along(corner, polygon[(k + 1) % polygon.length], density) / gap;
    });
  });
  return matrix;
}

export function voronoi(sites) { return sites.map(([x, y]) => -(x * x + y * y) / 2); }

// Solve L x = gap for the graph Laplacian L of conductances c, grounded at the best connected site; x has mean 0.
function solveLaplacian(c, gap) {
  const n = gap.length, degree = c.map(row => row.reduce((a, b) => a + b, 0));
  const ground = degree.indexOf(Math.max(...degree)), keep = [...Array(n).keys()].filter(i => i !== ground);
  const A = keep.map(i => [...keep.map(j => (i === j ? degree[i] : -(c[i][j] + c[j][i]) / 2)), gap[i]]);
  for (let k = 0; k < A.length; k++) {
    let pivot = k;
    for (let i = k + 1; i < A.length; i++) if (Math.abs(A[i][k]) > Math.abs(A[pivot][k])) pivot = i;
    [A[k], A[pivot]] = [A[pivot], A[k]];
    for (let i = k + 1; i < A.length; i++) {
      const factor = A[i][k] / A[k][k];
      if (factor) for (let j = k; j <= A.length; j++) A[i][j] -= factor * A[k][j];
    }
  }
  const x = new Array(n).fill(0);
  for (let k = A.length - 1; k >= 0; k--) {
    let value = A[k][A.length];
    for (let j = k + 1; j < A.length; j++) value -= A[k][j] * x[keep[j]];
    x[keep[k]] = value / A[k][k];
  }
  const mean = x.reduce((a, b) => a + b, 0) / n;
  return x.map(v => v - mean);
}

const l1 = w => w.reduce((sum, m) => sum + Math.abs(m - 1 / w.length), 0);

// Heights along damped Newton from the Voronoi cells to equal masses: a list, the first entry Voronoi, the last solved.
export function path(sites, goal = 1e-9) {
  let h = voronoi(sites), w = masses(sites, h), fraction = 1;
  const heights = [h];
  for (let step = 0; step < 60 && l1(w) > goal; step++) {
    const direction = solveLaplacian(conductances(sites, h), w.map(m => m - 1 / w.length));
    if (!direction.every(Number.isFinite)) break;
    let found = null;
    for (fraction = Math.min(1, 4 * fraction); fraction > 1e-9 && !found; fraction /= 2) {
      const trial = h.map((value, i) => value - fraction * direction[i]), mass = masses(sites, trial);
      const alive = mass.every((m, i) => m >= 0.1 * Math.min(w[i], 1 / w.length));
      if (alive && l1(mass) < (1 - 0.25 * fraction) * l1(w)) { found = [trial, mass]; break; }
    }
    if (!found) break;
    [h, w] = found;
    heights.push(h);
  }
  return heights;
}

// A point of the path: s = 0 is Voronoi, s = 1 is solved, straight lines between Newton's steps.
export function between(heights, s) {
  const place = s * (heights.length - 1), k = Math.min(Math.floor(place), heights.length - 2);
  if (heights.length < 2) return heights[0];
  return heights[k].map((value, i) => value + (place - k) * (heights[k + 1][i] - value));
}

const HUES = ["blue", "vermillion", "green", "purple", "orange"];
const VIEW = 3;

export default {
  render({ model, el }) {
    const start = model.get("sites"), n = start.length;
    let sites = start.map(site => site.slice());
    el.innerHTML = `
      <style>
        .laguerre { font: 0.9rem/1.5 system-ui, sans-serif; color: var(--otp-ink); }
        .laguerre .laguerre-line { display: flex; flex-wrap: wrap; gap: 0.3rem 1rem; align-items: center; margin: 0.3rem 0; }
        .laguerre label { display: inline-flex; gap: 0.4rem; align-items: center; flex: 1 1 11rem; white-space: nowrap; }
        .laguerre input[type=range] { flex: 1 1 4rem; min-width: 3rem; accent-color: var(--otp-blue); }
        .laguerre .laguerre-panels { display: flex; flex-wrap: wrap; gap: 0.6rem 1.2rem; }
        .laguerre .laguerre-plane { flex: 3 1 19rem; min-width: 0; }
        .laguerre .laguerre-bars { flex: 2 1 14rem; min-width: 0; }
        .laguerre svg { width: 100%; height: auto; display: block; }
        .laguerre .laguerre-site { cursor: grab; touch-action: none; outline: none; }
        .laguerre .laguerre-site:focus-visible .laguerre-ring { stroke: var(--otp-ink); stroke-width: 0.05; }
        .laguerre button { font: inherit; color: inherit; background: none; border: 1px solid var(--otp-muted); border-radius: 4px; padding: 0.1rem 0.6rem; cursor: pointer; }
        .laguerre output { font-variant-numeric: tabular-nums; }
      </style>
      <div class="laguerre">
        <div class="laguerre-line">
          <label>Voronoi <input class="solve" type="range" min="0" max="1" step="0.01" aria-label="Solve: from Voronoi heights to equal masses"> solved</label>
        </div>
        <div class="laguerre-line">
          <label>Shift all <input class="shift" type="range" min="-0.7" max="0.7" step="0.05" aria-label="Shift all atoms to the right"></label>
          <label>Spread <input class="spread" type="range" min="0.5" max="1.1" step="0.05" aria-label="Spread of the atoms"></label>
          <button type="button" class="reset">Reset</button>
        </div>
        <div class="laguerre-panels">
          <svg class="laguerre-plane" viewBox="-3 -3 6 6" role="group" aria-label="Cells and atoms in the plane. Tab to an atom and move it with the arrow keys."></svg>
          <svg class="laguerre-bars" viewBox="0 0 236 286" role="img"></svg>
        </div>
        <div class="laguerre-line"><output class="numbers" role="status"></output></div>
      </div>`;
    const find = name => el.querySelector(name), plane = find(".laguerre-plane"), bars = find(".laguerre-bars");
    const solve = find(".solve"), shift = find(".shift"), spread = find(".spread");
    Object.assign(solve, { value: model.get("solve") }); shift.value = 0; spread.value = 1;
    const svg = (name, attributes, parent) => {
      const node = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const key in attributes) node.setAttribute(key, attributes[key]);
      parent.append(node);
      return node;
    };
    const colour = i => `var(--otp-${HUES[i % HUES.length]})`;
    const cells = sites.map((_, i) => svg("polygon", { fill: colour(i), "fill-opacity": 0.28, stroke: "var(--otp-muted)", "stroke-width": 0.018 }, plane));
    for (const r of [1, 2]) svg("circle", { r, fill: "none", stroke: "var(--otp-ink)", "stroke-width": 0.015, "stroke-dasharray": "0.03 0.07" }, plane);
    const lines = sites.map(() => svg("line", { stroke: "var(--otp-ink)", "stroke-width": 0.014, "stroke-dasharray": "0.05 0.04" }, plane));
    const marks = sites.map((_, i) => {
      const group = svg("g", { class: "laguerre-site", tabindex: 0, role: "button" }, plane);
      svg("circle", { class: "laguerre-ring", r: 0.21, fill: "transparent" }, group);
      svg("circle", { r: 0.115, fill: colour(i), stroke: "var(--otp-bg)", "stroke-width": 0.025 }, group);
      const text = svg("text", { "font-size": 0.15, "text-anchor": "middle", dy: 0.053, fill: "var(--otp-bg)", "pointer-events": "none" }, group);
      text.textContent = i + 1;
      return group;
    });

    const placed = () => sites.map(([x, y]) => [x * +spread.value + +shift.value, y * +spread.value]);
    let heights = [], known = "";
    let waiting = false;
    const queue = () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } };

    // Atoms keep a distance from each other: two equal atoms would be one.
    function place(i, x, y) {
      const bound = v => Math.max(-2.8, Math.min(2.8, v)), scale = +spread.value;
      const seen = [bound(x), bound(y)], wanted = [(seen[0] - +shift.value) / scale, seen[1] / scale];
      if (sites.some((site, j) => j !== i && Math.hypot(site[0] - wanted[0], site[1] - wanted[1]) * scale < 0.15)) return;
      sites[i] = wanted;
      queue();
    }
    marks.forEach((mark, i) => {
      const move = event => {
        const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(plane.getScreenCTM().inverse());
        place(i, at.x, -at.y);
      };
      mark.addEventListener("pointerdown", event => { mark.setPointerCapture(event.pointerId); mark.focus(); event.preventDefault(); });
      mark.addEventListener("pointermove", event => { if (mark.hasPointerCapture(event.pointerId)) move(event); });
      mark.addEventListener("keydown", event => {
        const step = event.shiftKey ? 0.02 : 0.1;
        const way = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
        if (!way) return;
        event.preventDefault();
        const [x, y] = placed()[i];
        place(i, x + way[0], y + way[1]);
      });
    });

    function draw() {
      const at = placed(), key = JSON.stringify(at);
      if (key !== known) { heights = path(at); known = key; }
      const s = +solve.value, h = between(heights, s), w = [], base = voronoi(at), N = at.length;
      at.forEach((site, i) => {
        const polygon = cell(at, h, i);
        w.push(polygonMass(polygon));
        cells[i].setAttribute("points", polygon.map(([x, y]) => `${x.toFixed(4)},${(-y).toFixed(4)}`).join(" "));
        const mean = [0, 1].map(k => gaussianMean(polygon, k) / w[i]);
        const ends = { x1: site[0], y1: -site[1], x2: mean[0], y2: -mean[1] };
        for (const name in ends) lines[i].setAttribute(name, ends[name].toFixed(4));
        marks[i].setAttribute("transform", `translate(${site[0].toFixed(4)} ${(-site[1]).toFixed(4)})`);
        marks[i].setAttribute("aria-label", `Atom ${i + 1} at ${site[0].toFixed(2)}, ${site[1].toFixed(2)}; mass ${(100 * w[i]).toFixed(1)} percent. Arrow keys move it.`);
      });
      const lift = h.map((value, i) => value - base[i]), middle = lift.reduce((a, b) => a + b, 0) / N;
      drawBars(w, lift.map(value => value - middle), heights.at(-1).map((value, i) => value - base[i]));
      const step = s * (heights.length - 1), error = l1(w);
      find(".numbers").textContent = `Newton step ${step.toFixed(1)} of ${heights.length - 1}. Smallest mass ${(100 * Math.min(...w)).toFixed(2)} %, ` +
        `largest ${(100 * Math.max(...w)).toFixed(2)} %; L1 error ${error < 1e-7 ? "below 0.0000001" : error.toPrecision(2)}.`;
      solve.setAttribute("aria-valuetext", `Newton step ${step.toFixed(1)} of ${heights.length - 1}`);
    }

    function drawBars(w, lift, last) {
      bars.replaceChildren();
      const N = w.length, wide = 186 / N, text = (x, y, words, more = {}) => { svg("text", { x, y, "font-size": 12, fill: "var(--otp-ink)", ...more }, bars).textContent = words; };
      text(14, 13, "mass of each cell");
      const top = Math.max(0.3, ...w), Y = m => 126 - (100 * m) / top;
      w.forEach((m, i) => svg("rect", { x: 14 + i * wide + 2, y: Y(m), width: wide - 4, height: Math.max(0, 126 - Y(m)), fill: colour(i) }, bars));
      svg("line", { x1: 10, x2: 204, y1: Y(1 / N), y2: Y(1 / N), stroke: "var(--otp-ink)", "stroke-dasharray": "4 3" }, bars);
      text(208, Y(1 / N) + 4, `1/${N}`);
      text(14, 152, "height above Voronoi");
      const mean = last.reduce((a, b) => a + b, 0) / N, size = Math.max(0.2, ...last.map(v => Math.abs(v - mean)), ...lift.map(Math.abs)), Z = v => 214 - (52 * v) / size;
      lift.forEach((v, i) => svg("rect", { x: 14 + i * wide + 2, y: Math.min(Z(v), Z(0)), width: wide - 4, height: Math.max(1, Math.abs(Z(v) - Z(0))), fill: colour(i) }, bars));
      svg("line", { x1: 10, x2: 204, y1: Z(0), y2: Z(0), stroke: "var(--otp-muted)" }, bars);
      w.forEach((_, i) => text(14 + (i + 0.5) * wide, 282, i + 1, { "text-anchor": "middle", "font-size": 11 }));
      bars.setAttribute("aria-label", `Masses in percent: ${w.map(m => (100 * m).toFixed(1)).join(", ")}. Heights above Voronoi: ${lift.map(v => v.toFixed(2)).join(", ")}.`);
    }

    for (const slider of [solve, shift, spread]) slider.addEventListener("input", queue);
    solve.addEventListener("change", () => { model.set("solve", +solve.value); model.save_changes(); });
    find(".reset").addEventListener("click", () => { sites = start.map(site => site.slice()); shift.value = 0; spread.value = 1; queue(); });
    model.on("change:theme", queue);
    draw();
  },
};

// Integral of z_k over the polygon: the divergence theorem turns z phi into -phi times the outer normal on the sides.
export function gaussianMean(polygon, k) {
  let total = 0;
  for (let side = 0; side < polygon.length; side++) {
    const a = polygon[side], b = polygon[(side + 1) % polygon.length], length = Math.hypot(b[0] - a[0], b[1] - a[1]);
    if (length < 1e-14) continue;
    const normal = k === 0 ? (b[1] - a[1]) / length : -(b[0] - a[0]) / length;
    total -= normal * along(a, b, (x, y) => Math.exp(-(x * x + y * y) / 2) / (2 * Math.PI));
  }
  return total;
}
