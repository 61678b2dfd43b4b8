"""The network of `Learned`: an invertible map whose density is known.

Layers change half of the coordinates, the odd or the even ones, by monotone functions that the other half chooses, so
the Jacobian is triangular, inverse and determinant are cheap, and the density of x = f^{-1}(z), z ~ N(0, I), is explicit:

    log q(x) = log N(f(x); 0, I) + log |det Df(x)|.

The monotone functions are rational-quadratic splines, or affine in many dimensions; in one dimension there is no other
half, and the splines are free. Made with zuko (extra "flows"). Chapter 8 teaches this module.
"""

import math

import torch

from ..errors import count, expect, known, optional
from ..randomness import check_generator

KINDS = {"spline": "NSF", "affine": "MAF"}


class Flow(torch.nn.Module):
    """An invertible network f of vectors (n, d), the identity until it is trained.

    kind: "spline" (inside [-5, 5], the identity outside) or "affine", which needs d >= 2. transforms: layers; hidden:
    widths of the network in each. generator: of the initial weights. Source: Dinh et al. 2017; Durkan et al. 2019.
    """

    def __init__(self, d: int, kind: str, transforms: int = 4, hidden: tuple[int, ...] = (64, 64), *, generator=None):
        super().__init__()
        zuko = optional("zuko", "flows")
        known(kind, KINDS, "kind")
        expect(count(d, "d") > 1 or kind == "spline", "kind", "'spline' in one dimension", kind)
        self.design = {"d": d, "kind": kind, "transforms": count(transforms, "transforms"), "hidden": [*hidden]}
        with torch.random.fork_rng(devices=[]):  # its layers draw from the global generator; ours replaces that draw
            self.layers = getattr(zuko.flows, KINDS[kind])(d, 0, transforms=transforms, passes=2, hidden_features=tuple(hidden))
        order = torch.cat([torch.arange(0, d, 2), torch.arange(1, d, 2)])
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("inverse", order.argsort(), persistent=False)
        if generator is not None:
            self._begin(check_generator(generator))

    @torch.no_grad()
    def _begin(self, generator: torch.Generator) -> None:
        """Every layer is the identity: its last weights are zero, the others random."""
        for layer in self.layers.transform.transforms:
            linear = [part for part in layer.modules() if isinstance(part, torch.nn.Linear)]
            for part in linear[:-1]:
                for weight in (part.weight, part.bias):
                    draw = torch.rand(weight.shape, generator=generator, device=generator.device)
                    weight.copy_((2 * draw - 1) / math.sqrt(part.in_features))
            for weight in linear[-1].parameters() if linear else layer.parameters():
                weight.zero_()

    @classmethod
    def restore(cls, design: dict, state: dict[str, torch.Tensor]) -> "Flow":
        """The flow with this design and these weights."""
        flow = cls(**design)
        flow.to(next(value.dtype for value in state.values() if value.is_floating_point())).load_state_dict(state)
        return flow.eval()

    def log_prob(self, x: torch.Tensor) -> torch.Tensor:
        """log q(x) (n,) of x (n, d)."""
        z, log_det = self.layers().transform.call_and_ladj(x[:, self.order])
        return -0.5 * z.square().sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi) + log_det

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """f^{-1}(z), shape (n, d)."""
        return self.layers().transform.inv(z[:, self.order])[:, self.inverse]
