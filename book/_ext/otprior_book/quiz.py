"""The `{quiz}` directive: questions that answer at once, without a server.

Every option carries the reason why it is right or wrong. With JavaScript a choice opens its reason; without it, and for a
screen reader, each reason is an ordinary fold beside its option. The order is the one written.
"""

import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective

ASSETS = "otp-quiz"


class Quiz(SphinxDirective):
    """A list of questions in YAML: `ask`, and `options` with `text`, `why` and, where it holds, `right: true`."""

    has_content = True

    def run(self):
        try:
            questions = parse("\n".join(self.content))
        except ValueError as problem:
            raise self.error(f"quiz: {problem}") from problem
        serial = self.env.new_serialno("quiz")
        quiz = nodes.container(classes=[ASSETS])
        for index, question in enumerate(questions):
            quiz += self._question(question, f"quiz-{serial}-{index}")
        return [quiz]

    def _question(self, question, group):
        one = sum(option["right"] for option in question["options"]) == 1
        hint = "" if one else '<p class="otp-hint">Choose all that are true.</p>'
        parts = [
            _html(f'<fieldset class="otp-question" data-choose="{"one" if one else "all"}"><legend>'),
            *self._inline(question["ask"]),
            _html(f"</legend>{hint}"),
        ]
        for index, option in enumerate(question["options"]):
            kind, key = ("radio" if one else "checkbox"), f"{group}-{index}"
            right = option["right"]
            parts += [
                _html(
                    f'<div class="otp-option"{" data-right" if right else ""}>'
                    f'<input type="{kind}" id="{key}" name="{group}" autocomplete="off" disabled><label for="{key}">'
                ),
                *self._inline(option["text"]),
                _html(
                    f'</label><details class="otp-why"><summary>Answer</summary><p><strong>{"True" if right else "False"}.</strong> '
                ),
                *self._inline(option["why"]),
                _html("</p></details></div>"),
            ]
        button = "" if one else '<button type="button" class="otp-check" hidden>Check</button>'
        parts.append(_html(f'{button}<p class="otp-verdict" role="status"></p></fieldset>'))
        return parts

    def _inline(self, text):
        """One line of MyST as nodes."""
        found, messages = self.state.inline_text(text, self.lineno)
        return [*found, *messages]


def parse(text):
    """The questions of a quiz, complete and checked; `ValueError` says what is missing where."""
    try:
        questions = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise ValueError(f"expected YAML, got {problem}") from problem
    if not isinstance(questions, list) or not questions:
        raise ValueError("expected a list of questions")
    return [_checked(question, f"question {number}") for number, question in enumerate(questions, 1)]


def _checked(question, where):
    if not isinstance(question, dict) or not question.get("ask") or not isinstance(question.get("options"), list):
        raise ValueError(f"{where}: expected 'ask' and a list of 'options', got {question!r}")
    options = []
    for option in question["options"]:
        if not isinstance(option, dict) or "text" not in option or not option.get("why"):
            raise ValueError(f"{where}: expected each option to have 'text' and 'why', got {option!r}")
        unknown = set(option) - {"text", "why", "right"}
        if unknown or not isinstance(option.get("right", False), bool):
            raise ValueError(f"{where}: expected 'text', 'why' and 'right: true', got {option!r}")
        options.append({"text": str(option["text"]), "why": str(option["why"]), "right": option.get("right", False)})
    if not any(option["right"] for option in options) or len(options) < 2:
        raise ValueError(f"{where}: expected two options or more, one of them with 'right: true'")
    return {"ask": str(question["ask"]), "options": options}


def setup(app):
    """Add the directive."""
    app.add_directive("quiz", Quiz)


def _html(text):
    return nodes.raw("", text, format="html")
