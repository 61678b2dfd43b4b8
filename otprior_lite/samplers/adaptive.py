"""The probability flow by scipy's Runge-Kutta pair RK45, which chooses its steps from an error tolerance.

In the angle phi = atan2(sigma, alpha) and y = x / sqrt(alpha^2 + sigma^2) the flow is the same for every schedule,

    dy/dphi = cos(phi) E[eps | x] - sin(phi) E[x_0 | x],

and finite where the SNR is zero. A discrete schedule has kinks in t and none in phi. Chapter 8 teaches it.
"""

import math
from collections.abc import Iterator

import torch

from ..schedules import Schedule
from .grid import CLEAN
from .steps import ddim


def flow(denoiser, schedule: Schedule, x: torch.Tensor, times: list[float], tolerance: float) -> Iterator[tuple]:
    """Yield (x at t, denoiser calls so far) for each of the decreasing `times` after the first, where x is.

    rtol = atol = tolerance, on the root mean square over all samples (as scipy has it). Beyond sigma/alpha = 0.002 on
    the way to clean data the denoised point is frozen, so the state at sigma = 0 is E[x_0 | x]. Computed in float64;
    no gradient flows through it. Raises RuntimeError where the solver gives up.
    Source: Song et al. 2021 (appendix D.4) sample with this solver; Dormand and Prince 1980.
    """
    from scipy.integrate import RK45
    from scipy.optimize import brentq

    length = lambda t: math.hypot(float(schedule.alpha(t)), float(schedule.sigma(t)))
    angle = lambda t: math.atan2(float(schedule.sigma(t)), float(schedule.alpha(t)))
    state = lambda t, y: (length(t) * torch.as_tensor(y)).to(x).reshape(x.shape)
    start, end = angle(times[0]), angle(times[-1])
    stop = end if end > 0 else min(start, math.atan(math.exp(-CLEAN / 2)))

    def time_at(phi: float) -> float:
        if phi >= start or phi <= end:
            return times[0] if phi >= start else times[-1]
        return brentq(lambda t: angle(t) - phi, times[-1], times[0], xtol=1e-15, rtol=1e-14)

    def speed(phi, y):
        t = time_at(phi)
        D = denoiser(state(t, y), t).detach().double().cpu().reshape(-1).numpy()
        return math.cos(phi) * (y - math.cos(phi) * D) / math.sin(phi) - math.sin(phi) * D

    def advance(solver, phi):
        while solver.status == "running" and solver.t > phi:
            message = solver.step()
            if solver.status == "failed":
                raise RuntimeError(f"RK45 gave up at t = {time_at(solver.t):g}: {message}")

    y, calls, clean = (x.detach().double() / length(times[0])).cpu().reshape(-1).numpy(), 0, times[0]
    if start > stop:
        solver = RK45(speed, start, y, stop, rtol=tolerance, atol=tolerance)
        for t in (t for t in times[1:] if angle(t) >= stop):
            advance(solver, angle(t))
            yield state(t, solver.dense_output()(angle(t))), solver.nfev
        advance(solver, stop)
        y, calls, clean = solver.y, solver.nfev, time_at(stop)
    late = [t for t in times[1:] if angle(t) < stop]
    if late:
        x = state(clean, y)
        D = denoiser(x, clean)
        for t in late:
            yield ddim(schedule, x, D, clean, t), calls + 1
