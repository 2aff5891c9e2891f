"""A table's columns are on the GPU in one library, and the model that learns from them in another.

What goes wrong: each batch is on the device already, and leaves it to come back: `.numpy()` brings
it to the host, where the host waits for it, and `.to(device)` sends the same bytes up again.

What the audit says: PA108 at the upload, with the line of the download: the detour between two
libraries.  What to change: hand the memory over on the device by DLPack, as the finding says
(`torch.utils.dlpack.from_dlpack(tf.experimental.dlpack.to_dlpack(features))`), or make the features
where the model is, as the fixed twin does.

Spark with RAPIDS hands its columns over in this way.  It needs a GPU to be installed, so TensorFlow
holds the columns here.
"""

import numpy as np
import tensorflow as tf
import torch
from torch import nn

ROWS, BATCH, COLUMNS, FEATURES = 4096, 256, 32, 64


def table():
    generator = np.random.default_rng(0)
    columns = generator.normal(size=(ROWS, COLUMNS)).astype("float32")
    mixing = generator.normal(size=(COLUMNS, FEATURES)).astype("float32")
    return columns, mixing / COLUMNS**0.5


def features(columns, mixing):
    """Batches of features, made on the GPU."""
    for start in range(0, ROWS, BATCH):
        yield tf.tanh(columns[start : start + BATCH] @ mixing)


def main():
    torch.manual_seed(0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    columns, mixing = map(tf.constant, table())
    model = nn.Sequential(nn.Linear(FEATURES, 32), nn.ReLU(), nn.Linear(32, 1)).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        for batch in features(columns, mixing):
            x = torch.from_numpy(batch.numpy()).to(device)  # stray: PA108
            loss = (model(x) - x.sum(dim=1, keepdim=True)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
