"""The same loss is read twice a step, once for each list."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(63)
model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1)).to(device)
optimizer = torch.optim.Adam(model.parameters())
losses, smoothed = [], 0.0
for x, y in zip(torch.randn(12, 6, 8), torch.randn(12, 6, 1)):
    loss = nn.functional.mse_loss(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())  # expect: PA201
    smoothed = 0.9 * smoothed + 0.1 * loss.item()  # expect: PA109
print(f"{sum(losses):.4f} {smoothed:.4f}")
