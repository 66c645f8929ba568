"""A user's own data: every form it may have, and every way it may be wrong."""

import io
import struct
import wave
import zipfile

import numpy as np
import pytest

from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.task import SPLITS
from edgesmith.data import load_task
from edgesmith.data.files import read_npz


def held(task) -> list[bytes]:
    return [row.tobytes() for split in SPLITS for row in getattr(task, split).inputs]


def test_an_npz_of_x_and_y_is_split_into_all_its_samples(tmp_path, nprng):
    x = nprng.integers(0, 256, (200, 1, 4, 4), dtype=np.uint8)
    np.savez_compressed(tmp_path / "mine.npz", x=x, y=np.arange(200) % 4)
    task = load_task(str(tmp_path / "mine.npz"))
    assert sorted(held(task)) == sorted(row.tobytes() for row in x)
    assert task.classes == ("0", "1", "2", "3") and task.normalize.std == (255.0,)
    assert len(task.test) == 40


def test_a_user_s_test_stays_the_test(tmp_path, nprng):
    x, y = nprng.normal(size=(140, 3)), nprng.normal(size=(140, 2))
    np.savez(tmp_path / "a.npz", x_train=x[:100], y_train=y[:100], x_test=x[100:], y_test=y[100:], mean=1.0, std=2.0)
    task = load_task(str(tmp_path / "a.npz"))
    assert np.array_equal(task.test.inputs, x[100:].astype(np.float32))
    assert task.loss == "mse" and task.metric.direction == "min"
    assert task.metric.compute(y[:2] + 3, y[:2]) == pytest.approx(9)
    assert np.allclose(task.normalize(task.test.inputs), (x[100:] - 1) / 2, atol=1e-6)


def npz(method: int = zipfile.ZIP_DEFLATED, **members: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    file.seek(0)
    return file


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(text: str) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_an_npz_come_back_as_they_were(order, nprng):
    array = np.asarray(nprng.normal(size=(3, 4, 5)), order=order)
    assert np.array_equal(read_npz(npz(x=npy(array)), "it")["x"], array)


HOSTILE = {
    "python objects": npy(np.array([{}, 1], dtype=object)),
    "a shape beyond the file": header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"),
    "a negative shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, -8), }\n") + b"\0" * 64,
    "an overflowing shape": header("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296), }\n"),
    "code in the header": header("__import__('os').abort()\n"),
    "structured types": npy(np.zeros(3, [("a", "f4"), ("b", "i2")])),
    "a thousand brackets": header("(" * 9000),
    "too many axes": header("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 70 + "), }\n") + b"\0" * 8,
    "no magic": b"not an array",
    "cut short": npy(np.zeros(100))[:-8],
    "bytes left over": npy(np.zeros(100)) + b"more",
    "nothing": b"",
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_array_is_a_clear_error(content):
    with pytest.raises(BadInput, match="it"):
        read_npz(npz(x=content), "it")


@pytest.mark.parametrize("dtype", ["?", "u1", ">i2", "<u4", "i8", "f2", ">f8", "U5", "S3"])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3, 4)])
def test_every_plain_type_and_shape_comes_back(dtype, shape, nprng):
    array = nprng.integers(0, 2, shape).astype(dtype)
    read = read_npz(npz(x=npy(array)), "it")["x"]
    assert read.dtype == array.dtype and read.shape == shape and np.array_equal(read, array)


def test_a_bomb_is_refused_before_it_is_unpacked():
    with pytest.raises(BadInput, match="unpacks to more"):
        read_npz(npz(x=npy(np.zeros(1_000_000))), "it", most_bytes=1_000_000)


def mutants(good: bytes, count: int, nprng):
    """Copies of `good`, cut short or not, with up to three bytes changed."""
    for _ in range(count):
        cut = nprng.integers(0, len(good) + 1) if nprng.random() < 0.2 else len(good)
        mutant = bytearray(good[:cut])
        for _ in range(nprng.integers(0, 4) if mutant else 0):
            mutant[nprng.integers(len(mutant))] = nprng.integers(256)
        yield bytes(mutant)


@pytest.mark.soak
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_a_changed_npz_is_an_array_or_a_clear_error(method, nprng, repeats):
    """Archives changed as they are, and arrays changed before they are packed, so that their parser is reached."""
    count = repeats(300, 20_000)
    array = npy(np.arange(50))
    archives = list(mutants(npz(method, x=array, y=npy(np.ones((5, 2), np.uint8))).getvalue(), count, nprng))
    archives += [npz(method, x=mutant).getvalue() for mutant in mutants(array, count, nprng)]
    for archive in archives:
        try:
            arrays = read_npz(io.BytesIO(archive), "it")
        except BadInput:
            continue
        assert all(read.nbytes <= 10_000 for read in arrays.values())


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": np.zeros((40, 2))}, "lacks y"),
        ({"x": np.zeros((40, 2)), "y": np.zeros(39, int)}, "40 inputs and 39 labels"),
        ({"x": np.full((40, 2), np.nan), "y": np.zeros(40, int)}, "not finite"),
        ({"x": np.zeros((40, 0)), "y": np.zeros(40, int)}, "shape"),
        ({"x": np.zeros(40), "y": np.zeros(40, int)}, "shape"),
        ({"x": np.array(["a"] * 40), "y": np.zeros(40, int)}, "numbers"),
        ({"x": np.zeros((40, 2)), "y": np.full(40, -1)}, "classes"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(3, int)}, "too few"),
        ({"x": np.zeros((40, 2)), "y": np.zeros(40, int), "mean": np.zeros(3), "std": np.ones(3)}, "2 channels"),
        ({"x": np.zeros((40, 2)), "y": np.zeros(40, int), "mean": 0.0, "std": 0.0}, "above zero"),
        ({"x": np.zeros((40, 2)), "y": np.zeros(40, int), "mean": 0.0}, "lacks std"),
    ],
)
def test_arrays_that_make_no_task_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInput, match=message):
        load_task(str(tmp_path / "a.npz"))


def test_a_folder_of_sounds_becomes_a_task(tmp_path, nprng):
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for index in range(20):
            with wave.open(str(tmp_path / name / f"{index}.wav"), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(nprng.integers(-99, 99, 50).astype("<i2").tobytes())
    task = load_task(str(tmp_path))
    assert task.classes == ("cat", "dog") and len(set(held(task))) == 40
    assert task.train.inputs.dtype == np.int16 and task.train.inputs.shape[1:] == (50,)


def test_a_folder_of_images_becomes_a_task_or_says_that_pillow_is_absent(tmp_path, nprng):
    image = pytest.importorskip("PIL.Image")
    pixels = nprng.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
    for index, array in enumerate(pixels):
        folder = tmp_path / "ab"[index % 2]
        folder.mkdir(exist_ok=True)
        image.fromarray(array).save(folder / f"{index}.png")
    task = load_task(str(tmp_path))
    assert sorted(held(task)) == sorted(array.transpose(2, 0, 1).tobytes() for array in pixels)
    image.fromarray(pixels[0][:4]).save(tmp_path / "a" / "odd.png")
    with pytest.raises(BadInput, match="one size"):
        load_task(str(tmp_path))
    (tmp_path / "a" / "odd.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(BadInput, match="no readable image"):
        load_task(str(tmp_path))


def test_images_without_pillow_say_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(b"")
    with pytest.raises(Missing, match="pip install pillow"):
        load_task(str(tmp_path))


def test_a_folder_of_neither_is_refused(tmp_path):
    with pytest.raises(BadInput, match="one folder per class"):
        load_task(str(tmp_path))


def test_a_csv_is_cut_into_windows_of_which_no_reading_is_in_two_splits(tmp_path):
    rows = [f"{index},{index * 2},{'on' if index % 300 < 100 else 'off'}" for index in range(4000)]
    (tmp_path / "log.csv").write_text("a,b,state\n" + "\n".join(rows))
    task = load_task(str(tmp_path / "log.csv"))
    assert task.classes == ("off", "on") and task.train.inputs.shape[1:] == (2, 32)
    readings = [set(getattr(task, split).inputs[:, 0].ravel()) for split in SPLITS]
    assert sum(map(len, readings)) == len(set().union(*readings))
    last = task.test.inputs[:, 0, -1].astype(int)
    assert np.array_equal(task.test.labels, last % 300 < 100)


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1,x\n", "a,b\nx,on\n", "on\n" * 9, "a,b\n" + "1,on\n2\n" * 5])
def test_a_csv_that_is_no_table_is_refused(tmp_path, text):
    (tmp_path / "log.csv").write_text(text)
    with pytest.raises(BadInput, match=r"log\.csv"):
        load_task(str(tmp_path / "log.csv"))


CODE = """
from edgesmith.data.digits import digits_task
def task(): return digits_task(seed=7)
def number(): return 3
def broken(): raise RuntimeError("my fault")
"""


def test_code_runs_only_when_trusted(tmp_path):
    (tmp_path / "mine.py").write_text("open('ran', 'w')\n" + CODE)
    with pytest.raises(BadInput, match="--trust"):
        load_task(f"{tmp_path}/mine.py:task")
    assert not (tmp_path / "ran").exists()


def test_a_function_may_return_a_task_and_nothing_else(tmp_path):
    (tmp_path / "mine.py").write_text(CODE)
    assert load_task(f"{tmp_path}/mine.py:task", trust=True).name == "digits"
    for function, message in (
        ("number", "returned int"),
        ("broken", "RuntimeError: my fault"),
        ("gone", "no function"),
    ):
        with pytest.raises(BadInput, match=message):
            load_task(f"{tmp_path}/mine.py:{function}", trust=True)
    with pytest.raises(Missing, match="not a file"):
        load_task(f"{tmp_path}/other.py:task", trust=True)


def test_a_name_or_ending_that_is_unknown_is_met_with_the_known(tmp_path):
    with pytest.raises(Missing, match="fashion-mnist"):
        load_task("fashion-mnits")
    (tmp_path / "data.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    with pytest.raises(BadInput, match=r"need \.npz"):
        load_task(str(tmp_path / "data.pkl"))
