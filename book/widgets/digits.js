// Chapter 11: eight digits from every start, and one of them closely: its cell and its path. Samples, paths and cells come from
// the library; the neighbours are found here, in the page.
// The named exports are pure; a test compares them with otprior_lite.

// 64 grey levels, "0".."9" and "a".."g", as numbers in [-1, 1].
export function decode(text) {
  return Float64Array.from(text, letter => parseInt(letter, 17) / 8 - 1);
}

export function distance(a, b) {
  let sum = 0;
  for (let k = 0; k < a.length; k++) sum += (a[k] - b[k]) ** 2;
  return Math.sqrt(sum);
}

// [index, distance] of the image of `texts` nearest to the image `text`.
export function nearest(text, texts) {
  const image = decode(text);
  let best = 0, least = Infinity;
  texts.forEach((other, k) => {
    const d = distance(image, decode(other));
    if (d < least) { best = k; least = d; }
  });
  return [best, least];
}

const SCORES = [["smooth", "smooth (mixture)"], ["empirical", "empirical (training images)"]];
const PRIORS = [
  ["standard", "N(0, I)"], ["moment-matched", "moment-matched"], ["semi-discrete", "semi-discrete OT"],
  ["data-initialised", "noised training digit"], ["oracle", "oracle"],
];

export default {
  render({ model, el }) {
    el.innerHTML = `
      <style>
        .digits { font: 0.9rem/1.5 system-ui, sans-serif; color: var(--otp-ink); }
        .digits .row, .digits fieldset { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; align-items: center; margin: 0.3rem 0; border: 0; padding: 0; }
        .digits legend { float: left; width: auto; font-size: inherit; padding: 0 0.6rem 0 0; margin: 0; }
        .digits label { display: inline-flex; gap: 0.35rem; align-items: center; }
        .digits input[type=range] { flex: 1 1 9rem; }
        .digits #digits-column { flex-basis: 4rem; }
        .digits canvas { width: 100%; display: block; margin-top: 0.5rem; }
        .digits canvas.all { cursor: pointer; }
        .digits p { margin: 0.4rem 0 0; line-height: 1.4; font-variant-numeric: tabular-nums; }
        .digits .muted { color: var(--otp-muted); }
      </style>
      <div class="digits">
        <div class="row"><label for="digits-t">Start the reverse process at <i>t′</i></label>
          <input id="digits-t" type="range" min="0" step="1"><output for="digits-t"></output></div>
        <fieldset class="priors"><legend>Start from</legend></fieldset>
        <fieldset class="scores"><legend>Score</legend></fieldset>
        <canvas class="all" role="img"></canvas>
        <div class="row"><label for="digits-column">Look closely at number</label>
          <input id="digits-column" type="range" min="1" max="8" step="1"><output for="digits-column"></output></div>
        <canvas class="one" role="img"></canvas>
        <div role="status"></div>
      </div>`;
    const find = selector => el.querySelector(selector);
    const slider = find("#digits-t"), output = find("output"), canvas = find(".all"), status = find("[role=status]");
    const picker = find("#digits-column"), picked = find("output[for=digits-column]"), closer = find(".one");
    const data = model.get("album"), { times, shown, starts, numbers, train, test, paths, cells, mapped } = data;
    picker.value = model.get("column");
    slider.max = times.length - 1;
    slider.value = Math.max(0, times.indexOf(model.get("t")));
    const radios = (box, key, choices) => choices.forEach(([value, text]) => {
      const label = document.createElement("label"), radio = document.createElement("input");
      Object.assign(radio, { type: "radio", name: `digits-${key}`, value, checked: value === model.get(key) });
      radio.addEventListener("change", () => { model.set(key, value); model.save_changes(); draw(); });
      label.append(radio, text);
      box.append(label);
    });
    radios(find(".priors"), "prior", PRIORS);
    radios(find(".scores"), "score", SCORES);

    let tile = 0;  // width of an image and its gap
    function draw() {
      const t = times[+slider.value], prior = model.get("prior"), key = `${model.get("score")} ${prior} ${t}`;
      output.textContent = `${t} of 1000`;
      slider.setAttribute("aria-valuetext", `${t} of 1000 steps`);
      const images = shown[key], neighbours = images.map(image => nearest(image, train));
      const css = name => getComputedStyle(el).getPropertyValue(`--otp-${name}`).trim();
      const rgb = hex => [1, 3, 5].map(k => parseInt(hex.slice(k, k + 2), 16));
      const paper = rgb(css("grid")), ink = rgb(css("ink"));
      const width = canvas.clientWidth || 640, scale = window.devicePixelRatio || 1, gap = 6, head = 22;
      const unit = Math.min((width - gap * (images.length - 1)) / images.length, 76) / 8;
      tile = 8 * unit + gap;

      // A canvas of `height` pixels: pen, and functions that write a line of text, an image and a small number below it.
      const sheet = (target, height) => {
        target.style.height = `${height}px`;
        target.width = width * scale; target.height = height * scale;
        const pen = target.getContext("2d");
        pen.setTransform(scale, 0, 0, scale, 0, 0);
        pen.clearRect(0, 0, width, height);
        const write = (text, x, y, small) => {
          pen.font = `${small ? 12 : 13}px system-ui, sans-serif`;
          pen.fillStyle = css("ink"); pen.textAlign = small ? "center" : "left";
          pen.fillText(text, x, y);
        };
        const image = (text, column, top, part) => decode(text).forEach((value, k) => {
          const share = (part * value + 1) / 2, mixed = paper.map((c, i) => Math.round(c + share * (ink[i] - c)));
          pen.fillStyle = `rgb(${mixed})`;
          pen.fillRect(column * tile + (k % 8) * unit, top + Math.floor(k / 8) * unit, unit + 0.4, unit + 0.4);
        });
        const line = (top, title, texts) => {
          write(title, 0, top + 15);
          texts.forEach((text, column) => image(text, column, top + head, 1));
        };
        return { pen, write, line, image };
      };

      const step = head + 8 * unit + 4, column = +picker.value - 1;
      const all = sheet(canvas, 3 * step + 18);
      all.line(0, `start at t′ = ${t}`, starts[`${prior} ${t}`]);
      all.line(step, "what the reverse process makes of it", images);
      all.line(2 * step, "nearest training image, and its distance", neighbours.map(([k]) => train[k]));
      neighbours.forEach(([, d], k) => all.write(d.toFixed(2), k * tile + 4 * unit, 3 * step + 12, true));
      all.pen.strokeStyle = css("vermillion"); all.pen.lineWidth = 2;
      for (let row = 0; row < 3; row++) all.pen.strokeRect(column * tile + 1, row * step + head - 1, 8 * unit - 1, 8 * unit + 1);

      picked.textContent = `${column + 1}`;
      const hasCell = mapped.includes(prior), [cell, rivals, walls] = cells[t][column];
      const one = sheet(closer, step + (hasCell ? step + 18 : 24));
      const path = [starts[`${prior} ${t}`][column], ...paths[key][column]];
      one.line(0, `number ${column + 1}: its path from t′ = ${t} to 0`, path);
      one.image(images[column], path.length, head, 0.5);  // the greys of the path: from -2 to 2
      if (hasCell) {
        one.line(step, width < 480 ? "its cell, and who is behind its walls" : "whose cell the noise lies in, who is behind the nearest walls, and how far they are",
          [cell, ...rivals].map(k => train[k]));
        one.write("cell", 4 * unit, 2 * step + 12, true);
        walls.forEach((d, k) => one.write(d.toFixed(2), (k + 1) * tile + 4 * unit, 2 * step + 12, true));
      } else one.write(width < 480 ? "no shared noise, no cell" : "This start is not made from the shared noise, so it has no cell.", 0, step + 15);
      closer.setAttribute("aria-label", `Number ${column + 1}: five states from the start to the digit. `
        + (hasCell ? `Its noise lies in the cell of training digit ${cell}; the nearest wall is ${walls[0]} away.` : "It has no cell."));
      const copies = neighbours.filter(([, d], k) => d < nearest(images[k], test)[1]).length;
      const [sliced, floor, toTrain, toTest, fresh, share] = numbers[key];
      canvas.setAttribute("aria-label", `Eight starts at t′ = ${t}, the digits they become, and the nearest training images; `
        + `${copies} of ${images.length} are nearer to a training digit than to any held-out digit.`);
      status.innerHTML = `<p><b>${copies} of ${images.length}</b> shown digits are nearer to a training digit than to any held-out digit.</p>
        <p>Sliced <i>W</i>₂ to held-out digits <b>${sliced.toFixed(3)}</b> <span class="muted">(floor ${floor.toFixed(3)})</span>.
        Memorisation share <b>${share.toFixed(2)}</b> <span class="muted">(new digits: 0.50)</span>.</p>
        <p>Nearest training digit <b>${toTrain.toFixed(2)}</b>, nearest held-out digit <b>${toTest.toFixed(2)}</b>
        <span class="muted">(a held-out digit to its nearest training digit: ${fresh.toFixed(2)})</span>.</p>`;
    }
    slider.addEventListener("input", () => { model.set("t", times[+slider.value]); model.save_changes(); draw(); });
    picker.addEventListener("input", () => { model.set("column", +picker.value); model.save_changes(); draw(); });
    canvas.addEventListener("click", event => {
      picker.value = Math.floor(event.offsetX / tile) + 1;
      picker.dispatchEvent(new Event("input"));
    });
    model.on("change:theme", draw);
    const watcher = new ResizeObserver(() => draw());
    watcher.observe(el);
    draw();
    return () => watcher.disconnect();
  },
};
