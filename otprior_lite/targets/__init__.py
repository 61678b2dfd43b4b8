"""Targets: data laws p_0 whose diffusion is known exactly. Chapter 1 draws them, chapter 2 diffuses them."""

from .mixture import Empirical, GaussianMixture
from .quantiles import cdf, normal_to
from .toys import names, toy

__all__ = ["Empirical", "GaussianMixture", "cdf", "names", "normal_to", "toy"]
