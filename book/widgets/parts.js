// What several live figures use. A figure whose first line says "Needs parts.js" gets this text before its own,
// so that each stays one self-contained module.

// ---- elements

const NS = "http://www.w3.org/2000/svg";

// An HTML element with these attributes and children.
function node(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

// An SVG element with these attributes and text, appended to `parent`.
function mark(parent, tag, attributes, text) {
  const element = document.createElementNS(NS, tag);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// ---- the normal law

// P(Z > z). Near 0 by the odd series of Phi - 1/2, far out by the continued fraction of Mills' ratio.
export function upperTail(z) {
  if (z < 0) return 1 - upperTail(-z);
  const phi = Math.exp(-z * z / 2) / Math.sqrt(2 * Math.PI);
  if (z < 2) {
    let term = z, sum = z;
    for (let k = 1; term > 1e-18 * sum; k++) sum += (term *= z * z / (2 * k + 1));
    return 0.5 - phi * sum;
  }
  let fraction = z;
  for (let k = 120; k > 0; k--) fraction = z + k / fraction;
  return phi / fraction;
}

// The z with Phi(z) = F(x): Newton's method on the logarithm of the smaller tail, kept between the components' own z.
function normalScore(law, x) {
  const each = law.means.map((m, k) => (x - m) / law.stds[k]);
  let low = Math.min(...each), high = Math.max(...each);
  if (low === high) return low;
  const tail = sign => law.weights.reduce((sum, w, k) => sum + w * upperTail(sign * each[k]), 0);
  const sign = tail(1) <= tail(-1) ? 1 : -1, goal = tail(sign);
  let z = (low + high) / 2;
  for (let i = 0; i < 60; i++) {
    const q = upperTail(sign * z), off = Math.log(q / goal);
    if ((off > 0) === (sign > 0)) low = z; else high = z;
    let next = z + sign * off * q * Math.sqrt(2 * Math.PI) * Math.exp(z * z / 2);
    if (!(next > low && next < high)) next = (low + high) / 2;
    if (Math.abs(next - z) < 1e-13 * (1 + Math.abs(z))) return next;
    z = next;
  }
  return z;
}

// ---- mixtures in the plane

// Root of a symmetric positive 2 x 2 matrix [a, b, c] = [[a, b], [b, c]].
function root2([a, b, c]) {
  const det = Math.sqrt(a * c - b * b), trace = Math.sqrt(a + c + 2 * det);
  return [(a + det) / trace, b / trace, (c + det) / trace];
}

// E[x_0 | x_t = x] of Gaussians of variance v at `means` with `weights`, of any sum.
function denoise([x, y], alpha, sigma, { means, weights, std }, logits) {
  const v = std * std, variance = alpha * alpha * v + sigma * sigma;
  let top = -Infinity;
  for (let k = 0; k < means.length; k++) {
    const dx = x - alpha * means[k][0], dy = y - alpha * means[k][1];
    logits[k] = -(dx * dx + dy * dy) / (2 * variance) + Math.log(weights[k]);
    if (logits[k] > top) top = logits[k];
  }
  let total = 0, mx = 0, my = 0;
  for (let k = 0; k < means.length; k++) {
    if (logits[k] < top - 40) continue;
    const weight = Math.exp(logits[k] - top);
    total += weight; mx += weight * means[k][0]; my += weight * means[k][1];
  }
  mx /= total; my /= total;
  const gain = (alpha * v) / variance;
  return [mx + gain * (x - alpha * mx), my + gain * (y - alpha * my)];
}

// The probability flow from alpha_T to 0: DPM-Solver++(2M), equal steps in log-SNR down to sigma/alpha = 0.002.
function flowBack(points, alphaT, law, steps) {
  const low = 2 * Math.log(alphaT / Math.sqrt(1 - alphaT * alphaT)), high = 2 * Math.log(500);
  const at = j => {
    const lambda = low + ((high - low) * j) / (steps - 1);
    return [1 / Math.sqrt(1 + Math.exp(-lambda)), 1 / Math.sqrt(1 + Math.exp(lambda))];
  };
  const logits = new Float64Array(law.means.length);
  return points.map(point => {
    let x = point, previous = null;
    for (let j = 0; j < steps; j++) {
      const [alpha, sigma] = at(j), D = denoise(x, alpha, sigma, law, logits);
      if (j === steps - 1) return D;
      const [nextAlpha, nextSigma] = at(j + 1), ratio = nextSigma / sigma, keep = nextAlpha - ratio * alpha;
      const E = previous ? [1.5 * D[0] - 0.5 * previous[0], 1.5 * D[1] - 0.5 * previous[1]] : D;
      x = [keep * E[0] + ratio * x[0], keep * E[1] + ratio * x[1]];
      previous = D;
    }
  });
}
