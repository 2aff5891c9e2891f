"""Training steps that benchmarks and parity tests share: the same model, data and seeds anywhere.

Each workload is made for a device name and yields a function that makes one training step and
returns the loss as a tensor on that device.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

    Step = Callable[[], torch.Tensor]

__all__ = ["WORKLOADS", "Workload"]


@dataclass(frozen=True)
class Workload:
    """A named training step."""

    name: str
    make: Callable[[str], Step]


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation and a skip."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = x + self.body(x)
        return functional.relu(out)


def residual_net(width: int, blocks: int) -> nn.Module:
    """A ResNet-like image classifier for 3x32x32 inputs."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1),
        *(ResidualBlock(width) for _ in range(blocks)),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(width, 10),
    )


class LanguageModel(nn.Module):
    """Embedding, transformer encoder with a causal mask, linear head."""

    def __init__(self, width: int, layers: int, words: int = 100) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        layer = nn.TransformerEncoderLayer(
            width, 4, dim_feedforward=4 * width, dropout=0.0, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, words)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        size = tokens.size(1)
        mask = nn.Transformer.generate_square_subsequent_mask(size, device=tokens.device)
        hidden = self.encoder(self.embedding(tokens), mask=mask, is_causal=True)
        logits: torch.Tensor = self.head(hidden)
        return logits


class Recurrent(nn.Module):
    """An LSTM over tokens."""

    def __init__(self, width: int, words: int = 50) -> None:
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True)
        self.head = nn.Linear(width, words)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.lstm(self.embedding(tokens))[0])
        return logits


def _images(device: str, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.randn(batch, 3, 32, 32)
    labels = torch.randint(0, 10, (batch,))
    return images.to(device), labels.to(device)


def _classifier(device: str, model: nn.Module, optimizer: str) -> Step:
    model = model.to(device)
    parameters = model.parameters()
    update: torch.optim.Optimizer
    if optimizer == "sgd":
        update = torch.optim.SGD(parameters, lr=0.05, momentum=0.9, foreach=True)
    elif optimizer == "adamw":
        update = torch.optim.AdamW(parameters, lr=1e-3, foreach=True)
    else:
        update = torch.optim.Adam(parameters, lr=1e-3, foreach=True)
    images, labels = _images(device, 64)

    def step() -> torch.Tensor:
        update.zero_grad()
        loss = functional.cross_entropy(model(images), labels)
        loss.backward()
        update.step()
        return loss.detach()

    return step


def _tokens_step(device: str, model: nn.Module, words: int, size: tuple[int, int]) -> Step:
    model = model.to(device)
    update = torch.optim.Adam(model.parameters(), lr=1e-3, foreach=True)
    tokens = torch.randint(0, words, size).to(device)

    def step() -> torch.Tensor:
        update.zero_grad()
        logits = model(tokens[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        update.step()
        return loss.detach()

    return step


def _mlp(width: int, depth: int) -> nn.Module:
    hidden = [layer for _ in range(depth) for layer in (nn.Linear(width, width), nn.ReLU())]
    first = (nn.Flatten(), nn.Linear(3072, width), nn.ReLU())
    return nn.Sequential(*first, *hidden, nn.Linear(width, 10))


def _mixed_precision(device: str) -> Step:
    """Autocast to bfloat16 with a gradient scaler, as trained on a device."""
    model = residual_net(8, 2).to(device)
    update = torch.optim.SGD(model.parameters(), lr=0.05, foreach=True)
    kind = torch.device(device).type
    scaler = torch.amp.GradScaler(kind)
    images, labels = _images(device, 16)

    def step() -> torch.Tensor:
        update.zero_grad()
        with torch.autocast(kind, dtype=torch.bfloat16):
            logits = model(images)
        loss = functional.cross_entropy(logits.float(), labels)
        scaler.scale(loss).backward()
        scaler.step(update)
        scaler.update()
        return loss.detach()

    return step


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("resnet", lambda d: _classifier(d, residual_net(24, 4), "sgd")),
        Workload("transformer", lambda d: _tokens_step(d, LanguageModel(256, 4), 100, (16, 65))),
        Workload("mlp", lambda d: _classifier(d, _mlp(1024, 3), "adam")),
        Workload("tiny-cnn", lambda d: _classifier(d, residual_net(4, 1), "adamw")),
        Workload("tiny-mlp", lambda d: _classifier(d, _mlp(32, 1), "adam")),
        Workload("tiny-lstm", lambda d: _tokens_step(d, Recurrent(16), 50, (4, 9))),
        Workload("tiny-transformer", lambda d: _tokens_step(d, LanguageModel(16, 2), 100, (4, 9))),
        Workload("amp", _mixed_precision),
    )
}
