"""declearn's TorchModel: predictions, labels and weights travel to the host and back.

What goes wrong: held-out data, its labels and sample weights are on the device already.  All the
same `compute_batch_predictions` brings them to the host with the predictions, as arrays, and
`loss_function` takes arrays, which it uploads again; while training, every step reads its loss.

What the audit says, with declearn as one's own code: PA109 at declearn's lines that download the
same labels and weights each time, PA101 and PA102 where predictions and labels are uploaded again,
PA201 where the loss is read.  The upload of a batch to train on is needed and not marked.  What to
change: a model that keeps all of that on the device and reads the sums once.
"""

import argparse

import numpy as np
import torch
from declearn.model.torch import TorchModel
from declearn.optimizer import Optimizer


def batches(rng, count):
    for _ in range(count):
        x = rng.normal(size=(256, 32)).astype("float32")
        y = (x[:, :4].sum(axis=1, keepdims=True) > 0).astype("float32")
        yield x, y, rng.uniform(0.5, 1.5, size=(256, 1)).astype("float32")


def evaluate(model, held):
    """Weighted loss and accuracy on the held-out batches."""
    loss = right = total = 0.0
    for batch in held:
        y_true, y_pred, weights = model.compute_batch_predictions(batch)
        losses = model.loss_function(y_true, y_pred)
        loss += float((losses * weights.squeeze()).sum())
        right += float(((y_pred > 0) == y_true).sum())
        total += len(y_true)
    return loss / total, right / total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=40)
    args = parser.parse_args()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    net = torch.nn.Sequential(torch.nn.Linear(32, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1))
    model = TorchModel(net, torch.nn.BCEWithLogitsLoss())
    optimizer = Optimizer(lrate=0.1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    held = [tuple(torch.from_numpy(each).to(device) for each in b) for b in batches(rng, 4)]
    for batch in batches(rng, args.steps):
        optimizer.run_train_step(model, batch)
        loss, right = evaluate(model, held)
    print(f"loss {loss:.4f}, accuracy {right:.4f}")


if __name__ == "__main__":
    main()
