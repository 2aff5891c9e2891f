"""Anchor boxes are uploaded for every image of the batch loop."""
import torch
from torch import nn


class AnchorHead(nn.Module):
    anchors: torch.Tensor

    def __init__(self, channels=8, n=12):
        super().__init__()
        self.box = nn.Conv2d(channels, 4 * n, 1)
        self.score = nn.Conv2d(channels, n, 1)
        grid = torch.rand(n, 4)
        self.register_buffer("anchors", grid, persistent=False)

    def forward(self, feats):
        b = feats.size(0)
        deltas = self.box(feats).mean((2, 3)).view(b, -1, 4)
        boxes = deltas + self.anchors
        return boxes, self.score(feats).mean((2, 3))


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU())
        self.head = AnchorHead()

    def forward(self, images):
        return self.head(self.stem(images))


def main():
    torch.manual_seed(11)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = Detector().to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    data = [(torch.rand(2, 1, 12, 12), torch.rand(2, 12, 4)) for _ in range(12)]
    for images, target in data:
        boxes, scores = model(images.to(device))
        loss = (boxes - target.to(device)).abs().mean() + scores.sigmoid().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss={loss.item():.4f}")


main()
