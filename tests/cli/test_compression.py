"""compress and compare on the command line."""

import json


def test_a_compressed_model_compiles_and_verifies(edgesmith, tmp_path):
    made = edgesmith("compress", "digits-cnn", "--method", "ptq", "--bits", "4", "--out", tmp_path / "small", "--json")
    assert made.code == 0, made.err
    said = json.loads(made.out)
    assert said["bytes_after"] < said["bytes_before"] / 6
    assert said["after"] > said["before"] - 0.01
    compiled = edgesmith("compile", tmp_path / "small", "--target", "nucleo-l4r5zi", "--out", tmp_path / "c", "--json")
    assert compiled.code == 0, compiled.err
    assert json.loads(compiled.out)["calibrated_on"] == "the model's own formats"
    verified = edgesmith("verify", tmp_path / "c", "--data", "digits")
    assert verified.code == 0, verified.err
    assert not list(tmp_path.glob(".*training"))


def test_a_recipe_is_a_file(edgesmith, tmp_path):
    (tmp_path / "r.toml").write_text('[[step]]\nmethod = "ptq"\nweights = 3\n')
    ended = edgesmith("compress", "digits-cnn", "--recipe", tmp_path / "r.toml", "--out", tmp_path / "o")
    assert ended.code == 0, ended.err
    assert "weights, bytes" in ended.out


def test_compress_needs_a_recipe_or_a_method(edgesmith, tmp_path):
    assert edgesmith("compress", "digits-cnn", "--out", tmp_path / "o").code == 3


def test_compare_prints_a_table_and_writes_a_page(edgesmith, tmp_path):
    words = ("compare", "digits-cnn", "--methods", "ptq", "--bits", "4,8", "--target", "stm32f103", "--out", tmp_path)
    ended = edgesmith(*words)
    assert ended.code == 0, ended.err
    assert [line.split()[:2] for line in ended.out.splitlines()[1:4]] == [["float", "32"], ["ptq", "4"], ["ptq", "8"]]
    assert "Quality against cost" in (tmp_path / "compare.html").read_text()


def test_widths_that_are_none_are_refused(edgesmith, tmp_path):
    ended = edgesmith("compare", "digits-cnn", "--bits", "4,many", "--out", tmp_path)
    assert (ended.code, "need widths" in ended.err) == (3, True)


def test_a_compiled_folder_is_no_model(edgesmith, compiled, tmp_path):
    ended = edgesmith("profile", compiled, "--target", "stm32f103")
    assert (ended.code, "compiled model" in ended.err) == (3, True)
