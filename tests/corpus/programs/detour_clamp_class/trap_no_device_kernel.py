"""torch.histogram has no kernel on the device: the way over the host is needed."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def profile_of(activations):
    counts = torch.histogram(activations.detach().cpu(), bins=16, range=(-1.0, 1.0)).hist
    return counts.to(activations.device)  # expect: PA111 info


torch.manual_seed(155)
model = nn.Linear(10, 30).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for x in torch.randn(12, 5, 10):
    out = torch.tanh(model(x.to(device)))
    spread = profile_of(out).softmax(0).amax()
    loss = out.square().mean() * (1 + spread)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"{loss.item():.4f}")
