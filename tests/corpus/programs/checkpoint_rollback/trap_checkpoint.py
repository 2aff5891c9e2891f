"""The best weights are saved to a file and loaded again: a checkpoint is no round trip."""
import io

import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(4)
model = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 4)).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(torch.randn(96, 16), torch.randint(4, (96,))),
    batch_size=8, shuffle=True,
)
best = io.BytesIO()
for epoch in range(2):
    for x, y in loader:
        loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best.seek(0)
    torch.save(model.state_dict(), best)
best.seek(0)
model.load_state_dict(torch.load(best, map_location="cpu"))
with torch.no_grad():
    print(f"{sum(p.sum() for p in model.parameters()).item():.3f}")
