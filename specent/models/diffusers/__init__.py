"""Pipelines of diffusers as models: pixels, diffusion transformers, and text to image."""

from __future__ import annotations

from specent.models.diffusers.loading import pipeline as pipeline
from specent.models.diffusers.pipeline_model import PipelineModel as PipelineModel

__all__ = ["PipelineModel", "pipeline"]
