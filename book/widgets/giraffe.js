// Needs parts.js: root2, flowBack.
// Chapter 1: the giraffe from four starts. Everything is computed here, in the page, with the exact score.
// The named exports are pure; a test compares them with otprior_lite.

// alpha_T of DDPM's linear betas, 1e-4 to 0.02, in n steps.
export function terminalAlpha(n) {
  let logAlphaBar = 0;
  for (let k = 0; k < n; k++) logAlphaBar += Math.log1p(-(1e-4 + (0.0199 * k) / (n - 1)));
  return Math.exp(logAlphaBar / 2);
}

// Gelbrich's bound for a centred law with covariance [a, b, c]: the Gaussian part of the prior gap.
export function gaussianGap(alpha, [a, b, c]) {
  const s2 = 1 - alpha * alpha;
  const A = alpha * alpha * a + s2, B = alpha * alpha * b, C = alpha * alpha * c + s2;
  const middle = (A + C) / 2, radius = Math.hypot((A - C) / 2, B);
  return Math.hypot(Math.sqrt(middle + radius) - 1, Math.sqrt(middle - radius) - 1);
}

// Starting points at T. noise, train and fresh are lists of [x, y]; the data have mean zero.
export function start(prior, alpha, { noise, train, fresh, covariance: [a, b, c] }) {
  const sigma = Math.sqrt(1 - alpha * alpha), a2 = alpha * alpha, s2 = sigma * sigma;
  if (prior === "standard") return noise.map(z => z.slice());
  if (prior === "moment-matched") {
    const [p, q, r] = root2([a2 * a + s2, a2 * b, a2 * c + s2]);
    return noise.map(([x, y]) => [p * x + q * y, q * x + r * y]);
  }
  const points = prior === "oracle" ? fresh : train;
  return noise.map(([x, y], i) => [alpha * points[i][0] + sigma * x, alpha * points[i][1] + sigma * y]);
}

// The reverse process from T to 0; all components weigh the same.
export const reverse = (points, alphaT, means, std, steps) =>
  flowBack(points, alphaT, { means, std, weights: means.map(() => 1) }, steps);

const PRIORS = [
  ["standard", "N(0, I)", "vermillion"],
  ["moment-matched", "moment-matched", "blue"],
  ["data-initialised", "noised training point", "purple"],
  ["oracle", "<i>p<sub>T</sub></i> itself", "ink"],
];

export default {
  render({ model, el }) {
    el.innerHTML = `
      <style>
        .giraffe { font: 0.9rem/1.5 system-ui, sans-serif; color: var(--otp-ink); }
        .giraffe .giraffe-line { display: flex; flex-wrap: wrap; gap: 0.4rem 1rem; align-items: center; margin: 0.3rem 0; }
        .giraffe label { display: inline-flex; gap: 0.35rem; align-items: center; }
        .giraffe input[type=range] { flex: 1 1 9rem; accent-color: var(--otp-blue); }
        .giraffe output { font-variant-numeric: tabular-nums; min-width: 2.4em; }
        .giraffe canvas { width: 100%; display: block; }
      </style>
      <div class="giraffe">
        <div class="giraffe-line"><label for="giraffe-T">Forward steps <i>T</i> = <output class="T"></output></label>
          <input id="giraffe-T" type="range" min="20" max="1000" step="10"></div>
        <fieldset class="giraffe-line" style="border:0;padding:0"><legend style="float:left;padding:0 0.6rem 0 0;font-size:inherit">Start from</legend></fieldset>
        <canvas></canvas>
        <div class="giraffe-line numbers" role="status"></div>
      </div>`;
    const slider = el.querySelector("input[type=range]"), canvas = el.querySelector("canvas");
    const fieldset = el.querySelector("fieldset"), shown = el.querySelector(".T"), numbers = el.querySelector(".numbers");
    const state = Object.fromEntries(["means", "noise", "train", "fresh", "covariance", "std", "steps", "tails", "q"].map(k => [k, model.get(k)]));
    slider.value = model.get("T");
    for (const [key, text] of PRIORS) {
      const label = document.createElement("label"), radio = document.createElement("input");
      Object.assign(radio, { type: "radio", name: "giraffe-prior", value: key, checked: key === model.get("prior") });
      radio.addEventListener("change", () => { model.set("prior", key); model.save_changes(); queue(); });
      const words = document.createElement("span");
      words.innerHTML = text;
      label.append(radio, words);
      fieldset.append(label);
    }
    let waiting = false;
    const queue = () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; draw(); }); } };

    function draw() {
      const n = +slider.value, prior = model.get("prior"), alpha = terminalAlpha(n);
      const from = start(prior, alpha, state), to = reverse(from, alpha, state.means, state.std, state.steps);
      const css = name => getComputedStyle(el).getPropertyValue(`--otp-${name}`).trim();
      const colour = css(PRIORS.find(([key]) => key === prior)[2]);
      const width = canvas.clientWidth || 640, height = Math.round(Math.min(width * 0.78, 500)), scale = window.devicePixelRatio || 1;
      canvas.style.height = `${height}px`;
      canvas.width = width * scale; canvas.height = height * scale;
      const pen = canvas.getContext("2d");
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.clearRect(0, 0, width, height);
      const unit = Math.min((height - 34) / 10.6, width / 2 / 6.6);
      const size = Math.max(1.1, unit / 26);
      const panel = (centre, title, points, tint, faint) => {
        const X = x => centre + unit * x, Y = y => 24 + (height - 24) / 2 - unit * y;
        pen.fillStyle = css("ink"); pen.textAlign = "center"; pen.font = "13px system-ui, sans-serif";
        pen.fillText(title, centre, 15);
        faint(X, Y);
        pen.fillStyle = tint; pen.globalAlpha = 0.75;
        for (const [x, y] of points) { pen.beginPath(); pen.arc(X(x), Y(y), size, 0, 7); pen.fill(); }
        pen.globalAlpha = 1;
      };
      panel(width * 0.25, `start, T = ${n}`, from, colour, (X, Y) => ellipse(pen, X, Y, unit, alpha, state.covariance, css));
      panel(width * 0.75, "end, time 0", to, colour, (X, Y) => {
        pen.fillStyle = css("grid");
        for (const [x, y] of state.means) { pen.beginPath(); pen.arc(X(x), Y(y), size * 1.2, 0, 7); pen.fill(); }
      });
      const share = test => `${((100 * to.filter(test).length) / to.length).toFixed(1)} %`;
      const [feet, head] = state.tails;
      shown.textContent = `${n}`;
      slider.setAttribute("aria-valuetext", `${n} steps, ${(100 * alpha).toFixed(0)} percent of the signal left`);
      numbers.innerHTML = [
        `signal left <b>${(100 * alpha).toFixed(1)} %</b>`,
        `Gaussian part of the gap of N(0, I) <b>${gaussianGap(alpha, state.covariance).toFixed(2)}</b>`,
        `in the top ${100 * state.q} % of the data <b>${share(p => p[1] > head)}</b>`,
        `in the bottom ${100 * state.q} % <b>${share(p => p[1] < feet)}</b>`,
      ].map(text => `<span>${text}</span>`).join("");
    }

    slider.addEventListener("input", () => { model.set("T", +slider.value); model.save_changes(); queue(); });
    model.on("change:theme", queue);
    new ResizeObserver(queue).observe(canvas);
    queue();
  },
};

// Two-standard-deviation ellipses: dashed for N(0, I), solid for p_T.
function ellipse(pen, X, Y, unit, alpha, [a, b, c], css) {
  const s2 = 1 - alpha * alpha, A = alpha * alpha * a + s2, B = alpha * alpha * b, C = alpha * alpha * c + s2;
  const middle = (A + C) / 2, radius = Math.hypot((A - C) / 2, B), tilt = 0.5 * Math.atan2(2 * B, A - C);
  pen.lineWidth = 1.4; pen.strokeStyle = css("muted");
  pen.setLineDash([5, 4]); pen.beginPath(); pen.arc(X(0), Y(0), 2 * unit, 0, 7); pen.stroke();
  pen.setLineDash([]); pen.beginPath();
  pen.ellipse(X(0), Y(0), 2 * unit * Math.sqrt(middle + radius), 2 * unit * Math.sqrt(middle - radius), -tilt, 0, 7);
  pen.stroke();
}
