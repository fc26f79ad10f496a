from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

import specent.archive as archive
from specent import schema

WRITERS = Path(__file__).with_name("writers.py")
TIMES = 20


def test_killed_writers_leave_whole_files_or_none(make_dataset, tmp_path):
    old, new = make_dataset("trajectories", seed=1), make_dataset("trajectories", seed=2, steps=16, samples=2000)
    names = {name for name, row in schema.KINDS["trajectories"].items() if row.essential}
    new = new.drop_vars(
        [*(set(new.data_vars) - names), "prediction_time", "other_candidate", "partition", "definition"]
    )
    (tmp_path / "new.pickle").write_bytes(pickle.dumps(new))
    folder = tmp_path / "out"
    folder.mkdir()
    replaced = [folder / f"{i}.nc" for i in range(0, TIMES, 2)]
    archive.write(old, folder / "0.nc")
    for path in replaced[1:]:
        shutil.copy(replaced[0], path)

    command = [sys.executable, str(WRITERS), "crash", str(tmp_path / "new.pickle"), str(folder), str(TIMES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    killed = int(done.stdout.split()[0])
    leftovers = list(folder.glob(".*"))
    # instants are spread evenly over the time of one write, so most of the kills fall into it
    assert killed >= TIMES // 2
    assert len(leftovers) >= TIMES // 3

    finished = 0
    for i in range(TIMES):
        path = folder / f"{i}.nc"
        assert path.exists() or path not in replaced
        if path.exists():
            with archive.open(path) as stored:
                is_new = stored.sizes["sample"] == new.sizes["sample"]
                meant = new if is_new else old
                assert is_new or path in replaced
                assert stored.identical(meant)
                assert np.array_equal(stored["log_likelihood"].values, meant["log_likelihood"].values)
            finished += is_new
    assert finished >= TIMES - killed
    # what is left over is not taken for an archive, and does not stand in the way of the next writer
    assert not set(leftovers) & set(folder.glob("*.nc"))
    archive.write(old, folder / "1.nc", overwrite=True)
