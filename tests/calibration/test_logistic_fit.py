import numpy as np
import pytest
from calibration.toy_distances import gaussians, quantiles

from keras_balanced_siamese.calibration._fit import fit_pairs

pytestmark = pytest.mark.numpy_only


@pytest.mark.parametrize("sample_prior", [0.5, 0.2])
@pytest.mark.parametrize("n", [1000, 4000])
def test_posterior_of_two_gaussians_in_closed_form(n, sample_prior):
    similar = np.arange(n) < sample_prior * n
    distances = np.concatenate([quantiles(0.8, 0.3, similar.sum()), quantiles(1.4, 0.3, (~similar).sum())])
    slope = (1.4 - 0.8) / 0.3**2
    for prior in (0.5, 1e-3, 1e-6, 0.999):
        fit = fit_pairs(distances, similar, operating_point="posterior", prior=prior)
        assert fit.slope == pytest.approx(slope, rel=0.02)
        assert fit.threshold == pytest.approx(1.1 + np.log(prior / (1 - prior)) / slope, abs=0.04)


@pytest.mark.parametrize("far_away", [1e3, 1e8, 1e38])
@pytest.mark.parametrize("is_similar", [True, False])
def test_a_distance_far_from_all_others_keeps_the_slope(far_away, is_similar):
    distances, similar = gaussians()
    whole = fit_pairs(distances, similar)
    distances[0 if is_similar else -1] = far_away
    fit = fit_pairs(distances, similar)
    assert fit.slope == pytest.approx(whole.slope, rel=0.25)


def test_slope_equals_scikit_learn():
    linear_model = pytest.importorskip("sklearn.linear_model")
    distances, similar = gaussians()
    fitted = linear_model.LogisticRegression(C=1e9, tol=1e-10).fit(distances[:, None], similar)
    fit = fit_pairs(distances, similar, operating_point="posterior")
    assert fit.slope == pytest.approx(-fitted.coef_[0, 0], rel=0.01)
    assert fit.threshold == pytest.approx(-fitted.intercept_[0] / fitted.coef_[0, 0], abs=0.01)


def test_perfect_separation_has_a_finite_slope():
    fit = fit_pairs([0.1, 0.2, 0.8, 0.9], [1, 1, 0, 0])
    assert fit.threshold == pytest.approx(0.5)
    assert 0 < fit.slope < 100
    more = fit_pairs(np.repeat([0.1, 0.2, 0.8, 0.9], 1000), np.repeat([1, 1, 0, 0], 1000))
    assert np.inf > more.slope > fit.slope


@pytest.mark.parametrize("operating_point", ["eer", "posterior"])
def test_negative_similarities_are_refused_and_their_distances_are_not(operating_point):
    similarity = np.array([0.9, 0.8, 0.3, -0.1])
    with pytest.raises(ValueError, match=r"1 - cosine.*Received: the median -0\.85"):
        fit_pairs(-similarity, [1, 1, 0, 0], operating_point)
    assert fit_pairs(1 - similarity, [1, 1, 0, 0]).threshold == pytest.approx(0.45)
