import numpy as np
import pytest

from keras_balanced_siamese import plots

pytest.importorskip("matplotlib")
from plots.pictures import full_report, line_through, plain_report

pytestmark = pytest.mark.numpy_only


def test_reliability_shows_the_bins():
    report = full_report()
    ax = plots.plot_reliability(report)
    bins = report.calibration["bins"]
    points = ax.collections[-1]
    np.testing.assert_allclose(points.get_offsets(), np.stack([bins["probability"], bins["similar"]], axis=1))
    assert (points.get_sizes() / np.array(bins["weight"])).std() == pytest.approx(0, abs=1e-9)
    assert f"{report.calibration['expected_calibration_error']:.3f}" in ax.get_title()
    assert line_through(ax).tolist() == [[0, 1], [0, 1]]
    with pytest.raises(ValueError, match=r"the layer from `calibrate` as `threshold=layer`.*Received: .*0\.55"):
        plots.plot_reliability(plain_report())
