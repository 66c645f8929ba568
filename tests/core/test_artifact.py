"""An artifact is read back as it was written, or refused with a reason; loading believes nothing."""

import hashlib
import json
import os

import numpy as np
import pytest
import safetensors.numpy

from core.ops.cases import CASES, NAMES
from core.sketch import Sketch
from edgesmith.core import artifact as artifacts
from edgesmith.core.artifact import MAX_JSON_DEPTH, load, parse_json, save, update
from edgesmith.core.errors import BadInput
from edgesmith.core.ops import interpret


def small_graph():
    sketch = Sketch()
    x, state = sketch.input(2, 3), sketch.state(2, 3)
    y = sketch("add", sketch("mul", x, sketch.const(np.arange(3.0))), state)
    return sketch.graph(y, updates=(y,))


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "a", small_graph(), {"task": "t"}, {"model.c": b"int x;", "kernels/k.h": b"//"})
    return tmp_path / "a"


def rehash(folder, **files):
    """Replace files and make the manifest agree, as an attacker would."""
    manifest = json.loads((folder / "manifest.json").read_text())
    for name, data in files.items():
        (folder / name.replace("_json", ".json").replace("_st", ".safetensors")).write_bytes(data)
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def remanifest(folder, change):
    manifest = json.loads((folder / "manifest.json").read_text())
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def refused(folder, match):
    with pytest.raises(BadInput, match=match):
        load(folder)


def test_an_artifact_is_read_back_with_its_facts_and_computes_the_same(folder):
    back = load(folder)
    x = {"in0": np.ones((2, 3), np.float32)}
    np.testing.assert_array_equal(*(list(interpret(g, x).values())[0] for g in (back.graph, small_graph())))
    assert (back.name, back.manifest["task"]) == ("g", "t")


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_every_op_survives_storage(case, tmp_path):
    save(tmp_path / "a", case.graph(), {}, {})
    back = load(tmp_path / "a").graph
    for name, value in interpret(back, {"i0": case.arrays[0]}).items():
        np.testing.assert_array_equal(value, case.run()[case.op.outputs.index(name)])


def test_saving_twice_replaces_the_first(folder):
    save(folder, small_graph(), {"task": "other"}, {})
    assert load(folder).manifest["task"] == "other"
    assert sorted(p.name for p in folder.iterdir()) == ["graph.json", "manifest.json", "weights.safetensors"]


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "thesis.tex").write_text("years")
    with pytest.raises(BadInput, match="exists and is not an artifact"):
        save(tmp_path, small_graph(), {}, {})
    with pytest.raises(BadInput, match="exists and is not an artifact"):
        save(tmp_path / "thesis.tex", small_graph(), {}, {})
    assert (tmp_path / "thesis.tex").read_text() == "years"


def test_updating_adds_facts_and_new_files(folder):
    update(load(folder), {"readings": [1]}, {"report.json": b"{}"})
    assert load(folder).manifest["readings"] == [1]
    assert (folder / "model.c").read_bytes() == b"int x;"


def test_updating_a_known_file_keeps_the_rest_and_its_hash(folder):
    update(load(folder), {}, {"model.c": b"int y;"})
    load(folder)
    assert (folder / "model.c").read_bytes() == b"int y;"
    assert (folder / "kernels/k.h").read_bytes() == b"//"


def test_a_kill_inside_an_update_leaves_a_loadable_artifact(folder, monkeypatch):
    """Whichever write is the last one that happens."""
    for survivors in range(3):
        left = [survivors]

        def write(path, data, left=left, real=artifacts.write_file):
            if left[0] == 0:
                raise KeyboardInterrupt
            left[0] -= 1
            real(path, data)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("edgesmith.core.atomic.write_file", write)
            patch.setattr(artifacts, "write_file", write)
            update(load(folder), {}, {"model.c": b"changed", "graph.txt": b"new"})
        load(folder)


@pytest.mark.parametrize("name", ["model.c", "kernels/k.h", "graph.json", "weights.safetensors"])
def test_one_changed_byte_is_noticed(folder, name):
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    refused(folder, f"{name} does not have the sha256")


@pytest.mark.parametrize("name", ["model.c", "graph.json", "weights.safetensors", "manifest.json"])
def test_a_missing_or_cut_file_is_noticed(folder, name):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:-2])
    refused(folder, "sha256|not valid JSON")
    (folder / name).unlink()
    refused(folder, f"{name} is missing")


BAD_NAMES = ("../x", "/etc/passwd", "a/../../x", "C:x", "a\\b", "", ".", "a//b", "x\0y", "\ud800", "a" * 5000, "a/./b")


@pytest.mark.parametrize("name", BAD_NAMES, ids=lambda n: ascii(n)[:12])
def test_names_that_may_leave_the_folder_are_refused(folder, name, tmp_path):
    remanifest(folder, lambda m: m["files"].update({name: "0" * 64}))
    refused(folder, "may leave the folder")
    with pytest.raises(BadInput, match="may leave the folder"):
        save(tmp_path / "b", small_graph(), {}, {name: b""})
    assert not (tmp_path / "b").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
@pytest.mark.parametrize("name", ["model.c", "kernels", "manifest.json", "weights.safetensors"])
def test_a_link_is_not_followed(folder, name, tmp_path):
    (folder / name).rename(tmp_path / "elsewhere")
    (folder / name).symlink_to(tmp_path / "elsewhere")
    refused(folder, "no plain file")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a FIFO")
def test_a_pipe_is_not_waited_for(folder):
    (folder / "model.c").unlink()
    os.mkfifo(folder / "model.c")
    refused(folder, "no plain file")


def test_files_larger_than_what_is_read_are_refused(folder, monkeypatch):
    monkeypatch.setattr(artifacts, "MAX_FILE_BYTES", 100)
    refused(folder, "is larger than the")


@pytest.mark.parametrize("version", [2, 0, "1", None, [[]], 10**30])
def test_another_schema_is_refused_by_number(folder, version):
    remanifest(folder, lambda m: m.update(schema_version=version))
    refused(folder, "schema version .*this edgesmith reads 1")


@pytest.mark.parametrize(
    "manifest", ["[]", "3", "{}", '{"files": []}', "", "\ufeff{}", "{", "nan", '{"files": {"x": 1}']
)
def test_what_is_no_manifest_is_refused(folder, manifest):
    (folder / "manifest.json").write_text(manifest, encoding="utf-8")
    refused(folder, "manifest")


def test_a_manifest_without_a_graph_is_refused(folder):
    remanifest(folder, lambda m: m["files"].pop("graph.json"))
    refused(folder, "no graph.json")


DEEP = (b"[" * 100_000, b"[" * 500 + b"]" * 500, b'{"a":' * 900 + b"1" + b"}" * 900, b"[" * (MAX_JSON_DEPTH + 1))


@pytest.mark.parametrize("text", DEEP, ids=len)
def test_deep_json_is_refused(folder, text):
    rehash(folder, graph_json=text)
    refused(folder, "not valid JSON|nested deeper")


def test_json_as_deep_as_allowed_is_parsed():
    assert parse_json(b"[" * MAX_JSON_DEPTH + b"]" * MAX_JSON_DEPTH, "x") != []


def test_oversized_json_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr(artifacts, "MAX_JSON_BYTES", 10)
    with pytest.raises(BadInput, match="at most 10 are read"):
        parse_json(b"[1, 2, 3, 4]", "x")


NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", "9" * 4000, "9" * 5000, "-1", "0", "1.5", "true", "null", '"2"')


@pytest.mark.parametrize("number", NUMBERS, ids=lambda n: n[:9])
def test_a_size_must_be_a_plain_whole_number(folder, number):
    text = (folder / "graph.json").read_text().replace("    2,\n", f"    {number},\n", 1)
    assert number in text
    rehash(folder, graph_json=text.encode())
    refused(folder, "graph|not valid JSON")


@pytest.mark.parametrize("dtype", [np.float16, np.float64, np.int64, np.bool_])
def test_weights_of_another_type_are_refused(folder, dtype):
    arrays = safetensors.numpy.load((folder / "weights.safetensors").read_bytes())
    rehash(folder, weights_st=safetensors.numpy.save({name: a.astype(dtype) for name, a in arrays.items()}))
    refused(folder, "constant .* is|state .* differ in type")


def test_weights_that_are_missing_or_too_many_are_refused(folder):
    rehash(folder, weights_st=safetensors.numpy.save({"more": np.zeros(1)}))
    refused(folder, "is missing or belongs to no tensor")


def header(text: str) -> bytes:
    return len(text).to_bytes(8, "little") + text.encode()


HEADERS = (
    (1 << 62).to_bytes(8, "little"),
    header('{"const0":{"dtype":"F32","shape":[3],"data_offsets":[0,1000000000000]}}'),
    header('{"const0":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}'),
    header('{"const0":{"dtype":"BF16","shape":[3],"data_offsets":[0,6]}}') + bytes(6),
    header('{"const0":{"dtype":"F8_E4M3","shape":[3],"data_offsets":[0,3]}}') + bytes(3),
    header('{"const0":{"dtype":"F32","shape":[-3],"data_offsets":[0,12]}}') + bytes(12),
    header("{" * 1000),
    b"",
)


@pytest.mark.parametrize("data", HEADERS, ids=range(len(HEADERS)))
def test_a_lying_safetensors_header_is_refused(folder, data):
    rehash(folder, weights_st=data)
    refused(folder, "weights.safetensors is malformed|missing or belongs")
