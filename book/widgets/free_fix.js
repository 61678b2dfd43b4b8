// Needs parts.js: root2, flowBack.
// Chapter 5: five data sets, two Gaussian starts. Everything is computed here, in the page, with the exact score.
// The named exports are pure; a test compares them with otprior_lite.

// alpha and sigma of the OU process.
export function channel(T) {
  return [Math.exp(-T), Math.sqrt(-Math.expm1(-2 * T))];
}

// Mean and covariance [a, b, c] = [[a, b], [b, c]] of p_T from those of the data.
export function momentsAt(T, mean, [a, b, c]) {
  const [alpha, sigma] = channel(T), a2 = alpha * alpha, s2 = sigma * sigma;
  return [mean.map(m => alpha * m), [a2 * a + s2, a2 * b, a2 * c + s2]];
}

// The free fix: m_T + Sigma_T^{1/2} z for every z.
export function affine(noise, T, mean, covariance) {
  const [m, S] = momentsAt(T, mean, covariance), [p, q, r] = root2(S);
  return noise.map(([x, y]) => [m[0] + p * x + q * y, m[1] + q * x + r * y]);
}

// W2 between N(m_T, Sigma_T) and N(0, I): what the free fix removes, exactly.
export function gaussianGap(T, mean, covariance) {
  const [m, [a, b, c]] = momentsAt(T, mean, covariance);
  const middle = (a + c) / 2, radius = Math.hypot((a - c) / 2, b);
  return Math.hypot(m[0], m[1], Math.sqrt(middle + radius) - 1, Math.sqrt(middle - radius) - 1);
}

// alpha x_0 + sigma eps, row by row.
export function noised(points, noise, T) {
  const [alpha, sigma] = channel(T);
  return points.map(([x, y], i) => [alpha * x + sigma * noise[i][0], alpha * y + sigma * noise[i][1]]);
}

// Sliced W2 of two lists of as many points: root mean square over `directions` equally spaced directions.
export function slicedW2(x, y, directions) {
  let total = 0;
  for (let k = 0; k < directions; k++) {
    const u = Math.cos((Math.PI * k) / directions), v = Math.sin((Math.PI * k) / directions);
    const along = points => Float64Array.from(points, p => u * p[0] + v * p[1]).sort();
    const a = along(x), b = along(y);
    for (let i = 0; i < a.length; i++) total += (a[i] - b[i]) ** 2 / a.length / directions;
  }
  return Math.sqrt(total);
}

// The largest distance between six splits of both lists: what two samples of one law may show. Strides are coprime to the pool.
const STRIDES = [3, 11, 13, 17, 19, 23];
export function floor(x, y, directions) {
  const pool = [...x, ...y], n = x.length;
  return Math.max(...STRIDES.map(stride => {
    const mixed = pool.map((_, i) => pool[(i * stride) % pool.length]);
    return slicedW2(mixed.slice(0, n), mixed.slice(n), directions);
  }));
}

// The probability flow from T to 0.
export const reverse = (points, T, law, steps) => flowBack(points, channel(T)[0], law, steps);

const DIRECTIONS = 24;

export default {
  render({ model, el }) {
    el.innerHTML = `
      <style>
        .freefix { font: 0.9rem/1.5 system-ui, sans-serif; color: var(--otp-ink); }
        .freefix .freefix-line { display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; align-items: center; margin: 0.3rem 0; }
        .freefix label { display: inline-flex; gap: 0.35rem; align-items: center; }
        .freefix select { font: inherit; color: inherit; background: var(--otp-bg); border: 1px solid var(--otp-muted); border-radius: 3px; padding: 0.1rem 0.3rem; }
        .freefix input { accent-color: var(--otp-blue); }
        .freefix input[type=range] { flex: 1 1 9rem; }
        .freefix output { font-variant-numeric: tabular-nums; min-width: 2.6em; }
        .freefix canvas { width: 100%; display: block; }
      </style>
      <div class="freefix">
        <div class="freefix-line">
          <label>Data <select aria-label="Data set"></select></label>
          <label><input type="checkbox" class="on"> shift and scale</label>
          <label for="freefix-T">OU time <i>T</i> = <output></output></label>
          <input id="freefix-T" type="range" min="0.05" max="2.5" step="0.05">
        </div>
        <canvas></canvas>
        <div class="freefix-line numbers" role="status"></div>
      </div>`;
    const [choose, on, slider, shown, canvas, numbers] = ["select", ".on", "input[type=range]", "output", "canvas", ".numbers"].map(s => el.querySelector(s));
    const laws = model.get("laws"), noise = model.get("noise"), steps = model.get("steps");
    for (const name of Object.keys(laws)) choose.add(new Option(name, name));
    choose.value = model.get("data"); slider.value = model.get("T"); on.checked = model.get("on");
    let waiting = false;
    const queue = () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } };

    // Both starts, their ends, and what the distances are when there is nothing to find.
    function compute(law, T) {
      const truth = noised(law.first, noise[1], T), other = noised(law.second, noise[2], T);
      const starts = [noise[0], affine(noise[0], T, law.mean, law.covariance)], ends = starts.map(s => reverse(s, T, law, steps));
      const distance = (x, y) => slicedW2(x, y, DIRECTIONS);
      return {
        truth, starts, ends,
        gaps: [starts.map(s => distance(s, truth)), ends.map(e => distance(e, law.first))],
        floors: [floor(truth, other, DIRECTIONS), floor(law.first, law.second, DIRECTIONS)],
      };
    }

    function draw() {
      const T = +slider.value, law = laws[choose.value], found = compute(law, T), which = on.checked ? 1 : 0;
      const css = name => getComputedStyle(el).getPropertyValue(`--otp-${name}`).trim();
      const tints = [css("vermillion"), css("blue")];
      const width = canvas.clientWidth || 640, side = Math.min(width / 2, 330), bars = 96, height = Math.round(side + 26 + bars);
      const scale = window.devicePixelRatio || 1;
      canvas.style.height = `${height}px`; canvas.width = width * scale; canvas.height = height * scale;
      const pen = canvas.getContext("2d");
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.clearRect(0, 0, width, height);
      const reach = law.reach, size = Math.max(1.2, side / 200);
      const panel = (left, title, under, over) => {
        const X = x => left + side / 2 + (x / reach) * (side / 2 - 4), Y = y => 24 + side / 2 - (y / reach) * (side / 2 - 4);
        pen.fillStyle = css("ink"); pen.textAlign = "center"; pen.font = "13px system-ui, sans-serif";
        pen.fillText(title, left + side / 2, 15);
        for (const [points, tint, opacity] of [[under, css("muted"), 0.55], [over, tints[which], 0.85]]) {
          pen.fillStyle = tint; pen.globalAlpha = opacity;
          for (const [x, y] of points) {
            if (Math.abs(x) > reach || Math.abs(y) > reach) continue;
            pen.beginPath(); pen.arc(X(x), Y(y), size, 0, 7); pen.fill();
          }
          pen.globalAlpha = 1;
        }
      };
      const gutter = width / 2 - side;
      panel(gutter / 2, `at T = ${T.toFixed(2)}`, found.truth, found.starts[which]);
      panel(width / 2 + gutter / 2, "at time 0", law.first, found.ends[which]);
      const most = Math.max(0.3, ...found.gaps.flat());
      found.gaps.forEach((pair, k) => {
        const left = (k * width) / 2 + 8, room = width / 2 - 60, top = height - bars + 22, x = v => left + (v / most) * room;
        pen.fillStyle = css("grid"); pen.fillRect(left, top - 6, x(found.floors[k]) - left, 60);
        pen.font = "12px system-ui, sans-serif"; pen.textAlign = "left"; pen.fillStyle = css("muted");
        pen.fillText("sliced W₂, floor shaded", left, top - 12);
        pair.forEach((value, i) => {
          pen.fillStyle = tints[i]; pen.globalAlpha = i === which ? 1 : 0.45;
          pen.fillRect(left, top + 26 * i, Math.max(1, x(value) - left), 18);
          pen.globalAlpha = 1; pen.fillStyle = css("ink");
          pen.fillText(`${value.toFixed(2)}`, x(value) + 4, top + 26 * i + 14);
        });
      });
      shown.textContent = T.toFixed(2);
      slider.setAttribute("aria-valuetext", `${T.toFixed(2)}, ${(100 * channel(T)[0]).toFixed(0)} percent of the signal left`);
      numbers.innerHTML = [
        `signal left <b>${(100 * channel(T)[0]).toFixed(0)} %</b>`,
        `Gaussian part of the gap, which the fix removes <b>${gaussianGap(T, law.mean, law.covariance).toFixed(3)}</b>`,
        `<span style="color:var(--otp-vermillion)">■</span> N(0, I) <span style="color:var(--otp-blue)">■</span> shifted and scaled <span style="color:var(--otp-muted)">■</span> truth`,
      ].map(text => `<span>${text}</span>`).join("");
    }

    const keep = (key, value) => { model.set(key, value); model.save_changes(); queue(); };
    slider.addEventListener("input", () => keep("T", +slider.value));
    choose.addEventListener("change", () => keep("data", choose.value));
    on.addEventListener("change", () => keep("on", on.checked));
    model.on("change:theme", queue);
    new ResizeObserver(queue).observe(canvas);
    queue();
  },
};
