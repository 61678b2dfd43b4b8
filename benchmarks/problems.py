"""The point clouds of the comparison, each from a fixed seed.

`digits` are 1,500 of the 8 x 8 digits. `images` are 3 x 16 x 16 fields made up for this purpose: ten class means and
a variation within the class, both with a spectrum that falls like that of pictures, squashed to [-1, 1]. The noised
version of a cloud is what the forward process makes of it at alpha = 0.5. `moons` is a toy in the plane.

    x = tanh(0.8 (m_c + e)),  m_c, e ~ N(0, U diag(s^2) U^T),  s_i ~ i^{-3/4},  |s|^2 = d/2;   y = x / 2 + sqrt(3/4) z.
"""

from dataclasses import dataclass

import torch

from otprior_lite import data, targets


@dataclass(frozen=True)
class Cloud:
    """How to make a cloud: kind, number of atoms, noised or not."""

    kind: str
    atoms: int
    noised: bool = False

    @property
    def name(self) -> str:
        return f"{self.kind} N={self.atoms}" + (" noised" if self.noised else "")

    def points(self) -> torch.Tensor:
        """The centred atoms (N, d): float32, in the plane float64."""
        generator = torch.Generator().manual_seed(2024)
        x = {"digits": _digits, "images": _images, "cifar-like": _cifar_like, "moons": _moons}[self.kind](self.atoms, generator)
        if self.noised:
            x = 0.5 * x + 0.75**0.5 * torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return x - x.mean(0)


def _digits(atoms, generator):
    x = data.load("digits").flat
    return x[torch.randperm(len(x), generator=generator)[:atoms]]


def _images(atoms, generator, d=768, classes=10):
    basis = torch.linalg.qr(torch.randn(d, d, generator=generator)).Q
    spectrum = torch.arange(1, d + 1).float() ** -0.75
    spectrum *= (d / 2) ** 0.5 / spectrum.norm()
    field = lambda n: (torch.randn(n, d, generator=generator) * spectrum) @ basis.T
    means = field(classes)
    return torch.tanh(0.8 * (means[torch.randint(classes, (atoms,), generator=generator)] + field(atoms)))


def _cifar_like(atoms, generator):
    return _images(atoms, generator, d=3072)


def _moons(atoms, generator):
    return targets.toy("moons").sample(atoms, generator).double()
