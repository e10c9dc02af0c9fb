"""The loop over images runs on whatever joblib is told to run on."""

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal

import skdefocus as sd
from skdefocus.datasets import sample_photographs

distributed = pytest.importorskip("distributed")

PHOTOGRAPHS = [p[: 64 + 8 * i] for i, p in enumerate(sample_photographs(128))]


@pytest.fixture(scope="module")
def cluster():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield cluster, client


def pipeline():
    pipe = sd.make_defocus_pipeline()
    return pipe.set_params(levels__n_threads=1, levels__n_jobs=2, refine__n_jobs=2)


def test_dask_gives_the_same_maps(cluster):
    here = pipeline().transform(PHOTOGRAPHS)
    with joblib.parallel_config(backend="dask"):
        there = pipeline().transform(PHOTOGRAPHS)
    for a, b in zip(here, there, strict=True):
        assert_array_equal(a, b)


def die_once(number, marker):
    """Map a photograph that the worker reads itself; kill the worker that does so first.

    As with files: what travels is a name. Pixels that joblib scatters among the workers are lost
    with the worker that holds them, and Dask cannot make them again.
    """
    import os
    from pathlib import Path

    from skdefocus.datasets import sample_photographs

    if not Path(marker).exists():
        Path(marker).touch()
        os._exit(1)
    return sd.defocus_map(sample_photographs(128)[number])


def test_a_killed_worker_loses_nothing(cluster, tmp_path):
    marker = tmp_path / "died"
    with joblib.parallel_config(backend="dask"):
        found = joblib.Parallel()(joblib.delayed(die_once)(i, str(marker)) for i in range(3))
    assert marker.exists()
    for photograph, sigma in zip(sample_photographs(128), found, strict=True):
        np.testing.assert_allclose(sigma, sd.defocus_map(photograph), atol=1e-5)
