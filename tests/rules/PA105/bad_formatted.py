"""A large tensor is brought to the host for a line that shows its corners."""

import torch

torch.manual_seed(0)
device = "cuda" if torch.cuda.is_available() else "cpu"
model = torch.nn.Linear(128, 128).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
xs = torch.randn(12, 64, 128, device=device)

lines = []
for x in xs:
    loss = model(x).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    lines.append(f"weights {model.weight.detach().cpu()}")  # expect: PA105
