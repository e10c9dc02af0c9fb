"""The model card: which places are looked at, figures by hand, and a text without gaps."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdefocus import network
from skdefocus.pipeline import BlurLevelClassifier
from skdefocus.training import card
from skdefocus.training.photographs import read_gray

SIGMAS = np.array([0.0, 1.0, 3.0, 8.0])


@pytest.fixture(scope="module")
def image(folder):
    return read_gray(folder / "camera.png")[192:352, 32:224]


def test_places_lie_within_the_rim_and_are_of_one_kind(image):
    rich, flat = card.places(image, True), card.places(image, False)
    assert len(rich) > 3
    assert not {tuple(p) for p in rich} & {tuple(p) for p in flat}
    for at in (rich, flat):
        assert (at >= 1).all()
        assert (at <= np.array(image.shape) // 32 - 2).all()


def test_too_many_places_are_thinned(folder):
    image = read_gray(folder / "gravel.png")
    at = card.places(image, True)
    assert len(at) == card.MOST
    assert len({tuple(p) for p in at}) == card.MOST
    assert at[0, 0] == 1
    assert at[-1, 0] == 14


def test_places_have_the_answers_of_their_middle(image):
    classifier = BlurLevelClassifier()
    at = np.array([[1, 2], [3, 4]])
    whole = card.surrounded(classifier, image, at)
    part = card.surrounded(classifier, image, at[1:])
    assert_array_equal(whole[1:], part)
    assert_allclose(whole.sum(1), 1, atol=1e-5)
    patches = np.stack([image[32:64, 64:96], image[96:128, 128:160]])
    assert_array_equal(card.alone(classifier, image, at), classifier.predict_proba(patches))
    assert card.alone(classifier, image, at[:0]).shape == (0, len(classifier.sigmas_))


def test_blur_shows_where_it_is(image):
    """The right half is blurred; its places are told to be blurred more."""
    seen = image.copy()
    seen[:, 96:] = card.photographed(image, 4.0, "gaussian", 0.0, None, 0)[:, 96:]
    classifier = BlurLevelClassifier()
    sigmas = card.level_sigmas_of(None, image)[0]
    at = np.array([[i, j] for i in (1, 2, 3) for j in (1, 4)])
    sigma = card.surrounded(classifier, seen, at) @ sigmas
    assert np.median(sigma[1::2]) > np.median(sigma[::2]) + 1


@pytest.mark.parametrize(("noise", "quality"), [(0.0, None), (0.02, None), (0.02, 70)])
def test_a_photograph_of_a_seed_is_one(image, noise, quality):
    one, other = (card.photographed(image, 1.0, "disc", noise, quality, 3) for _ in "ab")
    assert_array_equal(one, other)
    assert one.min() >= 0
    assert one.max() <= 1
    if noise:
        assert (card.photographed(image, 1.0, "disc", noise, quality, 4) != one).any()


def test_figures_by_hand():
    proba = np.array([[1, 0, 0, 0], [0, 0.5, 0.5, 0], [0, 0, 0, 1.0], [0, 1, 0, 0]], np.float32)
    found = card.figures(proba, np.array([0.0, 1.0, 3.0, 3.0]), SIGMAS)
    assert found["places"] == 4
    assert found["top-1"] == 0.75
    assert found["within one"] == 0.75
    # The second one's mean level is 1.5, halfway between 1 and 3 px.
    assert found["error, σ ≤ 5"] == pytest.approx((0 + 1) / 2)
    assert found["error, all"] == pytest.approx((0 + 1 + 0 + 7) / 4)
    assert found["sure half"] == pytest.approx((0 + 0 + 7) / 3)
    assert found["unsure half"] == pytest.approx(1)
    # Confidences 1, 0.5, 1, 1: the sure ones are right two times of three.
    assert found["ECE"] == pytest.approx(0.75 * (1 - 2 / 3) + 0.25 * 0.5)


def test_a_card_tells_everything(image, tmp_path, monkeypatch):
    monkeypatch.setattr(card, "CONDITIONS", card.CONDITIONS[:3])
    monkeypatch.setattr(card, "STRONG", (3.0,))
    monkeypatch.setattr(card, "MOST", 4)
    rows = card.measure(None, [image])
    assert set(rows) >= {
        f"{way}, texture, {title}"
        for way in ("in surroundings", "alone")
        for title in ("clean", "noise 6/255 and JPEG 70")
    }
    levels = len(network.load_facts(network.model_path(None)).sigmas)
    places = len(card.places(image, True))
    for title, row in rows.items():
        if ", texture" in title:
            assert row["places"] == levels * places
    strong = card.strong(None, [image])
    assert strong["σ = 3 px"]["clean: median"] > 1
    text = card.card(None, rows, half="report", count=1, strong=card.table(strong))
    assert "{" not in text
    assert "nan" not in text
    assert "BSD-3-Clause" in text
    for title in rows:
        assert f"| {title} | " in text


def test_one_half_of_the_photographs_is_measured(folder, tmp_path, monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(card, "measure", lambda _, images: seen.append(len(images)) or {"a": {}})
    monkeypatch.setattr(card, "strong", lambda *_: {"a": {"b": 0.5}})
    for half in ("choose", "report"):
        card.write(None, folder, half, None)
    assert seen == [2, 1]  # of three in focus
    assert "0.500" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="no photograph of the half"):
        card.write(None, tmp_path, "report", None)
