"""The learned prior: a distribution, whose rate is the rate that the coder needs."""

import numpy as np
import pytest
import torch

from edgesmith.collaborate.split.latents import UNIT
from edgesmith.collaborate.split.prior import FactorizedPrior, noisy


@pytest.fixture
def prior(rng):
    """Fitted to two channels of different centre and spread, as training does."""
    torch.manual_seed(1)
    made = FactorizedPrior(2)
    samples = torch.randn(4000, 2, 1, generator=rng) * torch.tensor([[0.6], [5.0]]) + torch.tensor([[1.3], [-4.0]])
    optimizer = torch.optim.Adam(made.parameters(), 0.03)
    for _ in range(300):
        optimizer.zero_grad()
        made.bits(noisy(samples)).mean().backward()
        optimizer.step()
    return made.eval(), samples


def test_a_prior_sums_to_one(rng):
    """arXiv:1802.01436, appendix 6.1: the network is a cumulative distribution, whatever its parameters."""
    for scale in (0.0, 0.3, 1.0):
        made = FactorizedPrior(5)
        for parameter in made.parameters():
            parameter.data += scale * torch.randn(parameter.shape, generator=rng)
        pmf = made.pmf(-3000, 3000)
        assert pmf.min() >= 0 and np.abs(pmf.sum(1) - 1).max() < 1e-6


def test_the_distribution_rises(rng):
    made = FactorizedPrior(3)
    for parameter in made.parameters():
        parameter.data += torch.randn(parameter.shape, generator=rng)
    assert (made.logits(torch.linspace(-40, 40, 500).expand(3, 1, -1)).diff(dim=-1) > 0).all()


def test_likelihoods_of_integers_are_the_tables_probabilities(prior):
    made, _ = prior
    values = torch.arange(-20, 21).float()
    likelihood = made.likelihood(values[None, None].expand(1, 2, -1))[0]
    assert np.allclose(likelihood.detach().numpy(), made.pmf(-20, 20), rtol=1e-3, atol=1e-7)


def test_far_values_keep_a_likelihood_on_both_sides():
    made = FactorizedPrior(1)
    far = torch.tensor([[[-1e4, 1e4]]], requires_grad=True)
    bits = made.bits(far)
    bits.sum().backward()
    assert torch.isfinite(bits).all() and torch.isfinite(far.grad).all()


def test_the_prior_finds_the_entropy_of_what_it_saw(prior):
    """The rate of a fitted prior is near that of the samples' own histogram, which none can beat."""
    made, samples = prior
    rounded = samples.round().squeeze(2)
    shares = [np.unique(column.numpy(), return_counts=True)[1] / len(column) for column in rounded.T]
    entropy = sum(-(share * np.log2(share)).sum() for share in shares)
    rate = made.bits(rounded[..., None]).mean().item()
    assert entropy <= rate < entropy * 1.03


def test_estimated_bits_are_those_sent(prior):
    """Real bytes of the coder against the prior's estimate: within 1% and the few bytes of a stream's end."""
    made, samples = prior
    sent = UNIT.quantize(samples.squeeze(2).numpy())
    data = made.code().encode(sent)
    estimate = made.bits(torch.from_numpy(sent).float()[..., None]).sum().item() / 8
    assert abs(len(data) - estimate) < 0.01 * estimate + 4
    assert np.array_equal(made.code().decode(data, sent.shape), sent)


def test_a_value_the_prior_never_saw_is_sent_all_the_same(prior):
    made, _ = prior
    sent = np.array([[127, -128], [1, -4]], np.int8)
    code = made.code()
    assert np.array_equal(code.decode(code.encode(sent), sent.shape), sent)
    assert all(table.symbols < 100 for table in code.tables), "rare integers take no room in a board's flash"
