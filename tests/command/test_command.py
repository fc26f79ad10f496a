"""The command line through its real entry: exit codes, messages, and what is left on disk."""

from __future__ import annotations

import errno
import functools
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr
from PIL import Image

import specent as sp
from specent import command, studies
from specent.axes import AXES
from specent.files import shipped_folder

MakeDataset = Callable[..., xr.Dataset]

RECIPE = '''
    """Write its settings to a text file.

    Nothing else is done.
    """

    from __future__ import annotations

    from dataclasses import dataclass
    from pathlib import Path
    from typing import Literal

    from specent import SpecentError

    @dataclass(frozen=True)
    class Settings:
        """Settings of the test recipe.

        Parameters
        ----------
        output : Path
            File to write.
        overwrite : bool
            Replace an existing file.
        steps : int
            Number of noise levels.
        means : tuple of float
            Means of the components.
        labels : tuple of str
            Labels of the components.
        interval : tuple of float
            Ends of the interval.
        schedule : {"ve", "vp"}
            Clock of the chain.
        device : str, optional
            Where to run.
        """

        output: Path = Path("written.txt")
        overwrite: bool = False
        steps: int = 64
        means: tuple[float, ...] = (-1.0, 1.0)
        labels: tuple[str, ...] = ("a", "b")
        interval: tuple[float, float] = (0.0, float("inf"))
        schedule: Literal["ve", "vp"] = "ve"
        device: str | None = None

    def main(settings: Settings) -> Path:
        if settings.steps < 2:
            raise SpecentError(f"steps={settings.steps}: at least 2 steps are needed")
        if settings.device == "broken":
            raise RuntimeError("two\\nlines")
        if settings.device in ("leave", "quit"):
            raise SystemExit(0 if settings.device == "leave" else 3)
        if settings.device == "never":
            import time
            Path("started").touch()
            time.sleep(60)
        settings.output.write_text(repr(settings))
        return settings.output
'''


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(textwrap.dedent(RECIPE).lstrip())
    return "./mine.py"


def test_a_recipe_runs_with_its_defaults_and_says_what_it_wrote(
    recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["run", recipe]) == 0
    assert capsys.readouterr().out == "wrote written.txt\n"
    assert "steps=64, means=(-1.0, 1.0), labels=('a', 'b')" in Path("written.txt").read_text()


def test_flags_set_the_fields(recipe: str) -> None:
    flags = ["--steps", "8", "--means", "-3", "0", "1.5", "--labels", "a cat", "b,c", "--interval", "0.5", "inf"]
    assert command.main(["run", recipe, *flags, "--schedule", "vp", "--overwrite", "--output", "other.txt"]) == 0
    text = Path("other.txt").read_text()
    for part in (
        "steps=8,",
        "means=(-3.0, 0.0, 1.5)",
        "labels=('a cat', 'b,c')",
        "interval=(0.5, inf)",
        "schedule='vp'",
    ):
        assert part in text
    assert "overwrite=True" in text


def test_flags_override_the_file_which_overrides_the_defaults(recipe: str) -> None:
    Path("settings.toml").write_text('steps = 16\nmeans = [1, 2.5, 4]\nlabels = ["x"]\noverwrite = true\n')
    assert command.main(["run", recipe, "--config", "settings.toml", "--steps", "32"]) == 0
    text = Path("written.txt").read_text()
    for part in ("steps=32,", "means=(1.0, 2.5, 4.0)", "labels=('x',)", "overwrite=True", "schedule='ve'"):
        assert part in text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--step", "3"], ["--step", "--steps"]),
        (["--steps", "many"], ["--steps", "many"]),
        (["--steps", "1.5"], ["--steps", "1.5", "whole number"]),
        (["--schedule", "vx"], ["vx", "ve", "vp"]),
        (["--means", "1", "b"], ["--means", "b"]),
        (["--interval", "1"], ["--interval", "2"]),
        (["stray"], ["stray"]),
        (["--config", "missing.toml"], ["missing.toml", "cannot be read"]),
        (["--config", "."], ["cannot be read (Is a directory)"]),
        # it never ends
        (["--config", "/dev/zero"], ["not a regular file"]),
        (["--config", "x" * 300], ["cannot be read", "too long"]),
    ],
)
def test_wrong_flags_are_usage_errors_that_name_them(
    flags: list[str], said: list[str], recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["run", recipe, *flags]) == 2
    error = capsys.readouterr().err
    assert error.startswith("specent: ")
    assert error.count("\n") == 1
    assert all(word in error for word in said), error
    assert not Path("written.txt").exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stpes = 3", ["stpes", "'steps'", "settings.toml"]),
        ('steps = "many"', ["steps", "many", "settings.toml"]),
        ("steps = 2.5", ["steps", "2.5", "whole number"]),
        ("steps = true", ["steps", "True", "settings.toml"]),
        ("unheard = 1", ["unheard", "not a setting"]),
        ('schedule = "vx"', ["schedule", "vx"]),
        ("[run]\nsteps = 3", ["run", "top level"]),
        ("[interval]\na = 3", ["interval", "a value"]),
        ('config = "other.toml"', ["config", "not a setting"]),
        ("steps = [", ["settings.toml", "not TOML"]),
        ("steps = {a = 1}", ["steps = {'a': 1}", "a value"]),
        ("means = [[1, 2], [3]]", ["means = [[1, 2], [3]]", "flat array"]),
    ],
)
def test_a_wrong_file_is_a_usage_error_that_names_the_key(
    text: str, said: list[str], recipe: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("settings.toml").write_text(text)
    assert command.main(["run", recipe, "--config", "settings.toml"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert all(word in error for word in said), error
    assert not Path("written.txt").exists()


def test_bad_values_found_by_the_recipe_exit_with_one_line(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", recipe, "--steps", "1"]) == 1
    assert capsys.readouterr().err == "specent: steps=1: at least 2 steps are needed\n"


@pytest.mark.parametrize(("device", "said"), [("broken", "RuntimeError: two lines"), ("quit", "SystemExit: 3")])
def test_a_recipe_that_fails_is_named_with_file_and_line(
    device: str, said: str, recipe: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SPECENT_TRACEBACK", raising=False)
    assert command.main(["run", recipe, "--device", device]) == 1
    error = capsys.readouterr().err
    assert re.fullmatch(rf"specent: recipe='./mine.py': mine.py, line \d+: {said}\n", error)
    line = int(error.partition("line ")[2].partition(":")[0])
    assert "raise " in Path("mine.py").read_text().splitlines()[line - 1]
    monkeypatch.setenv("SPECENT_TRACEBACK", "1")
    assert command.main(["run", recipe, "--device", device]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_a_recipe_may_leave_early(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", recipe, "--device", "leave"]) == 0
    assert capsys.readouterr().err == ""


def test_anything_unforeseen_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(path: Path) -> str:
        raise MemoryError("no room")

    monkeypatch.setattr("specent.archive.describe", broken)
    assert command.main(["describe", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "specent: MemoryError: no room (SPECENT_TRACEBACK=1 shows where)\n"


def test_messages_name_the_flag_that_mends(runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text("")
    assert command.main(["plot", str(runs), "-o", str(tmp_path / "page.html")]) == 1
    error = capsys.readouterr().err
    assert "pass --overwrite to replace it" in error
    assert "overwrite=True" not in error


def test_a_full_disk_is_one_line_and_leaves_nothing(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("specent.files.os.fsync", full)
    assert command.main(["plot", str(runs), "-o", str(tmp_path / "page.html"), "--figure", "entropy"]) == 1
    error = capsys.readouterr().err
    assert error.endswith("page.html' could not be written (No space left on device); is the disk full?\n")
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_help_of_a_recipe_teaches(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", recipe, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for part in (
        "Write its settings to a text file.",
        "Number of noise levels.",
        "[default: 64]",
        "--no-overwrite",
        "[choices: ve, vp]",
        "TOML file with settings",
        "separated by spaces",
    ):
        assert part in out, part


def test_the_help_of_a_recipe_says_nothing_of_empty_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", "train_ddpm", "--help"]) == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "[default: ()]" not in out
    # false and 0 are defaults that say something
    assert "[default: False]" in out
    assert "[default: 0]" in out


@pytest.mark.parametrize("flags", [[], ["--help"]])
def test_run_lists_the_recipes_with_what_they_do(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", *flags]) == 0
    out = capsys.readouterr().out
    for name in studies.recipe_names():
        assert f"  {name} " in out
        first = studies.recipe_path(name).read_text(encoding="utf-8").partition('"""')[2].partition("\n")[0]
        assert first.removesuffix('"""') in out


@pytest.mark.parametrize("name", studies.recipe_names())
def test_every_shipped_recipe_explains_every_flag(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", name, "--help"]) == 0
    out = " ".join(capsys.readouterr().out.replace("│", " ").split())
    settings = studies.recipe(name).Settings
    for field in settings.__dataclass_fields__:
        assert f"--{field.replace('_', '-')} " in out
        documented = "".join(base.__doc__ or "" for base in settings.__mro__[:-1])
        assert f"{field} :" in documented, f"{name}: no help for {field}"


def test_unknown_recipes_are_named_with_those_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["run", "quickstrat"]) == 1
    error = capsys.readouterr().err
    assert "'quickstrat'" in error
    assert "quickstart" in error
    assert command.main(["run", "missing.py"]) == 1
    assert "no such file" in capsys.readouterr().err
    assert command.main(["run", "--steps", "3"]) == 2
    assert capsys.readouterr().err.startswith("specent: the recipe comes first")
    assert command.main(["validate"]) == 2
    assert capsys.readouterr().err.startswith("specent: give the path of at least one archive")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n", "defines no 'Settings'"),
        ("class Settings: pass\n", "defines no 'main'"),
        ("def broken(:\n", "line 1"),
    ],
)
def test_files_that_are_no_recipes_are_told_apart(
    source: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.py").write_text(source)
    assert command.main(["run", str(tmp_path / "bad.py")]) == 1
    assert said in capsys.readouterr().err


def test_validate_names_every_bad_archive(
    tmp_path: Path, make_dataset: MakeDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    good = sp.write(make_dataset("profiles"), tmp_path / "good.nc")
    cut = tmp_path / "cut.nc"
    cut.write_bytes(good.read_bytes()[:5000])
    assert command.main(["validate", str(good)]) == 0
    assert capsys.readouterr().out == f"{good}: good\n"
    assert command.main(["validate", str(cut), str(good), str(tmp_path / "missing.nc")]) == 1
    printed = capsys.readouterr()
    assert printed.out == f"{good}: good\n"
    assert str(cut) in printed.err
    assert "missing.nc" in printed.err
    assert "Traceback" not in printed.err
    assert command.main(["validate"]) == 2


def test_describe_says_what_is_in_an_archive(
    tmp_path: Path, make_dataset: MakeDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sp.write(make_dataset("profiles"), tmp_path / "good.nc")
    assert command.main(["describe", str(path)]) == 0
    out = capsys.readouterr().out
    assert "random profiles" in out
    assert "entropy_rate" in out
    assert "Price" not in out
    assert command.main(["describe", str(tmp_path / "missing.nc")]) == 1
    assert "missing.nc" in capsys.readouterr().err
    assert command.main(["describe"]) == 2


def test_describe_says_what_guidance_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = sp.archive.example().load()
    path = sp.write(runs, tmp_path / "runs.nc")
    assert command.main(["describe", str(path)]) == 0
    out = capsys.readouterr().out
    assert out.endswith("\n\n" + sp.analysis.guidance_price_text(runs) + "\n")
    price = sp.guidance_price(runs).price.item()
    assert f"  w=2                      {price:.3g} bit (" in out


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories of a mixture of two, in an archive."""
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    made = sp.sample(
        sp.models.mixture(mix), schedule=sp.schedules.VE(), time=sp.schedules.edm_grid(16), samples=60,
        partitions=[sp.Partition.full(mix.labels)], progress=False,
    )  # fmt: skip
    return sp.write(made, tmp_path_factory.mktemp("runs") / "runs.nc")


def test_plot_draws_trajectories_profiles_and_places(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert command.main(["plot", str(runs), "-o", str(page)]) == 0
    assert capsys.readouterr().out.startswith(f"wrote {page} (")
    text = page.read_text(encoding="utf-8")
    for name in ("entropy", "rate", "windows"):
        assert f'<figure class="{name}">' in text
    assert 'class="half"' in text
    assert command.main(["plot", str(runs), "-o", str(page)]) == 1
    assert "overwrite" in capsys.readouterr().err
    chosen = ["--overwrite", "--estimator", "path", "--axis", "sigma", "--figure", "entropy", "--title", "Mine"]
    assert command.main(["plot", str(runs), "-o", str(page), *chosen]) == 0
    text = page.read_text(encoding="utf-8")
    assert "<h1>Mine</h1>" in text
    assert text.count("<figure class=") == 1


@pytest.mark.filterwarnings("default::specent.errors.SpecentWarning")  # some curves never fall to half
def test_plot_puts_classes_against_the_null_condition_over_their_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images = [[[[-1.0, 1.0]]], [[[1.0, -1.0]]], [[[1.0, 1.0]]]]
    model = sp.models.finite(images, ["a", "b", "c"])
    options = {"schedule": sp.schedules.VE(), "time": sp.schedules.edm_grid(12), "samples": 20, "progress": False}
    partitions = [sp.Partition.pair(label, "null") for label in "abc"]
    runs = sp.sample(model, classes=[*"abc", "null"], partitions=partitions, **options)
    # these have no partition: they are there for their pictures
    strips = sp.sample(model, classes=["a", "b"], record=sp.Record([0.1, 1.0]), **options)
    paths = [sp.write(sp.entropy(runs), tmp_path / "p.nc"), sp.write(strips, tmp_path / "s.nc")]
    page = tmp_path / "page.html"
    capsys.readouterr()
    chosen = ["--figure", "predictions", "pair_matrix"]
    assert command.main(["plot", *map(str, paths), "-o", str(page), *chosen]) == 0
    unreached, *empty = capsys.readouterr().err.splitlines()
    assert unreached.startswith("specent: warning: 3 of 9 profiles do not cross")
    # which of the named figures is missing, and what there is instead
    assert len(empty) == 1
    assert "trajectories have none of pair_matrix; they allow entropy" in empty[0]
    text = page.read_text(encoding="utf-8")
    assert '<figure class="predictions">' in text
    # no matrix of pairs
    assert '<figure class="pair_matrix">' not in text
    # over the strip stand the partitions of its drivers
    figure = text.partition('<figure class="predictions">')[2].partition("</script>")[0]
    assert [f"{label} | null" in figure for label in "abc"] == [True, True, False]


def test_plot_makes_a_picture_of_a_page_and_prints_of_figures(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.png"
    assert command.main(["plot", str(runs), "--output", str(path)]) == 0
    with Image.open(path) as picture:
        # at one and a half pixels for each of the page
        assert picture.width > 800
    capsys.readouterr()
    one = ["--figure", "entropy", "--estimator", "path", "--width", "120", "--dpi", "100"]
    assert command.main(["plot", str(runs), "-o", str(path), "--overwrite", *one]) == 0
    assert re.fullmatch(rf"wrote {re.escape(str(path))} \(\d+ kB\)\n", capsys.readouterr().out)
    with Image.open(path) as picture:
        assert picture.width == int(120 / 25.4 * 100)


def test_plot_prints_several_figures_as_pages_of_a_pdf_or_as_numbered_files(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = ["--figure", "entropy", "rate", "--estimator", "path", "--title", ""]
    assert command.main(["plot", str(runs), "-o", str(tmp_path / "both.pdf"), *flags]) == 0
    data = (tmp_path / "both.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.count(b"/MediaBox") == 2
    assert command.main(["plot", str(runs), "-o", str(tmp_path / "both.svg"), *flags]) == 0
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == ["both-1.svg", "both-2.svg"]
    capsys.readouterr()
    # before anything is analysed
    assert command.main(["plot", str(runs), "-o", str(tmp_path / "both.svg"), *flags]) == 1
    assert "'both-1.svg' exists" in capsys.readouterr().err
    assert command.main(["plot", str(runs), "-o", str(tmp_path / "both.svg"), "--overwrite", *flags]) == 0


def test_plot_of_a_sweep_fits_the_law_of_its_clock(tmp_path: Path) -> None:
    schedule = sp.schedules.VP()
    prof = sp.exact.scaling_profiles([16, 64, 256], schedule, sp.schedules.log_snr_grid(schedule, 81, -12.0, 4.0))
    path = sp.write(prof, tmp_path / "sweep.nc")
    chosen = ["--figure", "scaling", "rescaled"]
    assert command.main(["plot", str(path), "-o", str(tmp_path / "page.html"), *chosen]) == 0
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<figure class="scaling">' in text
    assert '<figure class="rescaled">' in text
    # the exact slope of a variance-preserving schedule
    assert "slope 1.0000" in text


def test_the_help_of_a_recipe_may_be_read_in_part() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command_line = [sys.executable, "-m", "specent.command", "run", "gmm_1d", "--help"]
        done = subprocess.run(command_line, stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=600)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_warning_of_another_library_is_one_line_that_names_its_origin(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def describe(_path: Path) -> str:
        warnings.warn("two\nlines", UserWarning, stacklevel=1)
        return "described"

    monkeypatch.setattr("specent.archive.describe", describe)
    before = warnings.showwarning
    assert command.main(["describe", "any.nc"]) == 0
    assert warnings.showwarning is before
    said = capsys.readouterr()
    assert re.fullmatch(r"specent: warning: two lines \(UserWarning at \S+test_command\.py:\d+\)\n", said.err)
    assert said.out == "described\n"


def cells(page: str, name: str) -> list[str]:
    """The numbers of a row of the table on a page."""
    (row,) = re.findall(rf'<tr><td class="text" data-value="{re.escape(name)}">.*?</tr>', page)
    return [re.sub("<[^>]*>", "", cell).strip() for cell in re.findall(r"<td(?! class).*?</td>", row)]


@pytest.mark.filterwarnings("default::specent.errors.SpecentWarning")
def test_curves_that_never_fall_are_drawn_with_a_dash_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = sp.exact.GaussianMixture([[-1.0], [1.0]], labels=["a", "b"])
    noisy = sp.exact.profiles(mix, sp.schedules.VE(), [20.0, 30.0, 40.0, 80.0], [sp.Partition.full(mix.labels)])
    path = sp.write(noisy, tmp_path / "noisy.nc")
    assert command.main(["plot", str(path), "-o", str(tmp_path / "page.html")]) == 0
    assert re.fullmatch(r"specent: warning: 1 of 1 profiles do not cross[^\n]*\n", capsys.readouterr().err)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert '<figure class="entropy">' in text
    assert cells(text, "full") == ["–"]


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["-o", "page.eps"], 1, "must end in"),
        (["-o", "figure.pdf", "--width", "-3"], 1, "or 30 to 1000 millimetres"),
        (["-o", "figure.pdf", "--width", "wide"], 1, "width='wide' must be 'single' (85 mm)"),
        (["-o", "figure.png", "--figure", "rate", "--dpi", "3"], 1, "dpi=3"),
        (["-o", "figure.svg", "--figure", "pie"], 1, "choose from entropy"),
        (["-o", "page.html", "--width", "single"], 1, "is for print"),
        (["-o", "missing/page.html"], 1, "does not exist"),
        (["-o", "page.html", "--partition", "up|down"], 1, "unknown label 'up'"),
        (["-o", "page.html", "--axis", "gamma"], 1, "gamma"),
        (["-o", "figure.pdf", "--axis", "step"], 1, "axis='step' is for pages"),
        (
            ["-o", "figure.pdf", "--figure", "scaling", "quality"],
            1,
            "have none of scaling, quality; they allow entropy",
        ),
        (["-o", "page.html", "--figure", "pie"], 1, "pie"),
        ([], 2, "--output"),
    ],
)
def test_bad_plots_write_nothing(
    flags: list[str], code: int, said: str, runs: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert command.main(["plot", str(runs), *flags]) == code
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_version_and_help_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out.strip() == sp.__version__
    assert command.main(["--help"]) == 0
    out = capsys.readouterr().out
    taught = ("specent plot gmm_1d.nc -o gmm_1d.html", "validate", "describe", "run", "SPECENT_TRACEBACK=1")
    assert all(word in out for word in taught)
    assert command.main(["plto"]) == 2
    assert "plot" in capsys.readouterr().err


def test_the_help_of_plot_names_every_figure_and_axis() -> None:
    # a process of its own: the width of the terminal is looked up once
    line, wide = [sys.executable, "-m", "specent.command", "plot", "--help"], {**os.environ, "COLUMNS": "500"}
    out = subprocess.run(line, capture_output=True, text=True, timeout=600, check=True, env=wide).stdout
    # on a wide terminal nothing is broken where the source breaks it
    assert 'written as "full", "cat | dog", "cat | rest" or "cat, dog | car".' in out
    words = set(re.findall(r"\w+", out))
    assert words >= {*sp.plot.FIGURES, *AXES, "step"}


def test_the_installed_command_passes_its_exit_code_on(recipe: str) -> None:
    command = [sys.executable, "-m", "specent.command", "run", recipe, "--steps", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 1
    assert done.stderr == "specent: steps=1: at least 2 steps are needed\n"


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_a_signal_is_one_line_and_its_exit_code(
    number: signal.Signals, code: int, said: str, recipe: str, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "specent.command", "run", recipe, "--device", "never"]
    # a job in the background of a shell is born with interrupts ignored, and its children with it
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as running:
        deadline = time.monotonic() + 600
        while not (tmp_path / "started").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        running.send_signal(number)
        try:
            _, error = running.communicate(timeout=600)
        finally:
            running.kill()
    assert running.returncode == code
    assert error.startswith(f"specent: {said}")
    assert error.count("\n") == 1
    assert not (tmp_path / "written.txt").exists()


def test_a_reader_that_has_enough_is_no_error(recipe: str, tmp_path: Path, make_dataset: MakeDataset) -> None:
    path = sp.write(make_dataset("profiles"), tmp_path / "good.nc")
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "specent.command", "describe", str(path)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=600, check=False)
    os.close(writing)
    assert done.returncode == 0
    assert done.stderr == ""


def test_a_program_without_an_output_does_its_work(tmp_path: Path, make_dataset: MakeDataset) -> None:
    path = sp.write(make_dataset("profiles"), tmp_path / "good.nc")
    line = f"{shlex.quote(sys.executable)} -m specent.command validate {shlex.quote(str(path))} >&-"
    done = subprocess.run(["sh", "-c", line], stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.returncode == 0


def test_the_handler_of_signals_is_put_back(capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert command.main(["run"]) == 0
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_partition_that_was_not_named_before_can_be_asked_of_trajectories(tmp_path: Path) -> None:
    runs, page = shipped_folder("datasets") / "mixture_runs.nc", tmp_path / "page.html"
    arguments = ["plot", str(runs), "-o", str(page), "--figure", "entropy", "--partition"]
    assert command.main([*arguments, "cat, car | dog", "full"]) == 0
    assert "cat+car | dog" in page.read_text()
    assert command.main([*arguments, "cat | horse", "--overwrite"]) == 1


@pytest.mark.filterwarnings("default::specent.errors.SpecentWarning")
def test_one_profile_that_never_falls_costs_only_its_own_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mix = sp.exact.GaussianMixture([[-4.0], [4.0]], labels=["left", "right"])
    # the null condition contains the class: with two classes 0.69 bit are left of it
    partitions = [sp.Partition.full(mix.labels), sp.Partition.pair("left", "null")]
    profiles = sp.exact.profiles(mix, sp.schedules.VE(), sp.schedules.edm_grid(48, 0.05), partitions)
    path, page = sp.write(profiles, tmp_path / "both.nc"), tmp_path / "page.html"
    assert command.main(["plot", str(path), "-o", str(page)]) == 0
    said = capsys.readouterr().err
    assert re.fullmatch(r"specent: warning: 1 of 2 profiles do not cross[^\n]*'left \| null'[^\n]*\n", said)
    text = page.read_text(encoding="utf-8")
    level = sp.speciation(profiles.sel(partition=["full"]), axis="sigma").half_entropy.item()
    assert [float(cell) for cell in cells(text, "full")] == [pytest.approx(level, abs=0.005)]
    # its row stays
    assert cells(text, "left | null") == ["–"]


def test_an_unknown_partition_is_answered_with_those_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = sp.write(sp.archive.example(), tmp_path / "runs.nc")
    assert command.main(["plot", str(path), "-o", str(tmp_path / "page.html"), "--partition", "nope"]) == 1
    error = capsys.readouterr().err
    assert "partition='nope' is none of those sampled with ('full'" in error
    assert "'cat | rest'" in error


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("means = [" + "0.5, " * 2001 + "1.0]", "means has 2002 values; at most 2000 are read"),
        ("means = [" + "0.5, " * 10**5 + "1.0]", "larger than 131072 bytes"),
        ("a" + ".a" * 30_000 + " = 1", "a name of many parts"),
        ('x = {"b!".' + '"!".' * 20 + "a = 1}", "a name of many parts"),
        ("means = " + "[" * 50_000, "this is not TOML"),
        ("steps = " + "1" * 5000, "this is not TOML"),
        ('"\\u001b[2J" = 1', r"'\x1b[2J' is not a setting"),
    ],
    ids=["values", "bytes", "parts", "quoted", "deep", "digits", "escape"],
)
def test_a_file_of_settings_that_would_take_for_ever_is_refused_at_once(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.toml").write_text(text)
    assert command.main(["run", "gmm_1d", "--config", str(tmp_path / "x.toml")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
