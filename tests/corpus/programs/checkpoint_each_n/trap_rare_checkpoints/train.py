"""A checkpoint each twelve steps, and one at the end whatever happens."""
import torch
from checkpoint import Checkpointer
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def main(steps=26):
    torch.manual_seed(322)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    checkpoint = Checkpointer(model, optimizer, "last.pt", every=12)
    step = 0
    try:
        for step in range(1, steps + 1):
            x, y = torch.randn(6, 8).to(device), torch.randn(6, 1).to(device)
            loss = nn.functional.huber_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            checkpoint(step)
    finally:
        checkpoint.save(step)
    print(f"{loss.item():.4f}")


main()
