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
