"""Training finds the denoiser of a distribution whose denoiser is known."""

import numpy as np
import pytest
import torch

from specent.errors import SpecentError
from specent.training.edm import TrainingSettings, train


def test_a_short_training_approaches_the_denoiser_of_two_gaussian_classes() -> None:
    generator = torch.Generator().manual_seed(0)
    classes = torch.arange(2000) % 2
    means = torch.tensor([[-1.0, 0.0], [1.0, 0.5]])
    images = means[classes] + 0.3 * torch.randn(2000, 2, generator=generator)
    settings = TrainingSettings(steps=600, batch=256, width=64, blocks=2, embedding=32, average=0.99)
    net = train(images, classes, settings, progress=False)
    for sigma in (0.3, 1.0, 3.0):
        level = torch.full((500,), sigma)
        pick = torch.arange(500)
        noisy = images[pick] + sigma * torch.randn(500, 2, generator=generator)
        with torch.no_grad():
            output = net(noisy, level, net.modulation(level, classes[pick]))
        mean = means[classes[pick]]
        expected = mean + 0.09 / (0.09 + sigma**2) * (noisy - mean)
        # error allowed: a tenth of the data's deviation, far below the distance 2 between the classes
        assert (output - expected).square().mean().sqrt() < 0.1 * images.std()


def test_the_same_seed_gives_the_same_weights() -> None:
    images, classes = torch.randn(50, 3, generator=torch.Generator().manual_seed(1)), torch.arange(50) % 2
    settings = TrainingSettings(steps=5, batch=16, width=8, blocks=1, embedding=4)
    first, second = (train(images, classes, settings, progress=False).state_dict() for _ in range(2))
    for key, value in first.items():
        torch.testing.assert_close(second[key], value, rtol=0, atol=0)


def test_bad_settings_and_data_are_refused() -> None:
    with pytest.raises(SpecentError, match="label_dropout"):
        TrainingSettings(label_dropout=1.0)
    with pytest.raises(SpecentError, match="at least 1"):
        TrainingSettings(steps=0)
    with pytest.raises(SpecentError, match="NaN"):
        train(torch.full((4, 2), torch.nan), torch.zeros(4, dtype=torch.int64), TrainingSettings(), progress=False)
    # float32 overflows in the first step and the loss says so
    with pytest.raises(SpecentError, match="training loss"):
        train(torch.full((4, 2), 1e30), torch.zeros(4, dtype=torch.int64), TrainingSettings(steps=3), progress=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 2.0), ("steps", "9"), ("batch", True), ("width", np.nan), ("embedding", 3), ("seed", -1),
        ("learning_rate", np.nan), ("learning_rate", np.inf), ("learning_rate", "fast"), ("label_dropout", None),
        ("average", 1.0), ("log_sigma_mean", np.inf), ("log_sigma_std", np.nan), ("log_sigma_std", -1.0),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_used_are_named(name: str, value: object) -> None:
    with pytest.raises(SpecentError, match=f"{name}="):
        TrainingSettings(**{name: value})
