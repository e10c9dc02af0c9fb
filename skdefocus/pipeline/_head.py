"""A new last layer for the network: learned from labeled patches or cells, and saved."""

from __future__ import annotations

import json
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from skdefocus import network
from skdefocus._typing import Float32Array, Float64Array, IndexArray
from skdefocus._validation import as_array
from skdefocus._version import __version__
from skdefocus.io import atomic_path

#: A last layer: weights (n_levels, n_features) and bias (n_levels,).
Head = tuple[Float32Array, Float32Array]


class Labeled(NamedTuple):
    """Examples that a last layer is learned from.

    Attributes
    ----------
    features : ndarray of shape (rows, n_features)
    labels : ndarray of shape (rows,) of int
    weights : ndarray of shape (rows,)
    views : int
        Number of rows of every patch or cell: features of the dense network, of the patch network,
        or of both.
    """

    features: Float32Array
    labels: NDArray[np.integer[Any]]
    weights: Float64Array
    views: int

    def label_counts(self, n_levels: int) -> IndexArray:
        """Count the patches or cells of every level."""
        return np.bincount(self.labels, minlength=n_levels) // self.views


#: Bias of levels without patches: a probability of (nearly) zero.
NEVER = -30


def check_labels(y: Any, count: int, n_levels: int) -> NDArray[np.integer[Any]]:
    """Check the levels of `count` patches."""
    labels = as_array(y, "y", paths=False)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"y must hold integers, the levels, got dtype {labels.dtype}")
    if labels.shape != (count,):
        raise ValueError(f"y must have shape ({count},), got {labels.shape}")
    check_variety(labels, n_levels)
    return labels


def check_variety(labels: NDArray[np.integer[Any]], n_levels: int) -> None:
    """Check that there are at least two levels, all of the network's."""
    levels = np.unique(labels)
    if len(levels) < 2 or levels[0] < 0 or levels[-1] >= n_levels:
        raise ValueError(
            f"y must hold at least two different levels from 0 to {n_levels - 1}, got {levels[:30]}"
        )


def learned_head(labeled: Labeled, n_levels: int) -> Head:
    """Learn a last layer by logistic regression; levels without patches never win."""
    scale = np.maximum(labeled.features.std(axis=0), 1e-6)
    learner = LogisticRegression(C=0.1, max_iter=500)
    learner.fit(labeled.features / scale, labeled.labels, sample_weight=labeled.weights)
    weights, bias = learner.coef_ / scale, learner.intercept_
    if len(weights) == 1:  # with two classes there is only one row
        weights, bias = np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
    head = (
        np.zeros((n_levels, labeled.features.shape[1]), np.float32),
        np.full(n_levels, NEVER, np.float32),
    )
    head[0][learner.classes_], head[1][learner.classes_] = weights, bias
    return head


def prior_of(label_counts: IndexArray) -> tuple[float, ...]:
    """Estimate how common the levels are from labeled patches; each is possible."""
    common = label_counts + 1.0
    return tuple((common / common.sum()).tolist())


def save_head(
    path: str | os.PathLike[str],
    overwrite: bool,
    facts: network.ModelFacts,
    head: Head,
    label_counts: IndexArray,
    note: str,
) -> None:
    """Write the network with another last layer; see :meth:`BlurLevelClassifier.save`."""
    description = {
        "base": facts.digest,
        "patches": label_counts.tolist(),
        "skdefocus": __version__,
        "note": note,
    }
    changed = {
        "head": json.dumps(description),
        "prior": json.dumps(facts.prior),
        "temperature": None,
        "held_out": None,
        "patch_temperature": None,
        "patch_held_out": None,
    }
    model = network.checked_bytes(facts.path, facts.digest)
    with atomic_path(path, overwrite) as temporary:
        temporary.write_bytes(network.with_head(model, *head, facts=changed))
        network.load_facts(str(temporary))  # raises if the file could not be used
