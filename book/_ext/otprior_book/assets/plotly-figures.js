// Draws the plotly figures of the page, in the colours of its theme.
(() => {
  const root = document.documentElement;
  const colour = name => getComputedStyle(root).getPropertyValue(`--otp-${name}`).trim();

  function themed(layout) {
    const update = {
      colorway: ["blue", "vermillion", "green", "purple", "orange", "muted"].map(colour),
      "font.color": colour("ink"), paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      "legend.bgcolor": "rgba(0,0,0,0)", "hoverlabel.bgcolor": colour("bg"), "hoverlabel.font.color": colour("ink"),
    };
    const axes = new Set(["xaxis", "yaxis", ...Object.keys(layout).filter(key => /^[xy]axis\d*$/.test(key))]);
    for (const axis of axes)
      for (const part of ["gridcolor", "zerolinecolor", "linecolor"]) update[`${axis}.${part}`] = colour("grid");
    for (const kind of ["sliders", "updatemenus"])
      (layout[kind] || []).forEach((_, i) => {
        update[`${kind}[${i}].bgcolor`] = colour("grid");
        update[`${kind}[${i}].bordercolor`] = colour("muted");
        update[`${kind}[${i}].font.color`] = colour("ink");
      });
    return update;
  }

  async function draw(div) {
    const { data, layout, frames } = JSON.parse(div.querySelector("script").textContent);
    div.replaceChildren();
    layout.font = { family: getComputedStyle(div).fontFamily, size: 13, ...layout.font };
    layout.margin = { l: 56, r: 12, t: 24, b: 48, ...layout.margin };
    await Plotly.newPlot(div, { data, layout, frames, config: { responsive: true, displaylogo: false } });
    const follow = () => Plotly.relayout(div, themed(div.layout));
    await follow();
    new MutationObserver(follow).observe(root, { attributeFilter: ["data-theme"] });
    div.dataset.state = "live";
  }

  document.querySelectorAll(".otp-plotly[aria-label]").forEach(draw);
})();
