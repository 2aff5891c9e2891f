"""Early stopping on a validation loss that is averaged batch by batch."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


class EarlyStopping:
    def __init__(self, patience=2, delta=1e-3):
        self.patience, self.delta, self.best, self.bad = patience, delta, float("inf"), 0

    def __call__(self, value):
        if value < self.best - self.delta:
            self.best, self.bad = value, 0
        else:
            self.bad += 1
        return self.bad > self.patience


@torch.no_grad()
def validate(model, batches, criterion):
    model.eval()
    losses = []
    for x, y in batches:
        out = model(x.to(device))  # expect: PA110 info
        losses.append(criterion(out, y.to(device)).item())  # expect: PA201
    result = sum(losses) / len(losses)
    model.train()
    return result


def fit(model, train, held_out, epochs=6):
    criterion = nn.MSELoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    stop = EarlyStopping()
    for epoch in range(epochs):
        order = torch.randperm(len(train)).tolist()
        for x, y in (train[i] for i in order):
            loss = criterion(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        value = validate(model, held_out, criterion)
        if stop(value):
            break
    return epoch, value


torch.manual_seed(309)


def pairs(n):
    return [(torch.randn(4, 6), torch.randn(4, 1)) for _ in range(n)]


epoch, value = fit(nn.Linear(6, 1).to(device), pairs(10), pairs(5))
print(epoch, f"{value:.4f}")
