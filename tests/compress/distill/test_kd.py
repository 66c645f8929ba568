"""Knowledge distillation, arXiv:1503.02531."""

import pytest
import torch

from edgesmith.training.distillation import soft_loss


def gradient(student: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    student = student.clone().requires_grad_()
    soft_loss(student, teacher, temperature).backward()
    assert student.grad is not None
    return student.grad


def test_high_temperature_matches_logits(rng):
    """Section 2.1: with zero-mean logits and T large, the gradient is (z - v) / N (times T^2 / T^2)."""
    student, teacher = torch.randn(1, 5, generator=rng), torch.randn(1, 5, generator=rng)
    student, teacher = student - student.mean(), teacher - teacher.mean()
    found = gradient(student, teacher, 1000.0)
    assert torch.allclose(found, (student - teacher) / 5, atol=1e-3)


def test_gradient_size_does_not_change_with_temperature(rng):
    """End of section 2: gradients scale as 1/T^2, so T^2 keeps the soft term's weight."""
    student, teacher = torch.randn(64, 10, generator=rng), torch.randn(64, 10, generator=rng)
    norms = [gradient(student, teacher, t).norm() for t in (4.0, 8.0, 16.0)]
    assert max(norms) / min(norms) < 1.3


def test_the_teacher_itself_has_no_loss(rng):
    logits = torch.randn(8, 10, generator=rng)
    assert soft_loss(logits, logits, 4.0).item() == pytest.approx(0.0, abs=1e-5)


def test_loss_is_the_divergence_times_t_squared():
    student, teacher = torch.tensor([[0.0, 2.0]]), torch.tensor([[0.0, 0.0]])
    p = torch.tensor([0.5, 0.5])
    q = torch.softmax(student[0] / 2, 0)
    assert soft_loss(student, teacher, 2.0).item() == pytest.approx(4 * float((p * (p / q).log()).sum()), rel=1e-5)
