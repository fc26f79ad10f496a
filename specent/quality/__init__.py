"""Quality of samples against real data in a feature space: Frechet distance, precision and recall, accuracy."""

from __future__ import annotations

from specent.quality.classifier import PictureClassifier as PictureClassifier
from specent.quality.classifier import digits_classifier as digits_classifier
from specent.quality.classifier import picture_classifier as picture_classifier
from specent.quality.dinov2 import DinoFeatures as DinoFeatures
from specent.quality.dinov2 import dinov2 as dinov2
from specent.quality.estimates import Estimate as Estimate
from specent.quality.estimates import accuracy as accuracy
from specent.quality.frechet import frechet_distance as frechet_distance
from specent.quality.frechet import frechet_gaussians as frechet_gaussians
from specent.quality.frechet import frechet_limit as frechet_limit
from specent.quality.manifolds import precision_recall as precision_recall
from specent.quality.measuring import measure as measure

__all__ = [
    "DinoFeatures",
    "Estimate",
    "PictureClassifier",
    "accuracy",
    "digits_classifier",
    "dinov2",
    "frechet_distance",
    "frechet_gaussians",
    "frechet_limit",
    "measure",
    "picture_classifier",
    "precision_recall",
]
