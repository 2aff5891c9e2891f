# simulate: cuda:2

"""Everything runs on the second device; a stray tensor wakes the first."""
import torch
from torch import nn

many = torch.cuda.device_count() > 1
device = torch.device("cuda:1" if many else "cpu")


def warm_up():
    if many:
        torch.cuda.set_device(device)
    return None


def main():
    torch.manual_seed(111)
    kept = warm_up()
    model = nn.Linear(8, 8).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x in torch.randn(12, 4, 8):
        x = x.to(device)
        loss = (model(x) - x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
