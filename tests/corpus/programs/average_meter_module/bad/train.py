"""AverageMeter and accuracy of the ImageNet example live in another file."""
import torch
from meters import AverageMeter, accuracy
from torch import nn

device = "cuda" if torch.cuda.is_available() else "cpu"


def train(loader, model, optimizer):
    losses, top1 = AverageMeter("loss"), AverageMeter("acc")
    model.train()
    for images, target in loader:
        images, target = images.to(device), target.to(device)
        output = model(images)
        loss = nn.functional.cross_entropy(output, target)
        losses.update(loss.item(), images.size(0))  # expect: PA201
        top1.update(accuracy(output, target), images.size(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses.avg, top1.avg


torch.manual_seed(73)
model = nn.Linear(10, 6).to(device)
loader = [(torch.randn(9, 10), torch.randint(6, (9,))) for _ in range(12)]
loss, acc = train(loader, model, torch.optim.SGD(model.parameters(), 0.1))
print(f"{loss:.4f} {acc:.4f}")
