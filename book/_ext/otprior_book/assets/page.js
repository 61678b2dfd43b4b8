// On paper: the light theme, and every folded part open. Afterwards: as the reader had it.
(() => {
  let restore = [];
  const set = (target, key, value) => {
    const before = target[key];
    target[key] = value;
    restore.push(() => { target[key] = before; });
  };
  addEventListener("beforeprint", () => {
    set(document.documentElement.dataset, "theme", "light");
    document.querySelectorAll("details:not([open])").forEach(details => set(details, "open", true));
  });
  addEventListener("afterprint", () => { restore.reverse().forEach(undo => undo()); restore = []; });
})();
