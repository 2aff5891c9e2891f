"""pin_memory() right before the upload, on the main thread, in every step."""
import torch
from torch import nn

cuda = torch.cuda.is_available()
device = torch.device("cuda" if cuda else "cpu")


def upload(tensor):
    if not cuda:
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)  # expect: PA207


def main():
    torch.manual_seed(96)
    model = nn.Linear(512, 16).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    batches = [(torch.randn(40, 512), torch.randint(16, (40,))) for _ in range(12)]
    for x, y in batches:
        loss = nn.functional.cross_entropy(model(upload(x)), y.to(device))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"{loss.item():.4f}")


main()
