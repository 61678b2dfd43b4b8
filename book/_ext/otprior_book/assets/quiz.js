// A chosen answer opens its reason; a question with several right answers is judged when it is checked.
(() => {
  for (const question of document.querySelectorAll(".otp-question")) {
    const options = [...question.querySelectorAll(".otp-option")].map(element => ({
      element, input: element.querySelector("input"), why: element.querySelector("details"), right: "right" in element.dataset,
    }));
    const verdict = question.querySelector(".otp-verdict");
    const judge = option => {
      option.element.dataset.judged = option.right ? "right" : "wrong";
      option.why.open = true;
    };
    const clear = () => {
      for (const { element, why } of options) { delete element.dataset.judged; why.open = false; }
      verdict.textContent = "";
    };
    question.dataset.state = "live";
    options.forEach(({ input }) => { input.disabled = false; });

    if (question.dataset.choose === "one") {
      options.forEach(option => option.input.addEventListener("change", () => {
        clear();
        judge(option);
        verdict.textContent = option.right ? "Right." : "Not this one; try another.";
      }));
    } else {
      const check = question.querySelector("button");
      options.forEach(option => option.input.addEventListener("change", clear));
      check.hidden = false;
      check.addEventListener("click", () => {
        clear();
        const chosen = options.filter(option => option.input.checked);
        const missing = options.filter(option => option.right && !option.input.checked).length;
        chosen.forEach(judge);
        verdict.textContent = !chosen.length ? "Choose at least one."
          : chosen.some(option => !option.right) ? "Not all of these."
          : missing ? `Right so far; ${missing} more to find.` : "Right, that is all of them.";
      });
    }
  }
})();
