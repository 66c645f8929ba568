"""Wrong input ends with the documented exit code, one message on stderr, nothing on stdout, nothing written."""

import json
import re

import pytest

USAGE, BAD_INPUT, DOES_NOT_FIT, MISSING = 2, 3, 5, 7
FIT = ("fit", "digits-cnn", "--target", "stm32f103")


def refused(ended, code, words):
    assert ended.code == code, ended.err
    assert words in ended.err and ended.out == ""
    assert "Traceback" not in ended.err
    if code != USAGE:
        assert re.match(r"[A-Z][A-Za-z]+: \S.*\.\n$", ended.err), "who: what was found; what is needed."


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("fit", "digits-cnn", "--target", "stm32"), BAD_INPUT, "no target 'stm32'; need one of esp32c3"),
        (("fit", "digitscnn", "--target", "stm32f103"), BAD_INPUT, "no net is called 'digitscnn'"),
        (("fit", "ds-cnn", "--target", "stm32f103"), BAD_INPUT, "--data"),
        ((*FIT, "--max-flash", "0KB"), BAD_INPUT, "'0KB' is not above zero"),
        ((*FIT, "--max-ram", "-1KB"), BAD_INPUT, "'-1KB' is not a quantity"),
        ((*FIT, "--max-latency", "5 parsec"), BAD_INPUT, "need a number and one of: us, ms, s"),
        ((*FIT, "--max-energy", "1e999J"), BAD_INPUT, "not a quantity"),
        ((*FIT, "--time", "soon"), BAD_INPUT, "'soon' is not a quantity"),
        ((*FIT, "--trials", "0"), USAGE, "--trials"),
        ((*FIT, "--data", "nowhere.npz"), MISSING, "neither a file or folder nor one of"),
        ((*FIT, "--data", "nets.py:data"), BAD_INPUT, "--trust"),
        (("compile", "digits-cnn", "--target", "stm32f103"), USAGE, "--out"),
        (("compile", "nets.py:build", "--target", "stm32f103"), BAD_INPUT, "--trust"),
        (("compile", "nets.py:one", "--target", "stm32f103", "--trust"), BAD_INPUT, "need (torch.nn.Module"),
        (("compile", "nets.py:absent", "--target", "stm32f103", "--trust"), BAD_INPUT, "no function called"),
        (("compile", "net.pt2", "--target", "stm32f103"), MISSING, "not a file"),
        (("compile", "empty.pt2", "--target", "stm32f103"), BAD_INPUT, "--trust"),
        (("compile", "empty.pt2", "--target", "stm32f103", "--trust"), BAD_INPUT, "need a .pt2"),
        (("compile", "digits-cnn", "--target", "absent.toml"), BAD_INPUT, "absent.toml cannot be read"),
        (("compile", "digits-cnn", "--target", "stm32f103", "--precision", "int4"), BAD_INPUT, "need int8 or float32"),
        (("compile", "digits-cnn", "--target", "stm32f103", "--calibration", "max"), BAD_INPUT, "need one of minmax"),
        (("compile", "digits-resnet", "--target", "stm32f103"), DOES_NOT_FIT, "flash is 3."),
        (("profile", "digits-cnn", "--target", "moon"), BAD_INPUT, "no target 'moon'"),
        (("report", "nowhere"), BAD_INPUT, "Run a fit first"),
        (("verify", "nowhere"), BAD_INPUT, "made by edgesmith compile or fit"),
        (("run", "nowhere", "empty.pt2"), BAD_INPUT, "no numpy array"),
        (("zoo", "train", "ds-cnn"), BAD_INPUT, "a shape without data"),
        (("reproduce", "ptq"), MISSING, "checkout"),
        (("undo",), USAGE, "No such command"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_wrong_words_are_refused(edgesmith, nets, tmp_path, monkeypatch, words, code, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.pt2").touch()
    before = {path.name for path in tmp_path.iterdir()} | {"__pycache__"}
    out = () if words[0] not in ("fit", "compile") or "--out" in message else ("--out", "made")
    refused(edgesmith(*words, *out), code, message)
    assert {path.name for path in tmp_path.iterdir()} <= before


@pytest.mark.parametrize("verb", [FIT, ("compile", "digits-cnn", "--target", "stm32f103")], ids=["fit", "compile"])
def test_an_unwritable_folder_is_refused(edgesmith, read_only, verb):
    refused(edgesmith(*verb, "--out", read_only), BAD_INPUT, "below")


def test_a_folder_that_holds_something_else_is_left_alone(edgesmith, tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    for words in (FIT, ("compile", "digits-cnn", "--target", "stm32f103")):
        refused(edgesmith(*words, "--out", tmp_path / "letters"), BAD_INPUT, "letters")
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["dear.txt"]


def change_weights(artifact):
    path = artifact / "weights.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x7f")


def change_graph(artifact):
    (artifact / "graph.json").write_text("[]")


def point_outside(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    manifest["files"]["../outside"] = "0" * 64
    (artifact / "manifest.json").write_text(json.dumps(manifest))


def another_target(artifact):
    manifest = json.loads((artifact / "manifest.json").read_text())
    (artifact / "manifest.json").write_text(json.dumps({**manifest, "target": "../../etc"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (change_weights, "weights.safetensors does not have the sha256"),
        (change_graph, "graph.json does not have the sha256"),
        (point_outside, "may leave the folder"),
        (another_target, "'../../etc' is not built in"),
        (lambda artifact: (artifact / "graph.json").unlink(), "graph.json is missing"),
        (lambda artifact: (artifact / "manifest.json").write_text("{"), "not valid JSON"),
    ],
)
def test_a_damaged_artifact_is_refused(edgesmith, artifact, digit, damage, message):
    damage(artifact)
    refused(edgesmith("verify", artifact), BAD_INPUT, message)
    refused(edgesmith("run", artifact, digit, "--on", "board"), BAD_INPUT, message)


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("absent.npy", None, MISSING, "no file"),
        ("text.npy", b"no array", BAD_INPUT, "text.npy"),
        ("cut.npy", -10, BAD_INPUT, "cut.npy"),
        ("wide.npy", (9, 9, 1), BAD_INPUT, "has shape (9, 9, 1); need (1, 8, 8, 1)"),
    ],
)
def test_inputs_that_are_none_are_refused(edgesmith, artifact, tmp_path, digit, name, content, code, message):
    import numpy as np

    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, int):
        path.write_bytes(digit.read_bytes()[:content])
    elif content:
        np.save(path, np.zeros(content, np.uint8))
    out = tmp_path / "outputs.npz"
    refused(edgesmith("run", artifact, path, "--out", out), code, message)
    assert not out.exists()


def test_a_place_to_run_is_named_or_refused(edgesmith, artifact, digit):
    refused(edgesmith("run", artifact, digit, "--on", "moon"), BAD_INPUT, "need target, host, board or numpy")


def test_an_interrupt_ends_with_130_and_says_how_to_go_on(edgesmith, monkeypatch, compiled):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("edgesmith.pipeline.execute.certify_artifact", interrupted)
    ended = edgesmith("verify", compiled)
    assert ended.code == 130 and ended.err == "interrupted; run the same command again to go on\n"
