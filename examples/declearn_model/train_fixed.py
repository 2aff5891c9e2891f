"""The twin of train.py: a TorchModel that keeps losses, labels and predictions on the device."""

import argparse

import numpy as np
import torch
from declearn.model.torch import TorchModel, TorchVector
from declearn.optimizer import Optimizer


def batches(rng, count):
    for _ in range(count):
        x = rng.normal(size=(256, 32)).astype("float32")
        y = (x[:, :4].sum(axis=1, keepdims=True) > 0).astype("float32")
        yield x, y, rng.uniform(0.5, 1.5, size=(256, 1)).astype("float32")


class DeviceModel(TorchModel):
    """Reads nothing in a step."""

    typekey = "torch-on-device"

    def _compute_batch_gradients(self, batch):
        inputs, y_true, weights = self._unpack_batch(batch)
        self._model.zero_grad()
        loss = self._compute_loss(self._model(*inputs), y_true, weights)
        loss.backward()
        self._loss_history.append(loss.detach())
        parameters = self._raw_model.named_parameters()
        return TorchVector({name: p.grad.detach().clone() for name, p in parameters})

    def evaluate(self, batch):
        """Weighted loss, right answers: sums, on the device."""
        inputs, y_true, weights = self._unpack_batch(batch)
        self._model.eval()
        with torch.no_grad():
            y_pred = self._model(*inputs)
            losses = self._loss_fn(y_pred, y_true)
            return (losses * weights).sum(), ((y_pred > 0) == y_true).sum()


def evaluate(model, held):
    """Weighted loss and accuracy on the held-out batches, on the device."""
    sums = [model.evaluate(batch) for batch in held]
    total = sum(len(y_true) for _, y_true, _ in held)
    return sum(loss for loss, _ in sums) / total, sum(right for _, right in sums) / total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    model = DeviceModel(net, torch.nn.BCEWithLogitsLoss())
    optimizer = Optimizer(lrate=0.1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    held = [tuple(torch.from_numpy(each).to(device) for each in b) for b in batches(rng, 4)]
    for batch in batches(rng, args.steps):
        optimizer.run_train_step(model, batch)
        loss, right = evaluate(model, held)
    print(f"loss {loss:.4f}, accuracy {right:.4f}")


if __name__ == "__main__":
    main()
