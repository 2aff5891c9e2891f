"""A checkpoint each three steps, and one at the end whatever happens."""
import torch
from checkpoint import Checkpointer
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def main(steps=40):
    torch.manual_seed(322)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    checkpoint = Checkpointer(model, optimizer, "last.pt", every=3)
    data, step = [(torch.randn(6, 8), torch.randn(6, 1)) for _ in range(steps)], 0
    try:
        for step, (x, y) in enumerate(data, 1):
            loss = nn.functional.huber_loss(model(x.to(device)), y.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            checkpoint(step)
    finally:
        checkpoint.save(step)
    print(f"{loss.item():.4f}")


main()
