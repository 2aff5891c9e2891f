"""MAML: an inner loop over tasks builds its support mask from eye on the host."""
import torch
from torch import nn
from torch.func import functional_call

device = "cuda" if torch.cuda.is_available() else "cpu"


def one_hot(y, n):
    table = torch.eye(n)
    return table.to(y.device)[y]  # expect: PA103


def inner(model, x, y, lr=0.1):
    weights = dict(model.named_parameters())
    loss = (functional_call(model, weights, (x,)) - one_hot(y, 4)).square().mean()
    grads = torch.autograd.grad(loss, list(weights.values()), create_graph=True)
    return {k: w - lr * g for (k, w), g in zip(weights.items(), grads)}


torch.manual_seed(173)
model = nn.Linear(7, 4).to(device)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
tasks = [(torch.randn(6, 7), torch.randint(4, (6,))) for _ in range(12)]
for x, y in tasks:
    x, y = x.to(device), y.to(device)
    adapted = inner(model, x[:3], y[:3])
    loss = nn.functional.cross_entropy(functional_call(model, adapted, (x[3:],)), y[3:])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
