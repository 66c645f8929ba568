from dataclasses import asdict

import numpy as np
import pytest

from edgesmith.collaborate.crossing.images import PICTURES, Picture, are_pictures, picture_from_json, send
from edgesmith.core.errors import BadInput
from edgesmith.core.task import Split


def picture(channels):
    y, x = np.mgrid[:24, :20]
    return np.stack([(x * 6 + y * (3 + c)) % 256 for c in range(channels)]).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_loses_nothing_and_jpeg_little(channels):
    original = picture(channels)
    for way in PICTURES:
        back = way.decode(way.encode(original), channels)
        assert back.shape == original.shape and back.dtype == np.uint8
        lost = np.abs(back.astype(int) - original).mean()
        assert lost == 0 if way.codec == "PNG" else lost < 40


def test_a_lower_quality_takes_fewer_bytes():
    sizes = [len(Picture("JPEG", quality).encode(picture(3))) for quality in (95, 75, 50, 25)]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("channels", [1, 3])
def test_webp_keeps_shape_and_most_of_the_picture(channels):
    original = picture(channels)
    back = Picture("WEBP", 90).decode(Picture("WEBP", 90).encode(original), channels)
    assert back.shape == original.shape and back.dtype == np.uint8
    assert np.abs(back.astype(int) - original).mean() < 40


def test_a_jpeg_with_tables_of_its_own_is_smaller_and_shows_the_same():
    plain, own = Picture("JPEG", 50), Picture("JPEG", 50, own_tables=True)
    files = [way.encode(picture(1)) for way in (plain, own)]
    assert len(files[1]) < len(files[0])
    assert (plain.decode(files[0], 1) == own.decode(files[1], 1)).all()


def test_sending_counts_bytes_and_times():
    inputs = np.stack([picture(1)] * 4)
    sent = send(Picture("PNG"), inputs)
    assert (sent.inputs == inputs).all() and sent.encode_ms > 0 and sent.decode_ms > 0
    assert sent.mean_bytes == len(Picture("PNG").encode(inputs[0]))


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((2, 3, 8, 8), np.uint8, True),
        ((2, 2, 8, 8), np.uint8, False),
        ((2, 1, 8, 8), np.float32, False),
        ((2, 8), np.uint8, False),
    ],
)
def test_only_bytes_in_one_or_three_channels_are_pictures(shape, dtype, expected):
    assert are_pictures(Split(np.zeros(shape, dtype), np.zeros(2))) is expected


@pytest.mark.parametrize("data", [b"", b"garbage", Picture("PNG").encode(picture(3))[:60]])
def test_what_is_no_picture_is_refused(data):
    with pytest.raises(BadInput, match="picture"):
        Picture("PNG").decode(data, 3)


def test_another_codec_channels_or_size_are_refused():
    file = Picture("PNG").encode(picture(3))
    for way, channels, size in (
        (Picture("JPEG", 75), 3, None),
        (Picture("PNG"), 1, None),
        (Picture("PNG"), 3, (20, 24)),
    ):
        with pytest.raises(BadInput, match="picture"):
            way.decode(file, channels, size)


def test_json_brings_a_picture_back():
    assert picture_from_json(asdict(Picture("JPEG", 75))) == Picture("JPEG", 75)
    for codec, quality in (("GIF", 3), ("PNG", "3"), ("PNG", 101), (3, 3)):
        with pytest.raises(BadInput, match="damaged"):
            picture_from_json({"codec": codec, "quality": quality, "own_tables": False})
