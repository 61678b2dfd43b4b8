"""Samplers: run the reverse process from any start, at any time t_start, with any denoiser.

The probability flow dx = v(x, t) dt and the reverse SDE dx = (f x - g^2 score) dt + g dB have the same
marginals when both start from p_t. They differ in what they do with a wrong start: the flow keeps it, the
SDE forgets part of it. One step of DDIM from t to s is exact while the denoised point stays put:

    x_s = alpha_s D + sigma_s (x_t - alpha_t D) / sigma_t,    D = E[x_0 | x_t].

`grid` chooses the times, `steps` holds one step of each method, `adaptive` lets an error tolerance choose, `run`
puts them together. Chapters 1, 4 and 8 teach this package.
"""

from .grid import SPACINGS, time_grid
from .run import METHODS, State, sample, trajectory

__all__ = ["sample", "trajectory", "time_grid", "State", "METHODS", "SPACINGS"]
