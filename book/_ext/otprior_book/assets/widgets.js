// Brings the anywidget modules in the page to life, without a kernel and without a server.
// A module is text in the page; it is imported through a blob URL because file:// pages may not import files.
(() => {
  const root = document.documentElement;
  const theme = () => (root.dataset.theme === "dark" ? "dark" : "light");

  // The part of Backbone's model that anywidget promises: get, set, on, off, save_changes.
  class Model {
    constructor(state) {
      this.state = state;
      this.listeners = new Map();
    }
    get(key) { return this.state[key]; }
    set(key, value) {
      const changes = Object.entries(typeof key === "object" ? key : { [key]: value })
        .filter(([name, next]) => this.state[name] !== next);
      changes.forEach(([name, next]) => { this.state[name] = next; });
      changes.forEach(([name, next]) => this.emit(`change:${name}`, next));
      if (changes.length) this.emit("change");
    }
    on(events, callback) {
      for (const event of events.split(/\s+/)) this.listeners.set(event, [...(this.listeners.get(event) || []), callback]);
    }
    off(events, callback) {
      if (!events) return this.listeners.clear();
      for (const event of events.split(/\s+/))
        this.listeners.set(event, callback ? (this.listeners.get(event) || []).filter(other => other !== callback) : []);
    }
    emit(event, ...values) { (this.listeners.get(event) || []).forEach(callback => callback(this, ...values)); }
    save_changes() {}   // there is no kernel to save to
    send() {}
  }

  async function start(live) {
    const { state, module } = JSON.parse(live.querySelector(":scope > script").textContent);
    const stage = live.querySelector(":scope > .otp-stage");
    const fallback = live.querySelector(":scope > .otp-fallback");
    const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
    try {
      const model = new Model({ theme: theme(), ...state });
      new MutationObserver(() => model.set("theme", theme())).observe(root, { attributeFilter: ["data-theme"] });
      let { default: widget } = await import(url);
      if (typeof widget === "function") widget = await widget();
      await widget.initialize?.({ model });
      stage.hidden = false;           // before render: the module may measure its element
      fallback.hidden = true;
      await widget.render({ model, el: stage });
      live.dataset.state = "live";
    } catch (error) {
      stage.hidden = true;
      fallback.hidden = false;
      live.dataset.state = "failed";
      console.error(`The widget ${live.dataset.widget} did not start.`, error);
    } finally {
      URL.revokeObjectURL(url);
    }
  }

  document.querySelectorAll(".otp-live").forEach(start);
})();
