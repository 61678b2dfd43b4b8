"""The flow map and its Jacobian by the variational equation.

Solve z' = v(z, u) and J' = Dv(z, u) J together, in float64, with an adaptive method of order eight. A smooth
transport map is optimal exactly if its Jacobian is symmetric and positive everywhere; so the antisymmetric part

    A(x) = (J - J^T) / 2

measures, point by point, how far the flow is from optimal transport. Chapter 9 teaches this module.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..errors import expect, point_cloud, within
from ..schedules import Schedule
from .field import Field, ou_time


@dataclass(frozen=True, eq=False)
class FlowStep:
    """Where the flow takes x (n, d) from time t to s, and the derivative dx_s / dx_t, jacobian (n, d, d)."""

    x: torch.Tensor
    jacobian: torch.Tensor


@dataclass(frozen=True, eq=False)
class Antisymmetry:
    """The antisymmetric part of the flow's Jacobian.

    matrices: (J - J^T)/2, shape (n, d, d), in coordinates x / sqrt(alpha^2 + sigma^2).
    rms: root mean square of its Frobenius norm over the points.
    relative: |J - J^T| / (2 |J - I|) at each point, shape (n,); 0 where the map is the identity.
    """

    matrices: torch.Tensor
    rms: float
    relative: torch.Tensor


def _solve(target, schedule: Schedule, x, t, s, tolerance: float, jacobian: bool):
    """z_s, the Jacobian in z minus I (or None), and the scales at t and s."""
    from scipy.integrate import solve_ivp

    x = point_cloud(x, "x", target.d)
    expect(0 < tolerance < 1, "tolerance", "a number in (0, 1)", tolerance)
    field = Field.of(target)
    for name, time in (("t", t), ("s", s)):
        within(time, 0.0, schedule.T, name, open_low=field.smallest == 0 and float(schedule.sigma(0.0)) == 0)
    (u, scale), (end, scale_end) = ou_time(schedule, t), ou_time(schedule, s)
    n, d = x.shape
    z = x.detach().double().cpu().numpy() / scale
    width = d * (1 + d) if jacobian else d

    def rate(time, state):
        state = state.reshape(n, width)
        if not jacobian:
            return field.velocity(time, state).ravel()
        v, gradient = field.velocity_and_gradient(time, state[:, :d])
        excess = state[:, d:].reshape(n, d, d)  # J - I
        return np.concatenate([v, (gradient + gradient @ excess).reshape(n, -1)], 1).ravel()

    start = np.concatenate([z, np.zeros((n, width - d))], 1).ravel()
    if u != end:
        solution = solve_ivp(
            rate, (u, end), start, method="DOP853", rtol=max(tolerance, 3e-14), atol=tolerance / 100, t_eval=[end]
        )
        if not solution.success:
            raise RuntimeError(f"the flow from t = {t} to {s} was not integrated: {solution.message}")
        start = solution.y[:, -1]
    state = start.reshape(n, width)
    return state[:, :d], (state[:, d:].reshape(n, d, d) if jacobian else None), scale, scale_end


def flow_map(target, schedule: Schedule, x, t, s, *, tolerance: float = 1e-10) -> torch.Tensor:
    """Where the probability flow of `target` takes x (n, d) from time t to time s, forwards or backwards.

    tolerance: of the adaptive solver (DOP853), relative; a hundredth of it absolute. Times with zero SNR stand for the
    OU time 20. Points need sigma > 0 at both ends. The result has x's dtype; the work is in float64.
    """
    z, _, _, scale = _solve(target, schedule, x, t, s, tolerance, jacobian=False)
    return torch.as_tensor(z * scale).to(point_cloud(x, "x"))


def flow_jacobian(target, schedule: Schedule, x, t, s, *, tolerance: float = 1e-10) -> FlowStep:
    """`flow_map` and its Jacobian, by the variational equation J' = Dv J."""
    z, excess, scale, scale_end = _solve(target, schedule, x, t, s, tolerance, jacobian=True)
    like = point_cloud(x, "x")
    jacobian = (excess + np.eye(target.d)) * (scale_end / scale)
    return FlowStep(torch.as_tensor(z * scale_end).to(like), torch.as_tensor(jacobian).to(like))


def antisymmetry(target, schedule: Schedule, x, t, s, *, tolerance: float = 1e-12) -> Antisymmetry:
    """(J - J^T)/2 of the flow from t to s at points x (n, d); zero everywhere if and only if the flow is optimal transport."""
    _, excess, _, _ = _solve(target, schedule, x, t, s, tolerance, jacobian=True)
    excess = torch.as_tensor(excess)
    matrices = (excess - excess.mT) / 2
    size, whole = matrices.flatten(1).norm(dim=1), excess.flatten(1).norm(dim=1)
    return Antisymmetry(matrices, float(size.square().mean().sqrt()), torch.where(whole > 0, size / whole, 0.0))
