"""Every verb does what its help says: data on stdout, JSON on request, nothing on stderr when nobody watches."""

import json

import numpy as np
import pytest
import torch

from edgesmith import targets, zoo
from edgesmith.core import artifact as artifacts
from edgesmith.data import named_task

LISTS = [("targets",), ("targets", "rp2040"), ("zoo",), ("methods",), ("doctor",)]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_a_list_is_a_table_or_json(edgesmith, words):
    plain, rows = edgesmith(*words), edgesmith(*words, "--json")
    assert (plain.code, rows.code, plain.err, rows.err) == (0, 0, "", "")
    names = [row.get("name") or row["package"] for row in json.loads(rows.out)]
    assert names and all(name in plain.out for name in names)


def test_lists_are_whole(edgesmith):
    for verb, names in (("targets", targets.names()), ("zoo", list(zoo.names()))):
        assert [row["name"] for row in json.loads(edgesmith(verb, "--json").out)] == names


def test_a_target_shows_the_source_of_every_figure(edgesmith):
    found = edgesmith("targets", "stm32f103").out
    assert all(figure in found for figure in targets.load("stm32f103").sources)


def test_help_names_every_verb_and_what_each_argument_is(edgesmith):
    from edgesmith.cli import app

    verbs = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    text = edgesmith("--help").out
    assert "Exit codes" in text and all(verb in text for verb in verbs)
    assert "made by edgesmith compile" in edgesmith("run", "--help").out


def test_profile_adds_up(edgesmith):
    found = json.loads(edgesmith("profile", "digits-cnn", "--target", "stm32f103", "--json").out)
    rows = found["layers"]["rows"]
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    assert set(found["readings"]) == {"flash", "ram", "latency", "energy"}
    # 3x3 convolutions of digits-cnn on 8x8, 8x8 and 4x4 pixels and its last layer, by hand
    assert sum(row["macs"] for row in rows) == 9 * 64 * 16 + 9 * 64 * 16 * 24 + 9 * 16 * 24 * 40 + 40 * 4 * 10


def test_the_same_picture_gives_the_same_numbers_everywhere(edgesmith, artifact, digit, tmp_path):
    found = [edgesmith("run", artifact, digit, "--on", place, "--json") for place in ("host", "board", "numpy")]
    assert [one.code for one in found] == [0, 0, 0] and found[0].out == found[1].out == found[2].out
    (row,) = json.loads(found[0].out)["linear"]
    assert np.argmax(row) == named_task("digits").test.labels[0]
    assert edgesmith("run", artifact, digit, "--out", tmp_path / "y.npz").code == 0
    assert np.load(tmp_path / "y.npz")["linear"].tolist() == [row]


def test_verify_keeps_the_certificate(edgesmith, artifact):
    ended = edgesmith("verify", artifact, "--samples", "2", "--json")
    relations = json.loads(ended.out)
    assert ended.code == 0 and len(relations) >= 3 and all(relation["holds"] for relation in relations)
    assert artifacts.load(artifact).manifest["certificate"] == relations


def test_a_board_of_ones_own_goes_with_the_artifact(edgesmith, nets, digit, tmp_path):
    board = (targets.BOARDS / "stm32f103.toml").read_text()
    (tmp_path / "mine.toml").write_text(board.replace("size_bytes = 65_536", "size_bytes = 131_072"))
    words = ("--target", tmp_path / "mine.toml", "--data", f"{nets}:data", "--trust", "--out", tmp_path / "a")
    made = edgesmith("compile", f"{nets}:build", *words, "--json")
    assert (made.code, json.loads(made.out)["target"]) == (0, "mine")
    (tmp_path / "mine.toml").unlink()
    assert edgesmith("run", tmp_path / "a", digit, "--on", "board").code == 0
    assert "emulated mine" in edgesmith("verify", tmp_path / "a", "--samples", "1").out


def test_an_exported_program_is_compiled(edgesmith, digit, tmp_path):
    bed = zoo.load("digits-cnn")
    torch.export.save(torch.export.export(bed.module, bed.example_inputs), tmp_path / "net.pt2")
    words = ("--trust", "--data", "digits", "--target", "x86-64", "--out", tmp_path / "a", "--precision", "float32")
    assert edgesmith("compile", tmp_path / "net.pt2", *words).code == 0
    (row,) = next(iter(json.loads(edgesmith("run", tmp_path / "a", digit, "--json").out).values()))
    picture = torch.from_numpy(bed.task.normalize(bed.task.test.inputs[:1]))
    assert row == pytest.approx(bed.module(picture)[0].tolist(), abs=1e-4)


def test_fit_ends_with_an_artifact_and_a_report_that_can_be_written_again(edgesmith, tmp_path):
    words = ("--trials", "1", "--epochs", "1", "--jobs", "1", "--out", tmp_path / "fit")
    ended = edgesmith("fit", "digits-cnn", "--target", "nucleo-l4r5zi", *words, "--json")
    assert ended.code == 0 and ended.err == ""
    data = json.loads(ended.out)
    assert data["outcome"]["fits"] and "--trials 1" in json.dumps(data)
    assert artifacts.load(tmp_path / "fit" / "best").manifest["target"] == "nucleo-l4r5zi"
    page = tmp_path / "fit" / "report.html"
    page.unlink()
    assert "artifact:" not in edgesmith("report", tmp_path / "fit", "--json").out and not page.exists()
    assert str(page) in edgesmith("report", tmp_path / "fit").out and page.stat().st_size > 1_000_000


def test_a_budget_that_nothing_meets_ends_with_5_and_a_report(edgesmith, tmp_path):
    words = ("--max-ram", "1KB", "--trials", "2", "--epochs", "1", "--jobs", "1", "--out", tmp_path / "fit")
    ended = edgesmith("fit", "digits-cnn", "--target", "stm32f103", *words)
    assert ended.code == 5 and "does not fit" in ended.out and "relax --max-ram" in ended.out
    assert "DoesNotFit: fit: nothing fits." in ended.err
    assert (tmp_path / "fit" / "report.html").is_file() and not (tmp_path / "fit" / "best").exists()


def test_experiments_run_one_after_the_other_and_the_worst_code_is_kept(edgesmith, monkeypatch, tmp_path):
    folder = tmp_path / "benchmarks" / "claims" / "compile"
    folder.mkdir(parents=True)
    (folder / "i_vit.py").write_text("print('first')")
    (folder / "other.py").write_text("raise SystemExit(2)")
    monkeypatch.chdir(tmp_path)
    ended = edgesmith("reproduce", "i-vit", "other", "i_vit")
    assert (ended.code, ended.out.split()) == (2, ["first", "first"])
    assert "no experiment for 'what'" in edgesmith("reproduce", "i-vit", "what").err
