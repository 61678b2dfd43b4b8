// Needs parts.js: node.
// Chapter 12: what one network draws from seven starts, at three start times, in four numbers of calls. The pictures were drawn
// by the library and are read from strips; the named exports are pure, and a test compares them with otprior_lite.

// Where picture k of a start lies in its strip: [left, top] in pixels. One row for each time and number of calls.
export function slot(time, calls, k, numberOfCalls, side) {
  return [k * side, (time * numberOfCalls + calls) * side];
}

// The same for picture number `index` of a strip that is filled row by row.
export function cell(index, columns, side) {
  return [(index % columns) * side, Math.floor(index / columns) * side];
}

// How many distances are at most `limit`.
export function within(distances, limit) {
  return distances.filter(d => d <= limit).length;
}

// "1.23 ± 0.05", with a sign that does not break.
export function pm([mean, error], digits) {
  return `${mean.toFixed(digits)}\u00a0±\u00a0${error.toFixed(digits)}`;
}

const NAMES = {
  standard: "N(0, I)", "moment-matched": "moment-matched", "semi-discrete": "semi-discrete OT", smoothed: "smoothed OT",
  "fresh-noise": "OT, fresh noise", "data-initialised": "noised training picture", oracle: "oracle (noised held-out picture)",
};

async function load(address) {
  const image = new Image();
  image.src = address;
  await image.decode();
  return image;
}

export default {
  async render({ model, el }) {
    const album = model.get("album"), { times, calls, each, side } = album;
    const strips = {};
    await Promise.all(album.starts.map(async name => { strips[name] = await load(album.strips[name]); }));
    const neighbours = await load(album.neighbours);

    const style = node("style");
    style.textContent = `
      .pictures { font: 0.9rem/1.5 system-ui, sans-serif; color: var(--otp-ink); }
      .pictures .pair { display: flex; flex-wrap: wrap; gap: 0.2rem 1.4rem; }
      .pictures .line { display: flex; flex: 1 1 15rem; gap: 0.5rem; align-items: center; }
      .pictures input[type=range] { flex: 1 1 6rem; min-width: 5rem; }
      .pictures output { min-width: 2.6rem; font-variant-numeric: tabular-nums; }
      .pictures fieldset { display: flex; flex-wrap: wrap; gap: 0.1rem 1rem; margin: 0.4rem 0; border: 0; padding: 0; }
      .pictures legend { font-size: inherit; padding: 0; margin: 0; width: 100%; }
      .pictures label { display: inline-flex; gap: 0.35rem; align-items: center; margin: 0; }
      .pictures canvas { width: 100%; display: block; margin: 0.3rem 0 0.6rem; image-rendering: pixelated; }
      .pictures p { margin: 0.3rem 0 0; line-height: 1.4; font-variant-numeric: tabular-nums; }
      .pictures .muted { color: var(--otp-muted); }
      .pictures .head { margin: 0.5rem 0 0; }`;
    const slider = (id, text, values, key) => {
      const input = node("input", { id, type: "range", min: 0, max: values.length - 1, step: 1 });
      const label = node("label", { for: id }), shown = node("output", { for: id });
      label.innerHTML = `<span>${text}</span>`;
      input.value = Math.max(0, values.indexOf(model.get(key)));
      const say = () => { shown.textContent = values[+input.value]; input.setAttribute("aria-valuetext", String(values[+input.value])); };
      input.addEventListener("input", () => { model.set(key, values[+input.value]); model.save_changes(); say(); draw(); });
      say();
      return [input, node("div", { class: "line" }, label, input, shown)];
    };
    const [time, timeLine] = slider("pictures-t", "start time <i>t</i>′", times, "t");
    const [budget, budgetLine] = slider("pictures-calls", "network calls", calls, "calls");
    const starts = node("fieldset");
    starts.append(node("legend", {}, "Start from"));
    album.starts.forEach(name => {
      const radio = node("input", { type: "radio", name: "pictures-start", value: name });
      radio.checked = name === model.get("start");
      radio.addEventListener("change", () => { model.set("start", name); model.save_changes(); draw(); });
      starts.append(node("label", {}, radio, NAMES[name] || name));
    });
    const heads = [node("p", { class: "head" }, "what the network draws"), node("p", { class: "head" }, "the nearest training picture, and its distance")];
    const drawn = node("canvas", { role: "img" }), near = node("canvas", { role: "img" }), status = node("div", { role: "status" });
    const box = node("div", { class: "pictures" }, node("div", { class: "pair" }, timeLine, budgetLine), starts, heads[0], drawn, heads[1], near, status);
    el.append(style, box);

    // One row of `each` pictures; `from` gives the place of picture k in `image`; texts stand below.
    function row(canvas, image, from, texts) {
      const width = canvas.clientWidth || 640, scale = window.devicePixelRatio || 1, gap = 6;
      const size = Math.min((width - gap * (each - 1)) / each, 96), height = size + (texts ? 20 : 0);
      canvas.style.height = `${height}px`;
      canvas.width = width * scale; canvas.height = height * scale;
      const pen = canvas.getContext("2d");
      pen.setTransform(scale, 0, 0, scale, 0, 0);
      pen.imageSmoothingEnabled = false;
      pen.fillStyle = getComputedStyle(el).getPropertyValue("--otp-ink").trim();
      pen.textAlign = "center";
      pen.font = "12px system-ui, sans-serif";
      for (let k = 0; k < each; k++) {
        const left = k * (size + gap);
        pen.drawImage(image, ...from(k), side, side, left, 0, size, size);
        if (texts) pen.fillText(texts[k], left + size / 2, size + 15);
      }
    }

    function draw() {
      const name = model.get("start"), i = +time.value, j = +budget.value, t = times[i], c = calls[j];
      const first = (i * calls.length + j) * each, pick = list => list.slice(first, first + each);
      const which = pick(album.near[name]), apart = pick(album.distances[name]);
      row(drawn, strips[name], k => slot(i, j, k, calls.length, side));
      row(near, neighbours, k => cell(which[k], each, side), apart.map(d => d.toFixed(2)));
      const number = key => Object.fromEntries(album.measures.map((m, k) => [m, album.numbers[key][k]]));
      const [here, fresh, copied] = [number(`${name} ${t} ${c}`), number("held-out"), number("training")];
      const close = within(apart, fresh.to_train[0]);
      drawn.setAttribute("aria-label", `${each} pictures that the network drew in ${c} calls from the start ${NAMES[name]} at t′ = ${t}.`);
      near.setAttribute("aria-label", `The nearest training pictures; ${close} of ${each} are nearer than a fresh picture usually is.`);
      status.innerHTML = `<p><b>${close} of ${each}</b> shown pictures are nearer to a training picture than half of the held-out ones are
          <span class="muted">(${fresh.to_train[0].toFixed(2)})</span>.</p>
        <p>Fréchet distance <b>${pm(here.frechet, 2)}</b> <span class="muted">(held-out pictures ${fresh.frechet[0].toFixed(2)}, training pictures ${copied.frechet[0].toFixed(2)})</span>.</p>
        <p>Nearer to the training set than a held-out picture <b>${pm(here.closer, 2)}</b> <span class="muted">(fresh: ${fresh.closer[0].toFixed(2)})</span>.
          Twins among the samples <b>${pm(here.repeats, 2)}</b> <span class="muted">(fresh: ${fresh.repeats[0].toFixed(2)})</span>.</p>`;
    }
    model.on("change:theme", draw);
    const watcher = new ResizeObserver(() => draw());
    watcher.observe(el);
    draw();
    return () => watcher.disconnect();
  },
};
