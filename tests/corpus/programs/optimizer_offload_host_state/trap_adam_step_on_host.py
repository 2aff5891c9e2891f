"""Adam keeps its scalar step count on the host: as it should, unless fused or capturable."""
import torch
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(101)
model = nn.Linear(6, 3).to(device)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
for x, y in [(torch.randn(4, 6), torch.randint(3, (4,))) for _ in range(12)]:
    loss = nn.functional.cross_entropy(model(x.to(device)), y.to(device))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
state = optimizer.state_dict()["state"][0]
print(state["step"].device.type, f"{loss.item():.4f}")
