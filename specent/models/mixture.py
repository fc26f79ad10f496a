r"""The exact denoisers of a Gaussian mixture.

A component :math:`N(m, v I)` has the denoiser :math:`D(x, \sigma) = m + \frac{v}{v + \sigma^2}(x - m)`; those of a
label and of the whole mixture are averages over its components under their posterior.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from specent import arguments
from specent.errors import ModelError
from specent.models.exact_model import ExactModel

if TYPE_CHECKING:
    from specent.exact import GaussianMixture

_LARGEST = 10_000_000


class MixtureModel(ExactModel):
    """Denoisers of a `specent.exact.GaussianMixture`; see `mixture`."""

    exact: ClassVar[bool] = True

    def __init__(self, source: GaussianMixture, device: torch.device | None = None) -> None:
        if source.dimension > _LARGEST:
            raise ModelError(
                f"dimension={source.dimension} is too large to sample; specent.exact.profiles works at any dimension"
            )
        super().__init__(source.labels, (source.dimension,), source.label_prior)
        self.source = source
        self.device = device or torch.device("cpu")
        means = torch.zeros(len(source.weights), source.dimension, dtype=torch.float64)
        means[:, : source.means.shape[1]] = torch.tensor(source.means)
        self.means = means.to(self.device)
        self.variances = torch.tensor(source.variances, dtype=torch.float64, device=self.device)
        self.log_weights = torch.log(torch.tensor(source.weights, dtype=torch.float64, device=self.device))
        member = [[name == label for name in source.component_labels] for label in source.labels]
        # row K is the null condition: every component
        self.member = torch.tensor([*member, [True] * len(source.component_labels)], device=self.device)
        self.first = self.member.to(torch.uint8).argmax(1)
        self.several = self.member.sum(1) > 1

    @property
    def identity(self) -> dict[str, Any]:
        return {"name": "gaussian_mixture", **self.source.identity}

    def to(self, device: torch.device) -> MixtureModel:
        return MixtureModel(self.source, device)

    def component_log_density(self, x: Tensor, sigma: float) -> Tensor:
        """Weighted log-density of each component at the states, shape (batch, components), without 2 pi."""
        spread = self.variances + sigma**2
        square = (x * x).sum(-1, keepdim=True) - 2 * x @ self.means.T + (self.means**2).sum(-1)
        density: Tensor = self.log_weights - 0.5 * square / spread - 0.5 * self.shape[0] * torch.log(spread)
        return density

    def log_density(self, x: Tensor, sigma: float) -> Tensor:
        """Log-density of the states given each label, shape (batch, labels), up to a shared constant."""
        weighted = self.component_log_density(x.to(self.means.dtype), sigma)
        prior = torch.as_tensor(self.label_prior, dtype=weighted.dtype, device=self.device)
        if not self.several[:-1].any():
            # of many labels a mask of labels by components would be most of the memory
            return weighted[:, self.first[:-1]] - torch.log(prior)
        masked = torch.where(self.member[:-1], weighted[:, None, :], -torch.inf)
        return torch.logsumexp(masked, dim=-1) - torch.log(prior)

    def moments(self, x: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
        """Log-density and denoiser of every label, see `ExactModel.moments`."""
        return self.log_density(x, sigma), self.candidates(x, sigma, torch.arange(len(self.labels), device=x.device))

    def draw_data(self, drivers: Tensor, generator: torch.Generator) -> Tensor:
        """Data of the given classes, see `ExactModel.draw_data`."""
        pick = torch.rand(len(drivers), generator=generator, dtype=torch.float64)
        share = torch.exp(self.log_weights.cpu()) * self.member[:-1].cpu()
        component = torch.searchsorted(torch.cumsum(share, 1)[drivers], (pick * share.sum(1)[drivers])[:, None])[:, 0]
        spread = torch.randn(len(drivers), self.shape[0], generator=generator, dtype=torch.float64)
        component = component.to(self.device)
        return self.means[component] + self.variances[component].sqrt()[:, None] * spread.to(self.device)

    def denoise(self, x: Tensor, sigma: float, condition: Tensor) -> Tensor:
        state = x.to(self.means.dtype)
        return self._mixed(state, sigma, self.component_log_density(state, sigma), self.member[condition])

    def candidates(self, x: Tensor, sigma: float, conditions: Tensor) -> Tensor:
        state = x.to(self.means.dtype)
        # of most mixtures every label has one component, whose denoiser needs no weights
        component = self.first[conditions]
        shrink = self.variances / (self.variances + sigma**2)
        centre = ((1 - shrink)[:, None] * self.means)[component]
        denoised = torch.addcmul(centre, shrink[component][:, None], state[:, None])
        several = torch.nonzero(self.several[conditions])[:, 0].tolist()
        if several:
            weighted = self.component_log_density(state, sigma)
            for i in several:
                denoised[:, i] = self._mixed(state, sigma, weighted, self.member[conditions[i]])
        return denoised

    def pairs(self, x: Tensor, sigma: float, rows: Tensor, conditions: Tensor) -> Tensor:
        state = x.to(self.means.dtype)
        component = self.first[conditions]
        shrink = self.variances / (self.variances + sigma**2)
        centre = ((1 - shrink)[:, None] * self.means)[component]
        denoised = torch.addcmul(centre, shrink[component][:, None], state[rows])
        several = torch.nonzero(self.several[conditions])[:, 0]
        if len(several):
            weighted = self.component_log_density(state, sigma)[rows[several]]
            member = self.member[conditions[several]]
            denoised[several] = self._mixed(state[rows[several]], sigma, weighted, member)
        return denoised

    def _mixed(self, state: Tensor, sigma: float, weighted: Tensor, member: Tensor) -> Tensor:
        """Average the denoisers of the components allowed by `member`, shape (components,) or (batch, components)."""
        shrink = self.variances / (self.variances + sigma**2)
        weight = torch.softmax(torch.where(member, weighted, -torch.inf), dim=-1)
        mixed: Tensor = weight @ ((1 - shrink)[:, None] * self.means) + (weight @ shrink)[:, None] * state
        return mixed


def mixture(source: GaussianMixture) -> MixtureModel:
    """The exact class-conditional denoisers of a Gaussian mixture.

    Parameters
    ----------
    source : GaussianMixture
        The mixture; its labels become the class labels.

    Returns
    -------
    MixtureModel
        In double precision.

    Raises
    ------
    ModelError
        If `source` is no mixture or its dimension is too large to be sampled.

    Examples
    --------
    >>> import specent as sp, torch
    >>> model = sp.models.mixture(sp.exact.GaussianMixture([[-1.0], [1.0]]))
    >>> model.denoise(torch.zeros(1, 1), 1.0, torch.tensor([1])).item()
    0.5
    """
    from specent.exact import GaussianMixture

    arguments.instance(source, GaussianMixture, "source", "pass a specent.exact.GaussianMixture", error=ModelError)
    return MixtureModel(source)
