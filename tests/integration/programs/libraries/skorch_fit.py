"""A scikit-learn classifier by skorch: fit, score and predict_proba."""

import sys

import numpy as np
import torch
from sklearn.datasets import make_classification
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn


def build():
    return nn.Sequential(nn.Linear(20, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 2))


torch.manual_seed(0)
X, y = make_classification(400, 20, n_informative=10, random_state=0)
X, y = X.astype(np.float32), y.astype(np.int64)
device = "cuda" if torch.cuda.is_available() else "cpu"
net = NeuralNetClassifier(
    build,
    criterion=nn.CrossEntropyLoss,
    optimizer=torch.optim.Adam,
    lr=0.01,
    batch_size=32,
    max_epochs=4,
    iterator_train__shuffle=True,
    device=device,
    verbose=0,
)
pipe = make_pipeline(StandardScaler(), net)
pipe.fit(X, y)
for row in net.history:
    print("loss", repr(row["train_loss"]), repr(row["valid_loss"]), repr(float(row["valid_acc"])))
print("score", pipe.score(X, y))
print("proba", repr(float(pipe.predict_proba(X)[:, 1].sum())))
print("device", next(net.module_.parameters()).device.type, file=sys.stderr)
