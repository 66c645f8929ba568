"""The documentation is true: links resolve, commands exist, Python in it runs, generated pages are up to date."""

import doctest
import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import edgesmith
from edgesmith.cli import app

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)

LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COMMAND = typer.main.get_command(app)


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub links to them."""
    titles = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def commands(text: str) -> Iterator[list[str]]:
    """Every `edgesmith ...` of a page's blocks and of its running text, as words."""
    lines = [line for kind, block in BLOCK.findall(text) if kind in ("", "sh") for line in block.splitlines()]
    lines += re.findall(r"`(edgesmith [^`]*)`", BLOCK.sub("", text))
    for line in lines:
        if line.startswith("edgesmith "):
            yield shlex.split(line.split("  #")[0].removesuffix(" ..."))[1:]


@every_page
def test_every_link_resolves(page):
    for link in LINK.findall(page.read_text()):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists() and ROOT in (target, *target.parents), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@every_page
def test_every_command_exists_with_its_options(page):
    for verb, *words in commands(page.read_text()):
        if verb.startswith("--"):
            continue
        assert verb in COMMAND.commands, f"{page.name}: edgesmith {verb}"
        command = COMMAND.commands[verb]
        if words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        used = {word.split("=")[0] for word in words if word.startswith("--")}
        assert used <= known, f"{page.name}: edgesmith {verb} has no {', '.join(sorted(used - known))}"


@every_page
def test_every_example_of_python_does_what_it_shows(page):
    text = page.read_text()
    blocks = [block for kind, block in BLOCK.findall(text) if kind == "python" and ">>>" in block]
    parsed = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page.name, str(page), 0)
    said: list[str] = []
    assert doctest.DocTestRunner().run(parsed, out=said.append).failed == 0, "".join(said)


@every_page
def test_the_python_that_is_only_shown_is_python(page):
    for kind, block in BLOCK.findall(page.read_text()):
        if kind == "python" and ">>>" not in block:
            compile(block, page.name, "exec")


def test_the_table_of_verbs_is_whole():
    rows = re.findall(r"^\| (`.*?`) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(COMMAND.commands)


def module_of(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def generate():
    return module_of("generate")


@pytest.mark.parametrize("name", ["generate", "speed", "quantization"])
def test_a_generated_page_is_up_to_date(name):
    generate = module_of(name)
    assert generate.PAGE.read_text() == generate.page(), f"run: python docs/{name}.py"


def test_the_tables_of_classical_models_are_the_results(generate):
    text = generate.CLASSICAL.read_text()
    assert generate.classical_page(text) == text, "run: python docs/generate.py"


def test_exit_codes_are_those_of_the_errors():
    from edgesmith.core import errors

    codes = {error.exit_code for error in vars(errors).values() if isinstance(error, type)} - {1}
    for text in (COMMAND.epilog, (ROOT / "docs" / "getting-started.md").read_text()):
        assert codes <= {int(code) for code in re.findall(r"\b([2-8]) (?=[a-z])", text)}


def test_the_pages_name_the_version_there_is():
    assert f"## {edgesmith.__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_short_and_says_what_it_shows(path):
    lines = path.read_text().splitlines()
    assert len(lines) < 80 and lines[0].startswith('"""')
