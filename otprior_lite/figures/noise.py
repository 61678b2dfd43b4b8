"""Figures of chapter 2: log-SNR of every schedule, zero-SNR rescaling, and a mixture on its way to noise."""

import math

from ..experiments.noise import Passage, Rescaling, SnrCurve
from .style import canvas, palette

_LEFT = ("OU, T = 3", "VP", "sub-VP", "DDPM linear", "Stable Diffusion")
_FLOOR = -27.0  # where an end at minus infinity is drawn
_DASHES = ("-", "--", "-.", (0, (1, 1.2)), (0, (5, 1, 1, 1, 1, 1)), (0, (7, 2)))


def _number(value: float) -> str:
    """A log-SNR as text with a real minus sign."""
    text = f"{abs(value):.1f}" if math.isfinite(value) else "∞"
    return f"−{text}" if value < 0 else text


def log_snr(theme: str, results: list[SnrCurve], stacked: bool = False):
    """Log-SNR against t/T in two panels; a dot marks a finite end, a triangle an end at minus infinity.

    stacked: one panel above the other, for a phone.
    """
    left = [curve for curve in results if curve.label in _LEFT]
    right = [curve for curve in results if curve.label not in _LEFT]
    colours = palette(theme).cycle
    with canvas(theme, *((3.6, 9.2) if stacked else (7, 4.9))) as figure:
        for axes, group in zip(figure.subplots(*((2, 1) if stacked else (1, 2)), sharey=True), (left, right)):
            infinite = [curve.label for curve in group if not math.isfinite(curve.log_snr_T)]
            for curve, colour, dash in zip(group, colours, _DASHES):
                height = 1.7 * infinite.index(curve.label) if curve.label in infinite else 0.0
                _draw_curve(axes, curve, colour, dash, _FLOOR + height)
            axes.set(xlabel="$t/T$", xlim=(0, 1.03), ylim=(_FLOOR - 1, 13))
            axes.axhline(0, color=palette(theme).grid, zorder=0)
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), fontsize=10, handlelength=2.6)
            if stacked or group is left:
                axes.set_ylabel("log-SNR  $\\lambda_t$")
    return figure


def _draw_curve(axes, curve: SnrCurve, colour, dash, floor: float) -> None:
    finite = math.isfinite(curve.log_snr_T)
    label = f"{curve.label}: {_number(curve.log_snr_T)}"
    axes.plot(curve.fraction, curve.log_snr, color=colour, linestyle=dash, linewidth=1.8, label=label)
    end, marker = (curve.log_snr_T, "o") if finite else (floor, "v")
    axes.plot([1.0], [end], marker, color=colour, markersize=6, clip_on=False)


def zero_snr(theme: str, results: Rescaling, stacked: bool = False):
    """First: log-SNR before and after the rescaling. Second: how much an error of the network grows."""
    colour, steps = palette(theme), results.step
    with canvas(theme, *((3.6, 6.4) if stacked else (7, 3.5))) as figure:
        left, right = figure.subplots(*((2, 1) if stacked else (1, 2)))
        left.axhspan(-18, float(results.log_snr[-1]), color=colour.grid, alpha=0.6, linewidth=0)
        left.plot(steps, results.log_snr, color=colour.vermillion, label="published")
        left.plot(steps, results.log_snr_rescaled, color=colour.blue, linestyle="--", label="rescaled")
        left.plot(steps[-1:], results.log_snr[-1:], "o", color=colour.vermillion)
        left.plot(steps[-1:], [-17.5], "v", color=colour.blue, clip_on=False)
        left.text(30, -11.5, "SNR never seen\nin training", color=colour.ink, fontsize=10, va="center")
        left.set(xlabel="step", ylabel="log-SNR  $\\lambda_t$", ylim=(-18, 8), xlim=(0, 1020))
        left.legend(loc="upper right", fontsize=10)

        right.plot(steps, results.amplify_noise, color=colour.vermillion, label="noise, published")
        right.plot(steps[:-1], results.amplify_noise_rescaled[:-1], color=colour.blue, linestyle="--", label="noise, rescaled")
        right.plot(steps, results.amplify_velocity_rescaled, color=colour.green, linestyle="-.", label="velocity, rescaled")
        right.plot(steps[-1:], [3000], "^", color=colour.blue, clip_on=False)
        right.set(xlabel="step", ylabel="error of $\\hat x_0$ per unit error", yscale="log", ylim=(0.02, 3000), xlim=(0, 1020))
        right.legend(loc="upper left", fontsize=10, handlelength=1.8)
    return figure


def passage(theme: str, results: Passage):
    """Densities of p_t at four times, each with the prior's."""
    colour = palette(theme)
    with canvas(theme, 7, 2.2) as figure:
        panels = figure.subplots(1, len(results.fractions), sharey=True)
        for axes, share, density in zip(panels, results.fractions, results.densities):
            axes.fill_between(results.x, density, color=colour.blue, alpha=0.35, linewidth=0)
            axes.plot(results.x, density, color=colour.blue, label="$p_t$")
            axes.plot(results.x, results.prior, color=colour.vermillion, linestyle="--", label="prior")
            axes.set(xlabel="$x$", yticks=[], ylim=(0, None))
            axes.set_title("$t = 0$" if share == 0 else "$t = T$" if share == 1 else f"$t = {share:g}\\,T$")
        panels[-1].legend(fontsize=10, loc="upper left", handlelength=1.2, borderaxespad=0)
        panels[0].set_ylabel("density")
    return figure
