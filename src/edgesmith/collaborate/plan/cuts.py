"""Cut a program in two: the ops that run on the device, those that run on the server, the tensors that cross."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from edgesmith.core.errors import BadInput
from edgesmith.core.graph import Graph


@dataclass(frozen=True)
class Cut:
    """Where a program is cut.

    Attributes:
        head: indices of the ops on the device, ascending; with an op all that it needs is there.
        payload: tensors that cross to the server, in the order they are made; a model's input may be one.
    """

    head: tuple[int, ...]
    payload: tuple[str, ...]

    @property
    def after(self) -> int:
        """How many ops run on the device."""
        return len(self.head)


def is_valid(graph: Graph, head: Collection[int]) -> bool:
    """Whether nothing flows back: no op of the head needs a result of the tail, no state changes sides."""
    producer, inside = graph.producer(), set(head)
    needs = (producer[name] for index in inside for name in graph.ops[index].inputs if name in producer)
    return all(index in inside for index in needs) and all(
        len({index in inside for index in group}) <= 1 for group in state_groups(graph)
    )


def state_groups(graph: Graph) -> list[list[int]]:
    """For each state the ops that read it or make its next value: they stay together, for a state lies in one place."""
    producer, readers = graph.producer(), graph.consumers()
    return [
        sorted({*readers[state.tensor], *([producer[state.update]] if state.update in producer else [])})
        for state in graph.states
    ]


def cut_at(graph: Graph, head: Collection[int]) -> Cut:
    """The cut with these ops on the device.

    Raises:
        BadInput: something would flow back.
    """
    if not is_valid(graph, head):
        raise BadInput(f"cut: {len(head)} ops of {graph.name} on the device need results of the others; need them too.")
    return Cut(tuple(sorted(head)), crossing(graph, head))


def crossing(graph: Graph, head: Collection[int]) -> tuple[str, ...]:
    """Inputs and results of the head that the tail reads or that are the model's outputs made of inputs alone."""
    inside = set(head)
    read = {name for index, op in enumerate(graph.ops) if index not in inside for name in op.inputs}
    made = (*graph.inputs, *(name for index in sorted(inside) for name in graph.ops[index].outputs))
    return tuple(name for name in made if name in read)


def prefixes(graph: Graph) -> Iterator[Cut]:
    """Every cut between two ops of the program's order, from all on the server to all on the device.

    Of a chain these are all cuts there are; of a program with branches they are those that follow its order.
    """
    for count in range(len(graph.ops) + 1):
        if is_valid(graph, range(count)):
            yield cut_at(graph, range(count))


def is_chain(graph: Graph) -> bool:
    """Whether each op reads the result of the one before it and no other result."""
    producer = graph.producer()
    return all(
        {producer[name] for name in op.inputs if name in producer} == ({index - 1} if index else set())
        for index, op in enumerate(graph.ops)
    )


def halves(graph: Graph, cut: Cut) -> tuple[Graph, Graph]:
    """Head and tail as programs; the tail's inputs are the payload, outputs that the head makes stay with the head.

    Raises:
        BadInput: one of them would be empty.
    """
    inside = set(cut.head)
    if not inside or len(inside) == len(graph.ops):
        raise BadInput(f"cut: all ops of {graph.name} lie on one side; there is nothing to cut.")
    made = {name for index in inside for name in graph.ops[index].outputs} | set(graph.inputs)
    own = [name for name in graph.outputs if name in made and name not in cut.payload]
    head_states = [state for state in graph.states if _side(graph, state.tensor, inside)]
    head = replace(
        graph,
        name=f"{graph.name}_head",
        ops=tuple(graph.ops[index] for index in cut.head),
        outputs=(*cut.payload, *own),
        states=tuple(head_states),
    )
    tail = replace(
        graph,
        name=f"{graph.name}_tail",
        ops=tuple(op for index, op in enumerate(graph.ops) if index not in inside),
        inputs=cut.payload,
        outputs=tuple(name for name in graph.outputs if name not in made or name in cut.payload),
        states=tuple(state for state in graph.states if state not in head_states),
    )
    return _own_inputs(head.pruned(), cut.payload), tail.pruned()


def _side(graph: Graph, state: str, inside: Collection[int]) -> bool:
    """Whether a state lies on the device."""
    return any(index in inside for index in graph.consumers()[state])


def _own_inputs(head: Graph, payload: Sequence[str]) -> Graph:
    """Without outputs that are inputs: the device has those, they go to the server as they are."""
    return replace(head, outputs=tuple(name for name in head.outputs if name not in head.inputs))
