r"""Gaussian mixtures with isotropic components, the model in which every quantity of the package is known.

Component k has weight :math:`w_k`, mean :math:`m_k` and variance :math:`v_k`; one class label may own several
components. Through the channel :math:`x = \alpha x_0 + \sigma\varepsilon` it stays a mixture, of
:math:`N(\alpha m_k, (\alpha^2 v_k + \sigma^2) I)`, so the posterior of the label is closed (arXiv 2402.18491).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from specent import arguments, evidence
from specent.arguments import brief
from specent.errors import SpecentError
from specent.partitions import Partition
from specent.schema import NULL

Array = NDArray[np.float64]

# up to this many numbers are written out in the provenance of a dataset, longer arrays by their SHA-256
_SHOWN = 64
# the fourth power of what is larger, over a small noise variance, leaves double precision
_LARGEST = 1e30


@dataclass(frozen=True, init=False, eq=False)
class GaussianMixture:
    """A mixture of isotropic Gaussian components that carry class labels.

    Parameters
    ----------
    means : array_like, shape (K, d')
        Means of the components, none beyond 1e30.
    variance : float or array_like, shape (K,)
        Variance of each component along every coordinate, from 1e-100 to 1e30.
    weights : array_like, shape (K,), optional
        Probabilities of the components, uniform by default.
    labels : sequence of str or int, length K, optional
        Class label of each component; several may share one. "0", "1", ... by default.
    dimension : int, optional
        Ambient dimension d, at least d'; the remaining coordinates of every mean are zero. d' by default. No array of
        this size is needed, so 2**40 costs no more than 4.

    Attributes
    ----------
    means : ndarray, shape (K, d')
    variances : ndarray, shape (K,)
    weights : ndarray, shape (K,)
    component_labels : tuple of str
        Label of each component.
    labels : tuple of str
        The different labels, in order of first appearance.
    label_prior : ndarray, shape (labels,)
        Sum of the weights of each label.
    dimension : int

    Raises
    ------
    SpecentError
        If an argument holds no numbers, a mean is not finite, a variance not positive, the weights are no distribution,
        a length does not fit, or a label is no name or called "null".

    Examples
    --------
    >>> mix = GaussianMixture([[-1.0], [0.0], [1.0]], labels=["a", "b", "a"])
    >>> mix.labels, mix.label_prior.round(3).tolist()
    (('a', 'b'), [0.667, 0.333])
    """

    means: Array
    variances: Array
    weights: Array
    component_labels: tuple[str, ...]
    labels: tuple[str, ...]
    label_prior: Array
    dimension: int

    def __init__(
        self,
        means: ArrayLike,
        variance: ArrayLike = 1.0,
        weights: ArrayLike | None = None,
        labels: Sequence[str] | None = None,
        dimension: int | None = None,
    ) -> None:
        centres = _checked_means(means)
        count = len(centres)
        share = _checked_weights(weights, count)
        names = _checked_labels(labels, count)
        unique = tuple(dict.fromkeys(names))
        prior = np.bincount(_label_indices(unique, names), share, len(unique))
        fields: dict[str, Any] = {
            "means": centres,
            "variances": _checked_variances(variance, count),
            "weights": share,
            "component_labels": names,
            "labels": unique,
            "label_prior": prior,
            "dimension": _checked_dimension(dimension, centres.shape[1]),
        }
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)
            object.__setattr__(self, name, value)

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the numbers, as JSON serialisable values; long arrays stand as their SHA-256."""
        return {
            "means": _shown(self.means),
            "variances": _shown(self.variances),
            "weights": _shown(self.weights),
            "component_labels": list(self.component_labels),
            "dimension": self.dimension,
        }

    def __eq__(self, other: object) -> bool:
        return isinstance(other, GaussianMixture) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)

    @property
    def _key(self) -> tuple[Any, ...]:
        arrays = (self.means, self.variances, self.weights)
        return (*(array.tobytes() for array in arrays), self.means.shape, self.component_labels, self.dimension)

    def log_density(self, x: ArrayLike, alpha: float, sigma: float) -> Array:
        r"""Natural logarithm of the density of each component at noisy states, weight not included.

        Parameters
        ----------
        x : array_like, shape (..., d)
            States :math:`\alpha x_0 + \sigma\varepsilon`.
        alpha, sigma : float
            Scale of the signal, positive, and standard deviation of the noise, not negative.

        Returns
        -------
        ndarray, shape (..., K)

        Raises
        ------
        SpecentError
            If the last axis of `x` is not the dimension of the mixture, or alpha or sigma is out of range.

        Examples
        --------
        >>> GaussianMixture([[0.0]]).log_density([[0.0]], alpha=1.0, sigma=0.0).round(4).tolist()
        [[-0.9189]]
        """
        state = arguments.array(x, "x")
        if state.ndim == 0 or state.shape[-1] != self.dimension:
            raise SpecentError(f"x has shape {state.shape}; its last axis must be the dimension {self.dimension}")
        if not (np.abs(state) <= 1e100).all():
            raise SpecentError("x holds NaN, infinity or numbers beyond 1e100; every state must be finite")
        alpha = arguments.number(alpha, "alpha", least=1e-100, most=1e100)
        sigma = arguments.number(sigma, "sigma", least=0, most=1e100)
        spread = alpha**2 * self.variances + sigma**2
        named = self.means.shape[1]
        offset = state[..., None, :named] - alpha * self.means
        rest = np.sum(state[..., named:] ** 2, axis=-1)[..., None]
        square = np.sum(offset**2, axis=-1) + rest
        return np.asarray(-0.5 * square / spread - 0.5 * self.dimension * np.log(2 * np.pi * spread))

    def posterior(self, x: ArrayLike, alpha: float, sigma: float, partition: Partition) -> Array:
        """Posterior probability of the sides of a partition given noisy states.

        Parameters
        ----------
        x : array_like, shape (..., d)
            States.
        alpha, sigma : float
            Scale of the signal and standard deviation of the noise.
        partition : Partition
            The partition; everything is conditioned on the labels it covers.

        Returns
        -------
        ndarray, shape (..., sides)
            Summing to 1 over the last axis.

        Raises
        ------
        PartitionError
            If the partition uses a label the mixture does not have.
        SpecentError
            If the states do not fit the mixture, or alpha or sigma is out of range.

        Examples
        --------
        >>> mix = GaussianMixture([[-1.0], [1.0]])
        >>> mix.posterior([[0.0], [1.0]], 1.0, 1.0, Partition.full(mix.labels)).round(4).tolist()
        [[0.5, 0.5], [0.2689, 0.7311]]
        """
        weights = component_weights(self, partition)
        log_side, _ = evidence.posterior(self.log_density(x, alpha, sigma), evidence.log_weights(weights[None]))
        return np.asarray(np.exp(log_side[..., 0, :]))


def component_weights(mix: GaussianMixture, partition: Partition, null: bool = False) -> Array:
    """Joint probability of side and component under the partition, shape (sides, K), summing to 1.

    With `null`, all components follow once more as those of the null condition, shape (sides, 2K).

    Raises
    ------
    PartitionError
        If the partition uses a label the mixture does not have, or gives weight to one without prior.

    Examples
    --------
    >>> mix = GaussianMixture([[0.0], [1.0], [2.0]], labels=["a", "a", "b"])
    >>> component_weights(mix, Partition.pair("a", "b")).tolist()
    [[0.25, 0.25, 0.0], [0.0, 0.0, 0.5]]
    """
    hint = "give a specent.Partition, for example Partition.full(mix.labels)"
    arguments.instance(partition, Partition, "partition", hint)
    owner = _label_indices(mix.labels, mix.component_labels)
    prior = mix.label_prior[owner]
    within = np.divide(mix.weights, prior, out=np.zeros_like(prior), where=prior > 0)
    if not null:
        return np.asarray(partition.weights(mix.labels, mix.label_prior)[:, owner] * within)
    joint = partition.weights([*mix.labels, NULL], [*mix.label_prior, 0.0])
    return np.hstack([joint[:, owner] * within, joint[:, -1:] * mix.weights])


def _label_indices(labels: tuple[str, ...], component_labels: tuple[str, ...]) -> NDArray[np.intp]:
    """Index among the labels of the label of every component."""
    index = {label: i for i, label in enumerate(labels)}
    return np.array([index[label] for label in component_labels], dtype=np.intp)


def _checked_means(means: ArrayLike) -> Array:
    centres = arguments.array(means, "means")
    if centres.ndim != 2 or 0 in centres.shape:
        raise SpecentError(f"means has shape {centres.shape}; it must be (components, coordinates), as [[-1.0], [1.0]]")
    if not np.isfinite(centres).all():
        bad = int(np.argmin(np.isfinite(centres).all(axis=1)))
        raise SpecentError(f"means[{bad}]={brief(centres[bad].tolist())} is not finite; every mean must be")
    if np.abs(centres).max() > _LARGEST:
        bad = int(np.argmax(np.abs(centres).max(axis=1)))
        raise SpecentError(
            f"means[{bad}]={brief(centres[bad].tolist())} is beyond {_LARGEST:g}; divide all means by one number"
        )
    return centres


def _checked_variances(variance: ArrayLike, count: int) -> Array:
    values = arguments.array(variance, "variance")
    if values.shape not in ((), (count,)):
        raise SpecentError(f"variance has shape {values.shape}; give one number or one per component, ({count},)")
    if not ((values >= 1e-100) & (values <= _LARGEST)).all():
        raise SpecentError(f"variance={brief(values.tolist())} must be positive, from 1e-100 to {_LARGEST:g}")
    return np.array(np.broadcast_to(values, (count,)))


def _checked_weights(weights: ArrayLike | None, count: int) -> Array:
    if weights is None:
        return np.full(count, 1 / count)
    values = arguments.array(weights, "weights")
    if values.shape != (count,):
        raise SpecentError(f"weights has shape {values.shape}; give one per component, ({count},)")
    if not ((values >= 0) & (values <= _LARGEST)).all():
        raise SpecentError(f"weights={brief(values.tolist())} must be finite and not negative")
    if abs(values.sum() - 1) > 1e-9:
        raise SpecentError(f"weights={brief(values.tolist())} sum to {values.sum():.12g}; divide them by their sum")
    return values


def _checked_labels(labels: Sequence[str] | None, count: int) -> tuple[str, ...]:
    if labels is None:
        return tuple(str(k) for k in range(count))
    names = arguments.names(labels, "labels")
    if len(names) != count:
        raise SpecentError(f"labels has {len(names)} entries; give one per component, {count}")
    if NULL in names:
        raise SpecentError(f"labels: {NULL!r} is the name of the null condition; call the label something else")
    return names


def _checked_dimension(dimension: int | None, named: int) -> int:
    if dimension is None:
        return named
    ambient = arguments.whole(dimension, "dimension")
    if ambient < named:
        raise SpecentError(f"dimension={ambient} must be at least {named}, the number of coordinates of the means")
    return ambient


def _shown(array: Array) -> list[Any] | str:
    if array.size <= _SHOWN:
        return list(array.tolist())
    return f"sha256 of float64 {array.shape}: {hashlib.sha256(array.tobytes()).hexdigest()}"
