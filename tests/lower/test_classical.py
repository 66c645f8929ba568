"""Models of scikit-learn, XGBoost and LightGBM: the model and its graph in numpy say the same."""

import numpy as np
import pytest

from edgesmith.core.errors import BadInput, Unsupported
from edgesmith.core.interface import decode
from edgesmith.core.ops import interpret
from edgesmith.lower.classical import Classical, Cut, lower_classical
from edgesmith.lower.classical.forest import at_most, below
from lower.classical_models import CLASSIFIERS, CLUSTERINGS, REGRESSORS, fitted, rows, targets

TOLD_APART = [(name, classes) for name in CLASSIFIERS for classes in (2, 3)]
every_classifier = pytest.mark.parametrize(("name", "classes"), TOLD_APART, ids=[f"{n} {c}" for n, c in TOLD_APART])


def scores(graph, x):
    """Real scores of every row."""
    (name,) = graph.outputs
    return np.concatenate([decode(graph.tensors[name], interpret(graph, {"x": row[None]})[name]) for row in x])


def lowered(model, precision):
    return lower_classical(Classical(model), rows(0, 3)[0], precision)


@every_classifier
def test_the_float_graph_predicts_what_the_classifier_does(name, classes):
    model = fitted("classifier", name, classes)
    x, _ = rows(1, classes)
    found = scores(lowered(model, "float32"), x)
    assert found.shape == (len(x), classes)
    assert (found.argmax(axis=1) == model.predict(x)).mean() >= (1.0 if "tree" in name or "forest" in name else 0.99)


@every_classifier
def test_fixed_point_predicts_nearly_the_same(name, classes):
    """At most one decision in fifty is another."""
    model = fitted("classifier", name, classes)
    x, _ = rows(1, classes)
    found = scores(lowered(model, "fixed"), x)
    assert (found.argmax(axis=1) == model.predict(x)).mean() >= 0.98


@pytest.mark.parametrize("name", REGRESSORS)
def test_a_regression_is_near_in_float_and_in_fixed_point(name):
    """float32 rounding; in fixed point four thousandths of the targets' spread, for rows within what was seen."""
    model = fitted("regressor", name)
    seen, _ = rows(0, 3)
    x = np.clip(rows(1, 3)[0], seen.min(axis=0), seen.max(axis=0))
    wanted = model.predict(x)
    spread = np.ptp(targets(x))
    assert np.abs(scores(lowered(model, "float32"), x)[:, 0] - wanted).max() < 2e-5 * spread
    assert np.abs(scores(lowered(model, "fixed"), x)[:, 0] - wanted).max() < 4e-3 * spread


@pytest.mark.parametrize("name", CLUSTERINGS)
def test_a_clustering_puts_rows_where_the_model_does(name):
    model = fitted("clustering", name)
    x, _ = rows(1, 3)
    assert (scores(lowered(model, "float32"), x).argmax(axis=1) == model.predict(x)).mean() >= 0.99
    assert (scores(lowered(model, "fixed"), x).argmax(axis=1) == model.predict(x)).mean() >= 0.98


def test_principal_components_are_those_of_the_model():
    from sklearn.decomposition import PCA

    x, _ = rows(0, 3)
    model = PCA(3).fit(x)
    wanted = model.transform(x)
    assert np.abs(scores(lowered(model, "float32"), x) - wanted).max() < 1e-4 * np.abs(wanted).max()
    assert np.abs(scores(lowered(model, "fixed"), x) - wanted).max() < 2e-3 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["forest", "boosting", "xgboost", "lightgbm", "svc", "knn", "naive bayes", "logistic"])
def test_whole_numbers_are_taken_as_they_are(name):
    """Pixels: uint8 in, no float on the way in fixed point."""
    rng = np.random.default_rng(5)
    x = rng.integers(0, 17, (200, 9)).astype(np.uint8)
    labels = (x[:, 0] > x[:, 4]).astype(int) + (x[:, 2] > 8)
    model = CLASSIFIERS[name]().fit(x.astype(np.float32), labels)
    for precision, least in (("float32", 0.99), ("fixed", 0.98)):
        graph = lower_classical(Classical(model), x, precision)
        assert graph.tensors["x"].dtype == "uint8"
        floats = [t for op in graph.ops for t in graph.types(op.outputs) if t.dtype == "float32"]
        assert precision == "float32" or not floats
        assert (scores(graph, x).argmax(axis=1) == model.predict(x.astype(np.float32))).mean() >= least


def test_a_row_on_a_threshold_goes_where_the_model_sends_it():
    """Values equal to thresholds, and one float32 to either side: of x <= t in float64, and of XGBoost's x < t."""
    for name in ("tree", "forest", "xgboost"):
        model = fitted("classifier", name)
        graph = lowered(model, "float32")
        nodes, threshold = (graph.constants[n] for n in graph.ops[0].inputs[1:3])
        x = np.repeat(rows(1, 3, 1)[0], 3 * len(nodes), axis=0)
        for i, (node, limit) in enumerate(zip(nodes, threshold, strict=True)):
            near = np.nextafter(limit, np.float32([-np.inf, np.inf]))
            x[3 * i : 3 * i + 3, node[0]] = near[0], limit, near[1]
        assert (scores(graph, x).argmax(axis=1) == model.predict(x)).all()


def test_thresholds_are_rounded_to_the_side_that_keeps_decisions(nprng):
    values = nprng.normal(size=2000) * 10.0 ** nprng.integers(-30, 30, 2000)
    floor = at_most(values)
    assert (floor.astype(np.float64) <= values).all()
    assert (np.nextafter(floor, np.float32(np.inf)).astype(np.float64) > values).all()
    limits = values.astype(np.float32)
    assert (np.nextafter(below(limits).astype(np.float32), np.float32(np.inf)) == limits).all()


def test_a_cut_forest_is_the_first_trees_as_deep_as_asked():
    model = fitted("classifier", "forest")
    x, _ = rows(1, 3)
    whole, cut = Classical(model), Cut(trees=4)
    found = scores(lower_classical(whole, x, "float32", cut=cut), x)
    wanted = np.mean([tree.predict_proba(x) for tree in model.estimators_[:4]], axis=0)
    assert np.abs(found - wanted).max() < 1e-6
    assert max(depth for tree in whole.forest(Cut(depth=2)).trees for _, depth in tree.walk()) == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda s: s.svm.SVC(kernel="poly"), "kernel 'poly'"),
        (lambda s: s.neighbors.KNeighborsClassifier(weights="distance"), "need euclidean and uniform"),
        (lambda s: s.pipeline.make_pipeline(s.preprocessing.Normalizer(), s.linear_model.Ridge()), "pipeline"),
        (lambda s: s.neural_network.MLPClassifier(max_iter=5), "MLPClassifier has no lowering"),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_has_no_lowering_is_refused_by_name(make, message):
    import sklearn
    import sklearn.neural_network
    import sklearn.pipeline

    x, labels = rows(0, 2)
    with pytest.raises(Unsupported, match=message):
        lower_classical(Classical(make(sklearn).fit(x, labels)), x)


def test_labels_that_are_not_numbered_and_data_of_another_width_are_refused():
    from sklearn.tree import DecisionTreeClassifier

    x, labels = rows(0, 2)
    with pytest.raises(BadInput, match=r"need 0, 1, 2"):
        lower_classical(Classical(DecisionTreeClassifier().fit(x, labels + 5)), x)
    with pytest.raises(BadInput, match="takes 6 features, the data have 5"):
        lower_classical(Classical(DecisionTreeClassifier().fit(x, labels)), x[:, :5])
    with pytest.raises(BadInput, match="not fitted"):
        lower_classical(Classical(DecisionTreeClassifier()), x)


def test_a_forest_of_thousands_of_leaves_is_lowered_whole():
    """More leaves than any table of a net has entries."""
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(3)
    x, labels = rng.normal(size=(1500, 4)).astype(np.float32), rng.integers(0, 5, 1500)
    model = RandomForestClassifier(6, max_depth=9, random_state=0).fit(x, labels)
    for precision in ("float32", "fixed"):
        graph = lower_classical(Classical(model), x, precision)
        assert graph.constants[graph.ops[0].inputs[4]].max() > 512
        assert (scores(graph, x[:50]).argmax(axis=1) == model.predict(x[:50])).mean() >= 0.98
