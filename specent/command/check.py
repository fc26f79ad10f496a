"""The command ``specent check``: is the adapter of a model right?"""

from __future__ import annotations

from specent.command.interface import ERRORS, Names, app
from specent.errors import SpecentError


@app.command(name="check", help_epilogue=ERRORS)
def check(
    model: str,
    *,
    data: str | None = None,
    null: str | None = None,
    label: Names = (),
    prompt: Names = (),
    levels: tuple[float, float] | None = None,
    samples: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    local_files_only: bool = False,
) -> None:
    """Tell a wrong adapter from a right one before a long run. Fails (exit code 1) if a line of the report does.

    MODEL is "digits", FILE.py:NAME (a model, an object that denoises, or a function that returns one), a .safetensors
    of train_digits or of specent convert, a published EDM2 .pkl, or the folder or hub name of a pipeline. For instance:
    specent check mine.py:model --data folder:pictures

    Parameters
    ----------
    model : str
        The model.
    data : str
        Labelled data of the kind it was trained on: digits, cifar10:PATH, folder:PATH, or a .npz file with images or
        latents, and labels. Without it half of the checks cannot be made.
    null : str
        Network of the null condition, for EDM2 and for pipelines that have it apart.
    label : tuple of str
        Names of the labels of a network that has none.
    prompt : tuple of str
        Prompts of a text to image pipeline.
    levels : tuple of float
        Smallest and largest noise level that are to be sampled; those of the network by default.
    samples : int
        How many images are used.
    seed : int
        Seed of the noise.
    device : str
        cpu or cuda.
    local_files_only : bool
        Use only what was fetched before.
    """
    from specent import diagnostics
    from specent.diagnostics.model_texts import data_from_text, model_from_text

    adapted = model_from_text(model, null=null, labels=label, prompts=prompt, local_files_only=local_files_only)
    images, labels = (None, None) if data is None else data_from_text(data, adapted)
    report = diagnostics.check(adapted, images, labels, levels=levels, samples=samples, seed=seed, device=device)
    print(report)
    if not report.ok:
        raise SpecentError(f"check: {', '.join(report.failed)} failed; the report says what to do")
