"""docs/import-export.md says what the code supports and what was measured."""

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "import.json"


def generator():
    spec = importlib.util.spec_from_file_location("import_export", ROOT / "docs" / "import_export.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_of_models_in_and_out_is_up_to_date():
    module = generator()
    assert module.PAGE.read_text() == module.page(), "run: python docs/import_export.py"


def test_what_was_imported_holds_and_what_was_not_names_its_ops():
    for row in json.loads(RESULTS.read_text())["rows"]:
        if row["imported"]:
            assert all(relation["holds"] is not False for relation in row["relations"]) == row["holds"], row["file"]
        else:
            assert row["refused"] and all("(" in line for line in row["refused"]), row["file"]
