"""The weights that a prior is centred on, in a file of the run folder."""

import jax
import numpy as np
import pytest

from jaxloc.training.prior_weights import FILE, read_prior, write_prior

PARAMS = {"dense": {"kernel": np.arange(6, dtype=np.float32).reshape(2, 3), "bias": np.ones(3, np.float32)}}


def test_what_is_read_is_what_was_written(tmp_path):
    assert read_prior(tmp_path, PARAMS) is None
    write_prior(tmp_path, PARAMS)
    found = read_prior(tmp_path, jax.tree.map(np.zeros_like, PARAMS))
    jax.tree.map(np.testing.assert_array_equal, found, PARAMS)


def test_what_is_damaged_or_of_another_network_is_named(tmp_path):
    write_prior(tmp_path, PARAMS)
    with pytest.raises(ValueError, match=r"prior\.npz is of another network: .*kernel"):
        read_prior(tmp_path, {"dense": {"kernel": np.zeros((2, 4)), "bias": np.zeros(3)}})
    (tmp_path / FILE).write_bytes((tmp_path / FILE).read_bytes()[:50])
    with pytest.raises(ValueError, match=r"prior\.npz cannot be read: it is damaged"):
        read_prior(tmp_path, PARAMS)
